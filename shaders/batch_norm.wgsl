// batch_norm:        y = (x - mean) * gamma / sqrt(variance + epsilon) + beta, with the mean and the biased variance of each channel
// batch_norm_infer:  the same with given statistics
// batch_norm_grad:   dbeta = sum of dy; dgamma = sum of dy * h; dx = gamma * rstd * (dy - dbeta / n - h * dgamma / n), where
//                    h = (x - mean) * rstd and n is how many elements a channel has; where FROZEN is 1, dx = gamma * rstd * dy
// Shapes: x, y, dy, dx [batch, c, space]; gamma, beta, mean, variance, dgamma, dbeta [c]; saved [3, c]: the mean, what it lacks
// through rounding, rstd. A channel is a row with one run per sample (shared/rows.wgsl). Where a row has one part, one pass does all. Where
// it has several, they give their moments [c, parts, 3] or sums [c, parts, 2], these are merged, and a last pass writes y or dx.
// Twin: src/ops/batch_norm/mod.rs.
// RELU: a ReLU follows, whose result is y; of its dy the gradient passes on what it lets through, and reads y for that.
#include "rows"

fn activated(v: f32) -> f32 {
#if RELU
    return select(v, 0.0, v < 0.0);
#else
    return v;
#end
}

#if PASS == whole
#include "moments"
@group(0) @binding(2) var<storage, read> gamma: array<f32>;
@group(0) @binding(3) var<storage, read> beta: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
@group(0) @binding(5) var<storage, read_write> mean: array<f32>;
@group(0) @binding(6) var<storage, read_write> variance: array<f32>;
@group(0) @binding(7) var<storage, read_write> saved: array<f32>;

@compute @workgroup_size(256)
fn batch_norm(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let at = part_of(group, groups, local);
    let s = statistic(moments_of(at));
    if (at.writes) {
        mean[at.row] = s.mean;
        variance[at.row] = s.variance;
        saved[at.row] = s.mean;
        saved[p.rows + at.row] = s.rest;
        saved[2u * p.rows + at.row] = s.rstd;
    }
    let scale = gamma[at.row] * s.rstd;
    let shift = beta[at.row];
    for (var k = at.plane; k < at.plane_end; k += p.plane_lanes) {
        let first = at.base + k * p.plane_step;
        for (var i = at.start; i < at.end; i += p.space_lanes) {
            y[first + i] = activated(((x[first + i] - s.mean) - s.rest) * scale + shift);
        }
    }
}
#end

#if PASS == moments
#include "moments"
@group(0) @binding(2) var<storage, read_write> moments: array<f32>;

@compute @workgroup_size(256)
fn batch_norm_moments(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let at = part_of(group, groups, local);
    let m = moments_of(at);
    if (at.writes) {
        moments[at.job * 3u] = m.mean;
        moments[at.job * 3u + 1u] = m.rest;
        moments[at.job * 3u + 2u] = m.squares;
    }
}
#end

#if PASS == merge
#include "moments"
@group(0) @binding(2) var<storage, read_write> mean: array<f32>;
@group(0) @binding(3) var<storage, read_write> variance: array<f32>;
@group(0) @binding(4) var<storage, read_write> saved: array<f32>;

@compute @workgroup_size(${GROUP})
fn batch_norm_merge(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = group.y * groups.x + group.x;
    if (row >= p.rows) {
        return;
    }
    let s = statistic(merged(row, lane));
    if (lane == 0u) {
        mean[row] = s.mean;
        variance[row] = s.variance;
        saved[row] = s.mean;
        saved[p.rows + row] = s.rest;
        saved[2u * p.rows + row] = s.rstd;
    }
}
#end

#if PASS == apply
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> gamma: array<f32>;
@group(0) @binding(3) var<storage, read> beta: array<f32>;
@group(0) @binding(4) var<storage, read> saved: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(256)
fn batch_norm_apply(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let at = part_of(group, groups, local);
    let mean = saved[at.row];
    let rest = saved[p.rows + at.row];
    let scale = gamma[at.row] * saved[2u * p.rows + at.row];
    let shift = beta[at.row];
    for (var k = at.plane; k < at.plane_end; k += p.plane_lanes) {
        let first = at.base + k * p.plane_step;
        for (var i = at.start; i < at.end; i += p.space_lanes) {
            y[first + i] = activated(((x[first + i] - mean) - rest) * scale + shift);
        }
    }
}
#end

#if PASS == infer
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> gamma: array<f32>;
@group(0) @binding(3) var<storage, read> beta: array<f32>;
@group(0) @binding(4) var<storage, read> mean: array<f32>;
@group(0) @binding(5) var<storage, read> variance: array<f32>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;
@group(0) @binding(7) var<storage, read_write> saved: array<f32>;

