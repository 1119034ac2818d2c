// sum = g / every in the first of `every` steps, sum += g / every in the others; nothing where the clock shows a fault
// Shapes: sum, g [4 * n4], clock [8]. One invocation changes four elements. Twin: src/ops/accumulate.rs.
#include "clock"
#include "index"

struct Params {
    n4: u32,
    every: u32,
    divisor: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> sum: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> grads: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> clock: array<u32>;

@compute @workgroup_size(${GROUP})
fn accumulate(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_id(gid, groups);
    if (i >= p.n4 || clock[CLOCK_FAULT] != 0u) {
        return;
    }
    let share = grads[i] / p.divisor;
    if (clock[CLOCK_STEP] % p.every == 0u) {
        sum[i] = share;
    } else {
        sum[i] += share;
    }
}
