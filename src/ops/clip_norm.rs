//! Gradients that are not larger than they should be: each by itself, then all of them together.
//!
//! `c = min(max(g, −value), value)`, then `y = c · norm / max(‖c‖, norm)` with `‖c‖ = √Σ c²` over everything; `g`, `y` `[n]`. A NaN
//! stays one. Sources: R. Pascanu et al., "On the difficulty of training recurrent neural networks", ICML 2013; Keras 3, `clipvalue`
//! and `global_clipnorm`; `tf.clip_by_global_norm`.

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use super::{arity, expect_dtype};
use crate::contract::{
    CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, Slot, grid, parallel_outputs, parallel_together,
    stem,
};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Var};
use crate::shape::{DType, TensorSpec};

/// Clips by value, by norm, or both in this order. Input: `g`, floats of any shape. Output: `y`, the same shape.
///
/// A norm whose square is beyond `f32` is still clipped: squares are also summed of numbers scaled by `2⁻⁸⁰`, and those are taken where the
/// plain sum is infinite.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClipGradients {
    /// The largest magnitude of an element.
    pub value: Option<f32>,
    /// The largest norm of all elements together.
    pub norm: Option<f32>,
}

/// Elements that one workgroup sums.
const PER_GROUP: usize = 1 << 14;
/// `2⁻⁸⁰`, by which numbers are scaled whose squares would be infinite.
const DOWN: f64 = 1.0 / (1u128 << 80) as f64;

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    n: u32,
    parts: u32,
    value: f32,
    norm: f32,
    down: f32,
}

impl ClipGradients {
    fn clipped<T: Real>(&self, x: T) -> T {
        match self.value {
            // Comparisons with NaN are false: it stays.
            Some(value) => {
                let value = T::of(f64::from(value));
                if x > value {
                    value
                } else if x < -value {
                    -value
                } else {
                    x
                }
            }
            None => x,
        }
    }

    /// `√Σ (scale · c)²`
    fn norm_of<T: Real>(&self, g: &[T], scale: T, parts: &mut [T]) -> T {
        parallel_outputs(parts, PER_GROUP, |part, sum| {
            let start = part * PER_GROUP;
            *sum = sum_of_squares(g[start..g.len().min(start + PER_GROUP)].iter().map(|x| self.clipped(*x) * scale));
        });
        // Sums of squares have no sign to cancel: a plain sum of a few parts loses nothing.
        parts.iter().copied().sum::<T>().sqrt()
    }

    /// What to multiply all elements by: two numbers, one after the other.
    fn factors<T: Real>(&self, g: &[T], limit: f32, parts: &mut [T]) -> [T; 2] {
        let (limit, down) = (T::of(f64::from(limit)), T::of(DOWN));
        let norm = self.norm_of(g, T::one(), parts);
        if norm.is_finite() {
            return [T::one(), limit / norm.max(limit)];
        }
        let norm = self.norm_of(g, down, parts);
        if norm.is_nan() || norm.is_infinite() {
            [T::one(), T::nan()]
        } else if norm <= limit * down {
            [T::one(), T::one()]
        } else {
            [down, limit / norm]
        }
    }
}

/// With eight running sums, which both vectorises and loses fewer digits than one.
fn sum_of_squares<T: Real>(values: impl Iterator<Item = T>) -> T {
    let mut sums = [T::zero(); 8];
    for (i, v) in values.enumerate() {
        sums[i % 8] += v * v;
    }
    ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]))
}

impl OpDef for ClipGradients {
    stem!("clip_norm");

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [g] = arity("clip_norm", inputs)?;
        expect_dtype("clip_norm", g, DType::F32)?;
        for (what, limit) in [("clip value", self.value), ("clip norm", self.norm)] {
            if let Some(limit) = limit.filter(|limit| !limit.is_normal() || *limit < 0.0) {
                return Err(Error::parameter("clip_norm", what, "a positive number", limit));
            }
        }
        Ok(vec![g.clone()])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let n = io.inputs[0].shape.elements();
        let parts = n.div_ceil(PER_GROUP);
        let params = Params {
            n: n as u32,
            parts: parts as u32,
            value: self.value.unwrap_or(f32::MAX),
            norm: self.norm.unwrap_or(f32::MAX),
            down: DOWN as f32,
        };
        let flags = [("VALUE", self.value.is_some()), ("NORM", self.norm.is_some())];
        let kernel = |entry| {
            let kernel = Kernel::of::<Self>(entry);
            flags.into_iter().fold(kernel, |kernel, (name, flag)| kernel.define(name, u32::from(flag)))
        };
        let scale = Launch::new(kernel("clip_norm_scale").define("STAGE", 3), &params, grid(n)).read(Slot::Input(0));
        if self.norm.is_none() {
            return scale.write(Slot::Output(0)).into();
        }
        let fold = |groups: usize| {
            if groups <= 65_535 { [groups as u32, 1, 1] } else { [32_768, groups.div_ceil(32_768) as u32, 1] }
        };
        Launches {
            list: vec![
                Launch::new(kernel("clip_norm_sum").define("STAGE", 1), &params, fold(parts))
                    .read(Slot::Input(0))
                    .write(Slot::Temp(0)),
                Launch::new(kernel("clip_norm_factor").define("STAGE", 2), &params, [1, 1, 1])
                    .read(Slot::Temp(0))
                    .write(Slot::Temp(1)),
                scale.read(Slot::Temp(1)).write(Slot::Output(0)),
            ],
            temps: vec![TensorSpec::f32([parts, 2]), TensorSpec::f32([2])],
        }
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let g = call.x[0].f();
        let [first, second] = match self.norm {
            Some(limit) => self.factors(g, limit, &mut call.scratch[..g.len().div_ceil(PER_GROUP)]),
            None => [T::one(); 2],
        };
        parallel_together([call.y[0].f_mut()], |start, [y]| {
            y.iter_mut().zip(&g[start..]).for_each(|(y, g)| *y = self.clipped(*g) * first * second);
        });
    }

    fn scratch(&self, io: &Io) -> usize {
        io.inputs[0].shape.elements().div_ceil(PER_GROUP)
    }

    fn gradient(&self, _ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok(vec![Grad::Unsupported("gradients are clipped after they were computed, not on the way")])
    }
}

impl Var {
    /// These gradients, none of them beyond ±`value`, and all together with a norm of at most `norm`; see [`ClipGradients`].
    ///
    /// # Errors
    /// Where a limit is not a positive number, or the elements are not floats.
    pub fn clip_gradients(&self, value: Option<f32>, norm: Option<f32>) -> Result<Var> {
        self.graph.push1(ClipGradients { value, norm }, &[self])
    }
}
