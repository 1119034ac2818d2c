// The convolutions as products of tiles in workgroup memory; see tile.wgsl. Part of conv.wgsl.
#include "tile"

// b at one k in four columns; 0 beyond the end of k.
fn four_b(part: Part, k: At, inside: bool, columns: array<At, 4>) -> vec4<f32> {
    if (!inside) {
        return vec4<f32>();
    }
    return vec4<f32>(load_b(part, k, columns[0]), load_b(part, k, columns[1]), load_b(part, k, columns[2]), load_b(part, k, columns[3]));
}

// a at one k in four rows.
fn four_a(part: Part, k: At, i: u32, inside: bool, rows: vec4<u32>) -> vec4<f32> {
    if (!inside) {
        return vec4<f32>();
    }
    let at = a_at(part, k, i);
    return vec4<f32>(load_a(at + rows.x), load_a(at + rows.y), load_a(at + rows.z), load_a(at + rows.w));
}

@compute @workgroup_size(${LANES})
fn conv_${KIND}_tiled(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let tile = group.y * groups.x + group.x;
    if (tile >= p.row_tiles * p.column_tiles) {
        return;
    }
    let at = grouped(tile, p.row_tiles, p.column_tiles);
    let part = part_of(group.z);
    let row0 = at.x * ${BM}u;
    let column0 = at.y * ${BN}u;
    let start = part.split * p.chunk;
    let end = min(start + p.chunk, part.k);
    // What this lane brings into the tiles: four rows of a and four columns of b, each at one k of every BK, so that neighbouring lanes
    // meet neighbouring addresses.
    let ka = lane % ${BK}u;
    let qa = lane / ${BK}u;
#if KIND == grad_w
    let kb = ka;
    let qb = qa;
#else
    let kb = lane / ${BN / 4}u;
    let qb = lane % ${BN / 4}u;
#end
    let to_a = ka * ${BM / 4}u + (qa ^ (ka & ${SWIZZLE_A}u));
    let to_b = kb * ${BN / 4}u + (qb ^ (kb & ${SWIZZLE_B}u));
    // Rows and columns past the edge repeat the last one, so that loads need no test; their sums are not stored.
    let rows = min(vec4<u32>(0u, 1u, 2u, 3u) + row0 + 4u * qa, vec4<u32>(p.rows - 1u)) * a_step();
    let last = max(part.columns, 1u) - 1u;
    let first = column0 + 4u * qb;
    let columns = array<At, 4>(
        place(part, min(first, last)),
        place(part, min(first + 1u, last)),
        place(part, min(first + 2u, last)),
        place(part, min(first + 3u, last))
    );
    // A phase may have no taps.
    let taps = max(part.taps, Extents(1u));
    let step = cut(${BK}u, taps);
    var at_a = cut(start + ka, taps);
    var at_b = cut(start + kb, taps);
#include "tile_begin"
    tile_a[to_a] = four_a(part, at_a, start + ka, start + ka < end, rows);
    tile_b[to_b] = four_b(part, at_b, start + kb < end, columns);
    workgroupBarrier();
    for (var k0 = start; k0 < end; k0 += ${BK}u) {
        // The next tiles are on their way while these are multiplied.
        let more = k0 + ${BK}u < end;
        var next_a = vec4<f32>();
        var next_b = vec4<f32>();
        if (more) {
            at_a = advance(at_a, step, taps);
            at_b = advance(at_b, step, taps);
            next_a = four_a(part, at_a, k0 + ${BK}u + ka, k0 + ${BK}u + ka < end, rows);
            next_b = four_b(part, at_b, k0 + ${BK}u + kb < end, columns);
        }
#include "tile_multiply"
        if (more) {
            tile_a[other_a + to_a] = next_a;
            tile_b[other_b + to_b] = next_b;
        }
        workgroupBarrier();
    }
    let row = row0 + lane_row * 4u;
#for g in 0..(TN / 4)
#for j in 0..4
    {
        let column = column0 + (${g * BN / TN}u + lane_column) * 4u + ${j}u;
        if (column < part.columns) {
            let to = y_at(part, column);
#for i in 0..TM
            if (row + ${i / 4 * BM / TM * 4 + i % 4}u < p.rows) {
                store(part, row + ${i / 4 * BM / TM * 4 + i % 4}u, to + (row + ${i / 4 * BM / TM * 4 + i % 4}u) * y_step(), s${i}_${g}[${j}]);
            }
#end
        }
    }
#end
#end
#if KIND == forward
#if MOMENTS
#include "conv_moments"
#end
#end
}
