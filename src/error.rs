//! One error type for the whole library. Every variant names what was being done, what was expected and what came.

use std::path::PathBuf;

/// Shorthand for a result whose error is [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong in Galen because of what it was given or what it runs on. A panic is a bug of ours.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An op was given tensors whose shapes it cannot take.
    #[error("{}{op}: expected {expected}, got {actual}", place(layer))]
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
    #[error("{}{op}: {what} must be {expected}, got {actual}", place(layer))]
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
    #[error("{}{op}: expected elements of type {expected}, got {actual}", place(layer))]
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
    #[error("{}{op}: no gradient: {reason}", place(layer))]
    Gradient {
        /// The op in whose way the gradient ended.
        op: String,
        /// The layer that the op belongs to; empty outside of layers.
        layer: String,
        /// Why.
        reason: String,
    },
    /// Data that cannot be trained on: no samples, labels out of range, features and labels of different counts.
    #[error("{what}: expected {expected}, got {actual}")]
    Data {
        /// Which data.
        what: String,
        /// What would have been right.
        expected: String,
        /// What came.
        actual: String,
    },
    /// A file that could not be read or written.
    #[error("{}: {reason}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: std::io::Error,
    },
    /// A file whose content is not what its name or header claims.
    #[error("{}: expected {expected}, got {actual}", path.display())]
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
        "not finite: epoch {epoch}, step {step}: {first_bad} is the first node with a NaN or an infinity; the parameters are those before this step"
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
    #[error("no device for \"{wanted}\"; there are: {available}")]
    NoDevice {
        /// What was asked for.
        wanted: String,
        /// What there is.
        available: String,
    },
    /// The plan does not fit the adapter's limits or the memory budget. Nothing was allocated.
    #[error("{node}: needs {needed} {unit}, allowed are {allowed} ({limit}){remedy}")]
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
    #[error("{device}: out of memory while allocating {what}")]
    OutOfMemory {
        /// The device.
        device: String,
        /// What was being allocated.
        what: String,
    },
    /// The device was lost (driver reset, cable, sleep). Make a new session from the last checkpoint.
    #[error("{device}: the device was lost: {reason}")]
    DeviceLost {
        /// The device.
        device: String,
        /// What the driver said.
        reason: String,
    },
    /// The backend refused something that Galen asked of it.
    #[error("{device}: {message}")]
    Backend {
        /// The device.
        device: String,
        /// What it said.
        message: String,
    },
    /// Something was used before it was ready: a model that was never compiled, an input that was never given.
    #[error("{what}: {reason}")]
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
    if layer.is_empty() { String::new() } else { format!("layer \"{layer}\", ") }
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
