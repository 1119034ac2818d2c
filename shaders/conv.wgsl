// conv_forward:  y[n,o,oz,oy,ox] = sum over i,q,r,s of w[o,i,q,r,s] x[n, i, oz sd + q dd - front, oy sh + r dh - top, ox sw + s dw - left]
//                (+ bias[o]) (+ residual) (then relu)
// conv_grad_x:   dx[n,i,iz,iy,ix] = sum over o,q,r,s of w[o,i,q,r,s] dy[n, o, (iz + front - q dd) / sd, (iy + top - r dh) / sh,
//                (ix + left - s dw) / sw], where whole
// conv_grad_w:   dw[o,i,q,r,s] = sum over n,oz,oy,ox of dy[n,o,oz,oy,ox] x[n, i, oz sd + q dd - front, ..]
// conv_sum:      sum over splits of the partial sums that one of the others left (+ bias[o]) (+ residual) (then relu)
// Shapes: x [batch, c_in, d, h, w], w [c_out, c_in / groups, kd, kh, kw], bias [c_out], y [batch, c_out, od, oh, ow]. Lines have one
// slice and one row, images one slice; without DEPTH (d = od = kd = 1) slices are not counted.
//
// The first three are one matrix product per group, sum over k of a[row, k] b[k, column], whose b is never stored ("implicit GEMM"):
//              row               column            k
//   forward    output channel    n, oz, oy, ox     input channel, q, r, s
//   grad_x     input channel     n, iz, iy, ix     output channel, q, r, s
//   grad_w     output channel    i, q, r, s        n, oz, oy, ox
// Sums run over k in ascending order, without atomics. With SPLIT they are cut into p.splits parts of p.chunk. Twin: src/ops/conv/cpu.rs.
//
// .._tiled: a workgroup computes BM x BN sums, an invocation TM x TN of them in named registers; see shared/tile.wgsl.
//   MOMENTS: the workgroup also gives mean and squared deviations of its results, for the batch normalisation after
//   it; see shared/conv_moments.wgsl.
// .._register: an invocation computes TM x TN sums straight from storage; for software adapters, and where there are few rows.
// .._window: the same, where columns that are neighbours in memory are loaded once for all taps that see them; see
//   shared/conv_window.wgsl.
// conv_sum: an invocation adds up one element. PARTIAL: of more parts than one pass adds, p.chunk at a time, which leaves fewer parts.
#include "index"

struct Params {
    // Channels in all, and in one group.
    c_in: u32,
    c_out: u32,
    group_in: u32,
    group_out: u32,
    d: u32,
    h: u32,
    w: u32,
    od: u32,
    oh: u32,
    ow: u32,
    kd: u32,
    kh: u32,
    kw: u32,
    stride_d: u32,
    stride_h: u32,
    stride_w: u32,
    dilation_d: u32,
    dilation_h: u32,
    dilation_w: u32,
    pad_front: u32,
    pad_top: u32,
    pad_left: u32,
    // The matrix product.
    rows: u32,
    columns: u32,
    k: u32,
    groups: u32,
    // How it is cut up: k per split, splits, tiles (or invocations) along rows and columns.
    chunk: u32,
    splits: u32,
    row_tiles: u32,
    column_tiles: u32,
    // Groups by splits by phases.
    jobs: u32,
}

@group(0) @binding(0) var<uniform> p: Params;

#if KIND == sum
@group(0) @binding(1) var<storage, read> parts: array<f32>;
#if BIAS
@group(0) @binding(2) var<storage, read> bias: array<f32>;
#end
#if RESIDUAL
@group(0) @binding(${2 + BIAS}) var<storage, read> residual: array<f32>;
#end
@group(0) @binding(${2 + BIAS + RESIDUAL}) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(${GROUP})
fn conv_sum(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_id(gid, groups);
    let n = p.groups * p.rows * p.columns;
#if PARTIAL
    let start = i / n * p.chunk;
    if (start >= p.splits) {
        return;
    }
    var sum = 0.0;
    for (var s = start; s < min(start + p.chunk, p.splits); s++) {
        sum += parts[s * n + i % n];
    }
#else
    if (i >= n) {
        return;
    }
    var sum = 0.0;
    for (var s = 0u; s < p.splits; s++) {
        sum += parts[s * n + i];
    }
#end
#if BIAS
    sum += bias[i / (p.od * p.oh * p.ow) % p.c_out];
#end
#if RESIDUAL
    sum += residual[i];
#end
#if RELU
    sum = select(sum, 0.0, sum < 0.0);
#end
    y[i] = sum;
}
#else

