use super::Report;
use super::draft::{Draft, Findings, finish};
use super::rows::{Rows, pick};
use crate::error::{Error, Result};
use crate::metrics::{mean_absolute_error, pearson, r_squared, root_mean_squared_error, spearman};

/// A number of true and predicted values.
type Metric = fn(&[f64], &[f64]) -> Result<f64>;

/// True and predicted values: see [`Report::regression`].
#[derive(Clone, Debug)]
pub struct Regression {
    truth: Vec<f64>,
    predicted: Vec<f64>,
    unit: String,
    missing: Option<f32>,
}

impl Report {
    /// A report of predicted numbers.
    pub fn regression(name: impl Into<String>, truth: &[f32], predicted: &[f32]) -> Draft<Regression> {
        let double = |values: &[f32]| values.iter().copied().map(f64::from).collect();
        let (truth, predicted) = (double(truth), double(predicted));
        Draft::new(name, Regression { truth, predicted, unit: String::new(), missing: None })
    }
}

impl Draft<Regression> {
    /// The unit of the numbers, for the axes of the picture: `"mmHg"`.
    pub fn unit(mut self, unit: impl Into<String>) -> Self {
        self.kind.unit = unit.into();
        self
    }

    /// Samples whose true value is this (NaN, say) have none and are left out; the report says how many.
    pub fn missing(mut self, marker: f32) -> Self {
        self.kind.missing = Some(marker);
        self
    }

    /// Computes everything.
    ///
    /// # Errors
    /// [`Error::Data`] where there are no samples, not as many predicted values or groups as true ones, or a value is not finite;
    /// [`Error::Parameter`] where a setting makes no sense. What is not defined for these samples (a correlation with a constant) is no
    /// error but among [`Report::missing`].
    pub fn build(self) -> Result<Report> {
        let Draft { name, mut settings, mut kind } = self;
        settings.check(kind.truth.len())?;
        if kind.predicted.len() != kind.truth.len() {
            let (expected, actual) = (kind.truth.len().to_string(), kind.predicted.len().to_string());
            return Err(Error::data("report, predicted values", expected, actual));
        }
        if let Some(marker) = kind.missing.map(f64::from) {
            let there = |value: f64| value != marker && !(value.is_nan() && marker.is_nan());
            let keep: Vec<usize> = (0..kind.truth.len()).filter(|row| there(kind.truth[*row])).collect();
            settings.keep(&keep, kind.truth.len());
            (kind.truth, kind.predicted) = (pick(&kind.truth, &keep), pick(&kind.predicted, &keep));
            settings.check(keep.len())?;
        }
        let Regression { truth, predicted, .. } = &kind;
        let n = truth.len();
        if let Some(at) = (0..n).find(|i| !truth[*i].is_finite() || !predicted[*i].is_finite()) {
            let actual = format!("{} and {} in sample {at}", truth[at], predicted[at]);
            return Err(Error::data("report, values", "finite numbers", actual));
        }
        let mut rows = Rows::new(&settings, n);
        let metrics: [(&str, Metric); 7] = [
            ("mean_absolute_error", mean_absolute_error),
            ("root_mean_squared_error", root_mean_squared_error),
            ("r_squared", r_squared),
            ("pearson", pearson),
            ("spearman", spearman),
            ("mean_difference", |truth, predicted| Ok(mean_difference(truth, predicted))),
            ("difference_spread", difference_spread),
        ];
        for (key, metric) in metrics {
            rows.resampled(key, n, |rows| metric(&pick(truth, rows), &pick(predicted, rows)));
        }
        #[cfg(feature = "plot")]
        let pictures = {
            let mut album = super::pictures::Album::new(&name, &settings, &mut rows);
            album.agreement(truth, predicted, &kind.unit);
            album.pictures
        };
        let findings = Findings {
            #[cfg(feature = "plot")]
            pictures,
            ..Findings::default()
        };
        Ok(finish(&name, "regression", n, &settings, rows, findings))
    }
}

/// The mean of predicted less true: the bias.
fn mean_difference(truth: &[f64], predicted: &[f64]) -> f64 {
    truth.iter().zip(predicted).map(|(t, p)| p - t).sum::<f64>() / truth.len() as f64
}

/// The standard deviation of predicted less true; 1.96 times as much to both sides of the bias are the limits of agreement.
fn difference_spread(truth: &[f64], predicted: &[f64]) -> Result<f64> {
    if truth.len() < 2 {
        return Err(Error::data("spread of differences", "at least two samples", truth.len().to_string()));
    }
    let mean = mean_difference(truth, predicted);
    let squares: f64 = truth.iter().zip(predicted).map(|(t, p)| (p - t - mean).powi(2)).sum();
    Ok((squares / (truth.len() - 1) as f64).sqrt())
}
