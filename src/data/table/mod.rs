//! Tables: named columns of numbers or of levels, in both of which values may be missing.
//!
//! Rows are counted from 0, as everywhere in Galen; only the readers of files speak of lines, which are counted from 1.

mod describe;
mod ids;
mod shown;
mod targets;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::error::{Error, Result};
#[cfg(not(feature = "tables"))]
use ids::Column;

pub use describe::{ColumnSummary, Content, Description};
#[cfg(feature = "tables")]
pub(crate) use ids::Column;
pub(crate) use ids::{Written, same_level};
#[cfg(feature = "tables")]
pub(crate) use shown::listed_levels;
pub use shown::show_values;
pub(crate) use shown::{cell, cells, listed, other_cell, shown};
pub use targets::Classes;

/// What stands in one column.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Numbers; NaN where one is missing.
    Numeric(Vec<f64>),
    /// One of several texts in each row.
    Categorical(Categorical),
}

/// One of several texts in each row, or none where it is missing.
#[derive(Clone, Debug, PartialEq)]
pub struct Categorical {
    levels: Vec<String>,
    codes: Vec<Option<u32>>,
}

impl Categorical {
    /// `codes[row]` is the place of the row's text in `levels`.
    ///
    /// # Errors
    /// [`Error::Data`] where two levels are the same, or a code has no level.
    pub fn new(levels: Vec<String>, codes: Vec<Option<u32>>) -> Result<Categorical> {
        let mut seen = BTreeSet::new();
        if let Some(twice) = levels.iter().find(|level| !seen.insert(level.as_str())) {
            return Err(Error::data("levels", "each of them once", format!("{} twice", cell(twice))));
        }
        let beyond = |code: &Option<u32>| code.is_some_and(|code| code as usize >= levels.len());
        if let Some(row) = codes.iter().position(beyond) {
            let code = codes[row].unwrap_or_default();
            return Err(Error::data("levels", format!("codes below {}", levels.len()), format!("{code} in row {row}")));
        }
        Ok(Categorical { levels, codes })
    }

    /// Levels and codes that are known to fit each other.
    #[cfg(feature = "tables")]
    pub(crate) fn known(levels: Vec<String>, codes: Vec<Option<u32>>) -> Categorical {
        Categorical { levels, codes }
    }

    /// The texts of all rows; the levels are those that occur, sorted.
    pub fn from_texts<T: AsRef<str>>(texts: &[Option<T>]) -> Categorical {
        let sorted: BTreeSet<&str> = texts.iter().flatten().map(AsRef::as_ref).collect();
        let place: BTreeMap<&str, u32> = sorted.iter().copied().zip(0..).collect();
        let codes = texts.iter().map(|text| text.as_ref().and_then(|t| place.get(t.as_ref()).copied())).collect();
        Categorical { levels: sorted.into_iter().map(str::to_owned).collect(), codes }
    }

    /// The texts that may occur. In a table read from CSV they are sorted, from ARFF in the order of their declaration.
    pub fn levels(&self) -> &[String] {
        &self.levels
    }

    /// For each row the place of its text in the levels; `None` where it is missing.
    pub fn codes(&self) -> &[Option<u32>] {
        &self.codes
    }

    /// The rows of these numbers, all of which exist.
    fn select(&self, rows: &[usize]) -> Categorical {
        Categorical { levels: self.levels.clone(), codes: rows.iter().map(|row| self.codes[*row]).collect() }
    }

    /// The numbers that the texts stand for, NaN where one is missing; `None` where a text is no finite number.
    pub(crate) fn numbers(&self) -> Option<Vec<f64>> {
        let numbers: Vec<Option<f64>> = self.levels.iter().map(|level| number(level)).collect();
        self.codes.iter().map(|code| code.map_or(Some(f64::NAN), |code| numbers[code as usize])).collect()
    }

    /// The text of a row; `None` where it is missing or there is no such row.
    pub fn get(&self, row: usize) -> Option<&str> {
        let code = (*self.codes.get(row)?)?;
        self.levels.get(code as usize).map(String::as_str)
    }
}

impl Values {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        match self {
            Values::Numeric(x) => x.len(),
            Values::Categorical(x) => x.codes.len(),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// In how many rows the value is missing.
    pub fn missing(&self) -> usize {
        match self {
            Values::Numeric(x) => x.iter().filter(|v| v.is_nan()).count(),
            Values::Categorical(x) => x.codes.iter().filter(|code| code.is_none()).count(),
        }
    }

    /// What a row holds, as text; a number as short as it can be written ([`Table::to_categorical`] gives ids as their file writes
    /// them). `None` where it is missing or there is no such row.
    pub fn text(&self, row: usize) -> Option<String> {
        match self {
            Values::Numeric(x) => x.get(row).filter(|v| !v.is_nan()).map(f64::to_string),
            Values::Categorical(x) => x.get(row).map(str::to_owned),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Values::Numeric(_) => "numbers",
            Values::Categorical(_) => "texts",
        }
    }

