//! Tables: read from CSV and ARFF, prepared for a network as scikit-learn prepares them, balanced; bad files and bad values are refused by
//! name. `tables/make.py` says where the stored numbers come from.
#![cfg(feature = "tables")]

#[path = "tables/arff.rs"]
mod arff;
#[path = "tables/balance.rs"]
mod balance;
#[path = "tables/columns.rs"]
mod columns;
#[path = "tables/csv.rs"]
mod csv;
#[path = "tables/pandas.rs"]
mod pandas;
#[path = "tables/prepare.rs"]
mod prepare;
#[path = "tables/recipe.rs"]
mod recipe;
#[path = "tables/sets.rs"]
mod sets;
#[path = "common/skip.rs"]
mod skip;

use galen::data::Table;
use serde_json::Value;

/// What others made of the same data.
fn reference(part: &str) -> Value {
    let all: Value = serde_json::from_str(include_str!("tables/reference.json")).expect("JSON");
    all[part].clone()
}

/// Numbers, NaN for null.
fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|v| v.as_f64().unwrap_or(f64::NAN)).collect()
}

/// Rows of numbers.
fn array(value: &Value) -> ndarray::Array2<f64> {
    let rows: Vec<Vec<f64>> = value.as_array().expect("rows").iter().map(numbers).collect();
    let width = rows.first().map_or(0, Vec::len);
    ndarray::Array2::from_shape_vec((rows.len(), width), rows.concat()).expect("rows of the same length")
}

/// Each number as it should be, relative to the larger of 1 and its size; NaN where NaN should be.
fn close<'a>(
    what: &str,
    found: impl IntoIterator<Item = f64>,
    wanted: impl IntoIterator<Item = &'a f64>,
    tolerance: f64,
) {
    let (found, wanted): (Vec<f64>, Vec<f64>) = (found.into_iter().collect(), wanted.into_iter().copied().collect());
    assert_eq!(found.len(), wanted.len(), "{what}");
    for (i, (f, w)) in found.iter().zip(&wanted).enumerate() {
        let same = (f.is_nan() && w.is_nan()) || (f - w).abs() <= tolerance * w.abs().max(1.0);
        assert!(same, "{what}, number {i}: {f} is not {w}");
    }
}

/// The error's text holds every one of `parts`.
fn says<T: std::fmt::Debug>(result: galen::Result<T>, parts: &[&str]) {
    let text = result.expect_err("this must be refused").to_string();
    for part in parts {
        assert!(text.contains(part), "\"{text}\" does not say \"{part}\"");
    }
}

/// A column's values as texts, an empty one where it is missing.
fn texts(table: &Table, column: &str) -> Vec<String> {
    let values = table.column(column).expect("a column");
    (0..table.rows()).map(|row| values.text(row).unwrap_or_default()).collect()
}

/// Breast masses: 30 numbers and the diagnosis.
fn wdbc() -> Table {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/wdbc.csv");
    galen::data::formats::csv::Csv::new().read(path).expect("the table that the examples carry")
}
