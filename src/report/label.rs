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
    /// Whether a sample has the label at all; all have where there is none.
    pub there: Option<Vec<bool>>,
}

impl Label {
    pub fn positives(&self) -> usize {
        (0..self.truth.len()).filter(|row| self.is_there(*row) && self.truth[*row]).count()
    }

    pub fn is_there(&self, row: usize) -> bool {
        self.there.as_ref().is_none_or(|there| there[row])
    }

    /// Truth and scores of those of `rows` that have the label.
    fn labelled(&self, rows: impl IntoIterator<Item = usize>) -> (Vec<bool>, Vec<f64>) {
        let rows = rows.into_iter().filter(|row| self.is_there(*row));
        rows.map(|row| (self.truth[row], self.scores[row])).unzip()
    }

    /// The counts of the samples `rows`.
    fn counts(&self, rows: &[usize]) -> Result<BinaryCounts> {
        let rows: Vec<usize> = rows.iter().copied().filter(|row| self.is_there(*row)).collect();
        BinaryCounts::new(&pick(&self.truth, &rows), &pick(&self.called, &rows))
    }

    /// A number of counts that may not be defined.
    fn count(&self, rows: &[usize], of: fn(&BinaryCounts) -> Option<f64>) -> Result<f64> {
        of(&self.counts(rows)?).ok_or_else(|| Error::usage("truth", "a class has no samples, or none was called"))
    }

    /// How well the scores order the samples.
    pub fn add_ranking(&self, rows: &mut Rows) {
        let (truth, scores) = self.labelled(0..self.truth.len());
        let n = truth.len();
        rows.share("prevalence", ("labelled sample", |row| self.is_there(row)), |row| self.truth[row]);
        let area = roc_auc(&truth, &scores);
        let delong = |level| Delong::new(&truth, &scores)?.interval(level);
        rows.formula("auc", n, area, ("DeLong", delong), |bootstrap| match &self.there {
            None => bootstrap.roc_auc(&self.truth, &self.scores),
            Some(_) => bootstrap.interval(|rows| {
                let (truth, scores) = self.labelled(rows.iter().copied());
                roc_auc(&truth, &scores)
            }),
        });
        rows.resampled("average_precision", n, |rows| {
            let (truth, scores) = self.labelled(rows.iter().copied());
            average_precision(&truth, &scores)
        });
    }

    /// What was called positive, and how much of it is.
    pub fn add_calls(&self, rows: &mut Rows) {
        let (truth, called) = (&self.truth, &self.called);
        let there = |row: usize| self.is_there(row);
        rows.share("sensitivity", ("positive sample", |row| there(row) && truth[row]), |row| called[row]);
        rows.share("specificity", ("negative sample", |row| there(row) && !truth[row]), |row| !called[row]);
        let called_positive = ("sample called positive", |row| there(row) && called[row]);
        rows.share("positive_predictive_value", called_positive, |row| truth[row]);
        let called_negative = ("sample called negative", |row| there(row) && !called[row]);
        rows.share("negative_predictive_value", called_negative, |row| !truth[row]);
        let n = (0..truth.len()).filter(|row| there(*row)).count();
        rows.resampled("f1", n, |rows| self.count(rows, BinaryCounts::f1));
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
        let (truth, scores) = self.labelled(0..self.truth.len());
        Ok((RocCurve::new(&truth, &scores)?.corners(), PrecisionRecallCurve::new(&truth, &scores)?))
    }
}
