// conv_forward:  y[n,o,oz,oy,ox] = sum over i,q,r,s of w[o,i,q,r,s] x[n, i, oz sd + q dd - front, oy sh + r dh - top, ox sw + s dw - left]
//                (+ bias[o]) (then relu)
// conv_grad_x:   dx[n,i,iz,iy,ix] = sum over o,q,r,s of w[o,i,q,r,s] dy[n, o, (iz + front - q dd) / sd, (iy + top - r dh) / sh,
//                (ix + left - s dw) / sw], where whole
// conv_grad_w:   dw[o,i,q,r,s] = sum over n,oz,oy,ox of dy[n,o,oz,oy,ox] x[n, i, oz sd + q dd - front, ..]
// conv_sum:      dw = sum over splits of the partial sums that conv_grad_w left
// Shapes: x [batch, c_in, d, h, w], w [c_out, c_in / groups, kd, kh, kw], bias [c_out], y [batch, c_out, od, oh, ow]. Lines have one
// slice and one row, images one slice; without DEPTH (d = od = kd = 1) slices are not counted.
//
// The first three are one matrix product per group, sum over k of a[row, k] b[k, column], whose b is never stored ("implicit GEMM"):
//              row               column            k
//   forward    output channel    n, oz, oy, ox     input channel, q, r, s
//   grad_x     input channel     n, iz, iy, ix     output channel, q, r, s
//   grad_w     output channel    i, q, r, s        n, oz, oy, ox; cut into p.splits parts
// Sums run over k in ascending order, without atomics. Twin: src/ops/conv/cpu.rs.
//
// .._tiled: a workgroup computes BM x BN sums, an invocation TM x TN of them in named registers; BK of the k at a time lie in
//   workgroup memory.
// .._register: an invocation computes TM x TN sums straight from storage; for software adapters, and where there are few rows.
// conv_sum: an invocation adds up one element.
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
    // What a step of BK along k adds to its coordinates.
    step_n: u32,
    step_d: u32,
    step_h: u32,
    step_w: u32,
}

@group(0) @binding(0) var<uniform> p: Params;

#if KIND == sum
@group(0) @binding(1) var<storage, read> parts: array<f32>;
@group(0) @binding(2) var<storage, read_write> dw: array<f32>;

