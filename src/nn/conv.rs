use super::pooling::kind;
use super::{Activation, BuildCtx, Layer, Penalty, Units, Weights, weight_methods};
use crate::contract::Padding;
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::ops::conv::{ConvOptions, ConvTransposeOptions};

/// The builder methods that all convolutions have, which hold an `options`, an `activation` and `weights`.
macro_rules! conv_methods {
    () => {
        /// Steps between positions.
        #[must_use]
        pub fn stride(mut self, stride: [usize; N]) -> Self {
            self.options.stride = stride;
            self
        }

        /// Spreads the kernel's taps this far apart.
        #[must_use]
        pub fn dilation(mut self, dilation: [usize; N]) -> Self {
            self.options.dilation = dilation;
            self
        }

        /// Applies `activation` to the result.
        #[must_use]
        pub fn activation(mut self, activation: Activation) -> Self {
            self.activation = activation;
            self
        }

        weight_methods!();
    };
}

/// Channels of `x`, which must have `N` spatial axes.
fn channels<const N: usize>(op: &str, x: &Var) -> Result<usize> {
    let shape = x.shape();
    if shape.len() == N + 2 {
        return Ok(shape[1]);
    }
    let expected =
        ["[batch, channels, length]", "[batch, channels, rows, columns]", "[batch, channels, slices, rows, columns]"];
    Err(Error::shape(op, kind::<N>(expected), shape.to_string()))
}

/// Taps of a kernel, at least one.
fn taps<const N: usize>(op: &str, kernel: [usize; N]) -> Result<usize> {
    match kernel.iter().fold(1usize, |n, extent| n.saturating_mul(*extent)) {
        0 => Err(Error::parameter(op, "kernel", "at least 1 along every axis", format!("{kernel:?}"))),
        taps => Ok(taps),
    }
}

fn at_least_one(op: &str, what: &str, n: usize) -> Result<()> {
    if n == 0 { Err(Error::parameter(op, what, "at least 1", n)) } else { Ok(()) }
}

fn check_groups(op: &str, groups: usize, channels: usize, filters: usize) -> Result<()> {
    if groups != 0 && channels.is_multiple_of(groups) && filters.is_multiple_of(groups) {
        return Ok(());
    }
    let expected = format!("a divisor of {channels} channels and {filters} filters");
    Err(Error::parameter(op, "groups", expected, groups))
}

/// Two leading extents and the kernel's.
fn shape<const N: usize>(lead: [usize; 2], kernel: [usize; N]) -> Vec<usize> {
    lead.into_iter().chain(kernel).collect()
}

/// What follows every convolution: the bias of each channel, the activation, the penalty on the result.
fn finish(weights: &Weights, activation: &Activation, ctx: &BuildCtx, y: Var) -> Result<Var> {
    let shape = y.shape();
    let y = match weights.bias(ctx, y.graph(), [shape[1]])? {
        None => y,
        Some(bias) => {
            let mut per_channel = vec![1; shape.len() - 1];
            per_channel[0] = shape[1];
            y.add(&bias.reshape(per_channel)?)?
        }
    };
    let y = activation.apply(&y)?;
    weights.penalise(ctx, &y)?;
    Ok(y)
}

/// Convolution over `N` spatial axes: `[batch, c_in, ..]` → `[batch, filters, ..]`, each filter a weighted sum of the window around every
/// position, over all channels of its group: `y[o] = activation(Σ kernel[o, i, r] · x[i, position · stride + r · dilation − pad] + bias[o])`.
/// Along each axis there are `(padded − extent) / stride + 1` positions, rounded down, where `extent = (kernel − 1) · dilation + 1`;
/// with [`Padding::Same`] `in / stride`, rounded up.
///
/// Source: Y. LeCun et al., "Gradient-based learning applied to document recognition", Proc. IEEE 1998.
/// Parameters: `kernel` `[filters, c_in / groups, kernel..]`, `bias` `[filters]`.
///
/// ```
/// use galen::nn::{Activation::Relu, Conv2d, Conv3d, Network, Sequential};
/// use galen::contract::Padding;
///
/// let network = Sequential::new([3, 32, 48])
///     .with(Conv2d::new(16, [3, 3]).activation(Relu).without_bias())
///     .with(Conv2d::new(32, [3, 3]).stride([2, 2]).padding(Padding::Same).groups(4));
/// let summary = network.summary()?;
/// assert_eq!(&*summary.outputs[0], [32, 15, 23]);
/// assert_eq!(summary.parameters(), 16 * 3 * 9 + 32 * 4 * 9 + 32);
///
/// let volume = Sequential::new([1, 16, 32, 32]).with(Conv3d::new(8, [3, 3, 3]));
/// assert_eq!(&*volume.summary()?.outputs[0], [8, 14, 30, 30]);
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Conv<const N: usize> {
    filters: usize,
    kernel: [usize; N],
    options: ConvOptions<N>,
    causal: bool,
    activation: Activation,
    weights: Weights,
}

