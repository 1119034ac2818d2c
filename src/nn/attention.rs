use super::positions::sequence;
use super::{BuildCtx, Dense, Layer, Mode, Weights, weight_methods};
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::ops::masked_softmax::{AttentionMask, AttentionOptions};

/// Attention with several heads. As a layer it is self-attention: `[batch, time, width]` → the same, where every vector becomes a mean of
/// all of them, weighted by how well they answer it. [`MultiHeadAttention::build_with`] attends to another sequence.
///
/// Each head projects queries, keys and values to `depth` numbers, gives `softmax(q · kᵀ / √depth) · v`, and the heads' results side by
/// side are projected back to `width`. Source: A. Vaswani et al., "Attention is all you need", NeurIPS 2017.
///
/// Parameters, with `w` numbers per vector and `n = heads · depth`: `query/kernel`, `key/kernel`, `value/kernel` `[w, n]`, `query/bias`,
/// `key/bias`, `value/bias` `[n]`, `output/kernel` `[n, w]`, `output/bias` `[w]`. Keras's `[w, heads, depth]` has the same numbers in the
/// same order. Kernels begin Glorot uniform over the whole matrix (Keras counts a kernel of three dimensions otherwise).
///
/// ```
/// use galen::nn::{MultiHeadAttention, Network, Sequential};
///
/// let network = Sequential::new([9, 32]).with(MultiHeadAttention::new(4, 8).dropout(0.1));
/// assert_eq!(&*network.summary()?.outputs[0], [9, 32]);
/// assert_eq!(network.summary()?.parameters(), 4 * (32 * 32 + 32));
/// # Ok::<(), galen::Error>(())
/// ```
///
/// Sequences of several lengths, and the weights of the attention, by a function:
///
/// ```
/// use galen::nn::{Embedding, Functional, Input, MeanOverTime, MultiHeadAttention, Network};
/// use galen::ops::masked_softmax::AttentionMask;
///
/// let network = Functional::new(Input::tokens([9]), |ctx, tokens| {
///     let embedding = Embedding::new(100, 16).padding(0);
///     let (x, words) = (ctx.layer(&embedding, tokens)?, embedding.mask(tokens)?);
///     let mask = AttentionMask::new().mask(&words);
///     let layer = MultiHeadAttention::new(2, 8);
///     let y = ctx.block("attention", x.graph(), |ctx| layer.build_with(ctx, &x, &x, &mask))?;
///     MeanOverTime.build_with(&y, &mask)
/// });
/// assert_eq!(&*network.summary()?.outputs[0], [16]);
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct MultiHeadAttention {
    heads: usize,
    depth: usize,
    value_depth: usize,
    output_width: Option<usize>,
    dropout: f32,
    causal: bool,
    weights: Weights,
}

impl MultiHeadAttention {
    /// `heads` heads whose queries, keys and values have `depth` numbers each; `heads · depth` is usually the width of the sequence.
    pub fn new(heads: usize, depth: usize) -> Self {
        MultiHeadAttention {
            heads,
            depth,
            value_depth: depth,
            output_width: None,
            dropout: 0.0,
            causal: false,
            weights: Weights::default(),
        }
    }

    /// Numbers per head of a value, where they are not as many as of a key.
    #[must_use]
    pub fn value_depth(self, value_depth: usize) -> Self {
        MultiHeadAttention { value_depth, ..self }
    }

    /// Numbers of a vector that is put out; those of a query without it.
    #[must_use]
    pub fn output_width(self, width: usize) -> Self {
        MultiHeadAttention { output_width: Some(width), ..self }
    }

    /// In training, weights of the attention are set to 0 with probability `rate`, which must be in [0, 1).
    #[must_use]
    pub fn dropout(self, rate: f32) -> Self {
        MultiHeadAttention { dropout: rate, ..self }
    }

    /// No vector attends to those after it.
    #[must_use]
    pub fn causal(self) -> Self {
        MultiHeadAttention { causal: true, ..self }
    }

    weight_methods!();

    /// Attends from `query` `[batch, query, width]` to the vectors of `value` `[batch, key, ..]`, which are keys and values:
    /// `[batch, query, width]`. Of the keys those count that `mask` shows: by lengths `u32` `[batch]`, and by a mask `f32` `[batch, key]`,
    /// `[batch, query, key]` or `[batch, heads, query, key]`. A query to which no key is shown gets the output's bias.
    ///
    /// # Errors
    /// Where the sequences or the mask do not fit each other, heads or depths are 0, or the rate of dropout is not in [0, 1).
    pub fn build_with(&self, ctx: &BuildCtx, query: &Var, value: &Var, mask: &AttentionMask) -> Result<Var> {
        Ok(self.build_with_weights(ctx, query, value, mask)?.0)
    }

    /// Like [`MultiHeadAttention::build_with`], and with it the weights of the attention (before dropout), `[batch, heads, query, key]`:
    /// where each head looked.
    ///
    /// # Errors
    /// See there.
    pub fn build_with_weights(
        &self,
        ctx: &BuildCtx,
        query: &Var,
        value: &Var,
        mask: &AttentionMask,
    ) -> Result<(Var, Var)> {
        let ([batch, time, width], [samples, keys, _]) = (sequence(self.kind(), query)?, sequence(self.kind(), value)?);
        if samples != batch {
            let expected = format!("values [{batch}, key, width] for queries {}", query.spec());
            return Err(Error::shape(self.kind(), expected, value.spec().to_string()));
        }
        for (what, n) in [("heads", self.heads), ("depth", self.depth), ("value_depth", self.value_depth)] {
            if n == 0 {
                return Err(Error::parameter(self.kind(), what, "at least 1", n));
            }
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(Error::parameter(self.kind(), "dropout", "in [0, 1)", self.dropout));
        }
        let project = |name: &str, x: &Var, time: usize, depth: usize| {
            let units = self.heads.saturating_mul(depth);
            let y = ctx.named(name, &Dense::of(units, &self.weights), x)?;
            y.reshape([batch, time, self.heads, depth])?.transpose(&[0, 2, 1, 3])
        };
        let q = project("query", query, time, self.depth)?;
        let k = project("key", value, keys, self.depth)?;
        let v = project("value", value, keys, self.value_depth)?;
        let mask = mask.clone().over_heads()?;
        let options = AttentionOptions::new().mask(if self.causal { mask.causal() } else { mask });
        let weights = q.attention_weights(&k, &options)?;
        let mut kept = weights.clone();
        if ctx.mode == Mode::Train && self.dropout > 0.0 {
            kept = kept.dropout(self.dropout, ctx.stream("dropout"), ctx.clock()?)?;
        }
        let heads = kept.matmul(&v)?.transpose(&[0, 2, 1, 3])?;
        let heads = heads.reshape([batch, time, self.heads.saturating_mul(self.value_depth)])?;
        let output = Dense::of(self.output_width.unwrap_or(width), &self.weights);
        Ok((ctx.named("output", &output, &heads)?, weights))
    }
}

impl Layer for MultiHeadAttention {
    fn kind(&self) -> &'static str {
        "multi_head_attention"
    }

    fn build(&self, ctx: &BuildCtx, x: &Var) -> Result<Var> {
        self.build_with(ctx, x, x, &AttentionMask::new())
    }
}
