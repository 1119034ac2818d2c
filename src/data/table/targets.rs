//! Columns as targets: classes, several labels at once, values; and as the groups that a split keeps together.

use std::collections::HashMap;

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::{Categorical, Table, Values, column_named, levels_of};
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
    /// The classes that stand in these rows of a column: its levels in their order, or its whole numbers, ascending.
    ///
    /// # Errors
    /// [`Error::Data`] where there is no such column or row, a class is missing in one of the rows, or a number is not whole.
    pub fn fit(table: &Table, column: &str, rows: &[usize]) -> Result<Classes> {
        table.check_rows(rows)?;
        let levels = levels(table, column)?;
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
        let levels = levels(table, &self.column)?;
        let known: HashMap<&String, u32> = self.names.iter().zip(0..).collect();
        let places: Vec<Option<u32>> = levels.levels().iter().map(|level| known.get(level).copied()).collect();
        let of = |row: usize| {
            let code = code(&levels, &self.column, row)? as usize;
            places[code].ok_or_else(|| {
                let known = format!("a class that was there when it was fitted ({})", self.names.join(", "));
                Error::data(column_named(&self.column), known, format!("\"{}\" in row {row}", levels.levels()[code]))
            })
        };
        (0..table.rows()).map(of).collect()
    }
}

/// A column as levels: the whole numbers of a numeric one, ascending.
fn levels(table: &Table, column: &str) -> Result<Categorical> {
    match table.column(column)? {
        Values::Categorical(x) => Ok(x.clone()),
        Values::Numeric(x) => match x.iter().position(|v| !v.is_nan() && v.fract() != 0.0) {
            Some(row) => Err(Error::data(
                column_named(column),
                "classes: texts or whole numbers",
                format!("{} in row {row}", x[row]),
            )),
            None => Ok(levels_of(x)),
        },
    }
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
    /// [`Error::Data`] where a column does not exist, or something else stands in it.
    pub fn multi_label<S: AsRef<str>>(&self, columns: &[S]) -> Result<Array2<f32>> {
        self.matrix(columns, |name, row, v| match v {
            Some(v) if v == 0.0 || v == 1.0 => Ok(v as f32),
            Some(v) => Err(Error::data(column_named(name), "0 or 1 in every row", format!("{v} in row {row}"))),
            None => Err(Error::data(column_named(name), "0 or 1 in every row", format!("none in row {row}"))),
        })
    }

    /// Columns of numbers as targets `[rows, columns]`.
    ///
    /// # Errors
    /// [`Error::Data`] where a column does not exist, or a number is missing or does not fit `f32`.
    pub fn targets<S: AsRef<str>>(&self, columns: &[S]) -> Result<Array2<f32>> {
        self.matrix(columns, |name, row, v| match v {
            Some(v) if (v as f32).is_finite() => Ok(v as f32),
            Some(v) => Err(Error::data(column_named(name), "numbers that fit f32", format!("{v} in row {row}"))),
            None => Err(Error::data(column_named(name), "a number in every row", format!("none in row {row}"))),
        })
    }

    /// The rows of the same value have the same number: patients, for a split that keeps them together. Numbers count from 0 in the order in
    /// which the values first occur.
    ///
    /// # Errors
    /// [`Error::Data`] where there is no such column, or a value is missing.
    pub fn groups(&self, column: &str) -> Result<Vec<u32>> {
        let levels = match self.column(column)? {
            Values::Categorical(x) => x.clone(),
            Values::Numeric(x) => levels_of(x),
        };
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
