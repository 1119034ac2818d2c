//! Matrix products: all four transpositions, batches, broadcast batches, and a fused bias and ReLU.

mod gpu;

use bytemuck::{Pod, Zeroable};
use ndarray::{ArrayView2, ArrayViewMut2, Axis, linalg::general_mat_mul};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{arity, expect_dtype, indices};
use crate::contract::{CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, Slot, fold, grid, stem};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Var};
use crate::microkernel::{Isa, product};
use crate::shape::{DType, Shape, TensorSpec};
use gpu::{Form, Tiles};

/// `y = op(a) · op(b)`, then `+ bias` where there is a third input, then ReLU where asked for.
///
/// Shapes: `a` `[.., m, k]` (or `[.., k, m]` transposed), `b` `[.., k, n]` (or `[.., n, k]`), `bias` `[n]`, `y` `[.., m, n]`;
/// leading dimensions broadcast as in NumPy.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Matmul {
    /// `a` is stored transposed.
    pub transpose_a: bool,
    /// `b` is stored transposed.
    pub transpose_b: bool,
    /// ReLU after product and bias. Only [fusion](crate::graph) sets it: the gradient is that of the unfused nodes.
    pub relu: bool,
}

/// The sizes of one product.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    m: usize,
    n: usize,
    k: usize,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    batch: [u32; 8],
    a_strides: [u32; 8],
    b_strides: [u32; 8],
    m: u32,
    n: u32,
    k: u32,
    chunk: u32,
    splits: u32,
    matrices: u32,
    row_tiles: u32,
    column_tiles: u32,
}

impl Matmul {
    fn sizes(&self, a: &Shape, b: &Shape) -> Sizes {
        let last = |s: &Shape, transposed: bool| {
            let (r, c) = (s[s.len() - 2], s[s.len() - 1]);
            if transposed { (c, r) } else { (r, c) }
        };
        let ((m, k), (_, n)) = (last(a, self.transpose_a), last(b, self.transpose_b));
        Sizes { m, n, k }
    }
}

fn lead(s: &Shape) -> Shape {
    Shape::from(&s[..s.len() - 2])
}

