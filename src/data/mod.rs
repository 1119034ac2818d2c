//! Data to train on: features with targets, splits, and the readers of file formats.

mod dataset;
pub mod formats;
mod rows;
mod source;

pub(crate) use dataset::Column;
pub use dataset::Dataset;
pub use rows::{RowMut, Rows};
pub use source::{Lazy, Source};
