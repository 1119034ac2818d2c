//! Softmax and its logarithm along one axis, and how a tensor is walked along an axis.
//!
//! `y = eˣ⁻ᵐ / Σ eˣ⁻ᵐ` with `m = max x`; logarithm `y = (x − m) − ln Σ eˣ⁻ᵐ`. Source: P. Blanchard, D. Higham, N. Higham,
//! "Accurately computing the log-sum-exp and softmax functions", IMA Journal of Numerical Analysis 41 (2021).

use bytemuck::{Pod, Zeroable};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{arity, expect_dtype};
use crate::contract::{
    CpuCall, GROUP_SIZE, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, grid, parallel_rows, stem,
};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Var};
use crate::shape::{DType, Shape, TensorSpec, resolve_axis};

/// `y = softmax(x)` along `axis`, or its logarithm; floats of any shape with at least one axis.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Softmax {
    /// The axis along which the exponentials sum to one.
    pub axis: usize,
    /// The logarithm instead.
    pub log: bool,
}

/// `dx` from `y` and `dy`: `y (dy − Σ dy y)`, with `log` `dy − eʸ Σ dy`, sums along `axis`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SoftmaxGrad {
    /// The axis of the softmax.
    pub axis: usize,
    /// Of the logarithm.
    pub log: bool,
}

/// A tensor `[outer, c, inner]` around an axis, as `outer · inner` columns of `c` elements that lie `inner` apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Columns {
    /// Columns: `outer · inner`.
    pub(crate) count: usize,
    /// Elements of a column.
    pub(crate) c: usize,
    /// The step from one element of a column to the next.
    pub(crate) inner: usize,
}

/// How a dispatch shares out columns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    /// Invocations that share a column: `LANES` in `shared/column.wgsl`.
    pub(crate) lanes: usize,
    /// Invocations of a workgroup.
    pub(crate) width: usize,
    /// Workgroups.
    pub(crate) groups: [u32; 3],
}

/// The uniform of every kernel that includes `shared/column.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    columns: u32,
    c: u32,
    inner: u32,
    /// Always 0, which no compiler knows.
    zero: u32,
}

/// Elements that one CPU task takes.
const WORK: usize = 1 << 14;
/// Columns that a twin takes side by side.
pub(crate) const BLOCK: usize = 64;

impl Columns {
    pub(crate) fn new(shape: &Shape, axis: usize) -> Self {
        let (outer, c, inner) = shape.around(axis);
        Columns { count: outer * inner, c, inner }
    }

    /// How a dispatch shares out the columns. Software adapters, short columns and those too many to need it get one invocation each;
    /// the others a workgroup, whose size depends on the shape alone.
    pub(crate) fn cut(&self, gpu: &GpuTraits) -> Cut {
        let shared = !gpu.software && self.c >= 32 && (self.inner == 1 || self.count < 1024);
        let lanes = match (shared, self.c) {
            (false, _) => 1,
            (true, ..=512) => 64,
            _ => 256,
        };
        let (width, groups) =
            if shared { (lanes, grid(self.count * GROUP_SIZE)) } else { (GROUP_SIZE, grid(self.count)) };
        Cut { lanes, width, groups }
    }

    /// One dispatch of `kernel` over all columns.
    pub(crate) fn launch(&self, kernel: Kernel, io: &Io, gpu: &GpuTraits) -> Launches {
        let cut = self.cut(gpu);
        let params = Params { columns: self.count as u32, c: self.c as u32, inner: self.inner as u32, zero: 0 };
        let kernel = kernel.define("LANES", cut.lanes).define("WIDTH", cut.width);
        Launch::new(kernel, &params, cut.groups).bind_all(io).into()
    }

    /// Scratch of a twin that keeps one number per column, where columns are not rows.
    fn scratch(&self) -> usize {
        if self.inner == 1 { 0 } else { self.count }
    }

    /// How many columns one CPU task takes: a function of the shape alone.
    pub(crate) fn chunk(&self) -> usize {
        (WORK / self.c).max(1)
    }

