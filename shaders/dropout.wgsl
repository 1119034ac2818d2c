// y[i] = x[i] * scale where the random word of element i is at least the threshold, else 0
// with CHANNELS the word of i is that of element i / sample * channels + i / inner % channels
// Shapes: x, y [n], clock [8]. One invocation computes two neighbours, which share a call of threefry; with CHANNELS one element.
// Twin: src/ops/dropout.rs.
#include "clock"
#include "index"
#include "threefry"

struct Params {
    n: u32,
    stream: u32,
    threshold: u32,
    scale: f32,
    sample: u32,
    channels: u32,
    inner: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> clock: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(${GROUP})
fn dropout(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    // select, not a product with 0: what is dropped is 0 even where x is not finite.
    let seed = vec2<u32>(clock[CLOCK_SEED_LO], clock[CLOCK_SEED_HI]);
#if CHANNELS
    let i = linear_id(gid, groups);
    if (i >= p.n) {
        return;
    }
    let channel = i / p.sample * p.channels + i / p.inner % p.channels;
    let words = stream_words(seed, p.stream, clock[CLOCK_STEP], channel / 2u);
    y[i] = select(0.0, x[i] * p.scale, select(words.x, words.y, channel % 2u == 1u) >= p.threshold);
#else
    let pair = linear_id(gid, groups);
    let i = 2u * pair;
    if (i >= p.n) {
        return;
    }
    let words = stream_words(seed, p.stream, clock[CLOCK_STEP], pair);
    y[i] = select(0.0, x[i] * p.scale, words.x >= p.threshold);
    if (i + 1u < p.n) {
        y[i + 1u] = select(0.0, x[i + 1u] * p.scale, words.y >= p.threshold);
    }
#end
}