@compute @workgroup_size(${GROUP})
fn conv_sum(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_id(gid, groups);
    let n = p.groups * p.rows * p.columns;
    if (i >= n) {
        return;
    }
    var sum = 0.0;
    for (var s = 0u; s < p.splits; s++) {
        sum += parts[s * n + i];
    }
    dw[i] = sum;
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

// Each kind of product says where its operands lie. `place` prepares a column once, so that `load_b` has little left to do;
// coordinates in the padding wrap around to large numbers, and one comparison finds them.
#if KIND == forward
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
#if BIAS
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
#else
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
#end

fn k_extents() -> Extents {
    return kernel();
}

fn load_a(g: u32, row: u32, k: At) -> f32 {
    return w[index((g * p.group_out + row) * p.group_in + k.x, spatial(k), kernel())];
}

fn place(g: u32, column: u32) -> At {
    let c = cut(column, result());
    return At(index(c.x * p.c_in + g * p.group_in, Extents(), image()), spatial(c) * stride() - before());
}

fn load_b(k: At, c: At) -> f32 {
    let i = spatial(c) + spatial(k) * dilation();
    let inside = all(i < image());
    let v = x[select(0u, c.x + index(k.x, i, image()), inside)];
    return select(0.0, v, inside);
}

fn store(g: u32, split: u32, row: u32, column: u32, sum: f32) {
    if (row < p.rows && column < p.columns) {
        let o = g * p.group_out + row;
        let c = cut(column, result());
        var v = sum;
#if BIAS
        v += bias[o];
#end
#if RELU
        v = select(v, 0.0, v < 0.0);
#end
        y[index(c.x * p.c_out + o, spatial(c), result())] = v;
    }
}
#end
#if KIND == grad_x
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

fn k_extents() -> Extents {
    return kernel();
}

fn load_a(g: u32, row: u32, k: At) -> f32 {
    return w[index((g * p.group_out + k.x) * p.group_in + row, spatial(k), kernel())];
}

fn place(g: u32, column: u32) -> At {
    let c = cut(column, image());
    return At(index(c.x * p.c_out + g * p.group_out, Extents(), result()), spatial(c) + before());
}

fn load_b(k: At, c: At) -> f32 {
    let t = spatial(c) - spatial(k) * dilation();
#if STRIDED
    let o = t / stride();
    // A coordinate that wrapped around is larger than any extent times stride.
    let inside = all(t < result() * stride()) && all(o * stride() == t);
#else
    let o = t;
    let inside = all(t < result());
#end
    let v = dy[select(0u, c.x + index(k.x, o, result()), inside)];
    return select(0.0, v, inside);
}

fn store(g: u32, split: u32, row: u32, column: u32, sum: f32) {
    if (row < p.rows && column < p.columns) {
        let c = cut(column, image());
        dx[index(c.x * p.c_in + g * p.group_in + row, spatial(c), image())] = sum;
    }
}
#end
#if KIND == grad_w
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
// dw, or p.splits partial sums of it, one after the other.
@group(0) @binding(3) var<storage, read_write> dw: array<f32>;

fn k_extents() -> Extents {
    return result();
}

fn load_a(g: u32, row: u32, k: At) -> f32 {
    return dy[index(k.x * p.c_out + g * p.group_out + row, spatial(k), result())];
}

fn place(g: u32, column: u32) -> At {
    let c = cut(column, kernel());
    return At(index(g * p.group_in + c.x, Extents(), image()), spatial(c) * dilation() - before());
}

fn load_b(k: At, c: At) -> f32 {
    let i = spatial(c) + spatial(k) * stride();
    let inside = all(i < image());
    let v = x[select(0u, c.x + index(k.x * p.c_in, i, image()), inside)];
    return select(0.0, v, inside);
}

fn store(g: u32, split: u32, row: u32, column: u32, sum: f32) {
    if (row < p.rows && column < p.columns) {
        dw[((split * p.groups + g) * p.rows + row) * p.columns + column] = sum;
    }
}
#end

// The coordinates of k, a step of BK further on.
fn advance(k: At) -> At {
    let e = k_extents();
    var next = k + At(p.step_n, extents(p.step_d, p.step_h, p.step_w));
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

#if TILED
// Rows of the tiles are 4 longer than they need be: their columns, which neighbouring lanes write, then lie in different banks.
var<workgroup> tile_a: array<f32, ${BK * (BM + 4)}>;
var<workgroup> tile_b: array<f32, ${BK * (BN + 4)}>;

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
    let row0 = tile % p.row_tiles * ${BM}u;
    let column0 = tile / p.row_tiles * ${BN}u;
    let g = group.z % p.groups;
    let split = group.z / p.groups;
    let start = split * p.chunk;
    let end = min(start + p.chunk, p.k);
    let lane_row = lane / ${BN / TN}u * ${TM}u;
    let lane_column = lane % ${BN / TN}u * ${TN}u;

    // Where this lane reads: one k and several rows of a; of b, whichever way neighbouring lanes meet neighbouring addresses,
    // one column and several k (forward, grad_x), or one k and several columns (grad_w).
    let ka = lane % ${BK}u;
    var at_a = cut(start + ka, k_extents());
#if KIND == grad_w
#for l in 0..(BN * BK / LANES)
    let nb${l} = lane / ${BK}u + ${l * LANES / BK}u;
    let c${l} = place(g, min(column0 + nb${l}, p.columns - 1u));
#end
#else
    let nb = lane % ${BN}u;
    let c = place(g, min(column0 + nb, p.columns - 1u));
#for l in 0..(BN * BK / LANES)
    let kb${l} = lane / ${BN}u + ${l * LANES / BN}u;
    var at${l} = cut(start + kb${l}, k_extents());
#end
#end

#for i in 0..TM
#for j in 0..TN
    var s${i}_${j} = 0.0;
#end
#end
    for (var k0 = start; k0 < end; k0 += ${BK}u) {
#for l in 0..(BM * BK / LANES)
        {
            let r = lane / ${BK}u + ${l * LANES / BK}u;
            var v = 0.0;
            if (row0 + r < p.rows && k0 + ka < end) {
                v = load_a(g, row0 + r, at_a);
            }
            tile_a[ka * ${BM + 4}u + r] = v;
        }
#end
#for l in 0..(BN * BK / LANES)
        {
            var v = 0.0;
#if KIND == grad_w
            if (k0 + ka < end) {
                v = load_b(at_a, c${l});
            }
            tile_b[ka * ${BN + 4}u + nb${l}] = v;
#else
            if (k0 + kb${l} < end) {
                v = load_b(at${l}, c);
            }
            tile_b[kb${l} * ${BN + 4}u + nb] = v;
            at${l} = advance(at${l});
#end
        }
#end
        at_a = advance(at_a);
        workgroupBarrier();
        for (var k = 0u; k < ${BK}u; k++) {
#for i in 0..TM
            let a${i} = tile_a[k * ${BM + 4}u + lane_row + ${i}u];
#end
#for j in 0..TN
            let b${j} = tile_b[k * ${BN + 4}u + lane_column + ${j}u];
#end
#for i in 0..TM
#for j in 0..TN
            s${i}_${j} = fma(a${i}, b${j}, s${i}_${j});
#end
#end
        }
        workgroupBarrier();
    }
#for i in 0..TM
#for j in 0..TN
    store(g, split, row0 + lane_row + ${i}u, column0 + lane_column + ${j}u, s${i}_${j});
#end
#end
}
#else
@compute @workgroup_size(${GROUP})
fn conv_${KIND}_register(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let id = linear_id(gid, groups);
    let rest = id / p.column_tiles;
    let z = rest / p.row_tiles;
    if (z >= p.groups * p.splits) {
        return;
    }
    let g = z % p.groups;
    let split = z / p.groups;
    let row0 = rest % p.row_tiles * ${TM}u;
    // An invocation's columns lie far apart, so that neighbouring invocations read neighbouring addresses.
    let column0 = id % p.column_tiles;
    // Rows and columns past the edge repeat the last one, so that loads need no test; their sums are not stored.
#for i in 0..TM
    let r${i} = min(row0 + ${i}u, p.rows - 1u);
#end
#for j in 0..TN
    let c${j} = place(g, min(column0 + ${j}u * p.column_tiles, p.columns - 1u));
#end
#for i in 0..TM
#for j in 0..TN
    var s${i}_${j} = 0.0;
#end
#end
    let start = split * p.chunk;
    let end = min(start + p.chunk, p.k);
    var at = cut(start, k_extents());
    for (var k = start; k < end; k++) {
#for i in 0..TM
        let a${i} = load_a(g, r${i}, at);
#end
#for j in 0..TN
        let b${j} = load_b(at, c${j});
#end
#for i in 0..TM
#for j in 0..TN
        s${i}_${j} = fma(a${i}, b${j}, s${i}_${j});
#end
#end
        at = advance(at);
    }
#for i in 0..TM
#for j in 0..TN
    store(g, split, row0 + ${i}u, column0 + ${j}u * p.column_tiles, s${i}_${j});
#end
#end
}
#end
#end
