use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};

use super::{check_array, check_width, mean, present, quantile, sorted};
use crate::error::{Error, Result};

/// What a column's numbers are brought to. Sources: scikit-learn's `StandardScaler`, `MinMaxScaler` and `RobustScaler`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scaling {
    /// They stay as they are.
    None,
    /// Mean 0 and standard deviation 1 (n in its denominator).
    #[default]
    Standardize,
    /// 0 to 1.
    MinMax,
    /// Median 0 and a distance of 1 between the quartiles: outliers count little.
    Robust,
}

/// `(x − center) / scale` of one column.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Affine {
    pub(super) center: f64,
    pub(super) scale: f64,
    /// All numbers were the same, so that there was nothing to divide by.
    pub(super) constant: bool,
}

impl Affine {
    /// From numbers that are there, at least one.
    pub(super) fn fit(scaling: Scaling, values: Vec<f64>) -> Affine {
        let (center, scale, constant) = match scaling {
            Scaling::None => (0.0, 1.0, false),
            Scaling::Standardize => {
                let (n, mean) = (values.len() as f64, mean(&values));
                // The second sum would be 0 in exact arithmetic, and takes away what the mean's rounding adds to the first.
                let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
                let rest: f64 = values.iter().map(|v| v - mean).sum();
                let variance = (squares - rest * rest / n) / n;
                // What rounding alone can make of equal numbers (scikit-learn's `_is_constant_feature`).
                let noise = n * f64::EPSILON * variance + (n * mean * f64::EPSILON).powi(2);
                (mean, variance.max(0.0).sqrt(), variance <= noise)
            }
            Scaling::MinMax => {
                let sorted = sorted(values);
                let (min, max) = (sorted[0], sorted[sorted.len() - 1]);
                (min, max - min, max == min)
            }
            Scaling::Robust => {
                let sorted = sorted(values);
                let width = quantile(&sorted, 0.75) - quantile(&sorted, 0.25);
                (quantile(&sorted, 0.5), width, width == 0.0)
            }
        };
        Affine { center, scale: if constant { 1.0 } else { scale }, constant }
    }

    pub(super) fn apply(self, v: f64) -> f64 {
        (v - self.center) / self.scale
    }
}

/// Scales every column of an array with numbers fitted on the rows to train on. Missing numbers (NaN) are left out when it is fitted and
/// stay missing.
///
/// A column of equal numbers has nothing to be divided by; it is divided by 1, and [`Scaler::constant`] names it. (Under
/// [`Scaling::Robust`] that is one whose quartiles are equal.)
///
/// ```
/// use galen::data::prepare::{Scaler, Scaling};
/// use ndarray::array;
///
/// let train = array![[1.0, 5.0], [3.0, 5.0]];
/// let scaler = Scaler::fit(Scaling::Standardize, train.view())?;
/// assert_eq!((scaler.center(), scaler.scale(), scaler.constant()), (vec![2.0, 5.0], vec![1.0, 1.0], vec![1]));
/// assert_eq!(scaler.apply(array![[4.0, 5.0]].view())?, array![[2.0f32, 0.0]]);
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scaler {
    scaling: Scaling,
    columns: Vec<Affine>,
}

impl Scaler {
    /// From rows `[n, columns]`.
    ///
    /// # Errors
    /// [`Error::Data`] where there are no rows, a number is infinite, or a column holds nothing but missing numbers.
    pub fn fit<T: Copy + Into<f64>>(scaling: Scaling, rows: ArrayView2<'_, T>) -> Result<Scaler> {
        check_array("a scaler's rows", &rows)?;
        let column = |(i, column): (usize, ndarray::ArrayView1<'_, T>)| {
            let values = present(column.iter().copied());
            if values.is_empty() {
                return Err(Error::data(
                    "a scaler's rows",
                    "at least one number in each column",
                    format!("none in column {i} (leave it out, or put a constant in it: Imputation::Constant)"),
                ));
            }
            Ok(Affine::fit(scaling, values))
        };
        Ok(Scaler { scaling, columns: rows.columns().into_iter().enumerate().map(column).collect::<Result<_>>()? })
    }

    /// Rows `[n, columns]`, scaled.
    ///
    /// # Errors
    /// [`Error::Data`] where there are not as many columns as in the fitted rows, or a number is infinite, or becomes so in `f32`.
    pub fn apply<T: Copy + Into<f64>>(&self, rows: ArrayView2<'_, T>) -> Result<Array2<f32>> {
        check_width("rows to scale", self.columns.len(), &rows)?;
        let scaled = Array2::from_shape_fn(rows.dim(), |(r, c)| self.columns[c].apply(rows[[r, c]].into()) as f32);
        match scaled.indexed_iter().find(|(_, v)| v.is_infinite()) {
            Some((at, _)) => {
                let actual = format!("{} in row {}, column {}", rows[at].into(), at.0, at.1);
                Err(Error::data("rows to scale", "numbers that are finite when scaled", actual))
            }
            None => Ok(scaled),
        }
    }

    /// Scaled rows as they were: predictions of scaled targets.
    ///
    /// # Errors
    /// [`Error::Data`] where there are not as many columns as in the fitted rows.
    pub fn undo<T: Copy + Into<f64>>(&self, rows: ArrayView2<'_, T>) -> Result<Array2<f64>> {
        check_width("rows to scale back", self.columns.len(), &rows)?;
        Ok(Array2::from_shape_fn(rows.dim(), |(r, c)| {
            let Affine { center, scale, .. } = self.columns[c];
            rows[[r, c]].into() * scale + center
        }))
    }

    /// What is taken from each column.
    pub fn center(&self) -> Vec<f64> {
        self.columns.iter().map(|column| column.center).collect()
    }

    /// What each column is then divided by.
    pub fn scale(&self) -> Vec<f64> {
        self.columns.iter().map(|column| column.scale).collect()
    }

    /// The columns that are divided by 1 because there was nothing to divide by.
    pub fn constant(&self) -> Vec<usize> {
        (0..self.columns.len()).filter(|i| self.columns[*i].constant).collect()
    }

    /// What the columns are brought to.
    pub fn scaling(&self) -> Scaling {
        self.scaling
    }
}
