//! Preparing data for a network: numbers in place of missing ones, scaling, levels as ones and zeros.
//!
//! Everything here is fitted on the samples to train on, and on no others: a mean over all samples would tell the network about those that
//! it is tested on. What was fitted can be serialised and belongs to the model.

mod channels;
mod impute;
mod levels;
mod recipe;
mod scale;
mod table;

pub use channels::ChannelStandardize;
pub use impute::{Imputation, Imputer};
pub use levels::{Levels, MissingLevel, OneHot, Unseen};
pub use recipe::{Empty, Numbers, Recipe, Treatment};
pub use scale::{Scaler, Scaling};
pub use table::TablePreparation;

use ndarray::ArrayView2;

use crate::error::{Error, Result};

/// Refuses arrays without rows or columns, and infinite numbers; NaN is a missing one.
fn check_array<T: Copy + Into<f64>>(what: &str, rows: &ArrayView2<'_, T>) -> Result<()> {
    if rows.is_empty() {
        return Err(Error::data(what, "at least one row and one column", format!("{:?}", rows.shape())));
    }
    match rows.indexed_iter().find(|(_, v)| (**v).into().is_infinite()) {
        Some(((row, column), v)) => {
            let actual = format!("{} in row {row}, column {column}", (*v).into());
            Err(Error::data(what, "finite numbers, or NaN where one is missing", actual))
        }
        None => Ok(()),
    }
}

/// Refuses rows of another width than the fitted ones.
fn check_width<T>(what: &str, fitted: usize, rows: &ArrayView2<'_, T>) -> Result<()> {
    match rows.ncols() {
        n if n == fitted => Ok(()),
        n => Err(Error::data(what, format!("{fitted} columns, as when it was fitted"), n.to_string())),
    }
}

/// The error for a column of nothing but missing values.
fn empty(what: &str, of: &str) -> Error {
    let actual = "only missing ones (leave the column out, or say in Recipe::empty what becomes of such columns)";
    Error::data(what, format!("at least one {of} to train on"), actual)
}

/// The numbers of a column that are there.
fn present<T: Copy + Into<f64>>(column: impl IntoIterator<Item = T>) -> Vec<f64> {
    column.into_iter().map(Into::into).filter(|v| !v.is_nan()).collect()
}

/// The mean, of at least one number.
fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The number below which this share of them lies, between two of them by a straight line as in NumPy; of at least one.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let (low, part) = (sorted[at.floor() as usize], at.fract());
    let high = sorted[at.ceil() as usize];
    low + (high - low) * part
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}
