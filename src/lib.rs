//! Galen
#![deny(unsafe_code)]
pub mod contract;
pub mod cpu;
pub mod engine;
pub mod error;
pub mod gpu;
pub mod graph;
pub mod ops;
pub mod shape;
pub mod tensor;

pub use engine::{Device, Executable, Session};
pub use error::{Error, Result};
pub use graph::{Graph, Plan, Var};
pub use shape::{DType, Shape, TensorSpec};
pub use tensor::{Elements, Tensor};
