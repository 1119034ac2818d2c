// y = the smallest j with x[j] = max x; a NaN counts as largest
// Shapes: x [outer, c, inner], y u32 [outer, inner]; the maximum runs along c. One invocation, or one workgroup, computes one
// column (see shared/column.wgsl). Where columns are too long for that, argmax_parts finds key and position in each of their parts
// (shared/parts.wgsl), best [columns, parts, 2], and argmax_merge, one workgroup per column, the best of them. Numbers are compared by their bits, so that NaN has a place. Twin: src/ops/argmax.rs.
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

#if LANES == 1
fn first_best(lane: u32, mine: vec2<u32>) -> vec2<u32> {
    return mine;
}
#else
var<workgroup> keys: array<vec2<u32>, ${LANES}>;

fn first_best(lane: u32, mine: vec2<u32>) -> vec2<u32> {
    keys[lane] = mine;
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (lane < half) {
            let a = keys[lane];
            let b = keys[lane + half];
            keys[lane] = select(a, b, b.x > a.x || (b.x == a.x && b.y < a.y));
        }
    }
    // Lane 0's answer is the column's; the others' are not used.
    return keys[lane];
}
#end

#if STAGE == parts
#include "parts"
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> best: array<u32>;

@compute @workgroup_size(256)
fn argmax_parts(
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
    var mine = vec2<u32>(0u, 0u);
    for (var j = at.start + lane; j < at.end; j += LANES) {
        let key = order_bits(x[at.first + j * p.inner]);
        if (key > mine.x) {
            mine = vec2<u32>(key, j);
        }
    }
    mine = first_best(lane, mine);
    if (lane == 0u) {
        best[2u * job] = mine.x;
        best[2u * job + 1u] = mine.y;
    }
}
#end

#if STAGE == merge
@group(0) @binding(1) var<storage, read> best: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;

@compute @workgroup_size(256)
fn argmax_merge(
    @builtin(global_invocation_id) gid: vec3<u32>,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let column = column_of(gid, group, groups);
    if (column >= p.columns) {
        return;
    }
    // A lane meets the parts in their order, so that the first of equal keys stays.
    var mine = vec2<u32>(0u, 0u);
    for (var q = lane; q < p.parts; q += LANES) {
        let at = 2u * (column * p.parts + q);
        if (best[at] > mine.x) {
            mine = vec2<u32>(best[at], best[at + 1u]);
        }
    }
    mine = first_best(lane, mine);
    if (lane == 0u) {
        y[column] = mine.y;
    }
}
#end

#if STAGE == whole
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;

@compute @workgroup_size(${WIDTH})
fn argmax(
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
    // Key and position; key 0 is below that of every number.
    var mine = vec2<u32>(0u, 0u);
    for (var j = lane; j < p.c; j += LANES) {
        let key = order_bits(x[first + j * p.inner]);
        if (key > mine.x) {
            mine = vec2<u32>(key, j);
        }
    }
    mine = first_best(lane, mine);
    if (lane == 0u) {
        y[column] = mine.y;
    }
}
#end
