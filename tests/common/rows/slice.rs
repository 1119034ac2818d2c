use super::{Bound, Row, Values};

/// Name, shape, and the range of every dimension.
type Case = (&'static str, &'static [usize], &'static [(usize, usize)]);

pub fn rows() -> Vec<Row> {
    let cases: [Case; 8] = [
        ("vector", &[9], &[(3, 8)]),
        ("one_element", &[3, 4], &[(2, 3), (1, 2)]),
        ("rows", &[7, 31], &[(2, 5)]),
        ("columns", &[33, 9], &[(0, 33), (4, 9)]),
        ("middle", &[4, 5, 6], &[(0, 4), (1, 4), (0, 6)]),
        ("rank3", &[3, 4, 5], &[(0, 3), (3, 4), (1, 4)]),
        ("rank4", &[2, 3, 9, 8], &[(1, 2), (0, 2), (2, 9), (0, 7)]),
        ("rank6", &[3, 2, 3, 2, 3, 3], &[(1, 3), (0, 1), (1, 3), (1, 2), (0, 2), (1, 3)]),
    ];
    let exact = |row: Row| row.bounds(Bound::Exact, Bound::Exact);
    let mut rows = Vec::new();
    for (name, shape, ranges) in cases {
        let ranges = ranges.to_vec();
        let row = Row::new(name, move |_, x| Ok(vec![x[0].slice(&ranges)?]));
        rows.push(exact(row.f32(shape, Values::Normal)));
    }
    rows.push(exact(Row::new("integers", |_, x| Ok(vec![x[0].slice(&[(1, 3), (2, 5)])?])).u32([4, 6], 1 << 31)));
    rows
}
