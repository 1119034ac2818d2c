use super::{Bound, Row, arena, clock_at, faulty_clock, words};
use galen::ops::max_norm::{Units, longest, table};

pub fn rows() -> Vec<Row> {
    let at = |offset, units, unit_stride, elements, element_stride, limit| Units {
        offset,
        units,
        unit_stride,
        elements,
        element_stride,
        limit,
    };
    // Columns lie side by side, rows one after another.
    let columns = |inputs, units, limit| at(64, units, 1, inputs, units, limit);
    let rows = |units, elements, limit| at(64, units, elements, elements, 1, limit);
    let (plain, scaled) = (Bound::Exact, Bound::Rounding(16.0));
    vec![
        row("one_unit", 30, vec![columns(30, 1, 0.5)], 1, None, scaled),
        row("columns", 33 * 17, vec![columns(33, 17, 2.0)], 1, None, scaled),
        row("columns_of_one", 65, vec![columns(1, 65, 0.3)], 1, None, scaled),
        row("rows", 35 * 27, vec![rows(35, 27, 2.5)], 1, None, scaled),
        row("long_rows", 3 * 5000, vec![rows(3, 5000, 1.0)], 1, None, scaled),
        // Units that several workgroups share, beside short ones.
        row("cut_rows", 2 * 20_001, vec![at(0, 7, 1, 1, 7, 0.1), rows(2, 20_001, 3.0)], 1, None, scaled),
        row("cut_columns", 3 * 17_000, vec![columns(17_000, 3, 1.0)], 1, None, scaled),
        row("cut_between_updates", 3 * 17_000, vec![columns(17_000, 3, 1.0)], 4, None, plain),
        row("far_below", 33 * 17, vec![columns(33, 17, 1e6)], 1, None, scaled),
        row("two_slots", 6 * 40, vec![at(0, 7, 1, 1, 7, 0.1), columns(40, 6, 1.0)], 1, None, scaled),
        row("in_an_update", 6 * 40, vec![columns(40, 6, 1.0)], 2, None, scaled),
        row("between_updates", 6 * 40, vec![columns(40, 6, 1.0)], 4, None, plain),
        row("fault", 6 * 40, vec![columns(40, 6, 1.0)], 1, Some(5), plain),
        row("zeros", 40, vec![at(8, 4, 8, 8, 1, 1.0)], 1, None, plain),
    ]
}

/// Once, in step 5.
fn row(name: &str, len: usize, units: Vec<Units>, every: u32, fault: Option<u32>, bound: Bound) -> Row {
    Row::new(name, move |g, _| {
        let clock = match fault {
            Some(bad) => faulty_clock(g, 5, bad)?,
            None => clock_at(g, 5)?,
        };
        let params = arena(g, "parameters", len, false)?;
        let table = table(params.shape().elements(), &units)?;
        params.max_norm(&words(g, "units", &table)?, longest(&table), &clock, every)?;
        Ok(vec![params])
    })
    .bounds(bound, Bound::Exact)
}
