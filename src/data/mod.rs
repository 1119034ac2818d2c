//! Data to train on: features with targets, tables, splits, preparation, and the readers of file formats.

pub mod balance;
mod dataset;
pub mod formats;
pub mod prepare;
mod rows;
mod source;
mod split;
mod table;

pub use dataset::Dataset;
pub(crate) use dataset::{Column, check_scaling};
pub use rows::{RowMut, Rows};
pub use source::{Lazy, Source};
pub use split::{Composition, Fold, Split, check_groups};
pub use table::{Categorical, Classes, ColumnSummary, Content, Description, Table, Values, show_values};
