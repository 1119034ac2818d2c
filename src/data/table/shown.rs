//! What stands in a table, as an error shows it. Names are shown, shortened. Cells may be a patient's: of them only the length is told,
//! unless `GALEN_SHOW_VALUES` allows more.

use std::sync::atomic::{AtomicU8, Ordering};

use crate::env;
use crate::error::Result;

/// Names or levels that a list shows.
const MOST: usize = 40;

/// A text, in quotes.
pub(crate) fn shown(text: &str) -> String {
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// Lets errors quote the cells of tables, in this process, or keeps them from it, as it is without `GALEN_SHOW_VALUES=1`. A cell may tell
/// who a patient is, and errors end up in logs and mails.
///
/// ```
/// use galen::data::formats::csv::Csv;
///
/// let wrong = || Csv::new().numbers(["age"]).parse(b"age\nunknown\n", "people.csv").unwrap_err().to_string();
/// assert!(wrong().contains("a value of 7 characters"));
/// galen::data::show_values(true);
/// assert!(wrong().contains("\"unknown\""));
/// ```
pub fn show_values(allow: bool) {
    SHOW.store(if allow { YES } else { NO }, Ordering::Relaxed);
}

/// What a program said: nothing, so that the environment counts, or one of the others.
static SHOW: AtomicU8 = AtomicU8::new(0);
const YES: u8 = 1;
const NO: u8 = 2;

/// Whether cells may be quoted.
fn may_show() -> Result<bool> {
    match SHOW.load(Ordering::Relaxed) {
        0 => env::show_values(),
        said => Ok(said == YES),
    }
}

/// A cell: quoted where that is allowed, else its length and how to see it.
pub(crate) fn cell(text: &str) -> String {
    match may_show() {
        Ok(true) => shown(text),
        Ok(false) => format!("{} (GALEN_SHOW_VALUES=1 shows it)", length(text)),
        Err(e) => format!("{} ({e})", length(text)),
    }
}

/// A cell beside another that says how to see both.
pub(crate) fn other_cell(text: &str) -> String {
    if matches!(may_show(), Ok(true)) { shown(text) } else { length(text) }
}

fn length(text: &str) -> String {
    match text.chars().count() {
        1 => "a value of 1 character".to_owned(),
        n => format!("a value of {n} characters"),
    }
}

/// Levels that cells had: listed where that is allowed, else their number.
pub(crate) fn cells(levels: &[String]) -> String {
    if matches!(may_show(), Ok(true)) { listed_levels(levels) } else { format!("one of {}", levels.len()) }
}

/// Names, in quotes.
pub(crate) fn listed(names: &[String]) -> String {
    list(names, shown)
}

/// Levels, without quotes.
pub(crate) fn listed_levels(levels: &[String]) -> String {
    list(levels, |level| {
        let plain = |c: char| if c.is_control() { c.escape_debug().to_string() } else { c.to_string() };
        let more = if level.chars().nth(MOST).is_some() { "..." } else { "" };
        level.chars().take(MOST).map(plain).collect::<String>() + more
    })
}

fn list(texts: &[String], shown: impl Fn(&str) -> String) -> String {
    let mut some: Vec<String> = texts.iter().take(MOST).map(|text| shown(text)).collect();
    if texts.len() > MOST {
        some.push(format!("and {} more", texts.len() - MOST));
    }
    if some.is_empty() { "none".to_owned() } else { some.join(", ") }
}
