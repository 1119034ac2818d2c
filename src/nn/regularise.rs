use super::{BuildCtx, Layer, Mode};
use crate::contract::stream_of;
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::ops::random::Distribution;

/// In training each element is zeroed with probability `rate` and the others are scaled by `1 / (1 − rate)`; in inference
/// nothing happens. Source: N. Srivastava et al., JMLR 15, 2014.
#[derive(Clone, Debug)]
pub struct Dropout {
    rate: f32,
}

impl Dropout {
    /// Zeroes with probability `rate`, which must be in [0, 1).
    pub fn new(rate: f32) -> Self {
        Dropout { rate }
    }
}

impl Layer for Dropout {
    fn kind(&self) -> &'static str {
        "dropout"
    }

    fn build(&self, ctx: &BuildCtx, x: &Var) -> Result<Var> {
        check_rate("dropout", self.rate)?;
        match ctx.mode {
            Mode::Infer => Ok(x.clone()),
            Mode::Train => x.dropout(self.rate, stream_of(ctx.name()), ctx.clock()?),
        }
    }
}

fn check_rate(layer: &str, rate: f32) -> Result<()> {
    if (0.0..1.0).contains(&rate) { Ok(()) } else { Err(Error::parameter(layer, "rate", "in [0, 1)", rate)) }
}

/// Dropout of whole channels: in training all elements of a sample's channel are zeroed together with probability `rate`, and the
/// others are scaled by `1 / (1 − rate)`; in inference nothing happens. Shapes stay as they are: `[batch, c, ..]`.
///
/// Neighbouring pixels of a feature map say nearly the same, so that dropping single ones hides little. Source: J. Tompson et al.,
/// "Efficient object localization using convolutional networks", CVPR 2015.
///
/// ```
/// use galen::nn::{Network, Sequential, SpatialDropout};
///
/// let model = Sequential::new([3, 8, 8]).with(SpatialDropout::new(0.2));
/// assert_eq!(model.summary()?.outputs[0], [3, 8, 8].into());
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SpatialDropout {
    rate: f32,
    axis: isize,
}

impl SpatialDropout {
    /// Zeroes channels (axis 1) with probability `rate`, which must be in [0, 1).
    pub fn new(rate: f32) -> Self {
        SpatialDropout { rate, axis: 1 }
    }

    /// The axis of the channels, which counts from the end where it is negative: −1 for sequences `[batch, steps, features]`, of which
    /// the same features are dropped in every step (Keras's `SpatialDropout1D`).
    #[must_use]
    pub fn axis(self, axis: isize) -> Self {
        SpatialDropout { axis, ..self }
    }
}

impl Layer for SpatialDropout {
    fn kind(&self) -> &'static str {
        "spatial_dropout"
    }

    fn build(&self, ctx: &BuildCtx, x: &Var) -> Result<Var> {
        check_rate("spatial_dropout", self.rate)?;
        let axis = crate::shape::resolve_axis("spatial_dropout", self.axis, x.shape().len())?;
        if axis == 0 {
            return Err(Error::parameter("spatial_dropout", "axis", "behind the batch", self.axis));
        }
        match ctx.mode {
            Mode::Infer => Ok(x.clone()),
            Mode::Train => x.dropout_channels(self.rate, self.axis, stream_of(ctx.name()), ctx.clock()?),
        }
    }
}

/// In training normal noise of standard deviation `deviation` is added to each element, other noise in every step; in inference nothing
/// happens. Shapes stay as they are. Source: C. Bishop, "Training with noise is equivalent to Tikhonov regularization", Neural
/// Computation 7 (1995).
///
/// ```
/// use galen::nn::{GaussianNoise, Network, Sequential};
///
/// let model = Sequential::new([3, 8, 8]).with(GaussianNoise::new(0.1));
/// assert_eq!(model.summary()?.outputs[0], [3, 8, 8].into());
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct GaussianNoise {
    deviation: f32,
}

impl GaussianNoise {
    /// Noise of this standard deviation, which must not be below 0.
    pub fn new(deviation: f32) -> Self {
        GaussianNoise { deviation }
    }
}

