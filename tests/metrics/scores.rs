//! Curves, areas and thresholds against scikit-learn, and what must hold of them.

use galen::contract::Threefry;
use galen::metrics::*;
use ndarray::Array2;
use serde::Deserialize;

use super::{CLOSE, Expected, all_near, average, compare, near, stored};

#[derive(Deserialize)]
struct Points {
    x: Vec<f64>,
    y: Vec<f64>,
    thresholds: Vec<Option<f64>>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    truth: Vec<bool>,
    scores: Vec<f64>,
    auc: f64,
    ap: f64,
    roc: Points,
    corners: Points,
    pr: Points,
    points: Vec<(String, f64, Option<f64>)>,
}

fn same_curve(name: &str, curve: &RocCurve, expected: &Points) {
    all_near(name, &curve.false_positive_rate, &expected.x);
    all_near(name, &curve.true_positive_rate, &expected.y);
    let thresholds: Vec<f64> = expected.thresholds.iter().map(|t| t.unwrap_or(f64::INFINITY)).collect();
    assert_eq!(curve.thresholds, thresholds, "{name}");
}

#[test]
fn curves_and_areas_are_those_of_scikit_learn() {
    for case in stored::<Case>("curves.json") {
        let (name, truth, scores) = (case.name.as_str(), &case.truth, &case.scores);
        near(name, roc_auc(truth, scores).expect("an area"), case.auc, CLOSE);
        near(name, average_precision(truth, scores).expect("a number"), case.ap, CLOSE);
        let roc = RocCurve::new(truth, scores).expect("a curve");
        same_curve(name, &roc, &case.roc);
        same_curve(name, &roc.corners(), &case.corners);
        near(name, roc.area(), case.auc, CLOSE);
        near(name, roc.corners().area(), case.auc, CLOSE);
        let pr = PrecisionRecallCurve::new(truth, scores).expect("a curve");
        all_near(name, &pr.precision, &case.pr.x);
        all_near(name, &pr.recall, &case.pr.y);
        let thresholds: Vec<f64> = case.pr.thresholds.iter().flatten().copied().collect();
        assert_eq!(pr.thresholds, thresholds, "{name}");
    }
}

#[test]
fn operating_points_are_those_of_scikit_learns_curve() {
    for case in stored::<Case>("curves.json") {
        for (kind, wished, threshold) in &case.points {
            let point = match kind.as_str() {
                "youden" => OperatingPoint::youden(&case.truth, &case.scores),
                "sensitivity" => OperatingPoint::at_sensitivity(&case.truth, &case.scores, *wished),
                _ => OperatingPoint::at_specificity(&case.truth, &case.scores, *wished),
            };
            let point = point.expect("a point");
            let of = format!("{}: {kind} {wished}", case.name);
            assert_eq!(point.threshold, threshold.unwrap_or(f64::INFINITY), "{of}");
            let counts = point.apply(&case.truth, &case.scores).expect("counts");
            assert_eq!(
                (counts.sensitivity(), counts.specificity()),
                (Some(point.sensitivity), Some(point.specificity))
            );
            let again = OperatingPoint::at_threshold(&case.truth, &case.scores, point.threshold).expect("a point");
            assert_eq!(again, point, "{of}");
        }
    }
}

#[derive(Deserialize)]
struct Columns {
    name: String,
    multiclass: bool,
    truth: serde_json::Value,
    scores: Vec<Vec<f64>>,
    expected: Expected,
}

