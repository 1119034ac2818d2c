//! Data to train on: features with targets, splits, and the readers of file formats.

mod dataset;
pub mod formats;

pub(crate) use dataset::Column;
pub use dataset::Dataset;
