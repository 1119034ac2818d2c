use super::{Bound, Row, Values};

pub fn rows() -> Vec<Row> {
    let cases: [(&str, &[usize], &[usize]); 17] = [
        ("signal_halved", &[2, 3, 8], &[4]),
        ("signal_overlapping", &[2, 3, 10], &[4]),
        ("signal_up", &[1, 2, 5], &[7]),
        ("signal_to_one", &[1, 2, 7], &[1]),
        ("signal_of_one", &[2, 1, 1], &[3]),
        // One invocation past a workgroup, and products that do not fit 32 bits.
        ("signal_long", &[1, 1, 129], &[65]),
        ("signal_wide", &[1, 1, 65_539], &[65_537]),
        ("image_halved", &[2, 2, 6, 8], &[3, 4]),
        ("image_overlapping", &[2, 3, 7, 9], &[3, 4]),
        ("image_rows_alone", &[1, 2, 7, 5], &[3, 5]),
        ("image_columns_alone", &[1, 2, 4, 7], &[4, 2]),
        ("image_up_and_down", &[1, 2, 3, 9], &[5, 2]),
        ("image_to_one", &[2, 2, 5, 6], &[1, 1]),
        ("image_same_size", &[1, 2, 3, 4], &[3, 4]),
        ("volume_overlapping", &[1, 2, 5, 7, 6], &[2, 3, 4]),
        ("volume_depth_alone", &[1, 2, 5, 3, 4], &[3, 3, 4]),
        ("volume_depth_and_columns", &[1, 2, 4, 3, 5], &[6, 3, 2]),
    ];
    let mut rows = Vec::new();
    for (name, shape, size) in cases {
        let row = Row::new(name, move |_, x| {
            let (y, positions) = x[0].adaptive_max_pool_with_positions(size)?;
            Ok(vec![y, positions])
        });
        rows.push(row.f32(shape, Values::Distinct).bounds(Bound::Exact, Bound::Rounding(16.0)));
    }
    // Ties have no finite differences: there the gradient is an output of the row, with the cotangent as its second input.
    let row = Row::new("ties", |graph, x| {
        let (y, positions) = x[0].adaptive_max_pool_with_positions(&[3, 4])?;
        let dx = graph.gradients_from(&[(y.clone(), x[1].clone())], &x[..1])?;
        Ok(vec![y, positions, dx[0].clone()])
    });
    let row = row.constant([2, 2, 7, 6], Values::Whole(3)).constant([2, 2, 3, 4], Values::Normal);
    rows.push(row.bounds(Bound::Rounding(16.0), Bound::Rounding(16.0)));
    // The first NaN wins.
    let values = vec![1.0, f32::NAN, 3.0, -0.0, 0.0, -1.0, 2.0, f32::NAN, f32::NAN];
    let row = Row::new("nan", |_, x| {
        let (y, positions) = x[0].adaptive_max_pool_with_positions(&[4])?;
        Ok(vec![y, positions])
    });
    rows.push(row.constant([1, 1, 9], Values::Exactly(values)).bounds(Bound::Exact, Bound::Exact));
    rows
}
