use super::{Bound, Row, Values};

/// Axes that merge and axes that do not, up to the largest rank; matrices on both sides of a tile's edge.
pub fn rows() -> Vec<Row> {
    let cases: [(&str, &[usize], &[usize]); 9] = [
        ("matrix", &[3, 5], &[1, 0]),
        ("matrix_large", &[33, 67], &[1, 0]),
        ("column", &[1, 9, 2], &[2, 0, 1]),
        ("nhwc_to_nchw", &[2, 4, 5, 17], &[0, 3, 1, 2]),
        ("nchw_to_nhwc", &[2, 17, 4, 5], &[0, 2, 3, 1]),
        ("rows_of_batch", &[4, 3, 5], &[1, 0, 2]),
        ("reversed", &[2, 3, 4, 5], &[3, 2, 1, 0]),
        ("rank5", &[2, 3, 2, 3, 2], &[4, 0, 2, 1, 3]),
        ("rank6", &[2, 3, 2, 1, 3, 2], &[5, 4, 3, 2, 1, 0]),
    ];
    let exact = |row: Row| row.bounds(Bound::Exact, Bound::Exact);
    let mut rows = Vec::new();
    for (name, shape, axes) in cases {
        let axes = axes.to_vec();
        let row = Row::new(name, move |_, x| Ok(vec![x[0].transpose(&axes)?]));
        rows.push(exact(row.f32(shape, Values::Normal)));
    }
    rows.push(exact(Row::new("integers", |_, x| Ok(vec![x[0].transpose(&[2, 1, 0])?])).u32([3, 4, 5], 1 << 31)));
    rows
}
