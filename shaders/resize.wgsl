// resize:       y[o] = x[floor(o * in / out)], or with CENTRES x[floor((o + 1/2) * in / out)]; with LINEAR x between the two elements
//               around o * (in - 1) / (out - 1), or with CENTRES around (o + 1/2) * in / out - 1/2
// resize_grad:  dx[i] = sum of weight * dy over the elements of y that read x[i]
// Shapes: x, dx [planes, d, h, w]; y, dy [planes, od, oh, ow]. One invocation computes one element of y or dx; the gradient gathers,
// so it needs no atomics. Distances change by b / a in lowest terms (a is 0 where only x[0] is read); all positions are exact integer
// arithmetic. Where an axis keeps its size, DEPTH or ROWS is 0 and it costs nothing. With PARTS an invocation goes through PART rows of dy
// alone, and there are PARTS of each element of dx, before the columns. Twin: src/ops/resize/.
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

// What an element of y reads along an axis: x[low], weighed by near, and where far is not 0, x[low + 1], weighed by far.
struct Tap {
    low: u32,
    near: f32,
    far: f32,
}

fn tap(o: u32, x_size: u32, a: u32, b: u32) -> Tap {
#if CENTRES
    let unit = 2u * b;
    var at = ratio(2u * o + 1u, a, unit);
#else
    let unit = b;
    var at = ratio(o, a, unit);
#end
#if LINEAR
#if CENTRES
    // Half an element less; before the first element there is that one.
    if (at.y >= b) {
        at.y -= b;
    } else if (at.x > 0u) {
        at = vec2<u32>(at.x - 1u, at.y + b);
    } else {
        at.y = 0u;
    }
#end
    if (at.y != 0u && at.x + 1u < x_size) {
        return Tap(at.x, f32(unit - at.y) / f32(unit), f32(at.y) / f32(unit));
    }
#end
    return Tap(at.x, 1.0, 0.0);
}

#if GRAD
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

// The elements of y that read x[i]: from .x up to, not including, .y.
fn readers(i: u32, x_size: u32, y_size: u32, a: u32, b: u32) -> vec2<u32> {
    var found = vec2<u32>(0u, y_size);
    if (a == 0u) {
        found.y = select(0u, y_size, i == 0u);
        return found;
    }
#if LINEAR
    // Those between x[i - 1] and x[i + 1].
    if (i > 0u) {
#if CENTRES
        found.x = (ratio(2u * i - 1u, b, a).x + 1u) / 2u;
#else
        found.x = ratio(i - 1u, b, a).x + 1u;
#end
    }
    if (i + 1u < x_size) {
#if CENTRES
        found.y = min(ratio_up(2u * i + 3u, b, a) / 2u, y_size);
#else
        found.y = min(ratio_up(i + 1u, b, a), y_size);
#end
    }
#else
#if CENTRES
    found = vec2<u32>(ratio_up(2u * i, b, a) / 2u, min(ratio_up(2u * i + 2u, b, a) / 2u, y_size));
#else
    found = vec2<u32>(ratio_up(i, b, a), min(ratio_up(i + 1u, b, a), y_size));
#end
#end
    return found;
}

// How y[o], which is a reader of x[i], weighs it.
fn weight(o: u32, i: u32, x_size: u32, a: u32, b: u32) -> f32 {
#if LINEAR
    let t = tap(o, x_size, a, b);
    return select(t.far, t.near, t.low == i);
#else
    return 1.0;
#end
}

@compute @workgroup_size(${GROUP})
fn resize_grad(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
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
    let column = own % p.x_size.z;
    let row = own / p.x_size.z % p.x_size.y;
    let depth = own / (p.x_size.z * p.x_size.y) % p.x_size.x;
    let plane = own / (p.x_size.z * p.x_size.y * p.x_size.x);
    let columns = readers(column, p.x_size.z, p.y_size.z, p.a.z, p.b.z);
    var sum = 0.0;
#if ROWS
    var rows = readers(row, p.x_size.y, p.y_size.y, p.a.y, p.b.y);
#end
#if PARTS
    rows.x += id / p.x_size.z % ${PARTS}u * ${PART}u;
    rows.y = min(rows.x + ${PART}u, rows.y);
#end
#if DEPTH
    let depths = readers(depth, p.x_size.x, p.y_size.x, p.a.x, p.b.x);
    for (var d = depths.x; d < depths.y; d++) {
        let by_depth = weight(d, depth, p.x_size.x, p.a.x, p.b.x);
#else
        let d = depth;
        let by_depth = 1.0;
#end
#if ROWS
        for (var r = rows.x; r < rows.y; r++) {
            let by_row = by_depth * weight(r, row, p.x_size.y, p.a.y, p.b.y);
#else
            let r = row;
            let by_row = by_depth;
#end
            let start = ((plane * p.y_size.x + d) * p.y_size.y + r) * p.y_size.z;
            for (var c = columns.x; c < columns.y; c++) {
#if LINEAR
                sum += by_row * weight(c, column, p.x_size.z, p.a.z, p.b.z) * dy[start + c];
#else
                sum += dy[start + c];
#end
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

// What the taps read in the row of x that starts at `start`.
fn in_row(start: u32, c: Tap) -> f32 {
#if LINEAR
    // An element without weight is not read, so that an infinity in it makes no NaN.
    if (c.far == 0.0) {
        return x[start + c.low];
    }
    return c.near * x[start + c.low] + c.far * x[start + c.low + 1u];
#else
    return x[start + c.low];
#end
}

fn in_plane(start: u32, row: u32, c: Tap) -> f32 {
#if ROWS
    let r = tap(row, p.x_size.y, p.a.y, p.b.y);
    let near = in_row(start + r.low * p.x_size.z, c);
#if LINEAR
    if (r.far == 0.0) {
        return near;
    }
    return r.near * near + r.far * in_row(start + (r.low + 1u) * p.x_size.z, c);
#else
    return near;
#end
#else
    return in_row(start + row * p.x_size.z, c);
#end
}

fn in_volume(start: u32, depth: u32, row: u32, c: Tap) -> f32 {
    let plane = p.x_size.y * p.x_size.z;
#if DEPTH
    let d = tap(depth, p.x_size.x, p.a.x, p.b.x);
    let near = in_plane(start + d.low * plane, row, c);
#if LINEAR
    if (d.far == 0.0) {
        return near;
    }
    return d.near * near + d.far * in_plane(start + (d.low + 1u) * plane, row, c);
#else
    return near;
#end
#else
    return in_plane(start + depth * plane, row, c);
#end
}

@compute @workgroup_size(${GROUP})
fn resize(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let id = linear_id(gid, groups);
    if (id >= p.n) {
        return;
    }
    let row = id / p.y_size.z % p.y_size.y;
    let depth = id / (p.y_size.z * p.y_size.y) % p.y_size.x;
    let start = id / (p.y_size.z * p.y_size.y * p.y_size.x) * p.x_size.x * p.x_size.y * p.x_size.z;
    y[id] = in_volume(start, depth, row, tap(id % p.y_size.z, p.x_size.z, p.a.z, p.b.z));
}
#end
