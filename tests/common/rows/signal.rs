use super::{Bound, Row, Values};
use galen::ops::signal::{Signal, draws};

pub fn rows() -> Vec<Row> {
    let none = Signal { scale: [1.0; 2], dropout: 0.0, wander: 0.0, cycles: [0.0; 2] };
    let cases: [(&str, &[usize], Signal); 6] = [
        ("nothing", &[2, 3, 65], none.clone()),
        ("scale", &[3, 2, 33], Signal { scale: [0.5, 2.0], ..none.clone() }),
        ("dropout", &[5, 12, 17], Signal { dropout: 0.5, ..none.clone() }),
        ("all_leads_but_one", &[5, 3, 7], Signal { dropout: 1.0, ..none.clone() }),
        ("wander", &[2, 3, 129], Signal { wander: 0.5, cycles: [0.001, 0.02], ..none.clone() }),
        ("all", &[3, 1, 67], Signal { scale: [0.8, 1.25], dropout: 0.3, wander: 2.0, cycles: [0.0, 0.1] }),
    ];
    let row = |(name, shape, op): (&str, &'static [usize], Signal)| {
        let row = Row::new(name, move |_, x| Ok(vec![x[0].signal(&op, &x[1])?]));
        let row = row.constant(shape, Values::Normal);
        let row = row.constant([shape[0], draws(shape[1])], Values::Uniform(0.0, 1.0));
        let exact = matches!(name, "nothing" | "dropout" | "all_leads_but_one");
        row.bounds(if exact { Bound::Exact } else { Bound::Rounding(64.0) }, Bound::Exact)
    };
    cases.into_iter().map(row).collect()
}
