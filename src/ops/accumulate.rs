//! Gradients of several small steps, summed up for one update.
//!
//! In the first of `every` steps `sum = g / every`, in the others `sum += g / every`, both `[len]`. After the last of them it is
//! the gradient of the mean loss of all their samples. Source: Keras 3, `gradient_accumulation_steps`.

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use super::arity;
use crate::contract::blocks::expect_arenas;
use crate::contract::clock::{FAULT, STEP, expect_clock};
use crate::contract::{CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, grid, parallel_together, stem};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Var};
use crate::shape::TensorSpec;

/// Adds gradients to their sum, in place, unless the clock shows a fault. Inputs: the sum and the gradients (both f32 `[len]`, whole
/// arenas), and the clock. No output.
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
    divisor: f32,
}

impl OpDef for Accumulate {
    stem!("accumulate");

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        if self.every == 0 {
            return Err(Error::parameter("accumulate", "steps per update", "at least 1", self.every));
        }
        let [_, _, clock] = arity("accumulate", inputs)?;
        expect_arenas("accumulate", &inputs[..2])?;
        expect_clock("accumulate", clock)?;
        Ok(vec![])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let n4 = io.inputs[0].shape[0] / 4;
        let params = Params { n4: n4 as u32, every: self.every, divisor: self.every as f32 };
        let kernel = Kernel::of::<Self>("accumulate");
        Launch::new(kernel, &params, grid(n4)).bind_in_place(io, self.writes()).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let [sum, g, clock] = &mut call.x[..] else { unreachable!("the shape rule lets three tensors pass") };
        let (g, clock) = (g.f(), clock.u());
        if clock[FAULT] != 0 {
            return;
        }
        let first = clock[STEP].is_multiple_of(self.every);
        let divisor = T::of(f64::from(self.every));
        parallel_together([sum.f_mut()], |start, [sum]| {
            for (sum, g) in sum.iter_mut().zip(&g[start..]) {
                let share = *g / divisor;
                *sum = if first { share } else { *sum + share };
            }
        });
    }

    fn gradient(&self, _ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok(vec![Grad::NotDifferentiable; 3])
    }

    fn writes(&self) -> &'static [usize] {
        &[0]
    }
}

impl Var {
    /// Makes this sum of gradients (a whole arena) one step richer; see [`Accumulate`].
    ///
    /// # Errors
    /// Where the arenas differ or `every` is 0.
    pub fn accumulate(&self, gradients: &Var, clock: &Var, every: u32) -> Result<()> {
        self.graph.push(Accumulate { every }, &[self, gradients, clock]).map(drop)
    }
}
