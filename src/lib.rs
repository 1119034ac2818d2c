//! Galen
#![deny(unsafe_code)]
pub mod contract;
pub mod cpu;
pub mod data;
pub mod engine;
pub mod error;
pub mod gpu;
pub mod graph;
pub mod interop;
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

/// What a training program usually needs.
pub mod prelude {
    pub use crate::data::Dataset;
    pub use crate::engine::Device;
    pub use crate::nn::Activation::{Linear, Relu, Sigmoid, Softmax, Tanh};
    pub use crate::nn::{AvgPool2d, Conv2d, Dense, Dropout, Flatten, Loss, MaxPool2d, Network, Sequential};
    pub use crate::optim::{Adam, Sgd};
    pub use crate::train::{Compile, Fit, Metric, Model, Setup};
}
