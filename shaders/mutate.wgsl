// y[i] = c(m(x[j])): letters mutated one by one, and where the sample's strand is turned j = length - 1 - i and c their complement, else
// j = i and c nothing. Shapes: x, y tokens [batch, time], or ONE_HOT [batch, letters, time]; u [batch, 1 + time] uniform: the strand's
// number, then each letter's; table [letters]: the complements; with LENGTHS lengths [batch]. What lies behind a length stays.
// One invocation computes one element. Twin: src/ops/mutate.rs.
#include "index"

struct Params {
    n: u32,
    time: u32,
    letters: u32,
    first: u32,
    rate: u32,
    reverse: f32,
    pad: vec2<u32>,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read> u: array<f32>;
@group(0) @binding(3) var<storage, read> table: array<u32>;
#if LENGTHS
@group(0) @binding(4) var<storage, read> lengths: array<u32>;
@group(0) @binding(5) var<storage, read_write> y: array<u32>;
#else
@group(0) @binding(4) var<storage, read_write> y: array<u32>;
#end

// How many letters further the mutation goes: 0 for none, else 1 to letters - 1, each as likely. `draw` is below 2^24, and letters at
// most 256, so that this is arithmetic on whole numbers.
fn step_of(draw: u32) -> u32 {
    if (draw >= p.rate || p.letters < 2u) {
        return 0u;
    }
    return 1u + draw * (p.letters - 1u) / p.rate;
}

@compute @workgroup_size(${GROUP})
fn mutate(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let id = linear_id(gid, groups);
    if (id >= p.n) {
        return;
    }
    let i = id % p.time;
#if ONE_HOT
    let sample = id / (p.time * p.letters);
#else
    let sample = id / p.time;
#end
    var length = p.time;
#if LENGTHS
    length = min(lengths[sample], p.time);
#end
    if (i >= length) {
        y[id] = x[id];
        return;
    }
    let draws = sample * (1u + p.time);
    let turned = u[draws] < p.reverse;
    let j = select(i, length - 1u - i, turned);
    let step = step_of(u32(u[draws + 1u + j] * 16777216.0));
#if ONE_HOT
    // The letter that this one has come from: a complement's complement is the letter itself.
    let letter = id / p.time % p.letters;
    let mutated = select(letter, min(table[letter], p.letters - 1u), turned);
    let source = (mutated + p.letters - step) % p.letters;
    y[id] = x[(sample * p.letters + source) * p.time + j];
#else
    let token = x[sample * p.time + j];
    let letter = token - p.first;
    if (token < p.first || letter >= p.letters) {
        y[id] = token;
        return;
    }
    let mutated = (letter + step) % p.letters;
    y[id] = p.first + select(mutated, min(table[mutated], p.letters - 1u), turned);
#end
}
