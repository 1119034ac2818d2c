//! Columns as ids, classes and levels: what tells rows apart is what is written, also where the numbers are the same.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use super::{Categorical, Table, Values, cell, column_named};
use crate::error::{Error, Result};

/// From here on several whole numbers are the same `f64`: 2⁵³.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A column of a table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Column {
    pub(super) values: Values,
    /// What is written in each row of a column of numbers, where a number does not give it back: 007, or digits above 2⁵³.
    pub(super) written: Option<Categorical>,
}

impl From<Values> for Column {
    fn from(values: Values) -> Column {
        Column { values, written: None }
    }
}

impl Column {
    /// The rows of these numbers, all of which exist.
    pub(super) fn select(&self, rows: &[usize]) -> Column {
        Column { values: self.values.select(rows), written: self.written.as_ref().map(|x| x.select(rows)) }
    }

    /// What tells the rows apart: texts, numbers as they are written where that was kept, and other numbers as short as can be.
    pub(super) fn ids(&self, name: &str) -> Result<Cow<'_, Categorical>> {
        let numbers = match &self.values {
            Values::Categorical(x) => return Ok(Cow::Borrowed(x)),
            Values::Numeric(x) => x,
        };
        let is_written = |row| self.written.as_ref().and_then(|x| x.get(row)).is_some_and(is_digits);
        match numbers.iter().enumerate().find(|(row, v)| v.abs() >= EXACT && !is_written(*row)) {
            Some((row, v)) => {
                let expected = format!("texts, or numbers below {EXACT}, where ids, classes or levels are wanted");
                let actual = format!(
                    "{} in row {row}, which may stand for several whole numbers (read the column as texts)",
                    cell(&v.to_string())
                );
                Err(Error::data(column_named(name), expected, actual))
            }
            None => Ok(self.written.as_ref().map_or_else(|| Cow::Owned(levels_of(numbers)), Cow::Borrowed)),
        }
    }
}

impl Table {
    /// What tells the rows of a column apart.
    pub(crate) fn ids(&self, name: &str) -> Result<Cow<'_, Categorical>> {
        self.columns[self.place(name)?].ids(name)
    }
}

/// A column of numbers that grows row by row, with what is written where the number does not give it back.
#[derive(Default)]
pub(crate) struct Written {
    numbers: Vec<f64>,
    digits: BTreeMap<usize, String>,
}

impl Written {
    /// How many rows there are.
    #[cfg(feature = "tables")]
    pub(crate) fn len(&self) -> usize {
        self.numbers.len()
    }

    /// A row of this number, NaN where it is missing, written like this.
    pub(crate) fn push(&mut self, text: &str, v: f64) {
        if is_digits(text) && (v >= EXACT || (text.len() > 1 && text.starts_with('0'))) {
            self.digits.insert(self.numbers.len(), text.to_owned());
        }
        self.numbers.push(v);
    }

    pub(crate) fn finish(self) -> Column {
        let written = (!self.digits.is_empty()).then(|| written(&self.numbers, self.digits));
        Column { values: Values::Numeric(self.numbers), written }
    }
}

/// The numbers as texts, some of them as given, others as short as can be; levels in the order of the numbers.
fn written(numbers: &[f64], mut digits: BTreeMap<usize, String>) -> Categorical {
    let text = |(row, v): (usize, &f64)| digits.remove(&row).unwrap_or_else(|| (v + 0.0).to_string());
    let texts: Vec<String> = numbers.iter().enumerate().map(text).collect();
    let mut levels: Vec<(f64, &String)> = numbers.iter().copied().zip(&texts).filter(|(v, _)| !v.is_nan()).collect();
    levels.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.len().cmp(&b.1.len())).then(a.1.cmp(b.1)));
    // Minus zero is zero, and is written like it.
    levels.dedup_by(|a, b| a.1 == b.1);
    let places: HashMap<&String, u32> = levels.iter().map(|(_, text)| *text).zip(0..).collect();
    let codes = numbers.iter().zip(&texts).map(|(v, text)| places.get(text).copied().filter(|_| !v.is_nan())).collect();
    Categorical { levels: levels.into_iter().map(|(_, text)| text.clone()).collect(), codes }
}

/// Whether a text is made of nothing but digits, as ids are.
pub(crate) fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Whether two texts may stand for one level where numbers are levels: `1` and `1.0`, but not two ids, `7` and `007`.
pub(crate) fn same_level(a: &str, b: &str) -> bool {
    a == b || !(is_digits(a) && is_digits(b))
}

/// Numbers as levels, in the order of the numbers.
fn levels_of(numbers: &[f64]) -> Categorical {
    let mut distinct: Vec<f64> = numbers.iter().copied().filter(|v| !v.is_nan()).collect();
    distinct.sort_by(f64::total_cmp);
    // Minus zero is zero.
    distinct.dedup_by(|a, b| a == b);
    let code = |v: f64| distinct.binary_search_by(|d| d.partial_cmp(&v).unwrap_or(std::cmp::Ordering::Less)).ok();
    Categorical {
        codes: numbers.iter().map(|v| if v.is_nan() { None } else { code(*v).map(|i| i as u32) }).collect(),
        // Adding zero makes minus zero zero.
        levels: distinct.iter().map(|v| (v + 0.0).to_string()).collect(),
    }
}
