// binary_cross_entropy, with LOGITS:  loss = max(x, 0) - x t + ln(1 + e^-|x|);
//                            else:    loss = -t ln p - (1 - t) ln(1 - p), p clipped to [1e-7, 1 - 1e-7]
// binary_cross_entropy_grad, with LOGITS:  dscores = (1 / (1 + e^-x) - t) dloss;
//                            else:    dscores = (p - t) / (p (1 - p)) dloss, 0 where clipped
// Shapes: all [n]. One invocation computes one element. Twin: src/ops/binary_cross_entropy.rs.
#include "index"
#include "bits"
#include "math"

struct Params {
    n: u32,
}

const LOW: f32 = 1e-7;
const HIGH: f32 = 0.9999999;

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> scores: array<f32>;
@group(0) @binding(2) var<storage, read> targets: array<f32>;
#if GRAD
@group(0) @binding(3) var<storage, read> dloss: array<f32>;
@group(0) @binding(4) var<storage, read_write> dscores: array<f32>;

fn slope(x: f32, t: f32) -> f32 {
#if LOGITS
    return select(logistic(x) - t, x, is_nan_bits(x));
#else
    return select(0.0, (x - t) / (x * (1.0 - x)), x >= LOW && x <= HIGH);
#end
}

@compute @workgroup_size(${GROUP})
fn binary_cross_entropy_grad(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_id(gid, groups);
    if (i < p.n) {
        dscores[i] = slope(scores[i], targets[i]) * dloss[i];
    }
}
#else
@group(0) @binding(3) var<storage, read_write> losses: array<f32>;

fn loss(x: f32, t: f32) -> f32 {
#if LOGITS
    return max(x, 0.0) - x * t + ln_1p(exp(-min(abs(x), 88.0)));
#else
    // The smaller of p and 1 - p is clipped, and the other one is what it leaves of 1: both keep their digits.
    let is_low = x < 0.5;
    let small = max(select(1.0 - x, x, is_low), LOW);
    let of_small = select(1.0 - t, t, is_low);
    return -(of_small * ln(small) + (1.0 - of_small) * ln_1p(-small));
#end
}

@compute @workgroup_size(${GROUP})
fn binary_cross_entropy(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_id(gid, groups);
    if (i < p.n) {
        let x = scores[i];
        // max() may drop a NaN.
        losses[i] = select(loss(x, targets[i]), x, is_nan_bits(x));
    }
}
#end
