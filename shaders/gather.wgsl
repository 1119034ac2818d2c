// gather:       y[e] = table[ids[e]], a row of NaN where ids[e] >= rows
// gather_grad:  dtable[r] = sum of dy[e] over all e with ids[e] = r, in ascending e
// With PADDING the id p.padding gives a row of zeros, and its row of dtable is 0.
// Shapes: table, dtable [rows, width]; ids [n]; y, dy [n, width]. Twin: src/ops/gather.rs.
//
// gather_grad_loop: one invocation per element of dtable reads every id: for few ids.
// gather_grad_block, _merge, _start, _sum: for many. The positions e are sorted by (ids[e], e), first in blocks of
//   256 (a workgroup each, each lane counts how many come before its own), then by merging runs two by two (one invocation per
//   position finds its place by bisection); one invocation per row of dtable finds by bisection where its positions start; then one
//   per element sums them. No atomics: the order of every sum is fixed.
// gather_grad_part: where there are so many ids that a row may have more than an invocation should sum, one invocation per element sums
//   PART rows of dy in sorted order, whatever their ids, or PART such sums; with LONG gather_grad_sum adds them up where they lie
//   within a row's ids as a whole.
#include "index"
#include "bits"

struct Params {
    n: u32,
    rows: u32,
    width: u32,
    // Length of the sorted runs that a merge takes.
    run: u32,
    zero: u32,
    padding: u32,
}

@group(0) @binding(0) var<uniform> p: Params;

#if KIND == gather
@group(0) @binding(1) var<storage, read> table: array<f32>;
@group(0) @binding(2) var<storage, read> ids: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(${GROUP})
fn gather(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_id(gid, groups);
    if (i >= p.n * p.width) {
        return;
    }
    let row = ids[i / p.width];
    var v = quiet_nan(p.zero);
    if (row < p.rows) {
        v = table[row * p.width + i % p.width];
    }
#if PADDING
    v = select(v, 0.0, row == p.padding);
#end
    y[i] = v;
}
#end
#if KIND == loop
@group(0) @binding(1) var<storage, read> ids: array<u32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dtable: array<f32>;

@compute @workgroup_size(${GROUP})
fn gather_grad_loop(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_id(gid, groups);
    if (i >= p.rows * p.width) {
        return;
    }
    let row = i / p.width;
    let column = i % p.width;
    var sum = 0.0;
    for (var e = 0u; e < p.n; e++) {
        if (ids[e] == row) {
            sum += dy[e * p.width + column];
        }
    }
#if PADDING
    sum = select(sum, 0.0, row == p.padding);
#end
    dtable[i] = sum;
}
#end
#if KIND == block
@group(0) @binding(1) var<storage, read> ids: array<u32>;
@group(0) @binding(2) var<storage, read_write> order: array<u32>;

var<workgroup> keys: array<u32, 256>;

@compute @workgroup_size(256)
fn gather_grad_block(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let start = (group.y * groups.x + group.x) * 256u;
    if (start >= p.n) {
        return;
    }
    let count = min(256u, p.n - start);
    if (lane < count) {
        keys[lane] = ids[start + lane];
    }
    workgroupBarrier();
    if (lane < count) {
        let key = keys[lane];
        var before = 0u;
        for (var j = 0u; j < count; j++) {
            before += select(0u, 1u, keys[j] < key || (keys[j] == key && j < lane));
        }
        order[start + before] = start + lane;
    }
}
#end
#if KIND == merge
@group(0) @binding(1) var<storage, read> ids: array<u32>;
@group(0) @binding(2) var<storage, read> order: array<u32>;
@group(0) @binding(3) var<storage, read_write> merged: array<u32>;