    /// The rows of these numbers, all of which exist.
    fn select(&self, rows: &[usize]) -> Values {
        match self {
            Values::Numeric(x) => Values::Numeric(rows.iter().map(|row| x[*row]).collect()),
            Values::Categorical(x) => Values::Categorical(x.select(rows)),
        }
    }
}

/// Named columns of the same number of rows.
///
/// Numbers are `f64`. Where they serve as ids, classes or levels ([`Table::groups`], [`Table::classes`], [`Table::to_categorical`], levels
/// of a [`prepare::Recipe`](crate::data::prepare::Recipe)), what a file writes in digits tells them apart: `007` is not `7`, and
/// `9007199254740993` is not `9007199254740992`, though both are the same `f64`. A number of 2⁵³ or more whose digits nobody kept is
/// then refused.
///
/// ```
/// use galen::data::Table;
///
/// let table = Table::new()
///     .with_numeric("glucose", vec![148.0, 0.0, 183.0])?
///     .with_texts("sex", &[Some("f"), Some("m"), None])?
///     .missing_where("glucose", |mg_per_dl| mg_per_dl == 0.0)?;
/// assert_eq!((table.rows(), table.column("glucose")?.missing()), (3, 1));
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    names: Vec<String>,
    columns: Vec<Column>,
    /// Where each name stands: gene tables have tens of thousands.
    places: HashMap<String, usize>,
}

impl Table {
    /// A table without columns.
    pub fn new() -> Table {
        Table::default()
    }

    /// The same table with a column after those that are there.
    ///
    /// # Errors
    /// [`Error::Data`] where there is one of this name, it has not as many rows as the others, or a number is infinite.
    pub fn with(self, name: impl Into<String>, values: Values) -> Result<Table> {
        self.with_column(name.into(), values.into())
    }

    pub(crate) fn with_column(mut self, name: String, column: Column) -> Result<Table> {
        let values = &column.values;
        if self.places.contains_key(&name) {
            return Err(Error::data("a table's columns", "each name once", format!("{} twice", shown(&name))));
        }
        if !self.columns.is_empty() && values.len() != self.rows() {
            return Err(Error::data(
                column_named(&name),
                format!("{} rows, as in the others", self.rows()),
                values.len().to_string(),
            ));
        }
        check_finite(&name, values)?;
        self.places.insert(name.clone(), self.names.len());
        self.names.push(name);
        self.columns.push(column);
        Ok(self)
    }

    /// The same table with a column of numbers, NaN where one is missing, after those that are there.
    ///
    /// # Errors
    /// See [`Table::with`].
    pub fn with_numeric(self, name: impl Into<String>, values: Vec<f64>) -> Result<Table> {
        self.with(name, Values::Numeric(values))
    }

    /// The same table with a column of texts, whose levels are sorted, after those that are there.
    ///
    /// # Errors
    /// See [`Table::with`].
    pub fn with_texts<T: AsRef<str>>(self, name: impl Into<String>, texts: &[Option<T>]) -> Result<Table> {
        self.with(name, Values::Categorical(Categorical::from_texts(texts)))
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.columns.first().map_or(0, |column| column.values.len())
    }

    /// The names of the columns, in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Names and columns, in order.
    pub fn columns(&self) -> impl ExactSizeIterator<Item = (&str, &Values)> {
        self.names.iter().map(String::as_str).zip(self.columns.iter().map(|column| &column.values))
    }

    /// The column of this name.
    ///
    /// # Errors
    /// [`Error::Data`] where there is none, naming those that there are.
    pub fn column(&self, name: &str) -> Result<&Values> {
        self.place(name).map(|i| &self.columns[i].values)
    }

    /// The numbers of a column, NaN where one is missing.
    ///
    /// # Errors
    /// [`Error::Data`] where there is no such column, or it holds texts: the first that is not a number is named.
    pub fn numeric(&self, name: &str) -> Result<&[f64]> {
        match self.column(name)? {
            Values::Numeric(x) => Ok(x),
            Values::Categorical(x) => Err(not_numbers(name, x)),
        }
    }

    /// The texts of a column.
    ///
    /// # Errors
    /// [`Error::Data`] where there is no such column, or it holds numbers.
    pub fn categorical(&self, name: &str) -> Result<&Categorical> {
        match self.column(name)? {
            Values::Categorical(x) => Ok(x),
            other => Err(Error::data(column_named(name), "texts (Table::to_categorical makes them)", other.kind())),
        }
    }

    /// These columns, in this order.
    ///
    /// # Errors
    /// [`Error::Data`] where one does not exist or is named twice.
    pub fn select<S: AsRef<str>>(&self, names: &[S]) -> Result<Table> {
        names.iter().map(AsRef::as_ref).try_fold(Table::new(), |table, name| {
            table.with_column(name.to_owned(), self.columns[self.place(name)?].clone())
        })
    }

