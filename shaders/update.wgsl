// One step of an optimizer, in update t (counted from 1), with gain = 1 - beta; the rule is chosen by RULE:
// sgd      p -= lr * g; with momentum: v = momentum * v - lr * g, then p += v, or with Nesterov p += momentum * v - lr * g
// adam     m += gain1 * (g - m); v += gain2 * (g * g - v); p -= alpha * m / (sqrt(v) + epsilon), where
//          alpha = lr * sqrt(1 - beta2^t) / (1 - beta1^t); with AMSGrad the largest v so far in place of v
// nadam    moments as in adam; p -= lr * (u' * m / (1 - U') + (1 - u) * g / (1 - U)) / (sqrt(v / (1 - beta2^t)) + epsilon), where
//          u = beta1 * (1 - 0.96^t / 2), U = the product of all u up to t, u' and U' the same for t + 1
// rmsprop  v += gain2 * (g * g - v); s = lr * g / sqrt(v + epsilon); p -= s; centered: a += gain2 * (g - a), and v - a * a in place of
//          v in s; with momentum: b = momentum * b + s, p -= b
// adagrad  a += g * g; p -= lr * g / sqrt(a + epsilon)
// Before it p -= p * decay * lr. Learning rate and decay are those of the group of the block of 64 elements; with the factor 0 of the
// learning rate nothing changes.
// Shapes: params, state, grads [4 * n4], clock [8], schedule [1 + steps], table [2 * groups + n4 / 16]. One invocation changes four
// elements. Twin: src/ops/update/cpu.rs.
#include "blocks"
#include "clock"
#include "index"

struct Params {
    n4: u32,
    steps: u32,
    every: u32,
    groups: u32,
    momentum: f32,
    gain1: f32,
    gain2: f32,
    epsilon: f32,
#if RULE == nadam
    // (1 - 0.96 / 2) .. (1 - 0.96^t / 2) for t = 0, 1, ..; the last stands for all that follow.
    products: array<vec4<f32>, 128>,
#end
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> params: array<vec4<f32>>;
#for s in 0..STATES
@group(0) @binding(${2 + s}) var<storage, read_write> state${s}: array<vec4<f32>>;
#end
@group(0) @binding(${2 + STATES}) var<storage, read> grads: array<vec4<f32>>;
@group(0) @binding(${3 + STATES}) var<storage, read> clock: array<u32>;
@group(0) @binding(${4 + STATES}) var<storage, read> schedule: array<u32>;
@group(0) @binding(${5 + STATES}) var<storage, read> table: array<u32>;

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
fn update(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_id(gid, groups);
    let done = clock[CLOCK_STEP] + 1u;
    if (i >= p.n4 || !makes_update(done, clock[CLOCK_FAULT], p.every)) {
        return;
    }
    let group = word_of_group(table[word_of_block(i / (BLOCK / 4u), p.groups)], p.groups);
    let factor = bitcast<f32>(table[group]);
    if (factor == 0.0) {
        return;
    }
    let k = step_of_epoch(clock[CLOCK_STEP], schedule[SCHEDULE_BASE], p.steps);
    let lr = bitcast<f32>(schedule[SCHEDULE_RATES + k]) * factor;
    let decay = bitcast<f32>(table[group + 1u]);
    let g = grads[i];
    var x = params[i];
    if (decay != 0.0) {
        x -= x * (lr * decay);
    }
#if RULE == sgd
    let change = lr * g;
#if MOMENTUM
    let v = p.momentum * state0[i] - change;
    state0[i] = v;
#if NESTEROV
    x += p.momentum * v - change;
#else
    x += v;
#end
#else
    x -= change;
#end
#end
#if RULE == adam
    let t = max(done / p.every, 1u);
    let alpha = lr * sqrt(one_minus_power(p.gain2, t)) / one_minus_power(p.gain1, t);
    let m = state0[i] + (g - state0[i]) * p.gain1;
    var v = state1[i] + (g * g - state1[i]) * p.gain2;
    state0[i] = m;
    state1[i] = v;
#if AMSGRAD
    v = max(v, state2[i]);
    state2[i] = v;
#end
    x -= alpha * m / (sqrt(v) + p.epsilon);
#end
#if RULE == nadam
    let t = max(done / p.every, 1u);
    let beta1 = 1.0 - p.gain1;
    let now = beta1 * (0.5 + 0.5 * one_minus_power(0.04, t));
    let next = beta1 * (0.5 + 0.5 * one_minus_power(0.04, t + 1u));
    let at = min(t, 511u);
    let so_far = (1.0 - one_minus_power(p.gain1, t)) * p.products[at / 4u][at % 4u];
    let of_moment = next / (1.0 - so_far * next);
    let of_gradient = (1.0 - now) / (1.0 - so_far);
    let second = one_minus_power(p.gain2, t);
    let m = state0[i] + (g - state0[i]) * p.gain1;
    let v = state1[i] + (g * g - state1[i]) * p.gain2;
    state0[i] = m;
    state1[i] = v;
    x -= lr * (of_moment * m + of_gradient * g) / (sqrt(v / second) + p.epsilon);
#end
#if RULE == rmsprop
    let v = state0[i] + (g * g - state0[i]) * p.gain2;
    state0[i] = v;
#if CENTERED
    let a = state${STATES - 1}[i] + (g - state${STATES - 1}[i]) * p.gain2;
    state${STATES - 1}[i] = a;
    // A variance is not negative, but the difference of two rounded numbers may be.
    let step = lr * g / sqrt(max(v - a * a, vec4<f32>()) + p.epsilon);
#else
    let step = lr * g / sqrt(v + p.epsilon);
#end
#if MOMENTUM
    let b = p.momentum * state1[i] + step;
    state1[i] = b;
    x -= b;
#else
    x -= step;
#end
#end
#if RULE == adagrad
    let a = state0[i] + g * g;
    state0[i] = a;
    x -= lr * g / sqrt(a + p.epsilon);
#end
    params[i] = x;
}
