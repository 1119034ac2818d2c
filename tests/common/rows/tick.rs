use super::{Bound, Row, clock_at, faulty_clock};

pub fn rows() -> Vec<Row> {
    let row = |name, row: Row| Row { name: String::from(name), ..row }.bounds(Bound::Exact, Bound::Exact);
    let good = Row::new("", |g, _| {
        let clock = clock_at(g, 41)?;
        g.tick(&clock)?;
        g.tick(&clock)?;
        Ok(vec![clock])
    });
    let stopped = Row::new("", |g, _| {
        let clock = faulty_clock(g, 41, 41)?;
        g.tick(&clock)?;
        Ok(vec![clock])
    });
    vec![row("twice", good), row("fault", stopped)]
}
