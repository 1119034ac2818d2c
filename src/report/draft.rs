use std::collections::HashMap;
use std::hash::Hash;

use super::Training;
use super::rows::Rows;
use super::{Class, Operating, Report};
use crate::error::{Error, Result};
use crate::metrics::{Bootstrap, ConfusionTable};
use crate::train::History;

/// A report that is being made: what it is of, and how intervals are counted. Ends with `build`.
#[must_use = "a draft does nothing until it is built"]
#[derive(Clone, Debug)]
pub struct Draft<K> {
    pub(super) name: String,
    pub(super) settings: Settings,
    pub(super) kind: K,
}

#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// The number of each sample's group.
    pub groups: Option<Vec<usize>>,
    pub level: f64,
    pub resamples: usize,
    pub seed: u64,
    /// Labels, or pixels, that are missing and count for nothing.
    pub left_out: usize,
    pub history: Option<History>,
}

impl<K> Draft<K> {
    pub(super) fn new(name: impl Into<String>, kind: K) -> Self {
        let settings = Settings { groups: None, level: 0.95, resamples: 2000, seed: 0, left_out: 0, history: None };
        Draft { name: name.into(), settings, kind }
    }

    /// Which group each sample (or image) is of: its patient. Intervals then come from drawing whole groups. Only the number of
    /// groups gets into the report.
    pub fn groups<G: Eq + Hash>(mut self, groups: &[G]) -> Self {
        let mut numbers: HashMap<&G, usize> = HashMap::new();
        let number = |group| {
            let next = numbers.len();
            *numbers.entry(group).or_insert(next)
        };
        self.settings.groups = Some(groups.iter().map(number).collect());
        self
    }

    /// The share of intervals that hold the true value; 0.95 unless told.
    pub fn level(mut self, level: f64) -> Self {
        self.settings.level = level;
        self
    }

    /// How many samples the bootstrap draws; 2000 unless told.
    pub fn resamples(mut self, resamples: usize) -> Self {
        self.settings.resamples = resamples;
        self
    }

    /// What the bootstrap's draws depend on; 0 unless told.
    pub fn seed(mut self, seed: u64) -> Self {
        self.settings.seed = seed;
        self
    }

    /// The training's history, for its losses and the picture of its curves.
    pub fn history(mut self, history: &History) -> Self {
        self.settings.history = Some(history.clone());
        self
    }
}

impl Settings {
    /// Refuses what no report could be made with.
    pub fn check(&self, samples: usize) -> Result<()> {
        if samples == 0 {
            return Err(Error::data("report", "at least one sample", "none"));
        }
        if let Some(groups) = self.groups.as_ref().filter(|groups| groups.len() != samples) {
            return Err(Error::data("report, groups", format!("{samples}, one per sample"), groups.len().to_string()));
        }
        if !(self.level > 0.0 && self.level < 1.0) {
            return Err(Error::parameter("report", "level", "above 0 and below 1", self.level));
        }
        if self.resamples == 0 {
            return Err(Error::parameter("report", "resamples", "at least 1", self.resamples));
        }
        Ok(())
    }

    /// Leaves out all samples but `rows`, in this order.
    pub fn keep(&mut self, rows: &[usize], samples: usize) {
        self.left_out = samples - rows.len();
        if let Some(groups) = &mut self.groups {
            let mut numbers: HashMap<usize, usize> = HashMap::new();
            let number = |row: &usize| {
                let next = numbers.len();
                *numbers.entry(groups[*row]).or_insert(next)
            };
            *groups = rows.iter().map(number).collect();
        }
    }

    fn units(&self, samples: usize) -> usize {
        self.groups.as_ref().map_or(samples, |groups| groups.iter().max().map_or(0, |most| most + 1))
    }

    /// The bootstrap by sample, or by group where there are groups.
    pub fn bootstrap(&self, samples: usize) -> Result<Bootstrap> {
        // One unit, drawn again and again, gives an interval without width.
        if self.units(samples) < 2 {
            let what = if self.groups.is_some() { "groups" } else { "samples" };
            return Err(Error::data("bootstrap", format!("at least two {what}"), "one"));
        }
        let bootstrap = match &self.groups {
            None => Bootstrap::by_sample(samples)?,
            Some(groups) => Bootstrap::by_group(groups)?,
        };
        Ok(bootstrap.resamples(self.resamples).level(self.level).seed(self.seed))
    }

    pub fn method(&self) -> &'static str {
        if self.groups.is_some() { "bootstrap by group" } else { "bootstrap" }
    }
}

/// What a kind of report finds besides its rows.
#[derive(Default)]
pub(super) struct Findings {
    pub classes: Vec<Class>,
    pub operating_point: Option<Operating>,
    pub confusion: Option<ConfusionTable>,
    #[cfg(feature = "plot")]
    pub pictures: Vec<(&'static str, crate::plot::Picture)>,
}

/// Puts a report together.
pub(super) fn finish(
    name: &str,
    task: &'static str,
    samples: usize,
    settings: &Settings,
    rows: Rows,
    findings: Findings,
) -> Report {
    #[cfg_attr(not(feature = "plot"), allow(unused_mut))]
    let (rows, mut missing) = (rows.rows, rows.missing);
    #[cfg(feature = "plot")]
    let pictures = {
        let mut pictures = findings.pictures;
        if let Some(history) = &settings.history {
            match history.curves(&format!("{name}: training")) {
                Ok(picture) => pictures.push(("training", picture)),
                Err(reason) => missing.push(super::Missing {
                    key: "training picture".to_owned(),
                    class: None,
                    reason: reason.to_string(),
                }),
            }
        }
        pictures
    };
    let training = settings.history.as_ref().map(|history| Training {
        interrupted: history.interrupted,
        loss: history.losses(),
        validation_loss: history.val_losses(),
    });
    Report {
        name: name.to_owned(),
        task,
        samples,
        left_out: settings.left_out,
        groups: settings.groups.as_ref().map(|_| settings.units(samples)),
        level: settings.level,
        resamples: settings.resamples,
        seed: settings.seed,
        classes: findings.classes,
        operating_point: findings.operating_point,
        rows,
        missing,
        confusion: findings.confusion,
        training,
        #[cfg(feature = "plot")]
        pictures,
    }
}
