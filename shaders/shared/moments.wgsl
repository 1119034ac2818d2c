// Mean and variance of rows, without cancellation: the corrected two-pass algorithm in each part, and the parts merged by their means.
// `rows` must be included before. Sources: T. Chan, G. Golub, R. LeVeque, "Algorithms for computing the sample variance", The American
// Statistician 37 (1983), formulas 1.7 and 2.1. Twin: src/ops/batch_norm/rows.rs.

// A mean as two numbers, whose sum is it, and the sum of the squared deviations.
struct Moments {
    mean: f32,
    rest: f32,
    squares: f32,
}

// What normalises a row: the mean, what it lacks through rounding, the (biased) variance, and 1 / sqrt(variance + epsilon).
struct Statistic {
    mean: f32,
    rest: f32,
    variance: f32,
    rstd: f32,
}

fn statistic(m: Moments) -> Statistic {
    var s: Statistic;
    s.mean = m.mean + m.rest;
    s.rest = (m.mean - s.mean) + m.rest;
    let variance = m.squares / f32(p.planes * p.space);
    s.variance = select(variance, 0.0, variance < 0.0);
    s.rstd = inverseSqrt(s.variance + p.epsilon);
    return s;
}

#if PASS == merge
@group(0) @binding(1) var<storage, read> moments: array<f32>;

// Elements of a part.
fn count_of(part: u32) -> f32 {
    let plane = part / p.pieces * p.part_planes;
    let start = part % p.pieces * p.piece;
    return f32((min(plane + p.part_planes, p.planes) - plane) * (min(start + p.piece, p.space) - start));
}

// The moments of a row from those of its parts; a workgroup of ${GROUP} takes a row.
fn merged(row: u32, lane: u32) -> Moments {
    let first = row * p.parts;
    var sum = 0.0;
    for (var turn = lane; turn < p.parts; turn += ${GROUP}u * TURNS) {
        var own = 0.0;
        for (var q = turn; q < min(turn + ${GROUP}u * TURNS, p.parts); q += ${GROUP}u) {
            own += count_of(q) * moments[(first + q) * 3u];
        }
        sum += own;
    }
    let n = f32(p.planes * p.space);
    var m: Moments;
    m.mean = tree_sum(lane, lane, ${GROUP}u, vec2<f32>(sum, 0.0)).x / n;
    var s = vec2<f32>(0.0, 0.0);
    for (var turn = lane; turn < p.parts; turn += ${GROUP}u * TURNS) {
        var own = vec2<f32>(0.0, 0.0);
        for (var q = turn; q < min(turn + ${GROUP}u * TURNS, p.parts); q += ${GROUP}u) {
            let at = (first + q) * 3u;
            let count = count_of(q);
            let d = (moments[at] - m.mean) + moments[at + 1u];
            own += vec2<f32>(count * d, moments[at + 2u] + count * d * d);
        }
        s += own;
    }
    s = tree_sum(lane, lane, ${GROUP}u, s);
    m.rest = s.x / n;
    m.squares = s.y - s.x * m.rest;
    return m;
}
#else
@group(0) @binding(1) var<storage, read> x: array<f32>;

// The moments of a part of a row.
fn moments_of(at: Part) -> Moments {
    var sum = 0.0;
    for (var k = at.plane; k < at.plane_end; k += p.plane_lanes) {
        let first = at.base + k * p.plane_step;
        for (var i = at.start; i < at.end; i += p.space_lanes) {
            sum += x[first + i];
        }
    }
    var m: Moments;
    m.mean = row_sum(at, vec2<f32>(sum, 0.0)).x / at.count;
    // The deviations' own sum would be 0, were the mean exact.
    var s = vec2<f32>(0.0, 0.0);
    for (var k = at.plane; k < at.plane_end; k += p.plane_lanes) {
        let first = at.base + k * p.plane_step;
        for (var i = at.start; i < at.end; i += p.space_lanes) {
            let d = x[first + i] - m.mean;
            s += vec2<f32>(d, d * d);
        }
    }
    s = row_sum(at, s);
    m.rest = s.x / at.count;
    m.squares = s.y - s.x * m.rest;
    return m;
}
#end
