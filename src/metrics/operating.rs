use serde::Serialize;

use super::binary::BinaryCounts;
use super::roc::RocCurve;
use crate::error::{Error, Result};

/// A threshold, chosen on samples that the model did not train on and kept for others: the thresholds that there are and their
/// sensitivities and specificities are those of scikit-learn's `roc_curve`.
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
    /// A sample is called positive from this score on; +∞ where none is.
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
    /// As [`RocCurve::new`]; [`Error::Parameter`] where the wish is not in 0..1.
    pub fn at_sensitivity(truth: &[bool], scores: &[f64], wished: f64) -> Result<Self> {
        in_unit("sensitivity", wished)?;
        Self::best(truth, scores, |p| (p.sensitivity >= wished).then_some(p.specificity))
    }

    /// The threshold with at least this specificity that is the most sensitive, and of those the highest.
    ///
    /// # Errors
    /// As [`RocCurve::new`]; [`Error::Parameter`] where the wish is not in 0..1.
    pub fn at_specificity(truth: &[bool], scores: &[f64], wished: f64) -> Result<Self> {
        in_unit("specificity", wished)?;
        Self::best(truth, scores, |p| (p.specificity >= wished).then_some(p.sensitivity))
    }

    /// The highest threshold with the largest sum of sensitivity and specificity. Source: W. Youden, "Index for rating diagnostic
    /// tests" (1950).
    ///
    /// # Errors
    /// As [`RocCurve::new`].
    pub fn youden(truth: &[bool], scores: &[f64]) -> Result<Self> {
        Self::best(truth, scores, |p| Some(p.sensitivity + p.specificity))
    }

    /// What a threshold that somebody else chose does.
    ///
    /// # Errors
    /// [`Error::Data`] where the two differ in number, a score is NaN or infinite, or all samples are of one class;
    /// [`Error::Parameter`] where the threshold is NaN.
    pub fn at_threshold(truth: &[bool], scores: &[f64], threshold: f64) -> Result<Self> {
        let counts = BinaryCounts::at_threshold(truth, scores, threshold)?;
        super::check::both_classes("truth", "an operating point", truth)?;
        let share = |s: Option<f64>| s.unwrap_or(0.0);
        Ok(OperatingPoint {
            threshold,
            sensitivity: share(counts.sensitivity()),
            specificity: share(counts.specificity()),
        })
    }

    /// The point with the largest worth; of the same worth the first, which has the highest threshold.
    fn best(truth: &[bool], scores: &[f64], worth: impl Fn(&Self) -> Option<f64>) -> Result<Self> {
        let curve = RocCurve::new(truth, scores)?;
        // From counts and not as 1 − rate, which for a rate of 0.1 is a little less than 0.9.
        let negatives = truth.iter().filter(|t| !**t).count() as f64;
        let points = curve.thresholds.iter().zip(&curve.true_positive_rate).zip(&curve.false_positive_rate);
        let mut best: Option<(f64, Self)> = None;
        for ((threshold, sensitivity), rate) in points {
            let called_negative = negatives - (rate * negatives).round();
            let point = OperatingPoint {
                threshold: *threshold,
                sensitivity: *sensitivity,
                specificity: called_negative / negatives,
            };
            if let Some(worth) = worth(&point)
                && best.is_none_or(|(other, _)| worth > other)
            {
                best = Some((worth, point));
            }
        }
        best.map(|(_, point)| point)
            .ok_or_else(|| Error::usage("operating point", "no threshold reaches what was wished"))
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
