// unary:       y = f(x)
// unary_grad:  dx = dy f'(x), with f' written in x and y = f(x); where y tells it alone, y is bound as x too
// Shapes: all [n]. One invocation computes one element. Twin: src/ops/unary.rs.
#include "index"
#include "bits"

struct Params {
    n: u32,
    c: f32,
    d: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
#if MATH
#include "math"

// The share of x that the tanh form of GELU lets through: (1 + tanh(u / 2)) / 2 is the logistic function of u.
fn gelu_share(x: f32) -> f32 {
    return logistic(1.5957691216 * (x + 0.044715 * x * x * x));
}

fn gelu_slope(x: f32) -> f32 {
    return normal_cdf(x) + x * 0.3989422804 * exp(-0.5 * x * x);
}

fn gelu_tanh_slope(x: f32) -> f32 {
    let s = gelu_share(x);
    return s + x * s * (1.0 - s) * 1.5957691216 * (1.0 + 0.134145 * x * x);
}

fn silu_slope(x: f32) -> f32 {
    let s = logistic(x);
    return s * (1.0 + x * (1.0 - s));
}

// tanh(ln(1 + e^x)), for x <= 20.
fn mish_share(x: f32) -> f32 {
    let e = exp(x);
    let n = e * (e + 2.0);
    return n / (n + 2.0);
}

fn mish_slope(x: f32) -> f32 {
    let w = mish_share(x);
    return w + x * (1.0 - w * w) * logistic(x);
}
#end
#if GRAD
@group(0) @binding(1) var<storage, read> xs: array<f32>;
@group(0) @binding(2) var<storage, read> ys: array<f32>;
@group(0) @binding(3) var<storage, read> dys: array<f32>;
@group(0) @binding(4) var<storage, read_write> dxs: array<f32>;

fn slope(x: f32, y: f32) -> f32 {
    return ${SLOPE};
}

@compute @workgroup_size(${GROUP})
fn unary_grad(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_id(gid, groups);
    if (i < p.n) {
        dxs[i] = dys[i] * slope(xs[i], ys[i]);
    }
}
#else
@group(0) @binding(1) var<storage, read> xs: array<f32>;
@group(0) @binding(2) var<storage, read_write> ys: array<f32>;

fn f(x: f32) -> f32 {
    // clamp, and what a driver makes of exp or tanh, may lose a NaN.
    return select(${F}, x, is_nan_bits(x));
}

@compute @workgroup_size(${GROUP})
fn unary(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_id(gid, groups);
    if (i < p.n) {
        ys[i] = f(xs[i]);
    }
}
#end
