//! CSV and its relatives: values between commas, semicolons, tabs or spaces, one row to a line. The lines are taken apart by the `csv` crate
//! (RFC 4180: fields in double quotes, a double quote in one doubled).

use std::collections::BTreeMap;
use std::io::Read;
use std::ops::Range;
use std::path::Path;

use csv::{ByteRecord, ReaderBuilder, Trim};

use super::text::{MOST_UNPACKED, decode, format, line_at, read, shown, unpack};
use crate::data::table::{Categorical, Table, Values, number};
use crate::error::{Error, Result};

/// How a file is read; by default with a header, commas, and `""`, `?`, `NA` and `NaN` for what is missing.
///
/// A column holds numbers where every value that is not missing is a finite one, and texts otherwise; so one slip of the pen turns
/// numbers into texts. Declare the columns that must be numbers: then the slip is an error that names its line.
///
/// ```
/// use galen::data::formats::csv::Csv;
///
/// let file = "id,age,sex\n7,61,f\n8,?,m\n";
/// let table = Csv::new().texts(["id"]).numbers(["age"]).parse(file.as_bytes(), "patients.csv")?;
/// assert_eq!((table.rows(), table.column("age")?.missing()), (2, 1));
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Csv {
    header: bool,
    names: Option<Vec<String>>,
    delimiter: u8,
    spaces: bool,
    quote: Option<u8>,
    comment: Option<u8>,
    decimal_comma: bool,
    latin1: bool,
    missing: Vec<String>,
    most_bytes: u64,
    declared: BTreeMap<String, Kind>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Numbers,
    Texts,
}

impl Default for Csv {
    fn default() -> Self {
        Csv {
            header: true,
            names: None,
            delimiter: b',',
            spaces: false,
            quote: Some(b'"'),
            comment: None,
            decimal_comma: false,
            latin1: false,
            missing: ["", "?", "NA", "NaN"].map(str::to_owned).to_vec(),
            most_bytes: MOST_UNPACKED,
            declared: BTreeMap::new(),
        }
    }
}

impl Csv {
    /// Comma-separated, with a header.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the first row holds the columns' names. Without it they are `column_1`, `column_2`, … unless [`Csv::names`] gives others.
    #[must_use]
    pub fn header(self, header: bool) -> Self {
        Csv { header, ..self }
    }

    /// The columns' names, one for each, in place of those in the header (where there is one, it is skipped).
    #[must_use]
    pub fn names<S: Into<String>>(self, names: impl IntoIterator<Item = S>) -> Self {
        Csv { names: Some(names.into_iter().map(Into::into).collect()), ..self }
    }

    /// What stands between values: `b';'`, `b'\t'`.
    #[must_use]
    pub fn delimiter(self, delimiter: u8) -> Self {
        Csv { delimiter, spaces: false, ..self }
    }

    /// Any number of spaces and tabs stands between values.
    #[must_use]
    pub fn spaces(self) -> Self {
        Csv { delimiter: b' ', spaces: true, ..self }
    }

    /// What stands around values that hold delimiters or line ends; `None` where quotes are characters like any other.
    #[must_use]
    pub fn quote(self, quote: Option<u8>) -> Self {
        Csv { quote, ..self }
    }

    /// Lines that begin with this are skipped.
    #[must_use]
    pub fn comment(self, comment: u8) -> Self {
        Csv { comment: Some(comment), ..self }
    }

    /// Numbers are written as `12,5`; a delimiter other than the comma is then needed, unless such numbers are quoted.
    #[must_use]
    pub fn decimal_comma(self) -> Self {
        Csv { decimal_comma: true, ..self }
    }

    /// The file is in Latin-1 (ISO 8859-1), not in UTF-8.
    #[must_use]
    pub fn latin1(self) -> Self {
        Csv { latin1: true, ..self }
    }

    /// Exactly these stand for a missing value, after white space around them is taken away.
    #[must_use]
    pub fn missing<S: Into<String>>(self, markers: impl IntoIterator<Item = S>) -> Self {
        Csv { missing: markers.into_iter().map(Into::into).collect(), ..self }
    }

    /// Refuses gzipped files that hold more bytes than this, before they fill the memory; 4 GiB unless told otherwise.
    #[must_use]
    pub fn most_bytes(self, bytes: u64) -> Self {
        Csv { most_bytes: bytes, ..self }
    }

    /// These columns hold numbers; anything else in them is an error.
    #[must_use]
    pub fn numbers<S: Into<String>>(self, columns: impl IntoIterator<Item = S>) -> Self {
        self.declare(columns, Kind::Numbers)
    }

    /// These columns hold texts, also where every one of them is a number (patients' ids, classes 0 and 1).
    #[must_use]
    pub fn texts<S: Into<String>>(self, columns: impl IntoIterator<Item = S>) -> Self {
        self.declare(columns, Kind::Texts)
    }

    fn declare<S: Into<String>>(mut self, columns: impl IntoIterator<Item = S>, kind: Kind) -> Self {
        self.declared.extend(columns.into_iter().map(|name| (name.into(), kind)));
        self
    }

