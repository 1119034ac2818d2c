use super::{Bound, Row, Values};

pub fn rows() -> Vec<Row> {
    let (normal, exact) = (Values::Normal, Bound::Exact);
    let spread = |n: usize, values: &[f32]| Values::Exactly((0..n).map(|i| values[i % values.len()]).collect());
    vec![
        row("value", 300, None, Some(0.5), normal.clone(), exact),
        row("norm", 300, Some(1.0), None, normal.clone(), Bound::Ulps(16.0)),
        row("norm_that_is_kept", 300, Some(1e4), None, normal.clone(), exact),
        row("both", 65, Some(2.0), Some(0.5), normal.clone(), Bound::Ulps(16.0)),
        row("neither", 65, None, None, normal.clone(), exact),
        row("one", 1, Some(0.25), None, normal.clone(), Bound::Ulps(16.0)),
        row("parts", 3 * 16_384 + 1, Some(1.0), Some(2.0), normal, Bound::Ulps(32.0)),
        row("zero", 100, Some(1.0), Some(1.0), Values::Exactly(vec![0.0; 100]), exact),
        row("nan", 100, Some(1.0), None, spread(100, &[1.0, 2.0, f32::NAN, -1.0]), exact),
        row("nan_by_value", 7, None, Some(1.0), spread(7, &[1.0, 2.0, f32::NAN, -f32::NAN, -3.0]), exact),
        row("infinity", 100, Some(1.0), None, spread(100, &[1.0, 2.0, f32::INFINITY]), exact),
        row("infinity_by_value", 7, None, Some(1.0), spread(7, &[0.5, f32::INFINITY, -f32::INFINITY]), exact),
        // The squares of these are infinite.
        row("huge", 1000, Some(1.0), None, spread(1000, &[1e20, -3e25, 2e30, 1.5, 3e38]), Bound::Ulps(16.0)),
        row("huge_and_kept", 10, Some(3e38), None, spread(10, &[1e19, -3e25, 2e30]), exact),
    ]
}

fn row(name: &str, n: usize, norm: Option<f32>, value: Option<f32>, values: Values, bound: Bound) -> Row {
    Row::new(name, move |_, x| Ok(vec![x[0].clip_gradients(value, norm)?])).constant([n], values).bounds(bound, bound)
}
