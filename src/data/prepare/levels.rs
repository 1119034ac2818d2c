use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::data::table::{Table, Values, cell, cells, column_named, number, other_cell, same_level, shown};
use crate::error::{Error, Result};

/// What becomes of a level that was not there when the encoding was fitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unseen {
    /// It is an error.
    #[default]
    Refuse,
    /// Zeros in all columns.
    Zeros,
}

/// What stands in for a missing level.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum MissingLevel {
    /// Nothing: a missing level is an error.
    #[default]
    Refuse,
    /// The level that occurs most often; of several the first.
    MostFrequent,
    /// A column of its own, after the others, whether or not one was missing when it was fitted.
    OwnColumn,
    /// This level, which must be among those that were fitted.
    Level(String),
}

/// How levels become numbers: a column for each, 1 where a row has it and 0 elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Levels {
    missing: MissingLevel,
    unseen: Unseen,
    drop_first: bool,
}

impl Levels {
    /// A column for each level; missing and unseen levels are errors.
    pub fn new() -> Levels {
        Levels::default()
    }

    /// What stands in for a missing level.
    #[must_use]
    pub fn missing(self, missing: MissingLevel) -> Levels {
        Levels { missing, ..self }
    }

    /// What becomes of a level that was not there when it was fitted.
    #[must_use]
    pub fn unseen(self, unseen: Unseen) -> Levels {
        Levels { unseen, ..self }
    }

    /// The first level gets no column, which makes the columns independent of each other: for models without regularisation, and for
    /// columns of two levels.
    #[must_use]
    pub fn drop_first(self, drop_first: bool) -> Levels {
        Levels { drop_first, ..self }
    }
}

/// One column of a table as ones and zeros, with the levels of the rows to train on. Source: scikit-learn's `OneHotEncoder`.
///
/// ```
/// use galen::data::Table;
/// use galen::data::prepare::{Levels, OneHot, Unseen};
///
/// let table = Table::new().with_texts("group", &[Some("a"), Some("b"), Some("c")])?;
/// let encoding = OneHot::fit(&table, "group", &[0, 1], &Levels::new().unseen(Unseen::Zeros))?;
/// assert_eq!(encoding.names(), ["group=a", "group=b"]);
/// assert_eq!(encoding.apply(&table)?, [Some(0), Some(1), None]);
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OneHot {
    column: String,
    levels: Vec<String>,
    /// Whether the levels were numbers: text in a column is then read as numbers too.
    #[serde(default)]
    numeric: bool,
    /// The level that stands in for a missing one.
    fill: Option<String>,
    how: Levels,
}

impl OneHot {
    /// The levels that stand in these rows of a column, in their order; numbers are levels too, ascending.
    ///
    /// # Errors
    /// [`Error::Data`] where there is no such column or row, all are missing, one is missing that nothing may stand in for, or the level that is
    /// to stand in is not there; [`Error::Usage`] where the first level is dropped and unseen ones would look the same.
    pub fn fit(table: &Table, column: &str, rows: &[usize], how: &Levels) -> Result<OneHot> {
        table.check_rows(rows)?;
        let name = column_named(column);
        if how.drop_first && how.unseen == Unseen::Zeros {
            return Err(Error::usage(
                name,
                "the first level is dropped, so that zeros for an unseen one would mean the first",
            ));
        }
        let values = table.ids(column)?;
        let mut counts = vec![0; values.levels().len()];
        for row in rows {
            match values.codes()[*row] {
                Some(code) => counts[code as usize] += 1,
                None if how.missing == MissingLevel::Refuse => return Err(no_level(&name, *row)),
                None => {}
            }
        }
        let seen: Vec<(String, usize)> =
            values.levels().iter().cloned().zip(counts).filter(|(_, count)| *count > 0).collect();
        // Of equals the last is found first, so they are gone through from the end.
        let most = (0..seen.len()).rev().max_by_key(|i| seen[*i].1);
        let Some(most) = most else {
            return Err(super::empty(&name, "level"));
        };
        let levels: Vec<String> = seen.into_iter().map(|(level, _)| level).collect();
        let fill = match &how.missing {
            MissingLevel::Refuse | MissingLevel::OwnColumn => None,
            MissingLevel::MostFrequent => Some(levels[most].clone()),
            MissingLevel::Level(wanted) if levels.contains(wanted) => Some(wanted.clone()),
            MissingLevel::Level(wanted) => {
                let expected =
                    format!("{}, which is to stand in for missing levels, among those to train on", shown(wanted));
                return Err(Error::data(name, expected, cells(&levels)));
            }
        };
        let numeric = matches!(table.column(column)?, Values::Numeric(_));
        Ok(OneHot { column: column.to_owned(), levels, numeric, fill, how: how.clone() })
    }

