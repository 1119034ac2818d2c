use super::{Bound, Row, Values, arena, clock_at, faulty_clock, words};

pub fn rows() -> Vec<Row> {
    vec![
        row("one_slot", 1, vec![], 0.99, false),
        row("several_blocks", 200, vec![], 0.9, false),
        row("large", 70_000, vec![], 0.999, false),
        row("nothing_kept", 65, vec![], 0.0, false),
        // The values of a slot that is kept may be anything.
        row("kept", 65, vec![f32::NAN, f32::INFINITY, f32::MAX], 0.75, false),
        row("all_kept", 65, vec![f32::NAN, -0.0, f32::INFINITY], 1.0, false),
        row("fault", 65, vec![], 0.5, true),
    ]
}

/// Two steps. The first block of the arena is kept whole, with the given values there; of the others `keep` is kept.
fn row(name: &str, len: usize, garbage: Vec<f32>, keep: f32, fault: bool) -> Row {
    // The arena's two slots, each of whole blocks.
    let whole = 64 + len.next_multiple_of(64);
    let mut values: Vec<f32> = (0..whole).map(|i| (i as f32 * 0.7).sin()).collect();
    values[..garbage.len()].copy_from_slice(&garbage);
    Row::new(name, move |g, x| {
        let clock = if fault { faulty_clock(g, 3, 3)? } else { clock_at(g, 3)? };
        let average = arena(g, "averages", len, false)?;
        let shares: Vec<u32> = (0..whole / 64).map(|i| if i == 0 { 1.0f32 } else { keep }.to_bits()).collect();
        let shares = words(g, "shares", &shares)?;
        for _ in 0..2 {
            average.moving_average(&x[0], &shares, &clock)?;
            g.tick(&clock)?;
        }
        Ok(vec![average, clock])
    })
    .constant([whole], Values::Exactly(values))
    .bounds(if fault || keep == 1.0 { Bound::Exact } else { Bound::Rounding(4.0) }, Bound::Exact)
}
