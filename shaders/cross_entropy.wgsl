// cross_entropy, with LOGITS (scores are logits z, log s = log sum exp(z - m), m = max z):
//   loss = log s - (z[t] - m), or for soft targets sum t (log s - (z - m));   statistic = m + log s
// else (scores are probabilities):
//   loss = -log clip(p[t]),    or for soft targets -sum t log clip(p);        statistic = 0
// cross_entropy_grad, with LOGITS:  dscores = (exp(z - statistic) sum t - t) dloss;   else  dscores = -t / p dloss, 0 where clipped
// Shapes: scores [outer, c, inner]; targets with INDEX u32 [outer, inner], else f32 [outer, c, inner]; loss, statistic and dloss
// [outer, inner]; sums run along c. clip is to [1e-7, 1 - 1e-7]. An index not below c makes the loss NaN and the gradient 0.
// One invocation, or one workgroup, computes one column (see shared/column.wgsl). Columns that are too long for that are cut into
// parts (shared/parts.wgsl); tops [columns, 2] are m and s of every column, made by shaders/softmax.wgsl:
// cross_entropy_terms:       the sum of the loss's terms over a part, for soft targets; shaders/reduce.wgsl makes sums [columns]
// cross_entropy_finish:      loss and statistic, one invocation per column
// cross_entropy_grad_apply:  dscores, one invocation per element; all_wanted [columns] is sum t. Twin: src/ops/cross_entropy.rs.
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

const LOW: f32 = 1e-7;
const HIGH: f32 = 0.9999999;

@group(0) @binding(0) var<uniform> p: Params;
#include "column"
#if STAGE == whole
#else
#include "parts"
#end

#if FROM_SUMS
#else
@group(0) @binding(1) var<storage, read> scores: array<f32>;
#if INDEX
@group(0) @binding(2) var<storage, read> targets: array<u32>;
#else
@group(0) @binding(2) var<storage, read> targets: array<f32>;
#end
#end

#if GRAD
@group(0) @binding(3) var<storage, read> statistic: array<f32>;
@group(0) @binding(4) var<storage, read> dloss: array<f32>;

// d loss / d score, from the score, its target and the sum of the column's targets.
fn slope(score: f32, wanted: f32, all_wanted: f32, column: u32) -> f32 {
#if LOGITS
    return spoiled_by(statistic[column], exp(score - statistic[column]) * all_wanted - wanted);
#else
    return select(0.0, -wanted / score, score >= LOW && score <= HIGH);
#end
}

#if STAGE == apply
#if ALL_WANTED
@group(0) @binding(5) var<storage, read> all_wanted: array<f32>;
#end
@group(0) @binding(${5 + ALL_WANTED}) var<storage, read_write> dscores: array<f32>;

@compute @workgroup_size(${GROUP})
fn cross_entropy_grad_apply(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_id(gid, groups);
    if (i >= p.columns * p.c) {
        return;
    }
    let column = column_around(i);
#if INDEX
    let t = targets[column];
    let d = slope(scores[i], select(0.0, 1.0, i / p.inner % p.c == t), 1.0, column) * dloss[column];
    dscores[i] = select(0.0, d, t < p.c);
#else
#if ALL_WANTED
    let all = all_wanted[column];
#else
    let all = 0.0;
#end
    dscores[i] = slope(scores[i], targets[i], all, column) * dloss[column];
#end
}
#else
@group(0) @binding(5) var<storage, read_write> dscores: array<f32>;

@compute @workgroup_size(${WIDTH})
fn cross_entropy_grad(
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
    let g = dloss[column];
#if INDEX
    let t = targets[column];
    for (var j = lane; j < p.c; j += LANES) {
        let i = first + j * p.inner;
        let d = slope(scores[i], select(0.0, 1.0, j == t), 1.0, column) * g;
        dscores[i] = select(0.0, d, t < p.c);
    }
#else
    var all_wanted = 0.0;
#if LOGITS
    for (var j = lane; j < p.c; j += LANES) {
        all_wanted += targets[first + j * p.inner];
    }
    all_wanted = column_sum(lane, all_wanted);
#end
    for (var j = lane; j < p.c; j += LANES) {
        let i = first + j * p.inner;
        dscores[i] = slope(scores[i], targets[i], all_wanted, column) * g;
    }
#end
}
#end
#else
// -log of a probability, clipped. Not clamp(): that may drop a NaN.
fn surprise(probability: f32) -> f32 {
    let low = select(probability, LOW, probability < LOW);
    return select(-log(select(low, HIGH, low > HIGH)), probability, is_nan_bits(probability));
}

