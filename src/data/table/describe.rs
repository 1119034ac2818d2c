use std::fmt;

use super::{Table, Values};
use crate::error::plain;

/// What stands in one column.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnSummary {
    /// The column's name.
    pub name: String,
    /// Rows with a value.
    pub present: usize,
    /// Rows without one.
    pub missing: usize,
    /// The column's content.
    pub content: Content,
}

/// The content of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Of the numbers that are present; NaN where there is none.
    Numeric {
        /// Their mean.
        mean: f64,
        /// Their standard deviation, with n − 1 in the denominator; NaN of a single number.
        std: f64,
        /// The least.
        min: f64,
        /// The greatest.
        max: f64,
    },
    /// Every level with the number of rows that have it, in the order of the levels.
    Categorical(Vec<(String, usize)>),
}

/// What stands in each column of a table; printed, one line for each.
///
/// ```
/// let table = galen::data::Table::new().with_numeric("age", vec![40.0, f64::NAN, 60.0])?;
/// assert_eq!(table.describe().to_string().lines().nth(1), Some("age           2        1  mean 50, std 14.14, 40 to 60"));
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// How many rows the table has.
    pub rows: usize,
    /// The columns, in order.
    pub columns: Vec<ColumnSummary>,
}

impl Description {
    pub(super) fn of(table: &Table) -> Description {
        let columns = table.columns().map(|(name, values)| {
            let missing = values.missing();
            ColumnSummary { name: name.to_owned(), present: values.len() - missing, missing, content: content(values) }
        });
        Description { rows: table.rows(), columns: columns.collect() }
    }
}

fn content(values: &Values) -> Content {
    match values {
        Values::Numeric(x) => {
            let present = || x.iter().copied().filter(|v| !v.is_nan());
            let n = present().count() as f64;
            let mean = present().sum::<f64>() / n;
            let squares = present().map(|v| (v - mean) * (v - mean)).sum::<f64>();
            let std = if n > 1.0 { (squares / (n - 1.0)).sqrt() } else { f64::NAN };
            Content::Numeric {
                mean,
                std,
                min: present().fold(f64::NAN, f64::min),
                max: present().fold(f64::NAN, f64::max),
            }
        }
        Values::Categorical(x) => {
            let mut counts = vec![0; x.levels().len()];
            x.codes().iter().flatten().for_each(|code| counts[*code as usize] += 1);
            Content::Categorical(x.levels().iter().cloned().zip(counts).collect())
        }
    }
}

/// Four significant digits at least, and all digits before the point.
fn short(v: f64) -> String {
    if v == 0.0 || !v.is_finite() {
        return v.to_string();
    }
    let decimals = (3 - v.abs().log10().floor() as i32).clamp(0, 12) as usize;
    let text = format!("{v:.decimals$}");
    if decimals == 0 { text } else { text.trim_end_matches('0').trim_end_matches('.').to_owned() }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 6;
        match self {
            Content::Numeric { mean, .. } if mean.is_nan() => write!(f, "only missing values"),
            Content::Numeric { mean, std, min, max } => {
                write!(f, "mean {}, std {}, {} to {}", short(*mean), short(*std), short(*min), short(*max))
            }
            Content::Categorical(levels) => {
                for (i, (level, count)) in levels.iter().take(SHOWN).enumerate() {
                    write!(f, "{}{}: {count}", if i == 0 { "" } else { ", " }, plain(level))?;
                }
                match levels.len().saturating_sub(SHOWN) {
                    0 => Ok(()),
                    more => write!(f, " and {more} more levels"),
                }
            }
        }
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.columns.iter().map(|c| plain(&c.name).chars().count()).max().unwrap_or(0).max(6);
        write!(f, "{:width$} {:>8} {:>8}", "column", "present", "missing")?;
        for c in &self.columns {
            write!(f, "\n{:width$} {:>8} {:>8}  {}", plain(&c.name), c.present, c.missing, c.content)?;
        }
        Ok(())
    }
}
