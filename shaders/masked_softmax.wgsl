// masked_softmax:       y_j = exp(s x_j - m) / sum exp(s x - m) over the keys j that are seen, else 0;   m = max s x, s = scale
// masked_softmax_grad:  dx = s y (dy - sum dy y)
// Shapes: x, y, dy, dx [batch, .., query, key]; lengths [batch]; mask broadcasts to x. A key is seen where it lies before the
// lengths' end, with CAUSAL not after its query, and where the mask is not 0. One invocation, or one workgroup, computes one row
// (a column of shared/column.wgsl, with inner = 1); with REGISTERS a lane keeps its elements, so that the row is read and written once.
// Rows that are too long for that are cut into parts (shared/parts.wgsl): masked_softmax_tops gives m and s of every part, which
// shaders/softmax.wgsl merges, masked_softmax_grad_terms the sums of dy y, which shaders/reduce.wgsl adds up; masked_softmax_apply and
// masked_softmax_grad_apply then write y and dx, one invocation per element.
// s x - m is never above 0, so exp cannot overflow; a NaN or an infinite maximum makes all seen keys of the row NaN; a row in which no
// key is seen is 0. Twin: src/ops/masked_softmax.rs.
#include "index"
#include "bits"

struct Params {
    // The extents of x before its last, and how far the mask moves along them.
    dims: array<vec4<u32>, 2>,
    steps: array<vec4<u32>, 2>,
    // Rows of x, and keys of a row.
    columns: u32,
    c: u32,
    inner: u32,
    // Rows of a sample.
    rows: u32,
    queries: u32,
    // How far the mask moves from one key to the next: 0 or 1.
    step: u32,
    scale: f32,
    // Parts of a row, and keys of each.
    parts: u32,
    part: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
#include "column"
#if STAGE == whole
#else
#include "parts"
#end

#if GRAD
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
#else
@group(0) @binding(1) var<storage, read> x: array<f32>;
#if LENGTHS
@group(0) @binding(2) var<storage, read> lengths: array<u32>;
#end
#if MASK
@group(0) @binding(${2 + LENGTHS}) var<storage, read> mask: array<f32>;
#end
#end

// Keys from here on are not seen.
fn end_of(row: u32) -> u32 {
    var end = p.c;
#if CAUSAL
    end = min(end, row % p.queries + 1u);
#end
#if LENGTHS
    end = min(end, lengths[row / p.rows]);
#end
    return end;
}

#if GRAD
#if STAGE == terms
@group(0) @binding(3) var<storage, read_write> sums: array<f32>;

@compute @workgroup_size(256)
fn masked_softmax_grad_terms(
    @builtin(global_invocation_id) gid: vec3<u32>,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let job = column_of(gid, group, groups);
    if (job >= p.columns * p.parts) {
        return;
    }
    let at = span_of(job);
    let end = min(at.end, end_of(at.column));
    var s = 0.0;
    for (var j = at.start + lane; j < end; j += LANES) {
        s += dy[at.first + j] * y[at.first + j];
    }
    s = column_sum(lane, s);
    if (lane == 0u) {
        sums[job] = s;
    }
}
#end

#if STAGE == apply
@group(0) @binding(3) var<storage, read> sums: array<f32>;
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(${GROUP})
fn masked_softmax_grad_apply(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_id(gid, groups);
    if (i >= p.columns * p.c) {
        return;
    }
    let row = i / p.c;
    var v = 0.0;
    if (i % p.c < end_of(row)) {
        v = p.scale * (y[i] * (dy[i] - sums[row]));
    }
    dx[i] = v;
}
#end

#if STAGE == whole
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(${WIDTH})
fn masked_softmax_grad(
    @builtin(global_invocation_id) gid: vec3<u32>,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = column_of(gid, group, groups);
    if (row >= p.columns) {
        return;
    }
    let lane = lane_of(local);
    let first = row * p.c;
    let end = end_of(row);
    var s = 0.0;
#if REGISTERS
#for i in 0..REGISTERS
    let j${i} = lane + ${i}u * LANES;
    var y${i} = 0.0;
    var dy${i} = 0.0;
    if (j${i} < end) {
        y${i} = y[first + j${i}];
        dy${i} = dy[first + j${i}];
    }
    s += dy${i} * y${i};
#end
    s = column_sum(lane, s);
#for i in 0..REGISTERS
    if (j${i} < p.c) {
        dx[first + j${i}] = p.scale * (y${i} * (dy${i} - s));
    }
#end
#else
    for (var j = lane; j < end; j += LANES) {
        s += dy[first + j] * y[first + j];
    }
    s = column_sum(lane, s);
    for (var j = lane; j < p.c; j += LANES) {
        var v = 0.0;
        if (j < end) {
            v = p.scale * (y[first + j] * (dy[first + j] - s));
        }
        dx[first + j] = v;
    }
#end
}
#end
#else
// Where the row's part of the mask starts.
fn mask_of(row: u32) -> u32 {
    var at = 0u;
#if MASK
    var rest = row;
#for r in 0..RANK
    at += rest % p.dims[${(RANK - 1 - r) / 4}][${(RANK - 1 - r) % 4}] * p.steps[${(RANK - 1 - r) / 4}][${(RANK - 1 - r) % 4}];
    rest /= p.dims[${(RANK - 1 - r) / 4}][${(RANK - 1 - r) % 4}];
#end
#end
    return at;
}

// Whether key `j`, which lies before the row's end, is seen.
fn seen(start: u32, j: u32) -> bool {
#if MASK
    return mask[start + j * p.step] != 0.0;
#else
    return true;
#end
}

#if STAGE == tops
@group(0) @binding(${2 + LENGTHS + MASK}) var<storage, read_write> tops: array<f32>;

@compute @workgroup_size(256)
fn masked_softmax_tops(
    @builtin(global_invocation_id) gid: vec3<u32>,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let job = column_of(gid, group, groups);
    if (job >= p.columns * p.parts) {
        return;
    }
    let at = span_of(job);
    let end = min(at.end, end_of(at.column));
    let start = mask_of(at.column);
    // Below every finite score.
    var m = -3.4028234e38;
    for (var j = at.start + lane; j < end; j += LANES) {
        if (seen(start, j)) {
            m = larger(m, p.scale * x[at.first + j]);
        }
    }
    m = column_max(lane, m);
    var s = 0.0;
    for (var j = at.start + lane; j < end; j += LANES) {
        s += select(0.0, exp(p.scale * x[at.first + j] - m), seen(start, j));
    }
    s = column_sum(lane, s);
    if (lane == 0u) {
        tops[2u * job] = m;
        tops[2u * job + 1u] = s;
    }
}
#end

#if STAGE == apply
@group(0) @binding(${2 + LENGTHS + MASK}) var<storage, read> tops: array<f32>;
@group(0) @binding(${3 + LENGTHS + MASK}) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(${GROUP})
fn masked_softmax_apply(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_id(gid, groups);
    if (i >= p.columns * p.c) {
        return;
    }
    let row = i / p.c;
    let j = i % p.c;
    let m = tops[2u * row];
    var w = 0.0;
    if (j < end_of(row)) {
        w = select(0.0, spoiled_by(m, exp(p.scale * x[i] - m) / tops[2u * row + 1u]), seen(mask_of(row), j));
    }
    y[i] = w;
}
#end

#if STAGE == whole
@group(0) @binding(${2 + LENGTHS + MASK}) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(${WIDTH})
fn masked_softmax(
    @builtin(global_invocation_id) gid: vec3<u32>,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = column_of(gid, group, groups);
    if (row >= p.columns) {
        return;
    }
    let lane = lane_of(local);
    let first = row * p.c;
    let end = end_of(row);
    let start = mask_of(row);
    // Below every finite score.
    var m = -3.4028234e38;
    var s = 0.0;
#if REGISTERS
#for i in 0..REGISTERS
    let j${i} = lane + ${i}u * LANES;
    var on${i} = false;
    var v${i} = 0.0;
    if (j${i} < end) {
        on${i} = seen(start, j${i});
        v${i} = p.scale * x[first + j${i}];
    }
    m = select(m, larger(m, v${i}), on${i});
#end
    m = column_max(lane, m);
#for i in 0..REGISTERS
    v${i} = select(0.0, exp(v${i} - m), on${i});
    s += v${i};
#end
    s = column_sum(lane, s);
#for i in 0..REGISTERS
    if (j${i} < p.c) {
        y[first + j${i}] = select(0.0, spoiled_by(m, v${i} / s), on${i});
    }
#end
#else
    for (var j = lane; j < end; j += LANES) {
        if (seen(start, j)) {
            m = larger(m, p.scale * x[first + j]);
        }
    }
    m = column_max(lane, m);
    for (var j = lane; j < end; j += LANES) {
        // Kept in y until the sum is known: each lane reads back only what it wrote itself.
        let e = select(0.0, exp(p.scale * x[first + j] - m), seen(start, j));
        y[first + j] = e;
        s += e;
    }
    s = column_sum(lane, s);
    for (var j = lane; j < p.c; j += LANES) {
        var w = 0.0;
        if (j < end) {
            w = select(0.0, spoiled_by(m, y[first + j] / s), seen(start, j));
        }
        y[first + j] = w;
    }
#end
}
#end
#end
