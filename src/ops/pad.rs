//! A constant frame around a tensor.

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::{arity, expect_dtype, indices};
use crate::contract::exact;
use crate::contract::{CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, grid, parallel_rows, stem};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Var};
use crate::shape::{DType, MAX_RANK, Shape, TensorSpec};

/// `y[i₀, i₁, ..] = x[i₀ − before₀, i₁ − before₁, ..]`, and `value` where there is no such element, for floats.
///
/// Shapes: `y.shape[d] = before[d] + x.shape[d] + after[d]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pad {
    /// Elements to add before the first one along every axis.
    pub before: Vec<usize>,
    /// Elements to add after the last one along every axis.
    pub after: Vec<usize>,
    /// What to add.
    #[serde(with = "exact")]
    pub value: f32,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    dims: [u32; 8],
    before: [u32; 8],
    inner: [u32; 8],
    n: u32,
    value: f32,
    pad: [u32; 2],
}

/// One axis of the walk: its extents in `y` and `x`, and the padding before.
#[derive(Clone, Copy)]
struct Axis {
    outer: usize,
    before: usize,
    inner: usize,
}

impl Pad {
    /// The axes of the walk; those that are not padded are merged into the ones before them. Never empty.
    fn walk(&self, x: &Shape) -> SmallVec<[Axis; MAX_RANK]> {
        let mut axes: SmallVec<[Axis; MAX_RANK]> = SmallVec::new();
        for (axis, inner) in x.iter().copied().enumerate() {
            let (before, after) = (self.before[axis], self.after[axis]);
            match axes.last_mut() {
                Some(last) if before + after == 0 => {
                    *last = Axis { outer: last.outer * inner, before: last.before * inner, inner: last.inner * inner };
                }
                _ => axes.push(Axis { outer: before + inner + after, before, inner }),
            }
        }
        if axes.is_empty() {
            axes.push(Axis { outer: 1, before: 0, inner: 1 });
        }
        axes
    }
}

impl OpDef for Pad {
    stem!("pad");

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [x] = arity(Self::STEM, inputs)?;
        expect_dtype(Self::STEM, x, DType::F32)?;
        let Pad { before, after, .. } = self;
        if before.len() != x.shape.len() || after.len() != x.shape.len() {
            let expected = format!("one for every axis of {x}");
            return Err(Error::parameter(
                Self::STEM,
                "before and after",
                expected,
                format!("{before:?} and {after:?}"),
            ));
        }
        let extents = (0..x.shape.len()).map(|a| before[a].checked_add(x.shape[a])?.checked_add(after[a]));
        let shape: Option<Vec<usize>> = extents.collect();
        // Kernels count elements in 32 bits.
        let count =
            shape.iter().flatten().try_fold(1usize, |n, d| n.checked_mul(*d)).filter(|n| *n < u32::MAX as usize);
        match (shape, count) {
            (Some(shape), Some(_)) => Ok(vec![TensorSpec::f32(shape)]),
            _ => {
                let actual = format!("{before:?} before and {after:?} after {x}");
                Err(Error::parameter(Self::STEM, "the result", "fewer than 2³² elements", actual))
            }
        }
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let (walk, n) = (self.walk(&io.inputs[0].shape), io.outputs[0].shape.elements());
        let of = |f: fn(&Axis) -> usize| walk.iter().map(f).collect::<SmallVec<[usize; MAX_RANK]>>();
        let params = Params {
            dims: indices(&of(|a| a.outer), 1),
            before: indices(&of(|a| a.before), 0),
            inner: indices(&of(|a| a.inner), 1),
            n: n as u32,
            value: self.value,
            pad: [0; 2],
        };
        Launch::new(Kernel::of::<Self>("pad").define("RANK", walk.len()), &params, grid(n)).bind_all(io).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let walk = self.walk(&call.io.inputs[0].shape);
        let (last, lead) = (walk[walk.len() - 1], &walk[..walk.len() - 1]);
        let (x, value) = (call.x[0].f(), T::of(f64::from(self.value)));
        parallel_rows(call.y[0].f_mut(), last.outer, |row, y| {
            let (mut rest, mut at, mut stride) = (row, 0, last.inner);
            for axis in lead.iter().rev() {
                let i = rest % axis.outer;
                if i < axis.before || i >= axis.before + axis.inner {
                    return y.fill(value);
                }
                at += (i - axis.before) * stride;
                rest /= axis.outer;
                stride *= axis.inner;
            }
            let (before, after) = (last.before, last.before + last.inner);
            y[..before].fill(value);
            y[before..after].copy_from_slice(&x[at..at + last.inner]);
            y[after..].fill(value);
        });
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        let x = ctx.input(0).shape();
        let ranges: Vec<(usize, usize)> = (0..x.len()).map(|a| (self.before[a], self.before[a] + x[a])).collect();
        Ok(vec![ctx.wanted(0, || ctx.dy()?.slice(&ranges))?])
    }
}

impl Var {
    /// A frame of `value` around this tensor of floats: (before, after) for every axis, as in NumPy's `pad`.
    ///
    /// # Errors
    /// Where the elements are not floats, there is not one pair for every axis, or the result has 2³² elements or more.
    pub fn pad(&self, around: &[(usize, usize)], value: f32) -> Result<Var> {
        let (before, after): (Vec<usize>, Vec<usize>) = around.iter().copied().unzip();
        if around.len() == self.shape().len() && around.iter().all(|pair| *pair == (0, 0)) && self.dtype() == DType::F32
        {
            return Ok(self.clone());
        }
        self.graph.push1(Pad { before, after, value }, &[self])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_without_padding_are_merged_into_those_before() {
        let pad = Pad { before: vec![0, 0, 1, 0, 0], after: vec![0, 0, 2, 0, 3], value: 0.0 };
        let walk = pad.walk(&Shape::from([2, 3, 4, 5, 6]));
        let walk: Vec<_> = walk.iter().map(|a| (a.outer, a.before, a.inner)).collect();
        assert_eq!(walk, [(6, 0, 6), (35, 5, 20), (9, 0, 6)]);
    }

    #[test]
    fn sizes_without_bounds_are_refused() {
        let infer = |before: usize, after: usize| {
            Pad { before: vec![before, 0], after: vec![after, 0], value: 0.0 }.infer(&[TensorSpec::f32([2, 3])])
        };
        assert!(infer(1, 2).is_ok());
        assert!(infer(usize::MAX, 1).is_err());
        assert!(infer(1 << 31, 1 << 31).is_err());
        assert!(Pad { before: vec![1], after: vec![1], value: 0.0 }.infer(&[TensorSpec::f32([2, 3])]).is_err());
    }
}
