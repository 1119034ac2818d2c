use super::{Bound, Row, Values};

pub fn rows() -> Vec<Row> {
    // Sizes around what decides who sums a channel: one element, lanes over samples, over space, over both, several channels in a
    // workgroup, and several parts: of samples (in columns and in planes), and of one large plane.
    let shapes: [(&str, &[usize]); 14] = [
        ("one_sample", &[1, 3]),
        ("one_element", &[2, 3, 1]),
        ("dense", &[7, 5]),
        ("dense_wide", &[9, 70]),
        ("dense_parts", &[300, 33]),
        ("1d", &[3, 4, 9]),
        ("2d", &[2, 3, 5, 7]),
        ("2d_one_sample", &[1, 5, 7, 6]),
        ("2d_one_pixel", &[33, 2, 1, 1]),
        ("3d", &[2, 3, 4, 5, 3]),
        ("more_lanes", &[5, 2, 17, 19]),
        ("parts_of_samples", &[9, 2, 33, 31]),
        ("parts_of_a_plane", &[1, 1, 91, 90]),
        ("parts_of_both", &[2, 1, 97, 101]),
    ];
    let mut rows = Vec::new();
    for (name, shape) in shapes {
        rows.push(train(name, shape, Values::Normal, 1e-3));
        // Around 1: a mean near 0 has no digits to compare.
        rows.push(statistics(name, shape, Values::Uniform(-1.0, 3.0)));
        rows.push(given(name, shape));
        rows.extend(with_relu(name, shape));
    }
    rows.push(train("small_epsilon", &[6, 3, 4, 4], Values::Normal, 1e-6));
    // The textbook's E[x²] − E[x]² would lose all digits here: the squares are a million and known to 0.06.
    let far = || Values::Uniform(1000.0 - 1.7320508, 1000.0 + 1.7320508);
    for (name, shape) in
        [("far_dense", &[300usize, 33] as &[usize]), ("far", &[3, 2, 17, 11]), ("far_parts", &[4, 1, 45, 71])]
    {
        rows.push(train(name, shape, far(), 1e-3));
        rows.push(statistics(name, shape, far()));
    }
    rows.push(statistics("constant", &[3, 2, 5], Values::Exactly(vec![1000.1; 30])));
    let mut bad = vec![0.5; 3 * 3 * 5];
    (0..45).for_each(|i| bad[i] += 0.25 * (i % 7) as f32);
    (bad[2], bad[7]) = (f32::NAN, f32::INFINITY);
    rows.push(statistics("not_finite", &[3, 3, 5], Values::Exactly(bad)));
    rows
}

/// Deviations are exact to a unit, sums are trees, and each step of the formula adds a unit or two; the mean's own rounding, which for
/// `far` is a thousand units of a deviation, must not show.
const FORWARD: Bound = Bound::Rounding(16.0);
/// Sums over a few thousand products, whose terms cancel.
const BACKWARD: Bound = Bound::Rounding(64.0);

fn train(name: &str, shape: &[usize], values: Values, epsilon: f64) -> Row {
    let row = Row::new(name, move |_, x| Ok(vec![x[0].batch_norm(&x[1], &x[2], epsilon)?.0])).f32(shape, values);
    let row = row.f32([shape[1]], Values::OffZero).f32([shape[1]], Values::Normal);
    of_two(row.bounds(FORWARD, BACKWARD), shape)
}

/// Of two values per channel, all that is left of the gradient is what epsilon leaves.
fn of_two(row: Row, shape: &[usize]) -> Row {
    if shape == [2, 3, 1] { row.bound_of(1, Bound::Unit(8.0)) } else { row }
}

fn statistics(name: &str, shape: &[usize], values: Values) -> Row {
    let row = Row::new(&format!("statistics_{name}"), |_, x| {
        let (y, mean, variance) = x[0].batch_norm(&x[1], &x[2], 1e-3)?;
        Ok(vec![y, mean, variance])
    });
    let row = row.constant(shape, values).constant([shape[1]], Values::OffZero);
    row.constant([shape[1]], Values::Normal).bounds(FORWARD, BACKWARD)
}

fn given(name: &str, shape: &[usize]) -> Row {
    let c = shape[1];
    let row =
        Row::new(&format!("given_{name}"), |_, x| Ok(vec![x[0].batch_norm_with(&x[1], &x[2], &x[3], &x[4], 1e-3)?]));
    let row = row.f32(shape, Values::Normal).f32([c], Values::OffZero).f32([c], Values::Normal);
    row.constant([c], Values::Normal).constant([c], Values::Uniform(0.1, 2.0)).bounds(FORWARD, BACKWARD)
}

/// Fusion makes the ReLU and its gradient part of the normalisation.
fn with_relu(name: &str, shape: &[usize]) -> [Row; 2] {
    let c = shape[1];
    let train = Row::new(&format!("relu_{name}"), |_, x| Ok(vec![x[0].batch_norm(&x[1], &x[2], 1e-3)?.0.relu()?]));
    let given = Row::new(&format!("relu_given_{name}"), |_, x| {
        Ok(vec![x[0].batch_norm_with(&x[1], &x[2], &x[3], &x[4], 1e-3)?.relu()?])
    });
    let fed = |row: Row| row.f32(shape, Values::Normal).f32([c], Values::OffZero).f32([c], Values::Normal);
    let given = fed(given).constant([c], Values::Normal).constant([c], Values::Uniform(0.1, 2.0));
    [of_two(fed(train).bounds(FORWARD, BACKWARD), shape), given.bounds(FORWARD, BACKWARD)]
}
