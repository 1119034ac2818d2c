use super::{at_least_one, expect_rank};
use crate::contract::Padding;
use crate::error::Result;
use crate::graph::Var;
use crate::nn::{BatchNorm, BuildCtx, Conv, Dense, Dropout, GlobalAvgPool, Initializer, Layer, MaxPool};

/// A convolution without bias, for the normalisation that follows it, begun as He does.
fn conv<const N: usize>(filters: usize, kernel: usize, stride: usize) -> Conv<N> {
    let conv = Conv::new(filters, [kernel; N]).stride([stride; N]);
    conv.padding(Padding::around(kernel / 2)).without_bias().kernel_initializer(Initializer::HeNormal)
}

/// Two convolutions and a way around them: `relu(bn(conv(relu(bn(conv(x))))) + shortcut(x))`, where the shortcut is `x` itself or, where
/// the shape changes, a 1×1 convolution with normalisation. Source: K. He et al., CVPR 2016.
#[derive(Clone, Debug)]
struct Residual<const N: usize> {
    filters: usize,
    kernel: usize,
    stride: usize,
    dropout: f32,
}

impl<const N: usize> Layer for Residual<N> {
    fn kind(&self) -> &'static str {
        "residual"
    }

    fn build(&self, ctx: &BuildCtx, x: &Var) -> Result<Var> {
        let norm = norm();
        let y = ctx.layer(&norm, &ctx.layer(&conv::<N>(self.filters, self.kernel, self.stride), x)?)?.relu()?;
        let y = if self.dropout == 0.0 { y } else { ctx.layer(&Dropout::new(self.dropout), &y)? };
        let y = ctx.layer(&norm, &ctx.layer(&conv::<N>(self.filters, self.kernel, 1), &y)?)?;
        let around = if y.shape() == x.shape() {
            x.clone()
        } else {
            let shortcut = ctx.named("shortcut", &conv::<N>(self.filters, 1, self.stride), x)?;
            ctx.named("shortcut_norm", &norm, &shortcut)?
        };
        y.add(&around)?.relu()
    }
}

/// Batch normalisation with the running averages of the residual networks' authors: Keras's keep 0.99 of the old value, too much for a
/// training of a few hundred steps.
fn norm() -> BatchNorm {
    BatchNorm::new().momentum(0.9).epsilon(1e-5)
}

/// The residual network with 18 layers, for small images: `[batch, c, h, w]` → `[batch, classes]`.
///
/// A 3×3 convolution instead of the original's 7×7 with pooling, as is usual for images of 28 to 64 pixels; four stages of two
/// residual blocks with 1, 2, 4 and 8 times `width` channels, each but the first halving the image; the mean over the image; a dense
/// layer. Source: K. He et al., "Deep residual learning for image recognition", CVPR 2016.
///
/// ```
/// use galen::nn::{Network, Sequential, models::ResNet18};
///
/// let network = Sequential::new([3, 32, 32]).with(ResNet18::new(10));
/// assert_eq!(network.summary()?.parameters(), 11_173_962);
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ResNet18 {
    classes: Option<usize>,
    width: usize,
    dropout: f32,
}

impl ResNet18 {
    /// Width 64, no dropout.
    pub fn new(classes: usize) -> Self {
        ResNet18 { classes: Some(classes), width: 64, dropout: 0.0 }
    }

    /// Channels of the first stage.
    #[must_use]
    pub fn width(self, width: usize) -> Self {
        ResNet18 { width, ..self }
    }

    /// Dropout before the last layer.
    #[must_use]
    pub fn dropout(self, dropout: f32) -> Self {
        ResNet18 { dropout, ..self }
    }

    /// Ends with the features `[batch, 8 · width]`, without dropout and dense layer.
    #[must_use]
    pub fn features(self) -> Self {
        ResNet18 { classes: None, ..self }
    }
}

