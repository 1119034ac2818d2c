use serde::Serialize;

use super::bootstrap::{Bootstrap, multiplicities};
use super::check;
use super::precision_recall::PrecisionRecallCurve;
use super::ranked::{Ranked, Step, quantile};
use super::roc::RocCurve;
use crate::error::{Error, Result};

/// The places of a band: 0, 0.01, … 1.
const PLACES: usize = 101;

/// Between what a curve lies, place by place, in resamples: a pointwise band, not one that holds the whole curve at once.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Band {
    /// 0, 0.01, … 1.
    pub x: Vec<f64>,
    /// The lower end at each place.
    pub low: Vec<f64>,
    /// The upper end at each place.
    pub high: Vec<f64>,
}

impl RocCurve {
    /// The band of sensitivity over false alarms, with the level, the resamples and the units of `bootstrap` (by sample or patient);
    /// percentiles whether BCa is asked for or not. Where a curve rises straight up, it is taken at its top.
    ///
    /// # Errors
    /// As [`RocCurve::new`]; [`Error::Data`] where there are not as many samples as `bootstrap` draws from, or more than one in ten
    /// resamples have only one class; [`Error::Parameter`] where a setting of `bootstrap` makes no sense.
    pub fn band(truth: &[bool], scores: &[f64], bootstrap: &Bootstrap) -> Result<Band> {
        check::scored(truth, scores)?;
        check::both_classes("truth", "the ROC curve", truth)?;
        band(truth, scores, bootstrap, sensitivities)
    }
}

impl PrecisionRecallCurve {
    /// The band of precision over recall, with the level, the resamples and the units of `bootstrap` (by sample or patient);
    /// percentiles whether BCa is asked for or not. The precision at a recall is that of the highest threshold which reaches it.
    ///
    /// # Errors
    /// As [`PrecisionRecallCurve::new`]; otherwise see [`RocCurve::band`].
    pub fn band(truth: &[bool], scores: &[f64], bootstrap: &Bootstrap) -> Result<Band> {
        PrecisionRecallCurve::new(truth, scores)?;
        band(truth, scores, bootstrap, precisions)
    }
}

fn band(
    truth: &[bool],
    scores: &[f64],
    bootstrap: &Bootstrap,
    heights: fn(&[Step], &[f64]) -> Option<Vec<f64>>,
) -> Result<Band> {
    check::as_many("samples to draw from", truth.len(), bootstrap.samples())?;
    let x: Vec<f64> = (0..PLACES).map(|i| i as f64 / (PLACES - 1) as f64).collect();
    let ranked = Ranked::new(truth, scores);
    let curves = bootstrap.replicates(|rows| {
        let times = multiplicities(rows, truth.len());
        let steps: Vec<Step> = ranked.steps_of(|i| times[i]).collect();
        heights(&steps, &x).ok_or_else(|| Error::data("curve", "samples of both classes", "one class"))
    })?;
    let tail = (1.0 - bootstrap.confidence()) / 2.0;
    let at = |place: usize| {
        let mut all: Vec<f64> = curves.iter().map(|curve| curve[place]).collect();
        all.sort_unstable_by(f64::total_cmp);
        (quantile(&all, tail), quantile(&all, 1.0 - tail))
    };
    let (low, high) = (0..PLACES).map(at).unzip();
    Ok(Band { x, low, high })
}

/// The sensitivity at each rate of false alarms, on straight lines between the steps.
fn sensitivities(steps: &[Step], rates: &[f64]) -> Option<Vec<f64>> {
    let last = steps.last().filter(|s| s.positives > 0 && s.negatives > 0)?;
    let point = |s: &Step| (s.negatives as f64 / last.negatives as f64, s.positives as f64 / last.positives as f64);
    let (mut before, mut next) = ((0.0, 0.0), 0);
    let height = |rate: &f64| {
        while let Some((x, y)) = steps.get(next).map(point).filter(|(x, _)| x <= rate) {
            (before, next) = ((x, y), next + 1);
        }
        match steps.get(next).map(point) {
            Some((x, y)) => before.1 + (y - before.1) * (rate - before.0) / (x - before.0),
            None => before.1,
        }
    };
    Some(rates.iter().map(height).collect())
}

/// The precision of the highest threshold that reaches each recall.
fn precisions(steps: &[Step], recalls: &[f64]) -> Option<Vec<f64>> {
    let last = steps.last().filter(|s| s.positives > 0)?;
    let reaches = |s: &Step, recall: f64| s.positives as f64 / last.positives as f64 >= recall;
    let mut next = 0;
    let height = |recall: &f64| {
        while steps.get(next).is_some_and(|s| !reaches(s, *recall)) {
            next += 1;
        }
        let s = steps.get(next).unwrap_or(last);
        s.positives as f64 / (s.positives + s.negatives) as f64
    };
    Some(recalls.iter().map(height).collect())
}
