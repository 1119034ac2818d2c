// warp: y[q] = x[A q + t (+ d(q))], q and the place read counted from the image's centre, in pixels; between pixels bilinear, or the nearest
// warp_map: (A, t) of every sample, from uniform numbers
// warp_boxes: the boxes that enclose the corners of boxes, carried along
// Shapes: x, y [planes, height, width], map [batch, 6] as (a, b, t) of the column, then of the row; with ELASTIC grid [batch, 2, points, points],
// the control points of a cubic B-spline over cells = points - 3 cells each way, displacements of columns, then of rows.
// One invocation computes one element, one sample's map, or one box. Twin: src/ops/warp/.
#include "bits"
#include "index"

#if KIND == map
#include "math"

struct Params {
    flip: vec2<u32>,
    size: vec2<f32>,
    shift: vec2<f32>,
    zoom: vec2<f32>,
    n: u32,
    quarters: u32,
    rotation: f32,
    shear: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> u: array<f32>;
@group(0) @binding(2) var<storage, read_write> map: array<f32>;

@compute @workgroup_size(${GROUP})
fn warp_map(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_id(gid, groups);
    if (i >= p.n) {
        return;
    }
    let start = i * ${DRAWS}u;
    let flip_x = select(1.0, -1.0, p.flip.x != 0u && u[start] < 0.5);
    let flip_y = select(1.0, -1.0, p.flip.y != 0u && u[start + 1u] < 0.5);
    // Whole quarters are taken out while the angle is in degrees, so that they turn the image exactly.
    let degrees = (2.0 * u[start + 3u] - 1.0) * p.rotation;
    var quarter = round(degrees / 90.0);
    let rest = (degrees - 90.0 * quarter) * 0.017453292;
    if (p.quarters != 0u) {
        quarter += floor(4.0 * u[start + 2u]);
    }
    let quarters = u32(quarter - 4.0 * floor(0.25 * quarter));
    let s = sine(rest, quarters);
    let c = sine(rest, quarters + 1u);
    let shift = (2.0 * vec2<f32>(u[start + 4u], u[start + 5u]) - 1.0) * p.shift * p.size;
    let zoom = p.zoom.x + (p.zoom.y - p.zoom.x) * u[start + 6u];
    let lean = (2.0 * u[start + 7u] - 1.0) * p.shear * 0.017453292;
    let k = sine(lean, 0u) / sine(lean, 1u);
    let row_x = flip_x * vec2<f32>(c - k * s, -s - k * c) / zoom;
    let row_y = flip_y * vec2<f32>(s, c) / zoom;
    let to = i * 6u;
    map[to] = row_x.x;
    map[to + 1u] = row_x.y;
    map[to + 2u] = -(row_x.x * shift.x + row_x.y * shift.y);
    map[to + 3u] = row_y.x;
    map[to + 4u] = row_y.y;
    map[to + 5u] = -(row_y.x * shift.x + row_y.y * shift.y);
}
#end
#if KIND == boxes
struct Params {
    size: vec2<f32>,
    n: u32,
    per_sample: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> boxes: array<f32>;
@group(0) @binding(2) var<storage, read> map: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(${GROUP})
fn warp_boxes(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_id(gid, groups);
    if (i >= p.n) {
        return;
    }
    let low = vec2<f32>(boxes[4u * i], boxes[4u * i + 1u]);
    let high = vec2<f32>(boxes[4u * i + 2u], boxes[4u * i + 3u]);
    var first = low;
    var last = high;
    // What is no box, padding above all, stays.
    if (low.x < high.x && low.y < high.y) {
        let m = i / p.per_sample * 6u;
        let shift = vec2<f32>(map[m + 2u], map[m + 5u]);
        let size = map[m] * map[m + 4u] - map[m + 1u] * map[m + 3u];
        let a = low - 0.5 * p.size - shift;
        let b = high - 0.5 * p.size - shift;
        let x = vec4<f32>(a.x, b.x, a.x, b.x);
        let y = vec4<f32>(a.y, a.y, b.y, b.y);
        let out_x = (map[m + 4u] * x - map[m + 1u] * y) / size;
        let out_y = (map[m] * y - map[m + 3u] * x) / size;
        first = vec2<f32>(min(min(out_x.x, out_x.y), min(out_x.z, out_x.w)), min(min(out_y.x, out_y.y), min(out_y.z, out_y.w)));
        last = vec2<f32>(max(max(out_x.x, out_x.y), max(out_x.z, out_x.w)), max(max(out_y.x, out_y.y), max(out_y.z, out_y.w)));
        first = clamp(first + 0.5 * p.size, vec2<f32>(0.0), p.size);
        last = clamp(last + 0.5 * p.size, vec2<f32>(0.0), p.size);
    }
    y[4u * i] = first.x;
    y[4u * i + 1u] = first.y;
    y[4u * i + 2u] = last.x;
    y[4u * i + 3u] = last.y;
}
#end
#if KIND == image
struct Params {
    n: u32,
    width: u32,
    height: u32,
    channels: u32,
    fill: u32,
    cells: u32,
    pad: vec2<u32>,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<${TYPE}>;
@group(0) @binding(2) var<storage, read> map: array<f32>;
#if ELASTIC
@group(0) @binding(3) var<storage, read> grid: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<${TYPE}>;

// The weights of the four control points around `t`, which lies so far beyond the second of them.
fn spline(t: f32) -> vec4<f32> {
    let s = 1.0 - t;
    return vec4<f32>(s * s * s, (3.0 * t - 6.0) * t * t + 4.0, (3.0 * s - 6.0) * s * s + 4.0, t * t * t) / 6.0;
}

fn displacement(sample: u32, column: u32, row: u32) -> vec2<f32> {
    let cells = f32(p.cells);
    let at = vec2<f32>(f32(column) + 0.5, f32(row) + 0.5) / vec2<f32>(f32(p.width), f32(p.height)) * cells;
    let cell = min(floor(at), vec2<f32>(cells - 1.0));
    let across = spline(at.x - cell.x);
    let down = spline(at.y - cell.y);
    let points = p.cells + 3u;
    var sum = vec2<f32>(0.0, 0.0);
    for (var j = 0u; j < 4u; j++) {
        for (var i = 0u; i < 4u; i++) {
            let start = (2u * sample * points + u32(cell.y) + j) * points + u32(cell.x) + i;
            sum += down[j] * across[i] * vec2<f32>(grid[start], grid[start + points * points]);
        }
    }
    return sum;
}
#else
@group(0) @binding(3) var<storage, read_write> y: array<${TYPE}>;
#end

// Where a pixel beyond the edge is read.
fn inside(i: i32, n: i32) -> i32 {
#if FILL == reflect
    var at = i % (2 * n);
    if (at < 0) {
        at += 2 * n;
    }
    return select(at, 2 * n - 1 - at, at >= n);
#else
    return clamp(i, 0, n - 1);
#end
}

fn pixel(plane: u32, column: i32, row: i32) -> ${TYPE} {
    let width = i32(p.width);
    let height = i32(p.height);
#if FILL == constant
    if (column < 0 || row < 0 || column >= width || row >= height) {
#if TYPE == u32
        return p.fill;
#else
        return bitcast<f32>(p.fill);
#end
    }
#end
    return x[(plane * p.height + u32(inside(row, height))) * p.width + u32(inside(column, width))];
}

#if LINEAR
// What has no weight is not read, so that an image that is only turned stays as it is, and a NaN beside it stays out.
fn between(plane: u32, column: i32, row: i32, part: f32) -> f32 {
    let near = pixel(plane, column, row);
    if (part == 0.0) {
        return near;
    }
    return (1.0 - part) * near + part * pixel(plane, column + 1, row);
}
#end

@compute @workgroup_size(${GROUP})
fn warp(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let id = linear_id(gid, groups);
    if (id >= p.n) {
        return;
    }
    let column = id % p.width;
    let row = id / p.width % p.height;
    let plane = id / (p.width * p.height);
    let sample = plane / p.channels;
    let centre = 0.5 * vec2<f32>(f32(p.width - 1u), f32(p.height - 1u));
    let q = vec2<f32>(f32(column), f32(row)) - centre;
    let m = sample * 6u;
    var at = vec2<f32>(map[m] * q.x + map[m + 1u] * q.y + map[m + 2u], map[m + 3u] * q.x + map[m + 4u] * q.y + map[m + 5u]) + centre;
#if ELASTIC
    at += displacement(sample, column, row);
#end
    at = clamp(at, vec2<f32>(-1e9), vec2<f32>(1e9));
#if LINEAR
    let first = floor(at);
    let part = at - first;
    let start = vec2<i32>(first);
    let near = between(plane, start.x, start.y, part.x);
    if (part.y == 0.0) {
        y[id] = near;
    } else {
        y[id] = (1.0 - part.y) * near + part.y * between(plane, start.x, start.y + 1, part.x);
    }
#else
    let nearest = vec2<i32>(floor(at + 0.5));
    y[id] = pixel(plane, nearest.x, nearest.y);
#end
}
#end
