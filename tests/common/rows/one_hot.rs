use super::{Bound, Row, words};

pub fn rows() -> Vec<Row> {
    // Indices go beyond the depth in all but the first two.
    let cases: [(&str, &[usize], usize, isize, u32); 7] = [
        ("one", &[1], 1, -1, 1),
        ("labels", &[7], 3, -1, 3),
        ("scalar", &[], 4, 0, 6),
        ("ignored", &[5, 9], 4, -1, 7),
        ("image", &[2, 5, 7], 3, 1, 5),
        ("first", &[13], 5, 0, 6),
        ("long", &[2, 333], 65, 1, 80),
    ];
    let mut rows: Vec<Row> = cases
        .into_iter()
        .map(|(name, shape, depth, axis, below)| {
            let row = Row::new(name, move |_, x| Ok(vec![x[0].one_hot_with(depth, axis, 0.75, -0.25)?]));
            row.u32(shape, below).bounds(Bound::Exact, Bound::Exact)
        })
        .collect();
    // Of an input they would be refused before the run.
    let strict = Row::new("strict", |graph, _| {
        let ids = words(graph, "ids", &(0..18).map(|i| i * 5 % 8).collect::<Vec<_>>())?;
        Ok(vec![ids.reshape([9, 2])?.one_hot(5)?])
    });
    rows.push(strict.bounds(Bound::Exact, Bound::Exact));
    rows.push(Row::new("plain", |_, x| Ok(vec![x[0].one_hot(5)?])).u32([9], 5).bounds(Bound::Exact, Bound::Exact));
    rows
}
