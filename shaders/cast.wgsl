// y = x as a float
// Shapes: x, y [n]; with BYTES four of x share a word. One invocation computes one element. Twin: src/ops/cast.rs.
#include "index"

struct Params {
    n: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(${GROUP})
fn cast_to_f32(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_id(gid, groups);
    if (i >= p.n) {
        return;
    }
#if BYTES
    y[i] = f32((x[i / 4u] >> (8u * (i % 4u))) & 0xffu);
#else
    y[i] = f32(x[i]);
#end
}
