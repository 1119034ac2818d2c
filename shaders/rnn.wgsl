// rnn:       h[t] = f(gates[t] + h[t'] u), f is tanh or relu, t' is the step before t (h0 before the first)
// rnn_grad:  dgates[t] = f'(h[t]) s[t] with the whole gradient s[t] = dh[t] + dgates[t"] ut of h[t], t" is the step after t;
//            dh0 = dgates[t"] ut where t" is the first step. A masked step has h[t] = h[t'], dgates[t] = 0, and passes s[t] on.
// Shapes: gates, h, dh, dgates [batch, time, units]; u, ut [units, units], ut is u transposed; h0, dh0 [batch, units];
// lengths [batch]. One invocation (or a few, see shared/recurrent.wgsl) computes one unit of one sample at step p.t; dh0 holds what
// masked steps pass on until it is done. Twin: src/ops/rnn.rs.
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

#if MASK
@group(0) @binding(4) var<storage, read> lengths: array<u32>;
#end

fn is_there(sample: u32) -> bool {
#if MASK
    return p.t < lengths[sample];
#else
    return true;
#end
}

#if GRAD
@group(0) @binding(1) var<storage, read> h: array<f32>;
@group(0) @binding(2) var<storage, read> ut: array<f32>;
@group(0) @binding(3) var<storage, read> dh: array<f32>;
@group(0) @binding(${4 + MASK}) var<storage, read_write> dgates: array<f32>;
@group(0) @binding(${5 + MASK}) var<storage, read_write> dh0: array<f32>;

@compute @workgroup_size(${WIDTH})
fn rnn_grad(
    @builtin(global_invocation_id) gid: vec3<u32>,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = state_of(gid, group, groups, local);
    let lane = lane_of(local);
    // Invocations without a state repeat the last one's sum: all must meet in total().
    let sample = min(i, p.n - 1u) / p.units;
    let unit = min(i, p.n - 1u) % p.units;
    var s = 0.0;
    if (p.other < p.time) {
        let row = (sample * p.time + p.other) * p.units;
        for (var k = lane; k < p.units; k += LANES) {
            s += dgates[row + k] * ut[k * p.units + unit];
        }
    }
    s = total(local, s);
    if (lane > 0u || i >= p.n) {
        return;
    }
    if (p.other < p.time) {
        s += dh0[i];
    }
    if (p.t == p.time) {
        dh0[i] = s;
        return;
    }
    let at = (sample * p.time + p.t) * p.units + unit;
    s += dh[at];
    let there = is_there(sample);
    let y = h[at];
#if RELU
    let slope = select(0.0, 1.0, y > 0.0);
#else
    let slope = 1.0 - y * y;
#end
    dgates[at] = select(0.0, s * slope, there);
    dh0[i] = select(s, 0.0, there);
}
#else
@group(0) @binding(1) var<storage, read> gates: array<f32>;
@group(0) @binding(2) var<storage, read> u: array<f32>;
@group(0) @binding(3) var<storage, read> h0: array<f32>;
@group(0) @binding(${4 + MASK}) var<storage, read_write> h: array<f32>;

@compute @workgroup_size(${WIDTH})
fn rnn(
    @builtin(global_invocation_id) gid: vec3<u32>,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = state_of(gid, group, groups, local);
    let lane = lane_of(local);
    // Invocations without a state repeat the last one's sum: all must meet in total().
    let sample = min(i, p.n - 1u) / p.units;
    let unit = min(i, p.n - 1u) % p.units;
    let first = p.other == p.time;
    let before = (sample * p.time + p.other) * p.units;
    var z = 0.0;
    if (first) {
        for (var k = lane; k < p.units; k += LANES) {
            z += h0[sample * p.units + k] * u[k * p.units + unit];
        }
    } else {
        for (var k = lane; k < p.units; k += LANES) {
            z += h[before + k] * u[k * p.units + unit];
        }
    }
    z = total(local, z);
    if (lane > 0u || i >= p.n) {
        return;
    }
    let at = (sample * p.time + p.t) * p.units + unit;
    if (!is_there(sample)) {
        if (first) {
            h[at] = h0[i];
        } else {
            h[at] = h[before + unit];
        }
        return;
    }
    z += gates[at];
#if RELU
    // Not max(): that may drop a NaN.
    h[at] = select(z, 0.0, z < 0.0);
#else
    h[at] = bounded_tanh(z);
#end
}
#end
