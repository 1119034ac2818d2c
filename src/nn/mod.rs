//! Layers, losses and models: sugar over the [graph](crate::graph). Everything here only pushes nodes; nothing runs.

mod activation;
mod conv;
mod dense;
mod init;
mod losses;
mod pooling;
mod regularise;
mod sequential;
mod summary;

use std::fmt;

use crate::error::{Error, Result};
use crate::graph::{Graph, Init, Var};
use crate::shape::Shape;

pub use activation::{Activate, Activation};
pub use conv::Conv2d;
pub use dense::{Dense, Flatten};
pub use init::Initializer;
pub use losses::Loss;
pub use pooling::{AvgPool2d, MaxPool2d};
pub use regularise::Dropout;
pub use sequential::Sequential;
pub use summary::{LayerSummary, Summary};

/// What the graph is built for. Layers such as [`Dropout`] differ between the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Forward, backward and update.
    Train,
    /// Forward only.
    Infer,
}

/// What a layer may use while it is built.
#[derive(Clone, Debug)]
pub struct BuildCtx {
    /// What the graph is built for.
    pub mode: Mode,
    name: String,
    clock: Option<Var>,
}

impl BuildCtx {
    pub(crate) fn new(mode: Mode, name: &str, clock: Option<&Var>) -> Self {
        BuildCtx { mode, name: name.to_owned(), clock: clock.cloned() }
    }

    /// The layer's name, unique in its model.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A trained parameter of this layer, called `<layer>/<name>`.
    ///
    /// # Errors
    /// Where the layer has a parameter of this name and another shape.
    pub fn parameter(&self, graph: &Graph, name: &str, shape: impl Into<Shape>, init: Init) -> Result<Var> {
        graph.parameter(&format!("{}/{name}", self.name), shape, init)
    }

    /// The clock that random layers take their numbers from; there is one in training.
    ///
    /// # Errors
    /// Where the graph has no clock.
    pub fn clock(&self) -> Result<&Var> {
        self.clock.as_ref().ok_or_else(|| Error::usage(format!("layer \"{}\"", self.name), "this graph has no clock"))
    }
}

/// A layer: parameters and a function from one tensor to another. Write your own by implementing this.
pub trait Layer: fmt::Debug + Send {
    /// What layers of this kind are called: `dense`; a model's second one is `dense_1`.
    fn kind(&self) -> &'static str;

    /// Pushes the layer's nodes. `x` has the batch as its first dimension.
    ///
    /// # Errors
    /// Where the layer cannot take such an input.
    fn build(&self, ctx: &BuildCtx, x: &Var) -> Result<Var>;
}

/// Anything that can be trained: what it takes, and how its graph is built.
pub trait Network: fmt::Debug + Send {
    /// The shape of one sample.
    fn input_shape(&self) -> &Shape;

    /// Pushes the network's nodes. `x` has the batch as its first dimension; `clock` is there in training.
    ///
    /// # Errors
    /// Where a layer cannot take its input.
    fn build(&self, x: &Var, mode: Mode, clock: Option<&Var>) -> Result<Var>;

    /// The layers with their output shapes and parameters.
    ///
    /// # Errors
    /// Where a layer cannot take its input.
    fn summary(&self) -> Result<Summary>;
}
