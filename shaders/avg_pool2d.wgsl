// avg_pool2d:       y[i, j] = sum of x in the window at (i, j) / count
// avg_pool2d_grad:  dx[r, c] = sum of dy / count over the windows that cover (r, c)
// Shapes: x, dx [planes, h, w]; y, dy [planes, oh, ow]. One invocation computes one element of y or dx. count is the window's cells
// on the image, or all of them where include_pad is 1. Padding is smaller than the window, so every window has a cell on the
// image. Twin: src/ops/avg_pool2d.rs.
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
    include_pad: u32,
}

@group(0) @binding(0) var<uniform> p: Params;

// How many cells of the window that starts at `start` (in the padded image) lie on the `extent` cells after `before`.
fn cells(start: u32, kernel: u32, before: u32, extent: u32) -> u32 {
    return min(start + kernel, extent + before) - max(start, before);
}

#if GRAD
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(${GROUP})
fn avg_pool2d_grad(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
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
        let rows = cells(r * p.sh, p.kh, p.top, p.h);
        for (var c = column_start; c < column_end; c++) {
            let on_image = rows * cells(c * p.sw, p.kw, p.left, p.w);
            let count = select(on_image, p.kh * p.kw, p.include_pad == 1u);
            sum += dy[plane + r * p.ow + c] / f32(count);
        }
    }
    dx[i] = sum;
}
#else
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(${GROUP})
fn avg_pool2d(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_id(gid, groups);
    if (i >= p.n) {
        return;
    }
    let row = i / p.ow % p.oh * p.sh;
    let column = i % p.ow * p.sw;
    let plane = i / (p.oh * p.ow) * p.h * p.w;
    let row_start = max(row, p.top) - p.top;
    let row_end = row_start + cells(row, p.kh, p.top, p.h);
    let column_start = max(column, p.left) - p.left;
    let column_end = column_start + cells(column, p.kw, p.left, p.w);
    var sum = 0.0;
    for (var r = row_start; r < row_end; r++) {
        for (var c = column_start; c < column_end; c++) {
            sum += x[plane + r * p.w + c];
        }
    }
    let on_image = (row_end - row_start) * (column_end - column_start);
    y[i] = sum / f32(select(on_image, p.kh * p.kw, p.include_pad == 1u));
}
#end
