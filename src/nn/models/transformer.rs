use super::{as_numbers, at_least_one};
use crate::error::Result;
use crate::graph::Var;
use crate::nn::{BuildCtx, Dense, Dropout, Layer, SinusoidalPositions, TransformerEncoderBlock};

/// A Transformer encoder for whole sequences: `[batch, time, features]`, or tokens `[batch, time]`, → `[batch, outputs]`.
///
/// Projection or embedding to `width`, sinusoidal positions, encoder blocks, the mean over time, a dense layer. Source: A. Vaswani
/// et al., NeurIPS 2017.
///
/// ```
/// use galen::nn::{Input, Network, Sequential, models::TransformerEncoder};
///
/// let network = Sequential::new(Input::tokens([57])).with(TransformerEncoder::new(2, 32, 4, 2).tokens(4));
/// assert_eq!(&*network.summary()?.outputs[0], [2]);
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct TransformerEncoder {
    layers: usize,
    width: usize,
    heads: usize,
    outputs: usize,
    feed_forward: usize,
    dropout: f32,
    vocabulary: Option<usize>,
}

impl TransformerEncoder {
    /// `layers` blocks of `heads` heads over vectors of `width`, which `heads` must divide; feed-forward layers of four times the
    /// width; dropout 0.1.
    pub fn new(layers: usize, width: usize, heads: usize, outputs: usize) -> Self {
        let feed_forward = width.saturating_mul(4);
        TransformerEncoder { layers, width, heads, outputs, feed_forward, dropout: 0.1, vocabulary: None }
    }

    /// Units of the feed-forward layers.
    #[must_use]
    pub fn feed_forward(self, feed_forward: usize) -> Self {
        TransformerEncoder { feed_forward, ..self }
    }

    /// Dropout in the blocks and after the positions.
    #[must_use]
    pub fn dropout(self, dropout: f32) -> Self {
        TransformerEncoder { dropout, ..self }
    }

    /// The input is tokens below `vocabulary`.
    #[must_use]
    pub fn tokens(self, vocabulary: usize) -> Self {
        TransformerEncoder { vocabulary: Some(vocabulary), ..self }
    }
}

impl Layer for TransformerEncoder {
    fn kind(&self) -> &'static str {
        "transformer_encoder"
    }

    fn build(&self, ctx: &BuildCtx, x: &Var) -> Result<Var> {
        at_least_one("transformer_encoder", "width", self.width)?;
        let x = as_numbers("transformer_encoder", ctx, x, self.vocabulary, Some(self.width), self.width)?;
        let mut x = ctx.layer(&SinusoidalPositions::new(), &x)?;
        if self.dropout != 0.0 {
            x = ctx.layer(&Dropout::new(self.dropout), &x)?;
        }
        for _ in 0..self.layers {
            let block = TransformerEncoderBlock::new(self.heads, self.feed_forward).dropout(self.dropout);
            x = ctx.layer(&block, &x)?;
        }
        ctx.layer(&Dense::new(self.outputs), &x.mean(&[1], false)?)
    }
}
