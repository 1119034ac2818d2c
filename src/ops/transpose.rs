//! Another order of a tensor's axes; and the strided walk that slices share.

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::{arity, indices};
use crate::contract::{CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, grid, parallel_rows, stem};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Var};
use crate::shape::{DType, MAX_RANK, TensorSpec};

/// `y[i₀, i₁, ..] = x[..]` where axis `d` of `y` is axis `axes[d]` of `x`, as in NumPy, for `f32` and `u32`.
///
/// Shapes: `y.shape[d] = x.shape[axes[d]]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transpose {
    /// The axes of `x` in the order in which `y` has them: each exactly once.
    pub axes: Vec<usize>,
}

/// Sides of a square tile that a workgroup turns around in its memory.
const TILE: usize = 32;
/// Rows and columns from which tiles pay.
const TILE_FROM: usize = 16;

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    dims: [u32; 8],
    strides: [u32; 8],
    n: u32,
    pad: [u32; 3],
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct TileParams {
    rows: u32,
    columns: u32,
}

/// Nested loops over a tensor, innermost last: extents, and how far one step moves in it. Extents of 1 are left out and neighbours
/// that can be walked as one are merged; never empty.
pub(super) struct Walk {
    pub dims: SmallVec<[usize; MAX_RANK]>,
    pub strides: SmallVec<[usize; MAX_RANK]>,
}

impl Walk {
    pub fn new(loops: impl Iterator<Item = (usize, usize)>) -> Self {
        let mut walk = Walk { dims: SmallVec::new(), strides: SmallVec::new() };
        for (dim, stride) in loops.filter(|(dim, _)| *dim != 1) {
            match (walk.dims.last_mut(), walk.strides.last_mut()) {
                (Some(d), Some(s)) if *s == stride * dim => (*d, *s) = (*d * dim, stride),
                _ => {
                    walk.dims.push(dim);
                    walk.strides.push(stride);
                }
            }
        }
        if walk.dims.is_empty() {
            walk.dims.push(1);
            walk.strides.push(1);
        }
        walk
    }

    /// Writes what the walk meets in `x` to `y`, in order.
    pub fn copy<E: Copy + Send + Sync>(&self, x: &[E], y: &mut [E]) {
        let last = self.dims.len() - 1;
        let (width, step) = (self.dims[last], self.strides[last]);
        parallel_rows(y, width, |row, y| {
            let (mut rest, mut at) = (row, 0);
            for axis in (0..last).rev() {
                at += rest % self.dims[axis] * self.strides[axis];
                rest /= self.dims[axis];
            }
            if step == 1 {
                y.copy_from_slice(&x[at..at + width]);
            } else {
                y.iter_mut().zip(x[at..].iter().step_by(step)).for_each(|(y, x)| *y = *x);
            }
        });
    }

    /// (batch, rows, columns) where the walk turns around the matrices of a batch, given by their shape in memory.
    fn matrices(&self) -> Option<[usize; 3]> {
        let (batch, [columns, rows], [1, stride]) = (match (&self.dims[..], &self.strides[..]) {
            ([c, r], [sc, sr]) => (1, [*c, *r], [*sc, *sr]),
            ([b, c, r], [sb, sc, sr]) if *sb == c * r => (*b, [*c, *r], [*sc, *sr]),
            _ => return None,
        }) else {
            return None;
        };
        (stride == columns).then_some([batch, rows, columns])
    }
}

/// Refuses what is not made of 32-bit words, one per element.
pub(super) fn expect_words(op: &str, x: &TensorSpec) -> Result<()> {
    if x.dtype == DType::U8 { Err(Error::dtype(op, "f32 or u32", x.to_string())) } else { Ok(()) }
}

impl Transpose {
    fn walk(&self, x: &TensorSpec) -> Walk {
        let strides = x.shape.strides();
        Walk::new(self.axes.iter().map(|a| (x.shape[*a], strides[*a])))
    }
}

