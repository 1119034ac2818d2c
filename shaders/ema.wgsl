// average += gain * (params - average), where gain = 1 - keep; an element that is NaN becomes the parameter. Only in steps that make an
// update.
// Shapes: average, params [4 * n4], clock [8]. One invocation changes four elements. Twin: src/ops/ema.rs.
#include "bits"
#include "clock"
#include "index"

struct Params {
    n4: u32,
    every: u32,
    gain: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> average: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> params: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> clock: array<u32>;

@compute @workgroup_size(${GROUP})
fn ema(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_id(gid, groups);
    if (i >= p.n4 || !makes_update(clock[CLOCK_STEP] + 1u, clock[CLOCK_FAULT], p.every)) {
        return;
    }
    let a = average[i];
    let x = params[i];
    let next = a + (x - a) * p.gain;
    let begins = vec4<bool>(is_nan_bits(a.x), is_nan_bits(a.y), is_nan_bits(a.z), is_nan_bits(a.w));
    average[i] = select(next, x, begins);
}
