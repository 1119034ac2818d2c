use ndarray::{Array2, ArrayView2};
use serde::Serialize;

use super::average::{Average, MaybeLabel, averaged, per_label, same_table};
use super::check;
use super::ranked::{Ranked, area};
use crate::error::{Error, Result};

/// The receiver operating characteristic: sensitivity against false alarms, from (0, 0) to (1, 1).
///
/// One point for every distinct score; scores that are equal are one point. Source: scikit-learn, `roc_curve` with
/// `drop_intermediate=False`; [`RocCurve::corners`] is what it gives with `True`.
///
/// ```
/// use galen::metrics::{RocCurve, roc_auc};
///
/// let (truth, scores) = ([false, false, true, true], [0.1, 0.4, 0.35, 0.8]);
/// assert_eq!(RocCurve::new(&truth, &scores)?.true_positive_rate, [0.0, 0.5, 0.5, 1.0, 1.0]);
/// assert_eq!(roc_auc(&truth, &scores)?, 0.75);
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RocCurve {
    /// 1 − specificity, rising from 0 to 1.
    pub false_positive_rate: Vec<f64>,
    /// Sensitivity, rising from 0 to 1.
    pub true_positive_rate: Vec<f64>,
    /// A sample is called positive from this score on. Falling; the first is +∞, which no sample reaches.
    pub thresholds: Vec<f64>,
}

impl RocCurve {
    /// The curve of scores, higher ones meaning positive.
    ///
    /// # Errors
    /// [`Error::Data`] where the two differ in number, there are none, a score is NaN or infinite (which sample), or all samples are
    /// of one class.
    pub fn new(truth: &[bool], scores: &[f64]) -> Result<Self> {
        check::scored(truth, scores)?;
        let (positives, negatives) = check::both_classes("truth", "the ROC curve", truth)?;
        let mut curve =
            RocCurve { false_positive_rate: vec![0.0], true_positive_rate: vec![0.0], thresholds: vec![f64::INFINITY] };
        for step in Ranked::new(truth, scores).steps() {
            curve.false_positive_rate.push(step.negatives as f64 / negatives as f64);
            curve.true_positive_rate.push(step.positives as f64 / positives as f64);
            curve.thresholds.push(step.threshold);
        }
        Ok(curve)
    }

    /// The area under the curve, by trapezoids.
    pub fn area(&self) -> f64 {
        let (x, y) = (self.false_positive_rate.windows(2), self.true_positive_rate.windows(2));
        x.zip(y).map(|(x, y)| (x[1] - x[0]) * (y[0] + y[1]) / 2.0).sum()
    }

    /// The same curve without the points that lie on a straight line between their neighbours: the same picture of fewer points.
    #[must_use]
    pub fn corners(&self) -> Self {
        let (x, y) = (&self.false_positive_rate, &self.true_positive_rate);
        let points = x.len().min(y.len()).min(self.thresholds.len());
        // A second difference of counts is 0 or at least 1, and of their shares 0 up to rounding or at least 1 / samples.
        let bends = |v: &[f64], i: usize| (v[i + 1] - 2.0 * v[i] + v[i - 1]).abs() > 1e-14;
        // scikit-learn keeps the first score's point, straight or not.
        let kept: Vec<usize> =
            (0..points).filter(|i| *i <= 1 || i + 1 >= points || bends(x, *i) || bends(y, *i)).collect();
        let take = |v: &[f64]| kept.iter().map(|i| v[*i]).collect();
        RocCurve { false_positive_rate: take(x), true_positive_rate: take(y), thresholds: take(&self.thresholds) }
    }
}

/// The area under the ROC curve: the probability that a positive sample scores higher than a negative one, ties counting half.
/// In O(n log n), counted in whole numbers. Source: scikit-learn, `roc_auc_score`.
///
/// # Errors
/// [`Error::Data`] where the two differ in number, there are none, a score is NaN or infinite (which sample), or all samples are of
/// one class, where the area is not defined.
pub fn roc_auc(truth: &[bool], scores: &[f64]) -> Result<f64> {
    named_roc_auc("truth", truth, scores)
}

fn named_roc_auc(what: &str, truth: &[bool], scores: &[f64]) -> Result<f64> {
    const METRIC: &str = "the area under the ROC curve";
    check::scored(truth, scores)?;
    check::both_classes(what, METRIC, truth)?;
    area(Ranked::new(truth, scores).steps()).ok_or_else(|| Error::usage(METRIC, "a class has no sample"))
}

/// The area under the ROC curve of each class against all others: `scores` `[samples, classes]`. Source: scikit-learn,
/// `roc_auc_score` with `multi_class="ovr"`.
///
/// # Errors
/// [`Error::Data`] where there are not as many rows as true classes, a score is NaN or infinite, or a class has no sample, or all.
pub fn roc_auc_one_vs_rest(truth: &[u32], scores: ArrayView2<f64>, average: Average) -> Result<f64> {
    check::scored_rows(truth.len(), scores)?;
    averaged(one_hot(truth, scores.ncols())?.view(), scores, average, named_roc_auc)
}

/// The area under the ROC curve of samples with several labels each: `truth` and `scores` `[samples, labels]`. A label
/// that is missing (`None`, where `truth` is of `Option<bool>`) is left out of its column. Source: scikit-learn,
/// `roc_auc_score`.
///
/// # Errors
/// [`Error::Data`] where the two differ in shape, a score is NaN or infinite, or a label has no positive or no negative sample
/// (which).
pub fn roc_auc_multilabel<T: MaybeLabel>(
    truth: ArrayView2<T>,
    scores: ArrayView2<f64>,
    average: Average,
) -> Result<f64> {
    same_table(truth, scores)?;
    averaged(truth, scores, average, named_roc_auc)
}

/// The area under the ROC curve of each label: `truth` and `scores` `[samples, labels]`.
///
/// # Errors
/// See [`roc_auc_multilabel`].
pub fn roc_auc_per_label<T: MaybeLabel>(truth: ArrayView2<T>, scores: ArrayView2<f64>) -> Result<Vec<f64>> {
    same_table(truth, scores)?;
    per_label(truth, scores, named_roc_auc)
}

/// Classes as rows of `classes` truths of which one is true.
pub(super) fn one_hot(truth: &[u32], classes: usize) -> Result<Array2<bool>> {
    check::classes_below(truth, classes)?;
    Ok(Array2::from_shape_fn((truth.len(), classes), |(i, c)| truth[i] as usize == c))
}
