//! Average-pooling of signals, images and volumes and its gradient.
//!
//! Of a volume: `y[b, c, s, i, j] = Σ x[b, c, s·sd − front + t, i·sh − top + u, j·sw − left + v] / count` over the `t < kd`,
//! `u < kh`, `v < kw` that lie on the input. `count` is how many do (TensorFlow, Keras), or `kd · kh · kw` where padding counts too
//! (PyTorch's `count_include_pad`). An image is a volume of one slice, a signal an image of one row.
//!
//! Source: Y. LeCun et al., "Gradient-based learning applied to document recognition", Proc. IEEE 1998.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::max_pool::{PoolOptions, cells, pooled, with_spatial};
use super::passes::{pool::Pooling, sums};
use super::{arity, spatial, volume};
use crate::contract::{
    CpuCall, GpuTraits, Io, Kernel, Launches, OpDef, Real, Window, parallel_outputs, parallel_rows, stem,
};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Var};
use crate::microkernel::sums::{RUN, sum, sum_of};
use crate::shape::TensorSpec;

/// The mean of every window.
///
/// Shapes: `x` `[batch, c, ..]` with one to three spatial axes, `y` `[batch, c, ..]` with as many positions along them as the window
/// has.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AvgPool {
    /// The window over slices, rows and columns; 1 along axes that the input has not. Its dilation must be 1.
    pub window: Window<3>,
    /// Padding counts as zeros: every sum is divided by the window's size, not by its cells on the input.
    pub count_include_pad: bool,
}

/// `dx` of the shape of `x` from `dy` of that of `y`: every element of `x` gathers `dy / count` from the windows it is in.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AvgPoolGrad {
    /// The window of the pooling.
    pub window: Window<3>,
    /// As in the pooling.
    pub count_include_pad: bool,
    /// Slices, rows and columns of `x`; 1 along axes that it has not.
    pub input: [usize; 3],
}

/// By what the sum of the cells in these slices, rows and columns is divided.
fn count<T: Real>(window: &Window<3>, include_pad: bool, cells: [&Range<usize>; 3]) -> T {
    let count: usize =
        if include_pad { window.kernel.iter().product() } else { cells.map(Range::len).iter().product() };
    T::of(count as f64)
}

/// The launches of the pooling or its gradient. The mean over a window is the mean along one axis of those along the others, so that
/// windows of any size can be taken axis by axis.
fn launches(pooling: &Pooling<'_>, kernel: Kernel, include_pad: bool, io: &Io, gpu: &GpuTraits) -> Launches {
    let planes = io.inputs[0].shape[..2].iter().product();
    let kernel = kernel.define("INCLUDE_PAD", u32::from(include_pad));
    if pooling.fits() {
        return pooling.launch(kernel, planes).bind_all(io).into();
    }
    sums(planes, &pooling.passes(), gpu, |pass| pooling.pass(kernel.clone(), planes, pass))
}

/// The sum of the cells in these slices and rows, of which `line` gives those of one row: `columns` of them.
pub(super) fn sum_of_window<'a, T: Real>(
    slices: Range<usize>,
    rows: Range<usize>,
    columns: usize,
    line: impl Fn(usize, usize) -> &'a [T],
) -> T {
    let lines = slices.len() * rows.len();
    if lines * columns > RUN {
        return sum_of(lines, |i| sum(line(slices.start + i / rows.len(), rows.start + i % rows.len())));
    }
    let mut sum = T::zero();
    for slice in slices {
        for row in rows.clone() {
            line(slice, row).iter().for_each(|x| sum += *x);
        }
    }
    sum
}

/// The windows along an axis that element `at` is in.
fn windows_of(window: &Window<3>, axis: usize, at: usize, output: usize) -> Range<usize> {
    let at = at + window.before(axis);
    let first = (at + 1).saturating_sub(window.kernel[axis]).div_ceil(window.stride[axis]);
    first..(at / window.stride[axis] + 1).min(output)
}

impl OpDef for AvgPool {
    stem!("avg_pool");

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [x] = arity(Self::STEM, inputs)?;
        Ok(vec![pooled(Self::STEM, &self.window, x)?])
    }

    fn gpu(&self, io: &Io, gpu: &GpuTraits) -> Launches {
        let (x, y) = (volume(&io.inputs[0]), volume(&io.outputs[0]));
        let pooling = Pooling { window: &self.window, x, y, back: false };
        launches(&pooling, Kernel::of::<Self>("avg_pool"), self.count_include_pad, io, gpu)
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let ([d, h, w], [od, oh, ow]) = (volume(&call.io.inputs[0]), volume(&call.io.outputs[0]));
        let (window, x) = (&self.window, call.x[0].f());
        parallel_rows(call.y[0].f_mut(), ow, |line, y| {
            let x = &x[line / (od * oh) * d * h * w..][..d * h * w];
            let (slices, rows) = (cells(window, 0, line / oh % od, d), cells(window, 1, line % oh, h));
            for (column, y) in y.iter_mut().enumerate() {
                let columns = cells(window, 2, column, w);
                let line = |slice: usize, row: usize| &x[(slice * h + row) * w..][columns.clone()];
                let sum = sum_of_window(slices.clone(), rows.clone(), columns.len(), line);
                *y = sum / count(window, self.count_include_pad, [&slices, &rows, &columns]);
            }
        });
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        let (window, input) = (self.window, volume(&ctx.input(0).spec()));
        let grad = AvgPoolGrad { window, count_include_pad: self.count_include_pad, input };
        Ok(vec![ctx.wanted(0, || ctx.graph().push1(grad, &[ctx.dy()?]))?])
    }
}

