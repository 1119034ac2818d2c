use super::{Bound, Row, Values};

pub fn rows() -> Vec<Row> {
    // Sizes around what decides who sums a group: one element, one lane, lanes over channels, over space, over both, several groups
    // in a workgroup, several parts; and for gamma and beta the same of channels.
    let shapes: [(&str, &[usize], usize); 14] = [
        ("one_element", &[2, 3], 3),
        ("dense", &[7, 12], 3),
        ("dense_whole", &[5, 9], 1),
        ("1d", &[3, 4, 9], 2),
        ("2d", &[2, 6, 5, 7], 3),
        ("2d_whole", &[3, 4, 5, 3], 1),
        ("2d_one_pixel", &[3, 8, 1, 1], 2),
        ("instance", &[2, 3, 5, 7], 3),
        ("instance_many", &[7, 40, 3], 40),
        ("3d", &[1, 4, 3, 5, 4], 2),
        ("parts_of_channels", &[1, 70, 9, 11], 1),
        ("parts_of_a_plane", &[1, 2, 91, 90], 2),
        ("parts_of_both", &[2, 2, 67, 71], 1),
        ("many_samples", &[90, 4, 7, 3], 2),
    ];
    let mut rows: Vec<Row> =
        shapes.iter().map(|(name, shape, groups)| group(name, shape, *groups, Values::Normal)).collect();
    // What a textbook's E[x²] − E[x]² would lose all digits of.
    let far = || Values::Uniform(1000.0 - 1.7320508, 1000.0 + 1.7320508);
    rows.push(group("far", &[2, 6, 5, 7], 3, far()));
    rows.push(group("far_parts", &[1, 3, 53, 61], 1, far()));
    for (name, shape) in [
        ("one", &[1usize] as &[usize]),
        ("vector", &[37]),
        ("rows", &[33, 5]),
        ("long_rows", &[3, 515]),
        ("rows_in_three", &[2, 3, 65]),
        ("many_rows", &[520, 10]),
        ("parts", &[2, 5000]),
    ] {
        rows.push(layer(name, shape, Values::Normal));
    }
    rows.push(layer("far", &[9, 70], far()));
    rows
}

/// As for batch normalisation.
const FORWARD: Bound = Bound::Rounding(16.0);
const BACKWARD: Bound = Bound::Rounding(256.0);

fn group(name: &str, shape: &[usize], groups: usize, values: Values) -> Row {
    let row = Row::new(name, move |_, x| Ok(vec![x[0].group_norm(groups, &x[1], &x[2], 1e-3)?])).f32(shape, values);
    row.f32([shape[1]], Values::OffZero).f32([shape[1]], Values::Normal).bounds(FORWARD, BACKWARD)
}

fn layer(name: &str, shape: &[usize], values: Values) -> Row {
    let n = shape[shape.len() - 1];
    let row = Row::new(&format!("layer_{name}"), |_, x| Ok(vec![x[0].layer_norm(&x[1], &x[2], 1e-3)?]));
    row.f32(shape, values).f32([n], Values::OffZero).f32([n], Values::Normal).bounds(FORWARD, BACKWARD)
}
