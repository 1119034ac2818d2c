use std::iter::Sum;

use serde::Serialize;

use super::check;
use crate::error::{Error, Result};

/// The four counts of a yes-or-no decision, and the shares made of them.
///
/// A share whose denominator is zero is not defined and is `None` (the precision where nothing was called positive): it is neither
/// 0 nor NaN. Averages over classes count it as 0; see [`ConfusionTable`](super::ConfusionTable).
///
/// ```
/// use galen::metrics::BinaryCounts;
///
/// let counts = BinaryCounts::new(&[true, true, false, false], &[true, false, false, false])?;
/// assert_eq!(counts.sensitivity(), Some(0.5));
/// assert_eq!(counts.specificity(), Some(1.0));
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BinaryCounts {
    /// Positive and called so.
    pub true_positives: usize,
    /// Negative and called positive.
    pub false_positives: usize,
    /// Positive and called negative.
    pub false_negatives: usize,
    /// Negative and called so.
    pub true_negatives: usize,
}

/// `part / whole`, where there is a whole.
fn share(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

pub(super) fn check_beta(beta: f64) -> Result<()> {
    if beta.is_finite() && beta >= 0.0 {
        return Ok(());
    }
    Err(Error::parameter("F-beta", "beta", "finite and not negative", beta))
}

impl BinaryCounts {
    /// Counts true values and decisions of the same samples.
    ///
    /// # Errors
    /// [`Error::Data`] where the two differ in number or there are none.
    pub fn new(truth: &[bool], predicted: &[bool]) -> Result<Self> {
        check::not_empty("truth", truth.len())?;
        check::as_many("predictions", truth.len(), predicted.len())?;
        Ok(truth.iter().zip(predicted).map(|(t, p)| Self::one(*t, *p)).sum())
    }

    /// Counts the decisions "positive from `threshold` on".
    ///
    /// # Errors
    /// [`Error::Data`] where the two differ in number, there are none, or a score is NaN or infinite;
    /// [`Error::Parameter`] where the threshold is NaN.
    pub fn at_threshold(truth: &[bool], scores: &[f64], threshold: f64) -> Result<Self> {
        check::scored(truth, scores)?;
        if threshold.is_nan() {
            return Err(Error::parameter("decision", "threshold", "a number", threshold));
        }
        Ok(truth.iter().zip(scores).map(|(t, s)| Self::one(*t, *s >= threshold)).sum())
    }

    fn one(truth: bool, predicted: bool) -> Self {
        let is = |t, p| usize::from(truth == t && predicted == p);
        BinaryCounts {
            true_positives: is(true, true),
            false_positives: is(false, true),
            false_negatives: is(true, false),
            true_negatives: is(false, false),
        }
    }

    /// How many are positive.
    pub fn positives(&self) -> usize {
        self.true_positives + self.false_negatives
    }

    /// How many are negative.
    pub fn negatives(&self) -> usize {
        self.true_negatives + self.false_positives
    }

    /// How many there are.
    pub fn samples(&self) -> usize {
        self.positives() + self.negatives()
    }

    /// Whether anything is positive or was called so.
    pub(super) fn occurs(&self) -> bool {
        self.positives() + self.false_positives > 0
    }

    /// The share of right decisions. Source: scikit-learn, `accuracy_score`.
    pub fn accuracy(&self) -> Option<f64> {
        share(self.true_positives + self.true_negatives, self.samples())
    }

    /// Of those called positive, the share that is: positive predictive value. Source: scikit-learn, `precision_score`.
    pub fn precision(&self) -> Option<f64> {
        share(self.true_positives, self.true_positives + self.false_positives)
    }

    /// Of the positive, the share that was found. Source: scikit-learn, `recall_score`.
    pub fn recall(&self) -> Option<f64> {
        share(self.true_positives, self.positives())
    }

    /// Another name for [`BinaryCounts::recall`].
    pub fn sensitivity(&self) -> Option<f64> {
        self.recall()
    }

    /// Of the negative, the share called so. Source: scikit-learn, `recall_score` with `pos_label=0`.
    pub fn specificity(&self) -> Option<f64> {
        share(self.true_negatives, self.negatives())
    }

    /// Of those called negative, the share that is. Source: scikit-learn, `precision_score` with `pos_label=0`.
    pub fn negative_predictive_value(&self) -> Option<f64> {
        share(self.true_negatives, self.true_negatives + self.false_negatives)
    }

    /// The mean of sensitivity and specificity. Source: scikit-learn, `balanced_accuracy_score`.
    pub fn balanced_accuracy(&self) -> Option<f64> {
        Some((self.sensitivity()? + self.specificity()?) / 2.0)
    }

    /// The weighted harmonic mean of precision and recall, recall counting `beta` times as much. Source: scikit-learn,
    /// `fbeta_score`.
    ///
    /// # Errors
    /// [`Error::Parameter`] where `beta` is negative or not finite.
    pub fn f_beta(&self, beta: f64) -> Result<Option<f64>> {
        check_beta(beta)?;
        Ok(self.harmonic(beta))
    }

    /// The harmonic mean of precision and recall. Source: scikit-learn, `f1_score`.
    pub fn f1(&self) -> Option<f64> {
        self.harmonic(1.0)
    }

    pub(super) fn harmonic(&self, beta: f64) -> Option<f64> {
        // Both numbers divided by 1 + beta²: a large beta does not overflow.
        let missed = if beta > 1.0 { 1.0 / (1.0 + (1.0 / beta).powi(2)) } else { beta * beta / (1.0 + beta * beta) };
        let hits = self.true_positives as f64;
        let wrong = (1.0 - missed) * self.false_positives as f64 + missed * self.false_negatives as f64;
        self.occurs().then(|| if hits == 0.0 { 0.0 } else { hits / (hits + wrong) })
    }

    /// Matthews' correlation coefficient. `None` where all are of one class or were given one. Source: scikit-learn,
    /// `matthews_corrcoef`, which says 0 or NaN there.
    pub fn matthews(&self) -> Option<f64> {
        let [tp, fp, fneg, tn] =
            [self.true_positives, self.false_positives, self.false_negatives, self.true_negatives].map(|c| c as f64);
        let product = ((tp + fp) * (tp + fneg)).sqrt() * ((tn + fp) * (tn + fneg)).sqrt();
        (product > 0.0).then(|| (tp * tn - fp * fneg) / product)
    }
}

impl Sum for BinaryCounts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |a, b| BinaryCounts {
            true_positives: a.true_positives + b.true_positives,
            false_positives: a.false_positives + b.false_positives,
            false_negatives: a.false_negatives + b.false_negatives,
            true_negatives: a.true_negatives + b.true_negatives,
        })
    }
}

impl<'a> Sum<&'a BinaryCounts> for BinaryCounts {
    fn sum<I: Iterator<Item = &'a Self>>(counts: I) -> Self {
        counts.copied().sum()
    }
}
