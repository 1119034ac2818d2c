// max_pool:       y[s, i, j] = the largest x in the window at (s, i, j), positions[s, i, j] = (its slice * h + row) * w + column
// max_pool_grad:  dx[s, r, c] = sum of dy over the windows whose position is that of (s, r, c)
// Shapes: x, dx [planes, d, h, w]; y, positions, dy [planes, od, oh, ow]. One invocation computes one element of y or dx; the gradient
// gathers from the windows that cover its element, so it needs no atomics. Of equal elements the first wins, and the first NaN
// beats all. Padding is smaller than the window, so every window has a cell on the input. Where d is 1, DEPTH is 0 and there is no
// loop over slices. Twin: src/ops/max_pool.rs.
#include "index"

struct Params {
    d: u32,
    h: u32,
    w: u32,
    od: u32,
    oh: u32,
    ow: u32,
    kd: u32,
    kh: u32,
    kw: u32,
    sd: u32,
    sh: u32,
    sw: u32,
    front: u32,
    top: u32,
    left: u32,
    n: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
#if GRAD
@group(0) @binding(1) var<storage, read> positions: array<u32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(${GROUP})
fn max_pool_grad(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_id(gid, groups);
    if (i >= p.n) {
        return;
    }
    let volume = p.d * p.h * p.w;
    let own = i % volume;
    let row = own / p.w % p.h + p.top;
    let column = own % p.w + p.left;
    let row_start = first_window(row, p.kh, p.sh);
    let row_end = min(row / p.sh + 1u, p.oh);
    let column_start = first_window(column, p.kw, p.sw);
    let column_end = min(column / p.sw + 1u, p.ow);
    var sum = 0.0;
#if DEPTH
    let slice = own / (p.h * p.w) + p.front;
    let slice_end = min(slice / p.sd + 1u, p.od);
    for (var s = first_window(slice, p.kd, p.sd); s < slice_end; s++) {
        let plane = (i / volume * p.od + s) * p.oh * p.ow;
#else
        let plane = i / volume * p.oh * p.ow;
#end
        for (var r = row_start; r < row_end; r++) {
            for (var c = column_start; c < column_end; c++) {
                let o = plane + r * p.ow + c;
                if (positions[o] == own) {
                    sum += dy[o];
                }
            }
        }
#if DEPTH
    }
#end
    dx[i] = sum;
}
#else
#include "bits"

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<storage, read_write> positions: array<u32>;

@compute @workgroup_size(${GROUP})
fn max_pool(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_id(gid, groups);
    if (i >= p.n) {
        return;
    }
    let row = i / p.ow % p.oh * p.sh;
    let column = i % p.ow * p.sw;
    let volume = i / (p.od * p.oh * p.ow) * p.d * p.h * p.w;
    let row_start = max(row, p.top) - p.top;
    let row_end = min(row + p.kh, p.h + p.top) - p.top;
    let column_start = max(column, p.left) - p.left;
    let column_end = min(column + p.kw, p.w + p.left) - p.left;
    var at = row_start * p.w + column_start;
#if DEPTH
    let slice = i / (p.ow * p.oh) % p.od * p.sd;
    let slice_start = max(slice, p.front) - p.front;
    let slice_end = min(slice + p.kd, p.d + p.front) - p.front;
    at += slice_start * p.h * p.w;
#end
    var best = x[volume + at];
#if DEPTH
    for (var s = slice_start; s < slice_end; s++) {
        let plane = s * p.h * p.w;
#else
        let plane = 0u;
#end
        for (var r = row_start; r < row_end; r++) {
            for (var c = column_start; c < column_end; c++) {
                let v = x[volume + plane + r * p.w + c];
                if ((v > best || is_nan_bits(v)) && !is_nan_bits(best)) {
                    best = v;
                    at = plane + r * p.w + c;
                }
            }
        }
#if DEPTH
    }
#end
    y[i] = best;
    positions[i] = at;
}
#end
