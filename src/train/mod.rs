//! Training: compile, fit, evaluate, predict, and what one reads afterwards.

#[cfg(feature = "plot")]
pub mod curve;
mod evaluate;
mod feed;
mod fit;
mod history;
mod interrupt;
mod metrics;
mod model;
mod program;
mod progress;

pub use evaluate::Evaluation;
pub use fit::Fit;
pub use history::{EpochRecord, History};
pub use interrupt::Interrupt;
pub use metrics::{ConfusionTable, Metric};
pub use model::{Compile, Model, Setup};

/// The index of the largest number, the first of equals; a NaN counts as the largest.
pub(crate) fn argmax(values: impl Iterator<Item = f32>) -> usize {
    let mut best = (0, f32::NEG_INFINITY);
    for (i, v) in values.enumerate() {
        if v > best.1 || (v.is_nan() && !best.1.is_nan()) {
            best = (i, v);
        }
    }
    best.0
}
