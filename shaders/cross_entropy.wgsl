// cross_entropy, with LOGITS (scores are logits z, log s = log sum exp(z - m), m = max z):
//   loss = log s - (z[t] - m), or for soft targets sum t (log s - (z - m));   statistic = m + log s
// else (scores are probabilities):
//   loss = -log clip(p[t]),    or for soft targets -sum t log clip(p);        statistic = 0
// cross_entropy_grad, with LOGITS:  dscores = (exp(z - statistic) sum t - t) dloss;   else  dscores = -t / p dloss, 0 where clipped
// Shapes: scores [outer, c, inner]; targets with INDEX u32 [outer, inner], else f32 [outer, c, inner]; loss, statistic and dloss
// [outer, inner]; sums run along c. clip is to [1e-7, 1 - 1e-7]. An index not below c makes the loss NaN and the gradient 0.
// One invocation, or one workgroup, computes one column (see shared/column.wgsl). Twin: src/ops/cross_entropy.rs.
#include "index"
#include "bits"

struct Params {
    columns: u32,
    c: u32,
    inner: u32,
    zero: u32,
}

const LOW: f32 = 1e-7;
const HIGH: f32 = 0.9999999;

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> scores: array<f32>;
#if INDEX
@group(0) @binding(2) var<storage, read> targets: array<u32>;
#else
@group(0) @binding(2) var<storage, read> targets: array<f32>;
#end
#include "column"

#if GRAD
@group(0) @binding(3) var<storage, read> statistic: array<f32>;
@group(0) @binding(4) var<storage, read> dloss: array<f32>;
@group(0) @binding(5) var<storage, read_write> dscores: array<f32>;

// d loss / d score, from the score, its target and the sum of the column's targets.
fn slope(score: f32, wanted: f32, all_wanted: f32, column: u32) -> f32 {
#if LOGITS
    return spoiled_by(statistic[column], exp(score - statistic[column]) * all_wanted - wanted);
#else
    return select(0.0, -wanted / score, score >= LOW && score <= HIGH);
#end
}

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
#else
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;
@group(0) @binding(4) var<storage, read_write> statistic: array<f32>;

// -log of a probability, clipped. Not clamp(): that may drop a NaN.
fn surprise(probability: f32) -> f32 {
    let low = select(probability, LOW, probability < LOW);
    return select(-log(select(low, HIGH, low > HIGH)), probability, is_nan_bits(probability));
}

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
