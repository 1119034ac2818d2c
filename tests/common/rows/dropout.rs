use super::{Bound, Row, Values, clock_at};

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, rate, shape) in [
        ("one", 0.5, vec![1]),
        ("odd", 0.3, vec![3, 5, 7]),
        ("none", 0.0, vec![65]),
        ("nearly_all", 0.999, vec![4, 9, 33]),
        ("long", 0.25, vec![33_333]),
    ] {
        let row = Row::new(name, move |g, x| Ok(vec![x[0].dropout(rate, 17, &clock_at(g, 12)?)?]));
        let row = if shape[0] > 1000 { row.constant(shape, Values::Normal) } else { row.f32(shape, Values::Normal) };
        rows.push(row.bounds(Bound::Ulps(2.0), Bound::Ulps(2.0)));
    }
    for (name, rate, axis, shape) in [
        ("one", 0.5, 1, vec![1, 1]),
        ("vectors", 0.4, 1, vec![7, 5]),
        ("images", 0.3, 1, vec![3, 5, 7, 9]),
        ("features", 0.5, -1, vec![3, 7, 5]),
        ("middle", 0.5, 2, vec![2, 3, 5, 4]),
        ("long", 0.2, 1, vec![5, 67, 13, 11]),
    ] {
        let build = move |g: &galen::Graph, x: &[galen::Var]| {
            Ok(vec![x[0].dropout_channels(rate, axis, 17, &clock_at(g, 12)?)?])
        };
        let row = Row::new(&format!("channels_{name}"), build).f32(shape, Values::Normal);
        rows.push(row.bounds(Bound::Ulps(2.0), Bound::Ulps(2.0)));
    }
    let not_finite = Row::new("drops_what_is_not_finite", |g, x| Ok(vec![x[0].dropout(0.999, 3, &clock_at(g, 0)?)?]));
    let values: Vec<f32> = (0..9).map(|i| if i % 2 == 0 { f32::NAN } else { f32::INFINITY }).collect();
    rows.push(not_finite.constant([9], Values::Exactly(values)).bounds(Bound::Exact, Bound::Exact));
    rows
}
