// y = x + d, then m + f (y - m), then low + (high - low) ((y - low) / (high - low))^g, with numbers d, f, g of each sample's own
// Shapes: x, y [batch, channels, inner], u [batch, 3] uniform, with CONTRAST mean [batch, channels]. One invocation computes one element.
// Twin: src/ops/colour.rs.
#include "bits"
#include "index"
#include "math"

struct Params {
    contrast: vec2<f32>,
    gamma: vec2<f32>,
    range: vec2<f32>,
    n: u32,
    inner: u32,
    channels: u32,
    brightness: f32,
    pad: vec2<u32>,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> u: array<f32>;
#if CONTRAST
@group(0) @binding(3) var<storage, read> mean: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
#else
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
#end

@compute @workgroup_size(${GROUP})
fn colour(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let id = linear_id(gid, groups);
    if (id >= p.n) {
        return;
    }
    let plane = id / p.inner;
    let draw = plane / p.channels * 3u;
    let span = p.range.y - p.range.x;
    let d = (2.0 * u[draw] - 1.0) * p.brightness * span;
    var v = x[id] + d;
#if CONTRAST
    // A factor of 1 leaves every bit as it is.
    let f = p.contrast.x + (p.contrast.y - p.contrast.x) * u[draw + 1u];
    let m = mean[plane] + d;
    v = select(m + f * (v - m), v, f == 1.0);
#end
#if GAMMA
    let g = p.gamma.x + (p.gamma.y - p.gamma.x) * u[draw + 2u];
    let curved = p.range.x + span * power(clamp((v - p.range.x) / span, 0.0, 1.0), g);
    v = select(curved, v, g == 1.0);
#end
#if CLIP
    v = clamp(v, p.range.x, p.range.y);
#end
    y[id] = v;
}
