//! One step further on the clock: the last node of a training step.

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use super::arity;
use crate::contract::clock::{FAULT, STEP, expect_clock};
use crate::contract::{CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, stem};
use crate::error::Result;
use crate::graph::{Grad, GradientCtx, Graph, Var};
use crate::shape::TensorSpec;

/// `clock[STEP] += 1`, in place, unless the clock shows a fault. Input: the clock. No output.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tick;

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    steps: u32,
}

impl OpDef for Tick {
    stem!("tick");

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [clock] = arity("tick", inputs)?;
        expect_clock("tick", clock)?;
        Ok(vec![])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let kernel = Kernel::of::<Self>("tick");
        Launch::new(kernel, &Params { steps: 1 }, [1, 1, 1]).bind_in_place(io, self.writes()).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let clock = call.x[0].u_mut();
        if clock[FAULT] == 0 {
            clock[STEP] = clock[STEP].wrapping_add(1);
        }
    }

    fn gradient(&self, _ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok(vec![Grad::NotDifferentiable])
    }

    fn writes(&self) -> &'static [usize] {
        &[0]
    }
}

impl Graph {
    /// Counts one step on the clock (see [`crate::contract::clock`]). What is pushed after it belongs to the next step.
    ///
    /// # Errors
    /// Where `clock` is not the state of a clock.
    pub fn tick(&self, clock: &Var) -> Result<()> {
        self.push(Tick, &[clock]).map(drop)
    }
}
