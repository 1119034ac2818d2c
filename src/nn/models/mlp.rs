use super::at_least_one;
use crate::error::Result;
use crate::graph::Var;
use crate::nn::{Activation, BuildCtx, Dense, Dropout, Flatten, Layer};

/// A multilayer perceptron: `[batch, ..]` → `[batch, outputs]`; dense layers with an activation (and dropout) between them.
///
/// ```
/// use galen::nn::{Network, Sequential, models::Mlp};
///
/// let network = Sequential::new([30]).with(Mlp::new([16, 8], 2).dropout(0.3));
/// assert_eq!(&*network.summary()?.outputs[0], [2]);
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Mlp {
    hidden: Vec<usize>,
    outputs: usize,
    activation: Activation,
    dropout: f32,
}

impl Mlp {
    /// Hidden layers of these sizes, and `outputs` values at the end; ReLU, no dropout.
    pub fn new(hidden: impl Into<Vec<usize>>, outputs: usize) -> Self {
        Mlp { hidden: hidden.into(), outputs, activation: Activation::Relu, dropout: 0.0 }
    }

    /// The activation between layers.
    #[must_use]
    pub fn activation(self, activation: Activation) -> Self {
        Mlp { activation, ..self }
    }

    /// Dropout after every hidden layer.
    #[must_use]
    pub fn dropout(self, dropout: f32) -> Self {
        Mlp { dropout, ..self }
    }
}

impl Layer for Mlp {
    fn kind(&self) -> &'static str {
        "mlp"
    }

    fn build(&self, ctx: &BuildCtx, x: &Var) -> Result<Var> {
        at_least_one("mlp", "outputs", self.outputs)?;
        let mut x = if x.shape().len() == 2 { x.clone() } else { ctx.layer(&Flatten, x)? };
        for units in &self.hidden {
            x = ctx.layer(&Dense::new(*units).activation(self.activation), &x)?;
            if self.dropout != 0.0 {
                x = ctx.layer(&Dropout::new(self.dropout), &x)?;
            }
        }
        ctx.layer(&Dense::new(self.outputs), &x)
    }
}
