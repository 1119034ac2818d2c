use super::{Bound, Row, Values};

pub fn rows() -> Vec<Row> {
    let cases: [(&str, &[usize], &[usize]); 18] = [
        ("signal_halved", &[2, 3, 8], &[4]),
        ("signal_overlapping", &[2, 3, 10], &[4]),
        ("signal_up", &[1, 2, 5], &[7]),
        ("signal_of_one", &[2, 1, 1], &[3]),
        // One invocation past a workgroup, and products that do not fit 32 bits.
        ("signal_long", &[1, 1, 129], &[65]),
        ("signal_wide", &[1, 1, 65_539], &[65_537]),
        ("image_halved", &[2, 2, 6, 8], &[3, 4]),
        ("image_overlapping", &[2, 3, 7, 9], &[3, 4]),
        ("image_seven", &[1, 5, 13, 10], &[7, 7]),
        ("image_rows_alone", &[1, 2, 7, 5], &[3, 5]),
        ("image_columns_alone", &[1, 2, 4, 7], &[4, 2]),
        ("image_up_and_down", &[1, 2, 3, 9], &[5, 2]),
        ("image_to_one_row", &[2, 2, 5, 6], &[1, 4]),
        ("image_of_one", &[1, 2, 1, 1], &[2, 3]),
        ("volume_overlapping", &[1, 2, 5, 7, 6], &[2, 3, 4]),
        ("volume_depth_alone", &[1, 2, 5, 3, 4], &[3, 3, 4]),
        ("volume_depth_and_columns", &[1, 2, 4, 3, 5], &[6, 3, 2]),
        ("volume_two", &[2, 3, 4, 4, 4], &[2, 2, 2]),
    ];
    let mut rows = Vec::new();
    for (name, shape, size) in cases {
        let cells: usize = shape[2..].iter().zip(size).map(|(i, o)| i.div_ceil(*o) + 1).product();
        let windows: usize = shape[2..].iter().zip(size).map(|(i, o)| o.div_ceil(*i) + 1).product();
        let row = Row::new(name, move |_, x| Ok(vec![x[0].adaptive_avg_pool(size)?]));
        let bounds = (Bound::Terms(8.0 + cells as f64), Bound::Terms(8.0 + windows as f64));
        rows.push(row.f32(shape, Values::Normal).bounds(bounds.0, bounds.1));
    }
    // The gradient's gradient: the op is linear, so it is the op again.
    let row = Row::new("twice_differentiated", |graph, x| {
        let y = x[0].adaptive_avg_pool(&[5, 4])?;
        let dx = graph.gradients_from(&[(y, x[1].clone())], &x[..1])?;
        Ok(vec![dx[0].clone()])
    });
    let row = row.constant([1, 2, 3, 7], Values::Normal).f32([1, 2, 5, 4], Values::Normal);
    rows.push(row.bounds(Bound::Terms(16.0), Bound::Terms(16.0)));
    rows
}
