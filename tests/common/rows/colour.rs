use super::{Bound, Row, Values};
use galen::ops::colour::Colour;

pub fn rows() -> Vec<Row> {
    let none = Colour { brightness: 0.0, contrast: [1.0; 2], gamma: [1.0; 2], range: [0.0, 1.0], clip: false };
    let all = Colour { brightness: 0.2, contrast: [0.5, 1.5], gamma: [0.5, 2.0], clip: true, ..none.clone() };
    let cases: [(&str, &[usize], Colour); 7] = [
        ("nothing", &[2, 3, 5, 7], none.clone()),
        ("brightness", &[3, 2, 5, 13], Colour { brightness: 0.4, ..none.clone() }),
        ("contrast", &[3, 2, 9, 8], Colour { contrast: [0.6, 1.4], ..none.clone() }),
        ("gamma", &[3, 1, 9, 8], Colour { gamma: [0.3, 2.5], ..none.clone() }),
        ("clip", &[1, 2, 65], Colour { clip: true, ..none.clone() }),
        ("all", &[4, 3, 11, 9], all.clone()),
        ("other_range", &[2, 2, 7, 7], Colour { range: [-1.0, 3.0], ..all }),
    ];
    let row = |(name, shape, op): (&str, &'static [usize], Colour)| {
        let exact = matches!(name, "nothing" | "clip");
        let row = Row::new(name, move |_, x| Ok(vec![x[0].colour(&op, &x[1])?]));
        let row = row.constant(shape, Values::Uniform(-0.1, 1.1)).constant([shape[0], 3], Values::Uniform(0.0, 1.0));
        row.bounds(if exact { Bound::Exact } else { Bound::Rounding(64.0) }, Bound::Exact)
    };
    cases.into_iter().map(row).collect()
}
