//! Whole numbers as floats: `y = x`.
//!
//! Exact below 2²⁴; larger ones are rounded to a neighbour, which one is the device's choice.

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use super::arity;
use crate::contract::{
    CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, View, grid, parallel_chunks, stem,
};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Var};
use crate::shape::{DType, TensorSpec};

/// `u32` or `u8` of any shape → `f32` of the same shape.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cast;

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    n: u32,
}

impl OpDef for Cast {
    stem!("cast");

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [x] = arity("cast", inputs)?;
        if x.dtype == DType::F32 {
            return Err(Error::dtype("cast", "u32 or u8", x.to_string()));
        }
        Ok(vec![TensorSpec::f32(x.shape.clone())])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let n = io.inputs[0].shape.elements();
        let kernel = Kernel::of::<Self>("cast_to_f32").define("BYTES", u32::from(io.inputs[0].dtype == DType::U8));
        Launch::new(kernel, &Params { n: n as u32 }, grid(n)).bind_all(io).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let y = call.y[0].f_mut();
        match &call.x[0] {
            View::B(x) => parallel_chunks(y, |start, y| {
                y.iter_mut().zip(&x[start..]).for_each(|(y, x)| *y = T::of(f64::from(*x)));
            }),
            x => parallel_chunks(y, |start, y| {
                y.iter_mut().zip(&x.u()[start..]).for_each(|(y, x)| *y = T::of(f64::from(*x)));
            }),
        }
    }

    fn gradient(&self, _ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok(vec![Grad::NotDifferentiable])
    }
}

impl Var {
    /// The same numbers as floats; exact below 2²⁴. Floats stay as they are.
    ///
    /// # Errors
    /// None that depends on the tensor.
    pub fn to_f32(&self) -> Result<Var> {
        match self.dtype() {
            DType::F32 => Ok(self.clone()),
            _ => self.graph.push1(Cast, &[self]),
        }
    }
}
