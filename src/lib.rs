//! Galen
#![deny(unsafe_code)]
pub mod contract;
pub mod cpu;
pub mod data;
pub mod engine;
pub mod error;
pub mod gpu;
pub mod graph;
pub mod nn;
pub mod ops;
pub mod optim;
pub mod shape;
pub mod tensor;
pub mod train;

pub use engine::{Device, Executable, Session};
pub use error::{Error, Result};
pub use graph::{Graph, Plan, Var};
pub use shape::{DType, Shape, TensorSpec};
pub use tensor::{Elements, Tensor};
