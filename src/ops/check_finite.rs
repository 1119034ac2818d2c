//! The latch that stops all updates once a loss or a gradient is not finite.

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use super::{arity, expect_dtype};
use crate::contract::clock::{FAULT, STEP, expect_clock};
use crate::contract::{CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, grid, parallel_all, stem};
use crate::error::Result;
use crate::graph::{Grad, GradientCtx, Var};
use crate::shape::{DType, TensorSpec};

/// `clock[FAULT] = 1 + clock[STEP]`, in place, where an element of `x` is NaN or infinite and the clock shows no fault yet.
/// Inputs: the clock, and `x`, floats of any shape. No output.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CheckFinite;

/// Elements that one invocation looks at.
const PER: usize = 4;

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    n: u32,
}

impl OpDef for CheckFinite {
    stem!("check_finite");

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [clock, x] = arity("check_finite", inputs)?;
        expect_clock("check_finite", clock)?;
        expect_dtype("check_finite", x, DType::F32)?;
        Ok(vec![])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let n = io.inputs[1].shape.elements();
        let kernel = Kernel::of::<Self>("check_finite").define("PER", PER);
        let launch = Launch::new(kernel, &Params { n: n as u32 }, grid(n.div_ceil(PER)));
        launch.bind_in_place(io, self.writes()).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        // No early end within a chunk: so the loop becomes vector instructions.
        let all = |x: &[T]| x.iter().fold(true, |all, x| all & x.is_finite());
        let finite = parallel_all(call.x[1].f(), all);
        let clock = call.x[0].u_mut();
        if !finite && clock[FAULT] == 0 {
            clock[FAULT] = clock[STEP].wrapping_add(1);
        }
    }

    fn gradient(&self, _ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok(vec![Grad::NotDifferentiable, Grad::NotDifferentiable])
    }

    fn writes(&self) -> &'static [usize] {
        &[0]
    }
}

impl Var {
    /// Latches the clock's fault where an element of this tensor is NaN or infinite: from then on optimizers change nothing
    /// and the clock stands still.
    ///
    /// # Errors
    /// Where the elements are not floats or `clock` is not the state of a clock.
    pub fn check_finite(&self, clock: &Var) -> Result<()> {
        self.graph.push(CheckFinite, &[clock, self]).map(drop)
    }
}
