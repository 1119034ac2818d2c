//! CSV and its relatives: values between commas, semicolons, tabs or spaces, one row to a line. The lines are taken apart by the `csv` crate
//! (RFC 4180: fields in double quotes, a double quote in one doubled).

mod columns;
mod file;
mod tidy;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use super::MOST_UNPACKED;
use super::text::{decode, expect_table, read, unpack};
use crate::data::table::Table;
use crate::error::{Error, Result};
use columns::Kind;
use file::File;

/// What pandas takes for a missing value (`na_values` of `read_csv`).
const MISSING: [&str; 19] = [
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null",
];

/// How a file is read; by default with a header and commas. Tables are read as pandas reads them, or refused with an error that says
/// what to do.
///
/// ```
/// use galen::data::formats::csv::Csv;
///
/// let file = "id,age,sex\n007,61,f\n7,?,m\n";
/// // One age is no number.
/// assert!(Csv::new().parse(file.as_bytes(), "patients.csv").is_err());
/// let table = Csv::new().also_missing(["?"]).parse(file.as_bytes(), "patients.csv")?;
/// assert_eq!((table.rows(), table.column("age")?.missing(), table.groups("id")?), (2, 1, vec![0, 1]));
/// # Ok::<(), galen::Error>(())
/// ```
///
/// # What a cell holds
///
/// White space around a cell is taken away. Missing are, in quotes or not, pandas's markers: an empty cell, `#N/A`, `#N/A N/A`, `#NA`,
/// `-1.#IND`, `-1.#QNAN`, `-NaN`, `-nan`, `1.#IND`, `1.#QNAN`, `<NA>`, `N/A`, `NA`, `NULL`, `NaN`, `None`, `n/a`, `nan` and `null`; others,
/// such as `?`, `-` or `-999`, by [`Csv::also_missing`].
///
/// A column holds numbers where every value that is not missing is a finite one, and texts (levels) where most are not. Between them
/// lies what is most likely a slip of the pen or a marker that nobody declared: where at least half of a column's values, or of its
/// different values, are numbers, the others (`<5`, `-`, `inf`) are an error that lists the first of them. [`Csv::also_missing`] or
/// [`Csv::texts`] then says what is meant.
///
/// Numbers are `f64`. What is written in digits is kept where its number does not give it back, so that ids stay apart; see [`Table`].
///
/// # What differs from pandas
///
/// - The infinities, which no network takes, are refused in columns of numbers, or missing by [`Csv::also_missing`].
/// - A name that stands twice, a row with fewer values than the others, and separators of thousands that part no groups of three are
///   refused.
/// - A row name before the others' values is refused unless [`Csv::extra`] wants it.
/// - `True` and `False` are texts.
/// - A line of nothing but white space and a comment is no row.
/// - A column without a name is called `column_3` by its place, counted from 1.
#[derive(Clone, Debug)]
pub struct Csv {
    header: bool,
    names: Option<Vec<String>>,
    delimiter: u8,
    spaces: bool,
    quote: Option<u8>,
    comment: Option<u8>,
    decimal_comma: bool,
    thousands: Option<u8>,
    extra: Extra,
    latin1: bool,
    missing: Vec<String>,
    most_bytes: u64,
    declared: BTreeMap<String, Kind>,
}

/// What becomes of the one too many where a header has one name more, or one fewer, than every row has values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Extra {
    /// It is an error.
    #[default]
    Refuse,
    /// The values before the others, which no name stands for, are a column `index`: row names as R writes them and pandas reads them.
    Index,
    /// The first is left out: row names, or the name of row names that are not there.
    DropFirst,
    /// The last is left out: what a delimiter at the end of lines makes. Values that are left out must be missing.
    DropLast,
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
            thousands: None,
            extra: Extra::Refuse,
            latin1: false,
            missing: MISSING.map(str::to_owned).to_vec(),
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

    /// What follows this in a line, outside of quotes, is skipped.
    #[must_use]
    pub fn comment(self, comment: u8) -> Self {
        Csv { comment: Some(comment), ..self }
    }

    /// Numbers are written as `12,5`; a delimiter other than the comma is then needed, unless such numbers are quoted.
    #[must_use]
    pub fn decimal_comma(self) -> Self {
        Csv { decimal_comma: true, ..self }
    }

    /// What may stand between groups of three digits before the decimal mark: `b','`, `b'.'`, `b'\''`, `b' '`. In other places it makes a
    /// value that is no number.
    #[must_use]
    pub fn thousands(self, separator: u8) -> Self {
        Csv { thousands: Some(separator), ..self }
    }

    /// What becomes of the name or values too many where a header has one name more, or one fewer, than every row has values.
    #[must_use]
    pub fn extra(self, extra: Extra) -> Self {
        Csv { extra, ..self }
    }

    /// The file is in Latin-1 (ISO 8859-1), not in UTF-8.
    #[must_use]
    pub fn latin1(self) -> Self {
        Csv { latin1: true, ..self }
    }

    /// Exactly these stand for a missing value, in place of pandas's markers, after white space around them is taken away.
    #[must_use]
    pub fn missing<S: Into<String>>(self, markers: impl IntoIterator<Item = S>) -> Self {
        Csv { missing: markers.into_iter().map(Into::into).collect(), ..self }
    }

    /// These stand for a missing value, too.
    #[must_use]
    pub fn also_missing<S: Into<String>>(mut self, markers: impl IntoIterator<Item = S>) -> Self {
        self.missing.extend(markers.into_iter().map(Into::into));
        self
    }

    /// Refuses gzipped files and readers that hold more bytes than this, before they fill the memory; 4 GiB unless told otherwise.
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
        let most = self.most_bytes;
        reader
            .by_ref()
            .take(most.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|reason| Error::Io { path: path(), reason })?;
        if bytes.len() as u64 > most {
            let expected = format!("at most {most} bytes (Csv::most_bytes)");
            return Err(Error::Format { path: path(), expected, actual: "more".to_owned() });
        }
        self.parse(&bytes, name)
    }

    /// The table in the bytes of a file, which may be gzipped; `name` is what errors call it.
    ///
    /// # Errors
    /// [`Error::Format`] where a row has more or fewer values than there are columns, a column that is declared to hold numbers or mostly
    /// holds them has other values (both with the lines), a name stands twice in the header, a declared column does not exist, a
    /// quote is never closed, it is no text, or a gzipped file holds more than [`Csv::most_bytes`];
    /// [`Error::Parameter`] where delimiter, quote and comment are not three different characters of ASCII, or what separates
    /// thousands is a digit, a sign, a letter, the decimal mark or none of ASCII.
    pub fn parse(&self, bytes: &[u8], name: impl AsRef<Path>) -> Result<Table> {
        self.check()?;
        let name = name.as_ref();
        let bytes = unpack(bytes, name, self.most_bytes, "Csv::most_bytes")?;
        let text = decode(&bytes, self.latin1, name)?;
        expect_table(&text)?;
        File { how: self, text: &self.tidy(&text), name }.table()
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
        let mark = if self.decimal_comma { b',' } else { b'.' };
        match self.thousands {
            Some(byte)
                if byte == mark || !(byte == b' ' || (byte.is_ascii_punctuation() && !b"+-".contains(&byte))) =>
            {
                let expected = "a space or a mark of ASCII that has no other meaning in a number";
                Err(Error::parameter("csv", "thousands", expected, format!("{:?}", char::from(byte))))
            }
            _ => Ok(()),
        }
    }
}
