// average = keep * average + (1 - keep) * value, with one `keep` per block of 64 elements; where keep is 1 the average is not touched
// Shapes: average, value [64 * blocks], keep [blocks] (bits of floats), clock [8]. One invocation changes four elements.
// Twin: src/ops/moving_average.rs.
#include "clock"
#include "index"

struct Params {
    n4: u32,
}

// Groups of four elements in a block.
const PER_BLOCK: u32 = 16u;

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> average: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> value: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> keep: array<u32>;
@group(0) @binding(4) var<storage, read> clock: array<u32>;

@compute @workgroup_size(${GROUP})
fn moving_average(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_id(gid, groups);
    if (i >= p.n4 || clock[CLOCK_FAULT] != 0u) {
        return;
    }
    let kept = bitcast<f32>(keep[i / PER_BLOCK]);
    // The value may be anything here, NaN included.
    if (kept == 1.0) {
        return;
    }
    average[i] = kept * average[i] + (1.0 - kept) * value[i];
}
