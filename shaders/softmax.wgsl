// softmax:       y = exp(x - m) / s   with m = max x, s = sum exp(x - m);   with LOG   y = (x - m) - log s
// softmax_grad:  dx = y (dy - sum dy y);                                    with LOG   dx = dy - exp(y) sum dy
// Shapes: all [outer, c, inner]; maximum and sums run along c. One invocation, or one workgroup, computes one column (see
// shared/column.wgsl). x - m is never above 0, so exp cannot overflow; a NaN or an infinite maximum makes the whole column NaN.
// Twin: src/ops/softmax.rs.
#include "index"
#include "bits"

struct Params {
    columns: u32,
    c: u32,
    inner: u32,
    zero: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
#include "column"

#if GRAD
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(${WIDTH})
fn softmax_grad(
    @builtin(global_invocation_id) gid: vec3<u32>,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let column = column_of(gid, group, groups);
    if (column >= p.columns) {
        return;
    }
    let lane = lane_of(local);
    let first = first_of(column);
    var s = 0.0;
    for (var j = lane; j < p.c; j += LANES) {
        let i = first + j * p.inner;
#if LOG
        s += dy[i];
#else
        s += dy[i] * y[i];
#end
    }
    s = column_sum(lane, s);
    for (var j = lane; j < p.c; j += LANES) {
        let i = first + j * p.inner;
#if LOG
        dx[i] = dy[i] - exp(y[i]) * s;
#else
        dx[i] = y[i] * (dy[i] - s);
#end
    }
}
#else
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(${WIDTH})
fn softmax(
    @builtin(global_invocation_id) gid: vec3<u32>,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let column = column_of(gid, group, groups);
    if (column >= p.columns) {
        return;
    }
    let lane = lane_of(local);
    let first = first_of(column);
    var m = x[first];
    for (var j = lane; j < p.c; j += LANES) {
        let v = x[first + j * p.inner];
        m = larger(m, v);
    }
    m = column_max(lane, m);
    var s = 0.0;
    for (var j = lane; j < p.c; j += LANES) {
        let i = first + j * p.inner;
#if LOG
        s += exp(x[i] - m);
#else
        // Kept in y until the sum is known: each lane reads back only what it wrote itself.
        let e = exp(x[i] - m);
        y[i] = e;
        s += e;
#end
    }
    s = column_sum(lane, s);
#if LOG
    let log_s = log(s);
#end
    for (var j = lane; j < p.c; j += LANES) {
        let i = first + j * p.inner;
#if LOG
        y[i] = spoiled_by(m, (x[i] - m) - log_s);
#else
        y[i] = spoiled_by(m, y[i] / s);
#end
    }
}
#end