impl Layer for ResNet18 {
    fn kind(&self) -> &'static str {
        "resnet18"
    }

    fn build(&self, ctx: &BuildCtx, x: &Var) -> Result<Var> {
        at_least_one("resnet18", "width", self.width)?;
        expect_rank("resnet18", x, 4, "[batch, channels, height, width]")?;
        let mut x = ctx.layer(&norm(), &ctx.layer(&conv::<2>(self.width, 3, 1), x)?)?.relu()?;
        for stage in 0..4 {
            for block in 0..2 {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                let filters = self.width.saturating_mul(1 << stage);
                x = ctx.layer(&Residual::<2> { filters, kernel: 3, stride, dropout: 0.0 }, &x)?;
            }
        }
        head(ctx, &ctx.layer(&GlobalAvgPool::new(), &x)?, self.classes, self.dropout)
    }
}

/// The last layer, where there is one.
fn head(ctx: &BuildCtx, x: &Var, classes: Option<usize>, dropout: f32) -> Result<Var> {
    let Some(classes) = classes else { return Ok(x.clone()) };
    let x = if dropout == 0.0 { x.clone() } else { ctx.layer(&Dropout::new(dropout), x)? };
    ctx.layer(&Dense::new(classes), &x)
}

/// A residual network for signals: `[batch, channels, length]` → `[batch, classes]`.
///
/// A convolution, then residual blocks of kernel size 5, each followed by max-pooling by 2; channels double every second block; the
/// mean over time; a dense layer. After A. Hannun et al., Nature Medicine 25, 2019 (ECG), made small.
///
/// ```
/// use galen::nn::{Network, Sequential, models::ResNet1d};
///
/// let network = Sequential::new([1, 187]).with(ResNet1d::new(5));
/// assert_eq!(&*network.summary()?.outputs[0], [5]);
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ResNet1d {
    classes: Option<usize>,
    width: usize,
    blocks: usize,
    kernel: usize,
    dropout: f32,
}

impl ResNet1d {
    /// Width 32, four blocks, kernels of 5, no dropout.
    pub fn new(classes: usize) -> Self {
        ResNet1d { classes: Some(classes), width: 32, blocks: 4, kernel: 5, dropout: 0.0 }
    }

    /// Channels of the first two blocks.
    #[must_use]
    pub fn width(self, width: usize) -> Self {
        ResNet1d { width, ..self }
    }

    /// How many residual blocks; the signal must have two samples for each halving.
    #[must_use]
    pub fn blocks(self, blocks: usize) -> Self {
        ResNet1d { blocks, ..self }
    }

    /// Taps of the convolutions, an odd number.
    #[must_use]
    pub fn kernel(self, kernel: usize) -> Self {
        ResNet1d { kernel, ..self }
    }

    /// Dropout inside the blocks and before the last layer.
    #[must_use]
    pub fn dropout(self, dropout: f32) -> Self {
        ResNet1d { dropout, ..self }
    }

    /// Ends with the features `[batch, channels]`, without the last layer.
    #[must_use]
    pub fn features(self) -> Self {
        ResNet1d { classes: None, ..self }
    }
}

impl Layer for ResNet1d {
    fn kind(&self) -> &'static str {
        "resnet1d"
    }

    fn build(&self, ctx: &BuildCtx, x: &Var) -> Result<Var> {
        at_least_one("resnet1d", "width", self.width)?;
        if self.kernel.is_multiple_of(2) {
            return Err(crate::Error::parameter("resnet1d", "kernel", "odd", self.kernel));
        }
        expect_rank("resnet1d", x, 3, "[batch, channels, length]")?;
        let mut x = ctx.layer(&norm(), &ctx.layer(&conv::<1>(self.width, self.kernel, 1), x)?)?.relu()?;
        for block in 0..self.blocks {
            let filters = self.width.saturating_mul(1 << (block / 2).min(20));
            let residual = Residual::<1> { filters, kernel: self.kernel, stride: 1, dropout: self.dropout };
            x = ctx.layer(&residual, &x)?;
            x = ctx.layer(&MaxPool::<1>::new([2]), &x)?;
        }
        head(ctx, &ctx.layer(&GlobalAvgPool::new(), &x)?, self.classes, self.dropout)
    }
}
