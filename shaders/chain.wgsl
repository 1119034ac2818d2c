// y = the last of a chain of element-wise functions of the inputs and of each other
// Shapes: y [dims]; the inputs x0, x1, .. are walked with strides, 0 along broadcast dimensions; with a RANK of 0 all of them are [n]. An
// invocation computes PER_LANE elements, p.lanes apart. v0, v1, .. are the inputs' elements, then what each function gives. The
// functions' texts are those of unary.wgsl, binary.wgsl and select.wgsl. Twin: src/ops/chain.rs.
#include "index"
#include "bits"

struct Params {
    dims: array<vec4<u32>, 2>,
    strides: array<vec4<u32>, ${2 * INPUTS}>,
    constants: array<vec4<f32>, ${LINKS}>,
    n: u32,
    lanes: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
#for i in 0..INPUTS
@group(0) @binding(${i + 1}) var<storage, read> x${i}: array<f32>;
#end
@group(0) @binding(${INPUTS + 1}) var<storage, read_write> y: array<f32>;
#if MATH
#include "math"
#include "activations"
#end

${FUNCTIONS}

fn element(i: u32) -> f32 {
#if RANK
    var rest = i;
#for k in 0..INPUTS
    var i${k} = 0u;
#end
#for r in 0..(RANK - 1)
    {
        let at = rest % p.dims[${(RANK - 1 - r) / 4}][${(RANK - 1 - r) % 4}];
        rest /= p.dims[${(RANK - 1 - r) / 4}][${(RANK - 1 - r) % 4}];
#for k in 0..INPUTS
        i${k} += at * p.strides[${2 * k + (RANK - 1 - r) / 4}][${(RANK - 1 - r) % 4}];
#end
    }
#end
#for k in 0..INPUTS
    let v${k} = x${k}[i${k} + rest * p.strides[${2 * k}][0]];
#end
#else
#for k in 0..INPUTS
    let v${k} = x${k}[i];
#end
#end
${CALLS}
    return v${INPUTS + LINKS - 1};
}

@compute @workgroup_size(${GROUP})
fn chain(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let first = linear_id(gid, groups);
    if (first >= p.lanes) {
        return;
    }
#for u in 0..PER_LANE
    {
        let i = first + ${u}u * p.lanes;
        if (i < p.n) {
            y[i] = element(i);
        }
    }
#end
}
