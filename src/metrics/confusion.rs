use std::fmt;

use serde::Serialize;

use super::average::Average;
use super::binary::BinaryCounts;
use super::check;
use crate::error::{Error, Result};

/// The most classes of a table: 512 MiB of counts.
const MOST_CLASSES: usize = 8192;

/// How often each class was taken for each other: `counts[true class][predicted class]`.
///
/// ```
/// use galen::metrics::{Average, ConfusionTable};
///
/// let table = ConfusionTable::new(&[0, 1, 1, 2], &[0, 1, 2, 2])?;
/// assert_eq!(table.accuracy(), 0.75);
/// assert_eq!(table.class(1)?.recall(), Some(0.5));
/// assert_eq!(table.recall(Average::Macro), (1.0 + 0.5 + 1.0) / 3.0);
/// # Ok::<(), galen::Error>(())
/// ```
///
/// Averages are those of scikit-learn with `zero_division=0`: a class for which a share is not defined counts with 0. A class that
/// occurs neither in the truth nor in the predictions does not count at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConfusionTable {
    /// `counts[true class][predicted class]`
    pub counts: Vec<Vec<usize>>,
}

/// How much a wrong class counts in Cohen's kappa.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KappaWeights {
    /// Every wrong class counts the same.
    None,
    /// A wrong class counts as much as it lies away from the true one: classes are grades.
    Linear,
    /// A wrong class counts as the square of how far it lies away.
    Quadratic,
}

impl ConfusionTable {
    /// Counts pairs of true and predicted classes. There are as many classes as the largest of them says.
    ///
    /// # Errors
    /// [`Error::Data`] where the two differ in number, there are none, or a class is 8192 or more.
    pub fn new(truth: &[u32], predicted: &[u32]) -> Result<Self> {
        let classes = truth.iter().chain(predicted).max().map_or(0, |m| *m as usize + 1);
        Self::with_classes(truth, predicted, classes)
    }

    /// Counts pairs of true and predicted classes, all below `classes`.
    ///
    /// # Errors
    /// [`Error::Data`] where the two differ in number, there are none, or a class is `classes` or more, or 8192 or more.
    pub fn with_classes(truth: &[u32], predicted: &[u32], classes: usize) -> Result<Self> {
        check::not_empty("truth", truth.len())?;
        check::as_many("predictions", truth.len(), predicted.len())?;
        if classes > MOST_CLASSES {
            return Err(Error::data("classes", format!("at most {MOST_CLASSES} of them"), classes.to_string()));
        }
        let mut counts = vec![vec![0; classes]; classes];
        for (i, (t, p)) in truth.iter().zip(predicted).enumerate() {
            match counts.get_mut(*t as usize).and_then(|row| row.get_mut(*p as usize)) {
                Some(count) => *count += 1,
                None => {
                    let actual = format!("{t} taken for {p} in sample {i}");
                    return Err(Error::data("classes", format!("numbers below {classes}"), actual));
                }
            }
        }
        Ok(ConfusionTable { counts })
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.counts.len()
    }

    /// The number of samples.
    pub fn samples(&self) -> usize {
        self.counts.iter().flatten().sum()
    }

    /// How often `class` occurs, how often it was predicted, and how often both. The fields are public: rows may be short.
    fn marginals(&self, class: usize) -> (usize, usize, usize) {
        let at = |row: &Vec<usize>| row.get(class).copied().unwrap_or(0);
        let row = self.counts.get(class);
        (row.map_or(0, |r| r.iter().sum()), self.counts.iter().map(at).sum(), row.map_or(0, at))
    }

    fn all_marginals(&self) -> Vec<(usize, usize, usize)> {
        (0..self.classes()).map(|c| self.marginals(c)).collect()
    }

    /// The table of `class` against all others.
    ///
    /// # Errors
    /// [`Error::Data`] where there is no such class.
    pub fn class(&self, class: usize) -> Result<BinaryCounts> {
        if class >= self.classes() {
            return Err(Error::data("class", format!("one below {}", self.classes()), class.to_string()));
        }
        Ok(self.one_against_others(class))
    }

    /// The table of each class against all others.
    pub fn per_class(&self) -> Vec<BinaryCounts> {
        (0..self.classes()).map(|c| self.one_against_others(c)).collect()
    }

    fn one_against_others(&self, class: usize) -> BinaryCounts {
        let (truly, predicted, both) = self.marginals(class);
        BinaryCounts {
            true_positives: both,
            false_positives: predicted - both,
            false_negatives: truly - both,
            true_negatives: self.samples() + both - predicted - truly,
        }
    }

    /// The share on the diagonal. Source: scikit-learn, `accuracy_score`.
    pub fn accuracy(&self) -> f64 {
        let hits: usize = self.all_marginals().iter().map(|(_, _, both)| both).sum();
        hits as f64 / self.samples().max(1) as f64
    }