    /// For every row the column that is 1; `None` where all are 0.
    ///
    /// Where the column held numbers when this was fitted, or holds them now, levels are compared as numbers: `"1.0"` is 1. Two levels in
    /// digits stay two: `"007"` is not 7.
    ///
    /// # Errors
    /// [`Error::Data`] where there is no such column, a row's level is missing or unseen and nothing else was chosen for that, or a
    /// number may be several of the levels (`"1"` and `"1.0"`).
    pub fn apply(&self, table: &Table) -> Result<Vec<Option<usize>>> {
        let (values, name) = (table.ids(&self.column)?, column_named(&self.column));
        let known: HashMap<&String, usize> = self.levels.iter().zip(0..).collect();
        let numeric = self.numeric || matches!(table.column(&self.column)?, Values::Numeric(_));
        let place = |level: &String| match known.get(level) {
            None if numeric => self.same_number(level),
            found => Ok(found.copied()),
        };
        let places: Vec<Option<usize>> = values.levels().iter().map(place).collect::<Result<_>>()?;
        let fill = self.fill.as_ref().and_then(|fill| known.get(fill).copied());
        let of = |(row, code): (usize, &Option<u32>)| {
            let Some(code) = code else {
                return match (&self.how.missing, fill) {
                    (MissingLevel::OwnColumn, _) => Ok(Some(self.width() - 1)),
                    (_, Some(fill)) => Ok(self.shift(fill)),
                    (_, None) => Err(no_level(&name, row)),
                };
            };
            match (places[*code as usize], self.how.unseen) {
                (Some(place), _) => Ok(self.shift(place)),
                (None, Unseen::Zeros) => Ok(None),
                (None, Unseen::Refuse) => {
                    let expected = format!("a level that was there when it was fitted ({})", cells(&self.levels));
                    let actual = format!("{} in row {row}", cell(&values.levels()[*code as usize]));
                    Err(Error::data(&name, expected, actual))
                }
            }
        };
        values.codes().iter().enumerate().map(of).collect()
    }

    /// How many columns there are.
    pub fn width(&self) -> usize {
        self.levels.len().saturating_sub(usize::from(self.how.drop_first))
            + usize::from(self.how.missing == MissingLevel::OwnColumn)
    }

    /// The columns' names, `column=level`, and `column missing` for missing levels.
    pub fn names(&self) -> Vec<String> {
        let levels = self.levels.iter().skip(usize::from(self.how.drop_first));
        let mut names: Vec<String> = levels.map(|level| format!("{}={level}", self.column)).collect();
        if self.how.missing == MissingLevel::OwnColumn {
            names.push(format!("{} missing", self.column));
        }
        names
    }

    /// The levels that were there when it was fitted.
    pub fn levels(&self) -> &[String] {
        &self.levels
    }

    /// The level that stands in for a missing one.
    pub(super) fn fill(&self) -> Option<&str> {
        self.fill.as_deref()
    }

    /// The place of the level that is the same number as this one, written in another way.
    fn same_number(&self, level: &str) -> Result<Option<usize>> {
        let Some(wanted) = number(level) else { return Ok(None) };
        let mut same = self.levels.iter().enumerate().filter(|(_, known)| number(known) == Some(wanted));
        match (same.next(), same.next()) {
            (Some((_, one)), Some((_, other))) => {
                let expected =
                    format!("levels that are different numbers where numbers are compared with {}", other_cell(level));
                Err(Error::data(
                    column_named(&self.column),
                    expected,
                    format!("{} and {}", other_cell(one), cell(other)),
                ))
            }
            (found, _) => Ok(found.filter(|(_, known)| same_level(known, level)).map(|(place, _)| place)),
        }
    }

    fn shift(&self, place: usize) -> Option<usize> {
        place.checked_sub(usize::from(self.how.drop_first))
    }
}

fn no_level(name: &str, row: usize) -> Error {
    Error::data(name, "a level (nothing may stand in for a missing one)", format!("none in row {row}"))
}