// Rows, columns and slices of something; and with a channel or sample before them.
#if DEPTH
alias Extents = vec3<u32>;
alias At = vec4<u32>;
#else
alias Extents = vec2<u32>;
alias At = vec3<u32>;
#end

fn extents(slices: u32, rows: u32, columns: u32) -> Extents {
#if DEPTH
    return Extents(rows, columns, slices);
#else
    return Extents(rows, columns);
#end
}

fn spatial(a: At) -> Extents {
#if DEPTH
    return a.yzw;
#else
    return a.yz;
#end
}

fn image() -> Extents {
    return extents(p.d, p.h, p.w);
}

fn result() -> Extents {
    return extents(p.od, p.oh, p.ow);
}

fn kernel() -> Extents {
    return extents(p.kd, p.kh, p.kw);
}

fn stride() -> Extents {
    return extents(p.stride_d, p.stride_h, p.stride_w);
}

fn dilation() -> Extents {
    return extents(p.dilation_d, p.dilation_h, p.dilation_w);
}

fn before() -> Extents {
    return extents(p.pad_front, p.pad_top, p.pad_left);
}

fn volume(e: Extents) -> u32 {
#if DEPTH
    return e.x * e.y * e.z;
#else
    return e.x * e.y;
#end
}

// The coordinates of an index into tensors of these extents.
fn cut(i: u32, e: Extents) -> At {
    let rest = i / e.y;
#if DEPTH
    let slices = rest / e.x;
    return At(slices / e.z, rest % e.x, i % e.y, slices % e.z);
#else
    return At(rest / e.x, rest % e.x, i % e.y);
#end
}

// The index of place `a` in the n-th of tensors of these extents.
fn index(n: u32, a: Extents, e: Extents) -> u32 {
#if DEPTH
    return ((n * e.z + a.z) * e.x + a.x) * e.y + a.y;
#else
    return (n * e.x + a.x) * e.y + a.y;
#end
}

// Each kind of product says where its operands lie:
//   part          what of the product a workgroup or invocation has: group, split, and of grad_x the phase
//   a_at, a_step  where a[0, k] lies, and how far its rows lie apart
//   place         what is known of a column before k is; coordinates in the padding wrap around to large numbers, and one comparison
//                 finds them
//   load_b        b[k, column]
//   y_at, y_step  where y[0, column] lies, and how far its rows lie apart
struct Part {
    group: u32,
    split: u32,
    columns: u32,
    // Extents of the last coordinates of k and of columns.
    taps: Extents,
    places: Extents,
    // grad_x: the first of the places and of the taps of a phase, and what the first tap adds to a place in dy.
    first_place: Extents,
    first_tap: Extents,
    shift: Extents,
    k: u32,
}

// Where the results of a split begin: they lie one split after the other.
fn parts_before(part: Part) -> u32 {
#if SPLIT
    return part.split * p.groups * p.rows * p.columns;
#else
    return 0u;
#end
}

#if KIND == forward
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
#if BIAS
@group(0) @binding(3) var<storage, read> bias: array<f32>;
#end
#if RESIDUAL
@group(0) @binding(${3 + BIAS}) var<storage, read> residual: array<f32>;
#end
@group(0) @binding(${3 + BIAS + RESIDUAL}) var<storage, read_write> y: array<f32>;
#if MOMENTS
// [c_out, column_tiles, 3]: mean of y in a column of tiles, what it lacks through rounding, and the sum of squared deviations.
@group(0) @binding(${4 + BIAS + RESIDUAL}) var<storage, read_write> moments: array<f32>;
#end

fn part_of(z: u32) -> Part {
    var part: Part;
#if SPLIT
    part.group = z % p.groups;
    part.split = z / p.groups;
#else
    part.group = z;
#end
    part.columns = p.columns;
    part.taps = kernel();
    part.places = result();
    part.k = p.k;
    return part;
}

fn a_at(part: Part, k: At, i: u32) -> u32 {
    return part.group * p.group_out * p.k + i;
}

fn a_step() -> u32 {
    return p.k;
}

fn load_a(i: u32) -> f32 {
    return w[i];
}

fn place(part: Part, column: u32) -> At {
    let c = cut(column, part.places);
    return At(c.x * p.c_in + part.group * p.group_in, spatial(c) * stride() - before());
}

