//! Average-pooling to a given size, whatever the size of the input, and its gradient.
//!
//! Along every spatial axis of `in` elements, window `o` of `out` reaches from `floor(o · in / out)` up to, not including,
//! `ceil((o + 1) · in / out)`; `y` is the mean of the cells that lie in the windows of all axes. Neighbouring windows overlap where
//! `in` is no multiple of `out`, and repeat where it is smaller.
//!
//! Source: K. He et al., "Spatial pyramid pooling in deep convolutional networks for visual recognition", ECCV 2014; the windows are
//! those of PyTorch's `AdaptiveAvgPool`.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::avg_pool::sum_of_window;
use super::resize::{Axis, Ranges, axes, resized};
use super::{arity, spatial};
use crate::contract::{CpuCall, GpuTraits, Io, Kernel, Launches, OpDef, Real, parallel_outputs, parallel_rows, stem};
use crate::error::Result;
use crate::graph::{Grad, GradientCtx, Var};
use crate::microkernel::sums::{RUN, sum_of};
use crate::shape::TensorSpec;

/// The mean of every window, of which there are `output` along the spatial axes.
///
/// Shapes: `x` `[batch, c, ..]` with one to three spatial axes, `y` `[batch, c, output..]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdaptiveAvgPool {
    /// The new extents of the spatial axes.
    pub output: Vec<usize>,
}

/// `dx` `[batch, c, input..]` from `dy` `[batch, c, ..]`: every element of `x` gathers `dy / cells` from the windows it is in.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdaptiveAvgPoolGrad {
    /// The extents of `x`'s spatial axes.
    pub input: Vec<usize>,
}

/// Elements of a window, at most, where there are `len` in all and `a / b` for each window.
pub(super) fn cells(len: usize, a: u64, b: u64) -> usize {
    len.min(if b == 1 { a } else { a / b + 2 } as usize)
}

/// The elements of `x` in window `o`.
pub(super) fn window(axis: &Axis, o: usize) -> Range<usize> {
    let o = o as u64;
    (o * axis.a / axis.b) as usize..((o + 1) * axis.a).div_ceil(axis.b) as usize
}

impl OpDef for AdaptiveAvgPool {
    stem!("adaptive_avg_pool");

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [x] = arity(Self::STEM, inputs)?;
        Ok(vec![resized(Self::STEM, x, &self.output)?])
    }

    fn gpu(&self, io: &Io, gpu: &GpuTraits) -> Launches {
        let ranges = Ranges {
            axes: axes(&io.inputs[0], &io.outputs[0], Axis::new),
            back: false,
            reach: |axis| cells(axis.input, axis.a, axis.b),
            ratios: [6, 0],
        };
        ranges.sums(&Kernel::of::<Self>("adaptive_avg_pool"), io, gpu)
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let [depths, rows, columns] = axes(&call.io.inputs[0], &call.io.outputs[0], Axis::new);
        let x = call.x[0].f();
        let work = x.len().div_ceil(call.y[0].f_mut().len());
        parallel_outputs(call.y[0].f_mut(), work, |i, y| {
            let line = i / columns.output;
            let (plane, depth) = (line / rows.output / depths.output, line / rows.output % depths.output);
            let (depth, row) = (window(&depths, depth), window(&rows, line % rows.output));
            let column = window(&columns, i % columns.output);
            let line = |depth: usize, row: usize| {
                &x[((plane * depths.input + depth) * rows.input + row) * columns.input..][column.clone()]
            };
            let sum = sum_of_window(depth.clone(), row.clone(), column.len(), line);
            *y = sum / T::of((depth.len() * row.len() * column.len()) as f64);
        });
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        let grad = AdaptiveAvgPoolGrad { input: ctx.input(0).shape()[2..].to_vec() };
        Ok(vec![ctx.wanted(0, || ctx.graph().push1(grad, &[ctx.dy()?]))?])
    }
}

impl OpDef for AdaptiveAvgPoolGrad {
    stem!("adaptive_avg_pool");

