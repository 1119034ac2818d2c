//! Gradients of several small steps, averaged for one update.
//!
//! With `s` the share of a step and `S` that of the steps before it, of the same `every` steps: `mean += s / (S + s) (g − mean)` and
//! `S += s`; in the first of them `mean = g` and `S = s`. After the last, `mean` is `Σ s g / Σ s`: with shares that count the labels in
//! each step's mean loss, the gradient of the mean loss over all of them. Steps of share 0 change nothing. Source: the running mean
//! of B. Welford, "Note on a method for calculating corrected sums of squares and products", Technometrics 4 (1962).

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use super::arity;
use crate::contract::blocks::expect_arenas;
use crate::contract::clock::{FAULT, STEP, expect_clock};
use crate::contract::{CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, grid, parallel_together, stem};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Var};
use crate::shape::{DType, TensorSpec};

/// Moves the mean of gradients, in place, unless the clock shows a fault. Inputs: the mean (f32 `[len]`, a whole arena), the shares so
/// far (f32 `[2]`; a step reads one of them and writes the other), the gradients (like the mean), the step's share (one number, not below
/// 0) and the clock. No output.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accumulate {
    /// Steps of which one update is made; at least 1.
    pub every: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    n4: u32,
    every: u32,
}

impl OpDef for Accumulate {
    stem!("accumulate");

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        if self.every == 0 {
            return Err(Error::parameter("accumulate", "steps per update", "at least 1", self.every));
        }
        let [mean, shares, gradients, share, clock] = arity("accumulate", inputs)?;
        expect_arenas("accumulate", &[mean.clone(), gradients.clone()])?;
        expect_clock("accumulate", clock)?;
        if *shares != TensorSpec::f32([2]) {
            return Err(Error::shape("accumulate", "shares f32[2]", shares.to_string()));
        }
        if share.dtype != DType::F32 || share.shape.elements() != 1 {
            return Err(Error::shape("accumulate", "a share, one f32", share.to_string()));
        }
        Ok(vec![])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let n4 = io.inputs[0].shape[0] / 4;
        let params = Params { n4: n4 as u32, every: self.every };
        let kernel = Kernel::of::<Self>("accumulate");
        Launch::new(kernel, &params, grid(n4)).bind_in_place(io, self.writes()).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let [mean, shares, g, share, clock] = &mut call.x[..] else {
            unreachable!("the shape rule lets five tensors pass")
        };
        let (g, share, clock) = (g.f(), share.f()[0], clock.u());
        if clock[FAULT] != 0 {
            return;
        }
        let (first, now) = (clock[STEP].is_multiple_of(self.every), (clock[STEP] % 2) as usize);
        let shares = shares.f_mut();
        let all = if first { share } else { shares[now] + share };
        shares[1 - now] = all;
        let moved = if all > T::zero() { share / all } else { T::zero() };
        parallel_together([mean.f_mut()], |start, [mean]| {
            for (mean, g) in mean.iter_mut().zip(&g[start..]) {
                *mean = if first { *g } else { *mean + moved * (*g - *mean) };
            }
        });
    }

    fn gradient(&self, _ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok(vec![Grad::NotDifferentiable; 5])
    }

    fn writes(&self) -> &'static [usize] {
        &[0, 1]
    }
}

impl Var {
    /// Takes the gradients of a step into this mean (a whole arena), with the step's share; see [`Accumulate`].
    ///
    /// # Errors
    /// Where the arenas differ, shares are not as described there, or `every` is 0.
    pub fn accumulate(&self, shares: &Var, gradients: &Var, share: &Var, clock: &Var, every: u32) -> Result<()> {
        self.graph.push(Accumulate { every }, &[self, shares, gradients, share, clock]).map(drop)
    }
}
