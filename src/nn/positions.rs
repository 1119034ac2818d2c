//! What tells attention where in a sequence a token is, and what makes one vector of a sequence.

use std::sync::Arc;

use super::{BuildCtx, Initializer, Layer};
use crate::error::{Error, Result};
use crate::graph::{Init, Var};
use crate::ops::masked_softmax::AttentionMask;
use crate::shape::TensorSpec;

/// `[batch, time, width]`, for the layer that asks.
pub(super) fn sequence(layer: &str, x: &Var) -> Result<[usize; 3]> {
    let spec = x.spec();
    match *spec.shape {
        [batch, time, width] if spec == TensorSpec::f32([batch, time, width]) => Ok([batch, time, width]),
        _ => Err(Error::shape(layer, "f32[batch, time, width]", spec.to_string())),
    }
}

/// Adds to each vector of a sequence waves that tell its position: `[batch, time, width]` → the same.
///
/// `y[b, t, 2i] = x + sin(t / 10000^(2i / width))`, `y[b, t, 2i + 1] = x + cos(t / 10000^(2i / width))`: sine and cosine take turns, as in
/// the source: A. Vaswani et al., "Attention is all you need", NeurIPS 2017. No parameters; the waves are computed on the host, once.
///
/// ```
/// use galen::nn::{Embedding, Input, Network, Sequential, SinusoidalPositions};
///
/// let tokens = Sequential::new(Input::tokens([9])).with(Embedding::new(50, 8));
/// let network = tokens.with(SinusoidalPositions::new().scaled());
/// assert_eq!(&*network.summary()?.outputs[0], [9, 8]);
/// assert_eq!(network.summary()?.parameters(), 50 * 8);
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SinusoidalPositions {
    scaled: bool,
}

impl SinusoidalPositions {
    /// Adds the waves to the vectors as they come.
    pub fn new() -> Self {
        Self::default()
    }

    /// Multiplies the vectors by `√width` before, as in the source, so that small embeddings are not drowned by the waves.
    #[must_use]
    pub fn scaled(self) -> Self {
        SinusoidalPositions { scaled: true }
    }
}

/// The waves, row-major `[time, width]`.
fn waves(time: usize, width: usize) -> Arc<[f32]> {
    let at = |i: usize| {
        let (t, j) = ((i / width) as f64, i % width);
        let angle = t / 10000f64.powf((j / 2 * 2) as f64 / width as f64);
        (if j % 2 == 0 { angle.sin() } else { angle.cos() }) as f32
    };
    (0..time * width).map(at).collect()
}

impl Layer for SinusoidalPositions {
    fn kind(&self) -> &'static str {
        "sinusoidal_positions"
    }

    fn build(&self, _ctx: &BuildCtx, x: &Var) -> Result<Var> {
        let [_, time, width] = sequence("sinusoidal_positions", x)?;
        // An arena of its own for each size, so that every graph which has it lays it out alike.
        let arena = format!("sinusoidal positions {time}x{width}");
        let waves =
            x.graph().state(&arena, "waves", TensorSpec::f32([time, width]), Init::Values(waves(time, width)))?;
        if self.scaled { x.scale((width as f64).sqrt() as f32)?.add(&waves) } else { x.add(&waves) }
    }
}

/// Adds a trained vector to each position of a sequence: `[batch, time, width]` → the same, `y[b, t] = x[b, t] + positions[t]`.
///
/// Parameter: `positions` `[max_time, width]`. A sequence longer than `max_time` is an error when the network is built.
///
/// ```
/// use galen::nn::{LearnedPositions, Network, Sequential};
///
/// let network = Sequential::new([9, 8]).with(LearnedPositions::new(16));
/// assert_eq!(network.summary()?.parameters(), 16 * 8);
/// assert!(Sequential::new([17, 8]).with(LearnedPositions::new(16)).summary().is_err());
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct LearnedPositions {
    max_time: usize,
    initializer: Initializer,
}