    /// The columns `start..start + len` in runs of at most [`BLOCK`] whose elements are neighbours: where the run starts (counted
    /// from `start`), the first element of its first column, and how many columns it has.
    pub(crate) fn runs(self, start: usize, len: usize) -> impl Iterator<Item = (usize, usize, usize)> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let column = start + at;
            let (o, i) = (column / self.inner, column % self.inner);
            let width = (self.inner - i).min(len - at).min(BLOCK);
            let run = (at, o * self.c * self.inner + i, width);
            at += width;
            (width > 0).then_some(run)
        })
    }

    /// Runs `f(first element, out)` over `out`, which has one element per column, run by run, on all cores where that pays.
    pub(crate) fn each<U: Send>(&self, out: &mut [U], f: impl Fn(usize, &mut [U]) + Send + Sync) {
        let chunk = self.chunk();
        let run = |(index, out): (usize, &mut [U])| {
            for (at, first, width) in self.runs(index * chunk, out.len()) {
                f(first, &mut out[at..at + width]);
            }
        };
        if self.count <= chunk {
            return run((0, out));
        }
        out.par_chunks_mut(chunk).enumerate().for_each(run);
    }
}

/// Refuses an axis that a tensor does not have.
pub(crate) fn expect_axis(op: &str, axis: usize, spec: &TensorSpec) -> Result<()> {
    if axis < spec.shape.len() {
        return Ok(());
    }
    Err(Error::parameter(op, "axis", format!("below the {} dimensions of {spec}", spec.shape.len()), axis))
}

impl OpDef for Softmax {
    stem!("softmax");

    fn name(&self) -> &str {
        if self.log { "log_softmax" } else { "softmax" }
    }

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [x] = arity(self.name(), inputs)?;
        expect_dtype(self.name(), x, DType::F32)?;
        expect_axis(self.name(), self.axis, x)?;
        Ok(vec![x.clone()])
    }

    fn gpu(&self, io: &Io, gpu: &GpuTraits) -> Launches {
        let kernel = Kernel::of::<Self>("softmax").define("LOG", u32::from(self.log));
        Columns::new(&io.inputs[0].shape, self.axis).launch(kernel, io, gpu)
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let columns = Columns::new(&call.io.inputs[0].shape, self.axis);
        let Columns { count, c, inner } = columns;
        let (x, y, log) = (call.x[0].f(), call.y[0].f_mut(), self.log);
        if inner == 1 {
            return parallel_rows(y, c, |row, y| softmax_row(&x[row * c..][..c], y, log));
        }
        // Four passes along memory, whole rows of `inner` at a time, so that no step depends on how many samples there are.
        let m = &mut call.scratch[..count];
        columns.each(m, |first, m| {
            m.copy_from_slice(&x[first..][..m.len()]);
            for j in 1..c {
                m.iter_mut().zip(&x[first + j * inner..]).for_each(|(m, x)| *m = if *x > *m { *x } else { *m });
            }
        });
        parallel_rows(y, inner, |row, y| {
            let row_m = &m[row / c * inner..];
            for ((y, x), m) in y.iter_mut().zip(&x[row * inner..]).zip(row_m) {
                *y = if log { *x - *m } else { (*x - *m).exp() };
            }
        });
        columns.each(m, |first, s| {
            s.fill(T::zero());
            for j in 0..c {
                s.iter_mut().zip(&y[first + j * inner..]).for_each(|(s, y)| *s += if log { y.exp() } else { *y });
            }
            if log {
                s.iter_mut().for_each(|s| *s = s.ln());
            }
        });
        parallel_rows(y, inner, |row, y| {
            let row_s = &m[row / c * inner..];
            y.iter_mut().zip(row_s).for_each(|(y, s)| *y = if log { *y - *s } else { *y / *s });
        });
    }

    fn scratch(&self, io: &Io) -> usize {
        Columns::new(&io.inputs[0].shape, self.axis).scratch()
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        let grad = SoftmaxGrad { axis: self.axis, log: self.log };
        Ok(vec![Grad::Of(ctx.graph().push1(grad, &[ctx.output(0), ctx.dy()?])?)])
    }
}

