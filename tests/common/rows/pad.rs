use super::{Bound, Row, Values};

/// Name, shape, elements before and after in every dimension, and what they are.
type Case = (&'static str, &'static [usize], &'static [(usize, usize)], f32);

pub fn rows() -> Vec<Row> {
    let cases: [Case; 8] = [
        ("vector", &[5], &[(2, 3)], 0.0),
        ("rows", &[3, 31], &[(1, 2), (0, 0)], 0.5),
        ("columns", &[33, 4], &[(0, 0), (1, 3)], -2.0),
        ("both", &[3, 4], &[(1, 0), (2, 3)], 0.0),
        ("image", &[2, 2, 3, 3], &[(0, 0), (0, 0), (1, 2), (0, 1)], -1.5),
        ("after_only", &[1, 1], &[(0, 1), (0, 0)], 1.0),
        ("outer", &[2, 3, 4], &[(1, 1), (0, 0), (0, 0)], 7.0),
        ("rank6", &[2, 1, 2, 1, 2, 2], &[(1, 0), (0, 1), (1, 1), (2, 0), (0, 0), (1, 0)], 3.0),
    ];
    let mut rows = Vec::new();
    for (name, shape, around, value) in cases {
        let around = around.to_vec();
        let row = Row::new(name, move |_, x| Ok(vec![x[0].pad(&around, value)?]));
        rows.push(row.f32(shape, Values::Normal).bounds(Bound::Exact, Bound::Exact));
    }
    rows
}
