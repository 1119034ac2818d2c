use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::levels::OneHot;
use super::present;
use super::recipe::{Empty, Features, Numbers, Recipe, Treatment};
use super::scale::Affine;
use crate::data::table::{Table, Values, cell, column_named, listed, not_numbers, shown};
use crate::error::{Error, Result};

/// Makes a network's features of a table, as [`Recipe::fit`] fitted it. Stored with a model, it does the same to tables of other patients.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TablePreparation {
    columns: Vec<Column>,
}

/// A column of the table and what becomes of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Column {
    name: String,
    fitted: Fitted,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Fitted {
    Numbers {
        /// What stands in for a missing number.
        fill: Option<f64>,
        indicator: bool,
        affine: Affine,
    },
    Levels(OneHot),
    /// No row to train on had a value, and the column is no feature.
    Dropped,
    /// No row to train on had a value, and every row gets this number.
    Constant(f32),
}

impl TablePreparation {
    pub(super) fn fit(recipe: &Recipe, table: &Table, rows: &[usize]) -> Result<TablePreparation> {
        if rows.is_empty() {
            return Err(Error::data("rows to fit a preparation on", "at least one", "none"));
        }
        table.check_rows(rows)?;
        if let Empty::Constant(v) = recipe.empty
            && !(v as f32).is_finite()
        {
            return Err(Error::parameter("recipe", "constant of empty columns", "a number that is finite in f32", v));
        }
        let features = features(recipe, table)?;
        if let Some(other) = recipe.of.keys().find(|name| !features.contains(name)) {
            let expected = format!("features that are treated on their own among {}", listed(&features));
            return Err(Error::data("a recipe", expected, shown(other)));
        }
        let column = |name: &String| {
            if is_empty(table.column(name)?, rows) {
                return Ok(Column { name: name.clone(), fitted: when_empty(recipe.empty, name)? });
            }
            let treatment = match (recipe.of.get(name), table.column(name)?) {
                (Some(treatment), _) => treatment.clone(),
                (None, Values::Numeric(_)) => recipe.numbers.clone().into(),
                (None, Values::Categorical(_)) => recipe.levels.clone().into(),
            };
            let fitted = match treatment {
                Treatment::Numbers(how) => fit_numbers(&how, table, name, rows)?,
                Treatment::Levels(how) => Fitted::Levels(OneHot::fit(table, name, rows, &how)?),
            };
            Ok(Column { name: name.clone(), fitted })
        };
        let prepared = TablePreparation { columns: features.iter().map(column).collect::<Result<_>>()? };
        if prepared.width() == 0 {
            return Err(Error::data("a recipe", "at least one column with a value in the rows to train on", "none"));
        }
        Ok(prepared)
    }

    /// The features of every row, `[rows, features]`, in the order of [`TablePreparation::names`]. Other columns of the table do not matter,
    /// nor those that were [empty](TablePreparation::empty), nor does the order of its columns.
    ///
    /// # Errors
    /// [`Error::Data`] where columns are missing (all of them are named), there are no rows, a value is missing that nothing may stand in for, a
    /// level was not there when it was fitted and is not to be zeros, a text should be a number and is none, or a number is not finite in `f32`.
    pub fn apply(&self, table: &Table) -> Result<Array2<f32>> {
        let lacks = |c: &&Column| !c.was_empty() && table.column(&c.name).is_err();
        let lacking: Vec<String> = self.columns.iter().filter(lacks).map(|c| c.name.clone()).collect();
        if !lacking.is_empty() {
            let there = listed(table.names());
            return Err(Error::data("a table to prepare", format!("the columns {}", listed(&lacking)), there));
        }
        let mut out = Array2::zeros((table.rows(), self.columns.iter().map(Column::width).sum()));
        let mut at = 0;
        for column in &self.columns {
            match &column.fitted {
                Fitted::Numbers { fill, indicator, affine } => {
                    for (row, v) in numbers(table, &column.name)?.iter().enumerate() {
                        out[[row, at]] = number(&column.name, row, *v, *fill, *affine)?;
                        if *indicator {
                            out[[row, at + 1]] = f32::from(u8::from(v.is_nan()));
                        }
                    }
                }
                Fitted::Dropped => {}
                Fitted::Constant(v) => out.column_mut(at).fill(*v),
                Fitted::Levels(encoding) => {
                    for (row, one) in encoding.apply(table)?.into_iter().enumerate() {
                        if let Some(one) = one {
                            out[[row, at + one]] = 1.0;
                        }
                    }
                }
            }
            at += column.width();
        }
        Ok(out)
    }

    /// The features' names: a column's own, `column missing` for where it was missing, `column=level` for levels.
    pub fn names(&self) -> Vec<String> {
        let names = |column: &Column| match &column.fitted {
            Fitted::Numbers { indicator: false, .. } => vec![column.name.clone()],
            Fitted::Numbers { indicator: true, .. } => vec![column.name.clone(), format!("{} missing", column.name)],
            Fitted::Levels(encoding) => encoding.names(),
            Fitted::Dropped => Vec::new(),
            Fitted::Constant(_) => vec![column.name.clone()],
        };
        self.columns.iter().flat_map(names).collect()
    }

    /// How many features there are.
    pub fn width(&self) -> usize {
        self.columns.iter().map(Column::width).sum()
    }

    /// The columns that had no value in any of the rows to train on, and are left out or constant; see [`Recipe::empty`].
    pub fn empty(&self) -> Vec<&str> {
        self.columns.iter().filter(|c| c.was_empty()).map(|c| c.name.as_str()).collect()
    }

