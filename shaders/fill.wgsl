// y[i] = value
// Shapes: y [n]. One invocation writes one element. Twin: src/ops/fill.rs.
#include "index"

struct Params {
    n: u32,
    value: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(${GROUP})
fn fill(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_id(gid, groups);
    if (i < p.n) {
        y[i] = p.value;
    }
}