#[test]
fn areas_of_several_classes_and_labels_are_those_of_scikit_learn() {
    for case in stored::<Columns>("columns.json") {
        let (rows, width) = (case.scores.len(), case.scores[0].len());
        let scores = Array2::from_shape_vec((rows, width), case.scores.concat()).expect("a table");
        let classes = || -> Vec<u32> { serde_json::from_value(case.truth.clone()).expect("classes") };
        let labels = || -> Array2<bool> {
            let rows_of: Vec<Vec<u8>> = serde_json::from_value(case.truth.clone()).expect("labels");
            Array2::from_shape_vec((rows, width), rows_of.concat().iter().map(|v| *v == 1).collect()).expect("a table")
        };
        compare(&case.name, &case.expected, |name| {
            let result = match (name.split_once(' ').expect("two words"), case.multiclass) {
                (("auc", of), true) => roc_auc_one_vs_rest(&classes(), scores.view(), average(of)),
                (("auc", of), false) => roc_auc_multilabel(labels().view(), scores.view(), average(of)),
                (("ap", of), true) => average_precision_one_vs_rest(&classes(), scores.view(), average(of)),
                (("ap", of), false) => average_precision_multilabel(labels().view(), scores.view(), average(of)),
                ((_, k), _) => top_k_accuracy(&classes(), scores.view(), k.parse().expect("a number")),
            };
            Some(result.expect("a number"))
        });
    }
}

/// Scores of `n` samples with ties, and which are positive.
fn random(seed: u64, n: usize) -> (Vec<bool>, Vec<f64>) {
    let mut random = Threefry::new(seed, 1);
    let truth: Vec<bool> = (0..n).map(|i| i == 0 || (i > 1 && random.below(3) == 0)).collect();
    let scores = truth.iter().map(|t| (f64::from(u8::from(*t)) + 3.0 * f64::from(random.normal())).round()).collect();
    (truth, scores)
}

#[test]
fn the_area_is_the_share_of_pairs_in_the_right_order() {
    for seed in 0..20 {
        let (truth, scores) = random(seed, 60);
        let of = |class: bool| truth.iter().zip(&scores).filter(move |(t, _)| **t == class).map(|(_, s)| *s);
        let (mut right, mut pairs) = (0.0, 0.0);
        for positive in of(true) {
            for negative in of(false) {
                right += if positive > negative { 1.0 } else { 0.5 * f64::from(u8::from(positive == negative)) };
                pairs += 1.0;
            }
        }
        assert_eq!(roc_auc(&truth, &scores).expect("an area"), right / pairs);
    }
}

#[test]
fn ranks_are_all_that_an_area_sees() {
    for seed in 0..20 {
        let (truth, scores) = random(seed, 200);
        let area = roc_auc(&truth, &scores).expect("an area");
        let precision = average_precision(&truth, &scores).expect("a number");
        for map in [|s: f64| s.exp(), |s: f64| s.powi(3) * 1e200, |s: f64| s / 1e300] {
            let mapped: Vec<f64> = scores.iter().map(|s| map(*s)).collect();
            assert_eq!(roc_auc(&truth, &mapped).expect("an area"), area);
            assert_eq!(average_precision(&truth, &mapped).expect("a number"), precision);
        }
        let opposite: Vec<f64> = scores.iter().map(|s| -s).collect();
        near("the opposite", roc_auc(&truth, &opposite).expect("an area"), 1.0 - area, CLOSE);
        let other: Vec<bool> = truth.iter().map(|t| !t).collect();
        assert_eq!(roc_auc(&other, &opposite).expect("an area"), area);
    }
}

#[test]
fn the_order_of_samples_changes_nothing() {
    let (truth, scores) = random(5, 300);
    let order = Threefry::new(1, 1).permutation(300);
    let pick = |i: &u32| (truth[*i as usize], scores[*i as usize]);
    let (mixed, mixed_scores): (Vec<bool>, Vec<f64>) = order.iter().map(pick).unzip();
    let curve = |truth: &[bool], scores: &[f64]| RocCurve::new(truth, scores).expect("a curve");
    assert_eq!(curve(&truth, &scores), curve(&mixed, &mixed_scores));
}

#[test]
fn a_million_scores_take_no_square_of_time() {
    let (truth, scores) = random(9, 1_000_000);
    let exact: Vec<f64> = scores.iter().enumerate().map(|(i, s)| s + i as f64 * 1e-9).collect();
    let area = roc_auc(&truth, &exact).expect("an area");
    assert!((0.55..0.65).contains(&area), "{area}");
}
