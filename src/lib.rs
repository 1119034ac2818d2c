//! Galen
#![deny(unsafe_code)]
pub mod contract;
pub mod error;
pub mod graph;
pub mod ops;
pub mod shape;

pub use error::{Error, Result};
pub use graph::{Graph, Plan, Var};
pub use shape::{DType, Shape, TensorSpec};
