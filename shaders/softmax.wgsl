// softmax:       y = exp(x - m) / s   with m = max x, s = sum exp(x - m);   with LOG   y = (x - m) - log s
// softmax_grad:  dx = y (dy - sum dy y);                                    with LOG   dx = dy - exp(y) sum dy
// Shapes: all [outer, c, inner]; maximum and sums run along c. One invocation, or one workgroup, computes one column (see
// shared/column.wgsl). Columns that are too long for that are cut into parts (shared/parts.wgsl):
// softmax_tops:          tops[part] = m and s of a part; one workgroup per part
// softmax_merge:         the same of a column, from its parts'; one workgroup per column
// softmax_grad_terms:    the sum of dy y (with LOG of dy) of a part; sums of columns are made by shaders/reduce.wgsl
// softmax_apply, softmax_grad_apply:  y or dx, one invocation per element
// x - m is never above 0, so exp cannot overflow; a NaN or an infinite maximum makes the whole column NaN.
// Twin: src/ops/softmax.rs.
#include "index"
#include "bits"

struct Params {
    columns: u32,
    c: u32,
    inner: u32,
    zero: u32,
    parts: u32,
    part: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
#include "column"
#if STAGE == whole
#else
#include "parts"
#end

#if GRAD
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;

// What an element adds to its column's sum.
fn term(i: u32) -> f32 {
#if LOG
    return dy[i];
#else
    return dy[i] * y[i];
#end
}

// An element of dx, from its column's sum.
fn slope(i: u32, s: f32) -> f32 {
#if LOG
    return dy[i] - exp(y[i]) * s;
#else
    return y[i] * (dy[i] - s);
#end
}

#if STAGE == terms
@group(0) @binding(3) var<storage, read_write> sums: array<f32>;

@compute @workgroup_size(256)
fn softmax_grad_terms(
    @builtin(global_invocation_id) gid: vec3<u32>,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let job = column_of(gid, group, groups);
    if (job >= p.columns * p.parts) {
        return;
    }
    let at = span_of(job);
    var s = 0.0;
    for (var j = at.start + lane; j < at.end; j += LANES) {
        s += term(at.first + j * p.inner);
    }
    s = column_sum(lane, s);
    if (lane == 0u) {
        sums[job] = s;
    }
}
#end

#if STAGE == apply
@group(0) @binding(3) var<storage, read> sums: array<f32>;
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(${GROUP})
fn softmax_grad_apply(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_id(gid, groups);
    if (i >= p.columns * p.c) {
        return;
    }
    dx[i] = slope(i, sums[column_around(i)]);
}
#end

#if STAGE == whole
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
        s += term(first + j * p.inner);
    }
    s = column_sum(lane, s);
    for (var j = lane; j < p.c; j += LANES) {
        let i = first + j * p.inner;
        dx[i] = slope(i, s);
    }
}
#end
#else
#if STAGE == merge
@group(0) @binding(1) var<storage, read> tops: array<f32>;
@group(0) @binding(2) var<storage, read_write> merged: array<f32>;

@compute @workgroup_size(256)
fn softmax_merge(
    @builtin(global_invocation_id) gid: vec3<u32>,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let column = column_of(gid, group, groups);
    if (column >= p.columns) {
        return;
    }
    let first = column * p.parts;
    var m = tops[2u * first];
    for (var q = lane; q < p.parts; q += LANES) {
        let top = tops[2u * (first + q)];
        m = larger(m, top);
    }
    m = column_max(lane, m);
    var s = 0.0;
    for (var q = lane; q < p.parts; q += LANES) {
        let top = tops[2u * (first + q)];
        // A part in which everything is minus infinity adds nothing; its own sum is NaN.
        let nothing = bitcast<u32>(top) == 0xff800000u;
        s += select(tops[2u * (first + q) + 1u] * exp(top - m), 0.0, nothing);
    }
    s = column_sum(lane, s);
    if (lane == 0u) {
        merged[2u * column] = m;
        merged[2u * column + 1u] = s;
    }
}
#else
@group(0) @binding(1) var<storage, read> x: array<f32>;
#end

#if STAGE == tops
@group(0) @binding(2) var<storage, read_write> tops: array<f32>;

@compute @workgroup_size(256)
fn softmax_tops(
    @builtin(global_invocation_id) gid: vec3<u32>,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let job = column_of(gid, group, groups);
    if (job >= p.columns * p.parts) {
        return;
    }
    let at = span_of(job);
    var m = x[at.first + at.start * p.inner];
    for (var j = at.start + lane; j < at.end; j += LANES) {
        let v = x[at.first + j * p.inner];
        m = larger(m, v);
    }
    m = column_max(lane, m);
    var s = 0.0;
    for (var j = at.start + lane; j < at.end; j += LANES) {
        s += exp(x[at.first + j * p.inner] - m);
    }
    s = column_sum(lane, s);
    if (lane == 0u) {
        tops[2u * job] = m;
        tops[2u * job + 1u] = s;
    }
}
#end

#if STAGE == apply
@group(0) @binding(2) var<storage, read> tops: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(${GROUP})
fn softmax_apply(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_id(gid, groups);
    if (i >= p.columns * p.c) {
        return;
    }
    let column = column_around(i);
    let m = tops[2u * column];
    let s = tops[2u * column + 1u];
#if LOG
    y[i] = spoiled_by(m, (x[i] - m) - log(s));
#else
    y[i] = spoiled_by(m, exp(x[i] - m) / s);
#end
}
#end

#if STAGE == whole
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
#end
