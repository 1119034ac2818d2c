use super::{Bound, Row, Values, words};

pub fn rows() -> Vec<Row> {
    // Below and above the 64 ids that are looped over; one, two and three sorted blocks; empty and crowded rows.
    let cases: [(&str, &[usize], &[usize]); 9] = [
        ("one", &[1], &[1]),
        ("scalar_id", &[6, 3], &[]),
        ("ids", &[6, 3], &[5]),
        ("ids_rank2", &[7, 2, 3], &[4, 5]),
        ("flat", &[9], &[2, 3, 4]),
        ("one_block", &[40, 5], &[70]),
        ("two_blocks", &[300, 3], &[257]),
        ("three_blocks", &[5, 7], &[6, 100]),
        ("five_blocks", &[1500], &[1100]),
    ];
    let mut rows: Vec<Row> = cases
        .into_iter()
        .map(|(name, table, ids)| {
            let row = Row::new(name, |_, x| Ok(vec![x[0].gather(&x[1])?]));
            // A row of the gradient sums at most about 150 terms.
            row.f32(table, Values::Normal).u32(ids, table[0] as u32).bounds(Bound::Exact, Bound::Rounding(32.0))
        })
        .collect();
    // Of an input they would be refused before the run.
    let out_of_range = |name: &str, n: usize| {
        Row::new(name, move |graph, x| {
            let ids = words(graph, "ids", &(0..n as u32).map(|i| (i * i + 3) % 8).collect::<Vec<_>>())?;
            let grad = galen::ops::gather::GatherGrad { rows: 5, padding: None };
            Ok(vec![x[0].gather(&ids)?, graph.push1(grad, &[&ids, &x[1]])?])
        })
        .constant([5, 3], Values::Normal)
        .constant([n, 3], Values::Normal)
        .bounds(Bound::Rounding(32.0), Bound::Exact)
        .bound_of(0, Bound::Exact)
    };
    // Padding inside of the table, where most ids fall on it, and outside, where none would be a row.
    for (name, ids, padding) in [("padding", 30, 1), ("padding_sorted", 600, 1), ("padding_outside", 70, 4)] {
        let row = Row::new(name, move |_, x| Ok(vec![x[0].gather_padded(&x[1], Some(padding))?]));
        let row = row.f32([4, 3], Values::Normal).u32([ids], if padding < 4 { 3 } else { 5 });
        rows.push(row.bounds(Bound::Exact, Bound::Rounding(32.0)));
    }
    rows.push(out_of_range("out_of_range", 20));
    rows.push(out_of_range("out_of_range_sorted", 300));
    let twice = Row::new("grad_of_grad", |graph, x| {
        Ok(vec![graph.push1(galen::ops::gather::GatherGrad { rows: 4, padding: Some(2) }, &[&x[1], &x[0]])?])
    });
    rows.push(twice.f32([6, 3], Values::Normal).u32([6], 4).bounds(Bound::Rounding(8.0), Bound::Exact));
    rows
}
