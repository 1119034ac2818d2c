//! Which samples to train on and which to keep for the test, as lists of their numbers.

mod composition;
mod deal;

use std::collections::BTreeMap;

use super::Dataset;
use crate::contract::{Threefry, stream_of};
use crate::data::table::cell;
use crate::error::{Error, Result};

pub use composition::{Composition, check_groups};
use deal::Labels;

/// Divides samples into parts or folds: at random, with the same share of every class in each (stratified), with all samples of a
/// patient on one side (grouped), or both. The same seed gives the same split; every list of samples is in ascending order.
///
/// ```
/// use galen::data::Split;
///
/// let patients = ["ann", "ann", "bob", "bob", "cem", "cem", "dee", "dee"];
/// let parts = Split::new(8).seed(7).grouped(&patients)?.parts(&[0.5, 0.25, 0.25])?;
/// assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [4, 2, 2]);
/// for fold in Split::new(8).folds(4)? {
///     assert_eq!((fold.train.len(), fold.test.len()), (6, 2));
/// }
/// # Ok::<(), galen::Error>(())
/// ```
///
/// # How samples are dealt
///
/// - **At random**: parts have their shares to within one sample, folds differ by at most one.
/// - **Stratified**: so has every class, except that every part gets at least one sample of each.
/// - **Grouped**: groups are dealt one after the other to the part that lacks most samples: for folds the largest first, as in
///   scikit-learn's `GroupKFold`, for shares in random order, so that large groups are not all trained on. Of several random orders the
///   one that comes closest to the shares is taken; how close that is depends on the groups, and [`Split::composition`] says it.
/// - **Both**: likewise, counting the lack of every class relative to its size, as scikit-learn's `StratifiedGroupKFold`. A class that would
///   be missing in a part is an error.
#[derive(Clone, Debug)]
pub struct Split {
    samples: usize,
    seed: u64,
    classes: Option<Labels>,
    groups: Option<Labels>,
}

/// Sample numbers that all folds may hold together: 8 GiB of them.
const MOST_IN_FOLDS: usize = 1 << 30;

/// Samples to train on, and those to test on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fold {
    /// Samples to train on.
    pub train: Vec<usize>,
    /// Samples to test on.
    pub test: Vec<usize>,
}

impl Fold {
    /// The data to train on and the data to test on.
    ///
    /// # Errors
    /// [`Error::Data`] where the data has fewer samples than were divided.
    pub fn of(&self, data: &Dataset) -> Result<(Dataset, Dataset)> {
        Ok((data.select(&self.train)?, data.select(&self.test)?))
    }
}

impl Split {
    /// Divides samples `0..samples` at random, with seed 0.
    pub fn new(samples: usize) -> Split {
        Split { samples, seed: 0, classes: None, groups: None }
    }

    /// What chance depends on.
    #[must_use]
    pub fn seed(self, seed: u64) -> Split {
        Split { seed, ..self }
    }

    /// Every part gets the same share of every class; `classes[sample]` is a number or a name.
    ///
    /// # Errors
    /// [`Error::Data`] where there is not one for each sample.
    pub fn stratified<C: Ord + ToString>(self, classes: &[C]) -> Result<Split> {
        Ok(Split { classes: Some(Labels::new("classes", self.samples, classes)?), ..self })
    }

    /// All samples of a group (a patient) come to the same side; `groups[sample]` is a number or a name.
    ///
    /// # Errors
    /// [`Error::Data`] where there is not one for each sample.
    pub fn grouped<G: Ord + ToString>(self, groups: &[G]) -> Result<Split> {
        Ok(Split { groups: Some(Labels::new("groups", self.samples, groups)?), ..self })
    }

    /// One list of samples for each share, in the shares' order: `&[0.7, 0.15, 0.15]` for training, validation and test.
    ///
    /// # Errors
    /// - [`Error::Parameter`] where there are fewer than two shares, one is not above 0, or they do not add up to 1;
    /// - [`Error::Data`] where a part would be empty, there are fewer groups than parts, or a class has fewer samples (or groups, where
    ///   both hold) than there are parts or would be missing in one.
    pub fn parts(&self, shares: &[f64]) -> Result<Vec<Vec<usize>>> {
        let sum = check_shares(shares)?;
        self.deal(&shares.iter().map(|share| share / sum).collect::<Vec<_>>(), false)
    }

    /// The samples to train on, and this share of all to test on.
    ///
    /// # Errors
    /// See [`Split::parts`].
    pub fn holdout(&self, test: f64) -> Result<Fold> {
        if !(test > 0.0 && test < 1.0) {
            return Err(Error::parameter("split", "share of the test", "in (0, 1)", test));
        }
        let mut parts = self.parts(&[1.0 - test, test])?.into_iter();
        Ok(Fold { train: parts.next().unwrap_or_default(), test: parts.next().unwrap_or_default() })
    }

