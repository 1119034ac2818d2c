use super::{Bound, Row, Values};
use galen::ops::resize::Interpolation;

const HOW: [Interpolation; 4] =
    [Interpolation::Nearest, Interpolation::NearestExact, Interpolation::Linear, Interpolation::LinearAlignCorners];

pub fn rows() -> Vec<Row> {
    let cases: [(&str, &[usize], &[usize]); 22] = [
        ("signal_twice", &[2, 3, 7], &[14]),
        ("signal_up", &[2, 3, 7], &[18]),
        ("signal_down", &[1, 2, 19], &[8]),
        ("signal_half", &[1, 2, 12], &[6]),
        ("signal_of_one", &[2, 1, 1], &[5]),
        ("signal_to_one", &[2, 2, 9], &[1]),
        // One invocation past a workgroup, and products that do not fit 32 bits.
        ("signal_long", &[1, 1, 65], &[129]),
        ("signal_wide", &[1, 1, 65_537], &[32_771]),
        ("signal_wide_up", &[1, 1, 32_771], &[65_537]),
        ("image_twice", &[2, 3, 4, 5], &[8, 10]),
        ("image_up", &[2, 2, 5, 3], &[7, 11]),
        ("image_down", &[1, 3, 9, 8], &[4, 3]),
        ("image_up_and_down", &[2, 1, 3, 9], &[10, 4]),
        ("image_rows_alone", &[1, 2, 4, 5], &[9, 5]),
        ("image_columns_alone", &[1, 2, 4, 5], &[4, 3]),
        ("image_of_one", &[1, 2, 1, 1], &[3, 4]),
        ("volume_twice", &[1, 2, 3, 2, 4], &[6, 4, 8]),
        ("volume_up", &[2, 1, 2, 3, 4], &[5, 4, 7]),
        ("volume_down", &[1, 2, 7, 5, 6], &[3, 2, 4]),
        ("volume_depth_alone", &[1, 2, 3, 4, 5], &[7, 4, 5]),
        ("volume_depth_and_columns", &[1, 2, 3, 4, 5], &[2, 4, 9]),
        ("volume_to_one", &[2, 2, 3, 4, 5], &[1, 1, 1]),
    ];
    let mut rows = Vec::new();
    for (name, shape, size) in cases {
        for how in HOW {
            let kind = ["nearest", "nearest_exact", "linear", "linear_align_corners"][how as usize];
            let row = Row::new(&format!("{name}_{kind}"), move |_, x| Ok(vec![x[0].resize(size, how)?]));
            let forward = if matches!(how, Interpolation::Nearest | Interpolation::NearestExact) {
                Bound::Exact
            } else {
                Bound::Terms(16.0)
            };
            // A gradient is a sum of as many terms as elements are read again.
            let terms: usize = size.iter().zip(&shape[2..]).map(|(o, i)| 2 * o.div_ceil(*i) + 1).product();
            let backward = Bound::Terms(8.0 + terms as f64);
            rows.push(row.f32(shape, Values::Normal).bounds(forward, backward));
        }
    }
    // What has no weight is not read: an infinity there leaves its neighbours as they are.
    let mut values = vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    values[2] = f32::NAN;
    let row = Row::new("three_to_one_beside_nan", |_, x| Ok(vec![x[0].resize_linear(&[2])?]));
    rows.push(row.constant([1, 1, 6], Values::Exactly(values)).bounds(Bound::Exact, Bound::Exact));
    // The gradient's gradient: the op is linear, so it is the op again.
    let row = Row::new("twice_differentiated", |graph, x| {
        let y = x[0].resize_linear(&[5, 4])?;
        let dx = graph.gradients_from(&[(y, x[1].clone())], &x[..1])?;
        Ok(vec![dx[0].clone()])
    });
    let row = row.constant([1, 2, 3, 7], Values::Normal).f32([1, 2, 5, 4], Values::Normal);
    rows.push(row.bounds(Bound::Terms(16.0), Bound::Terms(16.0)));
    rows
}
