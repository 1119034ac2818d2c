// y = how many rows are classified right
// Shapes: predictions [rows, c]; targets with INDEX u32 [rows], else f32 [rows, c]; y u32 [1]. The class of a row is the position of
// its first largest element, with BINARY (c = 1) whether its element is above 1/2; NaN counts as largest. One workgroup; each lane
// counts every 256th row, then a tree adds the counts. Twin: src/ops/accuracy.rs.
#include "bits"

struct Params {
    rows: u32,
    c: u32,
}

const LANES: u32 = 256u;

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> predictions: array<f32>;
#if INDEX
@group(0) @binding(2) var<storage, read> targets: array<u32>;
#else
@group(0) @binding(2) var<storage, read> targets: array<f32>;
#end
@group(0) @binding(3) var<storage, read_write> y: array<u32>;

var<workgroup> partial: array<u32, 256>;

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
fn accuracy(@builtin(local_invocation_index) lane: u32) {
    var right = 0u;
    for (var row = lane; row < p.rows; row += LANES) {
        right += select(0u, 1u, predicted(row) == wanted(row));
    }
    partial[lane] = right;
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (lane < half) {
            partial[lane] += partial[lane + half];
        }
    }
    if (lane == 0u) {
        y[0] = partial[0];
    }
}
