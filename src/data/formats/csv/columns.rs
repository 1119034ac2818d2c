//! What columns hold, and columns that grow row by row.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::Csv;
use crate::data::table::{Categorical, Column, Values, Written, number};

/// What a column is read as.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Numbers,
    Texts,
}

impl Csv {
    /// A value, where it is not missing.
    pub(super) fn value<'f>(&self, field: &'f str) -> Option<&'f str> {
        (!self.missing.iter().any(|marker| marker == field)).then_some(field)
    }

    /// A finite number, and how it would be written with a decimal point and without separators of thousands.
    pub(super) fn number<'f>(&self, field: &'f str) -> Option<(f64, Cow<'f, str>)> {
        let mut text = Cow::Borrowed(field);
        if let Some(separator) = self.thousands {
            text = ungrouped(field, char::from(separator), if self.decimal_comma { ',' } else { '.' })?;
        }
        if self.decimal_comma {
            // A point would have to stand between thousands, and is more likely a slip.
            if text.contains('.') {
                return None;
            }
            text = Cow::Owned(text.replace(',', "."));
        }
        number(&text).map(|v| (v, text))
    }

    /// Whether a value that is no finite number looks like one: an infinity, or one with other separators than were named.
    pub(super) fn resembles_number(&self, field: &str) -> bool {
        let other = if self.decimal_comma {
            number(field).is_some()
        } else {
            let digits = field.strip_prefix(['+', '-']).unwrap_or(field);
            let plain = digits.bytes().all(|b| b.is_ascii_digit() || b == b',' || b == b'.');
            plain && digits.contains(',') && digits.ends_with(|c: char| c.is_ascii_digit())
        };
        other || field.parse::<f64>().is_ok_and(f64::is_infinite)
    }
}

/// A number without what stands between its groups of three digits; `None` where it stands elsewhere.
fn ungrouped(text: &str, separator: char, mark: char) -> Option<Cow<'_, str>> {
    if !text.contains(separator) {
        return Some(Cow::Borrowed(text));
    }
    let whole = text.find([mark, 'e', 'E']).unwrap_or(text.len());
    let (whole, rest) = text.split_at(whole);
    let digits = whole.strip_prefix(['+', '-']).unwrap_or(whole);
    let mut groups = digits.split(separator);
    let first = groups.next().is_some_and(|group| (1..=3).contains(&group.len()));
    (first && groups.all(|group| group.len() == 3) && !rest.contains(separator))
        .then(|| Cow::Owned(whole.replace(separator, "") + rest))
}

/// What was seen of a column.
#[derive(Clone, Default)]
pub(super) struct Seen {
    /// Values that are not missing.
    pub(super) values: usize,
    /// Of them, numbers and what looks like one.
    pub(super) numbers: usize,
    /// Of them, those that are no finite number.
    pub(super) others: usize,
    /// The first of these, with the bytes at which their rows begin.
    pub(super) first: Vec<(u64, String)>,
}

impl Seen {
    /// Values that are no numbers, as an error lists them.
    const SHOWN: usize = 5;

    pub(super) fn see(&mut self, how: &Csv, field: &str, at: u64) {
        let is_number = how.number(field).is_some();
        self.values += 1;
        self.numbers += usize::from(is_number || how.resembles_number(field));
        if !is_number {
            self.others += 1;
            if self.first.len() < Seen::SHOWN {
                self.first.push((at, field.to_owned()));
            }
        }
    }
}

/// A column that grows row by row.
pub(super) enum Builder {
    Numbers(Written),
    Texts { places: BTreeMap<String, u32>, codes: Vec<Option<u32>> },
}

impl Builder {
    pub(super) fn new(kind: Kind) -> Builder {
        match kind {
            Kind::Numbers => Builder::Numbers(Written::default()),
            Kind::Texts => Builder::Texts { places: BTreeMap::new(), codes: Vec::new() },
        }
    }

    pub(super) fn push(&mut self, how: &Csv, value: Option<&str>) {
        match self {
            Builder::Numbers(x) => match value.and_then(|value| how.number(value)) {
                Some((v, text)) => x.push(&text, v),
                None => x.push("", f64::NAN),
            },
            Builder::Texts { places, codes } => codes.push(value.map(|value| match places.get(value) {
                Some(place) => *place,
                None => {
                    let next = places.len() as u32;
                    places.insert(value.to_owned(), next);
                    next
                }
            })),
        }
    }

    /// The different texts.
    pub(super) fn levels(&self) -> impl Iterator<Item = &String> {
        let places = match self {
            Builder::Numbers(_) => None,
            Builder::Texts { places, .. } => Some(places),
        };
        places.into_iter().flat_map(BTreeMap::keys)
    }

    /// The column; levels are sorted, so that they do not depend on the order of the rows.
    pub(super) fn finish(self) -> Column {
        match self {
            Builder::Numbers(x) => x.finish(),
            Builder::Texts { places, codes } => {
                let mut sorted = vec![0; places.len()];
                places.values().zip(0..).for_each(|(place, rank)| sorted[*place as usize] = rank);
                let codes = codes.into_iter().map(|code| code.map(|code| sorted[code as usize])).collect();
                Values::Categorical(Categorical::known(places.into_keys().collect(), codes)).into()
            }
        }
    }
}
