// gru:       with q = h[t'] u + b:  [z r] = sigmoid(gates[t] + q);  g = tanh(gates[t].g + r q.g);  h[t] = z h[t'] + (1 - z) g;
//            t' is the step before t (h0 before the first)
// gru_grad:  with s[t] = dh[t] + z[t"] s[t"] + drecurrent[t"] ut, the whole gradient of h[t], t" is the step after t:
//            dz = s (h[t'] - g) z (1 - z);  dg = s (1 - z) (1 - g g);  dr = dg q.g r (1 - r)
//            dgates = [dz dr dg];  drecurrent = [dz dr (dg r)], the gradient of q.
//            A masked step has h[t] = h[t'], zeros for both gradients, and passes s[t] on.
// Shapes: gates, dgates, drecurrent [batch, time, 3 units]; h, h[t'] (called before), dh [batch, time, units]; u [units, 3 units];
// ut is u transposed; b [3 units]; h0, dh0 [batch, units]; lengths [batch]; saved [batch, time, 4 units] holds z, r, g and q.g.
// One invocation (or a few, see shared/recurrent.wgsl) computes one unit of one sample at step p.t; dh0 holds what is passed on
// until it is done. Twin: src/ops/gru.rs.
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
@group(0) @binding(5) var<storage, read> lengths: array<u32>;
#end

fn is_there(sample: u32) -> bool {
#if MASK
    return p.t < lengths[sample];
#else
    return true;
#end
}

#if GRAD
@group(0) @binding(1) var<storage, read> saved: array<f32>;
@group(0) @binding(2) var<storage, read> ut: array<f32>;
@group(0) @binding(3) var<storage, read> before: array<f32>;
@group(0) @binding(4) var<storage, read> dh: array<f32>;
@group(0) @binding(${5 + MASK}) var<storage, read_write> dgates: array<f32>;
@group(0) @binding(${6 + MASK}) var<storage, read_write> drecurrent: array<f32>;
@group(0) @binding(${7 + MASK}) var<storage, read_write> dh0: array<f32>;

@compute @workgroup_size(${WIDTH})
fn gru_grad(
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
    var s = 0.0;
    if (p.other < p.time) {
        let row = (sample * p.time + p.other) * 3u * p.units;
        for (var k = lane; k < 3u * p.units; k += LANES) {
            s += drecurrent[row + k] * ut[k * p.units + unit];
        }
    }
    s = total(local, s);
    if (lane > 0u || index >= p.n) {
        return;
    }
    if (p.other < p.time) {
        s += dh0[index];
    }
    if (p.t == p.time) {
        dh0[index] = s;
        return;
    }
    let row = sample * p.time + p.t;
    s += dh[row * p.units + unit];
    let at = row * 4u * p.units + unit;
    let z = saved[at];
    let r = saved[at + p.units];
    let g = saved[at + 2u * p.units];
    let q = saved[at + 3u * p.units];
    var dz = s * (before[row * p.units + unit] - g) * z * (1.0 - z);
    var dg = s * (1.0 - z) * (1.0 - g * g);
    var dr = dg * q * r * (1.0 - r);
    var dq = dg * r;
    var carried = s * z;
    if (!is_there(sample)) {
        dz = 0.0;
        dg = 0.0;
        dr = 0.0;
        dq = 0.0;
        carried = s;
    }
    let out = row * 3u * p.units + unit;
    dgates[out] = dz;
    dgates[out + p.units] = dr;
    dgates[out + 2u * p.units] = dg;
    drecurrent[out] = dz;
    drecurrent[out + p.units] = dr;
    drecurrent[out + 2u * p.units] = dq;
    dh0[index] = carried;
}
#else
@group(0) @binding(1) var<storage, read> gates: array<f32>;
@group(0) @binding(2) var<storage, read> u: array<f32>;
@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read> h0: array<f32>;
@group(0) @binding(${5 + MASK}) var<storage, read_write> h: array<f32>;
@group(0) @binding(${6 + MASK}) var<storage, read_write> saved: array<f32>;

// Row k of the recurrent kernel at the unit's three gates.
fn weights(k: u32, unit: u32) -> vec3<f32> {
    let at = k * 3u * p.units + unit;
    return vec3<f32>(u[at], u[at + p.units], u[at + 2u * p.units]);
}

@compute @workgroup_size(${WIDTH})
fn gru(
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
    var q = vec3<f32>();
    if (first) {
        for (var k = lane; k < p.units; k += LANES) {
            q += h0[sample * p.units + k] * weights(k, unit);
        }
    } else {
        for (var k = lane; k < p.units; k += LANES) {
            q += h[earlier + k] * weights(k, unit);
        }
    }
    q = total(local, q);
    if (lane > 0u || index >= p.n) {
        return;
    }
    let row = sample * p.time + p.t;
    var before = 0.0;
    if (first) {
        before = h0[index];
    } else {
        before = h[earlier + unit];
    }
    let at = row * 4u * p.units + unit;
    if (!is_there(sample)) {
        saved[at] = 0.0;
        saved[at + p.units] = 0.0;
        saved[at + 2u * p.units] = 0.0;
        saved[at + 3u * p.units] = 0.0;
        h[row * p.units + unit] = before;
        return;
    }
    let own = row * 3u * p.units + unit;
    q += vec3<f32>(b[unit], b[p.units + unit], b[2u * p.units + unit]);
    let z = sigmoid(gates[own] + q.x);
    let r = sigmoid(gates[own + p.units] + q.y);
    let g = bounded_tanh(gates[own + 2u * p.units] + r * q.z);
    saved[at] = z;
    saved[at + p.units] = r;
    saved[at + 2u * p.units] = g;
    saved[at + 3u * p.units] = q.z;
    h[row * p.units + unit] = z * before + (1.0 - z) * g;
}
#end
