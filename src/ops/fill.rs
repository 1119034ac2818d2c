//! A tensor whose elements are all the same number.

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use super::arity;
use crate::contract::exact;
use crate::contract::{CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, grid, stem};
use crate::error::Result;
use crate::graph::{Grad, GradientCtx, Graph, Var};
use crate::shape::{Shape, TensorSpec};

/// `y[..] = value`, without inputs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fill {
    /// The shape.
    pub shape: Shape,
    /// The number.
    #[serde(with = "exact")]
    pub value: f32,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    n: u32,
    value: f32,
}

impl OpDef for Fill {
    stem!("fill");

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [] = arity("fill", inputs)?;
        Ok(vec![TensorSpec::f32(self.shape.clone())])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let n = self.shape.elements();
        let params = Params { n: n as u32, value: self.value };
        Launch::new(Kernel::of::<Self>("fill"), &params, grid(n)).bind_all(io).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        call.y[0].f_mut().fill(T::of(f64::from(self.value)));
    }

    fn gradient(&self, _ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok(vec![])
    }
}

impl Graph {
    /// A tensor of `shape` whose elements are all `value`.
    ///
    /// # Errors
    /// Where the shape has no elements or too many dimensions.
    pub fn fill(&self, shape: impl Into<Shape>, value: f32) -> Result<Var> {
        self.push1(Fill { shape: shape.into(), value }, &[])
    }
}
