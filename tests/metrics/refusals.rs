//! What is wrong is said, by name and with the sample's number.

use galen::metrics::*;
use ndarray::{Array2, Array3, arr2};

use super::says;

const T: [bool; 4] = [true, false, true, false];
const S: [f64; 4] = [0.9, 0.1, 0.8, 0.3];

/// Every metric of true values and scores.
fn of_scores(truth: &[bool], scores: &[f64]) -> Vec<galen::Result<f64>> {
    vec![
        roc_auc(truth, scores),
        average_precision(truth, scores),
        RocCurve::new(truth, scores).map(|c| c.area()),
        PrecisionRecallCurve::new(truth, scores).map(|c| c.average_precision()),
        Delong::new(truth, scores).map(|d| d.area()),
        OperatingPoint::youden(truth, scores).map(|p| p.threshold),
        OperatingPoint::at_sensitivity(truth, scores, 0.5).map(|p| p.threshold),
        OperatingPoint::at_specificity(truth, scores, 0.5).map(|p| p.threshold),
        OperatingPoint::at_threshold(truth, scores, 0.5).map(|p| p.threshold),
    ]
}

#[test]
fn scores_that_cannot_be_ranked_are_refused_with_the_samples_number() {
    assert!(of_scores(&T, &S).iter().all(galen::Result::is_ok));
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let scores = [0.9, 0.1, bad, 0.3];
        of_scores(&T, &scores).into_iter().for_each(|r| says(r, &["scores", "finite", &bad.to_string(), "sample 2"]));
    }
    of_scores(&T, &S[..3]).into_iter().for_each(|r| says(r, &["scores", "4", "3"]));
    of_scores(&[], &[]).into_iter().for_each(|r| says(r, &["truth", "at least one sample"]));
    of_scores(&[false; 3], &S[..3]).into_iter().for_each(|r| says(r, &["truth", "positive", "3 negative"]));
    let of_one_class = of_scores(&[true; 3], &S[..3]);
    // Recall and precision need no negative sample; all else does.
    let refused: Vec<bool> = of_one_class.iter().map(galen::Result::is_err).collect();
    assert_eq!(refused, [true, false, true, false, true, true, true, true, true]);
    says(roc_auc(&[true; 3], &S[..3]), &["the area under the ROC curve is not defined", "3 positive and 0 negative"]);
}

#[test]
fn labels_and_classes_without_a_sample_are_named() {
    let scores = arr2(&[[0.1, 0.9, 0.3], [0.2, 0.1, 0.4], [0.3, 0.2, 0.5]]);
    let truth = arr2(&[[true, false, true], [false, false, true], [true, false, false]]);
    let macro_auc = |scores: &Array2<f64>| roc_auc_multilabel(truth.view(), scores.view(), Average::Macro);
    says(macro_auc(&scores), &["truth of label 1", "0 positive and 3 negative"]);
    says(roc_auc_per_label(truth.view(), scores.view()), &["label 1"]);
    says(average_precision_per_label(truth.view(), scores.view()), &["label 1", "positive"]);
    says(average_precision_multilabel(truth.view(), scores.view(), Average::Weighted), &["label 1"]);
    assert!(roc_auc_multilabel(truth.view(), scores.view(), Average::Micro).is_ok());
    says(roc_auc_one_vs_rest(&[0, 0, 2], scores.view(), Average::Macro), &["label 1", "0 positive"]);
    says(roc_auc_one_vs_rest(&[0, 1, 3], scores.view(), Average::Macro), &["classes 0 to 2", "class 3 in sample 2"]);
    says(roc_auc_one_vs_rest(&[0, 1], scores.view(), Average::Macro), &["rows of scores", "2", "3"]);
    let mut bad = scores.clone();
    bad[[1, 2]] = f64::NAN;
    says(macro_auc(&bad), &["scores", "NaN", "sample 1, column 2"]);
    says(macro_auc(&Array2::zeros((3, 2))), &["columns of scores", "3", "2"]);
    says(macro_auc(&Array2::zeros((2, 3))), &["rows of scores", "3", "2"]);
    says(top_k_accuracy(&[0, 1, 2], scores.view(), 0), &["top-k accuracy", "k", "0"]);
    says(top_k_accuracy(&[0, 1, 3], scores.view(), 1), &["class 3 in sample 2"]);
    says(top_k_accuracy(&[], Array2::zeros((0, 3)).view(), 1), &["at least one sample"]);
    says(top_k_accuracy(&[0], Array2::zeros((1, 0)).view(), 1), &["at least one column"]);
    assert_eq!(top_k_accuracy(&[0, 1, 2], scores.view(), 99).expect("a share"), 1.0);
}