    /// The mean recall of the classes that truly occur. Source: scikit-learn, `balanced_accuracy_score`.
    pub fn balanced_accuracy(&self) -> f64 {
        let recalls: Vec<f64> = self.per_class().iter().filter_map(BinaryCounts::recall).collect();
        recalls.iter().sum::<f64>() / recalls.len().max(1) as f64
    }

    /// A share of each class that occurs in the truth or the predictions, as one number.
    pub fn average(&self, average: Average, share: impl Fn(&BinaryCounts) -> Option<f64>) -> f64 {
        let classes: Vec<BinaryCounts> = self.per_class().into_iter().filter(BinaryCounts::occurs).collect();
        average.over(&classes, share)
    }

    /// Of those given a class, the share that is of it. Source: scikit-learn, `precision_score`.
    pub fn precision(&self, average: Average) -> f64 {
        self.average(average, BinaryCounts::precision)
    }

    /// Of those of a class, the share that was found: sensitivity. Source: scikit-learn, `recall_score`.
    pub fn recall(&self, average: Average) -> f64 {
        self.average(average, BinaryCounts::recall)
    }

    /// Of those not of a class, the share that was not given it. Source: scikit-learn, `recall_score` with 0 and 1 changed.
    pub fn specificity(&self, average: Average) -> f64 {
        self.average(average, BinaryCounts::specificity)
    }

    /// Of those not given a class, the share that is not of it. Source: scikit-learn, `precision_score` with 0 and 1 changed.
    pub fn negative_predictive_value(&self, average: Average) -> f64 {
        self.average(average, BinaryCounts::negative_predictive_value)
    }

    /// The weighted harmonic mean of precision and recall, recall counting `beta` times as much. Source: scikit-learn,
    /// `fbeta_score`.
    ///
    /// # Errors
    /// [`Error::Parameter`] where `beta` is negative or not finite.
    pub fn f_beta(&self, beta: f64, average: Average) -> Result<f64> {
        super::binary::check_beta(beta)?;
        Ok(self.average(average, |c| c.harmonic(beta)))
    }

    /// The harmonic mean of precision and recall. Source: scikit-learn, `f1_score`.
    pub fn f1(&self, average: Average) -> f64 {
        self.average(average, BinaryCounts::f1)
    }

    /// Matthews' correlation coefficient, for several classes that of Gorodkin (2004). `None` where all samples are of one class,
    /// or were given one. Source: scikit-learn, `matthews_corrcoef`, which says 0 or NaN there.
    pub fn matthews(&self) -> Option<f64> {
        let classes = self.all_marginals();
        let n = self.samples() as f64;
        let sum = |f: fn(f64, f64) -> f64| -> f64 { classes.iter().map(|(t, p, _)| f(*t as f64, *p as f64)).sum() };
        let hits: f64 = classes.iter().map(|(_, _, both)| *both as f64).sum();
        let (of_truth, of_given) = (n * n - sum(|t, _| t * t), n * n - sum(|_, p| p * p));
        let both = hits * n - sum(|t, p| t * p);
        (of_truth > 0.0 && of_given > 0.0).then(|| both / (of_truth * of_given).sqrt())
    }

    /// Cohen's kappa: the agreement beyond that of chance. Grades are the classes' numbers. `None` where all samples are of one
    /// class and were given it. Source: scikit-learn, `cohen_kappa_score` with `labels` 0 to the number of classes.
    pub fn kappa(&self, weights: KappaWeights) -> Option<f64> {
        let weight = |a: usize, b: usize| match weights {
            KappaWeights::None => f64::from(u8::from(a != b)),
            KappaWeights::Linear => a.abs_diff(b) as f64,
            KappaWeights::Quadratic => (a.abs_diff(b) as f64).powi(2),
        };
        let (classes, n) = (self.all_marginals(), self.samples() as f64);
        let (mut seen, mut by_chance) = (0.0, 0.0);
        for (t, (row, (truly, ..))) in self.counts.iter().zip(&classes).enumerate() {
            for (p, (count, (_, predicted, _))) in row.iter().zip(&classes).enumerate() {
                seen += weight(t, p) * *count as f64;
                by_chance += weight(t, p) * (*truly as f64 * *predicted as f64);
            }
        }
        (by_chance > 0.0).then(|| 1.0 - seen * n / by_chance)
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

    #[test]
    fn a_table_made_by_hand_with_short_or_long_rows_does_not_panic() {
        for counts in [vec![], vec![vec![], vec![]], vec![vec![3, 1, 9], vec![2]], vec![vec![0; 2]; 2]] {
            let table = ConfusionTable { counts };
            let shares = [table.accuracy(), table.balanced_accuracy(), table.f1(Average::Weighted)];
            assert!(shares.iter().all(|s| (0.0..=1.0).contains(s)), "{table}: {shares:?}");
            let (kappa, matthews) = (table.kappa(KappaWeights::Linear), table.matthews());
            assert!(kappa.is_none_or(f64::is_finite) && matthews.is_none_or(f64::is_finite), "{table}");
        }
    }
}
