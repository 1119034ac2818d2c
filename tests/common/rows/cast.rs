use super::{Bound, Row};

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, shape) in [("one", vec![1]), ("odd", vec![3, 5, 7]), ("long", vec![2, 33_333]), ("scalar", vec![])] {
        let build = |_: &galen::Graph, x: &[galen::Var]| Ok(vec![x[0].to_f32()?]);
        let exact = |row: Row| row.bounds(Bound::Exact, Bound::Exact);
        rows.push(exact(Row::new(&format!("words_{name}"), build).u32(shape.clone(), 1 << 24)));
        rows.push(exact(Row::new(&format!("bytes_{name}"), build).u8(shape)));
    }
    rows
}
