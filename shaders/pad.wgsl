// y = x in a frame of p.value
// Shapes: y [dims], x [inner] at `before` in y. One invocation computes one element. Twin: src/ops/pad.rs.
#include "index"

struct Params {
    dims: array<vec4<u32>, 2>,
    before: array<vec4<u32>, 2>,
    inner: array<vec4<u32>, 2>,
    n: u32,
    value: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(${GROUP})
fn pad(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_id(gid, groups);
    if (i >= p.n) {
        return;
    }
    var rest = i;
    var at = 0u;
    var stride = 1u;
    var inside = true;
#for r in 0..RANK
    {
        // Before the frame's inner edge this wraps to a number beyond any extent.
        let own = rest % p.dims[${(RANK - 1 - r) / 4}][${(RANK - 1 - r) % 4}] - p.before[${(RANK - 1 - r) / 4}][${(RANK - 1 - r) % 4}];
        rest /= p.dims[${(RANK - 1 - r) / 4}][${(RANK - 1 - r) % 4}];
        inside = inside && own < p.inner[${(RANK - 1 - r) / 4}][${(RANK - 1 - r) % 4}];
        at += own * stride;
        stride *= p.inner[${(RANK - 1 - r) / 4}][${(RANK - 1 - r) % 4}];
    }
#end
    var value = p.value;
    if (inside) {
        value = x[at];
    }
    y[i] = value;
}
