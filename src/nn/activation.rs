use super::{BuildCtx, Layer};
use crate::error::Result;
use crate::graph::Var;

/// An activation function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activation {
    /// `x`
    #[default]
    Linear,
    /// `max(x, 0)`
    Relu,
    /// `1 / (1 + e⁻ˣ)`
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// `eˣ / Σ eˣ` over the last axis.
    Softmax,
}

impl Activation {
    /// The function of `x`.
    ///
    /// # Errors
    /// Where `x` is a scalar and the function needs an axis.
    pub fn apply(self, x: &Var) -> Result<Var> {
        match self {
            Activation::Linear => Ok(x.clone()),
            Activation::Relu => x.relu(),
            Activation::Sigmoid => x.sigmoid(),
            Activation::Tanh => x.tanh(),
            Activation::Softmax => x.softmax(-1),
        }
    }
}

/// A layer that only applies an [`Activation`]. Shapes stay as they are.
#[derive(Clone, Debug)]
pub struct Activate(
    /// The function.
    pub Activation,
);

impl Layer for Activate {
    fn kind(&self) -> &'static str {
        "activation"
    }

    fn build(&self, _ctx: &BuildCtx, x: &Var) -> Result<Var> {
        self.0.apply(x)
    }
}
