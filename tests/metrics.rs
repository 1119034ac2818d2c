//! Metrics: numbers are those that scikit-learn, SciPy, lifelines and MedPy gave (`tests/metrics/make.py`), bad input is refused by
//! name, and what must hold between metrics holds.

#[path = "metrics/intervals.rs"]
mod intervals;
#[path = "metrics/masks.rs"]
mod masks;
#[path = "metrics/numbers.rs"]
mod numbers;
#[path = "metrics/probabilities.rs"]
mod probabilities;
#[path = "metrics/ptbxl.rs"]
mod ptbxl;
#[path = "metrics/refusals.rs"]
mod refusals;
#[path = "metrics/scores.rs"]
mod scores;
#[path = "common/skip.rs"]
mod skip;
#[path = "metrics/tables.rs"]
mod tables;

use std::collections::BTreeMap;
use std::path::Path;

use galen::metrics::Average;
use serde::de::DeserializeOwned;

/// What a double-precision sum of some dozens of terms, added in another order, may be off by.
const CLOSE: f64 = 1e-12;

/// Numbers by name; `None` where the reference says NaN.
type Expected = BTreeMap<String, Option<f64>>;

/// The cases of a stored file.
fn stored<T: DeserializeOwned>(file: &str) -> Vec<T> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/metrics").join(file);
    let text = std::fs::read_to_string(&path).expect("a stored file");
    let cases: Vec<T> = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{file}: {e}"));
    assert!(!cases.is_empty(), "{file} has no case");
    cases
}

/// The two numbers are the same up to a share of the expected one.
fn near(of: &str, actual: f64, expected: f64, tolerance: f64) {
    // 1e-15 for what cancels to nearly nothing, as a correlation.
    let off = (actual - expected).abs();
    let same = actual == expected || off <= tolerance * expected.abs() + 1e-15;
    assert!(same, "{of}: {actual}, not {expected} (off by {off:e})");
}

fn all_near(of: &str, actual: &[f64], expected: &[f64]) {
    assert_eq!(actual.len(), expected.len(), "{of}: {actual:?}, not {expected:?}");
    actual.iter().zip(expected).enumerate().for_each(|(i, (a, e))| near(&format!("{of}, number {i}"), *a, *e, CLOSE));
}

/// Every expected number is what `metric` gives for its name.
fn compare(case: &str, expected: &Expected, metric: impl Fn(&str) -> Option<f64>) {
    for (name, expected) in expected {
        match (metric(name), expected) {
            (Some(actual), Some(expected)) => near(&format!("{case}: {name}"), actual, *expected, CLOSE),
            (actual, expected) => assert_eq!(actual, *expected, "{case}: {name}"),
        }
    }
}

fn average(name: &str) -> Average {
    match name {
        "macro" => Average::Macro,
        "micro" => Average::Micro,
        "weighted" => Average::Weighted,
        other => panic!("no average is called {other}"),
    }
}

/// The error's text holds every one of `parts`.
fn says<T: std::fmt::Debug>(result: galen::Result<T>, parts: &[&str]) {
    let text = result.expect_err("this must be refused").to_string();
    for part in parts {
        assert!(text.contains(part), "\"{text}\" does not say \"{part}\"");
    }
}
