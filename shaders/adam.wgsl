// m += gain1 * (g - m); v += gain2 * (g * g - v); p -= alpha * m / (sqrt(v) + epsilon), where gain = 1 - beta and
// alpha = lr * sqrt(1 - beta2^t) / (1 - beta1^t) for the t-th step, counted from 1
// Shapes: params, m, v, grads [4 * n4], clock [8], schedule [1 + steps]. One invocation changes four elements.
// Twin: src/ops/adam.rs.
#include "clock"
#include "index"

struct Params {
    n4: u32,
    steps: u32,
    gain1: f32,
    gain2: f32,
    epsilon: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> params: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> moment1: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> moment2: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> grads: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> clock: array<u32>;
@group(0) @binding(6) var<storage, read> schedule: array<u32>;

// 1 - beta^exponent from 1 - beta, by squaring: 1 - ab = (1 - a) + (1 - b) a. Nothing cancels, and pow() need not be exact.
fn one_minus_power(one_minus: f32, exponent: u32) -> f32 {
    var result = 0.0;
    var square = one_minus;
    var e = exponent;
    while (e != 0u) {
        if ((e & 1u) != 0u) {
            result += square * (1.0 - result);
        }
        square *= 2.0 - square;
        e >>= 1u;
    }
    return result;
}

@compute @workgroup_size(${GROUP})
fn adam(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_id(gid, groups);
    if (i >= p.n4 || clock[CLOCK_FAULT] != 0u) {
        return;
    }
    let t = clock[CLOCK_STEP];
    let k = step_of_epoch(t, schedule[SCHEDULE_BASE], p.steps);
    let lr = bitcast<f32>(schedule[SCHEDULE_RATES + k]);
    let alpha = lr * sqrt(one_minus_power(p.gain2, t + 1u)) / one_minus_power(p.gain1, t + 1u);
    let g = grads[i];
    let m = moment1[i] + (g - moment1[i]) * p.gain1;
    let v = moment2[i] + (g * g - moment2[i]) * p.gain2;
    moment1[i] = m;
    moment2[i] = v;
    params[i] -= alpha * m / (sqrt(v) + p.epsilon);
}
