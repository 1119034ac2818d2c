// w *= min(|w|, limit) / (epsilon + |w|) for the vector w of every unit; only in steps that make an update
// Shapes: params [n], table [6 * rows], clock [8]. A row of the table: offset, units (at most 16), unit stride, elements, element stride,
// the bits of the limit. One workgroup takes a row: 16 units by 16 lanes, neighbours in memory being neighbours in the workgroup. Every
// lane sums every sixteenth element, then a tree. Twin: src/ops/max_norm.rs.
#include "clock"

struct Params {
    n: u32,
    rows: u32,
    every: u32,
    epsilon: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> params: array<f32>;
@group(0) @binding(2) var<storage, read> table: array<u32>;
@group(0) @binding(3) var<storage, read> clock: array<u32>;

var<workgroup> partial: array<f32, 256>;

@compute @workgroup_size(256)
fn max_norm(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = group.y * groups.x + group.x;
    if (row >= p.rows || !makes_update(clock[CLOCK_STEP] + 1u, clock[CLOCK_FAULT], p.every)) {
        return;
    }
    let unit_stride = table[6u * row + 2u];
    let elements = table[6u * row + 3u];
    let element_stride = table[6u * row + 4u];
    let side_by_side = unit_stride < element_stride;
    let unit = select(local / 16u, local % 16u, side_by_side);
    let lane = select(local % 16u, local / 16u, side_by_side);
    let there = unit < table[6u * row + 1u];
    let first = table[6u * row] + unit * unit_stride;
    var sum = 0.0;
    for (var e = lane; there && e < elements; e += 16u) {
        let at = first + e * element_stride;
        if (at < p.n) {
            sum += params[at] * params[at];
        }
    }
    partial[unit * 16u + lane] = sum;
    for (var half = 8u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (lane < half) {
            partial[unit * 16u + lane] += partial[unit * 16u + lane + half];
        }
    }
    workgroupBarrier();
    let norm = sqrt(partial[unit * 16u]);
    let factor = min(norm, bitcast<f32>(table[6u * row + 5u])) / (p.epsilon + norm);
    for (var e = lane; there && e < elements; e += 16u) {
        let at = first + e * element_stride;
        if (at < p.n) {
            params[at] *= factor;
        }
    }
}