impl OpDef for Matmul {
    stem!("matmul");

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [a, b] = arity("matmul", &inputs[..inputs.len().min(2)])?;
        for spec in inputs {
            expect_dtype("matmul", spec, DType::F32)?;
        }
        if a.shape.len() < 2 || b.shape.len() < 2 {
            return Err(Error::shape("matmul", "two tensors of at least 2 dimensions", format!("{a} and {b}")));
        }
        let (inner, outer) = (if self.transpose_b { 1 } else { 2 }, if self.transpose_b { 2 } else { 1 });
        let Sizes { m, n, k } = self.sizes(&a.shape, &b.shape);
        let have = b.shape[b.shape.len() - inner];
        if have != k {
            return Err(Error::shape(
                "matmul",
                format!("the second tensor with {k} for the first one's {a}"),
                b.to_string(),
            ));
        }
        debug_assert_eq!(n, b.shape[b.shape.len() - outer]);
        let batch = lead(&a.shape).broadcast(&lead(&b.shape)).ok_or_else(|| {
            Error::shape("matmul", format!("leading dimensions that broadcast with {a}"), b.to_string())
        })?;
        if let Some(bias) = inputs.get(2)
            && (*bias.shape != [n] || inputs.len() > 3)
        {
            return Err(Error::shape("matmul", format!("a bias [{n}]"), bias.to_string()));
        }
        let mut shape = batch.to_vec();
        shape.extend([m, n]);
        Ok(vec![TensorSpec::f32(shape)])
    }

    fn gpu(&self, io: &Io, gpu: &GpuTraits) -> Launches {
        let (a, b, y) = (&io.inputs[0].shape, &io.inputs[1].shape, &io.outputs[0].shape);
        let (s, batch) = (self.sizes(a, b), lead(y));
        // Strides over the batch count matrices of each operand; broadcast ones have stride 0.
        let strides = |x: &Shape| {
            lead(x)
                .broadcast_strides(&batch)
                .iter()
                .map(|s| s * x.around(x.len() - 2).1 * x[x.len() - 1])
                .collect::<Vec<_>>()
        };
        let matrices = batch.elements();
        let (splits, chunk) = gpu::splits(s, matrices);
        let tiles = Tiles::choose(Sizes { k: chunk, ..s }, matrices * splits, gpu);
        let (row_tiles, column_tiles) = (s.m.div_ceil(tiles.bm), s.n.div_ceil(tiles.bn));
        let params = Params {
            batch: indices(&batch, 1),
            a_strides: indices(&strides(a), 0),
            b_strides: indices(&strides(b), 0),
            m: s.m as u32,
            n: s.n as u32,
            k: s.k as u32,
            chunk: chunk as u32,
            splits: splits as u32,
            matrices: matrices as u32,
            row_tiles: row_tiles as u32,
            column_tiles: column_tiles as u32,
        };
        let (bias, relu) = (u32::from(io.inputs.len() == 3), u32::from(self.relu));
        let kernel = self.product_kernel(s, &tiles, splits * chunk == s.k).define("BATCH_RANK", batch.len());
        let groups = match tiles.form {
            Form::Tiled { .. } => {
                let [x, y, _] = fold(row_tiles * column_tiles);
                [x, y, (matrices * splits) as u32]
            }
            Form::Register => fold((row_tiles * column_tiles * matrices * splits).div_ceil(gpu::REGISTER_GROUP)),
        };
        if splits == 1 {
            let kernel = kernel.define("BIAS", bias).define("RELU", relu);
            return Launch::new(kernel, &params, groups).bind_all(io).into();
        }
        let sum = Kernel::of::<Self>("matmul_sum").define("FORM", "sum").define("BIAS", bias).define("RELU", relu);
        let elements = matrices * s.m * s.n;
        let mut sum = Launch::new(sum, &params, grid(elements)).read(Slot::Temp(0));
        if bias == 1 {
            sum = sum.read(Slot::Input(2));
        }
        let product = Launch::new(kernel, &params, groups).read(Slot::Input(0)).read(Slot::Input(1));
        Launches {
            list: vec![product.write(Slot::Temp(0)), sum.write(Slot::Output(0))],
            temps: vec![TensorSpec::f32([splits, elements])],
        }
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let (sa, sb, sy) = (&call.io.inputs[0].shape, &call.io.inputs[1].shape, &call.io.outputs[0].shape);
        let (s, batch) = (self.sizes(sa, sb), lead(sy));
        let (a_steps, b_steps) = (lead(sa).broadcast_strides(&batch), lead(sb).broadcast_strides(&batch));
        let (a, b) = (call.x[0].f(), call.x[1].f());
        let y = call.y[0].f_mut();
        let fast = T::as_f32(a).zip(T::as_f32(b));
        let one = |index: usize, y: &mut [T]| {
            let (mut rest, mut ia, mut ib) = (index, 0, 0);
            for axis in (0..batch.len()).rev() {
                ia += rest % batch[axis] * a_steps[axis];
                ib += rest % batch[axis] * b_steps[axis];
                rest /= batch[axis];
            }
            if let (Some((a, b)), Some(y)) = (fast, T::as_f32_mut(y)) {
                let a = product::Matrix::new(&a[ia * s.m * s.k..][..s.m * s.k], s.m, s.k, self.transpose_a);
                let b = product::Matrix::new(&b[ib * s.k * s.n..][..s.k * s.n], s.k, s.n, self.transpose_b);
                return product::product(Isa::best(), [s.m, s.n, s.k], a, b, y);
            }
            let a = matrix(&a[ia * s.m * s.k..][..s.m * s.k], s.m, s.k, self.transpose_a);
            let b = matrix(&b[ib * s.k * s.n..][..s.k * s.n], s.k, s.n, self.transpose_b);
            if let Ok(y) = ArrayViewMut2::from_shape((s.m, s.n), y) {
                shared_product(T::one(), a, b, T::zero(), y);
            }
        };
        // Small products are many: as many of them make a task as are worth one.
        let (size, together) = (s.m * s.n, (SERIAL / (s.m * s.n).saturating_mul(s.k)).max(1));
        y.par_chunks_mut(size * together).enumerate().for_each(|(task, y)| {
            y.chunks_exact_mut(size).enumerate().for_each(|(i, y)| one(task * together + i, y));
        });
        if let Some(bias) = call.x.get(2).map(|v| v.f()) {
            let relu = self.relu;
            crate::contract::parallel_rows(y, s.n, |_, row| {
                for (y, b) in row.iter_mut().zip(bias) {
                    let sum = *y + *b;
                    *y = if relu && sum < T::zero() { T::zero() } else { sum };
                }
            });
        } else if self.relu {
            y.iter_mut().filter(|y| **y < T::zero()).for_each(|y| *y = T::zero());
        }
    }

    fn flops(&self, io: &Io) -> u64 {
        let s = self.sizes(&io.inputs[0].shape, &io.inputs[1].shape);
        2 * (io.outputs[0].shape.elements() * s.k) as u64
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        let (a, b, dy) = (ctx.input(0), ctx.input(1), ctx.dy()?);
        let product = |x: &Var, y: &Var, transpose_a, transpose_b| {
            x.graph().push1(Matmul { transpose_a, transpose_b, relu: false }, &[x, y])
        };
        let (ta, tb) = (self.transpose_a, self.transpose_b);
        let da = || if ta { product(b, dy, tb, true) } else { product(dy, b, false, !tb) }?.sum_to(&a.shape());
        let db = || if tb { product(dy, a, true, ta) } else { product(a, dy, !ta, false) }?.sum_to(&b.shape());
        let mut grads = vec![ctx.wanted(0, da)?, ctx.wanted(1, db)?];
        if ctx.inputs() == 3 {
            grads.push(ctx.wanted(2, || dy.sum_to(&ctx.input(2).shape()))?);
        }
        Ok(grads)
    }
}

