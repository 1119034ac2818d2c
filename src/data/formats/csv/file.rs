//! A file's text becomes a table.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use csv::{ByteRecord, ReaderBuilder, Trim};

use super::columns::{Builder, Kind, Seen};
use super::{Csv, Extra};
use crate::data::formats::text::{format, line_at, shown};
use crate::data::table::{Table, cell, listed, other_cell};
use crate::error::{Error, Result};

/// A file's text, and how it is to be read.
pub(super) struct File<'a> {
    pub(super) how: &'a Csv,
    pub(super) text: &'a str,
    pub(super) name: &'a Path,
}

/// What stands in a row.
struct Layout {
    names: Vec<String>,
    declared: Vec<Option<Kind>>,
    /// How many values there are.
    width: usize,
    /// The value that belongs to no column.
    out: Option<usize>,
}

impl File<'_> {
    /// Reads the text twice: to see what the columns hold, and to take it.
    pub(super) fn table(&self) -> Result<Table> {
        let layout = self.layout()?;
        let seen = self.see(&layout)?;
        let kinds = self.kinds(&layout, &seen)?;
        let mut columns: Vec<Builder> = kinds.into_iter().map(Builder::new).collect();
        self.rows(&layout, |_, fields| {
            columns.iter_mut().zip(fields).for_each(|(column, field)| column.push(self.how, self.how.value(field)));
            Ok(())
        })?;
        for (i, column) in columns.iter().enumerate().filter(|(i, _)| layout.declared[*i].is_none()) {
            let (all, numbers) = column.levels().fold((0, 0), |(all, numbers), level| {
                (all + 1, numbers + usize::from(self.how.number(level).is_some()))
            });
            if numbers * 2 > all {
                return Err(self.mixed(
                    &layout.names[i],
                    &seen[i],
                    format!(", where {numbers} of {all} different values are numbers"),
                ));
            }
        }
        let mut built = layout.names.into_iter().zip(columns);
        built.try_fold(Table::new(), |table, (name, column)| table.with_column(name, column.finish()))
    }

    fn reader(&self) -> csv::Reader<&[u8]> {
        ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(self.how.delimiter)
            .quoting(self.how.quote.is_some())
            .quote(self.how.quote.unwrap_or(b'"'))
            .trim(Trim::All)
            .from_reader(self.text.as_bytes())
    }

    /// The columns' names, given, from the header or counted, and how they fit the first row of values.
    fn layout(&self) -> Result<Layout> {
        let (mut reader, mut first) = (self.reader(), ByteRecord::new());
        if !self.next(&mut reader, &mut first)? {
            let expected = if self.how.header { "a header" } else { "at least one row" };
            return Err(format(self.name, expected, "no line that holds anything"));
        }
        let counted = |i: usize| format!("column_{}", i + 1);
        let names: Vec<String> = match &self.how.names {
            Some(names) => names.clone(),
            // Programs that write row numbers leave their column without a name.
            None if self.how.header => {
                let name =
                    |(i, field): (usize, &[u8])| if field.is_empty() { counted(i) } else { text(field).to_owned() };
                first.iter().enumerate().map(name).collect()
            }
            None => (0..first.len()).map(counted).collect(),
        };
        let end_of_header = reader.position().byte();
        let rows = !self.how.header || self.next(&mut reader, &mut first)?;
        if !rows {
            self.check_quotes(0..end_of_header)?;
        }
        // A header without rows fits itself.
        let width = if rows || self.how.names.is_some() { first.len() } else { names.len() };
        let mut layout = Layout { names, declared: Vec::new(), width, out: None };
        if !self.fits(&mut layout) {
            self.check_quotes(self.at(&first)..reader.position().byte())?;
            return Err(self.misfit(&layout, &first));
        }
        self.check_names(&layout.names)?;
        layout.declared = layout.names.iter().map(|name| self.how.declared.get(name).copied()).collect();
        Ok(layout)
    }

    /// Whether there are as many names as values, once what is too many is dealt with.
    fn fits(&self, layout: &mut Layout) -> bool {
        let (names, width) = (layout.names.len(), layout.width);
        match self.how.extra {
            _ if names == width => return true,
            Extra::Index if names + 1 == width => layout.names.insert(0, "index".to_owned()),
            Extra::DropFirst if names + 1 == width => layout.out = Some(0),
            Extra::DropLast if names + 1 == width => layout.out = Some(names),
            Extra::DropFirst if names == width + 1 => drop(layout.names.remove(0)),
            Extra::DropLast if names == width + 1 => drop(layout.names.pop()),
            _ => return false,
        }
        true
    }

    fn misfit(&self, layout: &Layout, first: &ByteRecord) -> Error {
        let (names, width) = (layout.names.len(), layout.width);
        let expected = match &self.how.names {
            Some(_) => format!("{names} columns"),
            None => format!("{names} values in line {}, one for each column", self.line(self.at(first))),
        };
        let hint = match (names, width) {
            _ if names + 1 == width => {
                "; where all rows have one value more than there are names, Csv::extra reads it as an index or leaves it out"
            }
            _ if names == width + 1 => {
                "; where all rows have one value less than there are names, Csv::extra leaves the first or the last name out"
            }
            _ => "",
        };
        format(self.name, expected, format!("{width}{hint}"))
    }

    fn check_names(&self, names: &[String]) -> Result<()> {
        let mut places = BTreeMap::new();
        for (i, name) in names.iter().enumerate() {
            if let Some(before) = places.insert(name.as_str(), i) {
                let actual =
                    format!("{} in columns {} and {} (Csv::names gives others)", shown(name), before + 1, i + 1);
                return Err(format(self.name, "every column's name once", actual));
            }
        }
        match self.how.declared.keys().find(|declared| !places.contains_key(declared.as_str())) {
            Some(declared) => Err(format(self.name, format!("a column {}", shown(declared)), listed(names))),
            None => Ok(()),
        }
    }

    /// Looks at all values but those of columns that hold texts.
    fn see(&self, layout: &Layout) -> Result<Vec<Seen>> {
        let mut seen = vec![Seen::default(); layout.names.len()];
        self.rows(layout, |record, fields| {
            let at = self.at(record);
            for (i, field) in fields.enumerate().filter(|(i, _)| layout.declared[*i] != Some(Kind::Texts)) {
                if let Some(field) = self.how.value(field) {
                    seen[i].see(self.how, field, at);
                }
            }
            match layout.out.and_then(|out| record.get(out)).map(text).filter(|field| self.how.value(field).is_some()) {
                Some(field) if self.how.extra == Extra::DropLast => {
                    let expected = format!("nothing after the last column in line {}", self.line(at));
                    Err(format(self.name, expected, cell(field)))
                }
                _ => Ok(()),
            }
        })?;
        Ok(seen)
    }

    /// What each column holds: as declared, or numbers where all are, or texts where most are.
    fn kinds(&self, layout: &Layout, seen: &[Seen]) -> Result<Vec<Kind>> {
        let of = |((name, declared), seen): ((&String, &Option<Kind>), &Seen)| match declared {
            Some(Kind::Texts) => Ok(Kind::Texts),
            _ if seen.others == 0 => Ok(Kind::Numbers),
            Some(Kind::Numbers) => Err(self.mixed(name, seen, String::new())),
            None if seen.numbers * 2 >= seen.values => {
                let numbers = seen.values - seen.others;
                let why = if numbers * 2 >= seen.values {
                    format!(", where {numbers} of {} values are numbers", seen.values)
                } else {
                    format!(", where {} of {} values are or look like numbers", seen.numbers, seen.values)
                };
                Err(self.mixed(name, seen, why))
            }
            None => Ok(Kind::Texts),
        };
        layout.names.iter().zip(&layout.declared).zip(seen).map(of).collect()
    }

    /// The error for other values in a column of numbers; `why` it is one.
    fn mixed(&self, name: &str, seen: &Seen, why: String) -> Error {
        let Some(((at, first), others)) = seen.first.split_first() else {
            return format(self.name, "numbers", "texts");
        };
        let expected = format!("a number in line {}, column {}{why}", self.line(*at), shown(name));
        let mut actual = cell(first);
        others.iter().for_each(|(at, other)| actual += &format!(", {} in line {}", other_cell(other), self.line(*at)));
        if seen.others > seen.first.len() {
            actual += &format!(" and {} more", seen.others - seen.first.len());
        }
        let mut ways = vec!["Csv::also_missing takes such values for missing ones"];
        if seen.first.iter().any(|(_, other)| other.contains([',', '.']) && self.how.resembles_number(other)) {
            ways.push("Csv::decimal_comma and Csv::thousands read other notations");
        }
        ways.push("Csv::texts takes the column as it is");
        format(self.name, expected, format!("{actual} ({})", ways.join(", ")))
    }

    /// Goes over all rows; every one has as many values as the first.
    fn rows(
        &self,
        layout: &Layout,
        mut row: impl FnMut(&ByteRecord, &mut dyn Iterator<Item = &str>) -> Result<()>,
    ) -> Result<()> {
        let (mut reader, mut record) = (self.reader(), ByteRecord::new());
        if self.how.header {
            self.next(&mut reader, &mut record)?;
        }
        let mut last = 0..reader.position().byte();
        while self.next(&mut reader, &mut record)? {
            last = self.at(&record)..reader.position().byte();
            if record.len() != layout.width {
                self.check_quotes(last.clone())?;
                let line = self.line(last.start);
                let expected = format!("{} values in line {line}, one for each column", layout.width);
                return Err(format(self.name, expected, record.len().to_string()));
            }
            let fields =
                record.iter().enumerate().filter(|(i, _)| Some(*i) != layout.out).map(|(_, field)| text(field));
            row(&record, &mut { fields })?;
        }
        self.check_quotes(last)
    }

    /// The next row that holds anything.
    fn next(&self, reader: &mut csv::Reader<&[u8]>, record: &mut ByteRecord) -> Result<bool> {
        loop {
            match reader.read_byte_record(record) {
                Ok(true) if record.len() == 1 && record.iter().all(<[u8]>::is_empty) && !self.quoted(record) => {}
                Ok(more) => return Ok(more),
                Err(e) => return Err(format(self.name, "rows of values", e.to_string())),
            }
        }
    }

    /// Whether a row that came out empty was written as an empty field in quotes: a missing value, not a blank line.
    fn quoted(&self, record: &ByteRecord) -> bool {
        self.how.quote.is_some() && self.text.as_bytes().get(self.start(self.at(record))) == self.how.quote.as_ref()
    }

    /// Refuses a last row, which stands at these bytes, that ends within quotes: it would have swallowed all rows after the quote.
    fn check_quotes(&self, last: Range<u64>) -> Result<()> {
        let Some(quote) = self.how.quote else { return Ok(()) };
        let (from, to, bytes) = (self.start(last.start), last.end as usize, self.text.as_bytes());
        let (mut opened, mut begins) = (None, true);
        for (i, byte) in bytes.iter().enumerate().take(to).skip(from) {
            match (*byte, opened) {
                (b, None) if b == quote && begins => opened = Some(i),
                // A doubled quote closes and opens again.
                (b, Some(_)) if b == quote => (opened, begins) = (None, bytes.get(i + 1) == Some(&quote)),
                (b, None) => begins = b == self.how.delimiter || b == b'\n' || b == b'\r',
                _ => {}
            }
        }
        match opened {
            Some(at) => {
                let actual = format!("one that is opened in line {} and never closed", line_at(bytes, at));
                Err(format(self.name, "pairs of quotes", actual))
            }
            None => Ok(()),
        }
    }

    /// Where the reader says that a row begins.
    fn at(&self, record: &ByteRecord) -> u64 {
        record.position().map_or(0, |p| p.byte())
    }

    /// Where such a row really does: after blank lines and the end of the line before it.
    fn start(&self, at: u64) -> usize {
        let bytes = self.text.as_bytes();
        let at = usize::try_from(at).unwrap_or(bytes.len()).min(bytes.len());
        at + bytes[at..].iter().take_while(|b| matches!(b, b'\n' | b'\r')).count()
    }

    /// The line of a row that begins there.
    fn line(&self, at: u64) -> usize {
        line_at(self.text.as_bytes(), self.start(at))
    }
}

/// A field as text. The whole is text, and is cut only at characters of ASCII.
fn text(field: &[u8]) -> &str {
    std::str::from_utf8(field).unwrap_or_default()
}
