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
#include "activations"
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
        let y = ys[i];
#if READS_X
        let x = xs[i];
#else
        let x = y;
#end
        dxs[i] = dys[i] * slope(x, y);
    }
}
#else
@group(0) @binding(1) var<storage, read> xs: array<f32>;
@group(0) @binding(2) var<storage, read_write> ys: array<f32>;

fn f(x: f32) -> f32 {
    return ${F};
}

@compute @workgroup_size(${GROUP})
fn unary(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_id(gid, groups);
    if (i < p.n) {
        ys[i] = f(xs[i]);
    }
}
#end