fn matrix<T: Real>(x: &[T], rows: usize, columns: usize, transposed: bool) -> ArrayView2<'_, T> {
    let stored = if transposed { (columns, rows) } else { (rows, columns) };
    match ArrayView2::from_shape(stored, x) {
        Ok(view) if transposed => view.reversed_axes(),
        Ok(view) => view,
        Err(e) => panic!("a matrix slice of the wrong length: {e}"),
    }
}

/// Multiplications below which a product stays on one thread.
const SERIAL: usize = 1 << 18;

/// `y = alpha · a · b + beta · y` on all cores. The product is halved along its longer side until a half is small: a function of
/// its shape alone, so that the number of threads changes no bit.
pub(crate) fn shared_product<T: Real>(
    alpha: T,
    a: ArrayView2<'_, T>,
    b: ArrayView2<'_, T>,
    beta: T,
    mut y: ArrayViewMut2<'_, T>,
) {
    let (m, n) = y.dim();
    if m * n * a.ncols() <= SERIAL || m.max(n) < 32 {
        return general_mat_mul(alpha, &a, &b, beta, &mut y);
    }
    // Halves are multiples of 16 so that the inner kernels of the matrix product stay full.
    let half = |x: usize| (x / 2).next_multiple_of(16);
    if m >= n {
        let (a0, a1) = a.split_at(Axis(0), half(m));
        let (y0, y1) = y.split_at(Axis(0), half(m));
        rayon::join(|| shared_product(alpha, a0, b, beta, y0), || shared_product(alpha, a1, b, beta, y1));
    } else {
        let (b0, b1) = b.split_at(Axis(1), half(n));
        let (y0, y1) = y.split_at(Axis(1), half(n));
        rayon::join(|| shared_product(alpha, a, b0, beta, y0), || shared_product(alpha, a, b1, beta, y1));
    }
}

impl Var {
    /// The matrix product. Leading dimensions broadcast as in NumPy: `[.., m, k] · [.., k, n] → [.., m, n]`.
    ///
    /// # Errors
    /// Where the inner dimensions differ or the leading ones do not broadcast.
    pub fn matmul(&self, other: &Var) -> Result<Var> {
        self.matmul_with(other, false, false)
    }

    /// The matrix product of operands of which either may be stored transposed.
    ///
    /// # Errors
    /// See [`Var::matmul`].
    pub fn matmul_with(&self, other: &Var, transpose_a: bool, transpose_b: bool) -> Result<Var> {
        self.graph.push1(Matmul { transpose_a, transpose_b, relu: false }, &[self, other])
    }
}
