use super::{Activation, BuildCtx, Layer, Units, Weights, weight_methods};
use crate::error::{Error, Result};
use crate::graph::Var;

/// `y = activation(x · kernel + bias)`: `[batch, .., n]` → `[batch, .., units]`.
///
/// Parameters: `kernel` `[n, units]`, `bias` `[units]`.
///
/// ```
/// use galen::nn::{Activation::Relu, Dense, Network, Penalty, Sequential};
///
/// let layer = Dense::new(10).activation(Relu).kernel_regularizer(Penalty::l2(1e-4));
/// let summary = Sequential::new([30]).with(layer).summary()?;
/// assert_eq!(&*summary.outputs[0], [10]);
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Dense {
    units: usize,
    activation: Activation,
    weights: Weights,
}

impl Dense {
    /// A layer of `units` neurons, with bias and without activation.
    pub fn new(units: usize) -> Self {
        Dense { units, activation: Activation::Linear, weights: Weights::default() }
    }

    /// A part of another layer, which passes on the settings of its own weights.
    pub(super) fn of(units: usize, weights: &Weights) -> Self {
        Dense { weights: weights.clone(), ..Dense::new(units) }
    }

    /// Applies `activation` to the result.
    #[must_use]
    pub fn activation(self, activation: Activation) -> Self {
        Dense { activation, ..self }
    }

    weight_methods!();
}

impl Layer for Dense {
    fn kind(&self) -> &'static str {
        "dense"
    }

    fn build(&self, ctx: &BuildCtx, x: &Var) -> Result<Var> {
        let (shape, graph) = (x.shape(), x.graph());
        if shape.len() < 2 {
            return Err(Error::shape("dense", "[batch, .., n]", shape.to_string()));
        }
        if self.units == 0 {
            return Err(Error::parameter("dense", "units", "at least 1", self.units));
        }
        let n = shape[shape.len() - 1];
        let kernel = self.weights.kernel(ctx, graph, [n, self.units], [n, self.units], Units::Columns)?;
        // One product of [rows, n] is faster than a batch of small ones.
        let mut y = x.reshape([shape.elements() / n, n])?.matmul(&kernel)?;
        if let Some(bias) = self.weights.bias(ctx, graph, [self.units])? {
            y = y.add(&bias)?;
        }
        let mut out = shape.to_vec();
        out[shape.len() - 1] = self.units;
        let y = self.activation.apply(&y)?.reshape(out)?;
        self.weights.penalise(ctx, &y)?;
        Ok(y)
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
