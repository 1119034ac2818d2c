use ndarray::ArrayView2;
use rayon::prelude::*;
use serde::Serialize;

use super::binary::BinaryCounts;
use super::check;
use crate::error::{Error, Result};

/// How a metric of several classes becomes one number. Source: scikit-learn's `average`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Average {
    /// The plain mean over classes: a rare class counts as much as a frequent one.
    Macro,
    /// All decisions of all classes in one pot: each sample (and label) counts the same.
    Micro,
    /// The mean over classes, each counting as often as it truly occurs.
    Weighted,
}

impl Average {
    /// A share of each class or label, as one number. One that is not defined counts with 0, as with scikit-learn's
    /// `zero_division=0`. Of nothing it is 0.
    ///
    /// ```
    /// use galen::metrics::{Average, BinaryCounts};
    ///
    /// // Two labels of three patients.
    /// let cough = BinaryCounts::new(&[true, true, false], &[true, false, false])?;
    /// let fever = BinaryCounts::new(&[false, true, true], &[false, true, true])?;
    /// assert_eq!(Average::Macro.over(&[cough, fever], BinaryCounts::recall), 0.75);
    /// # Ok::<(), galen::Error>(())
    /// ```
    pub fn over(self, counts: &[BinaryCounts], share: impl Fn(&BinaryCounts) -> Option<f64>) -> f64 {
        if self == Average::Micro {
            return share(&counts.iter().sum()).unwrap_or(0.0);
        }
        let weight = |c: &BinaryCounts| if self == Average::Macro { 1.0 } else { c.positives() as f64 };
        let all: f64 = counts.iter().map(weight).sum();
        let sum: f64 = counts.iter().map(|c| weight(c) * share(c).unwrap_or(0.0)).sum();
        if all == 0.0 { 0.0 } else { sum / all }
    }
}

/// A metric of one label, which says the first text where the truth is at fault.
type OfLabel = fn(&str, &[bool], &[f64]) -> Result<f64>;

/// A label that may be missing: `bool`, or `Option<bool>`.
pub trait MaybeLabel: Into<Option<bool>> + Copy + Sync {}

impl<T: Into<Option<bool>> + Copy + Sync> MaybeLabel for T {}

/// Labels and finite scores of the same samples and labels.
pub(super) fn same_table<T>(truth: ArrayView2<T>, scores: ArrayView2<f64>) -> Result<()> {
    check::scored_rows(truth.nrows(), scores)?;
    if truth.ncols() == scores.ncols() {
        return Ok(());
    }
    Err(Error::data("columns of scores", format!("{}, one per label", truth.ncols()), scores.ncols().to_string()))
}

/// Labels that are there, and their scores.
fn there<T: MaybeLabel>(truth: impl Iterator<Item = T>, scores: impl Iterator<Item = f64>) -> (Vec<bool>, Vec<f64>) {
    truth.zip(scores).filter_map(|(label, score)| Some((label.into()?, score))).unzip()
}

/// The metric of every column, over the labels that are there.
pub(super) fn per_label<T: MaybeLabel>(
    truth: ArrayView2<T>,
    scores: ArrayView2<f64>,
    metric: OfLabel,
) -> Result<Vec<f64>> {
    let one = |label: usize| {
        let (truth, scores) = there(truth.column(label).iter().copied(), scores.column(label).iter().copied());
        metric(&format!("truth of label {label}"), &truth, &scores)
    };
    (0..truth.ncols()).into_par_iter().map(one).collect()
}

/// The metric over all columns as one number, over the labels that are there.
pub(super) fn averaged<T: MaybeLabel>(
    truth: ArrayView2<T>,
    scores: ArrayView2<f64>,
    average: Average,
    metric: OfLabel,
) -> Result<f64> {
    if average == Average::Micro {
        let (truth, scores) = there(truth.iter().copied(), scores.iter().copied());
        return metric("truth", &truth, &scores);
    }
    let each = per_label(truth, scores, metric)?;
    let positives = |label: usize| truth.column(label).iter().filter(|t| (**t).into() == Some(true)).count() as f64;
    let weights: Vec<f64> =
        (0..each.len()).map(|c| if average == Average::Macro { 1.0 } else { positives(c) }).collect();
    Ok(each.iter().zip(&weights).map(|(m, w)| m * w).sum::<f64>() / weights.iter().sum::<f64>())
}
