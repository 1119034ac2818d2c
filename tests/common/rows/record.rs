use super::{Bound, Row, Values, clock_at, faulty_clock, schedule, words};

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    // The step, the fault, the columns: the ring has five rows and the epoch twelve steps from step 100 on.
    for (name, step, fault, columns) in [
        ("first", 100, None, 1),
        ("wraps", 108, None, 3),
        ("last", 111, None, 2),
        ("before_the_epoch", 20, None, 3),
        ("after_the_epoch", 200, None, 3),
        ("bad_step", 103, Some(103), 2),
        ("after_the_bad_step", 103, Some(102), 2),
    ] {
        let row = Row::new(name, move |g, x| {
            let clock = match fault {
                Some(bad) => faulty_clock(g, step, bad)?,
                None => clock_at(g, step)?,
            };
            let ring = words(g, "ring", &(0..5 * columns as u32).collect::<Vec<_>>())?;
            let schedule = schedule(g, 100, &[0.1; 12])?;
            x[0].record(&ring, 0, columns, &clock, &schedule)?;
            x[1].record(&ring, columns - 1, columns, &clock, &schedule)?;
            Ok(vec![ring, clock])
        });
        let float = Values::Exactly(vec![if fault.is_some() { f32::NAN } else { -1.75 }]);
        rows.push(row.constant(if columns == 1 { vec![] } else { vec![1] }, float).u32([1], 1000));
    }
    rows.into_iter().map(|r| r.bounds(Bound::Exact, Bound::Exact)).collect()
}
