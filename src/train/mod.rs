//! Training: compile, fit, evaluate, predict, and what one reads afterwards.

mod check;
#[cfg(feature = "plot")]
pub mod curve;
mod evaluate;
mod feed;
mod fit;
mod history;
mod interrupt;
mod keep;
mod load;
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
