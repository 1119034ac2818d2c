use serde::Serialize;

use super::binary::BinaryCounts;
use super::check;
use super::ranked::{Ranked, Step};
use crate::error::{Error, Result};

/// A threshold, chosen on samples that the model did not train on and kept for others: the thresholds that there are and their
/// sensitivities and specificities are those of scikit-learn's `roc_curve`.
///
/// Any score will do, probability or logit; but the threshold is on the scale of the scores that it was chosen on, and holds for no
/// other. For a report's threshold choose it on the probability of the positive class.
///
/// ```
/// use galen::metrics::OperatingPoint;
///
/// // Chosen on the validation part …
/// let point = OperatingPoint::at_sensitivity(&[false, true, false, true], &[0.1, 0.4, 0.5, 0.8], 0.9)?;
/// assert_eq!((point.threshold, point.sensitivity, point.specificity), (0.4, 1.0, 0.5));
/// // … and applied to the test part, where it does what it does.
/// let test = point.apply(&[true, false, true], &[0.39, 0.2, 0.9])?;
/// assert_eq!(test.sensitivity(), Some(0.5));
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct OperatingPoint {
    /// A sample is called positive from this score on, on the scale of the scores that it was chosen on; +∞ where none is.
    pub threshold: f64,
    /// Of the positive samples that it was chosen on, the share found.
    pub sensitivity: f64,
    /// Of the negative samples that it was chosen on, the share called so.
    pub specificity: f64,
}

impl OperatingPoint {
    /// The highest threshold with at least this sensitivity: of those that have it, the most specific.
    ///
    /// # Errors
    /// As [`RocCurve::new`](super::RocCurve::new); [`Error::Parameter`] where the wish is not in 0..1.
    pub fn at_sensitivity(truth: &[bool], scores: &[f64], wished: f64) -> Result<Self> {
        in_unit("sensitivity", wished)?;
        Self::best(truth, scores, |[tp, tn, positives, _]| {
            (tp as f64 / positives as f64 >= wished).then_some(tn as u128)
        })
    }

    /// The threshold with at least this specificity that is the most sensitive, and of those the highest.
    ///
    /// # Errors
    /// As [`RocCurve::new`](super::RocCurve::new); [`Error::Parameter`] where the wish is not in 0..1.
    pub fn at_specificity(truth: &[bool], scores: &[f64], wished: f64) -> Result<Self> {
        in_unit("specificity", wished)?;
        Self::best(truth, scores, |[tp, tn, _, negatives]| {
            (tn as f64 / negatives as f64 >= wished).then_some(tp as u128)
        })
    }

    /// The highest threshold with the largest sum of sensitivity and specificity. Source: W. Youden, "Index for rating diagnostic
    /// tests" (1950).
    ///
    /// # Errors
    /// As [`RocCurve::new`](super::RocCurve::new).
    pub fn youden(truth: &[bool], scores: &[f64]) -> Result<Self> {
        Self::best(truth, scores, |[tp, tn, positives, negatives]| {
            Some(tp as u128 * negatives as u128 + tn as u128 * positives as u128)
        })
    }

    /// What a threshold that somebody else chose does.
    ///
    /// # Errors
    /// [`Error::Data`] where the two differ in number, a score is NaN or infinite, or all samples are of one class;
    /// [`Error::Parameter`] where the threshold is NaN.
    pub fn at_threshold(truth: &[bool], scores: &[f64], threshold: f64) -> Result<Self> {
        let counts = BinaryCounts::at_threshold(truth, scores, threshold)?;
        check::both_classes("truth", "an operating point", truth)?;
        let share = |s: Option<f64>| s.unwrap_or(0.0);
        Ok(OperatingPoint {
            threshold,
            sensitivity: share(counts.sensitivity()),
            specificity: share(counts.specificity()),
        })
    }

    /// The point with the largest worth, of the same worth the one with the highest threshold. Points are offered with their right
    /// decisions, true positives and true negatives, and with all positives and negatives: whole numbers, so that ties are ties.
    fn best(truth: &[bool], scores: &[f64], worth: impl Fn([usize; 4]) -> Option<u128>) -> Result<Self> {
        check::scored(truth, scores)?;
        let (positives, negatives) = check::both_classes("truth", "an operating point", truth)?;
        let ranked = Ranked::new(truth, scores);
        let nobody = Step { threshold: f64::INFINITY, positives: 0, negatives: 0 };
        let mut best: Option<(u128, Self)> = None;
        for step in std::iter::once(nobody).chain(ranked.steps()) {
            let called_negative = negatives - step.negatives;
            if let Some(worth) = worth([step.positives, called_negative, positives, negatives])
                && best.is_none_or(|(other, _)| worth > other)
            {
                let sensitivity = step.positives as f64 / positives as f64;
                let specificity = called_negative as f64 / negatives as f64;
                best = Some((worth, OperatingPoint { threshold: step.threshold, sensitivity, specificity }));
            }
        }
        let found = best.map(|(_, point)| point);
        found.ok_or_else(|| Error::usage("operating point", "no threshold reaches what was wished"))
    }

    /// The counts that this threshold gives on other samples.
    ///
    /// # Errors
    /// See [`BinaryCounts::at_threshold`].
    pub fn apply(&self, truth: &[bool], scores: &[f64]) -> Result<BinaryCounts> {
        BinaryCounts::at_threshold(truth, scores, self.threshold)
    }
}

fn in_unit(what: &str, wished: f64) -> Result<()> {
    if (0.0..=1.0).contains(&wished) {
        return Ok(());
    }
    Err(Error::parameter("operating point", format!("wished {what}"), "in 0..1", wished))
}
