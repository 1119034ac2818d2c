//! Dropout: `y = x / (1 − rate)` for the elements that stay, 0 for the others.
//!
//! Element `i` stays where its random word (see `src/ops/random.rs`) is at least `rate · 2³²`: a comparison of whole numbers, so that the
//! mask is the same on every device. Source: N. Srivastava et al., "Dropout: a simple way to prevent neural networks from
//! overfitting", JMLR 2014, in the inverted form of Keras.

use bytemuck::{Pod, Zeroable};

use super::{arity, expect_dtype};
use crate::contract::clock::expect_clock;
use crate::contract::{
    CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, StreamKey, grid, parallel_chunks, stem,
};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Var};
use crate::shape::{DType, TensorSpec};

/// Sets elements to 0 at random, others in every step, and scales the rest so that the mean stays. Inputs: `x`, floats of any
/// shape, and the clock.
#[derive(Clone, Debug)]
pub struct Dropout {
    /// The share that is set to 0, in 0..1.
    pub rate: f32,
    /// What tells this mask from those of other nodes; [`crate::contract::stream_of`] makes one from a name.
    pub stream: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    n: u32,
    stream: u32,
    threshold: u32,
    scale: f32,
}

impl Dropout {
    /// The smallest random word that lets an element stay.
    fn threshold(&self) -> u32 {
        (f64::from(self.rate) * 4_294_967_296.0).round() as u32
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
        expect_dtype("dropout", x, DType::F32)?;
        expect_clock("dropout", clock)?;
        Ok(vec![x.clone()])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let n = io.inputs[0].shape.elements();
        let params =
            Params { n: n as u32, stream: self.stream, threshold: self.threshold(), scale: self.scale() as f32 };
        Launch::new(Kernel::of::<Self>("dropout"), &params, grid(n.div_ceil(2))).bind_all(io).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let (x, key) = (call.x[0].f(), StreamKey::new(call.x[1].u(), self.stream));
        let (threshold, scale) = (self.threshold(), T::of(self.scale()));
        parallel_chunks(call.y[0].f_mut(), |start, y| {
            let blocks = y.chunks_mut(StreamKey::BLOCK).zip(x[start..].chunks(StreamKey::BLOCK));
            for (block, (y, x)) in blocks.enumerate() {
                let words = key.block(start + block * StreamKey::BLOCK);
                for ((y, x), word) in y.iter_mut().zip(x).zip(words) {
                    *y = if word >= threshold { *x * scale } else { T::zero() };
                }
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
        self.graph.push1(Dropout { rate, stream }, &[self, clock])
    }
}
