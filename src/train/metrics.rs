use std::fmt;

use crate::error::{Error, Result};
use crate::graph::Var;

/// What is counted on the device while a model trains or is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// The share of samples whose largest output is the target's class.
    Accuracy,
}

impl Metric {
    /// Its name, as it stands in logs.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Accuracy => "accuracy",
        }
    }

    /// Pushes the node that counts a batch's hits: `u32[1]`.
    ///
    /// # Errors
    /// Where predictions and targets do not fit each other.
    pub(super) fn build(self, y: &Var, targets: &Var) -> Result<Var> {
        match self {
            Metric::Accuracy => y.correct_count(targets),
        }
    }
}

/// How often each class was taken for each other: `counts[true class][predicted class]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfusionTable {
    /// `counts[true class][predicted class]`
    pub counts: Vec<Vec<usize>>,
}

impl ConfusionTable {
    /// Counts pairs of true and predicted classes.
    ///
    /// # Errors
    /// [`Error::Data`] where the two differ in number.
    pub fn new(truth: &[u32], predicted: &[u32]) -> Result<Self> {
        if truth.len() != predicted.len() {
            return Err(Error::data("predictions", format!("{} of them", truth.len()), predicted.len().to_string()));
        }
        let classes = truth.iter().chain(predicted).max().map_or(0, |m| *m as usize + 1);
        let mut counts = vec![vec![0; classes]; classes];
        for (t, p) in truth.iter().zip(predicted) {
            counts[*t as usize][*p as usize] += 1;
        }
        Ok(ConfusionTable { counts })
    }

    /// The share on the diagonal.
    pub fn accuracy(&self) -> f64 {
        let hits: usize = (0..self.counts.len()).map(|i| self.counts[i][i]).sum();
        let all: usize = self.counts.iter().flatten().sum();
        hits as f64 / all.max(1) as f64
    }
}

impl fmt::Display for ConfusionTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let largest = self.counts.iter().flatten().max().copied().unwrap_or(0).max(self.counts.len());
        let width = largest.to_string().len().max(3) + 1;
        write!(f, "{:>12} |", "true \\ given")?;
        (0..self.counts.len()).try_for_each(|c| write!(f, "{c:>width$}"))?;
        write!(f, "\n{}+{}", "-".repeat(13), "-".repeat(width * self.counts.len()))?;
        for (class, row) in self.counts.iter().enumerate() {
            write!(f, "\n{class:>12} |")?;
            for count in row {
                if *count == 0 { write!(f, "{:>width$}", "·")? } else { write!(f, "{count:>width$}")? }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_confusion_table_counts_pairs() {
        let table = ConfusionTable::new(&[0, 1, 1, 2], &[0, 1, 2, 2]).unwrap();
        assert_eq!(table.counts, vec![vec![1, 0, 0], vec![0, 1, 1], vec![0, 0, 1]]);
        assert_eq!(table.accuracy(), 0.75);
        assert!(ConfusionTable::new(&[0], &[]).is_err());
    }
}
