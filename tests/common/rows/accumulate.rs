use super::{Bound, Row, arena, clock_at, faulty_clock};

pub fn rows() -> Vec<Row> {
    // The length, the step, the steps per update, the fault.
    let rows = [
        ("first", 1, 0, 3, None),
        ("middle", 65, 4, 3, None),
        ("alone", 130, 9, 1, None),
        ("large", 1500, 7, 4, None),
        ("many", 300, 0, 1000, None),
        ("fault", 65, 4, 3, Some(4)),
    ];
    rows.map(|(name, len, step, every, fault)| {
        Row::new(name, move |g, _| {
            let clock = match fault {
                Some(bad) => faulty_clock(g, step, bad)?,
                None => clock_at(g, step)?,
            };
            let (sum, grads) = (arena(g, "sum", len, false)?, arena(g, "gradients", len, false)?);
            for _ in 0..3 {
                sum.accumulate(&grads, &clock, every)?;
                g.tick(&clock)?;
            }
            Ok(vec![sum, clock])
        })
        .bounds(if fault.is_some() { Bound::Exact } else { Bound::Rounding(4.0) }, Bound::Exact)
    })
    .into()
}
