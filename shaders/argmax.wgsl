// y = the smallest j with x[j] = max x; a NaN counts as largest
// Shapes: x [outer, c, inner], y u32 [outer, inner]; the maximum runs along c. One invocation, or one workgroup, computes one
// column (see shared/column.wgsl). Numbers are compared by their bits, so that NaN has a place. Twin: src/ops/argmax.rs.
#include "index"
#include "bits"

struct Params {
    columns: u32,
    c: u32,
    inner: u32,
    zero: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;
#include "column"

#if LANES == 1
fn first_best(lane: u32, mine: vec2<u32>) -> u32 {
    return mine.y;
}
#else
var<workgroup> best: array<vec2<u32>, ${LANES}>;

fn first_best(lane: u32, mine: vec2<u32>) -> u32 {
    best[lane] = mine;
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (lane < half) {
            let a = best[lane];
            let b = best[lane + half];
            best[lane] = select(a, b, b.x > a.x || (b.x == a.x && b.y < a.y));
        }
    }
    // Lane 0's answer is the column's; the others' are not used.
    return best[lane].y;
}
#end

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
    let j = first_best(lane, mine);
    if (lane == 0u) {
        y[column] = j;
    }
}
