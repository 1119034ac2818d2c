// Merging the sums that the parts of a row gave; `rows` must be included before.
@group(0) @binding(1) var<storage, read> sums: array<f32>;

// The sums of a row, two per part; a workgroup of ${GROUP} takes a row.
fn merged_sums(row: u32, lane: u32) -> vec2<f32> {
    var s = vec2<f32>(0.0, 0.0);
    for (var turn = lane; turn < p.parts; turn += ${GROUP}u * TURNS) {
        var own = vec2<f32>(0.0, 0.0);
        for (var q = turn; q < min(turn + ${GROUP}u * TURNS, p.parts); q += ${GROUP}u) {
            let at = (row * p.parts + q) * 2u;
            own += vec2<f32>(sums[at], sums[at + 1u]);
        }
        s += own;
    }
    return tree_sum(lane, lane, ${GROUP}u, s);
}
