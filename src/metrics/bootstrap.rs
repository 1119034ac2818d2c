use std::collections::HashMap;
use std::hash::Hash;

use rayon::prelude::*;

use super::interval::Interval;
use super::ranked::{Ranked, area, quantile};
use super::{check, normal};
use crate::contract::{Threefry, stream_of};
use crate::error::{Error, Result};

/// The share of resamples for which a metric may be undefined.
pub(super) const MOST_UNDEFINED: f64 = 0.1;
/// The most resamples: the numbers of one metric then need 80 MB.
const MOST_RESAMPLES: usize = 10_000_000;
/// The most samples: each takes 24 bytes here, and a resample 8 more.
const MOST_SAMPLES: usize = 1 << 28;

/// Confidence intervals of any metric, from samples drawn again and again from those there are, with replacement. Source: B. Efron,
/// R. Tibshirani, "An introduction to the bootstrap" (1993); SciPy, `bootstrap` with `paired=True`.
///
/// Samples of one patient resemble each other. Where a patient has several, draw patients: [`Bootstrap::by_group`]. An interval by
/// sample would then be too narrow.
///
/// ```
/// use galen::metrics::{Bootstrap, mean_absolute_error};
///
/// let (truth, given) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.5, 2.0, 2.0, 4.5, 5.0, 7.5]);
/// let patient = ["a", "a", "b", "c", "d", "d"];
/// let error = Bootstrap::by_group(&patient)?.resamples(500).seed(7).interval(|rows| {
///     let pick = |of: &[f64]| rows.iter().map(|r| of[*r]).collect::<Vec<_>>();
///     mean_absolute_error(&pick(&truth), &pick(&given))
/// })?;
/// assert!(error.low < error.value && error.value < error.high);
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Bootstrap {
    /// Samples, unit by unit: what is drawn together.
    rows: Vec<usize>,
    /// Where each unit ends in `rows`.
    ends: Vec<usize>,
    /// Units among which is drawn, as many as there are.
    strata: Vec<Vec<usize>>,
    resamples: usize,
    level: f64,
    seed: u64,
    bca: bool,
}

impl Bootstrap {
    fn new(rows: Vec<usize>, ends: Vec<usize>, strata: Vec<Vec<usize>>) -> Result<Self> {
        check_count(rows.len())?;
        Ok(Bootstrap { rows, ends, strata, resamples: 2000, level: 0.95, seed: 0, bca: false })
    }

    /// Draws samples, of which there are so many. 2000 resamples, a level of 0.95, the percentile method.
    ///
    /// # Errors
    /// [`Error::Data`] where there are none, or more than 2²⁸.
    pub fn by_sample(samples: usize) -> Result<Self> {
        check_count(samples)?;
        Self::new((0..samples).collect(), (1..=samples).collect(), vec![(0..samples).collect()])
    }

    /// Draws whole groups: all samples of a patient together, as often as the patient is drawn. `groups` says which group each
    /// sample is of. A resample may have more or fewer samples than there are.
    ///
    /// # Errors
    /// [`Error::Data`] where there are no samples, or more than 2²⁸.
    pub fn by_group<G: Eq + Hash>(groups: &[G]) -> Result<Self> {
        let members = members(groups);
        let ends = members.iter().scan(0, |end, unit| {
            *end += unit.len();
            Some(*end)
        });
        let (ends, units) = (ends.collect(), members.len());
        Self::new(members.concat(), ends, vec![(0..units).collect()])
    }

    /// Draws samples within each class, so that every resample has as many of each as there are. `classes` says which class each
    /// sample is of. Source: SciPy, `bootstrap` of several samples; pROC, `ci.auc(method="bootstrap")`.
    ///
    /// # Errors
    /// [`Error::Data`] where there are no samples, or more than 2²⁸.
    pub fn by_class<C: Eq + Hash>(classes: &[C]) -> Result<Self> {
        let n = classes.len();
        Self::new((0..n).collect(), (1..=n).collect(), members(classes))
    }

    /// How many resamples are drawn.
    #[must_use]
    pub fn resamples(self, resamples: usize) -> Self {
        Bootstrap { resamples, ..self }
    }

