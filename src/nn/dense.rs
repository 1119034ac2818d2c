use super::{Activation, BuildCtx, Initializer, Layer};
use crate::error::{Error, Result};
use crate::graph::{Init, Var};

/// `y = activation(x · kernel + bias)`: `[batch, .., n]` → `[batch, .., units]`.
///
/// Parameters: `kernel` `[n, units]`, `bias` `[units]`.
#[derive(Clone, Debug)]
pub struct Dense {
    units: usize,
    activation: Activation,
    bias: bool,
    kernel: Initializer,
}

impl Dense {
    /// A layer of `units` neurons, with bias and without activation.
    pub fn new(units: usize) -> Self {
        Dense { units, activation: Activation::Linear, bias: true, kernel: Initializer::default() }
    }

    /// Applies `activation` to the result.
    #[must_use]
    pub fn activation(self, activation: Activation) -> Self {
        Dense { activation, ..self }
    }

    /// Leaves the bias out.
    #[must_use]
    pub fn without_bias(self) -> Self {
        Dense { bias: false, ..self }
    }

    /// How the kernel begins; the bias begins with zeros.
    #[must_use]
    pub fn kernel_initializer(self, kernel: Initializer) -> Self {
        Dense { kernel, ..self }
    }
}

impl Layer for Dense {
    fn kind(&self) -> &'static str {
        "dense"
    }

    fn build(&self, ctx: &BuildCtx, x: &Var) -> Result<Var> {
        let shape = x.shape();
        if shape.len() < 2 {
            return Err(Error::shape("dense", "[batch, .., n]", shape.to_string()));
        }
        if self.units == 0 {
            return Err(Error::parameter("dense", "units", "at least 1", self.units));
        }
        let n = shape[shape.len() - 1];
        let kernel = ctx.parameter(x.graph(), "kernel", [n, self.units], self.kernel.init(n, self.units))?;
        // One product of [rows, n] is faster than a batch of small ones.
        let flat = x.reshape([shape.elements() / n, n])?;
        let mut y = flat.matmul(&kernel)?;
        if self.bias {
            y = y.add(&ctx.parameter(x.graph(), "bias", [self.units], Init::Constant(0.0))?)?;
        }
        let mut out = shape.to_vec();
        out[shape.len() - 1] = self.units;
        self.activation.apply(&y)?.reshape(out)
    }
}

/// `[batch, ..]` → `[batch, n]`, in the order of the elements (channels first).
#[derive(Clone, Copy, Debug, Default)]
pub struct Flatten;

impl Layer for Flatten {
    fn kind(&self) -> &'static str {
        "flatten"
    }

    fn build(&self, _ctx: &BuildCtx, x: &Var) -> Result<Var> {
        let shape = x.shape();
        let Some(&batch) = shape.first() else {
            return Err(Error::shape("flatten", "[batch, ..]", shape.to_string()));
        };
        x.reshape([batch, shape.elements() / batch])
    }
}
