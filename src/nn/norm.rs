//! Layers that normalise what comes to them.

use super::{BuildCtx, Initializer, Layer, Mode, Penalty};
use crate::error::{Error, Result};
use crate::graph::{Graph, Init, Var};
use crate::shape::{Shape, TensorSpec};

/// Factor and shift after a normalisation: `gamma` and `beta`, where they are wanted.
#[derive(Clone, Debug)]
struct Affine {
    gamma: Option<Initializer>,
    beta: Option<Initializer>,
    gamma_penalty: Penalty,
    beta_penalty: Penalty,
    epsilon: f64,
}

impl Default for Affine {
    /// Keras's: both, from one and zero on, and an epsilon of 1e-3.
    fn default() -> Self {
        Affine {
            gamma: Some(Initializer::Constant(1.0)),
            beta: Some(Initializer::Constant(0.0)),
            gamma_penalty: Penalty::NONE,
            beta_penalty: Penalty::NONE,
            epsilon: 1e-3,
        }
    }
}

impl Affine {
    /// `gamma` and `beta` of `shape`, flat. What is not wanted is a constant that changes nothing.
    fn build(&self, ctx: &BuildCtx, graph: &Graph, shape: &[usize]) -> Result<[Var; 2]> {
        let n = Shape::from(shape).elements();
        let one = |name: &str, init: Option<Initializer>, penalty, neutral: f32| match init {
            Some(init) => {
                let parameter = ctx.parameter(graph, name, shape, init.init(n, n))?;
                ctx.hold(name, penalty, None);
                parameter.reshape([n])
            }
            // An arena of its own, which all layers of this size share.
            None => {
                let arena = format!("constant [{n}] of {neutral}");
                graph.state(&arena, "all", TensorSpec::f32([n]), Init::Constant(neutral))
            }
        };
        let gamma = one("gamma", self.gamma, self.gamma_penalty, 1.0)?;
        Ok([gamma, one("beta", self.beta, self.beta_penalty, 0.0)?])
    }
}

/// The builder methods of a layer that has a field `affine: Affine`.
macro_rules! affine_methods {
    () => {
        /// What is added to the variance before its root is taken; 1e-3 where nothing is said.
        #[must_use]
        pub fn epsilon(mut self, epsilon: f64) -> Self {
            self.affine.epsilon = epsilon;
            self
        }

        /// Leaves the factor `gamma` out.
        #[must_use]
        pub fn without_scale(mut self) -> Self {
            self.affine.gamma = None;
            self
        }

        /// Leaves the shift `beta` out.
        #[must_use]
        pub fn without_center(mut self) -> Self {
            self.affine.beta = None;
            self
        }

        /// How the factor begins; with ones where nothing is said.
        #[must_use]
        pub fn gamma_initializer(mut self, initializer: Initializer) -> Self {
            self.affine.gamma = Some(initializer);
            self
        }

        /// How the shift begins; with zeros where nothing is said.
        #[must_use]
        pub fn beta_initializer(mut self, initializer: Initializer) -> Self {
            self.affine.beta = Some(initializer);
            self
        }

        /// A penalty on the factor, added to the loss.
        #[must_use]
        pub fn gamma_regularizer(mut self, penalty: Penalty) -> Self {
            self.affine.gamma_penalty = penalty;
            self
        }

        /// A penalty on the shift, added to the loss.
        #[must_use]
        pub fn beta_regularizer(mut self, penalty: Penalty) -> Self {
            self.affine.beta_penalty = penalty;
            self
        }
    };
}

/// The channels of `[batch, channels, ..]`.
fn channels(layer: &str, x: &Var) -> Result<usize> {
    match *x.shape() {
        [_, c, ..] => Ok(c),
        _ => Err(Error::shape(layer, "[batch, channels, ..]", x.spec().to_string())),
    }
}

/// Batch normalisation: `[batch, channels, ..]` → the same; after a dense layer the channels are its units.
///
/// `y = (x − mean) / √(variance + ε) · gamma + beta` for each channel. In training mean and (biased) variance are those of the batch, over
/// samples and space, and `moving_mean` and `moving_variance` follow them: `moving = momentum · moving + (1 − momentum) · batch`. In
/// inference, and where the layer is frozen, they are the moving ones. Source: S. Ioffe, C. Szegedy, "Batch normalization: accelerating
/// deep network training by reducing internal covariate shift", ICML 2015; the constants are Keras's.
///
/// Parameters: `gamma` and `beta` `[channels]`. Statistics: `moving_mean` and `moving_variance` `[channels]`.
///
/// ```
/// use galen::nn::{Activate, Activation::Relu, BatchNorm, Conv2d, Network, Sequential};
///
/// let network = Sequential::new([3, 8, 8]).with(Conv2d::new(4, [3, 3]).without_bias()).with(BatchNorm::new()).with(Activate(Relu));
/// let summary = network.summary()?;
/// assert_eq!(&*summary.outputs[0], [4, 6, 6]);
/// assert_eq!(summary.parameters(), 4 * 3 * 9 + 2 * 4);
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct BatchNorm {
    momentum: f32,
    frozen: bool,
    affine: Affine,
}