impl LearnedPositions {
    /// A vector for each of the first `max_time` positions; Glorot uniform.
    pub fn new(max_time: usize) -> Self {
        LearnedPositions { max_time, initializer: Initializer::default() }
    }

    /// How the vectors begin.
    #[must_use]
    pub fn initializer(self, initializer: Initializer) -> Self {
        LearnedPositions { initializer, ..self }
    }
}

impl Layer for LearnedPositions {
    fn kind(&self) -> &'static str {
        "learned_positions"
    }

    fn build(&self, ctx: &BuildCtx, x: &Var) -> Result<Var> {
        let [_, time, width] = sequence(self.kind(), x)?;
        if time > self.max_time {
            let expected = format!("at least the {time} of the sequence");
            return Err(Error::parameter(self.kind(), "max_time", expected, self.max_time));
        }
        let init = self.initializer.init(self.max_time, width);
        let positions = ctx.parameter(x.graph(), "positions", [self.max_time, width], init)?;
        x.add(&if time == self.max_time { positions } else { positions.slice(&[(0, time), (0, width)])? })
    }
}

/// Puts a trained vector before the first of a sequence, for a classifier to read when attention has gathered the sequence in it:
/// `[batch, time, width]` → `[batch, 1 + time, width]`. [`FirstInTime`] takes it out again.
///
/// Parameter: `token` `[width]`, zeros. Source: J. Devlin et al., "BERT", NAACL 2019.
///
/// ```
/// use galen::nn::{ClassToken, FirstInTime, Network, Sequential};
///
/// let network = Sequential::new([9, 8]).with(ClassToken).with(FirstInTime);
/// assert_eq!(&*network.summary()?.outputs[0], [8]);
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct ClassToken;

impl Layer for ClassToken {
    fn kind(&self) -> &'static str {
        "class_token"
    }

    fn build(&self, ctx: &BuildCtx, x: &Var) -> Result<Var> {
        let [batch, _, width] = sequence(self.kind(), x)?;
        let token = ctx.parameter(x.graph(), "token", [width], Init::Constant(0.0))?;
        Var::concat(&[&token.broadcast_to([batch, 1, width])?, x], 1)
    }
}

/// The first vector of a sequence: `[batch, time, width]` → `[batch, width]`. No parameters.
#[derive(Clone, Copy, Debug, Default)]
pub struct FirstInTime;

impl Layer for FirstInTime {
    fn kind(&self) -> &'static str {
        "first_in_time"
    }

    fn build(&self, _ctx: &BuildCtx, x: &Var) -> Result<Var> {
        let [batch, _, width] = sequence(self.kind(), x)?;
        x.slice(&[(0, batch), (0, 1), (0, width)])?.reshape([batch, width])
    }
}

/// The mean of a sequence's vectors: `[batch, time, width]` → `[batch, width]`. No parameters.
///
/// ```
/// use galen::nn::{MeanOverTime, Network, Sequential};
///
/// assert_eq!(&*Sequential::new([9, 8]).with(MeanOverTime).summary()?.outputs[0], [8]);
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct MeanOverTime;

impl MeanOverTime {
    /// The mean of those vectors that `mask` shows: by their lengths, by a mask `[batch, time]`, or both. A sequence of which nothing is
    /// shown has a mean of zeros.
    ///
    /// # Errors
    /// Where `x` is not `[batch, time, width]`, or the mask is causal or does not fit it.
    pub fn build_with(&self, x: &Var, mask: &AttentionMask) -> Result<Var> {
        let [batch, time, width] = sequence(self.kind(), x)?;
        // Equal scores have equal weights.
        let zeros = x.graph().fill([batch, time], 0.0)?;
        let weights = zeros.masked_softmax(1.0, mask)?.reshape([batch, 1, time])?;
        weights.matmul(x)?.reshape([batch, width])
    }
}

impl Layer for MeanOverTime {
    fn kind(&self) -> &'static str {
        "mean_over_time"
    }

    fn build(&self, _ctx: &BuildCtx, x: &Var) -> Result<Var> {
        sequence(self.kind(), x)?;
        x.mean(&[1], false)
    }
}
