//! ARFF, the format of Weka and of many clinical sets of the UCI and OpenML repositories, multi-label sets of Mulan included.
//!
//! Lines `@relation name`, then `@attribute name type` for each column, then `@data` and a row to a line, dense (`1, ?, yes`) or sparse
//! (`{0 1, 2 yes}`: places counted from 0; the others are 0, or the first value of their list). A `%` before a word begins a comment,
//! `?` is a missing value, and names and values may stand in single or double quotes, with backslashes before what would end them.
//! Source: <https://waikato.github.io/weka-wiki/formats_and_processing/arff_stable/>.
//!
//! Types `numeric`, `real` and `integer` become numbers, lists `{a, b}` levels in their order, `string` and `date` levels that are sorted.
//! Relational attributes and instance weights are refused.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use super::MOST_UNPACKED;
use super::text::{decode, expect_table, format, read as read_file, shown, unpack};
use crate::data::table::{self, Categorical, Table, Values, Written, cell, listed_levels, number};
use crate::error::{Error, Result};

/// Values that a table with sparse rows may have in all, 2 GiB of them: a small file can ask for far more than memory holds.
const MOST_FROM_SPARSE: usize = 1 << 28;

/// The table in an ARFF file, which may be gzipped.
///
/// # Errors
/// [`Error::Io`] where the file cannot be read; otherwise as [`parse`].
pub fn read(path: impl AsRef<Path>) -> Result<Table> {
    parse(&read_file(path.as_ref())?, path)
}

/// The table in the bytes of an ARFF file, which may be gzipped; `name` is what errors call it.
///
/// # Errors
/// [`Error::Format`], with the line, where a declaration is none, a name stands twice, a row has more or fewer values than there are
/// attributes, a value is no number or not in its list, a quote is never closed, `@data` never comes, or a gzipped file
/// holds more than 4 GiB.
pub fn parse(bytes: &[u8], name: impl AsRef<Path>) -> Result<Table> {
    parse_within(bytes, name.as_ref(), MOST_FROM_SPARSE)
}

fn parse_within(bytes: &[u8], name: &Path, most: usize) -> Result<Table> {
    let bytes = unpack(bytes, name, MOST_UNPACKED, "unpack it to read more")?;
    let text = decode(&bytes, false, name)?;
    expect_table(&text)?;
    let mut lines = Lines { lines: text.lines(), number: 0, name, is_data: false };
    let mut attributes = header(&mut lines)?;
    lines.is_data = true;
    while let Some(mut line) = lines.next() {
        row(&mut line, &mut attributes, most)?;
    }
    attributes.into_iter().try_fold(Table::new(), |table, a| table.with_column(a.name, a.column.finish()))
}

/// The lines that hold more than white space and comments.
struct Lines<'a> {
    lines: std::str::Lines<'a>,
    number: usize,
    name: &'a Path,
    /// Whether the declarations have ended.
    is_data: bool,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<Line<'a>> {
        loop {
            self.number += 1;
            let (number, name, is_data) = (self.number, self.name, self.is_data);
            let mut line = Line { rest: self.lines.next()?, number, name, is_data };
            if !line.is_done() {
                return Some(line);
            }
        }
    }
}

/// What is left of a line.
struct Line<'a> {
    rest: &'a str,
    number: usize,
    name: &'a Path,
    /// Whether it holds values: a patient's, perhaps.
    is_data: bool,
}

/// A word of a line; in quotes it is never a mark (`?`), a keyword or a number's place.
struct Word {
    text: String,
    quoted: bool,
}

