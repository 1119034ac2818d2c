//! What all layers with weights have in common: how the weights begin, and what holds them back.

use super::{BuildCtx, Initializer};
use crate::error::{Error, Result};
use crate::graph::{Graph, Var};
use crate::optim::{MaxNorm, Penalty, Units};
use crate::shape::Shape;

/// The settings of a layer's weights; its builder methods come from `weight_methods!`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Weights {
    pub(crate) kernel: Initializer,
    pub(crate) bias: Initializer,
    pub(crate) has_bias: bool,
    pub(crate) kernel_penalty: Penalty,
    pub(crate) bias_penalty: Penalty,
    pub(crate) activity_penalty: Penalty,
    pub(crate) max_norm: Option<f32>,
}

impl Default for Weights {
    /// Keras's: Glorot uniform, a bias of zeros, nothing held back.
    fn default() -> Self {
        Weights {
            kernel: Initializer::GlorotUniform,
            bias: Initializer::Constant(0.0),
            has_bias: true,
            kernel_penalty: Penalty::NONE,
            bias_penalty: Penalty::NONE,
            activity_penalty: Penalty::NONE,
            max_norm: None,
        }
    }
}

impl Weights {
    /// The layer's `kernel`, with the fans that its initialiser wants.
    pub(crate) fn kernel(
        &self,
        ctx: &BuildCtx,
        graph: &Graph,
        shape: impl Into<Shape>,
        fans: [usize; 2],
        units: Units,
    ) -> Result<Var> {
        self.kernel_penalty.check("kernel")?;
        if let Some(limit) = self.max_norm.filter(|limit| !limit.is_finite() || *limit <= 0.0) {
            return Err(Error::parameter("the kernel's constraint", "max norm", "a positive number", limit));
        }
        let max_norm = self.max_norm.map(|limit| MaxNorm { limit, units });
        ctx.hold("kernel", self.kernel_penalty, max_norm);
        ctx.parameter(graph, "kernel", shape, self.kernel.init(fans[0], fans[1]))
    }

    /// The layer's `bias`, where it has one.
    pub(crate) fn bias(&self, ctx: &BuildCtx, graph: &Graph, shape: impl Into<Shape>) -> Result<Option<Var>> {
        if !self.has_bias {
            return Ok(None);
        }
        self.bias_penalty.check("bias")?;
        ctx.hold("bias", self.bias_penalty, None);
        let shape = shape.into();
        let n = shape.elements();
        ctx.parameter(graph, "bias", shape, self.bias.init(n, n)).map(Some)
    }

    /// Penalises what the layer puts out, where that was asked for.
    pub(crate) fn penalise(&self, ctx: &BuildCtx, y: &Var) -> Result<()> {
        self.activity_penalty.check("activity")?;
        ctx.penalise_activity(y, self.activity_penalty)
    }
}

/// The builder methods of a layer that has a field `weights: Weights`.
macro_rules! weight_methods {
    () => {
        /// How the kernel begins.
        #[must_use]
        pub fn kernel_initializer(mut self, initializer: $crate::nn::Initializer) -> Self {
            self.weights.kernel = initializer;
            self
        }

        /// How the bias begins; with zeros where nothing is said.
        #[must_use]
        pub fn bias_initializer(mut self, initializer: $crate::nn::Initializer) -> Self {
            self.weights.bias = initializer;
            self
        }

        /// Leaves the bias out.
        #[must_use]
        pub fn without_bias(mut self) -> Self {
            self.weights.has_bias = false;
            self
        }

        /// A penalty on the kernel, added to the loss.
        #[must_use]
        pub fn kernel_regularizer(mut self, penalty: $crate::nn::Penalty) -> Self {
            self.weights.kernel_penalty = penalty;
            self
        }

        /// A penalty on the bias, added to the loss.
        #[must_use]
        pub fn bias_regularizer(mut self, penalty: $crate::nn::Penalty) -> Self {
            self.weights.bias_penalty = penalty;
            self
        }

        /// A penalty on what the layer puts out, per sample, added to the loss.
        #[must_use]
        pub fn activity_regularizer(mut self, penalty: $crate::nn::Penalty) -> Self {
            self.weights.activity_penalty = penalty;
            self
        }

        /// After every update the kernel's weights of each unit have at most this norm.
        #[must_use]
        pub fn kernel_max_norm(mut self, limit: f32) -> Self {
            self.weights.max_norm = Some(limit);
            self
        }
    };
}
pub(crate) use weight_methods;
