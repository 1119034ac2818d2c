// adaptive_avg_pool:       y[o] = the mean of x over the window from floor(o * in / out) up to ceil((o + 1) * in / out)
// adaptive_avg_pool_grad:  dx[i] = sum of dy / (its window's cells) over the windows from floor(i * out / in) up to ceil((i + 1) * out / in)
// Shapes: x, dx [planes, d, h, w]; y, dy [planes, od, oh, ow]; windows are those of all axes. One invocation computes one element of y
// or dx. The size changes by b / a in lowest terms; the windows are exact integer arithmetic. Where an axis keeps its size, DEPTH or
// ROWS is 0 and it costs nothing. With PARTS an invocation goes through PART rows alone, and there are PARTS of each result, before the
// columns. Twin: src/ops/adaptive_avg_pool.rs.
#include "index"
#include "ratio"

struct Params {
    x_size: vec4<u32>,
    y_size: vec4<u32>,
    a: vec4<u32>,
    b: vec4<u32>,
    n: u32,
}

@group(0) @binding(0) var<uniform> p: Params;

// The elements that element i touches on the other side, where b elements here are a there: from .x up to, not including, .y.
fn reach(i: u32, a: u32, b: u32) -> vec2<u32> {
    return vec2<u32>(ratio(i, a, b).x, ratio_up(i + 1u, a, b));
}

#if GRAD
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

fn cells(o: u32, a: u32, b: u32) -> u32 {
    let window = reach(o, a, b);
    return window.y - window.x;
}

@compute @workgroup_size(${GROUP})
fn adaptive_avg_pool_grad(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let id = linear_id(gid, groups);
    if (id >= p.n) {
        return;
    }
#if PARTS
    // The parts lie before the columns.
    let own = id / (p.x_size.z * ${PARTS}u) * p.x_size.z + id % p.x_size.z;
#else
    let own = id;
#end
    let row = own / p.x_size.z % p.x_size.y;
    let depth = own / (p.x_size.z * p.x_size.y) % p.x_size.x;
    let plane = own / (p.x_size.z * p.x_size.y * p.x_size.x);
    let columns = reach(own % p.x_size.z, p.b.z, p.a.z);
    var sum = 0.0;
#if ROWS
    var rows = reach(row, p.b.y, p.a.y);
#end
#if PARTS
    rows.x += id / p.x_size.z % ${PARTS}u * ${PART}u;
    rows.y = min(rows.x + ${PART}u, rows.y);
#end
#if DEPTH
    let depths = reach(depth, p.b.x, p.a.x);
    for (var d = depths.x; d < depths.y; d++) {
        let slices = cells(d, p.a.x, p.b.x);
#else
        let d = depth;
        let slices = 1u;
#end
#if ROWS
        for (var r = rows.x; r < rows.y; r++) {
            let lines = slices * cells(r, p.a.y, p.b.y);
#else
            let r = row;
            let lines = slices;
#end
            let start = ((plane * p.y_size.x + d) * p.y_size.y + r) * p.y_size.z;
            for (var c = columns.x; c < columns.y; c++) {
                sum += dy[start + c] / f32(lines * cells(c, p.a.z, p.b.z));
            }
#if ROWS
        }
#end
#if DEPTH
    }
#end
    dx[id] = sum;
}
#else
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(${GROUP})
fn adaptive_avg_pool(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let id = linear_id(gid, groups);
    if (id >= p.n) {
        return;
    }
#if PARTS
    // The parts lie before the columns.
    let own = id / (p.y_size.z * ${PARTS}u) * p.y_size.z + id % p.y_size.z;
#else
    let own = id;
#end
    let row = own / p.y_size.z % p.y_size.y;
    let depth = own / (p.y_size.z * p.y_size.y) % p.y_size.x;
    let plane = own / (p.y_size.z * p.y_size.y * p.y_size.x);
    let columns = reach(own % p.y_size.z, p.a.z, p.b.z);
    var cells = columns.y - columns.x;
    var sum = 0.0;
#if DEPTH
    let depths = reach(depth, p.a.x, p.b.x);
    cells *= depths.y - depths.x;
#end
#if ROWS
    var rows = reach(row, p.a.y, p.b.y);
    cells *= rows.y - rows.x;
#end
#if PARTS
    rows.x += id / p.y_size.z % ${PARTS}u * ${PART}u;
    rows.y = min(rows.x + ${PART}u, rows.y);
#end
#if DEPTH
    for (var d = depths.x; d < depths.y; d++) {
#else
        let d = depth;
#end
#if ROWS
        for (var r = rows.x; r < rows.y; r++) {
#else
            let r = row;
#end
            let start = ((plane * p.x_size.x + d) * p.x_size.y + r) * p.x_size.z;
            for (var c = columns.x; c < columns.y; c++) {
                sum += x[start + c];
            }
#if ROWS
        }
#end
#if DEPTH
    }
#end
    y[id] = sum / f32(cells);
}
#end
