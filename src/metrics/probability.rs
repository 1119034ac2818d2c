use ndarray::{ArrayView1, ArrayView2};
use serde::Serialize;

use super::bootstrap::{Bootstrap, MOST_UNDEFINED};
use super::check;
use super::interval::{Interval, wilson};
use super::ranked::quantile;
use crate::error::{Error, Result};

/// By how much a row of probabilities may miss a sum of 1: what a softmax in `f32` of many classes misses, and more.
const SUM_TOLERANCE: f64 = 1e-4;
/// The most bins of a reliability curve.
const MOST_BINS: usize = 100_000;

/// True values and probabilities of the same samples.
fn probabilities<T>(truth: &[T], p: &[f64]) -> Result<()> {
    check::not_empty("truth", truth.len())?;
    check::as_many("probabilities", truth.len(), p.len())?;
    match p.iter().position(|p| !(0.0..=1.0).contains(p)) {
        Some(i) => Err(Error::data("probabilities", "numbers in 0..1", format!("{} in sample {i}", p[i]))),
        None => Ok(()),
    }
}

/// True classes and rows of probabilities, each with a sum of 1.
fn distributions(truth: &[u32], p: ArrayView2<f64>) -> Result<()> {
    check::scored_rows(truth.len(), p)?;
    check::classes_below(truth, p.ncols())?;
    for (i, row) in p.rows().into_iter().enumerate() {
        if let Some(v) = row.iter().find(|v| !(0.0..=1.0).contains(*v)) {
            return Err(Error::data("probabilities", "numbers in 0..1", format!("{v} in sample {i}")));
        }
        let sum = row.sum();
        if (sum - 1.0).abs() > SUM_TOLERANCE {
            return Err(Error::data("probabilities", "rows with a sum of 1", format!("{sum} in sample {i}")));
        }
    }
    Ok(())
}

fn mean(values: impl Iterator<Item = f64>, n: usize) -> f64 {
    values.sum::<f64>() / n as f64
}

/// `−ln p`, with `p` kept `nearest` from 0 and 1.
fn surprise(p: f64, nearest: f64) -> f64 {
    -p.clamp(nearest, 1.0 - nearest).ln()
}

/// The mean of `−ln` of the probability that the true value was given: cross-entropy. A probability of 0 or 1 is moved by 2.2e-16, so
/// that a sure mistake costs 36 and not ∞. Source: scikit-learn, `log_loss` of `float64`.
///
/// # Errors
/// [`Error::Data`] where the two differ in number, there are none, or a number is not in 0..1 (which sample).
pub fn log_loss(truth: &[bool], probability: &[f64]) -> Result<f64> {
    log_loss_within(truth, probability, f64::EPSILON)
}

/// The same, with probabilities kept `nearest` from 0 and 1: what their type can say.
pub(crate) fn log_loss_within(truth: &[bool], probability: &[f64], nearest: f64) -> Result<f64> {
    probabilities(truth, probability)?;
    let losses = truth.iter().zip(probability).map(|(t, p)| surprise(if *t { *p } else { 1.0 - p }, nearest));
    Ok(mean(losses, truth.len()))
}

/// The same for several classes: `probability` `[samples, classes]`. Source: scikit-learn, `log_loss`.
///
/// # Errors
/// [`Error::Data`] where there are not as many rows as true classes, a class has no column, a number is not in 0..1, or a row's sum is
/// not 1 (within 1e-4).
pub fn log_loss_multiclass(truth: &[u32], probability: ArrayView2<f64>) -> Result<f64> {
    log_loss_multiclass_within(truth, probability, f64::EPSILON)
}

/// The same, with probabilities kept `nearest` from 0 and 1.
pub(crate) fn log_loss_multiclass_within(truth: &[u32], probability: ArrayView2<f64>, nearest: f64) -> Result<f64> {
    distributions(truth, probability)?;
    let losses = truth.iter().zip(probability.rows()).map(|(t, row)| surprise(row[*t as usize], nearest));
    Ok(mean(losses, truth.len()))
}

/// The mean of `(p − y)²`: 0 is perfect, 0.25 is what always saying one half costs. Source: scikit-learn, `brier_score_loss`.
///
/// # Errors
/// See [`log_loss`].
pub fn brier(truth: &[bool], probability: &[f64]) -> Result<f64> {
    probabilities(truth, probability)?;
    let losses = truth.iter().zip(probability).map(|(t, p)| (p - f64::from(u8::from(*t))).powi(2));
    Ok(mean(losses, truth.len()))
}

