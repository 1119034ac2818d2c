use super::{Bound, Row, Values, clock_at, schedule, words};
use galen::contract::Threefry;
use galen::ops::gather_batch::GatherBatch;

/// Data rows that there are, and samples of an epoch.
const ROWS: usize = 37;
const SAMPLES: usize = 29;

pub fn rows() -> Vec<Row> {
    let gather = |batch, full_batch, scale, shift| GatherBatch { batch, full_batch, scale, shift };
    vec![
        row("bytes", 103, gather(8, 8, 1.0 / 255.0, 0.0)).u8([ROWS, 3, 5, 7]).bounds(Bound::Ulps(2.0), Bound::Exact),
        row("bytes_centred", 101, gather(3, 3, 1.0 / 127.5, -1.0))
            .u8([ROWS, 130])
            .bounds(Bound::Unit(2.0), Bound::Exact),
        row("bytes_as_they_are", 102, gather(9, 9, 1.0, 0.0)).u8([ROWS, 11]),
        row("bytes_one_column", 102, gather(7, 7, 1.0, 0.0)).u8([ROWS]),
        row("floats", 100, gather(8, 8, 1.0, 0.0)).constant([ROWS, 13], Values::Normal),
        row("floats_long", 103, gather(6, 6, 1.0, 0.0)).constant([ROWS, 33, 17], Values::Normal),
        row("floats_scaled", 101, gather(8, 8, 2.5, 0.75))
            .constant([ROWS, 9], Values::Normal)
            .bounds(Bound::Rounding(2.0), Bound::Exact),
        row("classes", 103, gather(8, 8, 1.0, 0.0)).u32([ROWS], 1000),
        row("tokens", 102, gather(1, 1, 1.0, 0.0)).u32([ROWS, 1, 19], 1 << 30),
        row("last_batch", 103, gather(5, 8, 1.0, 0.0)).constant([ROWS, 5], Values::Normal),
        row("one_row", 100, gather(2, 2, 1.0, 0.0)).constant([1, 6], Values::Normal),
        row("after_the_epoch", 900, gather(8, 8, 1.0, 0.0)).constant([ROWS, 3], Values::Normal),
    ]
}

/// In step `step` of an epoch of four steps from step 100 on.
fn row(name: &str, step: u32, op: GatherBatch) -> Row {
    Row::new(name, move |g, x| {
        let order: Vec<u32> = Threefry::new(5, 0).permutation(ROWS).into_iter().take(SAMPLES).collect();
        let (clock, order) = (clock_at(g, step)?, words(g, "order", &order)?);
        Ok(vec![x[0].gather_batch(op.clone(), &clock, &schedule(g, 100, &[0.1; 4])?, &order)?])
    })
    .bounds(Bound::Exact, Bound::Exact)
}
