//! The metrics of one yes-or-no question: of the positive class, of each class against the others, of each label.

use super::rows::{Rows, pick};
use crate::error::{Error, Result};
use crate::metrics::{BinaryCounts, Delong, average_precision, roc_auc};
#[cfg(feature = "plot")]
use crate::metrics::{PrecisionRecallCurve, RocCurve};

/// One question: what is true, how sure the model was, and what was called true.
#[derive(Clone, Debug)]
pub(super) struct Label {
    pub name: String,
    pub truth: Vec<bool>,
    pub scores: Vec<f64>,
    pub called: Vec<bool>,
}

impl Label {
    pub fn positives(&self) -> usize {
        self.truth.iter().filter(|t| **t).count()
    }

    /// The counts of the samples `rows`.
    fn counts(&self, rows: &[usize]) -> Result<BinaryCounts> {
        BinaryCounts::new(&pick(&self.truth, rows), &pick(&self.called, rows))
    }

    /// A number of counts that may not be defined.
    fn count(&self, rows: &[usize], of: fn(&BinaryCounts) -> Option<f64>) -> Result<f64> {
        of(&self.counts(rows)?).ok_or_else(|| Error::usage("truth", "a class has no samples, or none was called"))
    }

    /// How well the scores order the samples.
    pub fn add_ranking(&self, rows: &mut Rows) {
        let n = self.truth.len();
        rows.share("prevalence", ("sample", |_| true), |row| self.truth[row]);
        let area = roc_auc(&self.truth, &self.scores);
        let delong = |level| Delong::new(&self.truth, &self.scores)?.interval(level);
        rows.formula("auc", n, area, ("DeLong", delong), |bootstrap| bootstrap.roc_auc(&self.truth, &self.scores));
        rows.resampled("average_precision", n, |rows| {
            average_precision(&pick(&self.truth, rows), &pick(&self.scores, rows))
        });
    }

    /// What was called positive, and how much of it is.
    pub fn add_calls(&self, rows: &mut Rows) {
        let (truth, called) = (&self.truth, &self.called);
        rows.share("sensitivity", ("positive sample", |row| truth[row]), |row| called[row]);
        rows.share("specificity", ("negative sample", |row| !truth[row]), |row| !called[row]);
        rows.share("positive_predictive_value", ("sample called positive", |row| called[row]), |row| truth[row]);
        rows.share("negative_predictive_value", ("sample called negative", |row| !called[row]), |row| !truth[row]);
        rows.resampled("f1", truth.len(), |rows| self.count(rows, BinaryCounts::f1));
    }

    /// What is known of both classes together.
    pub fn add_agreement(&self, rows: &mut Rows) {
        let n = self.truth.len();
        rows.share("accuracy", ("sample", |_| true), |row| self.truth[row] == self.called[row]);
        rows.resampled("balanced_accuracy", n, |rows| self.count(rows, BinaryCounts::balanced_accuracy));
        rows.resampled("matthews", n, |rows| self.count(rows, BinaryCounts::matthews));
    }

    /// The curves, where both classes are there.
    #[cfg(feature = "plot")]
    pub fn curves(&self) -> Result<(RocCurve, PrecisionRecallCurve)> {
        Ok((RocCurve::new(&self.truth, &self.scores)?.corners(), PrecisionRecallCurve::new(&self.truth, &self.scores)?))
    }
}
