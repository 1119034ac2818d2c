// y = op(a) op(b) (+ bias) (then relu)
// Shapes: a [.., m, k] or with TA [.., k, m]; b [.., k, n] or with TB [.., n, k]; bias [n]; y [.., m, n]; batch and splits in z, with
// strides that are 0 along broadcast dimensions. The sum over k is cut into p.splits parts of p.chunk, each in ascending order in all
// forms; where there are several, they go to parts [splits, batch, m, n], which matmul_sum adds up in order. Twin: src/ops/matmul.rs.
//
// matmul_tiled: a workgroup computes BM x BN outputs, an invocation TM x TN of them in named registers, in blocks of 4 x 4; see
//   shared/tile.wgsl. EXACT: no tile reaches beyond the matrices, so that nothing is tested and everything is moved by fours.
// matmul_register: an invocation computes TM x TN outputs straight from storage; the fast form on software adapters, where
//   workgroup memory costs as much as storage.
// matmul_sum: an invocation adds up one element. PARTIAL: of more parts than one pass adds, p.chunk at a time, which leaves fewer parts.

struct Params {
    batch: array<vec4<u32>, 2>,
    a_strides: array<vec4<u32>, 2>,
    b_strides: array<vec4<u32>, 2>,
    m: u32,
    n: u32,
    k: u32,
    chunk: u32,
    splits: u32,
    // How many matrices, and how many tiles each has along rows and columns.
    matrices: u32,
    row_tiles: u32,
    column_tiles: u32,
}

@group(0) @binding(0) var<uniform> p: Params;

#if FORM == sum
#include "index"
@group(0) @binding(1) var<storage, read> parts: array<f32>;
#if BIAS
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
#else
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
#end

@compute @workgroup_size(${GROUP})
fn matmul_sum(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_id(gid, groups);
    let n = p.matrices * p.m * p.n;
#if PARTIAL
    let start = i / n * p.chunk;
    if (start >= p.splits) {
        return;
    }
    var v = 0.0;
    for (var s = start; s < min(start + p.chunk, p.splits); s++) {
        v += parts[s * n + i % n];
    }
#else
    if (i >= n) {
        return;
    }
    var v = 0.0;
    for (var s = 0u; s < p.splits; s++) {
        v += parts[s * n + i];
    }
#end
#if BIAS
    v += bias[i % p.n];
#end
#if RELU
    v = select(v, 0.0, v < 0.0);
#end
    y[i] = v;
}
#else
@group(0) @binding(1) var<storage, read> a: array<${ELEMENT_A}>;
@group(0) @binding(2) var<storage, read> b: array<${ELEMENT_B}>;
#if BIAS
@group(0) @binding(3) var<storage, read> bias: array<${ELEMENT_Y}>;
@group(0) @binding(4) var<storage, read_write> y: array<${ELEMENT_Y}>;
#else
@group(0) @binding(3) var<storage, read_write> y: array<${ELEMENT_Y}>;
#end

// Where matrix `z` of the batch starts in a (x) and b (y).
fn bases(z: u32) -> vec2<u32> {
    var rest = z;
    var at = vec2<u32>(0u, 0u);
#for r in 0..BATCH_RANK
    at += rest % p.batch[${(BATCH_RANK - 1 - r) / 4}][${(BATCH_RANK - 1 - r) % 4}]
        * vec2<u32>(p.a_strides[${(BATCH_RANK - 1 - r) / 4}][${(BATCH_RANK - 1 - r) % 4}],
                    p.b_strides[${(BATCH_RANK - 1 - r) / 4}][${(BATCH_RANK - 1 - r) % 4}]);
    rest /= p.batch[${(BATCH_RANK - 1 - r) / 4}][${(BATCH_RANK - 1 - r) % 4}];
#end
    return at;
}
#end

#if FORM == tiled
#include "tile"

fn a_index(row: u32, k: u32) -> u32 {
#if TA
    return k * p.m + row;
#else
    return row * p.k + k;
#end
}

fn b_index(k: u32, column: u32) -> u32 {
#if TB
    return column * p.k + k;
#else
    return k * p.n + column;
#end
}

// Four rows of a at one k, and four columns of b; 0 beyond the matrices.
fn four_a(base: u32, row: u32, k: u32, end: u32) -> vec4<f32> {
#if EXACT
#if TA
    return a[(base + a_index(row, k)) / 4u];
#else
    return vec4<f32>(a[base + a_index(row, k)], a[base + a_index(row + 1u, k)], a[base + a_index(row + 2u, k)], a[base + a_index(row + 3u, k)]);
#end
#else
    var v = vec4<f32>();
    if (k < end) {
#for j in 0..4
        if (row + ${j}u < p.m) {
            v[${j}] = a[base + a_index(row + ${j}u, k)];
        }
#end
    }
    return v;
#end
}

fn four_b(base: u32, column: u32, k: u32, end: u32) -> vec4<f32> {
#if EXACT
#if TB
    return vec4<f32>(b[base + b_index(k, column)], b[base + b_index(k, column + 1u)], b[base + b_index(k, column + 2u)], b[base + b_index(k, column + 3u)]);
#else
    return b[(base + b_index(k, column)) / 4u];
#end
#else
    var v = vec4<f32>();
    if (k < end) {
#for j in 0..4
        if (column + ${j}u < p.n) {
            v[${j}] = b[base + b_index(k, column + ${j}u)];
        }
#end
    }
    return v;
#end
}

