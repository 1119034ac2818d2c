// y = f x + w sum over k of a[k] sin(2 pi (c[k] t + s[k])) in a lead that is kept, 0 in one that is not
// Shapes: x, y [batch, leads, time], u [batch, ${HEAD} + 2 leads] uniform: the factor, the lead that is kept in any case, cycles, start and
// amplitude of each of ${WAVES} waves, then for each lead whether it is dropped and how it weighs the waves.
// One invocation computes one element. Twin: src/ops/signal.rs.
#include "bits"
#include "index"
#include "math"

struct Params {
    scale: vec2<f32>,
    cycles: vec2<f32>,
    n: u32,
    leads: u32,
    time: u32,
    dropout: f32,
    wander: f32,
    pad: u32,
    pad_2: vec2<u32>,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> u: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(${GROUP})
fn signal(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let id = linear_id(gid, groups);
    if (id >= p.n) {
        return;
    }
    let t = f32(id % p.time);
    let lead = id / p.time % p.leads;
    let start = id / (p.time * p.leads) * (${HEAD}u + 2u * p.leads);
    let own = start + ${HEAD}u + 2u * lead;
    let stays = min(u32(u[start + 1u] * f32(p.leads)), p.leads - 1u);
    if (u[own] < p.dropout && lead != stays) {
        y[id] = 0.0;
        return;
    }
    let factor = p.scale.x + (p.scale.y - p.scale.x) * u[start];
    var v = factor * x[id];
#if WANDER
    var sum = 0.0;
    for (var k = 0u; k < ${WAVES}u; k++) {
        let wave = start + 2u + 3u * k;
        let turns = (p.cycles.x + (p.cycles.y - p.cycles.x) * u[wave]) * t + u[wave + 1u];
        sum += u[wave + 2u] * sine(6.2831853 * (turns - floor(turns)), 0u);
    }
    v += (2.0 * u[own + 1u] - 1.0) * (p.wander / ${WAVES}.0) * sum;
#end
    y[id] = v;
}
