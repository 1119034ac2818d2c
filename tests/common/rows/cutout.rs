use super::{Bound, Row, Values};
use galen::ops::cutout::Cutout;

pub fn rows() -> Vec<Row> {
    let cases: [(&str, &[usize], Cutout); 4] = [
        ("one", &[1, 1, 1, 1], Cutout { size: [1, 1], probability: 1.0, fill: -2.0 }),
        ("some", &[7, 3, 9, 11], Cutout { size: [4, 3], probability: 0.5, fill: 0.0 }),
        ("none", &[2, 2, 5, 7], Cutout { size: [4, 3], probability: 0.0, fill: 0.0 }),
        ("larger_than_the_image", &[3, 1, 5, 13], Cutout { size: [40, 9], probability: 1.0, fill: 0.5 }),
    ];
    let row = |(name, shape, op): (&str, &'static [usize], Cutout)| {
        let row = Row::new(name, move |_, x| Ok(vec![x[0].cutout(&op, &x[1])?]));
        row.constant(shape, Values::Normal)
            .constant([shape[0], 3], Values::Uniform(0.0, 1.0))
            .bounds(Bound::Exact, Bound::Exact)
    };
    cases.into_iter().map(row).collect()
}