    /// The columns of equal numbers, which were divided by 1 because there was nothing else to divide by.
    pub fn constant(&self) -> Vec<&str> {
        let constant = |c: &&Column| matches!(c.fitted, Fitted::Numbers { affine: Affine { constant: true, .. }, .. });
        self.columns.iter().filter(constant).map(|c| c.name.as_str()).collect()
    }
}

impl Column {
    fn width(&self) -> usize {
        match &self.fitted {
            Fitted::Numbers { indicator, .. } => 1 + usize::from(*indicator),
            Fitted::Levels(encoding) => encoding.width(),
            Fitted::Dropped => 0,
            Fitted::Constant(_) => 1,
        }
    }

    fn was_empty(&self) -> bool {
        matches!(self.fitted, Fitted::Dropped | Fitted::Constant(_))
    }
}

/// Whether none of these rows has a value.
fn is_empty(values: &Values, rows: &[usize]) -> bool {
    match values {
        Values::Numeric(x) => rows.iter().all(|row| x[*row].is_nan()),
        Values::Categorical(x) => rows.iter().all(|row| x.codes()[*row].is_none()),
    }
}

/// What becomes of a column without values.
fn when_empty(how: Empty, name: &str) -> Result<Fitted> {
    match how {
        Empty::Refuse => Err(super::empty(&column_named(name), "value")),
        Empty::Drop => Ok(Fitted::Dropped),
        Empty::Constant(v) => Ok(Fitted::Constant(v as f32)),
    }
}

/// The columns that a recipe wants, all of which exist.
fn features(recipe: &Recipe, table: &Table) -> Result<Vec<String>> {
    let (named, features) = match &recipe.features {
        Features::These(names) => (names, names.clone()),
        Features::AllBut(out) => {
            let set: BTreeSet<&String> = out.iter().collect();
            (out, table.names().iter().filter(|name| !set.contains(name)).cloned().collect())
        }
    };
    named.iter().try_for_each(|name| table.column(name).map(drop))?;
    let mut seen = BTreeSet::new();
    if let Some(twice) = features.iter().find(|name| !seen.insert(*name)) {
        return Err(Error::data("a recipe", "each column once", format!("{} twice", shown(twice))));
    }
    if features.is_empty() {
        return Err(Error::data("a recipe", "at least one column", "none"));
    }
    Ok(features)
}

fn fit_numbers(how: &Numbers, table: &Table, name: &str, rows: &[usize]) -> Result<Fitted> {
    let all = numbers(table, name)?;
    let train: Vec<f64> = rows.iter().map(|row| all[*row]).collect();
    let missing = train.iter().filter(|v| v.is_nan()).count();
    let fill = how.imputation.fit(&column_named(name), present(train.iter().copied()))?;
    // What stands in counts in the mean and the spread, as in a pipeline of scikit-learn.
    let filled = rows.iter().zip(&train).map(|(row, v)| match fill {
        _ if !v.is_nan() => Ok(*v),
        Some(fill) => Ok(fill),
        None => Err(no_number(name, *row)),
    });
    let affine = Affine::fit(how.scaling, filled.collect::<Result<_>>()?);
    Ok(Fitted::Numbers { fill, indicator: how.indicator && missing > 0, affine })
}

fn number(name: &str, row: usize, v: f64, fill: Option<f64>, affine: Affine) -> Result<f32> {
    let v = if v.is_nan() { fill.ok_or_else(|| no_number(name, row))? } else { v };
    let scaled = affine.apply(v) as f32;
    if scaled.is_finite() {
        return Ok(scaled);
    }
    Err(Error::data(
        column_named(name),
        "numbers that are finite when scaled",
        format!("{} in row {row}", cell(&v.to_string())),
    ))
}

/// A column's numbers; texts are read as such.
fn numbers<'t>(table: &'t Table, name: &str) -> Result<Cow<'t, [f64]>> {
    match table.column(name)? {
        Values::Numeric(x) => Ok(Cow::Borrowed(x)),
        Values::Categorical(x) => x.numbers().map(Cow::Owned).ok_or_else(|| not_numbers(name, x)),
    }
}

fn no_number(name: &str, row: usize) -> Error {
    Error::data(column_named(name), "a number (nothing may stand in for a missing one)", format!("none in row {row}"))
}

/// A line for each column: what stands in for missing values, and what is done to the others.
impl fmt::Display for TablePreparation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, column) in self.columns.iter().enumerate() {
            write!(f, "{}{}: ", if i == 0 { "" } else { "\n" }, column.name)?;
            match &column.fitted {
                Fitted::Numbers { fill, indicator, affine } => {
                    write!(f, "(x - {}) / {}", affine.center, affine.scale)?;
                    if affine.constant {
                        write!(f, " (nothing to divide by)")?;
                    }
                    if let Some(fill) = fill {
                        write!(f, ", {fill} where missing")?;
                    }
                    if *indicator {
                        write!(f, ", with an indicator")?;
                    }
                }
                Fitted::Dropped => write!(f, "left out (no value in the rows it was fitted on)")?,
                Fitted::Constant(v) => write!(f, "always {v} (no value in the rows it was fitted on)")?,
                Fitted::Levels(encoding) => {
                    write!(f, "one of {}", encoding.levels().join(", "))?;
                    if let Some(fill) = encoding.fill() {
                        write!(f, ", {fill} where missing")?;
                    }
                }
            }
        }
        Ok(())
    }
}
