//! Max-pooling to a given size, whatever the size of the input, with the positions of the maxima, and its gradient.
//!
//! The windows are those of average-pooling to a given size (`adaptive_avg_pool`); `y` is the largest of each.
//!
//! Source: K. He et al., "Spatial pyramid pooling in deep convolutional networks for visual recognition", ECCV 2014; the windows are
//! those of PyTorch's `AdaptiveMaxPool`.

use serde::{Deserialize, Serialize};

use super::adaptive_avg_pool::{cells, window};
use super::max_pool::{beats, scatter};
use super::passes::{maxima, pool::scattered};
use super::resize::{Axis, Ranges, axes, resized};
use super::{arity, expect_dtype, volume};
use crate::contract::{CpuCall, GpuTraits, Io, Kernel, Launches, OpDef, Real, parallel_row_pairs, stem};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Var};
use crate::shape::{DType, TensorSpec};

/// The largest element of every window, of which there are `output` along the spatial axes, and where it was found.
///
/// Shapes: `x` `[batch, c, ..]` with one to three spatial axes, `y` and `positions` `[batch, c, output..]`. Positions, ties and NaN are
/// those of [`MaxPool`](super::max_pool::MaxPool).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdaptiveMaxPool {
    /// The new extents of the spatial axes.
    pub output: Vec<usize>,
}

/// `dx` `[batch, c, input..]` from the `positions` that [`AdaptiveMaxPool`] gave and `dy`, both of the shape of its `y`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdaptiveMaxPoolGrad {
    /// The extents of `x`'s spatial axes.
    pub input: Vec<usize>,
}

impl OpDef for AdaptiveMaxPool {
    stem!("adaptive_max_pool");

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [x] = arity(Self::STEM, inputs)?;
        let y = resized(Self::STEM, x, &self.output)?;
        let positions = TensorSpec::u32(&y.shape);
        Ok(vec![y, positions])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let ranges = Ranges {
            axes: axes(&io.inputs[0], &io.outputs[0], Axis::new),
            back: false,
            reach: |axis| cells(axis.input, axis.a, axis.b),
            ratios: [6, 0],
        };
        let (kernel, planes) = (Kernel::of::<Self>("adaptive_max_pool"), io.outputs[0].shape[..2].iter().product());
        let pass = |pass: &_, from| ranges.pass(kernel.clone().define("FROM", u32::from(from)), planes, pass);
        ranges.whole(&kernel, io).unwrap_or_else(|| maxima(planes, &ranges.passes(), pass))
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let [depths, rows, columns] = axes(&call.io.inputs[0], &call.io.outputs[0], Axis::new);
        let (x, volume) = (call.x[0].f(), depths.input * rows.input * columns.input);
        let [y, positions] = &mut call.y[..] else { return };
        parallel_row_pairs(y.f_mut(), positions.u_mut(), columns.output, columns.output, |line, y, positions| {
            let (plane, depth) = (line / rows.output / depths.output, line / rows.output % depths.output);
            let (x, depth, row) = (&x[plane * volume..], window(&depths, depth), window(&rows, line % rows.output));
            for (column, (y, position)) in y.iter_mut().zip(positions).enumerate() {
                let column = window(&columns, column);
                let mut at = (depth.start * rows.input + row.start) * columns.input + column.start;
                let mut best = x[at];
                for depth in depth.clone() {
                    for line in row.clone().map(|row| (depth * rows.input + row) * columns.input) {
                        let start = line + column.start;
                        for (i, x) in x[start..line + column.end].iter().enumerate() {
                            if beats(*x, best) {
                                (best, at) = (*x, start + i);
                            }
                        }
                    }
                }
                (*y, *position) = (best, at as u32);
            }
        });
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        let grad = AdaptiveMaxPoolGrad { input: ctx.input(0).shape()[2..].to_vec() };
        Ok(vec![ctx.wanted(0, || ctx.graph().push1(grad, &[ctx.output(1), ctx.dy()?]))?])
    }
}

impl OpDef for AdaptiveMaxPoolGrad {
    stem!("adaptive_max_pool");

    fn name(&self) -> &str {
        "adaptive_max_pool_grad"
    }

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [positions, dy] = arity(self.name(), inputs)?;
        expect_dtype(self.name(), positions, DType::U32)?;
        if positions.shape != dy.shape {
            return Err(Error::shape(self.name(), format!("twice {}", dy.shape), format!("{positions} and {dy}")));
        }
        Ok(vec![resized(self.name(), dy, &self.input)?])
    }

    fn gpu(&self, io: &Io, gpu: &GpuTraits) -> Launches {
        let ranges = Ranges {
            axes: axes(&io.outputs[0], &io.inputs[1], Axis::new),
            back: true,
            reach: |axis| cells(axis.output, axis.b, axis.a),
            ratios: [6, 0],
        };
        let kernel = Kernel::of::<Self>("adaptive_max_pool_grad").define("GRAD", 1);
        ranges.whole(&kernel, io).unwrap_or_else(|| scattered(io, gpu))
    }

    fn cpu<T: Real>(&self, call: CpuCall<'_, T>) {
        let [x, y] = [&call.io.outputs[0], &call.io.inputs[1]].map(volume);
        let most = x.iter().zip(y).map(|(x, y)| y.div_ceil(*x) + 1).product();
        scatter(call, most);
    }

    fn gradient(&self, _ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok(vec![Grad::NotDifferentiable, Grad::Unsupported("second derivatives of max-pooling")])
    }
}

impl Var {
    /// The spatial axes of `[batch, c, ..]`, one to three of them, brought to `size` by the largest elements of as many windows; see
    /// [`AdaptiveMaxPool`].
    ///
    /// # Errors
    /// Where this is no tensor of floats with one to three spatial axes, or `size` has not one number of at least 1 for each of them.
    pub fn adaptive_max_pool(&self, size: &[usize]) -> Result<Var> {
        Ok(self.adaptive_max_pool_with_positions(size)?.0)
    }

    /// Like [`Var::adaptive_max_pool`], and where each was found: `(slice · h + row) · w + column` in the input, as `u32`.
    ///
    /// # Errors
    /// See [`Var::adaptive_max_pool`].
    pub fn adaptive_max_pool_with_positions(&self, size: &[usize]) -> Result<(Var, Var)> {
        let mut outputs = self.graph.push(AdaptiveMaxPool { output: size.to_vec() }, &[self])?;
        let positions = outputs.swap_remove(1);
        Ok((outputs.swap_remove(0), positions))
    }
}
