// y = a where cond is not 0, else b, with NumPy's broadcasting
// Shapes: y [dims]; cond, a and b are walked with strides, 0 along broadcast dimensions. One invocation computes one element.
// Twin: src/ops/select.rs.
#include "index"
#include "bits"

struct Params {
    dims: array<vec4<u32>, 2>,
    cond_strides: array<vec4<u32>, 2>,
    a_strides: array<vec4<u32>, 2>,
    b_strides: array<vec4<u32>, 2>,
    n: u32,
    rank: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> cond: array<f32>;
@group(0) @binding(2) var<storage, read> xa: array<f32>;
@group(0) @binding(3) var<storage, read> xb: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(${GROUP})
fn select_side(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_id(gid, groups);
    if (i >= p.n) {
        return;
    }
    var rest = i;
    var ic = 0u;
    var ia = 0u;
    var ib = 0u;
#for r in 0..(RANK - 1)
    {
        let at = rest % p.dims[${(RANK - 1 - r) / 4}][${(RANK - 1 - r) % 4}];
        rest /= p.dims[${(RANK - 1 - r) / 4}][${(RANK - 1 - r) % 4}];
        ic += at * p.cond_strides[${(RANK - 1 - r) / 4}][${(RANK - 1 - r) % 4}];
        ia += at * p.a_strides[${(RANK - 1 - r) / 4}][${(RANK - 1 - r) % 4}];
        ib += at * p.b_strides[${(RANK - 1 - r) / 4}][${(RANK - 1 - r) % 4}];
    }
#end
    ic += rest * p.cond_strides[0][0];
    ia += rest * p.a_strides[0][0];
    ib += rest * p.b_strides[0][0];
    let c = cond[ic];
    // A branch and not select(): what is not taken is not even read.
    if (c != 0.0 || is_nan_bits(c)) {
        y[i] = xa[ia];
    } else {
        y[i] = xb[ib];
    }
}
