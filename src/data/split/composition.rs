use std::collections::BTreeMap;
use std::fmt;

use super::Split;
use super::deal::Labels;
use crate::data::table::cell;
use crate::error::{Error, Result};

/// What parts are made of; printed, a table with one line for each part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Composition {
    /// The classes' names, in their order; none where the split is not stratified.
    pub classes: Vec<String>,
    /// Samples of each part.
    pub samples: Vec<usize>,
    /// Groups of each part, where the split is grouped.
    pub groups: Option<Vec<usize>>,
    /// For each part, its samples of each class.
    pub of_class: Vec<Vec<usize>>,
}

pub(super) fn of(split: &Split, parts: &[impl AsRef<[usize]>]) -> Result<Composition> {
    for sample in parts.iter().flat_map(|part| part.as_ref()) {
        if *sample >= split.samples {
            let expected = format!("samples below {}", split.samples);
            return Err(Error::data("parts of a split", expected, sample.to_string()));
        }
    }
    let counts = |labels: &Labels, part: &[usize]| {
        let mut counts = vec![0; labels.names.len()];
        part.iter().for_each(|sample| counts[labels.of[*sample]] += 1);
        counts
    };
    let groups = |labels: &Labels| {
        let present = |part: &[usize]| counts(labels, part).iter().filter(|count| **count > 0).count();
        parts.iter().map(|part| present(part.as_ref())).collect()
    };
    let of_class = |part: &[usize]| split.classes.as_ref().map_or_else(Vec::new, |classes| counts(classes, part));
    Ok(Composition {
        classes: split.classes.as_ref().map_or_else(Vec::new, |classes| classes.names.clone()),
        samples: parts.iter().map(|part| part.as_ref().len()).collect(),
        groups: split.groups.as_ref().map(groups),
        of_class: parts.iter().map(|part| of_class(part.as_ref())).collect(),
    })
}

impl fmt::Display for Composition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "part  samples")?;
        if self.groups.is_some() {
            write!(f, "   groups")?;
        }
        let width = |class: &String| class.chars().count().max(8);
        for class in &self.classes {
            write!(f, " {class:>0$}", width(class))?;
        }
        for (i, samples) in self.samples.iter().enumerate() {
            write!(f, "\n{i:4} {samples:8}")?;
            if let Some(groups) = &self.groups {
                write!(f, " {:8}", groups[i])?;
            }
            for (class, count) in self.classes.iter().zip(&self.of_class[i]) {
                write!(f, " {count:>0$}", width(class))?;
            }
        }
        Ok(())
    }
}

/// Refuses parts of which two hold samples of the same group: a patient on both sides. Any split can be checked, also one that was
/// made elsewhere; `groups[sample]` is a number or a name.
///
/// # Errors
/// [`Error::Data`] where a group is in two parts, naming them and a sample of it, or a sample does not exist.
pub fn check_groups<G: Ord + ToString>(groups: &[G], parts: &[impl AsRef<[usize]>]) -> Result<()> {
    let mut home = BTreeMap::new();
    for (part, samples) in parts.iter().enumerate() {
        for sample in samples.as_ref() {
            let Some(group) = groups.get(*sample) else {
                let expected = format!("samples below {}, the number of groups given", groups.len());
                return Err(Error::data("parts of a split", expected, sample.to_string()));
            };
            let first = *home.entry(group).or_insert(part);
            if first != part {
                let name = cell(&group.to_string());
                let actual = format!("that of sample {sample} in parts {first} and {part} (group: {name})");
                return Err(Error::data("parts of a split", "every group (patient) in one part only", actual));
            }
        }
    }
    Ok(())
}
