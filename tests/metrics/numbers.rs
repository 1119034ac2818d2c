//! Numbers and times against scikit-learn, SciPy and lifelines.

use galen::metrics::*;
use serde::Deserialize;

use super::{CLOSE, Expected, compare, near, stored};

#[derive(Deserialize)]
struct Case {
    name: String,
    truth: Vec<f64>,
    predicted: Vec<f64>,
    expected: Expected,
}

#[test]
fn errors_and_correlations_are_those_of_scikit_learn_and_scipy() {
    for case in stored::<Case>("regression.json") {
        assert_eq!(case.expected.len(), 6);
        compare(&case.name, &case.expected, |name| {
            let metric = match name {
                "mse" => mean_squared_error,
                "rmse" => root_mean_squared_error,
                "mae" => mean_absolute_error,
                "r2" => r_squared,
                "pearson" => pearson,
                "spearman" => spearman,
                other => panic!("no metric is called {other}"),
            };
            Some(metric(&case.truth, &case.predicted).expect("a number"))
        });
    }
}

#[derive(Deserialize)]
struct Times {
    name: String,
    times: Vec<f64>,
    predicted: Vec<f64>,
    observed: Vec<bool>,
    index: f64,
}

#[test]
fn concordance_is_that_of_lifelines() {
    for case in stored::<Times>("survival.json") {
        let index = concordance_index(&case.times, &case.predicted, &case.observed).expect("an index");
        near(&case.name, index, case.index, CLOSE);
    }
}

#[test]
fn concordance_without_censoring_and_ties_is_the_share_of_ordered_pairs() {
    let (times, said) = ([3.0, 1.0, 2.0, 5.0, 4.0], [0.3, 0.1, 0.4, 0.2, 0.5]);
    let pairs = || (0..5).flat_map(|i| (0..i).map(move |j| (i, j)));
    let right = pairs().filter(|(i, j)| (times[*i] < times[*j]) == (said[*i] < said[*j])).count();
    let index = concordance_index(&times, &said, &[true; 5]).expect("an index");
    assert_eq!(index, right as f64 / pairs().count() as f64);
    let opposite: Vec<f64> = said.iter().map(|s| -s).collect();
    near("opposite", concordance_index(&times, &opposite, &[true; 5]).expect("an index"), 1.0 - index, CLOSE);
    // Zero of either sign is the same time: an event there comes before what is censored there.
    assert_eq!(concordance_index(&[0.0, -0.0], &[1.0, 2.0], &[true, false]).expect("an index"), 1.0);
}

#[test]
fn correlations_see_no_scale() {
    let truth = [1.0, 2.0, 4.0, 3.5, -1.0];
    let said = [0.5, 2.5, 3.0, 4.0, 0.0];
    for scale in [1e-200, 1e-9, 1e200] {
        let scaled = said.map(|s| s * scale);
        let expected = pearson(&truth, &said).expect("a number");
        near("pearson", pearson(&truth, &scaled).expect("a number"), expected, CLOSE);
        assert_eq!(spearman(&truth, &scaled).expect("a number"), spearman(&truth, &said).expect("a number"));
    }
    near("itself", pearson(&truth, &truth).expect("a number"), 1.0, CLOSE);
    near("rising", spearman(&truth, &truth.map(f64::exp)).expect("a number"), 1.0, CLOSE);
}
