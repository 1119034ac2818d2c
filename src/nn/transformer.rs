use super::positions::sequence;
use super::{Activation, BuildCtx, Conv2d, Dense, Dropout, Initializer, Layer, LayerNorm, MultiHeadAttention};
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::ops::masked_softmax::AttentionMask;

/// What both blocks are made of.
#[derive(Clone, Debug)]
struct Parts {
    kind: &'static str,
    heads: usize,
    hidden: usize,
    dropout: f32,
    activation: Activation,
    epsilon: f64,
    pre_norm: bool,
    initializer: Initializer,
}

impl Parts {
    fn new(kind: &'static str, heads: usize, hidden: usize) -> Self {
        Parts {
            kind,
            heads,
            hidden,
            dropout: 0.0,
            activation: Activation::Relu,
            epsilon: 1e-5,
            pre_norm: false,
            initializer: Initializer::default(),
        }
    }

    /// The attention of a block over vectors of `width` numbers.
    fn attention(&self, width: usize) -> Result<MultiHeadAttention> {
        if self.heads == 0 || !width.is_multiple_of(self.heads) {
            let expected = format!("a divisor of the width {width} of the sequence");
            return Err(Error::parameter(self.kind, "heads", expected, self.heads));
        }
        let layer = MultiHeadAttention::new(self.heads, width / self.heads);
        Ok(layer.dropout(self.dropout).kernel_initializer(self.initializer))
    }

    /// `norm(x + part(x))`, or with the norm first `x + part(norm(x))`.
    fn around(&self, ctx: &BuildCtx, name: &str, x: &Var, part: impl FnOnce(&Var) -> Result<Var>) -> Result<Var> {
        let norm = |x: &Var| ctx.named(&format!("{name}_norm"), &LayerNorm::new().epsilon(self.epsilon), x);
        let y = part(&if self.pre_norm { norm(x)? } else { x.clone() })?;
        // A layer that does nothing has no line in the summary.
        let drops = self.dropout != 0.0;
        let y = if drops { ctx.named(&format!("{name}_dropout"), &Dropout::new(self.dropout), &y)? } else { y };
        let sum = x.add(&y)?;
        if self.pre_norm { Ok(sum) } else { norm(&sum) }
    }

    /// The two dense layers that see every vector for itself.
    fn feed_forward(&self, ctx: &BuildCtx, x: &Var) -> Result<Var> {
        if self.hidden == 0 {
            return Err(Error::parameter(self.kind, "hidden", "at least 1", 0));
        }
        let dense = |units| Dense::new(units).kernel_initializer(self.initializer);
        let width = x.shape()[2];
        self.around(ctx, "feed_forward", x, |x| {
            let hidden = ctx.named("hidden", &dense(self.hidden).activation(self.activation), x)?;
            ctx.named("output", &dense(width), &hidden)
        })
    }
}

macro_rules! block_methods {
    () => {
        /// In training, weights of the attention, and numbers that its parts put out, are set to 0 with probability `rate`, which must be
        /// in [0, 1).
        #[must_use]
        pub fn dropout(mut self, rate: f32) -> Self {
            self.parts.dropout = rate;
            self
        }

        /// What the hidden units put out; ReLU where nothing is said.
        #[must_use]
        pub fn activation(mut self, activation: Activation) -> Self {
            self.parts.activation = activation;
            self
        }

        /// What the norms add to the variance; 1e-5 where nothing is said.
        #[must_use]
        pub fn epsilon(mut self, epsilon: f64) -> Self {
            self.parts.epsilon = epsilon;
            self
        }

        /// Norms stand before the parts instead of after their sums. Deep stacks train without a warm-up of the learning rate then; they
        /// want a norm behind the last block. Source: R. Xiong et al., "On layer normalization in the Transformer architecture", ICML
        /// 2020.
        #[must_use]
        pub fn pre_norm(mut self) -> Self {
            self.parts.pre_norm = true;
            self
        }

        /// How all kernels begin.
        #[must_use]
        pub fn kernel_initializer(mut self, initializer: Initializer) -> Self {
            self.parts.initializer = initializer;
            self
        }
    };
}

