// y = a box cut out of x
// Shapes: y [dims]; x is walked with strides from element `base` on. One invocation copies one element, as a word, float or
// integer. Twin: src/ops/slice.rs.
#include "index"

struct Params {
    dims: array<vec4<u32>, 2>,
    strides: array<vec4<u32>, 2>,
    n: u32,
    base: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;

@compute @workgroup_size(${GROUP})
fn slice(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_id(gid, groups);
    if (i >= p.n) {
        return;
    }
    var rest = i;
    var at = p.base;
#for r in 0..RANK
    at += rest % p.dims[${(RANK - 1 - r) / 4}][${(RANK - 1 - r) % 4}] * p.strides[${(RANK - 1 - r) / 4}][${(RANK - 1 - r) % 4}];
    rest /= p.dims[${(RANK - 1 - r) / 4}][${(RANK - 1 - r) % 4}];
#end
    y[i] = x[at];
}
