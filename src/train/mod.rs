//! Training: compile, fit, evaluate, predict, and what one reads afterwards.

mod callback;
mod check;
mod checkpoint;
mod early_stopping;
mod epoch_log;
mod evaluate;
mod feed;
mod fit;
mod history;
mod interrupt;
mod keep;
mod load;
mod load_report;
mod metrics;
mod model;
mod monitor;
mod options;
mod profile;
mod program;
mod progress;
mod resume;
mod saved;
mod training;

pub use crate::metrics::ConfusionTable;
pub use callback::{Begin, Callback, Epoch, Memory};
pub use checkpoint::Checkpoints;
pub use early_stopping::EarlyStopping;
pub use epoch_log::EpochLog;
pub use evaluate::Evaluation;
pub use history::{EpochRecord, History};
pub use interrupt::Interrupt;
pub use load_report::{LoadReport, OtherShape};
pub use metrics::Metric;
pub use model::{Compile, Model, Setup};
pub use options::Fit;
pub use saved::SavedModel;
