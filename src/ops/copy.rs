//! `y = x`. The planner inserts it where a tensor must also lie somewhere else.

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use super::arity;
use crate::contract::{CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, grid, stem};
use crate::error::Result;
use crate::graph::{Grad, GradientCtx};
use crate::shape::{DType, TensorSpec};

/// `y = x`, for floats of any shape.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Copy;

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    n: u32,
}

impl OpDef for Copy {
    stem!("copy");

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [x] = arity("copy", inputs)?;
        super::expect_dtype("copy", x, DType::F32)?;
        Ok(vec![x.clone()])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let n = io.inputs[0].shape.elements();
        Launch::new(Kernel::of::<Self>("copy"), &Params { n: n as u32 }, grid(n)).bind_all(io).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        call.y[0].f_mut().copy_from_slice(call.x[0].f());
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok(vec![Grad::Of(ctx.dy()?.clone())])
    }
}