@compute @workgroup_size(256)
fn batch_norm_infer(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let at = part_of(group, groups, local);
    let m = mean[at.row];
    let rstd = inverseSqrt(variance[at.row] + p.epsilon);
    // The first of a row's parts saves what all of them know.
    if (at.writes && at.job % p.parts == 0u) {
        saved[at.row] = m;
        saved[p.rows + at.row] = 0.0;
        saved[2u * p.rows + at.row] = rstd;
    }
    let scale = gamma[at.row] * rstd;
    let shift = beta[at.row];
    for (var k = at.plane; k < at.plane_end; k += p.plane_lanes) {
        let first = at.base + k * p.plane_step;
        for (var i = at.start; i < at.end; i += p.space_lanes) {
            y[first + i] = activated((x[first + i] - m) * scale + shift);
        }
    }
}
#end

#if GRAD
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> gamma: array<f32>;
@group(0) @binding(3) var<storage, read> saved: array<f32>;
@group(0) @binding(4) var<storage, read> dy: array<f32>;
#if RELU
@group(0) @binding(5) var<storage, read> y: array<f32>;
#end

// The gradient that arrives at what was normalised.
fn passed(i: u32) -> f32 {
#if RELU
    return dy[i] * select(0.0, 1.0, y[i] > 0.0);
#else
    return dy[i];
#end
}

// The sums of dy and of dy * h over a part of a row.
fn sums_of(at: Part) -> vec2<f32> {
    let mean = saved[at.row];
    let rest = saved[p.rows + at.row];
    var s = vec2<f32>(0.0, 0.0);
    for (var k = at.plane; k < at.plane_end; k += p.plane_lanes) {
        let first = at.base + k * p.plane_step;
        for (var i = at.start; i < at.end; i += p.space_lanes) {
            let d = passed(first + i);
            s += vec2<f32>(d, d * ((x[first + i] - mean) - rest));
        }
    }
    return row_sum(at, s) * vec2<f32>(1.0, saved[2u * p.rows + at.row]);
}
#end

#if PASS == grad_sums
@group(0) @binding(${5 + RELU}) var<storage, read_write> sums: array<f32>;

@compute @workgroup_size(256)
fn batch_norm_grad_sums(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let at = part_of(group, groups, local);
    let s = sums_of(at);
    if (at.writes) {
        sums[at.job * 2u] = s.x;
        sums[at.job * 2u + 1u] = s.y;
    }
}
#end

#if PASS == grad_merge
#include "merged_sums"
@group(0) @binding(2) var<storage, read_write> dgamma: array<f32>;
@group(0) @binding(3) var<storage, read_write> dbeta: array<f32>;

@compute @workgroup_size(${GROUP})
fn batch_norm_grad_merge(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = group.y * groups.x + group.x;
    if (row >= p.rows) {
        return;
    }
    let s = merged_sums(row, lane);
    if (lane == 0u) {
        dbeta[row] = s.x;
        dgamma[row] = s.y;
    }
}
#end

#if DX
// Writes a part of a row's dx from the sums of the whole row.
fn write_dx(at: Part, s: vec2<f32>) {
    let mean = saved[at.row];
    let rest = saved[p.rows + at.row];
    let rstd = saved[2u * p.rows + at.row];
    let scale = gamma[at.row] * rstd;
    let n = f32(p.planes * p.space);
    let level = s.x / n;
    let slope = s.y / n * rstd;
    for (var k = at.plane; k < at.plane_end; k += p.plane_lanes) {
        let first = at.base + k * p.plane_step;
        for (var i = at.start; i < at.end; i += p.space_lanes) {
#if FROZEN
            dx[first + i] = scale * passed(first + i);
#else
            dx[first + i] = scale * ((passed(first + i) - level) - ((x[first + i] - mean) - rest) * slope);
#end
        }
    }
}
#end

#if PASS == grad_whole
@group(0) @binding(${5 + RELU}) var<storage, read_write> dx: array<f32>;
@group(0) @binding(${6 + RELU}) var<storage, read_write> dgamma: array<f32>;
@group(0) @binding(${7 + RELU}) var<storage, read_write> dbeta: array<f32>;

@compute @workgroup_size(256)
fn batch_norm_grad(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let at = part_of(group, groups, local);
    let s = sums_of(at);
    if (at.writes) {
        dbeta[at.row] = s.x;
        dgamma[at.row] = s.y;
    }
    write_dx(at, s);
}
#end

#if PASS == grad_apply
@group(0) @binding(${5 + RELU}) var<storage, read> dgamma: array<f32>;
@group(0) @binding(${6 + RELU}) var<storage, read> dbeta: array<f32>;
@group(0) @binding(${7 + RELU}) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(256)
fn batch_norm_grad_apply(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let at = part_of(group, groups, local);
    write_dx(at, vec2<f32>(dbeta[at.row], dgamma[at.row]));
}
#end
