// max_pool2d:       y[i, j] = the largest x in the window at (i, j), positions[i, j] = its row * w + column
// max_pool2d_grad:  dx[r, c] = sum of dy over the windows whose position is (r, c)
// Shapes: x, dx [planes, h, w]; y, positions, dy [planes, oh, ow]. One invocation computes one element of y or dx; the gradient
// gathers from the windows that cover its element, so it needs no atomics. Of equal elements the first wins, and the first NaN
// beats all. Padding is smaller than the window, so every window has a cell on the image. Twin: src/ops/max_pool2d.rs.
#include "index"

struct Params {
    h: u32,
    w: u32,
    oh: u32,
    ow: u32,
    kh: u32,
    kw: u32,
    sh: u32,
    sw: u32,
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
fn max_pool2d_grad(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_id(gid, groups);
    if (i >= p.n) {
        return;
    }
    let own = i % (p.h * p.w);
    let plane = i / (p.h * p.w) * p.oh * p.ow;
    let row = own / p.w + p.top;
    let column = own % p.w + p.left;
    let row_end = min(row / p.sh + 1u, p.oh);
    let column_start = first_window(column, p.kw, p.sw);
    let column_end = min(column / p.sw + 1u, p.ow);
    var sum = 0.0;
    for (var r = first_window(row, p.kh, p.sh); r < row_end; r++) {
        for (var c = column_start; c < column_end; c++) {
            let o = plane + r * p.ow + c;
            if (positions[o] == own) {
                sum += dy[o];
            }
        }
    }
    dx[i] = sum;
}
#else
#include "bits"

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<storage, read_write> positions: array<u32>;

@compute @workgroup_size(${GROUP})
fn max_pool2d(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_id(gid, groups);
    if (i >= p.n) {
        return;
    }
    let row = i / p.ow % p.oh * p.sh;
    let column = i % p.ow * p.sw;
    let plane = i / (p.oh * p.ow) * p.h * p.w;
    let row_start = max(row, p.top) - p.top;
    let row_end = min(row + p.kh, p.h + p.top) - p.top;
    let column_start = max(column, p.left) - p.left;
    let column_end = min(column + p.kw, p.w + p.left) - p.left;
    var at = row_start * p.w + column_start;
    var best = x[plane + at];
    for (var r = row_start; r < row_end; r++) {
        for (var c = column_start; c < column_end; c++) {
            let v = x[plane + r * p.w + c];
            if ((v > best || is_nan_bits(v)) && !is_nan_bits(best)) {
                best = v;
                at = r * p.w + c;
            }
        }
    }
    y[i] = best;
    positions[i] = at;
}
#end
