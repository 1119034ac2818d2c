use super::{Bound, Row, Values};

/// Shapes of condition and both sides.
const SHAPES: [(&str, [&[usize]; 3]); 8] = [
    ("one", [&[1], &[1], &[1]]),
    ("scalars", [&[], &[], &[]]),
    ("same", [&[3, 5, 7], &[3, 5, 7], &[3, 5, 7]]),
    ("row_mask", [&[3, 1], &[3, 5], &[3, 5]]),
    ("scalar_side", [&[13, 7], &[13, 7], &[]]),
    ("grown", [&[5], &[2, 1, 5], &[3, 1]]),
    ("six_dims", [&[2, 1, 2, 1, 2, 1], &[1, 3, 1, 3, 1, 2], &[2, 3, 2, 3, 2, 2]]),
    ("long", [&[130], &[33, 130], &[33, 1]]),
];

pub fn rows() -> Vec<Row> {
    let mut rows: Vec<Row> = SHAPES
        .into_iter()
        .map(|(name, [cond, a, b])| {
            let row = Row::new(name, |_, x| Ok(vec![x[0].select(&x[1], &x[2])?]));
            let row = row.constant(cond, Values::Whole(2)).f32(a, Values::Normal).f32(b, Values::Normal);
            row.bounds(Bound::Exact, Bound::Rounding(64.0))
        })
        .collect();
    // The side that is not taken leaves no trace in values and gradients. A NaN and -0 as conditions.
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    let row = Row::new("what_is_not_finite", |g, x| {
        let y = x[0].select(&x[1], &x[2])?;
        let mut outputs = g.gradients_from(&[(y.clone(), x[3].clone())], &x[1..3])?;
        outputs.push(y);
        Ok(outputs)
    });
    let row = row.constant([6], Values::Exactly(vec![1.0, 0.0, nan, -0.0, -2.5, 0.0]));
    let row = row.constant([6], Values::Exactly(vec![1.0, nan, 2.0, inf, 3.0, 4.0]));
    let row = row.constant([6], Values::Exactly(vec![nan, 5.0, -inf, 6.0, nan, 7.0])).constant([6], Values::Normal);
    rows.push(row.bounds(Bound::Exact, Bound::Exact));
    rows
}
