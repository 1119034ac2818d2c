//! Ready networks. Each is a [`Layer`](super::Layer): the whole of a [`Sequential`](super::Sequential), or a part of a larger network.
//!
//! | model | takes | gives |
//! |---|---|---|
//! | [`Mlp`] | `[batch, ..]` | `[batch, outputs]` |
//! | [`SmallCnn`] | `[batch, c, h, w]` | `[batch, classes]` |
//! | [`ResNet18`] | `[batch, c, h, w]` | `[batch, classes]` |
//! | [`ResNet1d`] | `[batch, c, length]` | `[batch, classes]` |
//! | [`UNet2d`], [`UNet3d`] | `[batch, c, h, w]`, `[batch, c, d, h, w]` | `[batch, classes, ..]`, as large as the input |
//! | [`SequenceModel`] | `[batch, time, features]`, or tokens `[batch, time]` | `[batch, outputs]` |
//! | [`TransformerEncoder`] | `[batch, time, features]`, or tokens `[batch, time]` | `[batch, outputs]` |
//!
//! They end in logits, or plain values: a loss sees that, and takes them for logits. For probabilities add an activation at the end.

mod mlp;
mod resnet;
mod sequence;
mod small_cnn;
mod transformer;
mod unet;

use super::{BuildCtx, Dense, Embedding};
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::shape::DType;

pub use mlp::Mlp;
pub use resnet::{ResNet1d, ResNet18};
pub use sequence::{Cell, SequenceModel};
pub use small_cnn::SmallCnn;
pub use transformer::TransformerEncoder;
pub use unet::{UNet, UNet2d, UNet3d};

/// Refuses a size of zero, which would make a network of nothing.
fn at_least_one(model: &str, what: &str, value: usize) -> Result<()> {
    if value > 0 { Ok(()) } else { Err(Error::parameter(model, what, "at least 1", value)) }
}

/// The rank that a model's input must have, the batch counted.
fn expect_rank(model: &str, x: &Var, rank: usize, expected: &str) -> Result<()> {
    if x.shape().len() == rank { Ok(()) } else { Err(Error::shape(model, expected, x.shape().to_string())) }
}

/// A sequence as numbers `[batch, time, width]`: tokens through an embedding, features as they are, or projected where a width is
/// asked for.
fn as_numbers(
    model: &str,
    ctx: &BuildCtx,
    x: &Var,
    vocabulary: Option<usize>,
    width: Option<usize>,
    embedding: usize,
) -> Result<Var> {
    match (x.dtype(), vocabulary) {
        (DType::U32, Some(vocabulary)) => {
            expect_rank(model, x, 2, "tokens [batch, time]")?;
            ctx.layer(&Embedding::new(vocabulary, width.unwrap_or(embedding)), x)
        }
        (DType::F32, None) => {
            expect_rank(model, x, 3, "[batch, time, features]")?;
            match width {
                Some(width) => ctx.named("projection", &Dense::new(width), x),
                None => Ok(x.clone()),
            }
        }
        (DType::U32, None) => Err(Error::usage(model, "it was given tokens, and no vocabulary: see `tokens`")),
        _ => Err(Error::dtype(model, "u32 (it has a vocabulary)", x.spec().to_string())),
    }
}