/// The mean over samples of `Σ (p − y)²` over classes, in 0..2: of two classes it is twice [`brier`]. Source: G. Brier (1950);
/// scikit-learn, `brier_score_loss` with `scale_by_half=False`.
///
/// # Errors
/// See [`log_loss_multiclass`].
pub fn brier_multiclass(truth: &[u32], probability: ArrayView2<f64>) -> Result<f64> {
    distributions(truth, probability)?;
    let of = |t: u32, row: ArrayView1<f64>| -> f64 {
        row.iter().enumerate().map(|(c, p)| (p - f64::from(u8::from(c == t as usize))).powi(2)).sum()
    };
    Ok(mean(truth.iter().zip(probability.rows()).map(|(t, row)| of(*t, row)), truth.len()))
}

/// How often what was said to have a probability came true, bin by bin. One entry per bin that has samples.
///
/// ```
/// use galen::metrics::ReliabilityCurve;
///
/// let curve = ReliabilityCurve::new(&[false, false, true, true], &[0.1, 0.3, 0.8, 0.9], 2)?;
/// assert_eq!((curve.observed.as_slice(), curve.counts.as_slice()), ([0.0, 1.0].as_slice(), [2, 2].as_slice()));
/// assert!((curve.expected_error() - 0.175).abs() < 1e-12);
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReliabilityCurve {
    /// The mean probability in each bin.
    pub predicted: Vec<f64>,
    /// The share that came true in each bin.
    pub observed: Vec<f64>,
    /// The number of samples in each bin.
    pub counts: Vec<usize>,
}

impl ReliabilityCurve {
    /// The curve over `bins` bins of the same width; a bin holds its upper edge. Source: scikit-learn, `calibration_curve`.
    ///
    /// # Errors
    /// [`Error::Data`] where the two differ in number, there are none, or a number is not in 0..1 (which sample);
    /// [`Error::Parameter`] where there are no bins or more than 100,000.
    pub fn new(truth: &[bool], probability: &[f64], bins: usize) -> Result<Self> {
        probabilities(truth, probability)?;
        Ok(Self::binned(truth, probability, &equal_widths(bins)?))
    }

    /// The curve over `bins` bins of about as many samples each. Source: scikit-learn, `calibration_curve` with
    /// `strategy="quantile"`.
    ///
    /// # Errors
    /// See [`ReliabilityCurve::new`].
    pub fn with_quantiles(truth: &[bool], probability: &[f64], bins: usize) -> Result<Self> {
        probabilities(truth, probability)?;
        let mut sorted = probability.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let edges: Vec<f64> = equal_widths(bins)?.iter().map(|q| quantile(&sorted, *q)).collect();
        Ok(Self::binned(truth, probability, &edges))
    }

    /// The curve of the class with the highest probability, true being that it was right: `probability` `[samples, classes]`. Source:
    /// C. Guo, G. Pleiss, Y. Sun, K. Weinberger, "On calibration of modern neural networks", ICML 2017.
    ///
    /// # Errors
    /// See [`log_loss_multiclass`] and [`ReliabilityCurve::new`].
    pub fn of_top_class(truth: &[u32], probability: ArrayView2<f64>, bins: usize) -> Result<Self> {
        let (right, confidence) = top_class(truth, probability)?;
        Self::new(&right, &confidence, bins)
    }

    /// Wilson's interval of each observed share, of independent samples: see [`wilson`]. Samples of one patient are not: take
    /// [`ReliabilityCurve::intervals`].
    ///
    /// # Errors
    /// [`Error::Parameter`] where `level` is not in (0, 1); [`Error::Data`] where a bin is empty.
    pub fn wilson(&self, level: f64) -> Result<Vec<Interval>> {
        let bins = self.observed.iter().zip(&self.counts);
        bins.map(|(share, count)| wilson((share * *count as f64).round() as usize, *count, level)).collect()
    }

    /// The interval of each observed share of the curve that [`ReliabilityCurve::new`] makes of the same samples, by a bootstrap: over
    /// patients where they have several samples each. `None` for a bin that more than one in ten resamples leave empty, or in which
    /// all have the same share: an interval without width would claim to be sure.
    ///
    /// # Errors
    /// As [`ReliabilityCurve::new`]; [`Error::Data`] where `bootstrap` does not draw from as many samples; [`Error::Parameter`] where
    /// a setting of it makes no sense.
    pub fn intervals(
        truth: &[bool],
        probability: &[f64],
        bins: usize,
        bootstrap: &Bootstrap,
    ) -> Result<Vec<Option<Interval>>> {
        probabilities(truth, probability)?;
        check::as_many("samples to draw from", truth.len(), bootstrap.samples())?;
        let edges = equal_widths(bins)?;
        let bin: Vec<usize> = probability.iter().map(|p| edges.partition_point(|edge| edge < p)).collect();
        let shares = |rows: &[usize]| {
            let mut counts = vec![(0_usize, 0_usize); bins];
            for row in rows {
                let (hits, count) = &mut counts[bin[*row]];
                *hits += usize::from(truth[*row]);
                *count += 1;
            }
            counts
        };
        let all = shares(&(0..truth.len()).collect::<Vec<_>>());
        let resamples = bootstrap.replicates(|rows| Ok(shares(rows)))?;
        let share = |(hits, count): (usize, usize)| (count > 0).then(|| hits as f64 / count as f64);
        let tail = (1.0 - bootstrap.confidence()) / 2.0;
        let interval = |(bin, value): (usize, f64)| {
            let mut sorted: Vec<f64> = resamples.iter().filter_map(|counts| share(counts[bin])).collect();
            let undefined = resamples.len() - sorted.len();
            if undefined as f64 > MOST_UNDEFINED * resamples.len() as f64 {
                return None;
            }
            sorted.sort_unstable_by(f64::total_cmp);
            let (low, high) = (quantile(&sorted, tail), quantile(&sorted, 1.0 - tail));
            (low < high).then_some(Interval { value, low, high, level: bootstrap.confidence() })
        };
        let filled = all.into_iter().enumerate().filter_map(|(bin, counts)| Some((bin, share(counts)?)));
        Ok(filled.map(interval).collect())
    }

