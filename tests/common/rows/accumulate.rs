use galen::graph::Init;
use galen::{Shape, TensorSpec};

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
            let (mean, grads) = (arena(g, "mean", len, false)?, arena(g, "gradients", len, false)?);
            let shares = g.state("shares", "shares", TensorSpec::f32([2]), Init::Constant(1.5))?;
            for share in [2.5, 0.0, 7.0] {
                mean.accumulate(&shares, &grads, &g.fill(Shape::default(), share)?, &clock, every)?;
                g.tick(&clock)?;
            }
            Ok(vec![mean, shares, clock])
        })
        .bounds(if fault.is_some() { Bound::Exact } else { Bound::Rounding(4.0) }, Bound::Exact)
    })
    .into()
}
