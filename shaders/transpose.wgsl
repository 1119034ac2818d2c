// y = x with its axes in another order
// transpose_walk:  x is walked with strides in the order of y [dims]. One invocation copies one element.
// transpose_tile:  x [batch, rows, columns], y [batch, columns, rows]. One workgroup turns one tile around in its memory, so that
//                  both reading and writing go along rows.
// Words are copied as they are, floats or integers. Twin: src/ops/transpose.rs.
#if TILE
struct Params {
    rows: u32,
    columns: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;

// Rows are one word longer than the tile, so that a column lies in different memory banks.
var<workgroup> tile: array<u32, ${TILE * (TILE + 1)}>;

@compute @workgroup_size(${TILE}, ${LINES})
fn transpose_tile(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let base = group.z * p.rows * p.columns;
    let row0 = group.y * ${TILE}u;
    let column0 = group.x * ${TILE}u;
    for (var line = local.y; line < ${TILE}u; line += ${LINES}u) {
        if (row0 + line < p.rows && column0 + local.x < p.columns) {
            tile[line * ${TILE + 1}u + local.x] = x[base + (row0 + line) * p.columns + column0 + local.x];
        }
    }
    workgroupBarrier();
    for (var line = local.y; line < ${TILE}u; line += ${LINES}u) {
        if (column0 + line < p.columns && row0 + local.x < p.rows) {
            y[base + (column0 + line) * p.rows + row0 + local.x] = tile[local.x * ${TILE + 1}u + line];
        }
    }
}
#else
#include "index"

struct Params {
    dims: array<vec4<u32>, 2>,
    strides: array<vec4<u32>, 2>,
    n: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;

@compute @workgroup_size(${GROUP})
fn transpose_walk(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_id(gid, groups);
    if (i >= p.n) {
        return;
    }
    var rest = i;
    var at = 0u;
#for r in 0..RANK
    at += rest % p.dims[${(RANK - 1 - r) / 4}][${(RANK - 1 - r) % 4}] * p.strides[${(RANK - 1 - r) / 4}][${(RANK - 1 - r) % 4}];
    rest /= p.dims[${(RANK - 1 - r) / 4}][${(RANK - 1 - r) % 4}];
#end
    y[i] = x[at];
}
#end