    /// `k` folds: each sample is tested on in one of them, and trained on in the others. With as many folds as groups, each group is left
    /// out once.
    ///
    /// # Errors
    /// - [`Error::Parameter`] where `k` is below 2;
    /// - [`Error::Data`] where there are fewer samples or groups than folds, or a class has fewer samples (or groups, where both hold)
    ///   than there are folds or would be missing in one.
    pub fn folds(&self, k: usize) -> Result<Vec<Fold>> {
        if k < 2 {
            return Err(Error::parameter("split", "folds", "at least 2", k));
        }
        // Before anything of size k is made.
        self.check_count("folds", k)?;
        if k.saturating_mul(self.samples) > MOST_IN_FOLDS {
            let expected = format!("at most {MOST_IN_FOLDS} divided by {} samples", self.samples);
            return Err(Error::parameter("split", "folds", expected, k));
        }
        let tests = self.deal(&vec![1.0 / k as f64; k], true)?;
        let mut fold_of = vec![0; self.samples];
        for (fold, test) in tests.iter().enumerate() {
            test.iter().for_each(|sample| fold_of[*sample] = fold);
        }
        let fold = |(fold, test)| {
            let train = (0..self.samples).filter(|sample| fold_of[*sample] != fold).collect();
            Fold { train, test }
        };
        Ok(tests.into_iter().enumerate().map(fold).collect())
    }

    /// How many samples, groups and samples of each class these parts have.
    ///
    /// # Errors
    /// [`Error::Data`] where a sample does not exist.
    pub fn composition(&self, parts: &[impl AsRef<[usize]>]) -> Result<Composition> {
        composition::of(self, parts)
    }

    fn check_count(&self, what: &str, parts: usize) -> Result<()> {
        if self.samples < parts {
            return Err(Error::data(
                "split",
                format!("at least {parts} samples for {parts} {what}"),
                self.samples.to_string(),
            ));
        }
        if let Some(groups) = self.groups.as_ref().filter(|groups| groups.names.len() < parts) {
            let expected = format!("at least {parts} groups for {parts} {what}");
            return Err(Error::data("split", expected, groups.names.len().to_string()));
        }
        Ok(())
    }

    fn deal(&self, shares: &[f64], folds: bool) -> Result<Vec<Vec<usize>>> {
        let what = if folds { "folds" } else { "parts" };
        self.check_count(what, shares.len())?;
        if u32::try_from(self.samples).is_err() {
            return Err(Error::data("split", format!("at most {} samples", u32::MAX), self.samples.to_string()));
        }
        self.check_classes(what, shares.len())?;
        let mut random = Threefry::new(self.seed, stream_of("split"));
        let part_of = match &self.groups {
            None => deal::samples(self.samples, self.classes.as_ref(), shares, &mut random),
            Some(groups) => deal::groups(groups, self.classes.as_ref(), shares, folds, &mut random)?,
        };
        let mut parts = vec![Vec::new(); shares.len()];
        part_of.iter().enumerate().for_each(|(sample, part)| parts[*part].push(sample));
        if let Some(empty) = parts.iter().position(Vec::is_empty) {
            let expected = format!("at least one sample in each of {} {what}", parts.len());
            let actual =
                format!("none in number {empty}, whose share of {} samples is {}", self.samples, shares[empty]);
            return Err(Error::data("split", expected, actual));
        }
        if let Some(groups) = &self.groups {
            groups.check_apart(&parts)?;
        }
        Ok(parts)
    }

    /// Refuses classes that cannot be in every part.
    fn check_classes(&self, what: &str, parts: usize) -> Result<()> {
        let Some(classes) = &self.classes else { return Ok(()) };
        let counts = match &self.groups {
            None => classes.counts(),
            Some(groups) => groups.per_class(classes),
        };
        match counts.iter().position(|count| *count < parts) {
            Some(class) => {
                let unit = if self.groups.is_some() { "groups (patients)" } else { "samples" };
                let expected = format!("at least {parts} {unit} of each class for {parts} {what}");
                let actual =
                    format!("{} of one class ({})", counts[class], cell(classes.names[class].trim_matches('"')));
                Err(Error::data("split", expected, actual))
            }
            None => Ok(()),
        }
    }
}

/// Refuses shares that make no sense; their sum, which is nearly 1.
fn check_shares(shares: &[f64]) -> Result<f64> {
    if shares.len() < 2 {
        return Err(Error::parameter("split", "shares", "at least two", shares.len()));
    }
    if let Some(bad) = shares.iter().find(|share| !(**share > 0.0 && **share < 1.0)) {
        return Err(Error::parameter("split", "share", "in (0, 1)", bad));
    }
    let sum: f64 = shares.iter().sum();
    if (sum - 1.0).abs() > 1e-6 {
        return Err(Error::parameter("split", "sum of the shares", "1", sum));
    }
    Ok(sum)
}

impl Labels {
    /// The labels of samples as numbers, in the labels' order.
    fn new<L: Ord + ToString>(what: &str, samples: usize, labels: &[L]) -> Result<Labels> {
        if labels.len() != samples {
            let expected = format!("{samples} of them, one for each sample");
            return Err(Error::data(format!("{what} of a split"), expected, labels.len().to_string()));
        }
        let mut places: BTreeMap<&L, usize> = labels.iter().map(|label| (label, 0)).collect();
        places.values_mut().zip(0..).for_each(|(place, next)| *place = next);
        Ok(Labels {
            of: labels.iter().map(|label| places.get(label).copied().unwrap_or_default()).collect(),
            names: places.keys().map(|label| format!("\"{}\"", label.to_string())).collect(),
        })
    }
}
