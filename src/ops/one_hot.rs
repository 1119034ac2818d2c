//! One-hot rows: `y[.., j, ..] = on` where `j` is the index, else `off`, along a new axis.
//!
//! An index that is not below the depth gives a row of `off`, which is how "ignore this label" is said.

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use super::{arity, expect_dtype};
use crate::contract::exact;
use crate::contract::{CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, grid, parallel_rows, stem};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Var};
use crate::shape::{DType, TensorSpec, resolve_axis};

/// Indices `u32 [outer, inner]` → `f32 [outer, depth, inner]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OneHot {
    /// How many classes there are.
    pub depth: usize,
    /// Where the new axis stands in the result.
    pub axis: usize,
    /// The value at the index.
    #[serde(with = "exact")]
    pub on: f32,
    /// The value elsewhere.
    #[serde(with = "exact")]
    pub off: f32,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    n: u32,
    depth: u32,
    inner: u32,
    on: f32,
    off: f32,
    pad: [u32; 3],
}

impl OpDef for OneHot {
    stem!("one_hot");

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [ids] = arity("one_hot", inputs)?;
        expect_dtype("one_hot", ids, DType::U32)?;
        if self.depth == 0 || u32::try_from(self.depth).is_err() {
            return Err(Error::parameter("one_hot", "depth", "in 1 to 2³² − 1", self.depth));
        }
        if self.axis > ids.shape.len() {
            return Err(Error::parameter("one_hot", "axis", format!("at most {}", ids.shape.len()), self.axis));
        }
        let mut shape = ids.shape.to_vec();
        shape.insert(self.axis, self.depth);
        Ok(vec![TensorSpec::f32(shape)])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let y = &io.outputs[0].shape;
        let (n, (_, depth, inner)) = (y.elements(), y.around(self.axis));
        let params =
            Params { n: n as u32, depth: depth as u32, inner: inner as u32, on: self.on, off: self.off, pad: [0; 3] };
        Launch::new(Kernel::of::<Self>("one_hot"), &params, grid(n)).bind_all(io).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let (_, depth, inner) = call.io.outputs[0].shape.around(self.axis);
        let (ids, y) = (call.x[0].u(), call.y[0].f_mut());
        let (on, off) = (T::of(f64::from(self.on)), T::of(f64::from(self.off)));
        if inner == 1 {
            return parallel_rows(y, depth, |row, y| {
                y.fill(off);
                if let Some(y) = y.get_mut(ids[row] as usize) {
                    *y = on;
                }
            });
        }
        parallel_rows(y, inner, |row, y| {
            let (outer, j) = (row / depth, row % depth);
            y.iter_mut().zip(&ids[outer * inner..]).for_each(|(y, id)| *y = if *id as usize == j { on } else { off });
        });
    }

    fn gradient(&self, _ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok(vec![Grad::NotDifferentiable])
    }
}

impl Var {
    /// Indices `u32 [..]` as rows `f32 [.., depth]` with 1 at the index and 0 elsewhere; all 0 where the index is not below `depth`.
    ///
    /// # Errors
    /// Where the elements are not `u32` or `depth` is 0.
    pub fn one_hot(&self, depth: usize) -> Result<Var> {
        self.one_hot_with(depth, -1, 1.0, 0.0)
    }

    /// Like [`Var::one_hot`], with `on` at the index and `off` elsewhere, along a new axis that stands at `axis` of the result (a
    /// negative one counts from the end): 1 for images, `u32 [batch, h, w]` → `f32 [batch, depth, h, w]`.
    ///
    /// # Errors
    /// Where the elements are not `u32`, `depth` is 0, or there is no such axis.
    pub fn one_hot_with(&self, depth: usize, axis: isize, on: f32, off: f32) -> Result<Var> {
        let axis = resolve_axis("one_hot", axis, self.shape().len() + 1)?;
        self.graph.push1(OneHot { depth, axis, on, off }, &[self])
    }
}
