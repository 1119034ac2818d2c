//! Columns as targets: classes, several labels at once, values; and as the groups that a split keeps together.

use std::borrow::Cow;
use std::collections::HashMap;

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::{Categorical, Table, Values, cell, cells, column_named};
use crate::error::{Error, Result};

/// The classes that a column held in the rows to train on, and the number of each. Stored with a model, it gives the same numbers to
/// other tables.
///
/// ```
/// use galen::data::{Classes, Table};
///
/// let table = Table::new().with_texts("diagnosis", &[Some("M"), Some("B"), Some("B")])?;
/// let classes = Classes::fit(&table, "diagnosis", &[0, 1])?;
/// assert_eq!((classes.names(), classes.apply(&table)?), (&["B".to_owned(), "M".to_owned()][..], vec![1, 0, 0]));
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Classes {
    column: String,
    names: Vec<String>,
}

impl Classes {
    /// The classes that stand in these rows of a column: its levels in their order, or its whole numbers, ascending. What a file writes
    /// in digits is a class as it is written: `01` is not `1`.
    ///
    /// # Errors
    /// [`Error::Data`] where there is no such column or row, a class is missing in one of the rows, or a number is not whole or not
    /// below 2⁵³.
    pub fn fit(table: &Table, column: &str, rows: &[usize]) -> Result<Classes> {
        table.check_rows(rows)?;
        let levels = whole(table, column, "classes")?;
        let mut seen = vec![false; levels.levels().len()];
        for row in rows {
            seen[code(&levels, column, *row)? as usize] = true;
        }
        let names: Vec<String> =
            levels.levels().iter().zip(seen).filter(|(_, seen)| *seen).map(|(n, _)| n.clone()).collect();
        if names.is_empty() {
            return Err(Error::data(column_named(column), "rows to take the classes from", "none"));
        }
        Ok(Classes { column: column.to_owned(), names })
    }

    /// The classes' names; a class's number is its place here.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The column that the classes stand in.
    pub fn column(&self) -> &str {
        &self.column
    }

    /// The class of every row.
    ///
    /// # Errors
    /// [`Error::Data`] where there is no such column, or a row's class is missing or was not among those that were fitted.
    pub fn apply(&self, table: &Table) -> Result<Vec<u32>> {
        self.numbers(table, None)
    }

    /// The class of every row, and `missing` where nobody gave one: what a loss is told to ignore.
    ///
    /// # Errors
    /// [`Error::Data`] where there is no such column, or a row's class was not among those that were fitted; [`Error::Parameter`]
    /// where `missing` is the number of a class.
    pub fn apply_or(&self, table: &Table, missing: u32) -> Result<Vec<u32>> {
        if (missing as usize) < self.names.len() {
            let expected = format!("a number that no class has ({} or more)", self.names.len());
            return Err(Error::parameter("classes", "missing", expected, missing));
        }
        self.numbers(table, Some(missing))
    }

    fn numbers(&self, table: &Table, missing: Option<u32>) -> Result<Vec<u32>> {
        let levels = whole(table, &self.column, "classes")?;
        let known: HashMap<&String, u32> = self.names.iter().zip(0..).collect();
        let places: Vec<Option<u32>> = levels.levels().iter().map(|level| known.get(level).copied()).collect();
        let of = |row: usize| {
            if let (Some(missing), None) = (missing, levels.codes()[row]) {
                return Ok(missing);
            }
            let code = code(&levels, &self.column, row)? as usize;
            places[code].ok_or_else(|| {
                let known = format!("a class that was there when it was fitted ({})", cells(&self.names));
                let actual = format!("{} in row {row}", cell(&levels.levels()[code]));
                Error::data(column_named(&self.column), known, actual)
            })
        };
        (0..table.rows()).map(of).collect()
    }
}

/// A column as levels: texts, or whole numbers, ascending.
fn whole<'t>(table: &'t Table, column: &str, what: &str) -> Result<Cow<'t, Categorical>> {
    if let Values::Numeric(x) = table.column(column)?
        && let Some(row) = x.iter().position(|v| !v.is_nan() && v.fract() != 0.0)
    {
        let expected = format!("{what}: texts or whole numbers");
        return Err(Error::data(column_named(column), expected, format!("{} in row {row}", cell(&x[row].to_string()))));
    }
    table.ids(column)
}

fn code(levels: &Categorical, column: &str, row: usize) -> Result<u32> {
    levels.codes()[row]
        .ok_or_else(|| Error::data(column_named(column), "a class in every row", format!("none in row {row}")))
}

impl Table {
    /// The class of every row, and the classes' names; see [`Classes`] for tables that must have the same numbers.
    ///
    /// # Errors
    /// See [`Classes::fit`].
    pub fn classes(&self, column: &str) -> Result<(Vec<u32>, Vec<String>)> {
        let classes = Classes::fit(self, column, &(0..self.rows()).collect::<Vec<_>>())?;
        Ok((classes.apply(self)?, classes.names))
    }

    /// Whole columns of 0 and 1, as targets `[rows, columns]` of which several can be 1.
    ///
    /// # Errors
    /// [`Error::Data`] where a column does not exist, or something else stands in it; [`Table::multi_label_or`] takes missing labels.
    pub fn multi_label<S: AsRef<str>>(&self, columns: &[S]) -> Result<Array2<f32>> {
        self.labels(columns, None)
    }

