use super::check;
use super::ranked::mid_ranks;
use crate::error::{Error, Result};

/// True and predicted numbers of the same samples.
fn pairs(truth: &[f64], predicted: &[f64]) -> Result<()> {
    check::not_empty("truth", truth.len())?;
    check::as_many("predictions", truth.len(), predicted.len())?;
    check::finite("truth", truth)?;
    check::finite("predictions", predicted)
}

/// The mean over pairs, which must not overflow.
fn mean_of(metric: &str, truth: &[f64], predicted: &[f64], f: impl Fn(f64) -> f64) -> Result<f64> {
    pairs(truth, predicted)?;
    let sum: f64 = truth.iter().zip(predicted).map(|(t, p)| f(p - t)).sum();
    in_range(metric, sum / truth.len() as f64)
}

fn in_range(metric: &str, value: f64) -> Result<f64> {
    if value.is_finite() {
        return Ok(value);
    }
    Err(Error::data(metric, "numbers of a size whose squares and sums are finite", value.to_string()))
}

/// Refuses numbers that are all the same.
fn varying(metric: &str, what: &str, values: &[f64]) -> Result<()> {
    if values.windows(2).any(|w| w[0] != w[1]) {
        return Ok(());
    }
    let expected = format!("different numbers, without which {metric} is not defined");
    Err(Error::data(what, expected, format!("{} times {}", values.len(), values.first().copied().unwrap_or(0.0))))
}

/// The mean of squared differences. Source: scikit-learn, `mean_squared_error`.
///
/// # Errors
/// [`Error::Data`] where the two differ in number, there are none, a number is NaN or infinite (which sample), or the squares
/// overflow.
pub fn mean_squared_error(truth: &[f64], predicted: &[f64]) -> Result<f64> {
    mean_of("mean squared error", truth, predicted, |d| d * d)
}

/// The root of the mean of squared differences, in the unit of the values. Source: scikit-learn, `root_mean_squared_error`.
///
/// # Errors
/// See [`mean_squared_error`].
pub fn root_mean_squared_error(truth: &[f64], predicted: &[f64]) -> Result<f64> {
    Ok(mean_squared_error(truth, predicted)?.sqrt())
}

/// The mean of absolute differences, in the unit of the values. Source: scikit-learn, `mean_absolute_error`.
///
/// # Errors
/// See [`mean_squared_error`].
pub fn mean_absolute_error(truth: &[f64], predicted: &[f64]) -> Result<f64> {
    mean_of("mean absolute error", truth, predicted, f64::abs)
}

/// R², the share of the variance that is explained: 1 is perfect, 0 is what the mean would do, and it can be negative. Source:
/// scikit-learn, `r2_score`.
///
/// # Errors
/// As [`mean_squared_error`]; and where all true numbers are the same, where it is not defined.
pub fn r_squared(truth: &[f64], predicted: &[f64]) -> Result<f64> {
    pairs(truth, predicted)?;
    varying("R²", "truth", truth)?;
    let mean = truth.iter().sum::<f64>() / truth.len() as f64;
    let around: f64 = truth.iter().map(|t| (t - mean).powi(2)).sum();
    let left: f64 = truth.iter().zip(predicted).map(|(t, p)| (t - p).powi(2)).sum();
    in_range("R²", 1.0 - left / around)
}

/// Pearson's correlation coefficient. Source: SciPy, `pearsonr`.
///
/// # Errors
/// [`Error::Data`] where the two differ in number, there are none, a number is NaN or infinite (which sample), or all numbers of
/// either are the same, where it is not defined.
pub fn pearson(truth: &[f64], predicted: &[f64]) -> Result<f64> {
    correlation("Pearson's correlation", truth, predicted)
}

fn correlation(metric: &str, a: &[f64], b: &[f64]) -> Result<f64> {
    pairs(a, b)?;
    varying(metric, "truth", a)?;
    varying(metric, "predictions", b)?;
    let (a, b) = (centred(a), centred(b));
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    let r = dot(&a, &b) / (dot(&a, &a).sqrt() * dot(&b, &b).sqrt());
    Ok(in_range(metric, r)?.clamp(-1.0, 1.0))
}

/// The values around their mean, divided by the largest of them, so that squares neither overflow nor vanish.
fn centred(values: &[f64]) -> Vec<f64> {
    let largest = |v: &[f64]| v.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
    let scale = largest(values);
    let scaled: Vec<f64> = values.iter().map(|v| v / scale).collect();
    let mean = scaled.iter().sum::<f64>() / scaled.len() as f64;
    let around: Vec<f64> = scaled.iter().map(|v| v - mean).collect();
    let scale = largest(&around);
    around.iter().map(|v| v / scale).collect()
}

/// Spearman's rank correlation; equal numbers share the mean of their ranks. Source: SciPy, `spearmanr`.
///
/// # Errors
/// See [`pearson`].
pub fn spearman(truth: &[f64], predicted: &[f64]) -> Result<f64> {
    pairs(truth, predicted)?;
    varying("Spearman's correlation", "truth", truth)?;
    varying("Spearman's correlation", "predictions", predicted)?;
    correlation("Spearman's correlation", &mid_ranks(truth), &mid_ranks(predicted))
}
