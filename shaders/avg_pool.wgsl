// avg_pool:       y[s, i, j] = sum of x in the window at (s, i, j) / count
// avg_pool_grad:  dx[s, r, c] = sum of dy / count over the windows that cover (s, r, c)
// Shapes: x, dx [planes, d, h, w]; y, dy [planes, od, oh, ow]. One invocation computes one element of y or dx. count is the window's
// cells on the input, or all of them where INCLUDE_PAD is 1. Padding is smaller than the window, so every window has a cell on the
// input. Where D is 1, DEPTH is 0 and there is no loop over slices. With PARTS an invocation sums PART rows of a window (or windows of a row)
// alone, y [planes, od, oh, parts, ow] (or dx [planes, d, h, parts, w]). Twin: src/ops/avg_pool.rs.
#include "index"

#include "pool"

const INCLUDE_PAD: bool = ${INCLUDE_PAD} == 1;

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
#if PARTS
    let own = i / (W * ${PARTS}u) * W + i % W;
#else
    let own = i;
#end
    let volume = own / (D * H * W);
    let row = own / W % H + TOP;
    let column = own % W + LEFT;
    var row_start = first_window(row, KH, SH);
    var row_end = min(row / SH + 1u, OH);
#if PARTS
    row_start += i / W % ${PARTS}u * ${PART}u;
    row_end = min(row_start + ${PART}u, row_end);
#end
    let column_start = first_window(column, KW, SW);
    let column_end = min(column / SW + 1u, OW);
    var sum = 0.0;
#if DEPTH
    let slice = own / (W * H) % D + FRONT;
    let slice_end = min(slice / SD + 1u, OD);
    for (var s = first_window(slice, KD, SD); s < slice_end; s++) {
        let plane = (volume * OD + s) * OH * OW;
        let slices = cells(s * SD, KD, FRONT, D);
#else
        let plane = volume * OH * OW;
        let slices = 1u;
#end
        for (var r = row_start; r < row_end; r++) {
            let rows = slices * cells(r * SH, KH, TOP, H);
            for (var c = column_start; c < column_end; c++) {
                let on_input = rows * cells(c * SW, KW, LEFT, W);
                let count = select(on_input, KD * KH * KW, INCLUDE_PAD);
                sum += dy[plane + r * OW + c] / f32(count);
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
#if PARTS
    let o = i / (OW * ${PARTS}u) * OW + i % OW;
#else
    let o = i;
#end
    let row = o / OW % OH * SH;
    let column = o % OW * SW;
    let volume = o / (OD * OH * OW) * D * H * W;
    var row_start = max(row, TOP) - TOP;
    var row_end = row_start + cells(row, KH, TOP, H);
    let column_start = max(column, LEFT) - LEFT;
    let column_end = column_start + cells(column, KW, LEFT, W);
    var on_input = (row_end - row_start) * (column_end - column_start);
    var sum = 0.0;
#if DEPTH
    let slice = o / (OW * OH) % OD * SD;
    let slice_start = max(slice, FRONT) - FRONT;
    let slice_end = slice_start + cells(slice, KD, FRONT, D);
    on_input *= slice_end - slice_start;
#end
#if PARTS
    row_start += i / OW % ${PARTS}u * ${PART}u;
    row_end = min(row_start + ${PART}u, row_end);
#end
#if DEPTH
    for (var s = slice_start; s < slice_end; s++) {
        let plane = volume + s * H * W;
#else
        let plane = volume;
#end
        for (var r = row_start; r < row_end; r++) {
            for (var c = column_start; c < column_end; c++) {
                sum += x[plane + r * W + c];
            }
        }
#if DEPTH
    }
#end
    y[i] = sum / f32(select(on_input, KD * KH * KW, INCLUDE_PAD));
}
#end
