// Element i has word i mod 2 of threefry(key = (seed_lo ^ stream, seed_hi), counter = (i / 2, step)).
// uniform: y = (word >> 8) * 2^-24; normal: y = sqrt(-2 ln(1 - u)) times cos(2 pi w) and sin(2 pi w), for the pair's words as u and w
// With PER_SAMPLE element i of a sample has word i mod 2 of threefry(key = threefry(key as above, (sample, epoch)), counter = (i / 2, 0)).
// Shapes: clock [8], y [n]; with PER_SAMPLE epoch [1], samples [batch], y [batch, per_sample], and n counts pairs.
// One invocation computes one pair. Twin: src/ops/random.rs.
#include "clock"
#include "index"
#include "threefry"
#if NORMAL
#include "normal"
#end

struct Params {
    n: u32,
    stream: u32,
    per_sample: u32,
    pad: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> clock: array<u32>;
#if PER_SAMPLE
@group(0) @binding(2) var<storage, read> epoch: array<u32>;
@group(0) @binding(3) var<storage, read> samples: array<u32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
#else
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
#end

fn numbers(random_words: vec2<u32>) -> vec2<f32> {
    let words = random_words >> vec2<u32>(8u, 8u);
#if NORMAL
    return normals(words);
#else
    return vec2<f32>(words) * 5.9604644775390625e-8;
#end
}

#if PER_SAMPLE
@compute @workgroup_size(${GROUP})
fn random_per_sample(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let id = linear_id(gid, groups);
    if (id >= p.n) {
        return;
    }
    let pairs = (p.per_sample + 1u) / 2u;
    let sample = id / pairs;
    let i = 2u * (id % pairs);
    let seed = vec2<u32>(clock[CLOCK_SEED_LO] ^ p.stream, clock[CLOCK_SEED_HI]);
    let key = threefry2x32(seed, vec2<u32>(samples[sample], epoch[0]));
    let v = numbers(threefry2x32(key, vec2<u32>(i / 2u, 0u)));
    let at = sample * p.per_sample + i;
    y[at] = v.x;
    if (i + 1u < p.per_sample) {
        y[at + 1u] = v.y;
    }
}
#else
@compute @workgroup_size(${GROUP})
fn random(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let pair = linear_id(gid, groups);
    if (2u * pair >= p.n) {
        return;
    }
    let seed = vec2<u32>(clock[CLOCK_SEED_LO], clock[CLOCK_SEED_HI]);
    let v = numbers(stream_words(seed, p.stream, clock[CLOCK_STEP], pair));
    y[2u * pair] = v.x;
    if (2u * pair + 1u < p.n) {
        y[2u * pair + 1u] = v.y;
    }
}
#end
