// y[r] = x0[r], x1[r], .. one behind another
// Shapes: x_i [rows, widths[i]], y [rows, row]; a launch writes the `width` columns from `start` on. One invocation copies one
// element, as a word, float or integer. Twin: src/ops/concat.rs.
#include "index"

struct Params {
    widths: array<vec4<u32>, 2>,
    n: u32,
    width: u32,
    row: u32,
    start: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
#for i in 0..PARTS
@group(0) @binding(${i + 1}) var<storage, read> x${i}: array<u32>;
#end
@group(0) @binding(${PARTS + 1}) var<storage, read_write> y: array<u32>;

@compute @workgroup_size(${GROUP})
fn concat(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_id(gid, groups);
    if (i >= p.n) {
        return;
    }
    let r = i / p.width;
    let to = r * p.row + p.start + i % p.width;
    var column = i % p.width;
#for i in 0..PARTS
    if (column < p.widths[${i / 4}][${i % 4}]) {
        y[to] = x${i}[r * p.widths[${i / 4}][${i % 4}] + column];
        return;
    }
    column -= p.widths[${i / 4}][${i % 4}];
#end
}