#[test]
fn tables_of_nothing_or_of_too_many_classes_are_refused() {
    says(ConfusionTable::new(&[], &[]), &["truth", "at least one sample"]);
    says(ConfusionTable::new(&[0, 1], &[0]), &["predictions", "2", "1"]);
    says(ConfusionTable::new(&[0, u32::MAX], &[0, 1]), &["8192", "4294967296"]);
    says(ConfusionTable::with_classes(&[0, 1], &[2, 1], 2), &["numbers below 2", "0 taken for 2 in sample 0"]);
    says(ConfusionTable::new(&[0, 1], &[0, 1]).and_then(|t| t.class(2)), &["class", "below 2", "2"]);
    says(BinaryCounts::new(&T, &T[..2]), &["predictions", "4", "2"]);
    says(BinaryCounts::new(&[], &[]), &["at least one sample"]);
    says(BinaryCounts::at_threshold(&T, &S, f64::NAN), &["threshold", "NaN"]);
    says(OperatingPoint::at_sensitivity(&T, &S, 1.5), &["wished sensitivity", "0..1", "1.5"]);
    says(OperatingPoint::at_specificity(&T, &S, f64::NAN), &["wished specificity", "NaN"]);
}

#[test]
fn more_than_memory_holds_is_refused_before_it_is_asked_for() {
    let map = arr2(&[[0_u32, 1]]);
    for many in [usize::MAX, usize::MAX / 2, 1 << 40] {
        says(Overlap::per_class(map.view(), map.view(), many), &["classes", "at most 16777216", &many.to_string()]);
        says(Bootstrap::by_sample(many), &["bootstrap", "at most 268435456", &many.to_string()]);
    }
    says(Bootstrap::by_sample(0), &["bootstrap", "at least one sample"]);
}

#[test]
fn what_is_no_probability_is_refused() {
    let of = |p: &[f64]| {
        let error = expected_calibration_error(&T, p, 10);
        [log_loss(&T, p), brier(&T, p), error, ReliabilityCurve::with_quantiles(&T, p, 3).map(|c| c.expected_error())]
    };
    assert!(of(&S).iter().all(galen::Result::is_ok));
    for bad in [1.0 + 1e-9, -0.1, f64::NAN, f64::INFINITY] {
        let p = [0.5, bad, 0.5, 0.5];
        of(&p).into_iter().for_each(|r| says(r, &["probabilities", "0..1", &bad.to_string(), "sample 1"]));
    }
    of(&S[..2]).into_iter().for_each(|r| says(r, &["probabilities", "4", "2"]));
    for bins in [0, usize::MAX] {
        says(ReliabilityCurve::new(&T, &S, bins), &["bins", "100000", &bins.to_string()]);
        says(ReliabilityCurve::with_quantiles(&T, &S, bins), &["bins", &bins.to_string()]);
    }
    let rows = |row: [f64; 3]| arr2(&[[0.2, 0.3, 0.5], row]);
    for (row, parts) in [
        ([0.2, 0.2, 0.2], ["sum of 1", "sample 1"]),
        ([1.2, -0.2, 0.0], ["0..1", "1.2 in sample 1"]),
        ([0.5, f64::NAN, 0.5], ["finite", "NaN in sample 1, column 1"]),
    ] {
        says(log_loss_multiclass(&[0, 1], rows(row).view()), &parts);
        says(brier_multiclass(&[0, 1], rows(row).view()), &parts);
        says(expected_calibration_error_multiclass(&[0, 1], rows(row).view(), 5), &parts);
    }
    says(log_loss_multiclass(&[0, 3], rows([0.0, 1.0, 0.0]).view()), &["class 3 in sample 1"]);
}

