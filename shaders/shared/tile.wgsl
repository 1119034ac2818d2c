// Products of tiles in workgroup memory, for matmul and conv. A workgroup of LANES computes BM x BN sums, a lane TM x TN of them, as
// blocks of 4 x 4 that lie BM / (TM / 4) rows and BN / (TN / 4) columns apart. Of a and b, BK of the k at a time lie in tile_a and tile_b, a
// transposed, by fours: [k][rows / 4] and [k][columns / 4]. There are two of each, so that one is filled while the other is
// multiplied. A lane brings one four of each, hence BK BM / 4 = BK BN / 4 = LANES.
// Where neighbouring lanes bring neighbouring k, fours are permuted by SWIZZLE_A or SWIZZLE_B (7, else 0), so that they lie in different
// banks.
// tile_begin.wgsl declares a lane's place and sums, tile_multiply.wgsl adds the products of the current tiles to them.
var<workgroup> tile_a: array<vec4<f32>, ${2 * BK * BM / 4}>;
var<workgroup> tile_b: array<vec4<f32>, ${2 * BK * BN / 4}>;

// Row and column of the tile of this number: eight rows of tiles are walked together, column by column, so that workgroups that run
// at one time read the same parts of a and b.
fn grouped(tile: u32, row_tiles: u32, column_tiles: u32) -> vec2<u32> {
    let first = tile / (8u * column_tiles) * 8u;
    let rows = min(row_tiles - first, 8u);
    let rest = tile % (8u * column_tiles);
    return vec2<u32>(first + rest % rows, rest / rows);
}
