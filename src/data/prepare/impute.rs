use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};

use super::{check_array, check_width, mean, present, quantile, sorted};
use crate::error::{Error, Result};

/// What stands in for a missing number. Source: scikit-learn's `SimpleImputer`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Imputation {
    /// Nothing: a missing number is an error.
    #[default]
    Refuse,
    /// The column's mean.
    Mean,
    /// The column's median.
    Median,
    /// The number that occurs most often; of several the least.
    MostFrequent,
    /// This number.
    Constant(f64),
}

impl Imputation {
    /// What stands in, from the numbers that are there; `None` where nothing does. A column without numbers has only constants.
    pub(super) fn fit(self, what: &str, values: Vec<f64>) -> Result<Option<f64>> {
        if values.is_empty() && !matches!(self, Imputation::Constant(_)) {
            let actual = "only missing ones (Imputation::Constant needs none)";
            return Err(Error::data(what, "at least one number to train on", actual));
        }
        Ok(match self {
            Imputation::Refuse => None,
            Imputation::Mean => Some(mean(&values)),
            Imputation::Median => Some(quantile(&sorted(values), 0.5)),
            Imputation::MostFrequent => most_frequent(&sorted(values)),
            Imputation::Constant(v) if !v.is_finite() => {
                return Err(Error::parameter("imputation", "constant", "a finite number", v));
            }
            Imputation::Constant(v) => Some(v),
        })
    }
}

fn most_frequent(sorted: &[f64]) -> Option<f64> {
    let mut best: Option<&[f64]> = None;
    for run in sorted.chunk_by(|a, b| a == b) {
        if best.is_none_or(|best| run.len() > best.len()) {
            best = Some(run);
        }
    }
    best.and_then(|run| run.first().copied())
}

/// Puts numbers in the place of missing ones (NaN), fitted on the rows to train on; on demand with a column of ones and zeros for each column
/// that had missing numbers then, which says where they were.
///
/// ```
/// use galen::data::prepare::{Imputation, Imputer};
/// use ndarray::array;
///
/// let train = array![[1.0, 7.0], [f64::NAN, 8.0], [5.0, 9.0]];
/// let imputer = Imputer::fit(Imputation::Mean, true, train.view())?;
/// assert_eq!(imputer.apply(array![[f64::NAN, 4.0]].view())?, array![[3.0, 4.0, 1.0]]);
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Imputer {
    columns: Vec<Column>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Column {
    /// What stands in for a missing number.
    fill: Option<f64>,
    /// Whether a column says where one was missing.
    indicator: bool,
}

impl Imputer {
    /// From rows `[n, columns]`.
    ///
    /// # Errors
    /// [`Error::Data`] where there are no rows, a number is infinite, a column holds nothing but missing numbers (and no constant stands in for
    /// them), or one is missing that nothing may stand in for; [`Error::Parameter`] where the constant is not finite.
    pub fn fit<T: Copy + Into<f64>>(
        imputation: Imputation,
        indicators: bool,
        rows: ArrayView2<'_, T>,
    ) -> Result<Imputer> {
        check_array("an imputer's rows", &rows)?;
        let column = |(i, column): (usize, ndarray::ArrayView1<'_, T>)| {
            let values = present(column.iter().copied());
            let indicator = indicators && values.len() < column.len();
            Ok(Column { fill: imputation.fit(&format!("column {i}"), values)?, indicator })
        };
        let imputer = Imputer { columns: rows.columns().into_iter().enumerate().map(column).collect::<Result<_>>()? };
        imputer.apply(rows)?;
        Ok(imputer)
    }

    /// Rows `[n, columns]` with nothing missing, then the columns that say where something was.
    ///
    /// # Errors
    /// [`Error::Data`] where there are not as many columns as in the fitted rows, or a number is missing that nothing may stand in for.
    pub fn apply<T: Copy + Into<f64>>(&self, rows: ArrayView2<'_, T>) -> Result<Array2<f64>> {
        check_width("rows to impute", self.columns.len(), &rows)?;
        let indicators = self.indicators();
        let mut out = Array2::zeros((rows.nrows(), self.columns.len() + indicators.len()));
        for ((row, column), v) in rows.indexed_iter() {
            let v = (*v).into();
            let fill = || {
                let actual = format!("none in row {row}, column {column}");
                let refusal =
                    || Error::data("rows to impute", "a number (nothing may stand in for a missing one)", actual);
                self.columns[column].fill.ok_or_else(refusal)
            };
            out[[row, column]] = if v.is_nan() { fill()? } else { v };
        }
        for (i, column) in indicators.into_iter().enumerate() {
            for (row, v) in rows.column(column).iter().enumerate() {
                out[[row, self.columns.len() + i]] = f64::from(u8::from((*v).into().is_nan()));
            }
        }
        Ok(out)
    }

    /// What stands in for a missing number of each column.
    pub fn fill(&self) -> Vec<Option<f64>> {
        self.columns.iter().map(|column| column.fill).collect()
    }

    /// The columns that have a column of ones and zeros after all others, in its order.
    pub fn indicators(&self) -> Vec<usize> {
        (0..self.columns.len()).filter(|i| self.columns[*i].indicator).collect()
    }
}
