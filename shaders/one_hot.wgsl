// y[o, j, i] = on where ids[o, i] = j, else off; with STRICT NaN where ids[o, i] is not below depth
// Shapes: ids [outer, inner], y [outer, depth, inner]. One invocation computes one element. Twin: src/ops/one_hot.rs.
#include "index"
#include "bits"

struct Params {
    n: u32,
    depth: u32,
    inner: u32,
    on: f32,
    off: f32,
    zero: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> ids: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(${GROUP})
fn one_hot(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_id(gid, groups);
    if (i >= p.n) {
        return;
    }
    let row = i / p.inner;
    let id = ids[row / p.depth * p.inner + i % p.inner];
    var v = select(p.off, p.on, id == row % p.depth);
#if STRICT
    if (id >= p.depth) {
        v = quiet_nan(p.zero);
    }
#end
    y[i] = v;
}
