use super::{Bound, Row, Values};

pub fn rows() -> Vec<Row> {
    // Sizes around what decides who computes a column: one element, a workgroup of 64, one of 256, beyond its lanes, and columns
    // that are not rows.
    let shapes: [(&str, &[usize], isize); 13] = [
        ("one", &[1], 0),
        ("one_class", &[5, 1], 1),
        ("classes", &[7, 10], -1),
        ("many_rows", &[70, 3], 1),
        ("group", &[3, 33], 1),
        ("wide_group", &[2, 515], 1),
        ("past_1024", &[2, 1031], 1),
        // Shared by a workgroup on every adapter, and cut into parts.
        ("past_2048", &[2, 2_051], 1),
        ("parts", &[2, 16_390], 1),
        ("parts_of_columns", &[16_385, 3], 0),
        ("first_axis", &[40, 5], 0),
        ("middle_axis", &[2, 5, 7], 1),
        ("many_columns", &[3, 4, 5, 7], 1),
    ];
    let mut rows = Vec::new();
    for (name, shape, axis) in shapes {
        rows.push(row(name, shape, axis, false, Values::Normal));
        rows.push(row(&format!("log_{name}"), shape, axis, true, Values::Normal));
    }
    for log in [false, true] {
        let name = if log { "log_large" } else { "large" };
        rows.push(row(name, &[4, 9], 1, log, Values::Uniform(-300.0, 300.0)));
        // Probabilities of 0 and 1: what they lack of it is lost.
        let sure = |row: Row| row.bounds(if log { Bound::Unit(32.0) } else { FORWARD }, Bound::Unit(16.0));
        rows.push(sure(row(&format!("{name}_columns"), &[40, 9], 0, log, Values::Uniform(-300.0, 300.0))));
        let mut bad = vec![0.5; 3 * 40];
        (bad[45], bad[80]) = (f32::NAN, f32::INFINITY);
        let build = move |_: &galen::Graph, x: &[galen::Var]| Ok(vec![apply(&x[0], 1, log)?]);
        let name = if log { "log_not_finite" } else { "not_finite" };
        rows.push(Row::new(name, build).constant([3, 40], Values::Exactly(bad)).bounds(FORWARD, FORWARD));
        // A part of minus infinities only, beside a part of numbers; a row of nothing else; a NaN and an infinity in one of two parts.
        let mut bad = vec![f32::NEG_INFINITY; 4 * 16_400];
        for row in [0, 2, 3] {
            bad[row * 16_400 + 8_190..][..20].fill(0.25);
        }
        (bad[2 * 16_400 + 16_390], bad[3 * 16_400 + 5]) = (f32::NAN, f32::INFINITY);
        let build = move |_: &galen::Graph, x: &[galen::Var]| Ok(vec![apply(&x[0], 1, log)?]);
        let name = if log { "log_not_finite_parts" } else { "not_finite_parts" };
        let row = Row::new(name, build).constant([4, 16_400], Values::Exactly(bad));
        // The logarithm of a weight of 0 is minus infinity, which no comparison takes.
        rows.extend((!log).then(|| row.bounds(FORWARD, FORWARD)));
    }
    rows
}

/// `x − m` is exact to half a unit, `exp` within a few of WGSL's, and the sums of c positive terms, in blocks, add at most a few more.
const FORWARD: Bound = Bound::Rounding(32.0);

fn apply(x: &galen::Var, axis: isize, log: bool) -> galen::Result<galen::Var> {
    if log { x.log_softmax(axis) } else { x.softmax(axis) }
}

fn row(name: &str, shape: &[usize], axis: isize, log: bool, values: Values) -> Row {
    Row::new(name, move |_, x| Ok(vec![apply(&x[0], axis, log)?]))
        .f32(shape, values)
        .bounds(FORWARD, Bound::Rounding(64.0))
}
