use super::{Bound, Row, arena, clock_at, faulty_clock};
use galen::graph::Init;
use galen::ops::ema::Ema;
use galen::{Graph, Result, TensorSpec, Var};

pub fn rows() -> Vec<Row> {
    // The length, the step, the share that is kept, the steps per update, the fault, whether it begins.
    let rows = [
        ("begins", 1, 0, 0.9, 1, None, true),
        ("begins_later", 1500, 77, 0.999, 2, None, true),
        ("goes_on", 65, 4, 0.9, 1, None, false),
        ("not_yet", 65, 4, 0.9, 10, None, false),
        ("nothing_kept", 130, 4, 0.0, 1, None, false),
        ("fault", 65, 4, 0.9, 1, Some(2), false),
    ];
    rows.map(|(name, len, step, keep, every, fault, begins)| {
        Row::new(name, move |g, _| {
            let clock = match fault {
                Some(bad) => faulty_clock(g, step, bad)?,
                None => clock_at(g, step)?,
            };
            let params = arena(g, "parameters", len, false)?;
            let average = if begins { not_yet(g, len)? } else { arena(g, "average", len, false)? };
            for _ in 0..3 {
                average.ema(Ema { keep, every }, &params, &clock)?;
                g.tick(&clock)?;
            }
            Ok(vec![average])
        })
        .bounds(if fault.is_some() || begins { Bound::Exact } else { Bound::Rounding(4.0) }, Bound::Exact)
    })
    .into()
}

fn not_yet(g: &Graph, len: usize) -> Result<Var> {
    for (slot, len) in [("first", 7), ("second", len)] {
        g.state("average", slot, TensorSpec::f32([len]), Init::Constant(f32::NAN))?;
    }
    g.whole("average")
}
