//! The rows of a report, and how a metric becomes one: with an interval, without, or with a reason why not.

use serde::Serialize;

use super::draft::Settings;
use crate::error::{Error, Result};
use crate::metrics::{Bootstrap, Interval, wilson};

/// A metric and its value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// What the metric is called in JSON: `"auc"`. Keys do not change from version to version.
    pub key: &'static str,
    /// Of which class; `None` where it is of all together.
    pub class: Option<String>,
    /// The value, which is finite.
    pub value: f64,
    /// The value's interval, where there is one.
    pub interval: Option<Interval>,
    /// How the interval was made: `"DeLong"`, `"Wilson"`, `"bootstrap"`, `"bootstrap by group"`; empty without one.
    pub method: &'static str,
    /// How many samples went into the value: for sensitivity those that are positive.
    pub n: usize,
}

/// A metric, interval or picture that could not be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// The metric's key, with `" interval"` or `" picture"` behind it where only that is missing.
    pub key: String,
    /// Of which class; `None` where it is of all together.
    pub class: Option<String>,
    /// Why.
    pub reason: String,
}

/// Rows as they are made.
pub(super) struct Rows<'a> {
    settings: &'a Settings,
    samples: usize,
    class: Option<String>,
    pub rows: Vec<Row>,
    pub missing: Vec<Missing>,
}

impl<'a> Rows<'a> {
    pub fn new(settings: &'a Settings, samples: usize) -> Self {
        Rows { settings, samples, class: None, rows: Vec::new(), missing: Vec::new() }
    }

    /// What follows is of this class; of `None`, of all together.
    pub fn of(&mut self, class: Option<&str>) {
        self.class = class.map(str::to_owned);
    }

    /// A value without an interval.
    pub fn value(&mut self, key: &'static str, n: usize, value: Result<f64>) {
        match value {
            Ok(value) if value.is_finite() => self.push(key, value, None, "", n),
            Ok(value) => self.lacks(key, format!("it is {value}")),
            Err(reason) => self.lacks(key, reason),
        }
    }

    /// A value whose interval a formula gives where samples are independent, and the bootstrap where they come in groups.
    pub fn formula(
        &mut self,
        key: &'static str,
        n: usize,
        value: Result<f64>,
        (method, formula): (&'static str, impl FnOnce(f64) -> Result<Interval>),
        by_group: impl FnOnce(&Bootstrap) -> Result<Interval>,
    ) {
        let (method, interval) = match &self.settings.groups {
            None => (method, formula(self.settings.level)),
            Some(_) => ("bootstrap by group", self.settings.bootstrap(self.samples).and_then(|b| by_group(&b))),
        };
        self.with_interval(key, n, value, method, interval);
    }

    /// A value that is computed from samples by their numbers, with its bootstrap interval.
    pub fn resampled(&mut self, key: &'static str, n: usize, statistic: impl Fn(&[usize]) -> Result<f64> + Sync) {
        let all: Vec<usize> = (0..self.samples).collect();
        let value = statistic(&all);
        // Where the value is missing, so is its interval: one reason is enough.
        let interval = match &value {
            Ok(_) => self.settings.bootstrap(self.samples).and_then(|b| b.interval(statistic)),
            Err(_) => Err(Error::usage(key, "there is no value")),
        };
        self.with_interval(key, n, value, self.settings.method(), interval);
    }

    /// The share of samples that are `part` among those that are `whole`.
    pub fn share(
        &mut self,
        key: &'static str,
        whole: impl Fn(usize) -> bool + Sync,
        part: impl Fn(usize) -> bool + Sync,
    ) {
        let count = |rows: &[usize]| {
            let whole: Vec<usize> = rows.iter().copied().filter(|row| whole(*row)).collect();
            (whole.iter().filter(|row| part(**row)).count(), whole.len())
        };
        let all: Vec<usize> = (0..self.samples).collect();
        let (hits, n) = count(&all);
        if n == 0 {
            return self.lacks(key, "no sample counts for it");
        }
        let by_group = |bootstrap: &Bootstrap| {
            bootstrap.interval(|rows| match count(rows) {
                (_, 0) => Err(Error::data(key, "at least one sample that counts", "none")),
                (hits, n) => Ok(hits as f64 / n as f64),
            })
        };
        let value = Ok(hits as f64 / n as f64);
        self.formula(key, n, value, ("Wilson", |level| wilson(hits, n, level)), by_group);
    }

    /// Says that something is missing, and why.
    pub fn lacks(&mut self, key: impl Into<String>, reason: impl ToString) {
        self.missing.push(Missing { key: key.into(), class: self.class.clone(), reason: reason.to_string() });
    }

    fn with_interval(
        &mut self,
        key: &'static str,
        n: usize,
        value: Result<f64>,
        method: &'static str,
        interval: Result<Interval>,
    ) {
        let value = match value {
            Ok(value) if value.is_finite() => value,
            other => return self.value(key, n, other),
        };
        match interval {
            Ok(interval) => self.push(key, value, Some(interval), method, n),
            Err(reason) => {
                self.push(key, value, None, "", n);
                self.lacks(format!("{key} interval"), reason);
            }
        }
    }

    fn push(&mut self, key: &'static str, value: f64, interval: Option<Interval>, method: &'static str, n: usize) {
        self.rows.push(Row { key, class: self.class.clone(), value, interval, method, n });
    }
}

/// The entries of `values` at `rows`.
pub(super) fn pick<T: Copy>(values: &[T], rows: &[usize]) -> Vec<T> {
    rows.iter().filter_map(|row| values.get(*row).copied()).collect()
}
