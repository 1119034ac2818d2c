// reduce_serial, reduce_group:  y[o] = scale * combine over the reduced dimensions of x
// expand:                       y[i] = scale * x[i without its broadcast dimensions]
// Shapes: x is walked by two sets of dimensions, kept and gone, each with strides; y [outputs] (or [outputs, parts]).
// reduce_serial: one invocation per output. reduce_group: one workgroup per (output, part), strided sums, then a tree; the order
// is a function of the shape alone. Twin: src/ops/reduce.rs.
#include "index"
#include "bits"

struct Params {
    kept: array<vec4<u32>, 2>,
    kept_strides: array<vec4<u32>, 2>,
    gone_strides: array<vec4<u32>, 2>,
    outputs: u32,
    count: u32,
    part: u32,
    parts: u32,
    scale: f32,
}

const LANES: u32 = 256u;
// Constants: to divide by a number that the compiler knows is to multiply.
const GONE_DIMS = array<u32, ${GONE}>(${GONE_DIMS});

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

var<workgroup> partial: array<f32, 256>;

fn combine(a: f32, b: f32) -> f32 {
    return ${COMBINE};
}

fn kept_offset(index: u32) -> u32 {
    var rest = index;
    var at = 0u;
#for r in 0..(KEPT - 1)
    at += rest % p.kept[${(KEPT - 1 - r) / 4}][${(KEPT - 1 - r) % 4}] * p.kept_strides[${(KEPT - 1 - r) / 4}][${(KEPT - 1 - r) % 4}];
    rest /= p.kept[${(KEPT - 1 - r) / 4}][${(KEPT - 1 - r) % 4}];
#end
    at += rest * p.kept_strides[0][0];
    return at;
}

fn gone_offset(index: u32) -> u32 {
    var rest = index;
    var at = 0u;
#for r in 0..(GONE - 1)
    at += rest % GONE_DIMS[${GONE - 1 - r}] * p.gone_strides[${(GONE - 1 - r) / 4}][${(GONE - 1 - r) % 4}];
    rest /= GONE_DIMS[${GONE - 1 - r}];
#end
    at += rest * p.gone_strides[0][0];
    return at;
}

@compute @workgroup_size(${GROUP})
fn reduce_serial(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let o = linear_id(gid, groups);
    if (o >= p.outputs) {
        return;
    }
    let base = kept_offset(o);
#if MAX
    var acc = x[base];
#else
    var acc = 0.0;
#end
    for (var i = 0u; i < p.count; i++) {
        acc = combine(acc, x[base + gone_offset(i)]);
    }
    y[o] = acc * p.scale;
}

@compute @workgroup_size(256)
fn reduce_group(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let job = group.y * groups.x + group.x;
    if (job >= p.outputs * p.parts) {
        return;
    }
    let base = kept_offset(job / p.parts);
    let start = job % p.parts * p.part;
    let end = min(start + p.part, p.count);
#if MAX
    var acc = x[base + gone_offset(start)];
#else
    var acc = 0.0;
#end
    for (var i = start + lane; i < end; i += LANES) {
        acc = combine(acc, x[base + gone_offset(i)]);
    }
    partial[lane] = acc;
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (lane < half) {
            partial[lane] = combine(partial[lane], partial[lane + half]);
        }
    }
    if (lane == 0u) {
        y[job] = partial[0] * p.scale;
    }
}

@compute @workgroup_size(${GROUP})
fn reduce_expand(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_id(gid, groups);
    if (i < p.outputs) {
        y[i] = x[kept_offset(i)] * p.scale;
    }
}
