// y[i, j] = data[order[k * full_batch + i], j], for step k of the epoch; bytes and floats times scale plus shift
// Shapes: data [rows, row_len] as 32-bit words (four bytes to a word, the first one lowest), clock [8], schedule [1 + steps],
// order [order_len], y [batch, row_len] with n elements. One invocation computes one element. Twin: src/ops/gather_batch.rs.
#include "clock"
#include "index"

struct Params {
    n: u32,
    row_len: u32,
    full_batch: u32,
    order_len: u32,
    rows: u32,
    steps: u32,
    scale: f32,
    shift: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> data: array<u32>;
@group(0) @binding(2) var<storage, read> clock: array<u32>;
@group(0) @binding(3) var<storage, read> schedule: array<u32>;
@group(0) @binding(4) var<storage, read> order: array<u32>;
#if AFFINE
@group(0) @binding(5) var<storage, read_write> y: array<f32>;
#else
@group(0) @binding(5) var<storage, read_write> y: array<u32>;
#end

@compute @workgroup_size(${GROUP})
fn gather_batch(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_id(gid, groups);
    if (i >= p.n) {
        return;
    }
    let k = step_of_epoch(clock[CLOCK_STEP], schedule[SCHEDULE_BASE], p.steps);
    // The host wrote the order; a wrong entry must not become a read out of bounds.
    let row = min(order[min(k * p.full_batch + i / p.row_len, p.order_len - 1u)], p.rows - 1u);
    let at = row * p.row_len + i % p.row_len;
#if BYTES
    y[i] = f32((data[at >> 2u] >> ((at & 3u) * 8u)) & 0xffu) * p.scale + p.shift;
#else
#if AFFINE
    y[i] = bitcast<f32>(data[at]) * p.scale + p.shift;
#else
    y[i] = data[at];
#end
#end
}