impl Default for BatchNorm {
    fn default() -> Self {
        Self::new()
    }
}

impl BatchNorm {
    /// Keras's: momentum 0.99, epsilon 1e-3, with gamma and beta.
    pub fn new() -> Self {
        BatchNorm { momentum: 0.99, frozen: false, affine: Affine::default() }
    }

    /// The share of the moving statistics that a step keeps, in [0, 1]. (PyTorch's momentum is 1 less this.)
    #[must_use]
    pub fn momentum(self, momentum: f32) -> Self {
        BatchNorm { momentum, ..self }
    }

    /// Normalises by the moving statistics in training too, and leaves them as they are; gamma and beta are still trained. So one
    /// trains on with small batches. A layer whose parameters are frozen does so by itself.
    #[must_use]
    pub fn frozen(self) -> Self {
        BatchNorm { frozen: true, ..self }
    }

    affine_methods!();
}

impl Layer for BatchNorm {
    fn kind(&self) -> &'static str {
        "batch_norm"
    }

    fn build(&self, ctx: &BuildCtx, x: &Var) -> Result<Var> {
        let (graph, c) = (x.graph(), channels("batch_norm", x)?);
        if !(0.0..=1.0).contains(&self.momentum) {
            return Err(Error::parameter("batch_norm", "momentum", "in [0, 1]", self.momentum));
        }
        let [gamma, beta] = self.affine.build(ctx, graph, &[c])?;
        let moving_mean = ctx.statistic(graph, "moving_mean", [c], Init::Constant(0.0))?;
        let moving_variance = ctx.statistic(graph, "moving_variance", [c], Init::Constant(1.0))?;
        if ctx.mode == Mode::Infer || self.frozen || ctx.is_frozen() {
            return x.batch_norm_with(&gamma, &beta, &moving_mean, &moving_variance, self.affine.epsilon);
        }
        let (y, mean, variance) = x.batch_norm(&gamma, &beta, self.affine.epsilon)?;
        ctx.update_statistic("moving_mean", &mean, self.momentum)?;
        ctx.update_statistic("moving_variance", &variance, self.momentum)?;
        Ok(y)
    }
}

/// Layer normalisation: `[batch, .., n]` → the same.
///
/// `y = (x − mean) / √(variance + ε) · gamma + beta`, mean and (biased) variance over the last axis, or over as many of the last as
/// [`LayerNorm::axes`] says. The same in training and in inference. Source: J. Ba, J. Kiros, G. Hinton, "Layer normalization",
/// arXiv:1607.06450 (2016); the constants are Keras's.
///
/// Parameters: `gamma` and `beta`, of the shape of the axes.
///
/// ```
/// use galen::nn::{LayerNorm, Network, Sequential};
///
/// let summary = Sequential::new([5, 16]).with(LayerNorm::new()).summary()?;
/// assert_eq!(&*summary.outputs[0], [5, 16]);
/// assert_eq!(summary.parameters(), 2 * 16);
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct LayerNorm {
    axes: Option<usize>,
    affine: Affine,
}

impl Default for LayerNorm {
    fn default() -> Self {
        Self::new()
    }
}

impl LayerNorm {
    /// Keras's: over the last axis, epsilon 1e-3, with gamma and beta.
    pub fn new() -> Self {
        LayerNorm { axes: Some(1), affine: Affine::default() }
    }

    /// Normalises over this many of the last axes together; at least 1, and never over the batch.
    #[must_use]
    pub fn axes(self, axes: usize) -> Self {
        LayerNorm { axes: Some(axes), ..self }
    }

    /// Normalises over the channels of `[batch, channels, ..]` instead, at each position by itself, as ConvNeXt does with images.
    #[must_use]
    pub fn over_channels(self) -> Self {
        LayerNorm { axes: None, ..self }
    }

    affine_methods!();

