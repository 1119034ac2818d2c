// w *= min(|w|, limit) / (epsilon + |w|) for the vector w of every unit; only in steps that make an update
// Shapes: params [n], table [6 * rows], clock [8]. A row of the table: offset, units (at most 16), unit stride, elements, element stride,
// the bits of the limit. One workgroup takes a row: 16 units by 16 lanes, neighbours in memory being neighbours in the workgroup. Every
// lane sums every sixteenth element, then a tree. Where units are longer than that allows, they are cut into `parts`: max_norm_sums gives
// the sums of squares of each part, [rows, parts, 16], max_norm_factors what every unit is multiplied by, [rows, 16], and max_norm_scale
// does it. Twin: src/ops/max_norm.rs.
#include "clock"

struct Params {
    n: u32,
    rows: u32,
    every: u32,
    epsilon: f32,
    part: u32,
    parts: u32,
}

@group(0) @binding(0) var<uniform> p: Params;

#if STAGE == factors
@group(0) @binding(1) var<storage, read> sums: array<f32>;
#else
#if STAGE == sums
@group(0) @binding(1) var<storage, read> params: array<f32>;
#else
@group(0) @binding(1) var<storage, read_write> params: array<f32>;
#end
#end
@group(0) @binding(2) var<storage, read> table: array<u32>;
@group(0) @binding(3) var<storage, read> clock: array<u32>;

var<workgroup> partial: array<f32, 256>;

// What an invocation has of a row.
struct Share {
    there: bool,
    unit: u32,
    lane: u32,
    first: u32,
    elements: u32,
    stride: u32,
}

fn share_of(row: u32, local: u32) -> Share {
    let unit_stride = table[6u * row + 2u];
    var s: Share;
    s.elements = table[6u * row + 3u];
    s.stride = table[6u * row + 4u];
    let side_by_side = unit_stride < s.stride;
    s.unit = select(local / 16u, local % 16u, side_by_side);
    s.lane = select(local % 16u, local / 16u, side_by_side);
    s.there = s.unit < table[6u * row + 1u];
    s.first = table[6u * row] + s.unit * unit_stride;
    return s;
}

// The sum of `v` over the 16 lanes of a unit.
fn unit_sum(s: Share, v: f32) -> f32 {
    partial[s.unit * 16u + s.lane] = v;
    for (var half = 8u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (s.lane < half) {
            partial[s.unit * 16u + s.lane] += partial[s.unit * 16u + s.lane + half];
        }
    }
    workgroupBarrier();
    return partial[s.unit * 16u];
}

// What a unit of row `row` is multiplied by, of the sum of its squares.
fn factor_of(row: u32, squares: f32) -> f32 {
    let norm = sqrt(squares);
    return min(norm, bitcast<f32>(table[6u * row + 5u])) / (p.epsilon + norm);
}

fn is_idle() -> bool {
    return !makes_update(clock[CLOCK_STEP] + 1u, clock[CLOCK_FAULT], p.every);
}

#if STAGE == sums
@group(0) @binding(4) var<storage, read_write> sums: array<f32>;

@compute @workgroup_size(256)
fn max_norm_sums(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let job = group.y * groups.x + group.x;
    if (job >= p.rows * p.parts || is_idle()) {
        return;
    }
    let s = share_of(job / p.parts, local);
    let start = job % p.parts * p.part;
    let end = min(start + p.part, s.elements);
    var sum = 0.0;
    for (var e = start + s.lane; s.there && e < end; e += 16u) {
        let at = s.first + e * s.stride;
        if (at < p.n) {
            sum += params[at] * params[at];
        }
    }
    sum = unit_sum(s, sum);
    if (s.lane == 0u) {
        sums[job * 16u + s.unit] = sum;
    }
}
#end

#if STAGE == factors
@group(0) @binding(4) var<storage, read_write> factors: array<f32>;

@compute @workgroup_size(256)
fn max_norm_factors(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = group.y * groups.x + group.x;
    if (row >= p.rows || is_idle()) {
        return;
    }
    let s = share_of(row, local);
    var sum = 0.0;
    for (var q = s.lane; q < p.parts; q += 16u) {
        sum += sums[(row * p.parts + q) * 16u + s.unit];
    }
    sum = unit_sum(s, sum);
    if (s.lane == 0u) {
        factors[row * 16u + s.unit] = factor_of(row, sum);
    }
}
#end

#if STAGE == scale
@group(0) @binding(4) var<storage, read> factors: array<f32>;

@compute @workgroup_size(256)
fn max_norm_scale(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let job = group.y * groups.x + group.x;
    if (job >= p.rows * p.parts || is_idle()) {
        return;
    }
    let row = job / p.parts;
    let s = share_of(row, local);
    let factor = factors[row * 16u + s.unit];
    let start = job % p.parts * p.part;
    let end = min(start + p.part, s.elements);
    for (var e = start + s.lane; s.there && e < end; e += 16u) {
        let at = s.first + e * s.stride;
        if (at < p.n) {
            params[at] *= factor;
        }
    }
}
#end

#if STAGE == whole
@compute @workgroup_size(256)
fn max_norm(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = group.y * groups.x + group.x;
    if (row >= p.rows || is_idle()) {
        return;
    }
    let s = share_of(row, local);
    var sum = 0.0;
    for (var e = s.lane; s.there && e < s.elements; e += 16u) {
        let at = s.first + e * s.stride;
        if (at < p.n) {
            sum += params[at] * params[at];
        }
    }
    let factor = factor_of(row, unit_sum(s, sum));
    for (var e = s.lane; s.there && e < s.elements; e += 16u) {
        let at = s.first + e * s.stride;
        if (at < p.n) {
            params[at] *= factor;
        }
    }
}
#end
