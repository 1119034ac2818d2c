use super::{at_least_one, expect_rank};
use crate::contract::Padding;
use crate::error::Result;
use crate::graph::Var;
use crate::nn::{Activation, BatchNorm, BuildCtx, Conv2d, Dense, Dropout, Flatten, Layer, MaxPool2d};

/// A small classifier of images: `[batch, c, h, w]` → `[batch, classes]`.
///
/// For each width two 3×3 convolutions with batch normalisation and ReLU, then max-pooling by 2; then a dense layer of 128 with
/// dropout, and the classes' logits.
///
/// ```
/// use galen::nn::{Network, Sequential, models::SmallCnn};
///
/// let network = Sequential::new([1, 28, 28]).with(SmallCnn::new(10));
/// assert_eq!(&*network.summary()?.outputs[0], [10]);
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SmallCnn {
    classes: usize,
    widths: Vec<usize>,
    dense: usize,
    dropout: f32,
}

impl SmallCnn {
    /// Widths 32 and 64, a dense layer of 128, dropout one half.
    pub fn new(classes: usize) -> Self {
        SmallCnn { classes, widths: vec![32, 64], dense: 128, dropout: 0.5 }
    }

    /// Channels of each stage.
    #[must_use]
    pub fn widths(self, widths: impl Into<Vec<usize>>) -> Self {
        SmallCnn { widths: widths.into(), ..self }
    }

    /// Units of the dense layer.
    #[must_use]
    pub fn dense(self, dense: usize) -> Self {
        SmallCnn { dense, ..self }
    }

    /// Dropout before the last layer.
    #[must_use]
    pub fn dropout(self, dropout: f32) -> Self {
        SmallCnn { dropout, ..self }
    }
}

impl Layer for SmallCnn {
    fn kind(&self) -> &'static str {
        "small_cnn"
    }

    fn build(&self, ctx: &BuildCtx, x: &Var) -> Result<Var> {
        at_least_one("small_cnn", "classes", self.classes)?;
        expect_rank("small_cnn", x, 4, "[batch, channels, height, width]")?;
        let mut x = x.clone();
        for width in &self.widths {
            for _ in 0..2 {
                // The normalisation that follows has a shift of its own.
                let conv = Conv2d::new(*width, [3, 3]).padding(Padding::Same).without_bias();
                x = ctx.layer(&BatchNorm::new(), &ctx.layer(&conv, &x)?)?.relu()?;
            }
            x = ctx.layer(&MaxPool2d::new([2, 2]), &x)?;
        }
        x = ctx.layer(&Flatten, &x)?;
        x = ctx.layer(&Dense::new(self.dense).activation(Activation::Relu), &x)?;
        if self.dropout != 0.0 {
            x = ctx.layer(&Dropout::new(self.dropout), &x)?;
        }
        ctx.layer(&Dense::new(self.classes), &x)
    }
}