/// [`Conv`] along a signal: `[batch, c_in, length]` → `[batch, filters, out]`.
pub type Conv1d = Conv<1>;
/// [`Conv`] on images: `[batch, c_in, h, w]` → `[batch, filters, oh, ow]`.
pub type Conv2d = Conv<2>;
/// [`Conv`] in volumes: `[batch, c_in, d, h, w]` → `[batch, filters, od, oh, ow]`.
pub type Conv3d = Conv<3>;

impl<const N: usize> Conv<N> {
    /// `filters` filters with a window of these extents; stride 1, no padding, with bias, without activation.
    pub fn new(filters: usize, kernel: [usize; N]) -> Self {
        Conv {
            filters,
            kernel,
            options: ConvOptions::new(),
            causal: false,
            activation: Activation::Linear,
            weights: Weights::default(),
        }
    }

    conv_methods!();

    /// Pads the input with zeros; not at all where nothing is said.
    #[must_use]
    pub fn padding(mut self, padding: Padding<N>) -> Self {
        (self.options.padding, self.causal) = (padding, false);
        self
    }

    /// Splits channels and filters into this many groups that do not see each other.
    #[must_use]
    pub fn groups(mut self, groups: usize) -> Self {
        self.options.groups = groups;
        self
    }
}

impl Conv<1> {
    /// Pads the beginning alone, by `(kernel − 1) · dilation`, so that no position sees what comes after it.
    ///
    /// Source: A. van den Oord et al., "WaveNet: a generative model for raw audio", 2016.
    ///
    /// ```
    /// use galen::nn::{Conv1d, Network, Sequential};
    ///
    /// let network = Sequential::new([12, 1000]).with(Conv1d::new(16, [3]).dilation([4]).causal());
    /// assert_eq!(&*network.summary()?.outputs[0], [16, 1000]);
    /// # Ok::<(), galen::Error>(())
    /// ```
    #[must_use]
    pub fn causal(self) -> Self {
        Conv { causal: true, ..self }
    }
}

impl<const N: usize> Layer for Conv<N> {
    fn kind(&self) -> &'static str {
        kind::<N>(["conv1d", "conv2d", "conv3d"])
    }

    fn build(&self, ctx: &BuildCtx, x: &Var) -> Result<Var> {
        let (op, c_in) = (self.kind(), channels::<N>(self.kind(), x)?);
        at_least_one(op, "filters", self.filters)?;
        check_groups(op, self.options.groups, c_in, self.filters)?;
        let (taps, group_in, mut options) = (taps(op, self.kernel)?, c_in / self.options.groups, self.options);
        if self.causal {
            let before = |axis: usize| (self.kernel[axis] - 1).saturating_mul(options.dilation[axis]);
            options.padding = Padding::Explicit(std::array::from_fn(|axis| [before(axis), 0]));
        }
        let fans = [group_in, self.filters].map(|n| n.saturating_mul(taps));
        let dims = shape([self.filters, group_in], self.kernel);
        let w = self.weights.kernel(ctx, x.graph(), dims, fans, Units::Rows)?;
        finish(&self.weights, &self.activation, ctx, x.convolve(op, &w, &options)?)
    }
}

/// Convolution of every channel by itself: `[batch, c, ..]` → `[batch, c · multiplier, ..]`. Result `i · multiplier + m` is the `m`-th of
/// channel `i`.
///
/// Source: L. Sifre, S. Mallat, "Rigid-motion scattering for texture classification", 2014; A. Howard et al., "MobileNets", 2017.
/// Parameters: `kernel` `[c · multiplier, 1, kernel..]`, `bias` `[c · multiplier]`.
///
/// ```
/// use galen::contract::Padding;
/// use galen::nn::{DepthwiseConv2d, Network, Sequential};
///
/// let layer = DepthwiseConv2d::new([3, 3]).multiplier(2).padding(Padding::Same);
/// let summary = Sequential::new([8, 20, 20]).with(layer).summary()?;
/// assert_eq!(&*summary.outputs[0], [16, 20, 20]);
/// assert_eq!(summary.parameters(), 16 * 9 + 16);
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct DepthwiseConv<const N: usize> {
    kernel: [usize; N],
    multiplier: usize,
    options: ConvOptions<N>,
    activation: Activation,
    weights: Weights,
}

/// [`DepthwiseConv`] along a signal: `[batch, c, length]` → `[batch, c · multiplier, out]`.
pub type DepthwiseConv1d = DepthwiseConv<1>;
/// [`DepthwiseConv`] on images: `[batch, c, h, w]` → `[batch, c · multiplier, oh, ow]`.
pub type DepthwiseConv2d = DepthwiseConv<2>;
/// [`DepthwiseConv`] in volumes: `[batch, c, d, h, w]` → `[batch, c · multiplier, od, oh, ow]`.
pub type DepthwiseConv3d = DepthwiseConv<3>;

