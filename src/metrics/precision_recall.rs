use ndarray::ArrayView2;
use serde::Serialize;

use super::average::{Average, MaybeLabel, averaged, per_label, same_table};
use super::check;
use super::ranked::Ranked;
use super::roc::one_hot;
use crate::error::{Error, Result};

/// Precision against recall. Source: scikit-learn, `precision_recall_curve`, in its order.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PrecisionRecallCurve {
    /// Of those called positive, the share that is; the last is 1, of the point where nothing is called positive.
    pub precision: Vec<f64>,
    /// Of the positive, the share that was found: falling from 1 to 0.
    pub recall: Vec<f64>,
    /// A sample is called positive from this score on. Rising; one fewer than points.
    pub thresholds: Vec<f64>,
}

impl PrecisionRecallCurve {
    /// The curve of scores, higher ones meaning positive.
    ///
    /// # Errors
    /// [`Error::Data`] where the two differ in number, there are none, a score is NaN or infinite (which sample), or no sample is
    /// positive.
    pub fn new(truth: &[bool], scores: &[f64]) -> Result<Self> {
        Self::named("truth", truth, scores)
    }

    fn named(what: &str, truth: &[bool], scores: &[f64]) -> Result<Self> {
        check::scored(truth, scores)?;
        let positives = truth.iter().filter(|t| **t).count();
        if positives == 0 {
            let expected = "at least one positive sample, without which recall is not defined";
            return Err(Error::data(what, expected, format!("{} negative", truth.len())));
        }
        let mut steps: Vec<_> = Ranked::new(truth, scores).steps().collect();
        steps.reverse();
        let precision = steps.iter().map(|s| s.positives as f64 / (s.positives + s.negatives) as f64);
        let recall = steps.iter().map(|s| s.positives as f64 / positives as f64);
        Ok(PrecisionRecallCurve {
            precision: precision.chain([1.0]).collect(),
            recall: recall.chain([0.0]).collect(),
            thresholds: steps.iter().map(|s| s.threshold).collect(),
        })
    }

    /// The mean precision over the steps of recall: `Σ (Rₙ − Rₙ₋₁) Pₙ`, without a straight line between points, which would flatter.
    pub fn average_precision(&self) -> f64 {
        let steps = self.recall.windows(2).zip(&self.precision);
        steps.map(|(r, p)| (r[0] - r[1]) * p).sum()
    }
}

/// The mean precision over the steps of recall. Source: scikit-learn, `average_precision_score`.
///
/// # Errors
/// See [`PrecisionRecallCurve::new`].
pub fn average_precision(truth: &[bool], scores: &[f64]) -> Result<f64> {
    named_average_precision("truth", truth, scores)
}

fn named_average_precision(what: &str, truth: &[bool], scores: &[f64]) -> Result<f64> {
    Ok(PrecisionRecallCurve::named(what, truth, scores)?.average_precision())
}

/// The average precision of each class against all others: `scores` `[samples, classes]`. Source: scikit-learn,
/// `average_precision_score`.
///
/// # Errors
/// [`Error::Data`] where there are not as many rows as true classes, a score is NaN or infinite, or a class has no sample.
pub fn average_precision_one_vs_rest(truth: &[u32], scores: ArrayView2<f64>, average: Average) -> Result<f64> {
    check::scored_rows(truth.len(), scores)?;
    averaged(one_hot(truth, scores.ncols())?.view(), scores, average, named_average_precision)
}

/// The average precision of samples with several labels each: `truth` and `scores` `[samples, labels]`. A label
/// that is missing (`None`, where `truth` is of `Option<bool>`) is left out of its column. Source: scikit-learn,
/// `average_precision_score`.
///
/// # Errors
/// [`Error::Data`] where the two differ in shape, a score is NaN or infinite, or a label has no positive sample (which).
pub fn average_precision_multilabel<T: MaybeLabel>(
    truth: ArrayView2<T>,
    scores: ArrayView2<f64>,
    average: Average,
) -> Result<f64> {
    same_table(truth, scores)?;
    averaged(truth, scores, average, named_average_precision)
}

/// The average precision of each label: `truth` and `scores` `[samples, labels]`.
///
/// # Errors
/// See [`average_precision_multilabel`].
pub fn average_precision_per_label<T: MaybeLabel>(truth: ArrayView2<T>, scores: ArrayView2<f64>) -> Result<Vec<f64>> {
    same_table(truth, scores)?;
    per_label(truth, scores, named_average_precision)
}
