// max_pool:       y[s, i, j] = the largest x in the window at (s, i, j), positions[s, i, j] = (its slice * h + row) * w + column
// max_pool_grad:  dx[s, r, c] = sum of dy over the windows whose position is that of (s, r, c)
// Shapes: x, dx [planes, d, h, w]; y, positions, dy [planes, od, oh, ow]. One invocation computes one element of y or dx; the gradient
// gathers from the windows that cover its element, so it needs no atomics. Of equal elements the first wins, and the first NaN
// beats all. Padding is smaller than the window, so every window has a cell on the input. Where D is 1, DEPTH is 0 and there is no
// loop over slices. Twin: src/ops/max_pool.rs.
#include "index"

#include "pool"
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
    let volume = D * H * W;
    let own = i % volume;
    let row = own / W % H + TOP;
    let column = own % W + LEFT;
    let row_start = first_window(row, KH, SH);
    let row_end = min(row / SH + 1u, OH);
    let column_start = first_window(column, KW, SW);
    let column_end = min(column / SW + 1u, OW);
    var sum = 0.0;
#if DEPTH
    let slice = own / (H * W) + FRONT;
    let slice_end = min(slice / SD + 1u, OD);
    for (var s = first_window(slice, KD, SD); s < slice_end; s++) {
        let plane = (i / volume * OD + s) * OH * OW;
#else
        let plane = i / volume * OH * OW;
#end
        for (var r = row_start; r < row_end; r++) {
            for (var c = column_start; c < column_end; c++) {
                let o = plane + r * OW + c;
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
    let row = i / OW % OH * SH;
    let column = i % OW * SW;
    let volume = i / (OD * OH * OW) * D * H * W;
    let row_start = max(row, TOP) - TOP;
    let row_end = min(row + KH, H + TOP) - TOP;
    let column_start = max(column, LEFT) - LEFT;
    let column_end = min(column + KW, W + LEFT) - LEFT;
    var at = row_start * W + column_start;
#if DEPTH
    let slice = i / (OW * OH) % OD * SD;
    let slice_start = max(slice, FRONT) - FRONT;
    let slice_end = min(slice + KD, D + FRONT) - FRONT;
    at += slice_start * H * W;
#end
    var best = x[volume + at];
#if DEPTH
    for (var s = slice_start; s < slice_end; s++) {
        let plane = s * H * W;
#else
        let plane = 0u;
#end
        for (var r = row_start; r < row_end; r++) {
            for (var c = column_start; c < column_end; c++) {
                let v = x[volume + plane + r * W + c];
                if ((v > best || is_nan_bits(v)) && !is_nan_bits(best)) {
                    best = v;
                    at = plane + r * W + c;
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
