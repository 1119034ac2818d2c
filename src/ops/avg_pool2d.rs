//! Average-pooling of images and its gradient.
//!
//! `y[b, c, i, j] = Σ x[b, c, i·sh − top + u, j·sw − left + v] / count` over the `u < kh`, `v < kw` that lie on the image. `count` is
//! how many do (TensorFlow, Keras), or `kh · kw` where padding counts too (PyTorch's `count_include_pad`).
//!
//! Source: Y. LeCun et al., "Gradient-based learning applied to document recognition", Proc. IEEE 1998.

use bytemuck::{Pod, Zeroable};

use super::arity;
use super::max_pool2d::{self, PoolOptions, cells, image, pooled};
use crate::contract::{CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, Window, grid, parallel_rows, stem};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Var};
use crate::shape::TensorSpec;

/// The mean of every window. Shapes: `x` `[batch, c, h, w]`, `y` `[batch, c, oh, ow]`.
#[derive(Clone, Debug)]
pub struct AvgPool2d {
    /// The window; its dilation must be 1.
    pub window: Window<2>,
    /// Padding counts as zeros: every sum is divided by the window's size, not by its cells on the image.
    pub count_include_pad: bool,
}

/// `dx` `[batch, c, h, w]` from `dy` `[batch, c, oh, ow]`: every element of `x` gathers `dy / count` from the windows it is in.
#[derive(Clone, Debug)]
pub struct AvgPool2dGrad {
    /// The window of the pooling.
    pub window: Window<2>,
    /// As in the pooling.
    pub count_include_pad: bool,
    /// Rows and columns of `x`.
    pub input: [usize; 2],
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    window: max_pool2d::Params,
    include_pad: u32,
}

/// By what the sum of the cells in `rows` and `columns` is divided.
fn count<T: Real>(window: &Window<2>, include_pad: bool, rows: usize, columns: usize) -> T {
    T::of(if include_pad { window.kernel[0] * window.kernel[1] } else { rows * columns } as f64)
}

impl OpDef for AvgPool2d {
    stem!("avg_pool2d");

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [x] = arity(Self::STEM, inputs)?;
        Ok(vec![pooled(Self::STEM, &self.window, x)?])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let (x, y) = (&io.inputs[0].shape, &io.outputs[0]);
        let n = y.shape.elements();
        let window = max_pool2d::Params::new(&self.window, [x[2], x[3]], y, n);
        let params = Params { window, include_pad: self.count_include_pad.into() };
        Launch::new(Kernel::of::<Self>("avg_pool2d"), &params, grid(n)).bind_all(io).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let (h, w) = (call.io.inputs[0].shape[2], call.io.inputs[0].shape[3]);
        let (oh, ow) = (call.io.outputs[0].shape[2], call.io.outputs[0].shape[3]);
        let (window, x) = (&self.window, call.x[0].f());
        parallel_rows(call.y[0].f_mut(), ow, |row, y| {
            let (x, rows) = (&x[row / oh * h * w..][..h * w], cells(window, 0, row % oh, h));
            for (column, y) in y.iter_mut().enumerate() {
                let columns = cells(window, 1, column, w);
                let mut sum = T::zero();
                for row in rows.clone() {
                    for v in &x[row * w + columns.start..row * w + columns.end] {
                        sum += *v;
                    }
                }
                *y = sum / count(window, self.count_include_pad, rows.len(), columns.len());
            }
        });
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        let (window, x) = (self.window, ctx.input(0).shape());
        let grad = AvgPool2dGrad { window, count_include_pad: self.count_include_pad, input: [x[2], x[3]] };
        Ok(vec![ctx.wanted(0, || ctx.graph().push1(grad, &[ctx.dy()?]))?])
    }
}

impl OpDef for AvgPool2dGrad {
    stem!("avg_pool2d");

    fn name(&self) -> &str {
        "avg_pool2d_grad"
    }

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [dy] = arity(self.name(), inputs)?;
        let [batch, channels, ..] = image(self.name(), dy)?;
        let x = TensorSpec::f32([batch, channels, self.input[0], self.input[1]]);
        let y = pooled(self.name(), &self.window, &x)?;
        if *dy != y {
            return Err(Error::shape(self.name(), y.to_string(), dy.to_string()));
        }
        Ok(vec![x])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let n = io.outputs[0].shape.elements();
        let window = max_pool2d::Params::new(&self.window, self.input, &io.inputs[0], n);
        let params = Params { window, include_pad: self.count_include_pad.into() };
        let kernel = Kernel::of::<Self>("avg_pool2d_grad").define("GRAD", 1);
        Launch::new(kernel, &params, grid(n)).bind_all(io).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let [h, w] = self.input;
        let (oh, ow) = (call.io.inputs[0].shape[2], call.io.inputs[0].shape[3]);
        let (window, dy) = (&self.window, call.x[0].f());
        // A plane belongs to one thread, so here the windows may scatter; they are met in the order in which the kernel gathers.
        parallel_rows(call.y[0].f_mut(), h * w, |plane, dx| {
            dx.fill(T::zero());
            for i in 0..oh {
                let (rows, dy) = (cells(window, 0, i, h), &dy[(plane * oh + i) * ow..][..ow]);
                for (j, dy) in dy.iter().enumerate() {
                    let columns = cells(window, 1, j, w);
                    let share = *dy / count(window, self.count_include_pad, rows.len(), columns.len());
                    for row in rows.clone() {
                        for dx in &mut dx[row * w + columns.start..row * w + columns.end] {
                            *dx += share;
                        }
                    }
                }
            }
        });
    }

    /// The op is linear, and pooling is its transpose.
    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        let pool = AvgPool2d { window: self.window, count_include_pad: self.count_include_pad };
        Ok(vec![ctx.wanted(0, || ctx.graph().push1(pool, &[ctx.dy()?]))?])
    }
}

impl Var {
    /// The mean of every window: `[batch, c, h, w]` to `[batch, c, oh, ow]`. With `count_include_pad` padding counts as zeros
    /// (PyTorch's default), without it only cells on the image count (TensorFlow and Keras).
    ///
    /// # Errors
    /// Where this is not an image of floats, a kernel or stride is zero, the window is larger than the padded image, or padding is
    /// as large as the window.
    pub fn avg_pool2d(&self, options: PoolOptions, count_include_pad: bool) -> Result<Var> {
        let window = options.window(AvgPool2d::STEM, self)?;
        self.graph.push1(AvgPool2d { window, count_include_pad }, &[self])
    }
}