@compute @workgroup_size(${GROUP})
fn gather_grad_merge(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let k = linear_id(gid, groups);
    if (k >= p.n) {
        return;
    }
    let left = k / (2u * p.run) * (2u * p.run);
    let right = min(left + p.run, p.n);
    let key = ids[order[k]];
    // How many of the other run come before: those with a smaller id, and for the right run also the left one's equal ids.
    let is_left = k < right;
    let other = select(left, right, is_left);
    var low = other;
    var high = select(right, min(left + 2u * p.run, p.n), is_left);
    while (low < high) {
        let middle = (low + high) / 2u;
        let there = ids[order[middle]];
        if (there < key || (!is_left && there == key)) {
            low = middle + 1u;
        } else {
            high = middle;
        }
    }
    let own = select(k - right, k - left, is_left);
    merged[left + own + (low - other)] = order[k];
}
#end
#if KIND == start
@group(0) @binding(1) var<storage, read> ids: array<u32>;
@group(0) @binding(2) var<storage, read> order: array<u32>;
// Row r has the positions from start[r] to start[r + 1] of the order.
@group(0) @binding(3) var<storage, read_write> start: array<u32>;

@compute @workgroup_size(${GROUP})
fn gather_grad_start(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let row = linear_id(gid, groups);
    if (row > p.rows) {
        return;
    }
    var low = 0u;
    var high = p.n;
    while (low < high) {
        let middle = (low + high) / 2u;
        if (ids[order[middle]] < row) {
            low = middle + 1u;
        } else {
            high = middle;
        }
    }
    start[row] = low;
}
#end
#if KIND == sum
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read> order: array<u32>;
@group(0) @binding(3) var<storage, read> start: array<u32>;
#if LONG
@group(0) @binding(4) var<storage, read> parts: array<f32>;
@group(0) @binding(5) var<storage, read> large_parts: array<f32>;
@group(0) @binding(6) var<storage, read_write> dtable: array<f32>;
#else
@group(0) @binding(4) var<storage, read_write> dtable: array<f32>;
#end

@compute @workgroup_size(${GROUP})
fn gather_grad_sum(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_id(gid, groups);
    if (i >= p.rows * p.width) {
        return;
    }
    let row = i / p.width;
    let column = i % p.width;
    var end = start[row + 1u];
#if PADDING
    // Padding is often most of the ids, and all of it in one row.
    end = select(end, 0u, row == p.padding);
#end
    var sum = 0.0;
#if LONG
    var k = start[row];
    let first = min((k + ${PART - 1}u) / ${PART}u * ${PART}u, end);
    for (; k < first; k++) {
        sum += dy[order[k] * p.width + column];
    }
    // Whole parts, and of these whole ones of theirs.
    var part = (k + ${PART - 1}u) / ${PART}u;
    let end_part = max(part, end / ${PART}u);
    let first_part = min((part + ${PART - 1}u) / ${PART}u * ${PART}u, end_part);
    for (; part < first_part; part++) {
        sum += parts[part * p.width + column];
    }
    var large = (part + ${PART - 1}u) / ${PART}u;
    let end_large = max(large, end_part / ${PART}u);
    part = max(part, end_large * ${PART}u * select(0u, 1u, large < end_large));
    for (; large < end_large; large++) {
        sum += large_parts[large * p.width + column];
    }
    k = max(k, end_part * ${PART}u * select(0u, 1u, first < end));
    for (; part < end_part; part++) {
        sum += parts[part * p.width + column];
    }
    for (; k < end; k++) {
        sum += dy[order[k] * p.width + column];
    }
#else
    for (var k = start[row]; k < end; k++) {
        sum += dy[order[k] * p.width + column];
    }
#end
    dtable[i] = sum;
}
#end
#if KIND == part
@group(0) @binding(1) var<storage, read> x: array<f32>;
#if ORDERED
@group(0) @binding(2) var<storage, read> order: array<u32>;
#end
@group(0) @binding(${2 + ORDERED}) var<storage, read_write> parts: array<f32>;

@compute @workgroup_size(${GROUP})
fn gather_grad_part(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_id(gid, groups);
    let start = i / p.width * ${PART}u;
    if (start >= p.n) {
        return;
    }
    let column = i % p.width;
    var sum = 0.0;
    for (var k = start; k < min(start + ${PART}u, p.n); k++) {
#if ORDERED
        sum += x[order[k] * p.width + column];
#else
        sum += x[k * p.width + column];
#end
    }
    parts[i] = sum;
}
#end
