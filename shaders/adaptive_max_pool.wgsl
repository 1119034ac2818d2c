// adaptive_max_pool:       y[o] = the largest x in the window from floor(o * in / out) up to ceil((o + 1) * in / out), positions[o] =
//                          its (slice * h + row) * w + column
// adaptive_max_pool_grad:  dx[i] = sum of dy over the windows whose position is i, of those from floor(i * out / in) up to
//                          ceil((i + 1) * out / in)
// Shapes: x, dx [planes, d, h, w]; y, positions, dy [planes, od, oh, ow]; windows are those of all axes. One invocation computes one
// element of y or dx. Of equal elements the first wins, and the first NaN beats all. The size changes by b / a in lowest terms; the
// windows are exact integer arithmetic. Where an axis keeps its size, DEPTH or ROWS is 0 and it costs nothing.
// With PARTS an invocation goes through PART rows alone, and there are PARTS of each result, before the columns. With FROM, x is itself
// made of maxima, and positions are those that they came with. Twin: src/ops/adaptive_max_pool.rs.
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
@group(0) @binding(1) var<storage, read> positions: array<u32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(${GROUP})
fn adaptive_max_pool_grad(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let id = linear_id(gid, groups);
    if (id >= p.n) {
        return;
    }
    let row = id / p.x_size.z % p.x_size.y;
    let depth = id / (p.x_size.z * p.x_size.y) % p.x_size.x;
    let volume = p.x_size.z * p.x_size.y * p.x_size.x;
    let plane = id / volume;
    let own = id % volume;
    let columns = reach(id % p.x_size.z, p.b.z, p.a.z);
    var sum = 0.0;
#if ROWS
    let rows = reach(row, p.b.y, p.a.y);
#end
#if DEPTH
    let depths = reach(depth, p.b.x, p.a.x);
    for (var d = depths.x; d < depths.y; d++) {
#else
        let d = depth;
#end
#if ROWS
        for (var r = rows.x; r < rows.y; r++) {
#else
            let r = row;
#end
            let start = ((plane * p.y_size.x + d) * p.y_size.y + r) * p.y_size.z;
            for (var c = columns.x; c < columns.y; c++) {
                if (positions[start + c] == own) {
                    sum += dy[start + c];
                }
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
fn adaptive_max_pool(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
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
    let volume = own / (p.y_size.z * p.y_size.y * p.y_size.x) * p.x_size.x * p.x_size.y * p.x_size.z;
    let columns = reach(own % p.y_size.z, p.a.z, p.b.z);
#if DEPTH
    let depths = reach(depth, p.a.x, p.b.x);
#else
    let depths = vec2<u32>(depth, depth + 1u);
#end
#if ROWS
    var rows = reach(row, p.a.y, p.b.y);
#else
    let rows = vec2<u32>(row, row + 1u);
#end
#if PARTS
    // A part that begins behind the window's last row repeats that.
    rows.x = min(rows.x + id / p.y_size.z % ${PARTS}u * ${PART}u, rows.y - 1u);
    rows.y = min(rows.x + ${PART}u, rows.y);
#end
    var at = (depths.x * p.x_size.y + rows.x) * p.x_size.z + columns.x;
    var best = x[volume + at];
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
            let start = (d * p.x_size.y + r) * p.x_size.z;
            for (var c = columns.x; c < columns.y; c++) {
                let v = x[volume + start + c];
                if ((v > best || is_nan_bits(v)) && !is_nan_bits(best)) {
                    best = v;
                    at = start + c;
                }
            }
#if ROWS
        }
#end
#if DEPTH
    }
#end
    y[id] = best;
#if FROM
    positions[id] = earlier[volume + at];
#else
    positions[id] = at;
#end
}
#end
