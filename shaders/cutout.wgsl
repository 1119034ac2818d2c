// y = fill inside of a rectangle of each sample's own, x elsewhere; a sample has one where its first number is below the probability
// Shapes: x, y [batch, channels, height, width], u [batch, 3] uniform. One invocation computes one element. Twin: src/ops/cutout.rs.
#include "index"

struct Params {
    n: u32,
    channels: u32,
    height: u32,
    width: u32,
    rows: u32,
    columns: u32,
    probability: f32,
    fill: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> u: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

// Whether `i` is one of the `extent` places around the one that `u` chooses among `len`.
fn is_cut(i: u32, u: f32, len: u32, extent: u32) -> bool {
    let start = i32(min(u32(u * f32(len)), len - 1u)) - i32(extent / 2u);
    return i32(i) >= start && i32(i) < start + i32(extent);
}

@compute @workgroup_size(${GROUP})
fn cutout(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let id = linear_id(gid, groups);
    if (id >= p.n) {
        return;
    }
    let draw = id / (p.width * p.height * p.channels) * 3u;
    let row = id / p.width % p.height;
    let cut = u[draw] < p.probability && is_cut(row, u[draw + 1u], p.height, p.rows)
        && is_cut(id % p.width, u[draw + 2u], p.width, p.columns);
    y[id] = select(x[id], p.fill, cut);
}
