use std::path::PathBuf;

use super::callback::{Begin, Callback, Epoch};
use super::history::EpochRecord;
use crate::error::Result;
use crate::file::{self, Access, Appended};

/// Keeps a training's epochs in a file: one row each. After the first epoch the file is written anew, whole or not at all, so that a
/// resumed training has every epoch once; each later epoch appends its row. New files are readable by their owner alone
/// ([`EpochLog::access`]).
///
/// ```
/// use galen::prelude::*;
/// use galen::train::EpochLog;
///
/// let options = Fit::new().epochs(10).callback(EpochLog::csv("run/log.csv")).callback(EpochLog::json_lines("run/log.jsonl"));
/// ```
#[derive(Debug)]
pub struct EpochLog {
    path: PathBuf,
    format: Format,
    access: Access,
    file: Appended,
    /// The columns of the file as it is now.
    columns: Vec<String>,
}

#[derive(Clone, Copy, Debug)]
enum Format {
    Csv,
    JsonLines,
}

impl EpochLog {
    /// Comma-separated values: a header with the names, a row per epoch. What is not a number is an empty field.
    pub fn csv(path: impl Into<PathBuf>) -> Self {
        EpochLog::new(path.into(), Format::Csv, Access::Private)
    }

    /// A JSON object per line. What is not a number is `null`.
    pub fn json_lines(path: impl Into<PathBuf>) -> Self {
        EpochLog::new(path.into(), Format::JsonLines, Access::Private)
    }

    fn new(path: PathBuf, format: Format, access: Access) -> Self {
        let file = Appended::new(&path, access);
        EpochLog { path, format, access, file, columns: Vec::new() }
    }

    /// Who may read the file where it is new; its owner alone unless told otherwise.
    #[must_use]
    pub fn access(self, access: Access) -> Self {
        EpochLog::new(self.path, self.format, access)
    }

    /// A row.
    fn row(&self, record: &EpochRecord) -> String {
        match self.format {
            Format::JsonLines => format!("{}\n", json(record)),
            Format::Csv => {
                let value = |name: &String| record.value(name).filter(|v| v.is_finite());
                let cell = |name: &String| value(name).map_or(String::new(), |v| v.to_string());
                let cells: Vec<String> = self.columns.iter().map(cell).collect();
                format!("{},{}\n", record.epoch, cells.join(","))
            }
        }
    }
}

impl Callback for EpochLog {
    fn name(&self) -> &str {
        "log"
    }

    fn begin(&mut self, _begin: Begin<'_>) -> Result<()> {
        self.file = Appended::new(&self.path, self.access);
        self.path.parent().map_or(Ok(()), file::make_folder)?;
        file::check_writable(&self.path)
    }

    fn epoch_end(&mut self, epoch: Epoch<'_>) -> Result<Option<String>> {
        let Some(last) = epoch.epochs.last() else { return Ok(None) };
        // What a power cut takes of the appended rows, a resumed training writes again.
        if self.file.is_begun() && last.names().iter().all(|name| self.columns.contains(name)) {
            self.file.append(&self.row(last), false)?;
            return Ok(None);
        }
        self.columns = columns(epoch.epochs);
        let mut text = match self.format {
            Format::Csv => format!("epoch,{}\n", self.columns.join(",")),
            Format::JsonLines => String::new(),
        };
        epoch.epochs.iter().for_each(|record| text += &self.row(record));
        self.file.begin(&text)?;
        Ok(None)
    }
}

/// The values of any epoch: validation may have begun later.
fn columns(epochs: &[EpochRecord]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in epochs.iter().flat_map(EpochRecord::names) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn json(record: &EpochRecord) -> serde_json::Value {
    let values = record.names().into_iter().map(|name| {
        let value = record.value(&name);
        (name, value.into())
    });
    std::iter::once(("epoch".to_owned(), record.epoch.into())).chain(values).collect::<serde_json::Map<_, _>>().into()
}
