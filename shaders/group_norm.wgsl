// group_norm:              y = (x - mean) * gamma / sqrt(variance + epsilon) + beta, with the mean and the biased variance of each
//                          group of channels of each sample
// group_norm_grad:         dx = rstd * (g - sum g / n - h * sum(g * h) / n), where g = dy * gamma, h = (x - mean) * rstd, and n is how
//                          many elements a group has
// group_norm_grad_affine:  dbeta = sum of dy; dgamma = sum of dy * h, over batch and space
// Shapes: x, y, dy, dx [batch, c, space]; gamma, beta, dgamma, dbeta [c]; saved [3, batch * groups]: the mean, what it lacks through
// rounding, rstd. A group of a sample is a row with one run per channel, and for dgamma and dbeta a channel is a row with one run per
// sample (shared/rows.wgsl). Where a row has one part, one pass does all. Where it has several, they give their moments [rows, parts, 3]
// or sums [rows, parts, 2], these are merged, and a last pass writes y or dx. Twin: src/ops/group_norm.rs.
#include "rows"

#if PASS == whole
#include "moments"
@group(0) @binding(2) var<storage, read> gamma: array<f32>;
@group(0) @binding(3) var<storage, read> beta: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
@group(0) @binding(5) var<storage, read_write> saved: array<f32>;

@compute @workgroup_size(256)
fn group_norm(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let at = part_of(group, groups, local);
    let s = statistic(moments_of(at));
    if (at.writes) {
        saved[at.row] = s.mean;
        saved[p.rows + at.row] = s.rest;
        saved[2u * p.rows + at.row] = s.rstd;
    }
    let channel = at.row % p.groups * p.planes;
    for (var k = at.plane; k < at.plane_end; k += p.plane_lanes) {
        let first = at.base + k * p.plane_step;
        let scale = gamma[channel + k] * s.rstd;
        let shift = beta[channel + k];
        for (var i = at.start; i < at.end; i += p.space_lanes) {
            y[first + i] = ((x[first + i] - s.mean) - s.rest) * scale + shift;
        }
    }
}
#end

#if PASS == moments
#include "moments"
@group(0) @binding(2) var<storage, read_write> moments: array<f32>;