    /// Columns of 0, 1 and gaps, as targets `[rows, columns]` with `missing` in the gaps: a label that nobody gave, which is not 0.
    /// `f32::NAN` is what losses that take missing targets look for unless told otherwise.
    ///
    /// ```
    /// let table = galen::data::Table::new()
    ///     .with_numeric("edema", vec![1.0, f64::NAN])?
    ///     .with_numeric("effusion", vec![0.0, 1.0])?;
    /// let labels = table.multi_label_or(&["edema", "effusion"], -1.0)?;
    /// assert_eq!(labels, ndarray::array![[1.0, 0.0], [-1.0, 1.0]]);
    /// # Ok::<(), galen::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Data`] where a column does not exist, or something else stands in it; [`Error::Parameter`] where `missing` is 0 or 1,
    /// which are labels, or infinite.
    pub fn multi_label_or<S: AsRef<str>>(&self, columns: &[S], missing: f32) -> Result<Array2<f32>> {
        if missing == 0.0 || missing == 1.0 || missing.is_infinite() {
            return Err(Error::parameter("multi_label_or", "missing", "NaN, or a number that is no label", missing));
        }
        self.labels(columns, Some(missing))
    }

    fn labels<S: AsRef<str>>(&self, columns: &[S], missing: Option<f32>) -> Result<Array2<f32>> {
        let refuse = |name: &str, actual: String| {
            let expected = if missing.is_some() { "0, 1 or nothing in every row" } else { "0 or 1 in every row" };
            Err(Error::data(column_named(name), expected, actual))
        };
        self.matrix(columns, |name, row, v| match v {
            Some(v) if v == 0.0 || v == 1.0 => Ok(v as f32),
            Some(v) => refuse(name, format!("{} in row {row}", cell(&v.to_string()))),
            None => missing.map_or_else(
                || refuse(name, format!("none in row {row} (Table::multi_label_or takes missing labels)")),
                Ok,
            ),
        })
    }

    /// Columns of numbers as targets `[rows, columns]`, rounded to `f32`: whole numbers are exact up to 16,777,216.
    ///
    /// # Errors
    /// [`Error::Data`] where a column does not exist, or a number is missing or does not fit `f32`; [`Table::targets_or`] takes missing
    /// ones.
    pub fn targets<S: AsRef<str>>(&self, columns: &[S]) -> Result<Array2<f32>> {
        self.values(columns, None)
    }

    /// Columns of numbers and gaps as targets `[rows, columns]`, rounded to `f32`, with `missing` in the gaps.
    ///
    /// # Errors
    /// [`Error::Data`] where a column does not exist, a number does not fit `f32` or is the one that stands for a missing one;
    /// [`Error::Parameter`] where `missing` is infinite.
    pub fn targets_or<S: AsRef<str>>(&self, columns: &[S], missing: f32) -> Result<Array2<f32>> {
        if missing.is_infinite() {
            return Err(Error::parameter("targets_or", "missing", "NaN, or a finite number", missing));
        }
        self.values(columns, Some(missing))
    }

    fn values<S: AsRef<str>>(&self, columns: &[S], missing: Option<f32>) -> Result<Array2<f32>> {
        let refuse =
            |name: &str, expected: &str, actual: String| Err(Error::data(column_named(name), expected, actual));
        self.matrix(columns, |name, row, v| match (v.map(|v| v as f32), missing) {
            (Some(v), Some(missing)) if v == missing => {
                let expected = format!("numbers other than {missing}, which stands for a missing one");
                refuse(name, &expected, format!("{v} in row {row}"))
            }
            (Some(v), _) if v.is_finite() => Ok(v),
            (Some(_), _) => refuse(
                name,
                "numbers that fit f32",
                format!("{} in row {row}", cell(&v.unwrap_or_default().to_string())),
            ),
            (None, Some(missing)) => Ok(missing),
            (None, None) => refuse(
                name,
                "a number in every row",
                format!("none in row {row} (Table::targets_or takes missing ones)"),
            ),
        })
    }

    /// The rows of the same value have the same number: patients, for a split that keeps them together. Numbers count from 0 in the order in
    /// which the values first occur. Ids that a file writes in digits are told apart as they are written: `007` and `7` are two patients.
    ///
    /// # Errors
    /// [`Error::Data`] where there is no such column, a value is missing, or a number is not whole (`1.1` may be `1.10`: read such ids as
    /// texts) or is 2⁵³ or more and its digits were not kept.
    pub fn groups(&self, column: &str) -> Result<Vec<u32>> {
        let levels = whole(self, column, "groups")?;
        let mut numbers: Vec<Option<u32>> = vec![None; levels.levels().len()];
        let mut next = 0;
        let mut of = |row: usize| {
            let code = levels.codes()[row].ok_or_else(|| {
                Error::data(column_named(column), "a group in every row", format!("none in row {row}"))
            })?;
            Ok(*numbers[code as usize].get_or_insert_with(|| {
                next += 1;
                next - 1
            }))
        };
        (0..self.rows()).map(&mut of).collect()
    }

    /// `[rows, columns]`, each element made of the name, the row and the number there.
    fn matrix<S: AsRef<str>>(
        &self,
        columns: &[S],
        element: impl Fn(&str, usize, Option<f64>) -> Result<f32>,
    ) -> Result<Array2<f32>> {
        let names: Vec<&str> = columns.iter().map(AsRef::as_ref).collect();
        let numbers = self.select(&names)?.to_numeric(&names)?;
        let mut out = Array2::zeros((self.rows(), names.len()));
        for (name, mut to) in names.iter().zip(out.columns_mut()) {
            for (row, (v, to)) in numbers.numeric(name)?.iter().zip(&mut to).enumerate() {
                *to = element(name, row, Some(*v).filter(|v| !v.is_nan()))?;
            }
        }
        Ok(out)
    }
}