impl Layer for GaussianNoise {
    fn kind(&self) -> &'static str {
        "gaussian_noise"
    }

    fn build(&self, ctx: &BuildCtx, x: &Var) -> Result<Var> {
        if !self.deviation.is_finite() || self.deviation < 0.0 {
            return Err(Error::parameter("gaussian_noise", "deviation", "a number not below 0", self.deviation));
        }
        match ctx.mode {
            Mode::Infer => Ok(x.clone()),
            Mode::Train => x.add(&normal(ctx, x)?.scale(self.deviation)?),
        }
    }
}

/// In training each element is multiplied with a normal number of mean 1 and variance `rate / (1 − rate)`, so that mean and variance are
/// those of [`Dropout`]; in inference nothing happens. Shapes stay as they are. Source: N. Srivastava et al., JMLR 15, 2014, section 10.
///
/// ```
/// use galen::nn::{GaussianDropout, Network, Sequential};
///
/// let model = Sequential::new([7]).with(GaussianDropout::new(0.2));
/// assert_eq!(model.summary()?.outputs[0], [7].into());
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct GaussianDropout {
    rate: f32,
}

impl GaussianDropout {
    /// The noise that dropout of `rate` makes; it must be in [0, 1).
    pub fn new(rate: f32) -> Self {
        GaussianDropout { rate }
    }
}

impl Layer for GaussianDropout {
    fn kind(&self) -> &'static str {
        "gaussian_dropout"
    }

    fn build(&self, ctx: &BuildCtx, x: &Var) -> Result<Var> {
        check_rate("gaussian_dropout", self.rate)?;
        let deviation = (self.rate / (1.0 - self.rate)).sqrt();
        match ctx.mode {
            Mode::Infer => Ok(x.clone()),
            Mode::Train => x.mul(&normal(ctx, x)?.scale(deviation)?.shift(1.0)?),
        }
    }
}

/// Dropout for networks of [SELU](super::Activation::Selu): in training elements go to SELU's lowest value with probability `rate`, and
/// the whole is scaled and shifted so that mean 0 and variance 1 stay; in inference nothing happens. Shapes stay as they are.
///
/// `y = a (m x + (1 − m) α′) + b` with a mask `m` and `α′ = −λ α = −1.7581`, `a = (q + α′² q (1 − q))^(−1/2)`, `b = −a (1 − q) α′`, where
/// `q = 1 − rate`. Source: G. Klambauer et al., "Self-normalizing neural networks", NeurIPS 2017.
///
/// ```
/// use galen::nn::{AlphaDropout, Network, Sequential};
///
/// let model = Sequential::new([7]).with(AlphaDropout::new(0.1));
/// assert_eq!(model.summary()?.outputs[0], [7].into());
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct AlphaDropout {
    rate: f32,
}

impl AlphaDropout {
    /// Drops with probability `rate`, which must be in [0, 1).
    pub fn new(rate: f32) -> Self {
        AlphaDropout { rate }
    }
}

impl Layer for AlphaDropout {
    fn kind(&self) -> &'static str {
        "alpha_dropout"
    }

    fn build(&self, ctx: &BuildCtx, x: &Var) -> Result<Var> {
        check_rate("alpha_dropout", self.rate)?;
        if ctx.mode == Mode::Infer {
            return Ok(x.clone());
        }
        let (lowest, keep) = (-1.758_099_4_f32, 1.0 - self.rate);
        let a = (keep + lowest * lowest * keep * self.rate).powf(-0.5);
        let b = -a * self.rate * lowest;
        let graph = x.graph();
        let dice = graph.random(x.shape(), Distribution::Uniform, stream_of(ctx.name()), ctx.clock()?)?;
        let stays = dice.greater_equal(&graph.fill([1], self.rate)?)?;
        stays.select(x, &graph.fill([1], lowest)?)?.scale(a)?.shift(b)
    }
}

/// Standard normal noise in the shape of `x`.
fn normal(ctx: &BuildCtx, x: &Var) -> Result<Var> {
    x.graph().random(x.shape(), Distribution::Normal, stream_of(ctx.name()), ctx.clock()?)
}
