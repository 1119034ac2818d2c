// c = clamp(g, -value, value); y = c * norm / max(sqrt(sum of c * c), norm). A NaN stays one.
// clip_norm_sum:     sums[part] = the sums of c * c and of (2^-80 * c)^2 over a part of 16384 elements; one workgroup per part
// clip_norm_factor:  the two factors of y: 1 and norm / max(|c|, norm), or, where the plain sum is infinite, 2^-80 and norm / |2^-80 * c|;
//                    one workgroup
// clip_norm_scale:   y = c * factors[0] * factors[1]; one invocation per element
// Shapes: g, y [n], sums [parts, 2], factors [2]. Sums are strided, then a tree: the order is a function of the shape alone.
// Twin: src/ops/clip_norm.rs.
#include "bits"
#include "index"

struct Params {
    n: u32,
    parts: u32,
    value: f32,
    norm: f32,
    down: f32,
}

const LANES = 256u;
const PART = 16384u;

@group(0) @binding(0) var<uniform> p: Params;

fn clipped(x: f32) -> f32 {
#if VALUE
    return select(clamp(x, -p.value, p.value), x, is_nan_bits(x));
#else
    return x;
#end
}

#if STAGE == 3
@group(0) @binding(1) var<storage, read> g: array<f32>;
#if NORM
@group(0) @binding(2) var<storage, read> factors: array<f32>;
#end
@group(0) @binding(${2 + NORM}) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(${GROUP})
fn clip_norm_scale(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_id(gid, groups);
    if (i < p.n) {
#if NORM
        y[i] = clipped(g[i]) * factors[0] * factors[1];
#else
        y[i] = clipped(g[i]);
#end
    }
}
#else
var<workgroup> partial: array<vec2<f32>, 256>;

fn tree_sum(lane: u32, sums: vec2<f32>) -> vec2<f32> {
    partial[lane] = sums;
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (lane < half) {
            partial[lane] += partial[lane + half];
        }
    }
    workgroupBarrier();
    return partial[0];
}
#end

#if STAGE == 1
@group(0) @binding(1) var<storage, read> g: array<f32>;
@group(0) @binding(2) var<storage, read_write> sums: array<vec2<f32>>;

@compute @workgroup_size(256)
fn clip_norm_sum(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let part = group.y * groups.x + group.x;
    if (part >= p.parts) {
        return;
    }
    let end = min((part + 1u) * PART, p.n);
    var acc = vec2<f32>();
    for (var i = part * PART + lane; i < end; i += LANES) {
        let c = vec2<f32>(1.0, p.down) * clipped(g[i]);
        acc += c * c;
    }
    let all = tree_sum(lane, acc);
    if (lane == 0u) {
        sums[part] = all;
    }
}
#end

#if STAGE == 2
@group(0) @binding(1) var<storage, read> sums: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read_write> factors: array<f32>;

@compute @workgroup_size(256)
fn clip_norm_factor(@builtin(local_invocation_index) lane: u32) {
    var acc = vec2<f32>();
    for (var i = lane; i < p.parts; i += LANES) {
        acc += sums[i];
    }
    let all = tree_sum(lane, acc);
    if (lane != 0u) {
        return;
    }
    var first = 1.0;
    var second = 1.0;
    if (is_finite_bits(all.x)) {
        second = p.norm / max(sqrt(all.x), p.norm);
    } else if (!is_finite_bits(all.y)) {
        second = not_a_number(all.y);
    } else if (sqrt(all.y) > p.norm * p.down) {
        first = p.down;
        second = p.norm / sqrt(all.y);
    }
    factors[0] = first;
    factors[1] = second;
}
#end