impl Line<'_> {
    fn refuse(&self, expected: impl std::fmt::Display, actual: impl Into<String>) -> Error {
        format(self.name, format!("{expected} in line {}", self.number), actual)
    }

    /// What stands next, as an error shows it.
    fn found(&self) -> String {
        if self.rest.is_empty() { "the end of the line".to_owned() } else { self.shown(self.rest) }
    }

    /// A text of this line, as an error shows it.
    fn shown(&self, text: &str) -> String {
        if self.is_data { cell(text) } else { shown(text) }
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// Whether only white space and a comment are left.
    fn is_done(&mut self) -> bool {
        self.skip_space();
        self.rest.is_empty() || self.rest.starts_with('%')
    }

    fn take(&mut self, mark: char) -> bool {
        self.skip_space();
        match self.rest.strip_prefix(mark) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// The next word: in quotes, or up to white space, a comma or a brace.
    fn word(&mut self, what: &str) -> Result<Word> {
        self.skip_space();
        match self.rest.chars().next() {
            Some(quote @ ('\'' | '"')) => self.quoted(quote),
            _ => {
                let ends = |c: char| c.is_whitespace() || matches!(c, ',' | '{' | '}');
                let end = self.rest.find(ends).unwrap_or(self.rest.len());
                let (text, rest) = self.rest.split_at(end);
                if text.is_empty() || text.starts_with('%') {
                    return Err(self.refuse(what, self.found()));
                }
                self.rest = rest;
                Ok(Word { text: text.to_owned(), quoted: false })
            }
        }
    }

    fn quoted(&mut self, quote: char) -> Result<Word> {
        let (mut text, mut escaped) = (String::new(), false);
        for (i, c) in self.rest.char_indices().skip(1) {
            match c {
                _ if escaped => {
                    text.push(match c {
                        'n' => '\n',
                        'r' => '\r',
                        't' => '\t',
                        c => c,
                    });
                    escaped = false;
                }
                '\\' => escaped = true,
                c if c == quote => {
                    self.rest = &self.rest[i + c.len_utf8()..];
                    return Ok(Word { text, quoted: true });
                }
                c => text.push(c),
            }
        }
        Err(self.refuse(format!("a closing {quote}"), format!("{}, which never ends", self.shown(self.rest))))
    }

    /// Goes past the comma, or the tab, between two values; `false` at the end of the line.
    fn between(&mut self, end: Option<char>) -> Result<bool> {
        let space = self.rest.len() - self.rest.trim_start().len();
        let tab = self.rest[..space].contains('\t');
        if self.take(',') {
            return Ok(true);
        }
        match end {
            Some(end) if self.rest.starts_with(end) => Ok(false),
            None if self.is_done() => Ok(false),
            _ if tab => Ok(true),
            _ => Err(self.refuse("a comma between values", self.found())),
        }
    }

    fn end(&mut self) -> Result<()> {
        if self.is_done() { Ok(()) } else { Err(self.refuse("nothing more", self.found())) }
    }
}

struct Attribute {
    name: String,
    column: Column,
}

/// A column that grows row by row.
enum Column {
    Numbers(Written),
    /// A declared list, with the place of each of its values.
    Listed {
        levels: Vec<String>,
        places: HashMap<String, u32>,
        codes: Vec<Option<u32>>,
    },
    Texts(Vec<Option<String>>),
}

/// Reads all declarations up to `@data`.
fn header(lines: &mut Lines<'_>) -> Result<Vec<Attribute>> {
    let (mut attributes, mut names) = (Vec::new(), BTreeSet::new());
    while let Some(mut line) = lines.next() {
        let keyword = line.word("@relation, @attribute or @data")?;
        match keyword.text.to_ascii_lowercase().as_str() {
            _ if keyword.quoted => return Err(line.refuse("@relation, @attribute or @data", shown(&keyword.text))),
            // Its name may be anything, and means nothing here.
            "@relation" => {}
            "@attribute" => {
                let attribute = attribute(&mut line)?;
                if !names.insert(attribute.name.clone()) {
                    return Err(line.refuse("a name that no attribute before has", shown(&attribute.name)));
                }
                attributes.push(attribute);
            }
            "@data" if attributes.is_empty() => return Err(line.refuse("an @attribute before @data", "none")),
            "@data" => {
                line.end()?;
                return Ok(attributes);
            }
            _ => return Err(line.refuse("@relation, @attribute or @data", shown(&keyword.text))),
        }
    }
    Err(format(lines.name, "a line @data", format!("none in {} lines", lines.number.saturating_sub(1))))
}

fn attribute(line: &mut Line<'_>) -> Result<Attribute> {
    let name = line.word("an attribute's name")?.text;
    if line.take('{') {
        let column = list(line, &name)?;
        line.end()?;
        return Ok(Attribute { name, column });
    }
    let kind = line.word("the attribute's type")?.text;
    let column = match kind.to_ascii_lowercase().as_str() {
        "numeric" | "real" | "integer" => Column::Numbers(Written::default()),
        "string" | "date" => Column::Texts(Vec::new()),
        _ => {
            let expected =
                format!("a type of attribute {} (numeric, real, integer, string, date or {{a, b}})", shown(&name));
            return Err(line.refuse(expected, shown(&kind)));
        }
    };
    // A date may have a format after it.
    if kind.eq_ignore_ascii_case("date") && !line.is_done() {
        line.word("the date's format")?;
    }
    line.end()?;
    Ok(Attribute { name, column })
}

/// The values of a list, after its opening brace.
fn list(line: &mut Line<'_>, name: &str) -> Result<Column> {
    let (mut levels, mut places) = (Vec::new(), HashMap::new());
    while !line.take('}') {
        let level = line.word("a value of the list, or the brace that ends it")?.text;
        if places.insert(level.clone(), levels.len() as u32).is_some() {
            return Err(line.refuse(format!("each value of {} once", shown(name)), format!("{} twice", shown(&level))));
        }
        levels.push(level);
        line.between(Some('}'))?;
    }
    Ok(Column::Listed { levels, places, codes: Vec::new() })
}

fn row(line: &mut Line<'_>, attributes: &mut [Attribute], most: usize) -> Result<()> {
    if line.take('{') {
        return sparse(line, attributes, most);
    }
    let (mut read, count) = (0, attributes.len());
    let few =
        |line: &Line<'_>, read| line.refuse(format!("{count} values, one for each attribute,"), format!("{read}"));
    for attribute in attributes {
        if read > 0 && !line.between(None)? {
            return Err(few(line, read));
        }
        let word = line.word("a value (or ? where it is missing)")?;
        attribute.push(word, line)?;
        read += 1;
    }
    if line.between(None)? {
        line.skip_space();
        if line.rest.starts_with('{') {
            return Err(line.refuse("no instance weight", line.found()));
        }
        if line.is_done() {
            return Err(line.refuse("a value after the last comma, or no such comma", line.found()));
        }
        let mut more = read;
        while !line.is_done() {
            line.word("a value")?;
            more += 1;
            line.between(None)?;
        }
        return Err(few(line, more));
    }
    Ok(())
}

/// A row of which only some values are written: place and value, place and value.
fn sparse(line: &mut Line<'_>, attributes: &mut [Attribute], most: usize) -> Result<()> {
    let before = attributes.first().map_or(0, Attribute::len);
    let mut written = BTreeSet::new();
    while !line.take('}') {
        let place = line.word("the place of a value, or the brace that ends the row")?;
        let count = attributes.len();
        let at = place.text.parse::<usize>().ok().filter(|at| *at < count && !place.quoted);
        let Some(at) = at else {
            return Err(line.refuse(format!("a place below {count}"), line.shown(&place.text)));
        };
        if !written.insert(at) {
            return Err(line.refuse("each place once", format!("{at} twice")));
        }
        let word = line.word("a value (or ? where it is missing)")?;
        attributes[at].push(word, line)?;
        line.between(Some('}'))?;
    }
    line.end()?;
    // A row of two bytes becomes as many values as there are attributes.
    if (before + 1).saturating_mul(attributes.len()) > most {
        return Err(line.refuse(format!("sparse rows that make at most {most} values"), "more"));
    }
    for attribute in attributes.iter_mut().filter(|a| a.len() == before) {
        attribute.push_default(line)?;
    }
    Ok(())
}

impl Attribute {
    fn len(&self) -> usize {
        match &self.column {
            Column::Numbers(x) => x.len(),
            Column::Listed { codes, .. } => codes.len(),
            Column::Texts(x) => x.len(),
        }
    }

    fn push(&mut self, word: Word, line: &Line<'_>) -> Result<()> {
        let missing = word.text == "?" && !word.quoted;
        let refuse = |expected: String| Err(line.refuse(expected, line.shown(&word.text)));
        match &mut self.column {
            Column::Numbers(x) => match number(&word.text) {
                _ if missing => x.push("", f64::NAN),
                Some(v) => x.push(&word.text, v),
                None => return refuse(format!("a number for attribute {}", shown(&self.name))),
            },
            Column::Listed { places, codes, levels } => match places.get(&word.text) {
                _ if missing => codes.push(None),
                Some(place) => codes.push(Some(*place)),
                None => {
                    return refuse(format!("one of {{{}}} for attribute {}", listed_levels(levels), shown(&self.name)));
                }
            },
            Column::Texts(x) => x.push((!missing).then_some(word.text)),
        }
        Ok(())
    }

    /// What a sparse row leaves out.
    fn push_default(&mut self, line: &Line<'_>) -> Result<()> {
        match &mut self.column {
            Column::Numbers(x) => x.push("0", 0.0),
            Column::Listed { codes, levels, .. } if !levels.is_empty() => codes.push(Some(0)),
            _ => return Err(line.refuse(format!("a value for attribute {}", shown(&self.name)), "none")),
        }
        Ok(())
    }
}

impl Column {
    fn finish(self) -> table::Column {
        match self {
            Column::Numbers(x) => x.finish(),
            Column::Listed { levels, codes, .. } => Values::Categorical(Categorical::known(levels, codes)).into(),
            Column::Texts(x) => Values::Categorical(Categorical::from_texts(&x)).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_sparse_file_does_not_fill_the_memory() {
        let text = b"@attribute a real\n@attribute b real\n@data\n{}\n{1 2}\n1,2\n{}\n";
        let parse = |most| parse_within(text, Path::new("f.arff"), most);
        assert_eq!(parse(8).map(|table| table.rows()).ok(), Some(4));
        let error = parse(7).expect_err("too many values").to_string();
        assert_eq!(error, "f.arff: expected sparse rows that make at most 7 values in line 7, got more");
    }
}
