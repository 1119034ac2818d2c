// clock[FAULT] = 1 + clock[STEP], where an element of x is not finite and there is no fault yet
// Shapes: clock [8], x [n]. One invocation looks at ${PER} elements. Twin: src/ops/check_finite.rs.
#include "bits"
#include "clock"
#include "index"

struct Params {
    n: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> clock: array<atomic<u32>>;
@group(0) @binding(2) var<storage, read> x: array<f32>;

@compute @workgroup_size(${GROUP})
fn check_finite(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let id = linear_id(gid, groups);
    // A workgroup takes consecutive elements, its invocations neighbours.
    let first = (id / ${GROUP}u) * ${GROUP * PER}u + id % ${GROUP}u;
    var finite = true;
#for i in 0..PER
    if (first + ${i * GROUP}u < p.n) {
        finite = finite && is_finite_bits(x[first + ${i * GROUP}u]);
    }
#end
    // Every invocation that gets here in this dispatch stores the same number.
    if (!finite && atomicLoad(&clock[CLOCK_FAULT]) == 0u) {
        atomicStore(&clock[CLOCK_FAULT], atomicLoad(&clock[CLOCK_STEP]) + 1u);
    }
}
