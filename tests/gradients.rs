//! Every row of the table: the gradient that the graph computes is that of finite differences, in f64.

mod common;

use common::finite::check;

#[test]
fn gradients_are_those_of_finite_differences() {
    let wanted = std::env::var("GALEN_ROWS").unwrap_or_default();
    let mut rows = common::rows::all();
    rows.retain(|r| {
        !r.wrt.is_empty()
            && (wanted.is_empty() || wanted.split(',').any(|w| format!("{}/{}", r.stem, r.name).starts_with(w)))
    });
    let failures: Vec<String> =
        rows.iter().filter_map(|row| check(row).err().map(|e| format!("{}/{}: {e}", row.stem, row.name))).collect();
    assert!(failures.is_empty(), "{} of {} rows:\n{}", failures.len(), rows.len(), failures.join("\n"));
    println!("{} rows", rows.len());
}
