use super::{BuildCtx, Layer, Penalty};
use crate::error::{Error, Result};
use crate::graph::{Init, Var};
use crate::shape::resolve_axis;

/// An activation function. The method of [`Var`] that a variant calls says more of it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Activation {
    /// `x`
    #[default]
    Linear,
    /// `max(x, 0)`
    Relu,
    /// `min(max(x, 0), 6)`
    Relu6,
    /// `x` where it is positive, else this times `x`: [`Var::leaky_relu`]. Keras's default is 0.2.
    LeakyRelu(f32),
    /// `x` where it is positive, else this times `eˣ − 1`: [`Var::elu`]. Keras's default is 1.
    Elu(f32),
    /// [`Var::selu`]; goes with the initialiser LeCun normal and [`AlphaDropout`](super::AlphaDropout).
    Selu,
    /// `x Φ(x)`: [`Var::gelu`]
    Gelu,
    /// The approximation of GELU that uses tanh: [`Var::gelu_tanh`]
    GeluTanh,
    /// `x / (1 + e⁻ˣ)`, also called swish: [`Var::silu`]
    Silu,
    /// `x` times the hard sigmoid, also called hard swish: [`Var::hard_silu`]
    HardSilu,
    /// `x tanh(ln (1 + eˣ))`: [`Var::mish`]
    Mish,
    /// `ln (1 + eˣ)`
    Softplus,
    /// `x / (1 + |x|)`
    Softsign,
    /// `1 / (1 + e⁻ˣ)`
    Sigmoid,
    /// `x/6 + 1/2`, held between 0 and 1
    HardSigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// `eˣ`
    Exponential,
    /// `eˣ / Σ eˣ` over the last axis. The classes of images are not there: see [`Activation::SoftmaxAlong`].
    Softmax,
    /// `eˣ / Σ eˣ` over this axis, which counts from the end where it is negative: 1 for images `[batch, classes, h, w]`.
    SoftmaxAlong(isize),
    /// `x − ln Σ eˣ` over the last axis.
    LogSoftmax,
}

impl Activation {
    /// The function of `x`.
    ///
    /// # Errors
    /// Where `x` lacks the axis that the function needs, or a constant is not finite.
    pub fn apply(self, x: &Var) -> Result<Var> {
        match self {
            Activation::Linear => Ok(x.clone()),
            Activation::Relu => x.relu(),
            Activation::Relu6 => x.relu6(),
            Activation::LeakyRelu(alpha) => x.leaky_relu(alpha),
            Activation::Elu(alpha) => x.elu(alpha),
            Activation::Selu => x.selu(),
            Activation::Gelu => x.gelu(),
            Activation::GeluTanh => x.gelu_tanh(),
            Activation::Silu => x.silu(),
            Activation::HardSilu => x.hard_silu(),
            Activation::Mish => x.mish(),
            Activation::Softplus => x.softplus(),
            Activation::Softsign => x.softsign(),
            Activation::Sigmoid => x.sigmoid(),
            Activation::HardSigmoid => x.hard_sigmoid(),
            Activation::Tanh => x.tanh(),
            Activation::Exponential => x.exp(),
            Activation::Softmax => x.softmax(-1),
            Activation::SoftmaxAlong(axis) => x.softmax(axis),
            Activation::LogSoftmax => x.log_softmax(-1),
        }
    }
}

/// A layer that only applies an [`Activation`]. Shapes stay as they are.
///
/// ```
/// use galen::nn::{Activate, Activation, Conv2d, Network, Sequential};
///
/// let model = Sequential::new([3, 8, 8]).with(Conv2d::new(4, [3, 3])).with(Activate(Activation::LeakyRelu(0.2)));
/// assert_eq!(model.summary()?.outputs[0], [4, 6, 6].into());
/// # Ok::<(), galen::Error>(())
/// ```
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

/// `x` where it is positive, else `α x` with a trained `α`. Shapes stay as they are. Source: K. He, X. Zhang, S. Ren, J. Sun, "Delving
/// deep into rectifiers", ICCV 2015, which also begins with `α = 0.25` and does not decay it.
///
/// Parameters: `alpha` `[c]`, one for each channel (axis 1 of `[batch, c, ..]`), or `[1]` where it is shared.
///
/// ```
/// use galen::nn::{Conv2d, Network, PRelu, Sequential};
///
/// let model = Sequential::new([3, 8, 8]).with(Conv2d::new(4, [3, 3])).with(PRelu::new());
/// assert_eq!(model.summary()?.outputs[0], [4, 6, 6].into());
/// assert_eq!(model.summary()?.layers[1].parameters, 4);
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct PRelu {
    axis: Option<isize>,
    initial: f32,
    penalty: Penalty,
}

impl Default for PRelu {
    fn default() -> Self {
        PRelu { axis: Some(1), initial: 0.25, penalty: Penalty::NONE }
    }
}

impl PRelu {
    /// One `alpha` for each channel, beginning with 0.25.
    pub fn new() -> Self {
        Self::default()
    }

    /// One `alpha` for all.
    #[must_use]
    pub fn shared(self) -> Self {
        PRelu { axis: None, ..self }
    }

    /// One `alpha` for each index along `axis`, which counts from the end where it is negative: −1 for the features of sequences
    /// `[batch, steps, features]`.
    #[must_use]
    pub fn axis(self, axis: isize) -> Self {
        PRelu { axis: Some(axis), ..self }
    }

    /// What `alpha` begins with; Keras begins with 0.
    #[must_use]
    pub fn initial(self, initial: f32) -> Self {
        PRelu { initial, ..self }
    }

    /// A penalty on `alpha`, added to the loss.
    #[must_use]
    pub fn regularizer(self, penalty: Penalty) -> Self {
        PRelu { penalty, ..self }
    }
}

impl Layer for PRelu {
    fn kind(&self) -> &'static str {
        "p_relu"
    }

    fn build(&self, ctx: &BuildCtx, x: &Var) -> Result<Var> {
        let shape = x.shape();
        if !self.initial.is_finite() {
            return Err(Error::parameter("p_relu", "initial alpha", "finite", self.initial));
        }
        let mut column = vec![1; shape.len()];
        if let Some(axis) = self.axis {
            let axis = resolve_axis("p_relu", axis, shape.len())?;
            if axis == 0 {
                return Err(Error::parameter("p_relu", "axis", "behind the batch", axis));
            }
            column[axis] = shape[axis];
        }
        ctx.hold("alpha", self.penalty, None);
        let n = column.iter().product::<usize>();
        let alpha = ctx.parameter(x.graph(), "alpha", [n], Init::Constant(self.initial))?;
        x.prelu(&alpha.reshape(column)?)
    }
}
