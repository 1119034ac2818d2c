//! Data to train on: features with targets, splits, and the readers of file formats.

mod dataset;
pub mod formats;
mod rows;

pub(crate) use dataset::Column;
pub use dataset::Dataset;
pub use rows::{RowMut, Rows};
