use super::{Bound, Row, Values, clock_at, words};
use galen::ops::masked_softmax::{AttentionMask, AttentionOptions};
use galen::{Graph, Result, Var};

/// `x − m` is exact to a unit, `exp` within a few of WGSL's, and the sums of c positive terms, in blocks, add at most a few more.
const FORWARD: Bound = Bound::Rounding(32.0);
const BACKWARD: Bound = Bound::Rounding(64.0);

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    // Keys around what decides who computes a row: one key, a workgroup of 64 with one to eight elements per lane, one of 256,
    // and rows that no registers hold.
    let shapes: [(&str, &[usize]); 11] = [
        ("one", &[1, 1, 1, 1]),
        ("one_key", &[2, 1, 3, 1]),
        ("short", &[2, 3, 5, 7]),
        ("group", &[2, 1, 3, 33]),
        ("two_per_lane", &[1, 2, 2, 65]),
        ("eight_per_lane", &[2, 1, 2, 449]),
        ("wide_group", &[1, 1, 2, 515]),
        ("past_2048", &[1, 1, 2, 2051]),
        ("parts", &[1, 1, 2, 16_390]),
        ("rank2", &[6, 9]),
        ("rank6", &[2, 1, 3, 2, 3, 4]),
    ];
    for (name, shape) in shapes {
        rows.push(row(name, shape, 0.7, |_, _| Ok(AttentionMask::new())));
        rows.push(row(&format!("lengths_{name}"), shape, 0.7, lengths(shape)));
        if shape.len() > 2 {
            rows.push(row(&format!("causal_{name}"), shape, -0.3, |_, _| Ok(AttentionMask::new().causal())));
        }
        let all = |_: &Graph, x: &[Var]| Ok(AttentionMask::new().mask(&x[1]));
        rows.push(row(&format!("mask_{name}"), shape, 1.3, all).constant(shape, Values::Whole(2)));
    }
    // More queries than keys, and fewer.
    for (name, shape) in [("tall", [2, 1, 9, 4]), ("tall_group", [1, 2, 70, 40]), ("wide", [1, 2, 3, 40])] {
        rows.push(row(&format!("causal_{name}"), &shape, 1.0, |_, _| Ok(AttentionMask::new().causal())));
    }
    // A mask that broadcasts along each axis, together with the other two conditions.
    let shape = [3, 2, 5, 37];
    for mask in [[3, 1, 1, 37], [1, 2, 5, 37], [1, 1, 5, 1], [3, 2, 1, 37], [1, 1, 1, 1]] {
        let name = format!("mask_{mask:?}").replace([' ', ','], "_");
        let build = move |g: &Graph, x: &[Var]| Ok(lengths(&shape)(g, x)?.causal().mask(&x[1]));
        rows.push(row(&name, &shape, 0.5, build).constant(mask, Values::Whole(2)));
    }
    rows.push(row("nothing_seen", &[2, 1, 3, 40], 1.0, |g, _| {
        Ok(AttentionMask::new().lengths(&words(g, "lengths", &[0, 40])?))
    }));
    // Lengths and masks that leave nothing of a part: of the second, of both.
    for (name, lengths) in [("parts_first_only", 7_000), ("parts_nothing", 0)] {
        let build = move |g: &Graph, x: &[Var]| {
            Ok(AttentionMask::new().causal().lengths(&words(g, "lengths", &[lengths])?).mask(&x[1]))
        };
        rows.push(row(name, &[1, 1, 3, 16_400], 0.5, build).constant([1, 1, 1, 16_400], Values::Whole(2)));
    }
    // Forward only: where one weight is nearly 1 the gradient is a difference of nearly equal numbers, without a scale to compare with.
    let large = Row::new("large", |_, x| Ok(vec![x[0].masked_softmax(1.0, &AttentionMask::new().causal())?]));
    rows.push(large.constant([2, 2, 4, 9], Values::Uniform(-300.0, 300.0)).bounds(FORWARD, BACKWARD));
    rows.extend([3, 40, 16_400].map(not_finite));
    rows.extend(attention());
    rows
}

/// Lengths from 0 to beyond the keys.
fn lengths(shape: &[usize]) -> impl Fn(&Graph, &[Var]) -> Result<AttentionMask> + 'static {
    let (batch, keys) = (shape[0], shape[shape.len() - 1]);
    move |g, _| {
        let some = [keys - 1, keys, 1, 0, keys + 5, keys / 2];
        let lengths: Vec<u32> = (0..batch).map(|b| some[b % some.len()] as u32).collect();
        Ok(AttentionMask::new().lengths(&words(g, "lengths", &lengths)?))
    }
}

fn row(
    name: &str,
    shape: &[usize],
    scale: f32,
    mask: impl Fn(&Graph, &[Var]) -> Result<AttentionMask> + 'static,
) -> Row {
    let build = move |g: &Graph, x: &[Var]| Ok(vec![x[0].masked_softmax(scale, &mask(g, x)?)?]);
    Row::new(name, build).f32(shape, Values::Normal).bounds(FORWARD, BACKWARD)
}

/// What is masked may be anything; what is seen spoils its own row.
fn not_finite(keys: usize) -> Row {
    let mut x = vec![0.5; 4 * keys];
    (x[1], x[keys + 2], x[3 * keys]) = (f32::NAN, f32::INFINITY, f32::NAN);
    let build = |g: &Graph, x: &[Var]| {
        let mask = AttentionMask::new().causal().lengths(&words(g, "lengths", &[1, 3])?);
        Ok(vec![x[0].masked_softmax(1.0, &mask)?])
    };
    Row::new(&format!("not_finite_{keys}"), build)
        .constant([2, 1, 2, keys], Values::Exactly(x))
        .bounds(FORWARD, FORWARD)
}

/// Self-attention, cross-attention whose values are wider than its keys, heads that share their keys, and dropout.
fn attention() -> Vec<Row> {
    let plain = |_: &Graph| Ok(AttentionOptions::new());
    let causal = |_: &Graph| Ok(AttentionOptions::new().mask(AttentionMask::new().causal()).scale(0.25));
    let dropped = |g: &Graph| {
        let mask = AttentionMask::new().lengths(&words(g, "lengths", &[3, 9])?);
        Ok(AttentionOptions::new().mask(mask).dropout(0.4, 11, &clock_at(g, 3)?))
    };
    vec![
        attend("attention_self", [2, 3, 5, 4], [2, 3, 5, 4], 4, plain),
        attend("attention_causal", [1, 2, 33, 9], [1, 2, 33, 9], 9, causal),
        attend("attention_cross", [2, 2, 3, 5], [2, 2, 7, 5], 6, plain),
        attend("attention_shared_keys", [2, 4, 3, 5], [2, 1, 7, 5], 2, plain),
        attend("attention_dropout", [2, 2, 4, 3], [2, 2, 9, 3], 5, dropped),
    ]
}

fn attend(
    name: &str,
    queries: [usize; 4],
    keys: [usize; 4],
    width: usize,
    options: impl Fn(&Graph) -> Result<AttentionOptions> + 'static,
) -> Row {
    let build = move |g: &Graph, x: &[Var]| Ok(vec![x[0].scaled_dot_product_attention(&x[1], &x[2], &options(g)?)?]);
    let [batch, heads, key, _] = keys;
    let row = Row::new(name, build).f32(queries, Values::Normal).f32(keys, Values::Normal);
    row.f32([batch, heads, key, width], Values::Normal).bounds(Bound::Rounding(64.0), Bound::Rounding(128.0))
}
