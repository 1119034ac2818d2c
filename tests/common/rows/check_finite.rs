use super::{Bound, Row, Values, clock_at, faulty_clock};

pub fn rows() -> Vec<Row> {
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    let mut rows = vec![row("finite", 300, &[], None), row("fault_stays", 300, &[(5, nan)], Some(3))];
    rows.push(row("extremes", 4, &[(0, f32::MAX), (1, f32::MIN), (2, 1e-40), (3, -0.0)], None));
    for (name, len, bad) in [
        ("one", 1, (0, nan)),
        ("infinity", 65, (64, inf)),
        ("negative_infinity", 257, (256, -inf)),
        ("negative_nan", 1023, (511, -nan)),
        ("first", 300, (0, nan)),
        ("long", 33_333, (33_332, nan)),
    ] {
        rows.push(row(name, len, &[bad], None));
    }
    rows.push(row("many", 2000, &[(3, nan), (70, inf), (1500, nan), (1999, -inf)], None));
    rows
}

/// `len` numbers, some of them replaced, checked in step 9 twice, with a tick between that counts only without a fault.
fn row(name: &str, len: usize, replaced: &[(usize, f32)], fault: Option<u32>) -> Row {
    let mut values: Vec<f32> = (0..len).map(|i| i as f32 - 3.5).collect();
    for (i, v) in replaced {
        values[*i] = *v;
    }
    Row::new(name, move |g, x| {
        let clock = match fault {
            Some(bad) => faulty_clock(g, 9, bad)?,
            None => clock_at(g, 9)?,
        };
        x[0].check_finite(&clock)?;
        g.tick(&clock)?;
        x[0].check_finite(&clock)?;
        Ok(vec![clock])
    })
    .constant([len], Values::Exactly(values))
    .bounds(Bound::Exact, Bound::Exact)
}