fn load_b(part: Part, k: At, c: At) -> f32 {
    let i = spatial(c) + spatial(k) * dilation();
    let inside = all(i < image());
    let v = x[select(0u, index(c.x + k.x, i, image()), inside)];
    return select(0.0, v, inside);
}

fn y_at(part: Part, column: u32) -> u32 {
    let positions = volume(result());
    let sample = column / positions;
    return (sample * p.c_out + part.group * p.group_out) * positions + column % positions + parts_before(part);
}

fn y_step() -> u32 {
    return volume(result());
}

fn bias_of(part: Part, row: u32) -> f32 {
#if BIAS
    return bias[part.group * p.group_out + row];
#else
    return 0.0;
#end
}

#if MOMENTS
// What a column has, or zeros beyond the last one.
fn or_zero(part: Part, column: u32, v: vec4<f32>) -> vec4<f32> {
    return select(vec4<f32>(), v, column < part.columns);
}

// The biases of four rows; rows past the edge repeat the last one.
fn four_biases(part: Part, row: u32) -> vec4<f32> {
    let last = p.rows - 1u;
    return vec4<f32>(
        bias_of(part, min(row, last)),
        bias_of(part, min(row + 1u, last)),
        bias_of(part, min(row + 2u, last)),
        bias_of(part, min(row + 3u, last))
    );
}
#end

fn store(part: Part, row: u32, at: u32, sum: f32) {
    var v = sum;
#if BIAS
    v += bias_of(part, row);
#end
#if RESIDUAL
    v += residual[at];
#end
#if RELU
    v = select(v, 0.0, v < 0.0);
#end
    y[at] = v;
}
#end
#if KIND == grad_x
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

// With a stride, the places of dx that are whole strides apart see the same taps, those that are whole strides apart, and no others: a
// phase of the product, a convolution without stride. Where dilation mixes them, there is one phase and each tap is tested.
fn part_of(z: u32) -> Part {
    var part: Part;
    part.group = z % p.groups;
    var rest = z / p.groups;
#if SPLIT
    let phases = p.jobs / (p.groups * p.splits);
    part.split = rest / phases;
    rest %= phases;
#end
#if PHASES
    let s = stride();
    let phase = cut(rest, s);
    part.first_place = spatial(phase);
    let t = part.first_place + before();
    part.first_tap = t % s;
    part.shift = t / s;
    // None where a phase begins beyond the end.
    part.places = (max(image(), part.first_place) - part.first_place + s - 1u) / s;
    part.taps = (max(kernel(), part.first_tap) - part.first_tap + s - 1u) / s;
#else
    part.places = image();
    part.taps = kernel();
    part.shift = before();
#end
    part.columns = p.columns / volume(image()) * volume(part.places);
    part.k = p.group_out * volume(part.taps);
    return part;
}

fn a_at(part: Part, k: At, i: u32) -> u32 {
#if PHASES
    let tap = part.first_tap + spatial(k) * stride();
#else
    let tap = spatial(k);
#end
    return index((part.group * p.group_out + k.x) * p.group_in, tap, kernel());
}

fn a_step() -> u32 {
    return volume(kernel());
}

fn load_a(i: u32) -> f32 {
    return w[i];
}

fn place(part: Part, column: u32) -> At {
    let c = cut(column, part.places);
    return At(c.x * p.c_out + part.group * p.group_out, spatial(c) + part.shift);
}

fn load_b(part: Part, k: At, c: At) -> f32 {
#if STRIDED
    let t = spatial(c) - spatial(k) * dilation();
    let o = t / stride();
    // A coordinate that wrapped around is larger than any extent times stride.
    let inside = all(t < result() * stride()) && all(o * stride() == t);
#else
#if PHASES
    let o = spatial(c) - spatial(k);
#else
    let o = spatial(c) - spatial(k) * dilation();
#end
    let inside = all(o < result());
#end
    let v = dy[select(0u, index(c.x + k.x, o, result()), inside)];
    return select(0.0, v, inside);
}

fn y_at(part: Part, column: u32) -> u32 {
    let c = cut(column, part.places);
#if PHASES
    let at = part.first_place + spatial(c) * stride();
#else
    let at = spatial(c);
#end
    return index(c.x * p.c_in + part.group * p.group_in, at, image()) + parts_before(part);
}

fn y_step() -> u32 {
    return volume(image());
}

fn store(part: Part, row: u32, at: u32, sum: f32) {
    dx[at] = sum;
}
#end
#if KIND == grad_w
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
// dw, or p.splits partial sums of it, one after the other.
@group(0) @binding(3) var<storage, read_write> dw: array<f32>;

