use super::{Optimizer, UpdateCtx, check_rate};
use crate::error::{Error, Result};
use crate::graph::{Graph, PARAMETERS};
use crate::ops::adam;

/// Adam, in Keras's form and with Keras's defaults. Source: D. Kingma, J. Ba, ICLR 2015.
#[derive(Clone, Debug)]
pub struct Adam {
    rate: f32,
    beta1: f64,
    beta2: f64,
    epsilon: f64,
}

impl Adam {
    /// Adam with this learning rate; β₁ 0.9, β₂ 0.999, ε 1e-7.
    pub fn new(learning_rate: f32) -> Self {
        Adam { rate: learning_rate, beta1: 0.9, beta2: 0.999, epsilon: 1e-7 }
    }

    /// The decay of the two moments.
    #[must_use]
    pub fn betas(self, beta1: f64, beta2: f64) -> Self {
        Adam { beta1, beta2, ..self }
    }

    /// What keeps the division from blowing up.
    #[must_use]
    pub fn epsilon(self, epsilon: f64) -> Self {
        Adam { epsilon, ..self }
    }
}

impl Default for Adam {
    /// Learning rate 1e-3.
    fn default() -> Self {
        Adam::new(1e-3)
    }
}

impl Optimizer for Adam {
    fn name(&self) -> &'static str {
        "adam"
    }

    fn learning_rate(&self, _step: usize) -> f32 {
        self.rate
    }

    fn build(&self, graph: &Graph, ctx: &UpdateCtx) -> Result<()> {
        check_rate("adam", self.rate)?;
        for (what, beta) in [("beta1", self.beta1), ("beta2", self.beta2)] {
            if !(0.0..1.0).contains(&beta) {
                return Err(Error::parameter("adam", what, "in [0, 1)", beta));
            }
        }
        let m = graph.mirror(PARAMETERS, "adam.m", 0.0)?;
        let v = graph.mirror(PARAMETERS, "adam.v", 0.0)?;
        let op = adam::Adam { beta1: self.beta1, beta2: self.beta2, epsilon: self.epsilon };
        ctx.parameters.adam(op, &m, &v, &ctx.gradients, &ctx.clock, &ctx.schedule)
    }
}
