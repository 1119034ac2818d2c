//! One error type for the whole library. Every variant names what was being done, what was expected and what came.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// Shorthand for a result whose error is [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong in Galen because of what it was given or what it runs on. A panic is a bug of ours.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An op was given tensors whose shapes it cannot take.
    #[error("{}{}: expected {}, got {}", place(layer), plain(op), plain(expected), plain(actual))]
    Shape {
        /// The op that refused.
        op: String,
        /// The layer that the op belongs to; empty outside of layers.
        layer: String,
        /// The shapes that would have been right.
        expected: String,
        /// The shapes that came.
        actual: String,
    },
    /// An op or a layer was given a parameter that makes no sense (a stride of zero, a window larger than its input).
    #[error("{}{}: {} must be {}, got {}", place(layer), plain(op), plain(what), plain(expected), plain(actual))]
    Parameter {
        /// The op, layer or setting that refused.
        op: String,
        /// The layer that the op belongs to; empty outside of layers.
        layer: String,
        /// The parameter's name.
        what: String,
        /// What would have been right.
        expected: String,
        /// What came.
        actual: String,
    },
    /// A tensor has another element type than the op needs.
    #[error("{}{}: expected elements of type {}, got {}", place(layer), plain(op), plain(expected), plain(actual))]
    DType {
        /// The op that refused.
        op: String,
        /// The layer that the op belongs to; empty outside of layers.
        layer: String,
        /// The element type that would have been right.
        expected: String,
        /// The element type that came.
        actual: String,
    },
    /// A gradient was asked for that does not exist or is not known.
    #[error("{}{}: no gradient: {}", place(layer), plain(op), plain(reason))]
    Gradient {
        /// The op in whose way the gradient ended.
        op: String,
        /// The layer that the op belongs to; empty outside of layers.
        layer: String,
        /// Why.
        reason: String,
    },
    /// Data that cannot be trained on: no samples, labels out of range, features and labels of different counts.
    #[error("{}: expected {}, got {}", plain(what), plain(expected), plain(actual))]
    Data {
        /// Which data.
        what: String,
        /// What would have been right.
        expected: String,
        /// What came.
        actual: String,
    },
    /// A file that could not be read or written.
    #[error("{}: {}", named(path), plain(&reason.to_string()))]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: std::io::Error,
    },
    /// A file whose content is not what its name or header claims.
    #[error("{}: expected {}, got {}", named(path), plain(expected), plain(actual))]
    Format {
        /// The file.
        path: PathBuf,
        /// What a right file has there.
        expected: String,
        /// What this file has there.
        actual: String,
    },
    /// The loss or a gradient is NaN or infinite. Parameters are those before the bad step.
    #[error(
        "not finite: epoch {epoch}, step {step}: {} is the first node with a NaN or an infinity; the parameters are those before this step",
        plain(first_bad)
    )]
    NotFinite {
        /// Epoch, counted from 1.
        epoch: usize,
        /// Step in the epoch, counted from 1.
        step: usize,
        /// The first node, in the order of execution, whose result was not finite.
        first_bad: String,
    },
    /// No device answers to the name that was asked for.
    #[error("no device for \"{}\"; there are: {}", plain(wanted), plain(available))]
    NoDevice {
        /// What was asked for.
        wanted: String,
        /// What there is.
        available: String,
    },
    /// The plan does not fit the adapter's limits or the memory budget. Nothing was allocated.
    #[error("{}: needs {needed} {unit}, allowed are {allowed} ({}){}", plain(node), plain(limit), plain(remedy))]
    Limit {
        /// The node that broke the limit; for the memory budget, what the memory is for.
        node: String,
        /// How much it needs.
        needed: u64,
        /// How much is allowed.
        allowed: u64,
        /// Bytes, workgroups, bindings.
        unit: &'static str,
        /// The limit's name.
        limit: String,
        /// What would fit, where that is known: the smallest budget, the largest batch.
        remedy: String,
    },
    /// The device ran out of memory.
    #[error("{}: out of memory while allocating {}", plain(device), plain(what))]
    OutOfMemory {
        /// The device.
        device: String,
        /// What was being allocated.
        what: String,
    },
    /// The device was lost (driver reset, cable, sleep). Make a new session from the last checkpoint.
    #[error("{}: the device was lost: {}", plain(device), plain(reason))]
    DeviceLost {
        /// The device.
        device: String,
        /// What the driver said.
        reason: String,
    },
    /// The backend refused something that Galen asked of it.
    #[error("{}: {}", plain(device), plain(message))]
    Backend {
        /// The device.
        device: String,
        /// What it said.
        message: String,
    },
    /// Something was used before it was ready: a model that was never compiled, an input that was never given.
    #[error("{}: {}", plain(what), plain(reason))]
    Usage {
        /// What was used.
        what: String,
        /// Why it could not be.
        reason: String,
    },
}

/// What `work` gives, or the message of its panic: for code of others, whose panics are to become errors that name what it worked on.
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> std::result::Result<T, String> {
    // What `work` was changing is dropped, or given up, by those who get the error.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a message").to_owned()
    })
}

fn place(layer: &str) -> String {
    if layer.is_empty() { String::new() } else { format!("layer \"{}\", ", plain(layer)) }
}

/// Characters of each part of an error's text, at most: names come from files, which may call a tensor anything.
const LONGEST: usize = 2000;

