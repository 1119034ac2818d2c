//! Dropout: `y = x / (1 − rate)` for the elements that stay, 0 for the others.
//!
//! Element `i` stays where its random word (see `src/ops/random.rs`) is at least `rate · 2³²`: a comparison of whole numbers, so that the
//! mask is the same on every device. Source: N. Srivastava et al., "Dropout: a simple way to prevent neural networks from
//! overfitting", JMLR 2014, in the inverted form of Keras.
//!
//! Along an axis, whole channels go: all elements of a sample that share an index along it have the word of element
//! `sample · channels + channel`. Sources: J. Tompson et al., "Efficient object localization using convolutional networks", CVPR 2015, for
//! images (spatial dropout); Y. Gal, Z. Ghahramani, "A theoretically grounded application of dropout in recurrent neural networks",
//! NeurIPS 2016, for the features of sequences.

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use super::{arity, expect_dtype};
use crate::contract::clock::expect_clock;
use crate::contract::exact;
use crate::contract::{
    CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, StreamKey, grid, parallel_chunks, parallel_rows,
    stem,
};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Var};
use crate::shape::{DType, Shape, TensorSpec, resolve_axis};

/// Sets elements to 0 at random, others in every step, and scales the rest so that the mean stays. Inputs: `x`, floats of any
/// shape, and the clock.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dropout {
    /// The share that is set to 0, in 0..1.
    #[serde(with = "exact")]
    pub rate: f32,
    /// What tells this mask from those of other nodes; [`crate::contract::stream_of`] makes one from a name.
    pub stream: u32,
    /// The axis whose indices go or stay as a whole in each sample (the first axis counts samples); each element by itself without.
    pub channels: Option<usize>,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    n: u32,
    stream: u32,
    threshold: u32,
    scale: f32,
    sample: u32,
    channels: u32,
    inner: u32,
    pad: u32,
}

/// Which word each element has: that of `i / sample · channels + i / inner mod channels`.
#[derive(Clone, Copy)]
struct Words {
    /// Elements of a sample.
    sample: usize,
    /// Channels of a sample.
    channels: usize,
    /// Neighbours that share a channel.
    inner: usize,
}

impl Words {
    fn of(&self, i: usize) -> usize {
        i / self.sample * self.channels + i / self.inner % self.channels
    }
}

impl Dropout {
    /// The smallest random word that lets an element stay.
    fn threshold(&self) -> u32 {
        (f64::from(self.rate) * 4_294_967_296.0).round() as u32
    }

    /// How channels share words; None where each element has its own.
    fn words(&self, shape: &Shape) -> Option<Words> {
        let (_, channels, inner) = shape.around(self.channels?);
        Some(Words { sample: shape[1..].iter().product(), channels, inner })
    }

    fn scale(&self) -> f64 {
        1.0 / (1.0 - f64::from(self.rate))
    }
}

impl OpDef for Dropout {
    stem!("dropout");

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [x, clock] = arity("dropout", inputs)?;
        if !(0.0..1.0).contains(&self.rate) {
            return Err(Error::parameter("dropout", "rate", "in 0..1", self.rate));
        }
        if let Some(axis) = self.channels
            && !(1..x.shape.len()).contains(&axis)
        {
            let expected = format!("an axis of {} behind the first", x.shape);
            return Err(Error::parameter("dropout", "channels", expected, axis));
        }
        expect_dtype("dropout", x, DType::F32)?;
        expect_clock("dropout", clock)?;
        Ok(vec![x.clone()])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let n = io.inputs[0].shape.elements();
        let words = self.words(&io.inputs[0].shape);
        let Words { sample, channels, inner } = words.unwrap_or(Words { sample: 1, channels: 1, inner: 1 });
        let params = Params {
            n: n as u32,
            stream: self.stream,
            threshold: self.threshold(),
            scale: self.scale() as f32,
            sample: sample as u32,
            channels: channels as u32,
            inner: inner as u32,
            pad: 0,
        };
        let kernel = Kernel::of::<Self>("dropout").define("CHANNELS", u32::from(words.is_some()));
        let invocations = if words.is_some() { n } else { n.div_ceil(2) };
        Launch::new(kernel, &params, grid(invocations)).bind_all(io).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let (x, key) = (call.x[0].f(), StreamKey::new(call.x[1].u(), self.stream));
        let (threshold, scale) = (self.threshold(), T::of(self.scale()));
        let keep = |word: u32, x: T| if word >= threshold { x * scale } else { T::zero() };
        if let Some(words) = self.words(&call.io.inputs[0].shape) {
            return parallel_rows(call.y[0].f_mut(), words.inner, |row, y| {
                let start = row * words.inner;
                let word = key.word(words.of(start));
                y.iter_mut().zip(&x[start..]).for_each(|(y, x)| *y = keep(word, *x));
            });
        }
        parallel_chunks(call.y[0].f_mut(), |start, y| {
            let blocks = y.chunks_mut(StreamKey::BLOCK).zip(x[start..].chunks(StreamKey::BLOCK));
            for (block, (y, x)) in blocks.enumerate() {
                let words = key.block(start + block * StreamKey::BLOCK);
                y.iter_mut().zip(x).zip(words).for_each(|((y, x), word)| *y = keep(word, *x));
            }
        });
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        // The clock stands still within a step, so the mask is the same.
        let dx = ctx.graph().push1(self.clone(), &[ctx.dy()?, ctx.input(1)])?;
        Ok(vec![Grad::Of(dx), Grad::NotDifferentiable])
    }
}

impl Var {
    /// Sets a share `rate` of the elements to 0, others in every step of the clock, and divides the rest by `1 − rate`. The gradient
    /// must be pushed before the clock ticks.
    ///
    /// # Errors
    /// Where `rate` is not in 0..1 or `clock` is not a clock.
    pub fn dropout(&self, rate: f32, stream: u32, clock: &Var) -> Result<Var> {
        self.graph.push1(Dropout { rate, stream, channels: None }, &[self, clock])
    }

    /// Like [`Var::dropout`], of whole channels: in each sample all elements that share an index along `axis` go or stay together. The
    /// first axis counts the samples. For images `[batch, c, h, w]` `axis` is 1; for the features of sequences
    /// `[batch, steps, features]` it is −1 (a negative one counts from the end).
    ///
    /// # Errors
    /// Where `rate` is not in 0..1, `clock` is not a clock, or there is no such axis behind the first.
    pub fn dropout_channels(&self, rate: f32, axis: isize, stream: u32, clock: &Var) -> Result<Var> {
        let axis = resolve_axis("dropout", axis, self.shape().len())?;
        self.graph.push1(Dropout { rate, stream, channels: Some(axis) }, &[self, clock])
    }
}
