use super::{Bound, Row, Values};

pub fn rows() -> Vec<Row> {
    let row =
        |name: &str| Row::new(name, |_, x| Ok(vec![x[0].correct_count(&x[1])?])).bounds(Bound::Exact, Bound::Exact);
    vec![
        row("index").constant([300, 4], Values::Normal).u32([300], 4),
        row("index_ties").constant([70, 5], Values::Whole(3)).u32([70], 7),
        row("one_sample").constant([3], Values::Exactly(vec![0.1, 0.7, 0.2])).u32([], 1),
        row("one_hot").constant([257, 3], Values::Normal).constant([257, 3], Values::Whole(2)),
        row("soft").constant([2, 9, 5], Values::Normal).constant([2, 9, 5], Values::Uniform(0.0, 1.0)),
        row("binary").constant([261, 1], Values::Uniform(0.0, 1.0)).constant([261, 1], Values::Whole(2)),
        row("binary_index").constant([31, 1], Values::Uniform(0.0, 1.0)).u32([31], 2),
        // Exactly one half is class 0; a NaN is class 1, or the class where it stands.
        row("binary_odd")
            .constant([4, 1], Values::Exactly(vec![0.5, 0.5, f32::NAN, f32::NAN]))
            .constant([4, 1], Values::Exactly(vec![0.0, 1.0, 1.0, 0.0])),
        row("odd")
            .constant([3, 2], Values::Exactly(vec![f32::INFINITY, f32::NAN, -0.0, 0.0, f32::NAN, f32::NAN]))
            .constant([3, 2], Values::Exactly(vec![0.0, 1.0, 1.0, 0.0, 1.0, 0.0])),
    ]
}
