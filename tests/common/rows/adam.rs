use super::{Bound, Row, arena, clock_at, faulty_clock, schedule};
use galen::ops::adam::Adam;

pub fn rows() -> Vec<Row> {
    let keras = Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-7 };
    let other = Adam { beta1: 0.0, beta2: 0.5, epsilon: 1e-3 };
    vec![
        row("first_steps", 1, 0, keras.clone(), None),
        row("large", 1500, 4, keras.clone(), None),
        row("late", 65, 1_000_003, keras.clone(), None),
        row("no_first_moment", 130, 77, other, None),
        row("fault", 65, 3, keras, Some(3)),
    ]
}

/// Three steps from `step` on, the first of the schedule.
fn row(name: &str, len: usize, step: u32, op: Adam, fault: Option<u32>) -> Row {
    Row::new(name, move |g, _| {
        let clock = match fault {
            Some(bad) => faulty_clock(g, step, bad)?,
            None => clock_at(g, step)?,
        };
        let schedule = schedule(g, step, &[0.5, 0.05, 0.01])?;
        let (params, grads) = (arena(g, "parameters", len, false)?, arena(g, "gradients", len, false)?);
        let (m, v) = (arena(g, "moment 1", len, false)?, arena(g, "moment 2", len, true)?);
        for _ in 0..3 {
            params.adam(op.clone(), &m, &v, &grads, &clock, &schedule)?;
            g.tick(&clock)?;
        }
        Ok(vec![params, m, v, clock])
    })
    .bounds(if fault.is_some() { Bound::Exact } else { Bound::Scale(16.0) }, Bound::Exact)
}
