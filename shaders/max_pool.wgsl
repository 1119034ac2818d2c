// max_pool:       y[s, i, j] = the largest x in the window at (s, i, j), positions[s, i, j] = (its slice * h + row) * w + column
// max_pool_grad:  dx[s, r, c] = sum of dy over the windows whose position is that of (s, r, c)
// Shapes: x, dx [planes, d, h, w]; y, positions, dy [planes, od, oh, ow]. One invocation computes one element of y or dx; the gradient
// gathers from the windows that cover its element, so it needs no atomics. Of equal elements the first wins, and the first NaN
// beats all. Padding is smaller than the window, so every window has a cell on the input. Where D is 1, DEPTH is 0 and there is no
// loop over slices. Twin: src/ops/max_pool.rs.
// max_pool_cells: the cells of all planes together that positions in each of them are; none for those beyond their plane.
// With PARTS an invocation computes the maximum of PART rows of a window alone, y [planes, od, oh, parts, ow]. With FROM, x is itself made of
// maxima, and positions are those that they came with.
#include "index"

#if CELLS
struct Params {
    n: u32,
    // Elements of a plane of y and of x.
    outputs: u32,
    inputs: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> positions: array<u32>;
@group(0) @binding(2) var<storage, read_write> cells: array<u32>;

@compute @workgroup_size(${GROUP})
fn max_pool_cells(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_id(gid, groups);
    if (i >= p.n) {
        return;
    }
    let position = positions[i];
    cells[i] = select(0xffffffffu, i / p.outputs * p.inputs + position, position < p.inputs);
}
#else
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
#if FROM
@group(0) @binding(2) var<storage, read> earlier: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read_write> positions: array<u32>;
#else
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<storage, read_write> positions: array<u32>;
#end

@compute @workgroup_size(${GROUP})
fn max_pool(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
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
    var row_end = min(row + KH, H + TOP) - TOP;
#if PARTS
    // A part that begins behind the window's last row repeats that.
    row_start = min(row_start + i / OW % ${PARTS}u * ${PART}u, row_end - 1u);
    row_end = min(row_start + ${PART}u, row_end);
#end
    let column_start = max(column, LEFT) - LEFT;
    let column_end = min(column + KW, W + LEFT) - LEFT;
    var at = row_start * W + column_start;
#if DEPTH
    let slice = o / (OW * OH) % OD * SD;
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
#if FROM
    positions[i] = earlier[volume + at];
#else
    positions[i] = at;
#end
}
#end
#end