#[test]
fn masks_that_cannot_be_compared_are_refused() {
    let (full, empty) = (Array2::from_elem((3, 4), true), Array2::from_elem((3, 4), false));
    let other = Array2::from_elem((4, 3), true);
    says(dice(full.view(), other.view()), &["[3, 4]", "[4, 3]"]);
    says(SurfaceDistances::new(full.view(), other.view(), &[1.0, 1.0]), &["[3, 4]", "[4, 3]"]);
    says(iou(Array2::default((0, 4)).view(), Array2::default((0, 4)).view()), &["at least one pixel", "[0, 4]"]);
    says(SurfaceDistances::new(full.view(), empty.view(), &[1.0, 1.0]), &["predicted mask", "empty"]);
    says(SurfaceDistances::new(empty.view(), full.view(), &[1.0, 1.0]), &["true mask", "empty"]);
    says(SurfaceDistances::new(empty.view(), empty.view(), &[1.0, 1.0]), &["true mask", "empty"]);
    for bad in [&[1.0][..], &[1.0, 0.0], &[1.0, -2.0], &[f64::NAN, 1.0], &[1.0, f64::INFINITY], &[1.0, 1.0, 1.0]] {
        says(SurfaceDistances::new(full.view(), full.view(), bad), &["spacing", "2 positive", &format!("{bad:?}")]);
    }
    let corner = |i: usize| Array3::from_shape_fn((3, 3, 3), move |at| at == (i, i, i));
    says(SurfaceDistances::new(corner(0).view(), corner(2).view(), &[1e200; 3]), &["spacing", "finite"]);
    let map = Array2::from_elem((2, 2), 7_u32);
    says(Overlap::per_class(map.view(), map.view(), 7), &["below 7", "7"]);
    says(Overlap::per_class(map.view(), Array2::zeros((2, 3)).view(), 8), &["[2, 2]", "[2, 3]"]);
}

#[test]
fn numbers_without_a_metric_are_refused() {
    type Metric = fn(&[f64], &[f64]) -> galen::Result<f64>;
    let all: [Metric; 6] =
        [mean_squared_error, root_mean_squared_error, mean_absolute_error, r_squared, pearson, spearman];
    for metric in all {
        says(metric(&[1.0, 2.0], &[1.0]), &["predictions", "2", "1"]);
        says(metric(&[], &[]), &["truth", "at least one sample"]);
        says(metric(&[1.0, f64::NAN], &[1.0, 2.0]), &["truth", "NaN in sample 1"]);
        says(metric(&[1.0, 2.0], &[f64::INFINITY, 2.0]), &["predictions", "inf in sample 0"]);
    }
    // Three times 0.1 has a mean that is not 0.1: the variance is not zero by its sum.
    let same = [0.1; 3];
    for metric in [r_squared, pearson, spearman] {
        says(metric(&same, &[1.0, 2.0, 3.0]), &["truth", "not defined", "3 times 0.1"]);
    }
    for metric in [pearson, spearman] {
        says(metric(&[1.0, 2.0, 3.0], &same), &["predictions", "not defined", "3 times 0.1"]);
    }
    says(pearson(&[1.0], &[1.0]), &["truth", "1 times 1"]);
    says(mean_squared_error(&[1e200], &[-1e200]), &["mean squared error", "finite", "inf"]);
    says(r_squared(&[1e200, 2e200], &[0.0, 1.0]), &["R²"]);
    says(concordance_index(&[1.0, 2.0], &[1.0, 2.0], &[false, false]), &["pair", "2 samples with 0 events"]);
    says(concordance_index(&[1.0, 1.0], &[1.0, 2.0], &[true, true]), &["pair", "2 events"]);
    says(concordance_index(&[1.0, f64::NAN], &[1.0, 2.0], &[true, true]), &["times", "NaN in sample 1"]);
    says(concordance_index(&[1.0, 2.0], &[1.0, f64::NAN], &[true, true]), &["predictions", "NaN in sample 1"]);
    says(concordance_index(&[1.0, 2.0], &[1.0, 2.0], &[true]), &["observed", "2", "1"]);
    says(concordance_index(&[], &[], &[]), &["times", "at least one sample"]);
}
