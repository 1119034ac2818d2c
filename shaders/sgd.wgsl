// p -= lr * g; with momentum: v = momentum * v - lr * g, then p += v, or with Nesterov p += momentum * v - lr * g
// Shapes: params, velocity, grads [4 * n4], clock [8], schedule [1 + steps]. One invocation changes four elements.
// Twin: src/ops/sgd.rs.
#include "clock"
#include "index"

struct Params {
    n4: u32,
    steps: u32,
    momentum: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> params: array<vec4<f32>>;
#if MOMENTUM
@group(0) @binding(2) var<storage, read_write> velocity: array<vec4<f32>>;
#end
@group(0) @binding(${2 + MOMENTUM}) var<storage, read> grads: array<vec4<f32>>;
@group(0) @binding(${3 + MOMENTUM}) var<storage, read> clock: array<u32>;
@group(0) @binding(${4 + MOMENTUM}) var<storage, read> schedule: array<u32>;

@compute @workgroup_size(${GROUP})
fn sgd(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_id(gid, groups);
    if (i >= p.n4 || clock[CLOCK_FAULT] != 0u) {
        return;
    }
    let k = step_of_epoch(clock[CLOCK_STEP], schedule[SCHEDULE_BASE], p.steps);
    let change = bitcast<f32>(schedule[SCHEDULE_RATES + k]) * grads[i];
#if MOMENTUM
    let v = p.momentum * velocity[i] - change;
    velocity[i] = v;
#if NESTEROV
    params[i] += p.momentum * v - change;
#else
    params[i] += v;
#end
#else
    params[i] -= change;
#end
}
