use std::path::PathBuf;

use super::callback::{Begin, Callback, Epoch};
use super::history::EpochRecord;
use crate::error::{Error, Result};
use crate::file;

/// Keeps a training's epochs in a file: one row each. The file is written anew after every epoch, whole or not at all, so that a resumed
/// training has every epoch once.
///
/// ```
/// use galen::prelude::*;
/// use galen::train::EpochLog;
///
/// let options = Fit::new().epochs(10).callback(EpochLog::csv("run/log.csv")).callback(EpochLog::json_lines("run/log.jsonl"));
/// ```
#[derive(Clone, Debug)]
pub struct EpochLog {
    path: PathBuf,
    format: Format,
}

#[derive(Clone, Copy, Debug)]
enum Format {
    Csv,
    JsonLines,
}

impl EpochLog {
    /// Comma-separated values: a header with the names, a row per epoch. What is not a number is an empty field.
    pub fn csv(path: impl Into<PathBuf>) -> Self {
        EpochLog { path: path.into(), format: Format::Csv }
    }

    /// A JSON object per line. What is not a number is `null`.
    pub fn json_lines(path: impl Into<PathBuf>) -> Self {
        EpochLog { path: path.into(), format: Format::JsonLines }
    }
}

impl Callback for EpochLog {
    fn name(&self) -> &str {
        "log"
    }

    fn begin(&mut self, _begin: Begin<'_>) -> Result<()> {
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder).map_err(|reason| Error::Io { path: folder.to_owned(), reason })?;
        }
        file::check_writable(&self.path)
    }

    fn epoch_end(&mut self, epoch: Epoch<'_>) -> Result<Option<String>> {
        let text = match self.format {
            Format::Csv => csv(epoch.epochs),
            Format::JsonLines => epoch.epochs.iter().map(|record| format!("{}\n", json(record))).collect(),
        };
        file::replace(&self.path, text.as_bytes())?;
        Ok(None)
    }
}

/// The columns are those of any epoch: validation may have begun later.
fn csv(epochs: &[EpochRecord]) -> String {
    let mut names: Vec<String> = Vec::new();
    for name in epochs.iter().flat_map(EpochRecord::names) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let mut text = format!("epoch,{}\n", names.join(","));
    for record in epochs {
        let cell =
            |name: &String| record.value(name).filter(|v| v.is_finite()).map_or(String::new(), |v| v.to_string());
        let cells: Vec<String> = names.iter().map(cell).collect();
        text += &format!("{},{}\n", record.epoch, cells.join(","));
    }
    text
}

fn json(record: &EpochRecord) -> serde_json::Value {
    let values = record.names().into_iter().map(|name| {
        let value = record.value(&name);
        (name, value.into())
    });
    std::iter::once(("epoch".to_owned(), record.epoch.into())).chain(values).collect::<serde_json::Map<_, _>>().into()
}
