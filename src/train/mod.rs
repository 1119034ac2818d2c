//! Training: compile, fit, evaluate, predict, and what one reads afterwards.

#[cfg(feature = "plot")]
pub mod curve;
mod evaluate;
mod feed;
mod fit;
mod history;
mod interrupt;
mod keep;
mod load_report;
mod metrics;
mod model;
mod program;
mod progress;
mod saved;

pub use evaluate::Evaluation;
pub use fit::Fit;
pub use history::{EpochRecord, History};
pub use interrupt::Interrupt;
pub use load_report::{LoadReport, OtherShape};
pub use metrics::{ConfusionTable, Metric};
pub use model::{Compile, Model, Setup};
pub use saved::SavedModel;