fn softmax_row<T: Real>(x: &[T], y: &mut [T], log: bool) {
    let m = x.iter().fold(x[0], |m, x| if *x > m { *x } else { m });
    for (y, x) in y.iter_mut().zip(x) {
        *y = if log { *x - m } else { (*x - m).exp() };
    }
    if log {
        let log_s = y.iter().map(|y| y.exp()).sum::<T>().ln();
        y.iter_mut().for_each(|y| *y -= log_s);
    } else {
        let s = y.iter().copied().sum::<T>();
        y.iter_mut().for_each(|y| *y /= s);
    }
}

impl OpDef for SoftmaxGrad {
    stem!("softmax");

    fn name(&self) -> &str {
        if self.log { "log_softmax_grad" } else { "softmax_grad" }
    }

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [y, dy] = arity(self.name(), inputs)?;
        expect_dtype(self.name(), y, DType::F32)?;
        expect_axis(self.name(), self.axis, y)?;
        if y != dy {
            return Err(Error::shape(self.name(), format!("twice {y}"), format!("{y}, {dy}")));
        }
        Ok(vec![y.clone()])
    }

    fn gpu(&self, io: &Io, gpu: &GpuTraits) -> Launches {
        let kernel = Kernel::of::<Self>("softmax_grad").define("LOG", u32::from(self.log)).define("GRAD", 1);
        Columns::new(&io.inputs[0].shape, self.axis).launch(kernel, io, gpu)
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let columns = Columns::new(&call.io.inputs[0].shape, self.axis);
        let Columns { count, c, inner } = columns;
        let (y, dy, dx, log) = (call.x[0].f(), call.x[1].f(), call.y[0].f_mut(), self.log);
        let term = |y: T, dy: T| if log { dy } else { dy * y };
        let slope = |y: T, dy: T, s: T| if log { dy - y.exp() * s } else { y * (dy - s) };
        if inner == 1 {
            return parallel_rows(dx, c, |row, dx| {
                let (y, dy) = (&y[row * c..][..c], &dy[row * c..][..c]);
                let s = y.iter().zip(dy).map(|(y, dy)| term(*y, *dy)).sum::<T>();
                dx.iter_mut().zip(y).zip(dy).for_each(|((dx, y), dy)| *dx = slope(*y, *dy, s));
            });
        }
        let s = &mut call.scratch[..count];
        columns.each(s, |first, s| {
            s.fill(T::zero());
            for j in 0..c {
                let at = first + j * inner;
                s.iter_mut().zip(&y[at..]).zip(&dy[at..]).for_each(|((s, y), dy)| *s += term(*y, *dy));
            }
        });
        parallel_rows(dx, inner, |row, dx| {
            let (y, dy, s) = (&y[row * inner..], &dy[row * inner..], &s[row / c * inner..]);
            dx.iter_mut().zip(y).zip(dy).zip(s).for_each(|(((dx, y), dy), s)| *dx = slope(*y, *dy, *s));
        });
    }

    fn scratch(&self, io: &Io) -> usize {
        Columns::new(&io.inputs[0].shape, self.axis).scratch()
    }

    fn gradient(&self, _ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok(vec![Grad::Unsupported("second derivatives of softmax"); 2])
    }
}

impl Var {
    /// Softmax along `axis` (a negative one counts from the end): `eˣ / Σ eˣ`, computed so that no exponential overflows.
    /// Shape and type stay.
    ///
    /// # Errors
    /// Where there is no such axis or the elements are not floats.
    pub fn softmax(&self, axis: isize) -> Result<Var> {
        let axis = resolve_axis("softmax", axis, self.shape().len())?;
        self.graph.push1(Softmax { axis, log: false }, &[self])
    }

    /// The natural logarithm of [`Var::softmax`], exact where the softmax itself would round to 0.
    ///
    /// # Errors
    /// See [`Var::softmax`].
    pub fn log_softmax(&self, axis: isize) -> Result<Var> {
        let axis = resolve_axis("log_softmax", axis, self.shape().len())?;
        self.graph.push1(Softmax { axis, log: true }, &[self])
    }
}