    fn over_last(&self, ctx: &BuildCtx, x: &Var, axes: usize) -> Result<Var> {
        let shape = x.shape();
        let kept = shape.len().checked_sub(axes).filter(|kept| *kept > 0 && axes > 0).ok_or_else(|| {
            let expected = format!("from 1 to the {} behind the batch of {shape}", shape.len().saturating_sub(1));
            Error::parameter("layer_norm", "axes", expected, axes)
        })?;
        let [gamma, beta] = self.affine.build(ctx, x.graph(), &shape[kept..])?;
        let rows = x.reshape([shape.elements() / gamma.shape().elements(), gamma.shape().elements()])?;
        rows.layer_norm(&gamma, &beta, self.affine.epsilon)?.reshape(shape)
    }
}

impl Layer for LayerNorm {
    fn kind(&self) -> &'static str {
        "layer_norm"
    }

    fn build(&self, ctx: &BuildCtx, x: &Var) -> Result<Var> {
        if let Some(axes) = self.axes {
            return self.over_last(ctx, x, axes);
        }
        channels("layer_norm", x)?;
        let last = x.shape().len() - 1;
        let channels_last: Vec<usize> = std::iter::once(0).chain(2..=last).chain([1]).collect();
        let channels_first: Vec<usize> = [0, last].into_iter().chain(1..last).collect();
        self.over_last(ctx, &x.transpose(&channels_last)?, 1)?.transpose(&channels_first)
    }
}

/// Group normalisation: `[batch, channels, ..]` → the same.
///
/// `y = (x − mean) / √(variance + ε) · gamma + beta`, mean and (biased) variance over each of `groups` groups of neighbouring channels
/// together with space, of every sample by itself. The same in training and in inference, and for every size of the batch. Source:
/// Y. Wu, K. He, "Group normalization", ECCV 2018; the constants are Keras's.
///
/// Parameters: `gamma` and `beta` `[channels]`.
///
/// ```
/// use galen::nn::{GroupNorm, Network, Sequential};
///
/// let summary = Sequential::new([8, 6, 6]).with(GroupNorm::new(4)).summary()?;
/// assert_eq!(&*summary.outputs[0], [8, 6, 6]);
/// assert_eq!(summary.parameters(), 2 * 8);
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct GroupNorm {
    groups: usize,
    affine: Affine,
}

impl Default for GroupNorm {
    /// 32 groups, as in the source and in Keras.
    fn default() -> Self {
        Self::new(32)
    }
}

impl GroupNorm {
    /// This many groups, which must divide the channels; epsilon 1e-3, with gamma and beta.
    pub fn new(groups: usize) -> Self {
        GroupNorm { groups, affine: Affine::default() }
    }

    affine_methods!();
}

impl Layer for GroupNorm {
    fn kind(&self) -> &'static str {
        "group_norm"
    }

    fn build(&self, ctx: &BuildCtx, x: &Var) -> Result<Var> {
        let c = channels("group_norm", x)?;
        let [gamma, beta] = self.affine.build(ctx, x.graph(), &[c])?;
        x.group_norm(self.groups, &gamma, &beta, self.affine.epsilon)
    }
}

/// Instance normalisation: `[batch, channels, ..]` → the same.
///
/// `y = (x − mean) / √(variance + ε) · gamma + beta`, mean and (biased) variance over the space of each channel of each sample. The same in
/// training and in inference. Source: D. Ulyanov, A. Vedaldi, V. Lempitsky, "Instance normalization: the missing ingredient for
/// fast stylization", arXiv:1607.08022 (2016); the constants are those of Keras's group normalisation.
///
/// Parameters: `gamma` and `beta` `[channels]`.
///
/// ```
/// use galen::nn::{InstanceNorm, Network, Sequential};
///
/// let summary = Sequential::new([2, 6, 6, 6]).with(InstanceNorm::new().epsilon(1e-5)).summary()?;
/// assert_eq!(&*summary.outputs[0], [2, 6, 6, 6]);
/// assert_eq!(summary.parameters(), 2 * 2);
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct InstanceNorm {
    affine: Affine,
}

impl InstanceNorm {
    /// Epsilon 1e-3, with gamma and beta.
    pub fn new() -> Self {
        Self::default()
    }

    affine_methods!();
}

impl Layer for InstanceNorm {
    fn kind(&self) -> &'static str {
        "instance_norm"
    }

    fn build(&self, ctx: &BuildCtx, x: &Var) -> Result<Var> {
        let c = channels("instance_norm", x)?;
        let [gamma, beta] = self.affine.build(ctx, x.graph(), &[c])?;
        x.group_norm(c, &gamma, &beta, self.affine.epsilon)
    }
}
