// lstm:       [i f g o] = gates[t] + h[t'] u, then sigmoid of i, f, o and tanh of g; c[t] = f c[t'] + i g; h[t] = o tanh(c[t]);
//             t' is the step before t (h0 and c0 before the first)
// lstm_grad:  with s[t] = dh[t] + dgates[t"] ut, the whole gradient of h[t], and r[t] = dc[t] + f[t"] r[t"] + s[t] o tanh'(c[t]),
//             that of c[t], t" is the step after t:
//             di = r g i (1 - i);  df = r c[t'] f (1 - f);  dg = r i (1 - g g);  do = s tanh(c[t]) o (1 - o)
//             A masked step has h[t] = h[t'], c[t] = c[t'], dgates[t] = 0, and passes s[t] and r[t] on.
// Shapes: gates, dgates [batch, time, 4 units]; h, c, dh, dc [batch, time, units]; u [units, 4 units]; ut is u transposed;
// h0, c0, dh0, dc0 [batch, units]; lengths [batch]; saved [batch, time, 5 units] holds i, f, g, o and c[t'].
// One invocation (or a few, see shared/recurrent.wgsl) computes one unit of one sample at step p.t; dh0 and dc0 hold what is passed
// on until they are done. Twin: src/ops/lstm.rs.
#include "index"
#include "bits"

struct Params {
    n: u32,
    units: u32,
    time: u32,
    t: u32,
    other: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
#include "recurrent"

#if GRAD
@group(0) @binding(1) var<storage, read> saved: array<f32>;
@group(0) @binding(2) var<storage, read> ut: array<f32>;
@group(0) @binding(3) var<storage, read> dh: array<f32>;
#if CELL
@group(0) @binding(4) var<storage, read> dc: array<f32>;
#end
#if MASK
@group(0) @binding(${4 + CELL}) var<storage, read> lengths: array<u32>;
#end
@group(0) @binding(${4 + CELL + MASK}) var<storage, read_write> dgates: array<f32>;
@group(0) @binding(${5 + CELL + MASK}) var<storage, read_write> dh0: array<f32>;
@group(0) @binding(${6 + CELL + MASK}) var<storage, read_write> dc0: array<f32>;
#else
@group(0) @binding(1) var<storage, read> gates: array<f32>;
@group(0) @binding(2) var<storage, read> u: array<f32>;
@group(0) @binding(3) var<storage, read> h0: array<f32>;
@group(0) @binding(4) var<storage, read> c0: array<f32>;
#if MASK
@group(0) @binding(5) var<storage, read> lengths: array<u32>;
#end
@group(0) @binding(${5 + MASK}) var<storage, read_write> h: array<f32>;
@group(0) @binding(${6 + MASK}) var<storage, read_write> c: array<f32>;
@group(0) @binding(${7 + MASK}) var<storage, read_write> saved: array<f32>;

// Row k of the recurrent kernel at the unit's four gates.
fn weights(k: u32, unit: u32) -> vec4<f32> {
    let at = k * 4u * p.units + unit;
    return vec4<f32>(u[at], u[at + p.units], u[at + 2u * p.units], u[at + 3u * p.units]);
}
#end

fn is_there(sample: u32) -> bool {
#if MASK
    return p.t < lengths[sample];
#else
    return true;
#end
}

#if GRAD
@compute @workgroup_size(${WIDTH})
fn lstm_grad(
    @builtin(global_invocation_id) gid: vec3<u32>,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let index = state_of(gid, group, groups, local);
    let lane = lane_of(local);
    // Invocations without a state repeat the last one's sum: all must meet in total().
    let sample = min(index, p.n - 1u) / p.units;
    let unit = min(index, p.n - 1u) % p.units;
    let last = p.other == p.time;
    var s = 0.0;
    if (!last) {
        let row = (sample * p.time + p.other) * 4u * p.units;
        for (var k = lane; k < 4u * p.units; k += LANES) {
            s += dgates[row + k] * ut[k * p.units + unit];
        }
    }
    s = total(local, s);
    if (lane > 0u || index >= p.n) {
        return;
    }
    var r = 0.0;
    if (!last) {
        s += dh0[index];
        r = dc0[index];
    }
    if (p.t == p.time) {
        dh0[index] = s;
        return;
    }
    let row = sample * p.time + p.t;
    s += dh[row * p.units + unit];
#if CELL
    r += dc[row * p.units + unit];
#end
    let out = row * 4u * p.units + unit;
    if (!is_there(sample)) {
        dgates[out] = 0.0;
        dgates[out + p.units] = 0.0;
        dgates[out + 2u * p.units] = 0.0;
        dgates[out + 3u * p.units] = 0.0;
        dh0[index] = s;
        dc0[index] = r;
        return;
    }
    let at = row * 5u * p.units + unit;
    let i = saved[at];
    let f = saved[at + p.units];
    let g = saved[at + 2u * p.units];
    let o = saved[at + 3u * p.units];
    let before = saved[at + 4u * p.units];
    let y = bounded_tanh(f * before + i * g);
    r += s * o * (1.0 - y * y);
    dgates[out] = r * g * i * (1.0 - i);
    dgates[out + p.units] = r * before * f * (1.0 - f);
    dgates[out + 2u * p.units] = r * i * (1.0 - g * g);
    dgates[out + 3u * p.units] = s * y * o * (1.0 - o);
    dh0[index] = 0.0;
    dc0[index] = r * f;
}
#else
@compute @workgroup_size(${WIDTH})
fn lstm(
    @builtin(global_invocation_id) gid: vec3<u32>,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let index = state_of(gid, group, groups, local);
    let lane = lane_of(local);
    // Invocations without a state repeat the last one's sum: all must meet in total().
    let sample = min(index, p.n - 1u) / p.units;
    let unit = min(index, p.n - 1u) % p.units;
    let first = p.other == p.time;
    let earlier = (sample * p.time + p.other) * p.units;
    var z = vec4<f32>();
    if (first) {
        for (var k = lane; k < p.units; k += LANES) {
            z += h0[sample * p.units + k] * weights(k, unit);
        }
    } else {
        for (var k = lane; k < p.units; k += LANES) {
            z += h[earlier + k] * weights(k, unit);
        }
    }
    z = total(local, z);
    if (lane > 0u || index >= p.n) {
        return;
    }
    let row = sample * p.time + p.t;
    var before = 0.0;
    if (first) {
        before = c0[index];
    } else {
        before = c[earlier + unit];
    }
    let at = row * 5u * p.units + unit;
    if (!is_there(sample)) {
        saved[at] = 0.0;
        saved[at + p.units] = 0.0;
        saved[at + 2u * p.units] = 0.0;
        saved[at + 3u * p.units] = 0.0;
        saved[at + 4u * p.units] = before;
        c[row * p.units + unit] = before;
        if (first) {
            h[row * p.units + unit] = h0[index];
        } else {
            h[row * p.units + unit] = h[earlier + unit];
        }
        return;
    }
    let own = row * 4u * p.units + unit;
    z += vec4<f32>(gates[own], gates[own + p.units], gates[own + 2u * p.units], gates[own + 3u * p.units]);
    let i = sigmoid(z.x);
    let f = sigmoid(z.y);
    let g = bounded_tanh(z.z);
    let o = sigmoid(z.w);
    let cell = f * before + i * g;
    saved[at] = i;
    saved[at + p.units] = f;
    saved[at + 2u * p.units] = g;
    saved[at + 3u * p.units] = o;
    saved[at + 4u * p.units] = before;
    c[row * p.units + unit] = cell;
    h[row * p.units + unit] = o * bounded_tanh(cell);
}
#end
