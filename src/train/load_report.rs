use std::collections::HashSet;
use std::fmt;

use super::checkpoint::is_state;
use crate::error::plain;
use crate::graph::SlotSpec;
use crate::interop::safetensors::Archive;

/// A tensor that a model and a file both have, in two shapes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherShape {
    /// Its name.
    pub name: String,
    /// Type and shape in the model: `f32[3, 4]`.
    pub expected: String,
    /// Type and shape in the file.
    pub actual: String,
}

/// What a file's tensors are to a model, by name; `Display` prints it as a short table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// In both, with the same shape: these were loaded.
    pub matched: Vec<String>,
    /// In the model, and not in the file.
    pub missing: Vec<String>,
    /// In the file, and not in the model.
    pub unused: Vec<String>,
    /// In both, in two shapes: not loaded.
    pub other_shape: Vec<OtherShape>,
}

/// Names that a line shows.
const SHOWN: usize = 4;

impl LoadReport {
    /// Compares a model's slots with what a file holds.
    pub(super) fn of(slots: &[SlotSpec], file: &Archive) -> LoadReport {
        let mut report = LoadReport::default();
        for slot in slots {
            match (file.tensor(&slot.name), file.describe(&slot.name)) {
                (Some(tensor), _) if tensor.spec() == slot.spec => report.matched.push(slot.name.clone()),
                (_, Some(actual)) => report.other_shape.push(OtherShape {
                    name: slot.name.clone(),
                    expected: slot.spec.to_string(),
                    actual,
                }),
                _ => report.missing.push(slot.name.clone()),
            }
        }
        let own: HashSet<&str> = slots.iter().map(|slot| slot.name.as_str()).collect();
        let known = |name: &str| is_state(name) || own.contains(name);
        report.unused = file.names().filter(|name| !known(name)).map(str::to_owned).collect();
        report
    }

    /// Whether the file had every tensor of the model.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.other_shape.is_empty()
    }

    /// What is wanting, in one line: the first names, and how many more.
    pub(super) fn wanting(&self) -> String {
        let mut parts = Vec::new();
        if !self.missing.is_empty() {
            parts.push(format!("{} missing ({})", self.missing.len(), first(&self.missing)));
        }
        if !self.other_shape.is_empty() {
            parts.push(format!("{} of another shape ({})", self.other_shape.len(), first(&self.shapes())));
        }
        if !self.unused.is_empty() {
            parts.push(format!("{} that the model has not ({})", self.unused.len(), first(&self.unused)));
        }
        parts.join(", ")
    }

    fn shapes(&self) -> Vec<String> {
        let line = |o: &OtherShape| format!("{} {} instead of {}", o.name, o.actual, o.expected);
        self.other_shape.iter().map(line).collect()
    }
}

/// The first of these, and how many more there are. Names come from files, and are shown without what would change a terminal.
fn first(names: &[String]) -> String {
    let mut text = names.iter().take(SHOWN).map(|name| plain(name)).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text += &format!(" and {} more", names.len() - SHOWN);
    }
    text
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = [
            ("loaded", self.matched.len(), first(&self.matched)),
            ("not in the file", self.missing.len(), first(&self.missing)),
            ("not in the model", self.unused.len(), first(&self.unused)),
            ("another shape", self.other_shape.len(), first(&self.shapes())),
        ];
        for (i, (what, count, names)) in rows.iter().enumerate() {
            let line = format!("{what:<16}  {count:>5}  {names}");
            write!(f, "{}{}", if i > 0 { "\n" } else { "" }, line.trim_end())?;
        }
        Ok(())
    }
}