    /// `inner` are the edges between bins, rising: one fewer than bins.
    fn binned(truth: &[bool], probability: &[f64], inner: &[f64]) -> Self {
        let mut bins = vec![(0.0, 0, 0); inner.len() + 1];
        for (t, p) in truth.iter().zip(probability) {
            let (sum, hits, count) = &mut bins[inner.partition_point(|edge| edge < p)];
            *sum += p;
            *hits += usize::from(*t);
            *count += 1;
        }
        bins.retain(|(_, _, count)| *count > 0);
        ReliabilityCurve {
            predicted: bins.iter().map(|(sum, _, count)| sum / *count as f64).collect(),
            observed: bins.iter().map(|(_, hits, count)| *hits as f64 / *count as f64).collect(),
            counts: bins.iter().map(|(_, _, count)| *count).collect(),
        }
    }

    /// How far each bin's share lies from its mean probability.
    fn gaps(&self) -> impl Iterator<Item = f64> {
        self.observed.iter().zip(&self.predicted).map(|(o, p)| (o - p).abs())
    }

    /// The expected calibration error: the mean distance of what came true from what was said, bins counting as many samples as they
    /// hold. Source: M. Naeini, G. Cooper, M. Hauskrecht, AAAI 2015; C. Guo et al., ICML 2017.
    pub fn expected_error(&self) -> f64 {
        let all: usize = self.counts.iter().sum();
        self.gaps().zip(&self.counts).map(|(gap, count)| gap * *count as f64).sum::<f64>() / all.max(1) as f64
    }

    /// The maximum calibration error: the largest distance. Source: as of the expected one.
    pub fn maximum_error(&self) -> f64 {
        self.gaps().fold(0.0, f64::max)
    }
}

/// Whether the class with the highest probability was right, and that probability, sample by sample.
pub(crate) fn top_class(truth: &[u32], probability: ArrayView2<f64>) -> Result<(Vec<bool>, Vec<f64>)> {
    distributions(truth, probability)?;
    let top = |row: ArrayView1<f64>| {
        row.iter().enumerate().fold((0, -1.0), |best, (c, p)| if *p > best.1 { (c, *p) } else { best })
    };
    let (classes, confidence): (Vec<usize>, Vec<f64>) = probability.rows().into_iter().map(top).unzip();
    Ok((truth.iter().zip(classes).map(|(t, c)| *t as usize == c).collect(), confidence))
}

/// The edges between `bins` bins of the same width in 0..1.
fn equal_widths(bins: usize) -> Result<Vec<f64>> {
    if bins == 0 || bins > MOST_BINS {
        return Err(Error::parameter("reliability curve", "bins", format!("1 to {MOST_BINS}"), bins));
    }
    // A multiple of the width, as NumPy's linspace: edges then fall on the same side of a probability such as 0.3.
    let width = 1.0 / bins as f64;
    Ok((1..bins).map(|i| i as f64 * width).collect())
}

/// The expected calibration error of a yes-or-no probability over `bins` bins of the same width: see
/// [`ReliabilityCurve::expected_error`].
///
/// # Errors
/// See [`ReliabilityCurve::new`].
pub fn expected_calibration_error(truth: &[bool], probability: &[f64], bins: usize) -> Result<f64> {
    Ok(ReliabilityCurve::new(truth, probability, bins)?.expected_error())
}

/// The expected calibration error of the class with the highest probability: see [`ReliabilityCurve::of_top_class`].
///
/// # Errors
/// See there.
pub fn expected_calibration_error_multiclass(truth: &[u32], probability: ArrayView2<f64>, bins: usize) -> Result<f64> {
    Ok(ReliabilityCurve::of_top_class(truth, probability, bins)?.expected_error())
}