impl<const N: usize> DepthwiseConv<N> {
    /// One filter for each channel, with a window of these extents; stride 1, no padding, with bias, without activation.
    pub fn new(kernel: [usize; N]) -> Self {
        DepthwiseConv {
            kernel,
            multiplier: 1,
            options: ConvOptions::new(),
            activation: Activation::Linear,
            weights: Weights::default(),
        }
    }

    conv_methods!();

    /// Pads the input with zeros; not at all where nothing is said.
    #[must_use]
    pub fn padding(mut self, padding: Padding<N>) -> Self {
        self.options.padding = padding;
        self
    }

    /// Filters for each channel.
    #[must_use]
    pub fn multiplier(mut self, multiplier: usize) -> Self {
        self.multiplier = multiplier;
        self
    }
}

impl<const N: usize> Layer for DepthwiseConv<N> {
    fn kind(&self) -> &'static str {
        kind::<N>(["depthwise_conv1d", "depthwise_conv2d", "depthwise_conv3d"])
    }

    fn build(&self, ctx: &BuildCtx, x: &Var) -> Result<Var> {
        let (op, c_in) = (self.kind(), channels::<N>(self.kind(), x)?);
        at_least_one(op, "multiplier", self.multiplier)?;
        let taps = taps(op, self.kernel)?;
        // Keras's fans, whose kernel is [kernel.., c, multiplier].
        let fans = [c_in, self.multiplier].map(|n| n.saturating_mul(taps));
        let dims = shape([c_in.saturating_mul(self.multiplier), 1], self.kernel);
        let w = self.weights.kernel(ctx, x.graph(), dims, fans, Units::Rows)?;
        let y = x.convolve(op, &w, &self.options.groups(c_in))?;
        finish(&self.weights, &self.activation, ctx, y)
    }
}

/// A [`DepthwiseConv`] without bias, then a 1×1 [`Conv`]: `[batch, c_in, ..]` → `[batch, filters, ..]`. Settings of the kernel hold for
/// both kernels.
///
/// Source: F. Chollet, "Xception: deep learning with depthwise separable convolutions", CVPR 2017.
/// Parameters: `depthwise/kernel` `[c_in · multiplier, 1, kernel..]`, `pointwise/kernel` `[filters, c_in · multiplier, 1..]`,
/// `pointwise/bias` `[filters]`.
///
/// ```
/// use galen::nn::{Network, SeparableConv2d, Sequential};
///
/// let summary = Sequential::new([8, 20, 20]).with(SeparableConv2d::new(32, [3, 3]).multiplier(2)).summary()?;
/// assert_eq!(&*summary.outputs[0], [32, 18, 18]);
/// assert_eq!(summary.parameters(), 16 * 9 + 32 * 16 + 32);
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SeparableConv<const N: usize> {
    filters: usize,
    kernel: [usize; N],
    multiplier: usize,
    options: ConvOptions<N>,
    activation: Activation,
    weights: Weights,
}

/// [`SeparableConv`] along a signal: `[batch, c_in, length]` → `[batch, filters, out]`.
pub type SeparableConv1d = SeparableConv<1>;
/// [`SeparableConv`] on images: `[batch, c_in, h, w]` → `[batch, filters, oh, ow]`.
pub type SeparableConv2d = SeparableConv<2>;

impl<const N: usize> SeparableConv<N> {
    /// `filters` filters over a window of these extents; stride 1, no padding, with bias, without activation.
    pub fn new(filters: usize, kernel: [usize; N]) -> Self {
        SeparableConv {
            filters,
            kernel,
            multiplier: 1,
            options: ConvOptions::new(),
            activation: Activation::Linear,
            weights: Weights::default(),
        }
    }

    conv_methods!();

    /// Pads the input with zeros; not at all where nothing is said.
    #[must_use]
    pub fn padding(mut self, padding: Padding<N>) -> Self {
        self.options.padding = padding;
        self
    }

    /// Filters for each channel in the depthwise part.
    #[must_use]
    pub fn multiplier(mut self, multiplier: usize) -> Self {
        self.multiplier = multiplier;
        self
    }
}

