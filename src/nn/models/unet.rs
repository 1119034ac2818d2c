use super::at_least_one;
use crate::contract::Padding;
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::nn::{Activation, BatchNorm, BuildCtx, Conv, ConvTranspose, Initializer, Layer, MaxPool};

/// The U-Net, for borders: `[batch, c, ..]` → `[batch, classes, ..]`, as large as the input, of `N` dimensions.
///
/// On the way down, `depth` times: two 3×3 convolutions with batch normalisation and ReLU, then max-pooling by 2, channels doubling; on
/// the way up a transposed convolution by 2, beside it what the way down had at that size, and again two convolutions; at the end a
/// 1×1 convolution. Every extent must be a multiple of `2^depth`. Source: O. Ronneberger et al., MICCAI 2015, with padded
/// convolutions; in 3-D Ö. Çiçek et al., MICCAI 2016.
///
/// ```
/// use galen::nn::{Network, Sequential, models::UNet2d};
///
/// let network = Sequential::new([1, 64, 64]).with(UNet2d::new(1).depth(3).width(8));
/// assert_eq!(&*network.summary()?.outputs[0], [1, 64, 64]);
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct UNet<const N: usize> {
    classes: usize,
    depth: usize,
    width: usize,
    normalise: bool,
    activation: Activation,
}

/// The U-Net for images: `[batch, c, h, w]` → `[batch, classes, h, w]`.
pub type UNet2d = UNet<2>;
/// The U-Net for volumes: `[batch, c, d, h, w]` → `[batch, classes, d, h, w]`.
pub type UNet3d = UNet<3>;

impl<const N: usize> UNet<N> {
    /// Depth 4, width 16, with batch normalisation, ending in logits.
    pub fn new(classes: usize) -> Self {
        UNet { classes, depth: 4, width: 16, normalise: true, activation: Activation::Linear }
    }

    /// How often the image is halved.
    #[must_use]
    pub fn depth(self, depth: usize) -> Self {
        UNet { depth, ..self }
    }

    /// Channels at full size.
    #[must_use]
    pub fn width(self, width: usize) -> Self {
        UNet { width, ..self }
    }

    /// Leaves the normalisation out: for batches of one or two.
    #[must_use]
    pub fn without_norm(self) -> Self {
        UNet { normalise: false, ..self }
    }

    /// What is applied to the result: [`Activation::Sigmoid`] makes probabilities of one class or of several that overlap.
    #[must_use]
    pub fn activation(self, activation: Activation) -> Self {
        UNet { activation, ..self }
    }

    /// Two convolutions with normalisation and ReLU.
    fn twice(&self, ctx: &BuildCtx, x: &Var, filters: usize) -> Result<Var> {
        let mut x = x.clone();
        for _ in 0..2 {
            let conv = Conv::<N>::new(filters, [3; N]).padding(Padding::Same).kernel_initializer(Initializer::HeNormal);
            x = match self.normalise {
                true => ctx.layer(&BatchNorm::new().momentum(0.9), &ctx.layer(&conv.without_bias(), &x)?)?.relu()?,
                false => ctx.layer(&conv.activation(Activation::Relu), &x)?,
            };
        }
        Ok(x)
    }
}

impl<const N: usize> Layer for UNet<N> {
    fn kind(&self) -> &'static str {
        if N == 3 { "unet3d" } else { "unet2d" }
    }

    fn build(&self, ctx: &BuildCtx, x: &Var) -> Result<Var> {
        let (name, shape, graph) = (self.kind(), x.shape(), x.graph());
        at_least_one(name, "classes", self.classes)?;
        at_least_one(name, "width", self.width)?;
        if self.depth > 16 {
            return Err(Error::parameter(name, "depth", "at most 16", self.depth));
        }
        let unit = 1usize << self.depth;
        if shape.len() != N + 2 || shape[2..].iter().any(|extent| !extent.is_multiple_of(unit)) {
            let expected = format!("[batch, channels, ..] with {N} extents, multiples of {unit} (2 to the depth)");
            return Err(Error::shape(name, expected, shape.to_string()));
        }
        let filters = |level: usize| self.width.saturating_mul(1 << level);
        let mut skips = Vec::new();
        let mut x = x.clone();
        for level in 0..self.depth {
            let skip = ctx.block(&format!("down{level}"), graph, |ctx| self.twice(ctx, &x, filters(level)))?;
            x = ctx.layer(&MaxPool::<N>::new([2; N]), &skip)?;
            skips.push(skip);
        }
        x = ctx.block("bottom", graph, |ctx| self.twice(ctx, &x, filters(self.depth)))?;
        for (level, skip) in skips.iter().enumerate().rev() {
            x = ctx.block(&format!("up{level}"), graph, |ctx| {
                let up = ConvTranspose::<N>::new(filters(level), [2; N]).stride([2; N]);
                let up = ctx.layer(&up, &x)?;
                self.twice(ctx, &Var::concat(&[skip, &up], 1)?, filters(level))
            })?;
        }
        ctx.named("classes", &Conv::<N>::new(self.classes, [1; N]).activation(self.activation), &x)
    }
}
