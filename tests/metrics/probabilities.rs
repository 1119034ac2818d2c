//! Probabilities against scikit-learn and the formula of the calibration error.

use galen::metrics::*;
use ndarray::Array2;
use serde::Deserialize;

use super::{CLOSE, all_near, near, stored};

#[derive(Deserialize)]
struct Bins {
    observed: Vec<f64>,
    predicted: Vec<f64>,
    counts: Vec<usize>,
}

#[derive(Deserialize)]
struct Reliability {
    uniform: Bins,
    quantile: Bins,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    truth: Vec<bool>,
    p: Vec<f64>,
    bins: usize,
    log_loss: f64,
    brier: f64,
    ece: f64,
    reliability: Reliability,
}

#[test]
fn losses_and_calibration_are_those_of_scikit_learn() {
    for case in stored::<Case>("probability.json") {
        let (name, truth, p) = (case.name.as_str(), &case.truth, &case.p);
        near(name, log_loss(truth, p).expect("a loss"), case.log_loss, CLOSE);
        near(name, brier(truth, p).expect("a loss"), case.brier, CLOSE);
        near(name, expected_calibration_error(truth, p, case.bins).expect("an error"), case.ece, CLOSE);
        let uniform = ReliabilityCurve::new(truth, p, case.bins).expect("a curve");
        let quantile = ReliabilityCurve::with_quantiles(truth, p, case.bins).expect("a curve");
        for (curve, expected) in [(uniform, case.reliability.uniform), (quantile, case.reliability.quantile)] {
            assert_eq!(curve.counts, expected.counts, "{name}");
            all_near(name, &curve.observed, &expected.observed);
            all_near(name, &curve.predicted, &expected.predicted);
            assert!(curve.maximum_error() >= curve.expected_error(), "{name}");
        }
    }
}

#[derive(Deserialize)]
struct Rows {
    name: String,
    truth: Vec<u32>,
    p: Vec<Vec<f64>>,
    bins: usize,
    log_loss: f64,
    brier: f64,
    ece: f64,
}

#[test]
fn losses_of_several_classes_are_those_of_scikit_learn() {
    for case in stored::<Rows>("distributions.json") {
        let p = Array2::from_shape_vec((case.p.len(), case.p[0].len()), case.p.concat()).expect("a table");
        let (name, truth) = (case.name.as_str(), &case.truth);
        near(name, log_loss_multiclass(truth, p.view()).expect("a loss"), case.log_loss, CLOSE);
        near(name, brier_multiclass(truth, p.view()).expect("a loss"), case.brier, CLOSE);
        let error = expected_calibration_error_multiclass(truth, p.view(), case.bins).expect("an error");
        near(name, error, case.ece, CLOSE);
    }
}

#[test]
fn two_classes_are_a_yes_or_no() {
    let p = [0.0, 0.25, 0.5, 0.875, 1.0];
    let truth = [0, 1, 1, 0, 1];
    let rows = Array2::from_shape_fn((5, 2), |(i, c)| if c == 1 { p[i] } else { 1.0 - p[i] });
    let yes = truth.map(|t| t == 1);
    near("log loss", log_loss_multiclass(&truth, rows.view()).unwrap(), log_loss(&yes, &p).unwrap(), CLOSE);
    near("Brier", brier_multiclass(&truth, rows.view()).unwrap(), 2.0 * brier(&yes, &p).unwrap(), CLOSE);
}

#[test]
fn what_is_said_as_often_as_it_comes_true_has_no_calibration_error() {
    let truth: Vec<bool> = (0..40).map(|i| i % 4 == 0).collect();
    assert_eq!(expected_calibration_error(&truth, &[0.25; 40], 10).expect("an error"), 0.0);
    assert_eq!(expected_calibration_error(&truth, &[0.75; 40], 10).expect("an error"), 0.5);
}