impl OpDef for Transpose {
    stem!("transpose");

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [x] = arity(Self::STEM, inputs)?;
        expect_words(Self::STEM, x)?;
        let rank = x.shape.len();
        if self.axes.len() != rank || (0..rank).any(|axis| !self.axes.contains(&axis)) {
            let expected = format!("each axis of {x} once: 0 to {rank}, exclusive, in some order");
            return Err(Error::parameter(Self::STEM, "axes", expected, format!("{:?}", self.axes)));
        }
        Ok(vec![TensorSpec::new(self.axes.iter().map(|a| x.shape[*a]).collect::<Vec<_>>(), x.dtype)])
    }

    fn gpu(&self, io: &Io, gpu: &GpuTraits) -> Launches {
        let (walk, n) = (self.walk(&io.inputs[0]), io.outputs[0].shape.elements());
        if let (false, Some([batch, rows, columns])) = (gpu.software, walk.matrices()) {
            let groups = [columns.div_ceil(TILE), rows.div_ceil(TILE), batch];
            if rows.min(columns) >= TILE_FROM && groups.iter().all(|g| *g <= 65_535) {
                let params = TileParams { rows: rows as u32, columns: columns as u32 };
                let kernel = Kernel::of::<Self>("transpose_tile").define("TILE", TILE);
                return Launch::new(kernel, &params, groups.map(|g| g as u32)).bind_all(io).into();
            }
        }
        let (dims, strides) = (indices(&walk.dims, 1), indices(&walk.strides, 0));
        let kernel = Kernel::of::<Self>("transpose_walk").define("RANK", walk.dims.len());
        Launch::new(kernel, &Params { dims, strides, n: n as u32, pad: [0; 3] }, grid(n)).bind_all(io).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let walk = self.walk(&call.io.inputs[0]);
        match call.io.inputs[0].dtype {
            DType::U32 => turn(&walk, call.x[0].u(), call.y[0].u_mut()),
            _ => turn(&walk, call.x[0].f(), call.y[0].f_mut()),
        }
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        let mut inverse = vec![0; self.axes.len()];
        for (to, from) in self.axes.iter().enumerate() {
            inverse[*from] = to;
        }
        Ok(vec![ctx.wanted(0, || ctx.dy()?.transpose(&inverse))?])
    }
}

/// Matrices in blocks that stay in the cache, everything else as it comes.
fn turn<E: Copy + Send + Sync>(walk: &Walk, x: &[E], y: &mut [E]) {
    const BLOCK: usize = 16;
    let Some([_, rows, columns]) = walk.matrices() else {
        return walk.copy(x, y);
    };
    parallel_rows(y, rows * columns, |plane, y| {
        let x = &x[plane * rows * columns..][..rows * columns];
        for row in (0..rows).step_by(BLOCK) {
            let rows_here = row..(row + BLOCK).min(rows);
            for (column, y) in y.chunks_exact_mut(rows).enumerate() {
                for row in rows_here.clone() {
                    y[row] = x[row * columns + column];
                }
            }
        }
    });
}

impl Var {
    /// The axes in another order, as NumPy's `transpose`: axis `d` of the result is axis `axes[d]` of this tensor. For `f32` and
    /// `u32`. Where only axes of length 1 move it costs nothing.
    ///
    /// # Errors
    /// Where `axes` does not name every axis exactly once, or the elements are bytes.
    pub fn transpose(&self, axes: &[usize]) -> Result<Var> {
        let (op, spec) = (Transpose { axes: axes.to_vec() }, self.spec());
        let y = op.infer(std::slice::from_ref(&spec));
        match y {
            Ok(y) if *op.walk(&spec).strides == [1] => self.reshape(&y[0].shape),
            _ => self.graph.push1(op, &[self]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_merge_and_matrices_are_known() {
        let walk = |shape: &[usize], axes: &[usize]| Transpose { axes: axes.to_vec() }.walk(&TensorSpec::f32(shape));
        assert_eq!(walk(&[2, 3, 4, 5], &[0, 3, 1, 2]).matrices(), Some([2, 12, 5]));
        assert_eq!(walk(&[2, 3, 4, 5], &[0, 2, 3, 1]).matrices(), Some([2, 3, 20]));
        assert_eq!(walk(&[7, 1, 5], &[2, 1, 0]).matrices(), Some([1, 7, 5]));
        assert_eq!(walk(&[2, 3, 4], &[1, 0, 2]).matrices(), None);
        assert_eq!(walk(&[2, 3, 4], &[2, 1, 0]).matrices(), None);
        assert_eq!(walk(&[2, 3, 4], &[1, 2, 0]).matrices(), Some([1, 2, 12]));
        assert_eq!(walk(&[2, 1, 4], &[1, 0, 2]).strides[..], [1]);
        assert_eq!(walk(&[1, 1], &[1, 0]).strides[..], [1]);
    }

    #[test]
    fn axes_that_are_no_order_are_refused() {
        let x = [TensorSpec::f32([2, 3, 4])];
        for axes in [&[0, 1][..], &[0, 1, 1], &[0, 1, 3], &[0, 1, 2, 2]] {
            assert!(Transpose { axes: axes.to_vec() }.infer(&x).is_err(), "{axes:?}");
        }
    }
}
