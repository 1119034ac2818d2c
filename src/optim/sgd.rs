use super::{Optimizer, UpdateCtx, check_rate};
use crate::error::{Error, Result};
use crate::graph::{Graph, PARAMETERS};
use crate::ops::sgd;

/// Gradient descent, with momentum and Nesterov's form where asked for. Source: I. Sutskever et al., ICML 2013; the formulas are
/// Keras's.
#[derive(Clone, Debug)]
pub struct Sgd {
    rate: f32,
    momentum: f64,
    nesterov: bool,
}

impl Sgd {
    /// Plain gradient descent with this learning rate.
    pub fn new(learning_rate: f32) -> Self {
        Sgd { rate: learning_rate, momentum: 0.0, nesterov: false }
    }

    /// Keeps this share of the last step.
    #[must_use]
    pub fn momentum(self, momentum: f64) -> Self {
        Sgd { momentum, ..self }
    }

    /// Looks ahead along the momentum.
    #[must_use]
    pub fn nesterov(self) -> Self {
        Sgd { nesterov: true, ..self }
    }
}

impl Default for Sgd {
    /// Learning rate 0.01, no momentum.
    fn default() -> Self {
        Sgd::new(0.01)
    }
}

impl Optimizer for Sgd {
    fn name(&self) -> &'static str {
        "sgd"
    }

    fn learning_rate(&self, _step: usize) -> f32 {
        self.rate
    }

    fn build(&self, graph: &Graph, ctx: &UpdateCtx) -> Result<()> {
        check_rate("sgd", self.rate)?;
        if !(0.0..1.0).contains(&self.momentum) {
            return Err(Error::parameter("sgd", "momentum", "in [0, 1)", self.momentum));
        }
        let velocity = if self.momentum == 0.0 { None } else { Some(graph.mirror(PARAMETERS, "sgd.velocity", 0.0)?) };
        let op = sgd::Sgd { momentum: self.momentum, nesterov: self.nesterov };
        ctx.parameters.sgd(op, velocity.as_ref(), &ctx.gradients, &ctx.clock, &ctx.schedule)
    }
}