/// A block of a Transformer's encoder: `[batch, time, width]` → the same.
///
/// `a = norm(x + attention(x))`, `y = norm(a + output(activation(hidden(a))))`; with [`TransformerEncoderBlock::pre_norm`]
/// `a = x + attention(norm(x))`, `y = a + output(activation(hidden(norm(a))))`. Source: A. Vaswani et al., "Attention is all you need",
/// NeurIPS 2017.
///
/// Parameters: those of [`MultiHeadAttention`] under `attention`; `gamma` and `beta` `[width]` of `attention_norm` and
/// `feed_forward_norm`; kernel and bias of the dense layers `hidden` and `output`.
///
/// ```
/// use galen::nn::{Activation, Dense, Embedding, Input, MeanOverTime, Network, Sequential};
/// use galen::nn::{SinusoidalPositions, TransformerEncoderBlock};
///
/// let classifier = Sequential::new(Input::tokens([12]))
///     .with(Embedding::new(1000, 32))
///     .with(SinusoidalPositions::new())
///     .with(TransformerEncoderBlock::new(4, 64).dropout(0.1))
///     .with(TransformerEncoderBlock::new(4, 64).dropout(0.1))
///     .with(MeanOverTime)
///     .with(Dense::new(2).activation(Activation::Softmax));
/// let block = 4 * (32 * 32 + 32) + 2 * 64 + (32 * 64 + 64) + (64 * 32 + 32);
/// assert_eq!(classifier.summary()?.parameters(), 32_000 + 2 * block + 66);
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct TransformerEncoderBlock {
    parts: Parts,
    causal: bool,
}

impl TransformerEncoderBlock {
    /// `heads` heads, which must divide the width of the sequence, and `hidden` units between the two dense layers.
    pub fn new(heads: usize, hidden: usize) -> Self {
        TransformerEncoderBlock { parts: Parts::new("transformer_encoder_block", heads, hidden), causal: false }
    }

    /// No vector attends to those after it: the block of a language model.
    #[must_use]
    pub fn causal(self) -> Self {
        TransformerEncoderBlock { causal: true, ..self }
    }

    block_methods!();

    /// Attends only to the vectors that `mask` shows, as in [`MultiHeadAttention::build_with`].
    ///
    /// # Errors
    /// Where `x` is not `[batch, time, width]`, the heads do not divide the width, or the mask does not fit.
    pub fn build_with(&self, ctx: &BuildCtx, x: &Var, mask: &AttentionMask) -> Result<Var> {
        let [_, _, width] = sequence(self.kind(), x)?;
        let attention = self.parts.attention(width)?;
        let attention = if self.causal { attention.causal() } else { attention };
        let x = self.parts.around(ctx, "attention", x, |x| {
            ctx.block("attention", x.graph(), |ctx| attention.build_with(ctx, x, x, mask))
        })?;
        self.parts.feed_forward(ctx, &x)
    }
}

impl Layer for TransformerEncoderBlock {
    fn kind(&self) -> &'static str {
        "transformer_encoder_block"
    }

    fn build(&self, ctx: &BuildCtx, x: &Var) -> Result<Var> {
        self.build_with(ctx, x, &AttentionMask::new())
    }
}

/// A block of a Transformer's decoder: attends to what came before in its own sequence `[batch, time, width]`, then to another one,
/// `memory` `[batch, key, ..]`: → `[batch, time, width]`. It takes two tensors, and so is not a [`Layer`].
///
/// `a = norm(x + attention(x))` causal, `b = norm(a + cross_attention(a, memory))`, `y = norm(b + output(activation(hidden(b))))`, or with
/// the norms first. Source and parameters as in [`TransformerEncoderBlock`], with `cross_attention` and `cross_attention_norm`.
///
/// ```
/// use galen::nn::{Dense, Functional, Input, Network, TransformerDecoderBlock, TransformerEncoderBlock};
/// use galen::ops::masked_softmax::AttentionMask;
///
/// let inputs = [Input::new([7, 16]).named("source"), Input::new([5, 16]).named("target")];
/// let network = Functional::many(inputs, |ctx, x| {
///     let memory = ctx.layer(&TransformerEncoderBlock::new(2, 32), &x[0])?;
///     let decoder = TransformerDecoderBlock::new(2, 32);
///     let y = ctx.block("decoder", x[1].graph(), |ctx| decoder.build_with(ctx, &x[1], &memory, &AttentionMask::new()))?;
///     Ok(vec![ctx.layer(&Dense::new(100), &y)?])
/// });
/// assert_eq!(&*network.summary()?.outputs[0], [5, 100]);
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct TransformerDecoderBlock {
    parts: Parts,
}

