// mean = g in the first of `every` steps, mean += s / (S + s) (g - mean) in the others, with s = share[0] and S the shares before; nothing
// where the clock shows a fault. The shares so far are read in one place and written in another, turn by turn.
// Shapes: mean, g [4 * n4], shares [2], share [1], clock [8]. One invocation changes four elements. Twin: src/ops/accumulate.rs.
#include "clock"
#include "index"

struct Params {
    n4: u32,
    every: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> mean: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> shares: array<f32>;
@group(0) @binding(3) var<storage, read> grads: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> share: array<f32>;
@group(0) @binding(5) var<storage, read> clock: array<u32>;

@compute @workgroup_size(${GROUP})
fn accumulate(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_id(gid, groups);
    if (i >= p.n4 || clock[CLOCK_FAULT] != 0u) {
        return;
    }
    let step = clock[CLOCK_STEP];
    let first = step % p.every == 0u;
    let now = step % 2u;
    let all = select(shares[now] + share[0], share[0], first);
    if (i == 0u) {
        shares[1u - now] = all;
    }
    if (first) {
        mean[i] = grads[i];
    } else if (all > 0.0) {
        mean[i] += share[0] / all * (grads[i] - mean[i]);
    }
}