    /// The table in a file, which may be gzipped.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be read; otherwise as [`Csv::parse`].
    pub fn read(&self, path: impl AsRef<Path>) -> Result<Table> {
        self.parse(&read(path.as_ref())?, path)
    }

    /// The table in what a reader gives, read to its end; `name` is what errors call it.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read; otherwise as [`Csv::parse`].
    pub fn from_reader(&self, mut reader: impl Read, name: impl AsRef<Path>) -> Result<Table> {
        let mut bytes = Vec::new();
        let path = || name.as_ref().to_owned();
        reader.read_to_end(&mut bytes).map_err(|reason| Error::Io { path: path(), reason })?;
        self.parse(&bytes, name)
    }

    /// The table in the bytes of a file, which may be gzipped; `name` is what errors call it.
    ///
    /// # Errors
    /// [`Error::Format`] where a row has more or fewer values than there are columns, a declared number is none (both with the line), a
    /// name stands twice in the header, a declared column does not exist, a quote is never closed, it is no text, or
    /// a gzipped file holds more than [`Csv::most_bytes`];
    /// [`Error::Parameter`] where delimiter, quote and comment are not three different characters of ASCII.
    pub fn parse(&self, bytes: &[u8], name: impl AsRef<Path>) -> Result<Table> {
        self.check()?;
        let name = name.as_ref();
        let bytes = unpack(bytes, name, self.most_bytes, "Csv::most_bytes")?;
        let text = decode(&bytes, self.latin1, name)?;
        if self.spaces {
            File { how: self, text: &single_spaces(&text, self.quote), name }.table()
        } else {
            File { how: self, text: &text, name }.table()
        }
    }

    fn check(&self) -> Result<()> {
        let given = [Some(self.delimiter), self.quote, self.comment];
        for (i, byte) in given.iter().enumerate().filter_map(|(i, byte)| byte.map(|b| (i, b))) {
            let usable = byte.is_ascii() && !matches!(byte, b'\n' | b'\r' | 0);
            if !usable || given[..i].contains(&Some(byte)) {
                let what = ["delimiter", "quote", "comment"][i];
                let expected = "a character of ASCII that ends no line and has no other meaning";
                return Err(Error::parameter("csv", what, expected, format!("{:?}", char::from(byte))));
            }
        }
        Ok(())
    }
}

/// The text with every run of spaces and tabs outside of quotes as one space, and none at the ends of lines.
fn single_spaces(text: &str, quote: Option<u8>) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut inside, mut pending) = (false, false);
    for c in text.chars() {
        if !inside && (c == ' ' || c == '\t') {
            pending = true;
            continue;
        }
        let begins_line = out.is_empty() || out.ends_with(['\n', '\r']);
        if pending && !begins_line && !matches!(c, '\n' | '\r') {
            out.push(' ');
        }
        pending = false;
        // Quotes do not reach over lines here: a single one in a comment would turn all that follows around.
        inside = c != '\n' && inside ^ quote.is_some_and(|q| char::from(q) == c);
        out.push(c);
    }
    out
}

/// A file's text, and how it is to be read.
struct File<'a> {
    how: &'a Csv,
    text: &'a str,
    name: &'a Path,
}