@compute @workgroup_size(256)
fn group_norm_moments(
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
@group(0) @binding(2) var<storage, read_write> saved: array<f32>;

@compute @workgroup_size(${GROUP})
fn group_norm_merge(
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
fn group_norm_apply(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let at = part_of(group, groups, local);
    let mean = saved[at.row];
    let rest = saved[p.rows + at.row];
    let rstd = saved[2u * p.rows + at.row];
    let channel = at.row % p.groups * p.planes;
    for (var k = at.plane; k < at.plane_end; k += p.plane_lanes) {
        let first = at.base + k * p.plane_step;
        let scale = gamma[channel + k] * rstd;
        let shift = beta[channel + k];
        for (var i = at.start; i < at.end; i += p.space_lanes) {
            y[first + i] = ((x[first + i] - mean) - rest) * scale + shift;
        }
    }
}
#end

#if GRAD
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> gamma: array<f32>;
@group(0) @binding(3) var<storage, read> saved: array<f32>;
@group(0) @binding(4) var<storage, read> dy: array<f32>;

// The sums of g and of g * h over a part of a row.
fn sums_of(at: Part) -> vec2<f32> {
    let mean = saved[at.row];
    let rest = saved[p.rows + at.row];
    let channel = at.row % p.groups * p.planes;
    var s = vec2<f32>(0.0, 0.0);
    for (var k = at.plane; k < at.plane_end; k += p.plane_lanes) {
        let first = at.base + k * p.plane_step;
        let scale = gamma[channel + k];
        for (var i = at.start; i < at.end; i += p.space_lanes) {
            let g = dy[first + i] * scale;
            s += vec2<f32>(g, g * ((x[first + i] - mean) - rest));
        }
    }
    return row_sum(at, s) * vec2<f32>(1.0, saved[2u * p.rows + at.row]);
}
#end

#if DX
// Writes a part of a row's dx from the sums of the whole row.
fn write_dx(at: Part, s: vec2<f32>) {
    let mean = saved[at.row];
    let rest = saved[p.rows + at.row];
    let rstd = saved[2u * p.rows + at.row];
    let n = f32(p.planes * p.space);
    let level = s.x / n;
    let slope = s.y / n * rstd;
    let channel = at.row % p.groups * p.planes;
    for (var k = at.plane; k < at.plane_end; k += p.plane_lanes) {
        let first = at.base + k * p.plane_step;
        let scale = gamma[channel + k];
        for (var i = at.start; i < at.end; i += p.space_lanes) {
            let g = dy[first + i] * scale;
            dx[first + i] = rstd * ((g - level) - ((x[first + i] - mean) - rest) * slope);
        }
    }
}
#end

#if PASS == grad_whole
@group(0) @binding(5) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(256)
fn group_norm_grad(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let at = part_of(group, groups, local);
    write_dx(at, sums_of(at));
}
#end

#if PASS == grad_sums
@group(0) @binding(5) var<storage, read_write> sums: array<f32>;

@compute @workgroup_size(256)
fn group_norm_grad_sums(
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

#if PASS == grad_apply
@group(0) @binding(5) var<storage, read> totals: array<f32>;
@group(0) @binding(6) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(256)
fn group_norm_grad_apply(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let at = part_of(group, groups, local);
    write_dx(at, vec2<f32>(totals[at.row * 2u], totals[at.row * 2u + 1u]));
}
#end

#if AFFINE
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> saved: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;

// The sums of dy and of dy * h over a part of a channel, whose runs belong to groups of different samples.
fn affine_sums_of(at: Part) -> vec2<f32> {
    let normalised = p.planes * p.groups;
    let group = at.row / (p.rows / p.groups);
    var s = vec2<f32>(0.0, 0.0);
    for (var k = at.plane; k < at.plane_end; k += p.plane_lanes) {
        let first = at.base + k * p.plane_step;
        let own = k * p.groups + group;
        let mean = saved[own];
        let rest = saved[normalised + own];
        let rstd = saved[2u * normalised + own];
        for (var i = at.start; i < at.end; i += p.space_lanes) {
            let d = dy[first + i];
            s += vec2<f32>(d, d * (((x[first + i] - mean) - rest) * rstd));
        }
    }
    return row_sum(at, s);
}
#end

#if PASS == affine_whole
@group(0) @binding(4) var<storage, read_write> dgamma: array<f32>;
@group(0) @binding(5) var<storage, read_write> dbeta: array<f32>;

@compute @workgroup_size(256)
fn group_norm_grad_affine(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let at = part_of(group, groups, local);
    let s = affine_sums_of(at);
    if (at.writes) {
        dbeta[at.row] = s.x;
        dgamma[at.row] = s.y;
    }
}
#end

#if PASS == affine_sums
@group(0) @binding(4) var<storage, read_write> sums: array<f32>;

@compute @workgroup_size(256)
fn group_norm_grad_affine_sums(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let at = part_of(group, groups, local);
    let s = affine_sums_of(at);
    if (at.writes) {
        sums[at.job * 2u] = s.x;
        sums[at.job * 2u + 1u] = s.y;
    }
}
#end

#if PASS == grad_merge
#include "merged_sums"
@group(0) @binding(2) var<storage, read_write> totals: array<f32>;

@compute @workgroup_size(${GROUP})
fn group_norm_grad_merge(
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
        totals[row * 2u] = s.x;
        totals[row * 2u + 1u] = s.y;
    }
}
#end

#if PASS == affine_merge
#include "merged_sums"
@group(0) @binding(2) var<storage, read_write> dgamma: array<f32>;
@group(0) @binding(3) var<storage, read_write> dbeta: array<f32>;

@compute @workgroup_size(${GROUP})
fn group_norm_grad_affine_merge(
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
