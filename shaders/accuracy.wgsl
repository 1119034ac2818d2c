// y = how many rows are classified right
// Shapes: predictions [rows, c]; targets with INDEX u32 [rows], else f32 [rows, c]; y u32 [1]. The class of a row is the position of
// its first largest element, with BINARY (c = 1) whether its element is above 1/2; NaN counts as largest. With IDS the predictions are
// classes already, u32 [rows]. accuracy: a workgroup takes `part` rows, each lane every 256th of them, then a tree adds the counts;
// accuracy_sum: one workgroup adds those of all parts. Twin: src/ops/accuracy.rs.
#include "bits"

struct Params {
    rows: u32,
    c: u32,
    part: u32,
    parts: u32,
}

const LANES: u32 = 256u;

@group(0) @binding(0) var<uniform> p: Params;

var<workgroup> partial: array<u32, 256>;

// The sum of `n` over the workgroup, for its first lane.
fn group_sum(lane: u32, n: u32) -> u32 {
    partial[lane] = n;
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (lane < half) {
            partial[lane] += partial[lane + half];
        }
    }
    return partial[lane];
}

#if STAGE == sum
@group(0) @binding(1) var<storage, read> counts: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;

@compute @workgroup_size(256)
fn accuracy_sum(@builtin(local_invocation_index) lane: u32) {
    var right = 0u;
    for (var part = lane; part < p.parts; part += LANES) {
        right += counts[part];
    }
    right = group_sum(lane, right);
    if (lane == 0u) {
        y[0] = right;
    }
}
#else
#if IDS
@group(0) @binding(1) var<storage, read> predictions: array<u32>;
#else
@group(0) @binding(1) var<storage, read> predictions: array<f32>;
#end
#if INDEX
@group(0) @binding(2) var<storage, read> targets: array<u32>;
#else
@group(0) @binding(2) var<storage, read> targets: array<f32>;
#end
@group(0) @binding(3) var<storage, read_write> y: array<u32>;

#if IDS
fn predicted(row: u32) -> u32 {
    return predictions[row];
}
#else
#if BINARY
fn predicted(row: u32) -> u32 {
    return select(0u, 1u, order_bits(predictions[row]) > order_bits(0.5));
}
#else
fn predicted(row: u32) -> u32 {
    var best = vec2<u32>(0u, 0u);
    for (var j = 0u; j < p.c; j++) {
        let key = order_bits(predictions[row * p.c + j]);
        if (key > best.x) {
            best = vec2<u32>(key, j);
        }
    }
    return best.y;
}
#end
#end

#if INDEX
fn wanted(row: u32) -> u32 {
    return targets[row];
}
#else
#if BINARY
fn wanted(row: u32) -> u32 {
    return select(0u, 1u, order_bits(targets[row]) > order_bits(0.5));
}
#else
fn wanted(row: u32) -> u32 {
    var best = vec2<u32>(0u, 0u);
    for (var j = 0u; j < p.c; j++) {
        let key = order_bits(targets[row * p.c + j]);
        if (key > best.x) {
            best = vec2<u32>(key, j);
        }
    }
    return best.y;
}
#end
#end

@compute @workgroup_size(256)
fn accuracy(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let part = group.y * groups.x + group.x;
    if (part >= p.parts) {
        return;
    }
    var right = 0u;
    let end = min((part + 1u) * p.part, p.rows);
    for (var row = part * p.part + lane; row < end; row += LANES) {
        right += select(0u, 1u, predicted(row) == wanted(row));
    }
    right = group_sum(lane, right);
    if (lane == 0u) {
        y[part] = right;
    }
}
#end
