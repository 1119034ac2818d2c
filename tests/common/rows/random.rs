use super::{Bound, Row, clock_at};
use galen::ops::random::Distribution::{self, Normal, Uniform};

pub fn rows() -> Vec<Row> {
    let row = |name, distribution: Distribution, shape: &'static [usize], stream, bound| {
        Row::new(name, move |g, _| {
            let clock = clock_at(g, 7)?;
            let first = g.random(shape, distribution, stream, &clock)?;
            g.tick(&clock)?;
            Ok(vec![first, g.random(shape, distribution, stream, &clock)?])
        })
        .bounds(bound, Bound::Exact)
    };
    let per_sample = |name, distribution: Distribution, shape: &'static [usize], bound| {
        Row::new(name, move |g, _| {
            let samples = super::words(g, "samples", &[7, 0, u32::MAX, 7, 3])?;
            let epoch = super::words(g, "epoch", &[3])?;
            Ok(vec![g.random_per_sample(shape, distribution, 17, &clock_at(g, 7)?, &epoch, &samples)?])
        })
        .bounds(bound, Bound::Exact)
    };
    vec![
        row("uniform_one", Uniform, &[1], 0, Bound::Exact),
        row("uniform_odd", Uniform, &[3, 5, 7], 1, Bound::Exact),
        row("uniform_long", Uniform, &[33_333], u32::MAX, Bound::Exact),
        row("normal_one", Normal, &[1], 0, Bound::Unit(16.0)),
        row("normal_odd", Normal, &[9, 33], 0x811c_9dc5, Bound::Unit(16.0)),
        row("normal_long", Normal, &[33_333], 3, Bound::Unit(16.0)),
        per_sample("per_sample_one", Uniform, &[1], Bound::Exact),
        per_sample("per_sample_odd", Uniform, &[3, 5, 7], Bound::Exact),
        per_sample("per_sample_normal", Normal, &[3, 33], Bound::Unit(16.0)),
    ]
}
