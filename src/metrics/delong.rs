use serde::Serialize;

use super::interval::Interval;
use super::ranked::mid_ranks;
use super::{check, normal};
use crate::error::{Error, Result};

/// The area under a ROC curve and its variance, without resampling. Source: E. DeLong, D. DeLong, D. Clarke-Pearson, "Comparing the
/// areas under two or more correlated receiver operating characteristic curves", Biometrics 44 (1988), by the algorithm in
/// O(n log n) of X. Sun, W. Xu, IEEE Signal Processing Letters 21 (2014).
///
/// Samples must be independent: where patients have several, use [`Bootstrap::by_group`](super::Bootstrap::by_group).
///
/// ```
/// use galen::metrics::Delong;
///
/// let truth = [false, false, true, false, true, true];
/// let area = Delong::new(&truth, &[0.1, 0.2, 0.3, 0.4, 0.7, 0.8])?;
/// assert_eq!(area.interval(0.95)?.to_string(), "0.889 (95 % CI 0.581 to 1.000)");
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Delong {
    area: f64,
    /// For each positive sample the share of negative ones below it.
    of_positives: Vec<f64>,
    /// For each negative sample the share of positive ones above it.
    of_negatives: Vec<f64>,
}

/// Whether two areas under ROC curves of the same samples differ.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct DelongTest {
    /// The first area less the second.
    pub difference: f64,
    /// The variance of the difference.
    pub variance: f64,
    /// The difference in standard deviations.
    pub z: f64,
    /// The probability of a difference at least as large, on either side, were there none.
    pub p: f64,
}

impl Delong {
    /// The area of scores, higher ones meaning positive; ties count half.
    ///
    /// # Errors
    /// [`Error::Data`] where the two differ in number, there are none, a score is NaN or infinite (which sample), or a class has fewer
    /// than two samples, without which there is no variance.
    pub fn new(truth: &[bool], scores: &[f64]) -> Result<Self> {
        check::scored(truth, scores)?;
        let of = |class: bool| -> Vec<f64> {
            truth.iter().zip(scores).filter(|(t, _)| **t == class).map(|(_, s)| *s).collect()
        };
        let (positive, negative) = (of(true), of(false));
        if positive.len() < 2 || negative.len() < 2 {
            let actual = format!("{} positive and {} negative", positive.len(), negative.len());
            return Err(Error::data("truth", "at least two samples of each class", actual));
        }
        let (m, n) = (positive.len() as f64, negative.len() as f64);
        let all = mid_ranks(&[positive.as_slice(), &negative].concat());
        let (among_positive, among_negative) = all.split_at(positive.len());
        let share = |(all, own): (&f64, f64), others: f64| (all - own) / others;
        let of_positives: Vec<f64> =
            among_positive.iter().zip(mid_ranks(&positive)).map(|ranks| share(ranks, n)).collect();
        let of_negatives = among_negative.iter().zip(mid_ranks(&negative)).map(|ranks| 1.0 - share(ranks, m)).collect();
        let area = (among_positive.iter().sum::<f64>() - m * (m + 1.0) / 2.0) / (m * n);
        Ok(Delong { area, of_positives, of_negatives })
    }

    /// The area under the curve.
    pub fn area(&self) -> f64 {
        self.area
    }

    /// The variance of the area: 0 where the classes are parted without a mistake.
    pub fn variance(&self) -> f64 {
        variance_of_mean(self.of_positives.iter().copied()) + variance_of_mean(self.of_negatives.iter().copied())
    }

    /// The interval of the area, from the normal distribution and cut at 0 and 1, as that of R's pROC. Of an area of 1 it has no
    /// width, which says less than it seems to: [`wilson`](super::wilson) of the counts says more.
    ///
    /// # Errors
    /// [`Error::Parameter`] where `level` is not in (0, 1).
    pub fn interval(&self, level: f64) -> Result<Interval> {
        check::level("DeLong's interval", level)?;
        let half = normal::quantile(0.5 + level / 2.0) * self.variance().sqrt();
        Ok(Interval { value: self.area, low: (self.area - half).max(0.0), high: (self.area + half).min(1.0), level })
    }

    /// Tests whether two scores of the same samples have the same area.
    ///
    /// # Errors
    /// As [`Delong::new`] for either; [`Error::Data`] where the difference has no variance, as where both order all samples alike.
    pub fn test(truth: &[bool], first: &[f64], second: &[f64]) -> Result<DelongTest> {
        let (first, second) = (Delong::new(truth, first)?, Delong::new(truth, second)?);
        // The variance of differences is exactly 0 for scores of the same order; sums of covariances are so only up to rounding.
        let differences = |a: &[f64], b: &[f64]| variance_of_mean(a.iter().zip(b).map(|(a, b)| a - b));
        let variance = differences(&first.of_positives, &second.of_positives)
            + differences(&first.of_negatives, &second.of_negatives);
        let difference = first.area - second.area;
        if variance <= 0.0 {
            let actual = format!("areas of {} and {} whose difference has no variance", first.area, second.area);
            return Err(Error::data("DeLong's test", "scores that order the samples differently", actual));
        }
        let z = difference / variance.sqrt();
        Ok(DelongTest { difference, variance, z, p: normal::beyond(z) })
    }
}

/// The sample variance of these numbers over how many there are.
fn variance_of_mean(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let n = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / n;
    values.map(|v| (v - mean).powi(2)).sum::<f64>() / ((n - 1.0) * n)
}