    /// The share of such intervals that hold the true value.
    #[must_use]
    pub fn level(self, level: f64) -> Self {
        Bootstrap { level, ..self }
    }

    /// What the resamples depend on: the same seed gives the same interval.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Bootstrap { seed, ..self }
    }

    /// Corrects for bias and skewness, in place of the plain percentiles ("BCa"). Needs the metric once more per unit. Source: SciPy,
    /// `bootstrap` with `method="BCa"`.
    #[must_use]
    pub fn bca(self) -> Self {
        Bootstrap { bca: true, ..self }
    }

    /// The number of samples.
    pub(super) fn samples(&self) -> usize {
        self.rows.len()
    }

    /// The level of an interval.
    pub(super) fn confidence(&self) -> f64 {
        self.level
    }

    /// The samples of a unit.
    fn unit(&self, unit: usize) -> &[usize] {
        let start = unit.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.rows[start..self.ends[unit]]
    }

    /// Refuses settings that make no sense.
    fn check(&self) -> Result<()> {
        check::level("bootstrap", self.level)?;
        if self.resamples == 0 || self.resamples > MOST_RESAMPLES {
            let expected = format!("1 to {MOST_RESAMPLES}");
            return Err(Error::parameter("bootstrap", "resamples", expected, self.resamples));
        }
        Ok(())
    }

    /// Puts the samples of a resample into `rows`. They depend on the seed and the resample's number, and on nothing else.
    fn draw(&self, resample: usize, rows: &mut Vec<usize>) {
        let stream = stream_of("metrics/bootstrap").wrapping_add(resample as u32);
        let mut random = Threefry::new(self.seed, stream);
        rows.clear();
        for stratum in &self.strata {
            for _ in stratum {
                rows.extend_from_slice(self.unit(stratum[random.below(stratum.len() as u32) as usize]));
            }
        }
    }

    /// What `statistic` says of every resample for which it is defined.
    pub(super) fn replicates<T: Send>(&self, statistic: impl Fn(&[usize]) -> Result<T> + Sync) -> Result<Vec<T>> {
        self.check()?;
        let all: Vec<Result<T>> = (0..self.resamples)
            .into_par_iter()
            .map_init(Vec::new, |rows, resample| {
                self.draw(resample, rows);
                statistic(rows)
            })
            .collect();
        let (defined, undefined): (Vec<Result<T>>, Vec<Result<T>>) = all.into_iter().partition(Result::is_ok);
        match undefined.into_iter().filter_map(Result::err).enumerate().last() {
            Some((before, why)) if (before + 1) as f64 > MOST_UNDEFINED * self.resamples as f64 => {
                let what = format!("bootstrap of {} samples", self.samples());
                let actual = format!("{} of {} undefined ({why})", before + 1, self.resamples);
                Err(Error::data(what, "a metric that is defined for nine of ten resamples", actual))
            }
            _ => defined.into_iter().collect(),
        }
    }

    /// The interval of `statistic`, which is given the numbers of the samples to look at, some of them several times. A resample for
    /// which it is an error (only one class was drawn) is left out.
    ///
    /// # Errors
    /// What `statistic` says of all samples; what it says of a resample where that is more than one in ten; [`Error::Data`] where the
    /// BCa interval is not defined, as all resamples lie on one side; [`Error::Parameter`] where a setting makes no sense.
    pub fn interval(&self, statistic: impl Fn(&[usize]) -> Result<f64> + Sync) -> Result<Interval> {
        let statistic = |rows: &[usize]| match statistic(rows)? {
            value if value.is_finite() => Ok(value),
            value => Err(Error::data("metric", "a finite number", value.to_string())),
        };
        self.check()?;
        let value = statistic(&(0..self.samples()).collect::<Vec<_>>())?;
        let mut replicates = self.replicates(statistic)?;
        replicates.sort_unstable_by(f64::total_cmp);
        let tail = (1.0 - self.level) / 2.0;
        let (low, high) = match self.bca {
            false => (tail, 1.0 - tail),
            true => self.corrected(tail, value, &replicates, statistic)?,
        };
        Ok(Interval { value, low: quantile(&replicates, low), high: quantile(&replicates, high), level: self.level })
    }

    /// The interval of the area under the ROC curve, in O(n) for each resample.
    ///
    /// # Errors
    /// As [`roc_auc`](super::roc_auc) and [`Bootstrap::interval`]; [`Error::Data`] where there are not as many samples as this draws
    /// from.
    pub fn roc_auc(&self, truth: &[bool], scores: &[f64]) -> Result<Interval> {
        const METRIC: &str = "the area under the ROC curve";
        check::scored(truth, scores)?;
        check::as_many("samples to draw from", truth.len(), self.samples())?;
        check::both_classes("truth", METRIC, truth)?;
        let ranked = Ranked::new(truth, scores);
        self.interval(|rows| {
            let times = multiplicities(rows, truth.len());
            area(ranked.steps_of(|i| times[i])).ok_or_else(|| Error::data(METRIC, "both classes", "one"))
        })
    }

    /// The shares of replicates at which the BCa interval ends. The names are those of Efron and Tibshirani, 14.3.
    fn corrected(
        &self,
        tail: f64,
        value: f64,
        sorted: &[f64],
        statistic: impl Fn(&[usize]) -> Result<f64> + Sync,
    ) -> Result<(f64, f64)> {
        let (below, up_to) = (sorted.partition_point(|r| *r < value), sorted.partition_point(|r| *r <= value));
        let z0 = normal::quantile((below + up_to) as f64 / (2 * sorted.len()) as f64);
        let (mut cubes, mut squares) = (0.0, 0.0);
        for stratum in &self.strata {
            let n = stratum.len() as f64;
            let without: Vec<f64> = stratum.par_iter().map(|u| statistic(&self.without(*u))).collect::<Result<_>>()?;
            let mean = without.iter().sum::<f64>() / n;
            let influence = || without.iter().map(|w| (n - 1.0) * (mean - w) / n);
            cubes += influence().map(|u| u.powi(3)).sum::<f64>();
            squares += influence().map(|u| u.powi(2)).sum::<f64>();
        }
        let a = cubes / (6.0 * squares.powf(1.5));
        let share = |z: f64| normal::below(z0 + (z0 + z) / (1.0 - a * (z0 + z)));
        let z = normal::quantile(tail);
        let ends = (share(z), share(-z));
        if z0.is_finite() && a.is_finite() && ends.0.is_finite() && ends.1.is_finite() {
            return Ok(ends);
        }
        let expected =
            "resamples on both sides of the value and samples that differ; the percentile interval needs neither";
        Err(Error::data("BCa interval", expected, format!("a bias of {z0} and an acceleration of {a}")))
    }

    /// All samples but those of a unit.
    fn without(&self, unit: usize) -> Vec<usize> {
        let out = self.unit(unit);
        // Members of a unit are rising; those of by_group are.
        (0..self.samples()).filter(|i| out.binary_search(i).is_err()).collect()
    }
}

fn check_count(samples: usize) -> Result<()> {
    check::not_empty("bootstrap", samples)?;
    if samples > MOST_SAMPLES {
        return Err(Error::data("bootstrap", format!("at most {MOST_SAMPLES} samples"), samples.to_string()));
    }
    Ok(())
}

/// How often each of `n` samples was drawn.
pub(super) fn multiplicities(rows: &[usize], n: usize) -> Vec<usize> {
    let mut times = vec![0; n];
    for row in rows {
        times[*row] += 1;
    }
    times
}

/// The samples of each group, groups in the order in which they first appear.
fn members<G: Eq + Hash>(groups: &[G]) -> Vec<Vec<usize>> {
    let mut numbers: HashMap<&G, usize> = HashMap::new();
    let mut members: Vec<Vec<usize>> = Vec::new();
    for (i, group) in groups.iter().enumerate() {
        let number = *numbers.entry(group).or_insert(members.len());
        match members.get_mut(number) {
            Some(known) => known.push(i),
            None => members.push(vec![i]),
        }
    }
    members
}
