use super::{Bound, Row, Values};

pub fn rows() -> Vec<Row> {
    let shapes: [(&str, &[usize], isize); 11] = [
        ("one", &[1], 0),
        ("vector", &[1000], 0),
        ("classes", &[70, 10], -1),
        ("group", &[3, 37], 1),
        ("wide_group", &[2, 700], 1),
        ("past_2048", &[2, 2_051], 1),
        ("parts", &[3, 33_000], 1),
        ("parts_of_columns", &[16_385, 3], 0),
        ("first_axis", &[5, 9], 0),
        ("tall", &[90, 3], 0),
        ("image", &[2, 3, 5, 7], 1),
    ];
    let mut rows = Vec::new();
    for (name, shape, axis) in shapes {
        let row = |name: &str, values| {
            let row = Row::new(name, move |_, x| Ok(vec![x[0].argmax(axis)?]));
            row.constant(shape, values).bounds(Bound::Exact, Bound::Exact)
        };
        rows.push(row(name, Values::Normal));
        rows.push(row(&format!("ties_{name}"), Values::Whole(3)));
    }
    // Zeros of both signs are equal, infinities have their place, and the first NaN is the largest of all.
    let mut odd = vec![-1.0; 5 * 40];
    (odd[7], odd[9]) = (-0.0, 0.0);
    (odd[40 + 5], odd[40 + 6]) = (0.0, -0.0);
    odd[80..120].fill(f32::NEG_INFINITY);
    (odd[120 + 3], odd[120 + 30]) = (f32::INFINITY, f32::INFINITY);
    (odd[160 + 2], odd[160 + 33], odd[160 + 39]) = (f32::INFINITY, -f32::NAN, f32::NAN);
    for (name, axis, shape) in [("odd_rows", 1, [5, 40]), ("odd_columns", 0, [40, 5])] {
        let row = Row::new(name, move |_, x| Ok(vec![x[0].argmax(axis)?]));
        let values = if axis == 1 { odd.clone() } else { (0..200).map(|i| odd[i % 5 * 40 + i / 5]).collect() };
        rows.push(row.constant(shape, Values::Exactly(values)).bounds(Bound::Exact, Bound::Exact));
    }
    rows
}