/// A text as it may be shown in a terminal or a log, whoever wrote it: control characters and those that turn the direction of writing
/// are escaped, and of a text that is too long the middle is left out.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    let count = if text.len() > LONGEST { text.chars().count() } else { 0 };
    if count <= LONGEST && !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::new();
    for (i, c) in text.chars().enumerate() {
        if count > LONGEST && (LONGEST / 2..count - LONGEST / 2).contains(&i) {
            if i == LONGEST / 2 {
                shown += &format!("... ({} characters) ...", count - LONGEST);
            }
        } else if is_hidden(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// Whether a character is not seen and changes how others are: Unicode's control characters, separators of lines and paragraphs, and the
/// controls of the direction of writing (Unicode Standard Annex #9).
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// A file's path as an error shows it. Bytes that are no Unicode are escaped, so that different names look different.
fn named(path: &Path) -> String {
    match path.to_str() {
        Some(text) => plain(text).into_owned(),
        None => plain(format!("{path:?}").trim_matches('"')).into_owned(),
    }
}

impl Error {
    /// A [`Error::Shape`] that does not know its layer yet.
    pub fn shape(op: impl Into<String>, expected: impl Into<String>, actual: impl Into<String>) -> Self {
        Error::Shape { op: op.into(), layer: String::new(), expected: expected.into(), actual: actual.into() }
    }

    /// A [`Error::Parameter`] that does not know its layer yet.
    pub fn parameter(
        op: impl Into<String>,
        what: impl Into<String>,
        expected: impl Into<String>,
        actual: impl std::fmt::Display,
    ) -> Self {
        Error::Parameter {
            op: op.into(),
            layer: String::new(),
            what: what.into(),
            expected: expected.into(),
            actual: actual.to_string(),
        }
    }

    /// A [`Error::DType`] that does not know its layer yet.
    pub fn dtype(op: impl Into<String>, expected: impl Into<String>, actual: impl Into<String>) -> Self {
        Error::DType { op: op.into(), layer: String::new(), expected: expected.into(), actual: actual.into() }
    }

    /// A [`Error::Data`].
    pub fn data(what: impl Into<String>, expected: impl Into<String>, actual: impl Into<String>) -> Self {
        Error::Data { what: what.into(), expected: expected.into(), actual: actual.into() }
    }

    /// A [`Error::Usage`].
    pub fn usage(what: impl Into<String>, reason: impl Into<String>) -> Self {
        Error::Usage { what: what.into(), reason: reason.into() }
    }

    /// The same error, naming the layer in which it happened unless it already names one.
    #[must_use]
    pub fn in_layer(mut self, name: &str) -> Self {
        match &mut self {
            Error::Shape { layer, .. }
            | Error::Parameter { layer, .. }
            | Error::DType { layer, .. }
            | Error::Gradient { layer, .. }
                if layer.is_empty() =>
            {
                *layer = name.to_owned();
            }
            _ => {}
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_others_change_no_terminal_and_have_an_end() {
        let nasty = "a\u{1b}[2Jb\nc\u{202e}d";
        let all = [
            Error::shape(nasty, nasty, nasty).in_layer(nasty),
            Error::parameter(nasty, nasty, nasty, nasty).in_layer(nasty),
            Error::dtype(nasty, nasty, nasty).in_layer(nasty),
            Error::Gradient { op: nasty.into(), layer: nasty.into(), reason: nasty.into() },
            Error::data(nasty, nasty, nasty),
            Error::Io { path: nasty.into(), reason: std::io::Error::other(nasty) },
            Error::Format { path: nasty.into(), expected: nasty.into(), actual: nasty.into() },
            Error::NotFinite { epoch: 1, step: 1, first_bad: nasty.into() },
            Error::NoDevice { wanted: nasty.into(), available: nasty.into() },
            Error::Limit {
                node: nasty.into(),
                needed: 1,
                allowed: 0,
                unit: "bytes",
                limit: nasty.into(),
                remedy: nasty.into(),
            },
            Error::OutOfMemory { device: nasty.into(), what: nasty.into() },
            Error::DeviceLost { device: nasty.into(), reason: nasty.into() },
            Error::Backend { device: nasty.into(), message: nasty.into() },
            Error::usage(nasty, nasty),
        ];
        for error in all {
            let message = error.to_string();
            assert!(!message.chars().any(is_hidden), "{message:?}");
            assert!(message.contains("a\\u{1b}[2Jb\\nc\\u{202e}d"), "{message:?}");
        }
        let long = Error::data("x".repeat(1 << 20), "y", "z".repeat(3000) + "end").to_string();
        assert!(long.len() < 3 * LONGEST && long.ends_with("zend") && long.contains("(1046576 characters)"), "{long}");
    }

    #[cfg(unix)]
    #[test]
    fn names_that_are_no_unicode_stay_apart() {
        use std::os::unix::ffi::OsStringExt;
        let of = |byte: u8| {
            let path = std::ffi::OsString::from_vec(vec![b's', byte]).into();
            Error::Io { path, reason: std::io::ErrorKind::NotFound.into() }.to_string()
        };
        assert!(of(0xfc).starts_with("s\\xFC: "), "{}", of(0xfc));
        assert_ne!(of(0xfc), of(0xf6));
    }
}