fn store(matrix: u32, row: u32, column: u32, sums: vec4<f32>) {
    let to = (matrix * p.m + row) * p.n + column;
#if EXACT
    var v = sums;
#if BIAS
    v += bias[column / 4u];
#end
#if RELU
    v = select(v, vec4<f32>(), v < vec4<f32>());
#end
    y[to / 4u] = v;
#else
    if (row >= p.m) {
        return;
    }
#for j in 0..4
    if (column + ${j}u < p.n) {
        var v = sums[${j}];
#if BIAS
        v += bias[column + ${j}u];
#end
#if RELU
        v = select(v, 0.0, v < 0.0);
#end
        y[to + ${j}u] = v;
    }
#end
#end
}

@compute @workgroup_size(${LANES})
fn matmul_tiled(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let tile = group.y * groups.x + group.x;
    if (tile >= p.row_tiles * p.column_tiles) {
        return;
    }
    let place = grouped(tile, p.row_tiles, p.column_tiles);
    let row0 = place.x * ${BM}u;
    let column0 = place.y * ${BN}u;
    let split = group.z / p.matrices;
    let base = bases(group.z % p.matrices);
    let start = split * p.chunk;
    let end = min(start + p.chunk, p.k);
    // What this lane brings into the tiles: four rows of a and four columns of b, each at one k of every BK.
#if TA
    let ka = lane / ${BM / 4}u;
    let qa = lane % ${BM / 4}u;
#else
    let ka = lane % ${BK}u;
    let qa = lane / ${BK}u;
#end
#if TB
    let kb = lane % ${BK}u;
    let qb = lane / ${BK}u;
#else
    let kb = lane / ${BN / 4}u;
    let qb = lane % ${BN / 4}u;
#end
    let to_a = ka * ${BM / 4}u + (qa ^ (ka & ${SWIZZLE_A}u));
    let to_b = kb * ${BN / 4}u + (qb ^ (kb & ${SWIZZLE_B}u));
#include "tile_begin"
    tile_a[to_a] = four_a(base.x, row0 + 4u * qa, start + ka, end);
    tile_b[to_b] = four_b(base.y, column0 + 4u * qb, start + kb, end);
    workgroupBarrier();
    for (var k0 = start; k0 < end; k0 += ${BK}u) {
        // The next tiles are on their way while these are multiplied.
        let more = k0 + ${BK}u < end;
        var next_a = vec4<f32>();
        var next_b = vec4<f32>();
        if (more) {
            next_a = four_a(base.x, row0 + 4u * qa, k0 + ${BK}u + ka, end);
            next_b = four_b(base.y, column0 + 4u * qb, k0 + ${BK}u + kb, end);
        }
#include "tile_multiply"
        if (more) {
            tile_a[other_a + to_a] = next_a;
            tile_b[other_b + to_b] = next_b;
        }
        workgroupBarrier();
    }
#for i in 0..TM
#for g in 0..(TN / 4)
    store(group.z, row0 + (${i / 4 * BM / TM}u + lane_row) * 4u + ${i % 4}u, column0 + (${g * BN / TN}u + lane_column) * 4u, s${i}_${g});
#end
#end
}
#end

#if FORM == register
@compute @workgroup_size(8)
fn matmul_register(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let id = gid.y * groups.x * 8u + gid.x;
    let rest = id / p.column_tiles;
    let z = rest / p.row_tiles;
    if (z >= p.matrices * p.splits) {
        return;
    }
    let row0 = rest % p.row_tiles * ${TM}u;
    let column0 = id % p.column_tiles * ${TN}u;
    let base = bases(z % p.matrices);
    let start = z / p.matrices * p.chunk;
    let end = min(start + p.chunk, p.k);
    // Rows and columns past the edge repeat the last one, so that loads need no test; their sums are not stored.
#if TA
    let step_a = p.m;
#else
    let step_a = 1u;
#end
#if TB
    let step_b = 1u;
#else
    let step_b = p.n;
#end
#for i in 0..TM
#if TA
    let r${i} = base.x + min(row0 + ${i}u, p.m - 1u);
#else
    let r${i} = base.x + min(row0 + ${i}u, p.m - 1u) * p.k;
#end
#for j in 0..TN
    var s${i}_${j} = 0.0;
#end
#end
#for j in 0..TN
#if TB
    let c${j} = base.y + min(column0 + ${j}u, p.n - 1u) * p.k;
#else
    let c${j} = base.y + min(column0 + ${j}u, p.n - 1u);
#end
#end
    var ka = start * step_a;
    var kb = start * step_b;
    for (var k = start; k < end; k++) {
#for i in 0..TM
        let a${i} = a[r${i} + ka];
#end
#for j in 0..TN
        let b${j} = b[c${j} + kb];
#end
#for i in 0..TM
#for j in 0..TN
        s${i}_${j} = fma(a${i}, b${j}, s${i}_${j});
#end
#end
        ka += step_a;
        kb += step_b;
    }
    // Sums leave their registers through an array, so that they are stored by a loop: what one store compiles to is long here.
    var sums: array<f32, ${TM * TN}>;
#for i in 0..TM
#for j in 0..TN
    sums[${i * TN + j}] = s${i}_${j};
#end
#end
    let rows = min(${TM}u, p.m - row0);
    let columns = min(${TN}u, p.n - column0);
    for (var i = 0u; i < rows; i++) {
        let to = (z * p.m + row0 + i) * p.n + column0;
        for (var j = 0u; j < columns; j++) {
            var v = sums[i * ${TN}u + j];
#if BIAS
            v += bias[column0 + j];
#end
#if RELU
            v = select(v, 0.0, v < 0.0);
#end
            y[to + j] = v;
        }
    }
}
#end
