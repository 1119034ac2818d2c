use super::{Bound, Row, arena, clock_at, faulty_clock, schedule};
use galen::ops::sgd::Sgd;

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, momentum, nesterov) in [("plain", 0.0, false), ("momentum", 0.9, false), ("nesterov", 0.9, true)] {
        for (size, len) in [("small", 1), ("large", 1500)] {
            rows.push(row(&format!("{name}_{size}"), len, Sgd { momentum, nesterov }, None));
        }
        rows.push(row(&format!("{name}_fault"), 65, Sgd { momentum, nesterov }, Some(11)));
    }
    rows
}

/// Three steps, in steps 11 to 13 of a schedule that starts at step 10.
fn row(name: &str, len: usize, op: Sgd, fault: Option<u32>) -> Row {
    Row::new(name, move |g, _| {
        let clock = match fault {
            Some(bad) => faulty_clock(g, 11, bad)?,
            None => clock_at(g, 11)?,
        };
        let schedule = schedule(g, 10, &[9.0, 0.1, 0.05, 0.01])?;
        let (params, grads) = (arena(g, "parameters", len, false)?, arena(g, "gradients", len, false)?);
        let velocity = if op.momentum == 0.0 { None } else { Some(arena(g, "velocity", len, false)?) };
        for _ in 0..3 {
            params.sgd(op.clone(), velocity.as_ref(), &grads, &clock, &schedule)?;
            g.tick(&clock)?;
        }
        Ok([params, clock].into_iter().chain(velocity).collect())
    })
    .bounds(if fault.is_some() { Bound::Exact } else { Bound::Scale(8.0) }, Bound::Exact)
}
