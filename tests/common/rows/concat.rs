use super::{Bound, Row, Values};
use galen::Var;

fn join(axis: isize) -> impl Fn(&galen::Graph, &[Var]) -> galen::Result<Vec<Var>> {
    move |_, x| Ok(vec![Var::concat(&x.iter().collect::<Vec<_>>(), axis)?])
}

pub fn rows() -> Vec<Row> {
    let exact = |row: Row| row.bounds(Bound::Exact, Bound::Exact);
    let mut rows = Vec::new();
    for (name, axis, shapes) in [
        ("axis0", 0, vec![vec![1, 3], vec![2, 3]]),
        ("axis1", 1, vec![vec![2, 1, 3], vec![2, 4, 3], vec![2, 2, 3]]),
        ("last", -1, vec![vec![13, 3, 1], vec![13, 3, 4]]),
        ("vectors", 0, vec![vec![1], vec![70], vec![5]]),
        ("channels", 1, vec![vec![2, 3, 5, 4], vec![2, 1, 5, 4]]),
        ("seven", 1, (1..=7).map(|i| vec![3, i]).collect()),
        ("sixteen", 1, (0..16).map(|i| vec![3, 1 + i % 4, 2]).collect()),
    ] {
        let row = Row::new(name, join(axis));
        rows.push(exact(shapes.into_iter().fold(row, |row, shape| row.f32(shape, Values::Normal))));
    }
    rows.push(exact(Row::new("integers", join(0)).u32([2, 4], 1 << 31).u32([3, 4], 1 << 31)));
    rows.push(exact(
        Row::new("the_same_twice", |_, x| Ok(vec![Var::concat(&[&x[0], &x[0]], 1)?])).f32([3, 4], Values::Normal),
    ));
    rows
}
