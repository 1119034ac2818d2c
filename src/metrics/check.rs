//! What every metric refuses before it counts.

use ndarray::{ArrayView2, Dimension};

use crate::error::{Error, Result};

/// Refuses no samples.
pub(super) fn not_empty(what: &str, samples: usize) -> Result<()> {
    if samples == 0 { Err(Error::data(what, "at least one sample", "none")) } else { Ok(()) }
}

/// Refuses another number of samples than there are.
pub(super) fn as_many(what: &str, expected: usize, actual: usize) -> Result<()> {
    if expected == actual {
        return Ok(());
    }
    Err(Error::data(what, format!("{expected}, one for each true value"), actual.to_string()))
}

/// Refuses NaN and infinities, with the sample's number, counted from 0.
pub(super) fn finite(what: &str, values: &[f64]) -> Result<()> {
    match values.iter().position(|v| !v.is_finite()) {
        Some(i) => Err(Error::data(what, "finite numbers", format!("{} in sample {i}", values[i]))),
        None => Ok(()),
    }
}

/// True values and finite scores of the same samples, of which there are some.
pub(super) fn scored<T>(truth: &[T], scores: &[f64]) -> Result<()> {
    not_empty("truth", truth.len())?;
    as_many("scores", truth.len(), scores.len())?;
    finite("scores", scores)
}

/// Finite scores `[samples, columns]` of samples of which there are some.
pub(super) fn scored_rows(samples: usize, scores: ArrayView2<f64>) -> Result<()> {
    not_empty("truth", samples)?;
    as_many("rows of scores", samples, scores.nrows())?;
    if scores.ncols() == 0 {
        return Err(Error::data("scores", "at least one column", "none"));
    }
    match scores.indexed_iter().find(|(_, v)| !v.is_finite()) {
        Some(((i, c), v)) => Err(Error::data("scores", "finite numbers", format!("{v} in sample {i}, column {c}"))),
        None => Ok(()),
    }
}

/// Refuses a class for which there is no column.
pub(super) fn classes_below(truth: &[u32], columns: usize) -> Result<()> {
    match truth.iter().position(|t| *t as usize >= columns) {
        Some(i) => {
            let expected = format!("classes 0 to {}, one for each column", columns.saturating_sub(1));
            Err(Error::data("truth", expected, format!("class {} in sample {i}", truth[i])))
        }
        None => Ok(()),
    }
}

/// How many are positive and negative; refuses a truth that has not both.
pub(super) fn both_classes(what: &str, metric: &str, truth: &[bool]) -> Result<(usize, usize)> {
    let positives = truth.iter().filter(|t| **t).count();
    let negatives = truth.len() - positives;
    if positives > 0 && negatives > 0 {
        return Ok((positives, negatives));
    }
    let expected = format!("samples of both classes, without which {metric} is not defined");
    Err(Error::data(what, expected, format!("{positives} positive and {negatives} negative")))
}

/// Two arrays of the same shape with at least one element.
pub(super) fn same_shape<D: Dimension>(metric: &str, truth: &D, predicted: &D) -> Result<()> {
    if truth != predicted {
        let (expected, actual) = (format!("{:?}, as the true mask", truth.slice()), format!("{:?}", predicted.slice()));
        return Err(Error::shape(metric, expected, actual));
    }
    if truth.size() == 0 {
        return Err(Error::shape(metric, "at least one pixel or voxel", format!("{:?}", truth.slice())));
    }
    Ok(())
}

/// A number in (0, 1): the level of an interval.
pub(super) fn level(of: &str, level: f64) -> Result<()> {
    if level > 0.0 && level < 1.0 { Ok(()) } else { Err(Error::parameter(of, "level", "in (0, 1)", level)) }
}
