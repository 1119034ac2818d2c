// penalty:       y = l1 * |x| + l2 * x * x
// penalty_grad:  y = g + l1 * sign(x) + 2 * l2 * x, with 0 as the sign of 0
// The factors are those of the group of the block of 64 elements.
// Shapes: x, g, y [4 * n4], table [2 * groups + n4 / 16]. One invocation computes four elements. Twin: src/ops/penalty.rs.
#include "blocks"
#include "index"

struct Params {
    n4: u32,
    groups: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
#if GRADIENT
@group(0) @binding(2) var<storage, read> g: array<vec4<f32>>;
#end
@group(0) @binding(${2 + GRADIENT}) var<storage, read> table: array<u32>;
@group(0) @binding(${3 + GRADIENT}) var<storage, read_write> y: array<vec4<f32>>;

#if GRADIENT
@compute @workgroup_size(${GROUP})
fn penalty_grad(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
#else
@compute @workgroup_size(${GROUP})
fn penalty(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
#end
    let i = linear_id(gid, groups);
    if (i >= p.n4) {
        return;
    }
    let group = word_of_group(table[word_of_block(i / (BLOCK / 4u), p.groups)], p.groups);
    let l1 = bitcast<f32>(table[group]);
    let l2 = bitcast<f32>(table[group + 1u]);
#if GRADIENT
    y[i] = g[i] + l1 * sign(x[i]) + (l2 + l2) * x[i];
#else
    y[i] = l1 * abs(x[i]) + l2 * x[i] * x[i];
#end
}
