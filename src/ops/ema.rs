//! The exponential moving average of the parameters.
//!
//! `a += (1 − keep)(p − a)`, both `[len]`; an element that is still NaN begins as the parameter. Sources: B. Polyak, A. Juditsky,
//! SIAM J. Control Optim. 30, 1992; Keras 3, `use_ema`.

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use super::arity;
use crate::contract::blocks::expect_arenas;
use crate::contract::clock::{expect_clock, update_of};
use crate::contract::exact;
use crate::contract::{CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, grid, parallel_together, stem};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Var};
use crate::shape::TensorSpec;

/// Moves an average on, in place, in steps that make an update. Inputs: the average and the parameters (both f32 `[len]`, whole
/// arenas), and the clock. No output.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ema {
    /// How much of the average is kept, in [0, 1).
    #[serde(with = "exact")]
    pub keep: f64,
    /// Every so many steps make an update; at least 1.
    pub every: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    n4: u32,
    every: u32,
    gain: f32,
}

impl OpDef for Ema {
    stem!("ema");

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        if !(0.0..1.0).contains(&self.keep) {
            return Err(Error::parameter("ema", "momentum", "in [0, 1)", self.keep));
        }
        if self.every == 0 {
            return Err(Error::parameter("ema", "steps per update", "at least 1", self.every));
        }
        let [_, _, clock] = arity("ema", inputs)?;
        expect_arenas("ema", &inputs[..2])?;
        expect_clock("ema", clock)?;
        Ok(vec![])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let n4 = io.inputs[0].shape[0] / 4;
        let params = Params { n4: n4 as u32, every: self.every, gain: (1.0 - self.keep) as f32 };
        Launch::new(Kernel::of::<Self>("ema"), &params, grid(n4)).bind_in_place(io, self.writes()).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let [average, p, clock] = &mut call.x[..] else { unreachable!("the shape rule lets three tensors pass") };
        if update_of(clock.u(), self.every).is_none() {
            return;
        }
        let (p, gain) = (p.f(), T::of(1.0 - self.keep));
        parallel_together([average.f_mut()], |start, [average]| {
            for (a, p) in average.iter_mut().zip(&p[start..]) {
                *a = if a.is_nan() { *p } else { *a + (*p - *a) * gain };
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
    /// Moves this average of `parameters` (both whole arenas) on; see [`Ema`]. It begins as NaN.
    ///
    /// # Errors
    /// Where the arenas differ, the momentum is not in [0, 1), or `every` is 0.
    pub fn ema(&self, op: Ema, parameters: &Var, clock: &Var) -> Result<()> {
        self.graph.push(op, &[self, parameters, clock]).map(drop)
    }
}