    /// All columns but these.
    ///
    /// # Errors
    /// [`Error::Data`] where one does not exist.
    pub fn without<S: AsRef<str>>(&self, names: &[S]) -> Result<Table> {
        let out: BTreeSet<usize> = names.iter().map(|name| self.place(name.as_ref())).collect::<Result<_>>()?;
        let mut kept = self.names.iter().zip(&self.columns).enumerate().filter(|(i, _)| !out.contains(i));
        kept.try_fold(Table::new(), |table, (_, (name, column))| table.with_column(name.clone(), column.clone()))
    }

    /// The rows of these numbers, in this order; one may be named more than once. Levels stay, also those that no longer occur.
    ///
    /// # Errors
    /// [`Error::Data`] where a row does not exist.
    pub fn select_rows(&self, rows: &[usize]) -> Result<Table> {
        self.check_rows(rows)?;
        let columns = self.columns.iter().map(|column| column.select(rows)).collect();
        Ok(Table { names: self.names.clone(), columns, places: self.places.clone() })
    }

    /// The same table where the numbers of a column that `is_missing` are missing: zeros that stand for "not measured".
    ///
    /// # Errors
    /// See [`Table::numeric`].
    pub fn missing_where(mut self, name: &str, is_missing: impl Fn(f64) -> bool) -> Result<Table> {
        self.numeric(name)?;
        let Column { values, written } = &mut self.columns[self.places[name]];
        if let Values::Numeric(x) = values {
            x.iter_mut().filter(|v| is_missing(**v)).for_each(|v| *v = f64::NAN);
            let codes = written.iter_mut().flat_map(|written| &mut written.codes);
            codes.zip(x).filter(|(_, v)| v.is_nan()).for_each(|(code, _)| *code = None);
        }
        Ok(self)
    }

    /// The same table where these columns hold texts: each number as short as it can be written, ids as their file writes them (`007`),
    /// levels in the order of the numbers.
    ///
    /// # Errors
    /// [`Error::Data`] where one does not exist, or holds a number of 2⁵³ or more whose digits nobody kept.
    pub fn to_categorical<S: AsRef<str>>(mut self, names: &[S]) -> Result<Table> {
        for name in names {
            let place = self.place(name.as_ref())?;
            let ids = self.columns[place].ids(name.as_ref())?.into_owned();
            self.columns[place] = Values::Categorical(ids).into();
        }
        Ok(self)
    }

    /// The same table where these columns hold numbers: those that their texts stand for (the grades 0 to 3 of an ARFF file).
    ///
    /// # Errors
    /// [`Error::Data`] where one does not exist, or a text in it is no finite number.
    pub fn to_numeric<S: AsRef<str>>(mut self, names: &[S]) -> Result<Table> {
        for name in names.iter().map(AsRef::as_ref) {
            let place = self.place(name)?;
            if let Values::Categorical(x) = &self.columns[place].values {
                let numbers = x.numbers().ok_or_else(|| not_numbers(name, x))?;
                let mut column = Written::default();
                numbers.into_iter().enumerate().for_each(|(row, v)| column.push(x.get(row).unwrap_or_default(), v));
                self.columns[place] = column.finish();
            }
        }
        Ok(self)
    }

    /// What stands in each column: counts, missing values, mean and spread of numbers, how often each level occurs.
    pub fn describe(&self) -> Description {
        Description::of(self)
    }

    /// Refuses rows that do not exist.
    pub(crate) fn check_rows(&self, rows: &[usize]) -> Result<()> {
        match rows.iter().find(|row| **row >= self.rows()) {
            Some(bad) => {
                let expected = format!("numbers below {}", self.rows());
                Err(Error::data("a selection of rows", expected, bad.to_string()))
            }
            None => Ok(()),
        }
    }

    fn place(&self, name: &str) -> Result<usize> {
        let missing = || Error::data("a table's columns", format!("one named {}", shown(name)), listed(&self.names));
        self.places.get(name).copied().ok_or_else(missing)
    }
}

/// A finite number as it stands in a file; `None` where the text is none. Rust also reads "inf" and "nan", which are no values.
pub(crate) fn number(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|v| v.is_finite())
}

/// How errors call a column.
pub(crate) fn column_named(name: &str) -> String {
    format!("column {}", shown(name))
}

/// The error for a column of texts where numbers are wanted, naming the first text that is none.
pub(crate) fn not_numbers(name: &str, x: &Categorical) -> Error {
    let first = (0..x.codes.len()).find_map(|row| {
        let text = x.get(row).filter(|text| number(text).is_none())?;
        Some(format!("{} in row {row}", cell(text)))
    });
    let actual = first.unwrap_or_else(|| "texts (Table::to_numeric reads them as numbers)".to_owned());
    Error::data(column_named(name), "numbers", actual)
}

fn check_finite(name: &str, values: &Values) -> Result<()> {
    let Values::Numeric(x) = values else { return Ok(()) };
    match x.iter().position(|v| v.is_infinite()) {
        Some(row) => Err(Error::data(column_named(name), "finite numbers", format!("{} in row {row}", x[row]))),
        None => Ok(()),
    }
}