#if STAGE == terms
#if LOGITS
@group(0) @binding(3) var<storage, read> tops: array<f32>;
#end
@group(0) @binding(${3 + LOGITS}) var<storage, read_write> sums: array<f32>;

@compute @workgroup_size(256)
fn cross_entropy_terms(
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
#if LOGITS
    let m = tops[2u * at.column];
    let log_s = log(tops[2u * at.column + 1u]);
#end
    var l = 0.0;
    for (var j = at.start + lane; j < at.end; j += LANES) {
        let i = at.first + j * p.inner;
#if LOGITS
        l += targets[i] * (log_s - (scores[i] - m));
#else
        l += targets[i] * surprise(scores[i]);
#end
    }
    l = column_sum(lane, l);
    if (lane == 0u) {
        sums[job] = l;
    }
}
#end

#if STAGE == finish
#if FROM_SUMS
@group(0) @binding(1) var<storage, read> sums: array<f32>;
#end
#if LOGITS
@group(0) @binding(${3 - FROM_SUMS}) var<storage, read> tops: array<f32>;
#end
@group(0) @binding(${3 - FROM_SUMS + LOGITS}) var<storage, read_write> loss: array<f32>;
@group(0) @binding(${4 - FROM_SUMS + LOGITS}) var<storage, read_write> statistic: array<f32>;

@compute @workgroup_size(${GROUP})
fn cross_entropy_finish(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let column = linear_id(gid, groups);
    if (column >= p.columns) {
        return;
    }
#if LOGITS
    let m = tops[2u * column];
    let log_s = log(tops[2u * column + 1u]);
#end
#if FROM_SUMS
    let l = sums[column];
#else
    let t = targets[column];
    var l = quiet_nan(p.zero);
    if (t < p.c) {
        l = log_s - (scores[first_of(column) + t * p.inner] - m);
    }
#end
#if LOGITS
    loss[column] = spoiled_by(m, l);
    statistic[column] = spoiled_by(m, m + log_s);
#else
    loss[column] = l;
    statistic[column] = 0.0;
#end
}
#end

#if STAGE == whole
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;
@group(0) @binding(4) var<storage, read_write> statistic: array<f32>;

@compute @workgroup_size(${WIDTH})
fn cross_entropy(
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
#if LOGITS
    var m = scores[first];
    for (var j = lane; j < p.c; j += LANES) {
        let z = scores[first + j * p.inner];
        m = larger(m, z);
    }
    m = column_max(lane, m);
    var s = 0.0;
    for (var j = lane; j < p.c; j += LANES) {
        s += exp(scores[first + j * p.inner] - m);
    }
    let log_s = log(column_sum(lane, s));
#end
#if INDEX
    let t = targets[column];
    var l = quiet_nan(p.zero);
    if (t < p.c) {
        let score = scores[first + t * p.inner];
#if LOGITS
        l = log_s - (score - m);
#else
        l = surprise(score);
#end
    }
#else
    var l = 0.0;
    for (var j = lane; j < p.c; j += LANES) {
        let i = first + j * p.inner;
#if LOGITS
        l += targets[i] * (log_s - (scores[i] - m));
#else
        l += targets[i] * surprise(scores[i]);
#end
    }
    l = column_sum(lane, l);
#end
    if (lane == 0u) {
#if LOGITS
        loss[column] = spoiled_by(m, l);
        statistic[column] = spoiled_by(m, m + log_s);
#else
        loss[column] = l;
        statistic[column] = 0.0;
#end
    }
}
#end
#end
