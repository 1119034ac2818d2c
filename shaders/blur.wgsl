// y[i] = sum over j of w[j] x[i + j] along one axis, with w[j] in proportion to e^(-j^2 / 2 s^2) and s of each sample's own
// Shapes: x, y [outer, len, inner], outer / planes samples with one s each, u [batch, 1] uniform. One invocation computes one element.
// Twin: src/ops/blur.rs.
#include "index"

struct Params {
    sigma: vec2<f32>,
    n: u32,
    planes: u32,
    len: u32,
    inner: u32,
    pad: vec2<u32>,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> u: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(${GROUP})
fn blur(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let id = linear_id(gid, groups);
    if (id >= p.n) {
        return;
    }
    let row = id / p.inner % p.len;
    let outer = id / (p.inner * p.len);
    let first = outer * p.len * p.inner + id % p.inner;
    let sigma = p.sigma.x + (p.sigma.y - p.sigma.x) * u[outer / p.planes];
    let radius = i32(floor(4.0 * sigma + 0.5));
    if (radius == 0) {
        y[id] = x[id];
        return;
    }
    let len = i32(p.len);
    let steep = -0.5 / (sigma * sigma);
    var sum = 0.0;
    var weights = 0.0;
    for (var j = -radius; j <= radius; j++) {
        let w = exp(steep * f32(j * j));
        // The image in a mirror beyond its edges.
        var at = (i32(row) + j) % (2 * len);
        at = select(at, at + 2 * len, at < 0);
        at = select(at, 2 * len - 1 - at, at >= len);
        sum += w * x[first + u32(at) * p.inner];
        weights += w;
    }
    y[id] = sum / weights;
}