impl TransformerDecoderBlock {
    /// `heads` heads, which must divide the width of the sequence, and `hidden` units between the two dense layers.
    pub fn new(heads: usize, hidden: usize) -> Self {
        TransformerDecoderBlock { parts: Parts::new("transformer_decoder_block", heads, hidden) }
    }

    block_methods!();

    /// Decodes `x` with what it attends to in `memory`; `mask` shows which vectors of `memory` there are.
    ///
    /// # Errors
    /// Where the sequences or the mask do not fit each other, or the heads do not divide the width.
    pub fn build_with(&self, ctx: &BuildCtx, x: &Var, memory: &Var, mask: &AttentionMask) -> Result<Var> {
        let [_, _, width] = sequence(self.parts.kind, x)?;
        let attention = self.parts.attention(width)?;
        let own = attention.clone().causal();
        let x = self.parts.around(ctx, "attention", x, |x| ctx.named("attention", &own, x))?;
        let x = self.parts.around(ctx, "cross_attention", &x, |x| {
            ctx.block("cross_attention", x.graph(), |ctx| attention.build_with(ctx, x, memory, mask))
        })?;
        self.parts.feed_forward(ctx, &x)
    }
}

/// An image as a sequence of its patches, for a Transformer: `[batch, c, h, w]` → `[batch, patches, width]`, row by row, where a patch is
/// `patch` rows and columns and becomes `width` numbers by a convolution. What is left over at the right and lower edge is not seen.
///
/// Parameters: `projection/kernel` `[width, c, rows, columns]`, `projection/bias` `[width]`. Source: A. Dosovitskiy et al., "An image is
/// worth 16x16 words", ICLR 2021.
///
/// ```
/// use galen::nn::{ClassToken, Dense, FirstInTime, LearnedPositions, Network, PatchEmbedding, Sequential};
/// use galen::nn::TransformerEncoderBlock;
///
/// let vision = Sequential::new([1, 28, 28])
///     .with(PatchEmbedding::new([7, 7], 32))
///     .with(ClassToken)
///     .with(LearnedPositions::new(17))
///     .with(TransformerEncoderBlock::new(4, 64).pre_norm())
///     .with(FirstInTime)
///     .with(Dense::new(10));
/// assert_eq!(&*vision.summary()?.outputs[0], [10]);
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct PatchEmbedding {
    patch: [usize; 2],
    width: usize,
    initializer: Initializer,
}

impl PatchEmbedding {
    /// Patches of so many rows and columns, `width` numbers for each.
    pub fn new(patch: [usize; 2], width: usize) -> Self {
        PatchEmbedding { patch, width, initializer: Initializer::default() }
    }

    /// How the kernel begins.
    #[must_use]
    pub fn kernel_initializer(self, initializer: Initializer) -> Self {
        PatchEmbedding { initializer, ..self }
    }
}

impl Layer for PatchEmbedding {
    fn kind(&self) -> &'static str {
        "patch_embedding"
    }

    fn build(&self, ctx: &BuildCtx, x: &Var) -> Result<Var> {
        let projection = Conv2d::new(self.width, self.patch).stride(self.patch).kernel_initializer(self.initializer);
        let y = ctx.named("projection", &projection, x)?;
        let [batch, width, rows, columns] = *y.shape() else {
            return Err(Error::shape(self.kind(), "[batch, channels, height, width]", x.spec().to_string()));
        };
        y.reshape([batch, width, rows.saturating_mul(columns)])?.transpose(&[0, 2, 1])
    }
}