impl File<'_> {
    /// Reads the text twice: to see what the columns hold, and to take it.
    fn table(&self) -> Result<Table> {
        let names = self.names()?;
        let kinds = self.kinds(&names)?;
        let mut columns: Vec<Builder> = kinds.iter().map(|kind| Builder::new(*kind)).collect();
        self.rows(&names, |record| {
            for (column, field) in columns.iter_mut().zip(record.iter()) {
                column.push(self.value(field), |field| self.number(field));
            }
            Ok(())
        })?;
        let mut built = names.iter().zip(columns);
        built.try_fold(Table::new(), |table, (name, column)| table.with(name, column.finish()))
    }

    fn reader(&self) -> csv::Reader<&[u8]> {
        ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(self.how.delimiter)
            .quoting(self.how.quote.is_some())
            .quote(self.how.quote.unwrap_or(b'"'))
            .comment(self.how.comment)
            .trim(Trim::All)
            .from_reader(self.text.as_bytes())
    }

    /// The columns' names: given, from the header, or counted.
    fn names(&self) -> Result<Vec<String>> {
        let mut first = ByteRecord::new();
        if !self.next(&mut self.reader(), &mut first)? {
            let expected = if self.how.header { "a header" } else { "at least one row" };
            return Err(format(self.name, expected, "no line that holds anything"));
        }
        let counted = |i: usize| format!("column_{}", i + 1);
        let names: Vec<String> = match &self.how.names {
            Some(names) if names.len() != first.len() => {
                return Err(format(self.name, format!("{} columns", names.len()), first.len().to_string()));
            }
            Some(names) => names.clone(),
            // Programs that write row numbers leave their column without a name.
            None if self.how.header => {
                let name =
                    |(i, field): (usize, &[u8])| if field.is_empty() { counted(i) } else { text(field).to_owned() };
                first.iter().enumerate().map(name).collect()
            }
            None => (0..first.len()).map(counted).collect(),
        };
        let mut places = BTreeMap::new();
        for (i, name) in names.iter().enumerate() {
            if let Some(before) = places.insert(name.as_str(), i) {
                let actual = format!("{} in columns {} and {}", shown(name), before + 1, i + 1);
                return Err(format(self.name, "every column's name once", actual));
            }
        }
        match self.how.declared.keys().find(|declared| !places.contains_key(declared.as_str())) {
            Some(declared) => {
                let known: Vec<String> = names.iter().take(40).map(|name| shown(name)).collect();
                Err(format(self.name, format!("a column {}", shown(declared)), known.join(", ")))
            }
            None => Ok(names),
        }
    }

    /// What each column holds: as declared, or numbers where all are.
    fn kinds(&self, names: &[String]) -> Result<Vec<Kind>> {
        let declared: Vec<Option<Kind>> = names.iter().map(|name| self.how.declared.get(name).copied()).collect();
        let mut kinds: Vec<Kind> = declared.iter().map(|kind| kind.unwrap_or(Kind::Numbers)).collect();
        self.rows(names, |record| {
            for (i, field) in record.iter().enumerate() {
                if kinds[i] == Kind::Texts || self.value(field).is_none_or(|field| self.number(field).is_some()) {
                    continue;
                }
                if declared[i].is_some() {
                    let place = format!("line {}, column {}", self.line(record), shown(&names[i]));
                    return Err(format(self.name, format!("a number in {place}"), shown(text(field))));
                }
                kinds[i] = Kind::Texts;
            }
            Ok(())
        })?;
        Ok(kinds)
    }

    /// Goes over all rows; every one has as many values as there are names.
    fn rows(&self, names: &[String], mut row: impl FnMut(&ByteRecord) -> Result<()>) -> Result<()> {
        let (mut reader, mut record) = (self.reader(), ByteRecord::new());
        if self.how.header {
            self.next(&mut reader, &mut record)?;
        }
        let mut last = 0..reader.position().byte();
        while self.next(&mut reader, &mut record)? {
            last = record.position().map_or(0, |p| p.byte())..reader.position().byte();
            if record.len() != names.len() {
                self.check_quotes(last)?;
                let expected = format!("{} values in line {}, one for each column", names.len(), self.line(&record));
                return Err(format(self.name, expected, record.len().to_string()));
            }
            row(&record)?;
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
        let from = self.start(record.position().map_or(0, |p| p.byte()));
        self.how.quote.is_some() && self.text.as_bytes().get(from) == self.how.quote.as_ref()
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

    /// Where a row that the reader says begins at `at` really does: after blank lines, comments and the end of the line before it.
    fn start(&self, at: u64) -> usize {
        let bytes = self.text.as_bytes();
        let mut at = usize::try_from(at).unwrap_or(bytes.len()).min(bytes.len());
        loop {
            match bytes.get(at) {
                Some(b'\n' | b'\r') => at += 1,
                Some(byte) if Some(*byte) == self.how.comment => {
                    at += bytes[at..].iter().take_while(|b| **b != b'\n').count();
                }
                _ => return at,
            }
        }
    }

    fn line(&self, record: &ByteRecord) -> usize {
        line_at(self.text.as_bytes(), self.start(record.position().map_or(0, |p| p.byte())))
    }

    /// A value, where it is not missing.
    fn value<'f>(&self, field: &'f [u8]) -> Option<&'f str> {
        let field = text(field);
        (!self.how.missing.iter().any(|marker| marker == field)).then_some(field)
    }

    fn number(&self, field: &str) -> Option<f64> {
        if !self.how.decimal_comma {
            return number(field);
        }
        // A point would have to stand between thousands, and is more likely a slip.
        if field.contains('.') { None } else { number(&field.replace(',', ".")) }
    }
}

/// A field as text. The whole is text, and is cut only at characters of ASCII.
fn text(field: &[u8]) -> &str {
    std::str::from_utf8(field).unwrap_or_default()
}

/// A column that grows row by row.
enum Builder {
    Numbers(Vec<f64>),
    Texts { places: BTreeMap<String, u32>, codes: Vec<Option<u32>> },
}

impl Builder {
    fn new(kind: Kind) -> Builder {
        match kind {
            Kind::Numbers => Builder::Numbers(Vec::new()),
            Kind::Texts => Builder::Texts { places: BTreeMap::new(), codes: Vec::new() },
        }
    }

    fn push(&mut self, value: Option<&str>, number: impl Fn(&str) -> Option<f64>) {
        match self {
            Builder::Numbers(x) => x.push(value.and_then(number).unwrap_or(f64::NAN)),
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

    /// The column; levels are sorted, so that they do not depend on the order of the rows.
    fn finish(self) -> Values {
        match self {
            Builder::Numbers(x) => Values::Numeric(x),
            Builder::Texts { places, codes } => {
                let mut sorted = vec![0; places.len()];
                places.values().zip(0..).for_each(|(place, rank)| sorted[*place as usize] = rank);
                let codes = codes.into_iter().map(|code| code.map(|code| sorted[code as usize])).collect();
                Values::Categorical(Categorical::known(places.into_keys().collect(), codes))
            }
        }
    }
}
