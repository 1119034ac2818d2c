use super::{Bound, Row, Values};

pub fn rows() -> Vec<Row> {
    let cases: [(&str, &[usize], isize, [f32; 2]); 6] = [
        ("one", &[1, 1], 1, [0.5, 2.0]),
        ("columns", &[3, 2, 9, 13], -1, [0.0, 2.5]),
        ("rows", &[3, 2, 9, 13], -2, [0.3, 1.5]),
        ("wider_than_the_image", &[2, 1, 5, 3], -1, [4.0, 6.0]),
        ("signals", &[2, 3, 129], 2, [1.0, 1.0]),
        ("nothing", &[2, 3, 65], 2, [0.0, 0.1]),
    ];
    let row = |(name, shape, axis, sigma): (&str, &'static [usize], isize, [f32; 2])| {
        let row = Row::new(name, move |_, x| Ok(vec![x[0].blur(axis, sigma, &x[1])?]));
        let row = row.constant(shape, Values::Normal).constant([shape[0], 1], Values::Uniform(0.0, 1.0));
        row.bounds(if name == "nothing" { Bound::Exact } else { Bound::Rounding(32.0) }, Bound::Exact)
    };
    cases.into_iter().map(row).collect()
}
