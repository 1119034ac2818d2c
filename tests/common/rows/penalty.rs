use super::{Bound, Row, Values, groups};
use galen::{Graph, Result, Var};

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    let many = vec![[0.01, 0.0], [0.0, 0.02], [0.3, 0.1], [0.0, 0.0], [1e-5, 4.0]];
    for (name, len, factors) in [("l1", 64, vec![[0.5, 0.0]]), ("l2", 128, vec![[0.0, 0.5]]), ("groups", 1600, many)] {
        let table = {
            let factors = factors.clone();
            move |g: &Graph| -> Result<Var> { groups(g, "table", len - 64, &factors) }
        };
        let value = {
            let table = table.clone();
            Row::new(&format!("{name}_value"), move |g, x| Ok(vec![x[0].penalty(&table(g)?)?]))
        };
        rows.push(value.f32([len], Values::OffZero).bounds(Bound::Ulps(4.0), Bound::Ulps(8.0)));
        let gradient =
            Row::new(&format!("{name}_gradient"), move |g, x| Ok(vec![x[1].add_penalty_gradient(&x[0], &table(g)?)?]));
        let gradient = gradient.constant([len], Values::Normal).f32([len], Values::Normal);
        rows.push(gradient.bounds(Bound::Rounding(4.0), Bound::Exact));
    }
    // Nothing pulls a number away from zero.
    let zero = Row::new("at_zero", |g, x| {
        let table = groups(g, "table", 0, &[[2.0, 3.0]])?;
        Ok(vec![x[0].penalty(&table)?, x[0].add_penalty_gradient(&x[0], &table)?])
    });
    let zeros = (0..64).map(|i| if i % 2 == 0 { 0.0 } else { -0.0 }).collect();
    rows.push(zero.constant([64], Values::Exactly(zeros)).bounds(Bound::Exact, Bound::Exact));
    rows
}
