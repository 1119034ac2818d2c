// Rows that are summed, and the uniform of every kernel that does it. Row r is `planes` runs of `space` neighbours, run k from
// r * row_step + k * plane_step on. It is cut into `parts` rectangles of at most part_planes runs by `piece` neighbours. A workgroup
// takes one part of row_lanes rows; the lanes of a row are plane_lanes by space_lanes, powers of two. So a part's sum is a function of
// the shape alone. Twin: src/ops/batch_norm/rows.rs.
struct Params {
    rows: u32,
    planes: u32,
    space: u32,
    row_step: u32,
    plane_step: u32,
    parts: u32,
    part_planes: u32,
    pieces: u32,
    piece: u32,
    space_lanes: u32,
    plane_lanes: u32,
    row_lanes: u32,
    row_shift: u32,
    plane_shift: u32,
    groups: u32,
    epsilon: f32,
}

const WIDTH: u32 = 256u;
// Parts that a lane adds up before it begins anew, when it merges those of a row: so rounding does not grow with their number.
const TURNS: u32 = 32u;

@group(0) @binding(0) var<uniform> p: Params;

var<workgroup> partial: array<vec2<f32>, WIDTH>;

// What one lane does: the runs plane, plane + plane_lanes, .. below plane_end, of each the elements start, start + space_lanes, ..
// below end. Lanes beyond the last row do nothing, but stand at every barrier.
struct Part {
    row: u32,
    // The row's part, counted over all rows.
    job: u32,
    base: u32,
    plane: u32,
    plane_end: u32,
    start: u32,
    end: u32,
    // The part's elements.
    count: f32,
    // The lane among those of its row, and its place in `partial`.
    lane: u32,
    slot: u32,
    // This lane writes what is one number per row, or per row and part.
    writes: bool,
}

fn part_of(group: vec3<u32>, groups: vec3<u32>, local: u32) -> Part {
    let index = group.y * groups.x + group.x;
    let part = index % p.parts;
    let row_lane = (local >> p.row_shift) & (p.row_lanes - 1u);
    let row = index / p.parts * p.row_lanes + row_lane;
    let plane_lane = (local >> p.plane_shift) & (p.plane_lanes - 1u);
    let space_lane = local & (p.space_lanes - 1u);
    let plane = part / p.pieces * p.part_planes;
    let plane_end = min(plane + p.part_planes, p.planes);
    let start = part % p.pieces * p.piece;
    let end = min(start + p.piece, p.space);
    let present = row < p.rows;

    var at: Part;
    at.row = min(row, p.rows - 1u);
    at.job = at.row * p.parts + part;
    at.base = at.row * p.row_step;
    at.plane = plane + plane_lane;
    at.plane_end = select(0u, plane_end, present);
    at.start = start + space_lane;
    at.end = end;
    at.count = f32((plane_end - plane) * (end - start));
    at.lane = plane_lane * p.space_lanes + space_lane;
    at.slot = row_lane * p.space_lanes * p.plane_lanes + at.lane;
    at.writes = present && at.lane == 0u;
    return at;
}

// The sum of `v` over `lanes` neighbours in `partial`, a power of two, of which this is number `lane`: a tree of fixed shape. All
// invocations of the workgroup call it with the same `lanes`.
fn tree_sum(slot: u32, lane: u32, lanes: u32, v: vec2<f32>) -> vec2<f32> {
    partial[slot] = v;
    for (var half = lanes / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (lane < half) {
            partial[slot] += partial[slot + half];
        }
    }
    workgroupBarrier();
    let all = partial[slot - lane];
    // The next call writes `partial` again.
    workgroupBarrier();
    return all;
}

fn row_sum(at: Part, v: vec2<f32>) -> vec2<f32> {
    return tree_sum(at.slot, at.lane, p.space_lanes * p.plane_lanes, v);
}