fn part_of(z: u32) -> Part {
    var part: Part;
    part.group = z % p.groups;
    part.split = z / p.groups;
    part.columns = p.columns;
    part.taps = result();
    part.places = kernel();
    part.k = p.k;
    return part;
}

fn a_at(part: Part, k: At, i: u32) -> u32 {
    return index(k.x * p.c_out + part.group * p.group_out, spatial(k), result());
}

fn a_step() -> u32 {
    return volume(result());
}

fn load_a(i: u32) -> f32 {
    return dy[i];
}

fn place(part: Part, column: u32) -> At {
    let c = cut(column, part.places);
    return At(part.group * p.group_in + c.x, spatial(c) * dilation() - before());
}

fn load_b(part: Part, k: At, c: At) -> f32 {
    let i = spatial(c) + spatial(k) * stride();
    let inside = all(i < image());
    let v = x[select(0u, index(c.x + k.x * p.c_in, i, image()), inside)];
    return select(0.0, v, inside);
}

fn y_at(part: Part, column: u32) -> u32 {
    return (part.split * p.groups + part.group) * p.rows * p.columns + column;
}

fn y_step() -> u32 {
    return p.columns;
}

fn store(part: Part, row: u32, at: u32, sum: f32) {
    dw[at] = sum;
}
#end

// The coordinates of k, `step` further on; no coordinate of `step` exceeds the extents.
fn advance(k: At, step: At, e: Extents) -> At {
    var next = k + step;
    if (next.z >= e.y) {
        next.z -= e.y;
        next.y += 1u;
    }
#if DEPTH
    if (next.y >= e.x) {
        next.y -= e.x;
        next.w += 1u;
    }
    if (next.w >= e.z) {
        next.w -= e.z;
        next.x += 1u;
    }
#else
    if (next.y >= e.x) {
        next.y -= e.x;
        next.x += 1u;
    }
#end
    return next;
}

#if FORM == tiled
#include "conv_tiled"
#end
#if FORM == window
#include "conv_window"
#end
#if FORM == register
@compute @workgroup_size(${GROUP})
fn conv_${KIND}_register(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let id = linear_id(gid, groups);
    let rest = id / p.column_tiles;
    let z = rest / p.row_tiles;
    if (z >= p.jobs) {
        return;
    }
    let part = part_of(z);
    let row0 = rest % p.row_tiles * ${TM}u;
    // An invocation's columns lie far apart, so that neighbouring invocations read neighbouring addresses.
    let column0 = id % p.column_tiles;
    // Rows and columns past the edge repeat the last one, so that loads need no test; their sums are not stored.
    let last = max(part.columns, 1u) - 1u;
#for i in 0..TM
    let r${i} = min(row0 + ${i}u, p.rows - 1u) * a_step();
#end
#for j in 0..TN
    let c${j} = place(part, min(column0 + ${j}u * p.column_tiles, last));
#end
#for i in 0..TM
#for j in 0..TN
    var s${i}_${j} = 0.0;
#end
#end
    let start = part.split * p.chunk;
    let end = min(start + p.chunk, part.k);
    let taps = max(part.taps, Extents(1u));
    let step = cut(1u, taps);
    var at = cut(start, taps);
    for (var k = start; k < end; k++) {
        let base = a_at(part, at, k);
#for i in 0..TM
        let a${i} = load_a(base + r${i});
#end
#for j in 0..TN
        let b${j} = load_b(part, at, c${j});
#end
#for i in 0..TM
#for j in 0..TN
        s${i}_${j} = fma(a${i}, b${j}, s${i}_${j});
#end
#end
        at = advance(at, step, taps);
    }
    // Sums leave their registers through an array, so that they are stored by a loop: what one store compiles to is long on software.
    var sums: array<f32, ${TM * TN}>;
#for i in 0..TM
#for j in 0..TN
    sums[${j * TM + i}] = s${i}_${j};
#end
#end
    let rows = min(${TM}u, p.rows - row0);
    for (var j = 0u; j < ${TN}u; j++) {
        let column = column0 + j * p.column_tiles;
        if (column < part.columns) {
            let to = y_at(part, column) + row0 * y_step();
            for (var i = 0u; i < rows; i++) {
                store(part, row0 + i, to + i * y_step(), sums[j * ${TM}u + i]);
            }
        }
    }
}
#end
#end
