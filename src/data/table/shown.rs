//! What stands in a table, as an error shows it. Names are shown, shortened. Cells may be a patient's: of them only the length is told,
//! unless `GALEN_SHOW_VALUES` allows more.

use crate::env;

/// Names or levels that a list shows.
const MOST: usize = 40;

/// A text, in quotes.
pub(crate) fn shown(text: &str) -> String {
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// A cell: quoted where that is allowed, else its length.
pub(crate) fn cell(text: &str) -> String {
    match env::show_values() {
        Ok(true) => shown(text),
        Ok(false) => format!("a value of {} characters ({HOW})", text.chars().count()),
        Err(e) => format!("a value of {} characters ({e})", text.chars().count()),
    }
}

/// Levels that cells had: listed where that is allowed, else their number.
pub(crate) fn cells(levels: &[String]) -> String {
    match env::show_values() {
        Ok(true) => listed_levels(levels),
        _ => format!("{} of them; {HOW}", levels.len()),
    }
}

/// How a user gets to see values.
const HOW: &str = "GALEN_SHOW_VALUES=1 shows it";

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
