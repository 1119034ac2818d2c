// avg_pool:       y[s, i, j] = sum of x in the window at (s, i, j) / count
// avg_pool_grad:  dx[s, r, c] = sum of dy / count over the windows that cover (s, r, c)
// Shapes: x, dx [planes, d, h, w]; y, dy [planes, od, oh, ow]. One invocation computes one element of y or dx. count is the window's
// cells on the input, or all of them where include_pad is 1. Padding is smaller than the window, so every window has a cell on the
// input. Where d is 1, DEPTH is 0 and there is no loop over slices. Twin: src/ops/avg_pool.rs.
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
    include_pad: u32,
}

@group(0) @binding(0) var<uniform> p: Params;

// How many cells of the window that starts at `start` (in the padded input) lie on the `extent` cells after `before`.
fn cells(start: u32, kernel: u32, before: u32, extent: u32) -> u32 {
    return min(start + kernel, extent + before) - max(start, before);
}

#if GRAD
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(${GROUP})
fn avg_pool_grad(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_id(gid, groups);
    if (i >= p.n) {
        return;
    }
    let volume = i / (p.d * p.h * p.w);
    let row = i / p.w % p.h + p.top;
    let column = i % p.w + p.left;
    let row_start = first_window(row, p.kh, p.sh);
    let row_end = min(row / p.sh + 1u, p.oh);
    let column_start = first_window(column, p.kw, p.sw);
    let column_end = min(column / p.sw + 1u, p.ow);
    var sum = 0.0;
#if DEPTH
    let slice = i / (p.w * p.h) % p.d + p.front;
    let slice_end = min(slice / p.sd + 1u, p.od);
    for (var s = first_window(slice, p.kd, p.sd); s < slice_end; s++) {
        let plane = (volume * p.od + s) * p.oh * p.ow;
        let slices = cells(s * p.sd, p.kd, p.front, p.d);
#else
        let plane = volume * p.oh * p.ow;
        let slices = 1u;
#end
        for (var r = row_start; r < row_end; r++) {
            let rows = slices * cells(r * p.sh, p.kh, p.top, p.h);
            for (var c = column_start; c < column_end; c++) {
                let on_input = rows * cells(c * p.sw, p.kw, p.left, p.w);
                let count = select(on_input, p.kd * p.kh * p.kw, p.include_pad == 1u);
                sum += dy[plane + r * p.ow + c] / f32(count);
            }
        }
#if DEPTH
    }
#end
    dx[i] = sum;
}
#else
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(${GROUP})
fn avg_pool(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_id(gid, groups);
    if (i >= p.n) {
        return;
    }
    let row = i / p.ow % p.oh * p.sh;
    let column = i % p.ow * p.sw;
    let volume = i / (p.od * p.oh * p.ow) * p.d * p.h * p.w;
    let row_start = max(row, p.top) - p.top;
    let row_end = row_start + cells(row, p.kh, p.top, p.h);
    let column_start = max(column, p.left) - p.left;
    let column_end = column_start + cells(column, p.kw, p.left, p.w);
    var on_input = (row_end - row_start) * (column_end - column_start);
    var sum = 0.0;
#if DEPTH
    let slice = i / (p.ow * p.oh) % p.od * p.sd;
    let slice_start = max(slice, p.front) - p.front;
    let slice_end = slice_start + cells(slice, p.kd, p.front, p.d);
    on_input *= slice_end - slice_start;
    for (var s = slice_start; s < slice_end; s++) {
        let plane = volume + s * p.h * p.w;
#else
        let plane = volume;
#end
        for (var r = row_start; r < row_end; r++) {
            for (var c = column_start; c < column_end; c++) {
                sum += x[plane + r * p.w + c];
            }
        }
#if DEPTH
    }
#end
    y[i] = sum / f32(select(on_input, p.kd * p.kh * p.kw, p.include_pad == 1u));
}
#end