impl OpDef for AvgPoolGrad {
    stem!("avg_pool");

    fn name(&self) -> &str {
        "avg_pool_grad"
    }

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [dy] = arity(self.name(), inputs)?;
        spatial(self.name(), dy)?;
        let x = with_spatial(dy, self.input);
        let y = pooled(self.name(), &self.window, &x)?;
        if *dy != y {
            return Err(Error::shape(self.name(), y.to_string(), dy.to_string()));
        }
        Ok(vec![x])
    }

    fn gpu(&self, io: &Io, gpu: &GpuTraits) -> Launches {
        let pooling = Pooling { window: &self.window, x: self.input, y: volume(&io.inputs[0]), back: true };
        let kernel = Kernel::of::<Self>("avg_pool_grad").define("GRAD", 1);
        launches(&pooling, kernel, self.count_include_pad, io, gpu)
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let ([d, h, w], [od, oh, ow]) = (self.input, volume(&call.io.inputs[0]));
        let (window, dy) = (&self.window, call.x[0].f());
        let most: usize = (0..3).map(|axis| window.kernel[axis].div_ceil(window.stride[axis])).product();
        if most > RUN {
            return parallel_outputs(call.y[0].f_mut(), most, |i, dx| {
                let (line, plane) = (i / w, i / (d * h * w));
                let reached = |axis: usize, at: usize, n: usize| windows_of(window, axis, at, n);
                let (slices, rows) = (reached(0, line / h % d, od), reached(1, line % h, oh));
                let columns = reached(2, i % w, ow);
                let share = |slice: usize, row: usize, column: usize| {
                    let cells = [cells(window, 0, slice, d), cells(window, 1, row, h), cells(window, 2, column, w)];
                    dy[((plane * od + slice) * oh + row) * ow + column]
                        / count(window, self.count_include_pad, [&cells[0], &cells[1], &cells[2]])
                };
                *dx = sum_of(slices.len() * rows.len(), |line| {
                    let (slice, row) = (slices.start + line / rows.len(), rows.start + line % rows.len());
                    sum_of(columns.len(), |i| share(slice, row, columns.start + i))
                });
            });
        }
        // The cells of one channel belong to one thread, so here the windows may scatter; they are met in the order in which the
        // kernel gathers.
        parallel_rows(call.y[0].f_mut(), d * h * w, |plane, dx| {
            dx.fill(T::zero());
            for line in 0..od * oh {
                let (slices, rows) = (cells(window, 0, line / oh, d), cells(window, 1, line % oh, h));
                for (j, dy) in dy[(plane * od * oh + line) * ow..][..ow].iter().enumerate() {
                    let columns = cells(window, 2, j, w);
                    let share = *dy / count(window, self.count_include_pad, [&slices, &rows, &columns]);
                    for slice in slices.clone() {
                        for start in rows.clone().map(|row| (slice * h + row) * w) {
                            for dx in &mut dx[start + columns.start..start + columns.end] {
                                *dx += share;
                            }
                        }
                    }
                }
            }
        });
    }

    /// The op is linear, and pooling is its transpose.
    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        let pool = AvgPool { window: self.window, count_include_pad: self.count_include_pad };
        Ok(vec![ctx.wanted(0, || ctx.graph().push1(pool, &[ctx.dy()?]))?])
    }
}

impl Var {
    /// The mean of every window along a signal: `[batch, c, w]` to `[batch, c, ow]`. See [`Var::avg_pool2d`].
    ///
    /// # Errors
    /// See [`Var::avg_pool2d`].
    pub fn avg_pool1d(&self, options: PoolOptions<1>, count_include_pad: bool) -> Result<Var> {
        self.avg_pool(options, count_include_pad)
    }

    /// The mean of every window on an image: `[batch, c, h, w]` to `[batch, c, oh, ow]`. With `count_include_pad` padding counts as
    /// zeros (PyTorch's default), without it only cells on the image count (TensorFlow and Keras).
    ///
    /// # Errors
    /// Where this is no tensor of floats with as many spatial axes as the window has, a kernel or stride is zero, the window is
    /// larger than the padded input, or padding is as large as the window.
    pub fn avg_pool2d(&self, options: PoolOptions<2>, count_include_pad: bool) -> Result<Var> {
        self.avg_pool(options, count_include_pad)
    }

    /// The mean of every window in a volume: `[batch, c, d, h, w]` to `[batch, c, od, oh, ow]`. See [`Var::avg_pool2d`].
    ///
    /// # Errors
    /// See [`Var::avg_pool2d`].
    pub fn avg_pool3d(&self, options: PoolOptions<3>, count_include_pad: bool) -> Result<Var> {
        self.avg_pool(options, count_include_pad)
    }

    /// The mean of every window over one to three spatial axes. See [`Var::avg_pool2d`].
    ///
    /// # Errors
    /// See [`Var::avg_pool2d`].
    pub fn avg_pool<const N: usize>(&self, options: PoolOptions<N>, count_include_pad: bool) -> Result<Var> {
        let window = options.window(AvgPool::STEM, self)?;
        self.graph.push1(AvgPool { window, count_include_pad }, &[self])
    }
}