    fn name(&self) -> &str {
        "adaptive_avg_pool_grad"
    }

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [dy] = arity(self.name(), inputs)?;
        Ok(vec![resized(self.name(), dy, &self.input)?])
    }

    fn gpu(&self, io: &Io, gpu: &GpuTraits) -> Launches {
        let ranges = Ranges {
            axes: axes(&io.outputs[0], &io.inputs[0], Axis::new),
            back: true,
            reach: |axis| cells(axis.output, axis.b, axis.a),
            ratios: [6, 2],
        };
        ranges.sums(&Kernel::of::<Self>("adaptive_avg_pool_grad").define("GRAD", 1), io, gpu)
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let [depths, rows, columns] = axes(&call.io.outputs[0], &call.io.inputs[0], Axis::new);
        let dy = call.x[0].f();
        let most: usize = [&depths, &rows, &columns].map(|axis| axis.output.div_ceil(axis.input) + 1).iter().product();
        if most > RUN {
            // The windows that an element is in, by the same rule with sizes swapped.
            let [of_depth, of_row, of_column] = axes(&call.io.inputs[0], &call.io.outputs[0], Axis::new);
            return parallel_outputs(call.y[0].f_mut(), most, |i, dx| {
                let line = i / columns.input;
                let plane = line / (rows.input * depths.input);
                let depth = window(&of_depth, line / rows.input % depths.input);
                let (row, column) = (window(&of_row, line % rows.input), window(&of_column, i % columns.input));
                *dx = sum_of(depth.len() * row.len(), |line| {
                    let (depth, row) = (depth.start + line / row.len(), row.start + line % row.len());
                    let dy = &dy[((plane * depths.output + depth) * rows.output + row) * columns.output..];
                    let cells = window(&depths, depth).len() * window(&rows, row).len();
                    sum_of(column.len(), |i| {
                        let column = column.start + i;
                        dy[column] / T::of((cells * window(&columns, column).len()) as f64)
                    })
                });
            });
        }
        // The cells of one channel belong to one thread, so here the windows may scatter; they are met in the kernel's order.
        parallel_rows(call.y[0].f_mut(), depths.input * rows.input * columns.input, |plane, dx| {
            dx.fill(T::zero());
            for depth in 0..depths.output {
                for row in 0..rows.output {
                    let dy = &dy[((plane * depths.output + depth) * rows.output + row) * columns.output..];
                    let (depth, row) = (window(&depths, depth), window(&rows, row));
                    for (column, dy) in dy[..columns.output].iter().enumerate() {
                        let column = window(&columns, column);
                        let share = *dy / T::of((depth.len() * row.len() * column.len()) as f64);
                        for depth in depth.clone() {
                            for row in row.clone() {
                                let line = (depth * rows.input + row) * columns.input;
                                dx[line + column.start..line + column.end].iter_mut().for_each(|dx| *dx += share);
                            }
                        }
                    }
                }
            }
        });
    }

    /// The op is linear, and pooling is its transpose.
    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        let pool = AdaptiveAvgPool { output: ctx.input(0).shape()[2..].to_vec() };
        Ok(vec![ctx.wanted(0, || ctx.graph().push1(pool, &[ctx.dy()?]))?])
    }
}

impl Var {
    /// The spatial axes of `[batch, c, ..]`, one to three of them, brought to `size` by the means of as many windows; see
    /// [`AdaptiveAvgPool`].
    ///
    /// # Errors
    /// Where this is no tensor of floats with one to three spatial axes, or `size` has not one number of at least 1 for each of them.
    pub fn adaptive_avg_pool(&self, size: &[usize]) -> Result<Var> {
        let spec = self.spec();
        if let Ok(input) = spatial(AdaptiveAvgPool::STEM, &spec) {
            if input == size {
                return Ok(self.clone());
            }
            // One window over everything is a reduction, which shares the work of one sum among many.
            if size.len() == input.len() && size.iter().all(|s| *s == 1) {
                return self.mean(&[-1, -2, -3][..size.len()], true);
            }
        }
        self.graph.push1(AdaptiveAvgPool { output: size.to_vec() }, &[self])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the gradient's kernel relies on: the windows that an element is in are found by the same rule, sizes swapped.
    #[test]
    fn an_element_is_in_the_windows_that_the_same_rule_gives_with_sizes_swapped() {
        for (input, output) in (1..=40).flat_map(|i| [1, 2, 3, 5, 7, 12, 31].map(|o| (i, o))) {
            let (there, back) = (Axis::new(input, output), Axis::new(output, input));
            for o in 0..output {
                assert!(window(&there, o).len() <= cells(input, there.a, there.b), "{input} to {output}, window {o}");
            }
            for i in 0..input {
                let expected: Vec<usize> = (0..output).filter(|o| window(&there, *o).contains(&i)).collect();
                assert_eq!(window(&back, i).collect::<Vec<_>>(), expected, "{input} to {output}, element {i}");
            }
        }
    }
}
