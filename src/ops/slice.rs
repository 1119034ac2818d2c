//! A box cut out of a tensor.

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use super::transpose::{Walk, expect_words};
use super::{arity, indices};
use crate::contract::{CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, grid, stem};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Var};
use crate::shape::{DType, TensorSpec};

/// `y[i₀, i₁, ..] = x[begin₀ + i₀, begin₁ + i₁, ..]`, for `f32` and `u32`.
///
/// Shapes: `x` any, `y` `size`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slice {
    /// The first element along every axis of `x`.
    pub begin: Vec<usize>,
    /// How many elements along every axis.
    pub size: Vec<usize>,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    dims: [u32; 8],
    strides: [u32; 8],
    n: u32,
    base: u32,
    pad: [u32; 2],
}

impl Slice {
    /// The walk over the box, and the element of `x` that it starts from.
    fn walk(&self, x: &TensorSpec) -> (Walk, usize) {
        let strides = x.shape.strides();
        let walk = Walk::new(self.size.iter().copied().zip(strides.iter().copied()));
        (walk, self.begin.iter().zip(&strides).map(|(b, s)| b * s).sum())
    }
}

impl OpDef for Slice {
    stem!("slice");

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [x] = arity(Self::STEM, inputs)?;
        expect_words(Self::STEM, x)?;
        let Slice { begin, size } = self;
        if begin.len() != x.shape.len() || size.len() != x.shape.len() {
            let expected = format!("one for every axis of {x}");
            return Err(Error::parameter(Self::STEM, "begin and size", expected, format!("{begin:?} and {size:?}")));
        }
        for (axis, extent) in x.shape.iter().enumerate() {
            if size[axis] == 0 || size[axis] > *extent || begin[axis] > extent - size[axis] {
                let what = format!("the slice along axis {axis}");
                let actual = format!("{} elements from {} on", size[axis], begin[axis]);
                return Err(Error::parameter(Self::STEM, what, format!("not empty and within 0..{extent}"), actual));
            }
        }
        Ok(vec![TensorSpec::new(size.clone(), x.dtype)])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let ((walk, base), n) = (self.walk(&io.inputs[0]), io.outputs[0].shape.elements());
        let (dims, strides) = (indices(&walk.dims, 1), indices(&walk.strides, 0));
        let params = Params { dims, strides, n: n as u32, base: base as u32, pad: [0; 2] };
        Launch::new(Kernel::of::<Self>("slice").define("RANK", walk.dims.len()), &params, grid(n)).bind_all(io).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let (walk, base) = self.walk(&call.io.inputs[0]);
        match call.io.inputs[0].dtype {
            DType::U32 => walk.copy(&call.x[0].u()[base..], call.y[0].u_mut()),
            _ => walk.copy(&call.x[0].f()[base..], call.y[0].f_mut()),
        }
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        let x = ctx.input(0).shape();
        let around: Vec<(usize, usize)> =
            (0..x.len()).map(|a| (self.begin[a], x[a] - self.begin[a] - self.size[a])).collect();
        Ok(vec![ctx.wanted(0, || ctx.dy()?.pad(&around, 0.0))?])
    }
}

impl Var {
    /// The elements from `start` up to, not including, `end` along every axis: `x.slice(&[(0, 2), (1, 5)])` is NumPy's
    /// `x[0:2, 1:5]`. Axes after the last pair are taken whole. The rank stays: follow with [`Var::reshape`] to drop an axis.
    /// For `f32` and `u32`.
    ///
    /// # Errors
    /// Where there are more pairs than axes, a range is empty or reaches past its axis, or the elements are bytes.
    pub fn slice(&self, ranges: &[(usize, usize)]) -> Result<Var> {
        let shape = self.shape();
        if ranges.len() > shape.len() {
            let expected = format!("at most {} (start, end) for {}", shape.len(), self.spec());
            return Err(Error::parameter(Slice::STEM, "ranges", expected, format!("{ranges:?}")));
        }
        let range = |axis: usize| ranges.get(axis).copied().unwrap_or((0, shape[axis]));
        let (mut begin, mut size) = (Vec::new(), Vec::new());
        for (start, end) in (0..shape.len()).map(range) {
            begin.push(start);
            size.push(end.saturating_sub(start));
        }
        if *size == *shape && begin.iter().all(|b| *b == 0) {
            return Ok(self.clone());
        }
        self.graph.push1(Slice { begin, size }, &[self])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Graph;

    #[test]
    fn ranges_are_checked() {
        let graph = Graph::new();
        let x = graph.input("x", [4, 5], DType::F32).unwrap();
        assert_eq!(*x.slice(&[(1, 3)]).unwrap().shape(), [2, 5]);
        for bad in [&[(2, 2)][..], &[(3, 2)], &[(0, 5)], &[(1, 5)], &[(0, 1), (0, 1), (0, 1)], &[(9, usize::MAX)]] {
            assert!(x.slice(bad).is_err(), "{bad:?}");
        }
    }
}
