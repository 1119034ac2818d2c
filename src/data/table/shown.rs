//! What stands in a table, as an error shows it: not more than a few words of it, and no control characters.

/// Names or levels that a list shows.
const MOST: usize = 40;

/// A text, in quotes.
pub(crate) fn shown(text: &str) -> String {
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
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
