//! Every row of the table: the gradient that the graph computes is that of finite differences, in f64.

mod common;

use common::finite::check;

#[test]
fn gradients_are_those_of_finite_differences() {
    let mut rows = common::rows::chosen();
    rows.retain(|r| !r.wrt.is_empty());
    let failures: Vec<String> =
        rows.iter().filter_map(|row| check(row).err().map(|e| format!("{}/{}: {e}", row.stem, row.name))).collect();
    assert!(failures.is_empty(), "{} of {} rows:\n{}", failures.len(), rows.len(), failures.join("\n"));
    println!("{} rows", rows.len());
}