impl<const N: usize> Layer for SeparableConv<N> {
    fn kind(&self) -> &'static str {
        kind::<N>(["separable_conv1d", "separable_conv2d", "separable_conv3d"])
    }

    fn build(&self, ctx: &BuildCtx, x: &Var) -> Result<Var> {
        let plain = Weights { has_bias: false, activity_penalty: Penalty::NONE, ..self.weights.clone() };
        let depthwise = DepthwiseConv {
            multiplier: self.multiplier,
            options: self.options,
            weights: plain,
            ..DepthwiseConv::new(self.kernel)
        };
        let (activation, weights) = (self.activation, self.weights.clone());
        let pointwise = Conv { activation, weights, ..Conv::new(self.filters, [1; N]) };
        ctx.named("pointwise", &pointwise, &ctx.named("depthwise", &depthwise, x)?)
    }
}

/// Transposed convolution over `N` spatial axes: `[batch, c_in, ..]` → `[batch, filters, ..]`. Every position of the input spreads a window
/// of weights over the result, `stride` apart, and where windows overlap they add up: it makes images larger as [`Conv`] with the same
/// stride makes them smaller. How large, [`ConvTransposeOptions`] tells: `in · stride` with [`Padding::Same`].
///
/// Source: M. D. Zeiler, D. Krishnan, G. W. Taylor, R. Fergus, "Deconvolutional networks", CVPR 2010.
/// Parameters: `kernel` `[c_in, filters / groups, kernel..]`, `bias` `[filters]`.
///
/// ```
/// use galen::contract::Padding;
/// use galen::nn::{ConvTranspose2d, Network, Sequential};
///
/// let network = Sequential::new([16, 8, 8])
///     .with(ConvTranspose2d::new(8, [2, 2]).stride([2, 2]))
///     .with(ConvTranspose2d::new(4, [3, 3]).stride([2, 2]).padding(Padding::Same))
///     .with(ConvTranspose2d::new(1, [3, 3]).stride([2, 2]).padding(Padding::around(1)).output_padding([1, 1]));
/// assert_eq!(&*network.summary()?.outputs[0], [1, 64, 64]);
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ConvTranspose<const N: usize> {
    filters: usize,
    kernel: [usize; N],
    options: ConvTransposeOptions<N>,
    activation: Activation,
    weights: Weights,
}

/// [`ConvTranspose`] along a signal: `[batch, c_in, length]` → `[batch, filters, out]`.
pub type ConvTranspose1d = ConvTranspose<1>;
/// [`ConvTranspose`] on images: `[batch, c_in, h, w]` → `[batch, filters, oh, ow]`.
pub type ConvTranspose2d = ConvTranspose<2>;
/// [`ConvTranspose`] in volumes: `[batch, c_in, d, h, w]` → `[batch, filters, od, oh, ow]`.
pub type ConvTranspose3d = ConvTranspose<3>;

impl<const N: usize> ConvTranspose<N> {
    /// `filters` filters with a window of these extents; stride 1, nothing cropped, with bias, without activation.
    pub fn new(filters: usize, kernel: [usize; N]) -> Self {
        ConvTranspose {
            filters,
            kernel,
            options: ConvTransposeOptions::new(),
            activation: Activation::Linear,
            weights: Weights::default(),
        }
    }

    conv_methods!();

    /// What is cropped from the result: see [`ConvTransposeOptions`].
    #[must_use]
    pub fn padding(mut self, padding: Padding<N>) -> Self {
        self.options.padding = padding;
        self
    }

    /// More at the end of each axis of the result: see [`ConvTransposeOptions`].
    #[must_use]
    pub fn output_padding(mut self, output_padding: [usize; N]) -> Self {
        self.options.output_padding = Some(output_padding);
        self
    }

    /// Splits channels and filters into this many groups that do not see each other.
    #[must_use]
    pub fn groups(mut self, groups: usize) -> Self {
        self.options.groups = groups;
        self
    }
}

impl<const N: usize> Layer for ConvTranspose<N> {
    fn kind(&self) -> &'static str {
        kind::<N>(["conv_transpose1d", "conv_transpose2d", "conv_transpose3d"])
    }

    fn build(&self, ctx: &BuildCtx, x: &Var) -> Result<Var> {
        let (op, c_in) = (self.kind(), channels::<N>(self.kind(), x)?);
        at_least_one(op, "filters", self.filters)?;
        check_groups(op, self.options.groups, c_in, self.filters)?;
        if self.weights.max_norm.is_some() {
            // A filter's weights lie apart, in a block for every input channel.
            return Err(Error::usage(
                format!("layer \"{}\"", ctx.name()),
                "largest norms of transposed filters are not supported",
            ));
        }
        let (taps, group_out) = (taps(op, self.kernel)?, self.filters / self.options.groups);
        // Keras's fans, whose kernel is [kernel.., filters, c_in].
        let fans = [group_out, c_in].map(|n| n.saturating_mul(taps));
        let dims = shape([c_in, group_out], self.kernel);
        let w = self.weights.kernel(ctx, x.graph(), dims, fans, Units::Columns)?;
        finish(&self.weights, &self.activation, ctx, x.spread(op, &w, &self.options)?)
    }
}
