//! Signals, images and volumes brought to another size, by the nearest element or linearly between neighbours, and the gradient.
//!
//! Along every spatial axis of `in` elements that becomes one of `out`:
//!
//! - nearest: `y[o] = x[floor(o · in / out)]`, or, exactly, `x[floor((o + ½) · in / out)]`;
//! - linear: `y[o]` is `x` at `(o + ½) · in / out − ½`, between the two elements around it, where the first and the last element go
//!   on beyond the edges; or, with aligned corners, at `o · (in − 1) / (out − 1)`. Over several axes the weights are multiplied:
//!   bilinear, trilinear.
//!
//! Source: `torch.nn.functional.interpolate` (`"nearest"`, `"nearest-exact"`, `"linear"` and its kin, `align_corners`) and
//! TensorFlow's `tf.image.resize` without antialiasing (exact, linear). Positions are integer arithmetic here, so that all devices
//! agree on them.

mod taps;

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::passes::{Pass, nested, passes, sums};
use super::{arity, spatial, volume};
use crate::contract::{
    CpuCall, GpuTraits, Io, Kernel, Launch, Launches, MAX_ITERATIONS, OpDef, Real, grid, parallel_rows,
};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Var};
use crate::microkernel::sums::{self, RUN};
use crate::shape::TensorSpec;

pub(super) use taps::Axis;
use taps::{blend, blend_back, spread};

/// How elements between those of the input are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Interpolation {
    /// `x[floor(o · in / out)]`: what PyTorch calls `nearest`. A whole factor repeats every element.
    #[default]
    Nearest,
    /// `x[floor((o + ½) · in / out)]`: PyTorch's `nearest-exact`, TensorFlow's `nearest`.
    NearestExact,
    /// A straight line between the two elements around `(o + ½) · in / out − ½`: PyTorch without `align_corners`, TensorFlow.
    Linear,
    /// A straight line between the two elements around `o · (in − 1) / (out − 1)`: PyTorch with `align_corners`. One element alone
    /// is the first.
    LinearAlignCorners,
}

/// Brings the spatial axes to another size.
///
/// Shapes: `x` `[batch, c, ..]` with one to three spatial axes, `y` `[batch, c, output..]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resize {
    /// The new extents of the spatial axes.
    pub output: Vec<usize>,
    /// What stands between the elements.
    pub interpolation: Interpolation,
}

/// `dx` `[batch, c, input..]` from `dy` `[batch, c, ..]`: every element of `x` gathers `weight · dy` from where it was read.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResizeGrad {
    /// The extents of `x`'s spatial axes.
    pub input: Vec<usize>,
    /// As in [`Resize`].
    pub interpolation: Interpolation,
}

/// Extents must stay below this, so that kernels can count positions in 32 bits.
const MAX_EXTENT: usize = 1 << 30;

/// `x` with its spatial axes brought to `size`.
pub(super) fn resized(op: &str, x: &TensorSpec, size: &[usize]) -> Result<TensorSpec> {
    let from = spatial(op, x)?;
    if size.len() != from.len() || size.iter().chain(from).any(|s| !(1..MAX_EXTENT).contains(s)) {
        let expected = format!("a number from 1 to {} for every spatial axis of {x}", MAX_EXTENT - 1);
        return Err(Error::parameter(op, "the size", expected, format!("{size:?}")));
    }
    let mut shape = x.shape[..2].to_vec();
    shape.extend_from_slice(size);
    Ok(TensorSpec::f32(shape))
}

/// Sizes and ratios as the kernels see them; `n` elements to compute.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
pub(super) struct Params {
    x_size: [u32; 4],
    y_size: [u32; 4],
    a: [u32; 4],
    b: [u32; 4],
    n: u32,
    pad: [u32; 3],
}

/// Depth, rows and columns of `x` that become those of `y`.
pub(super) fn axes(x: &TensorSpec, y: &TensorSpec, new: fn(usize, usize) -> Axis) -> [Axis; 3] {
    let (x, y) = (volume(x), volume(y));
    std::array::from_fn(|axis| new(x[axis], y[axis]))
}

impl Interpolation {
    /// Depth, rows and columns of `x` that become those of `y`.
    fn axes(self, x: &TensorSpec, y: &TensorSpec) -> [Axis; 3] {
        axes(x, y, if self == Interpolation::LinearAlignCorners { Axis::between_corners } else { Axis::new })
    }

    fn kernel(self, kernel: Kernel) -> Kernel {
        let centres = matches!(self, Interpolation::NearestExact | Interpolation::Linear);
        kernel.define("LINEAR", u32::from(self.is_linear())).define("CENTRES", u32::from(centres))
    }
}

/// The launch of `kernel`, which goes along `axes` or back, one invocation for each of `n` elements, without bindings.
pub(super) fn launch(kernel: Kernel, axes: &[Axis; 3], n: usize) -> Launch {
    let of = |f: fn(&Axis) -> u64| [f(&axes[0]) as u32, f(&axes[1]) as u32, f(&axes[2]) as u32, 0];
    let params = Params {
        x_size: of(|axis| axis.input as u64),
        y_size: of(|axis| axis.output as u64),
        a: of(|axis| axis.a),
        b: of(|axis| axis.b),
        n: n as u32,
        pad: [0; 3],
    };
    let changes = |axis: usize| u32::from(axes[axis].input != axes[axis].output);
    let kernel = kernel.define("DEPTH", changes(0)).define("ROWS", changes(1));
    let kernel = kernel.define("WIDE", u32::from(is_wide(axes)));
    Launch::new(kernel, &params, grid(n))
}

fn is_wide(axes: &[Axis; 3]) -> bool {
    axes.iter().any(Axis::is_wide)
}

/// An op whose elements each go through a range of elements along every axis that changes, in three loops.
pub(super) struct Ranges {
    /// From `x` to `y`, whichever way the op goes.
    pub axes: [Axis; 3],
    /// From `y` to `x`.
    pub back: bool,
    /// How many elements an element reaches along an axis, at most.
    pub reach: fn(&Axis) -> usize,
    /// Exact ratios that an element computes before its loops, and in each iteration of them.
    pub ratios: [usize; 2],
}

/// Loop iterations of an exact ratio of large numbers.
const WIDE: usize = 31;

impl Ranges {
    /// Loop iterations for ratios, before the loops and in each of them.
    fn extra(&self) -> [usize; 2] {
        let each = if is_wide(&self.axes) { WIDE } else { 0 };
        self.ratios.map(|ratios| ratios * each)
    }

    fn iterations(&self, loops: &[usize]) -> u64 {
        let [before, inside] = self.extra();
        nested(loops, inside as u64) + before as u64
    }

    /// Samples times channels.
    fn planes(io: &Io) -> usize {
        io.outputs[0].shape[..2].iter().product()
    }

    /// The launch that computes all in one pass, where one invocation may go through all that an element reaches.
    pub fn whole(&self, kernel: &Kernel, io: &Io) -> Option<Launches> {
        let changes = |axis: &Axis| axis.input != axis.output;
        let [depths, rows, columns] = &self.axes;
        let loops: Vec<usize> =
            [depths, rows].into_iter().filter(|axis| changes(axis)).chain([columns]).map(self.reach).collect();
        let iterations = self.iterations(&loops);
        let launch = launch(kernel.clone(), &self.axes, io.outputs[0].shape.elements());
        (iterations <= MAX_ITERATIONS).then(|| launch.iterations(iterations).bind_all(io).into())
    }

    /// The passes that do the same along one axis after the other.
    pub fn passes(&self) -> Vec<Pass> {
        let sizes = |of: fn(&Axis) -> usize| self.axes.each_ref().map(of);
        let (x, y) = (sizes(|axis| axis.input), sizes(|axis| axis.output));
        let reach = sizes(|axis| usize::from(axis.input != axis.output));
        let reach = std::array::from_fn(|axis| reach[axis] * (self.reach)(&self.axes[axis]));
        let (from, to) = if self.back { (y, x) } else { (x, y) };
        passes(from, to, reach, self.extra()[1])
    }

    /// The launch of one of the passes, without bindings.
    pub fn pass(&self, kernel: Kernel, planes: usize, pass: &Pass) -> Launch {
        let stays = |axis: usize| Axis::new(pass.to[axis], pass.to[axis]);
        let along = if pass.merges { Axis::new(pass.from[1], pass.to[1]) } else { self.axes[pass.axis] };
        let axes = [stays(0), along, stays(2)];
        let kernel = if pass.parts > 1 { kernel.define("PARTS", pass.parts).define("PART", pass.each) } else { kernel };
        let iterations = Ranges { axes, ..*self }.iterations(&[pass.each, 1]);
        launch(kernel, &axes, planes * pass.results()).iterations(iterations)
    }

    /// The launches of an op that sums.
    pub fn sums(&self, kernel: &Kernel, io: &Io, gpu: &GpuTraits) -> Launches {
        let planes = Self::planes(io);
        let by_axis = || sums(planes, &self.passes(), gpu, |pass| self.pass(kernel.clone(), planes, pass));
        self.whole(kernel, io).unwrap_or_else(by_axis)
    }
}

impl OpDef for Resize {
    const STEM: &'static str = "resize";
    const SHADER: &'static str = include_str!("../../../shaders/resize.wgsl");

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [x] = arity(Self::STEM, inputs)?;
        Ok(vec![resized(Self::STEM, x, &self.output)?])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let axes = self.interpolation.axes(&io.inputs[0], &io.outputs[0]);
        let kernel = self.interpolation.kernel(Kernel::of::<Self>("resize"));
        // A place along the columns, along the depth, and along the rows of up to two planes.
        let [depth, rows, columns] = axes.each_ref().map(|axis| u64::from(axis.input != axis.output));
        let places = columns + depth + rows * (1 + depth);
        let iterations = if is_wide(&axes) { places * WIDE as u64 } else { 0 };
        launch(kernel, &axes, io.outputs[0].shape.elements()).iterations(iterations).bind_all(io).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let (how, x) = (self.interpolation, call.x[0].f());
        let [depths, rows, columns] = how.axes(&call.io.inputs[0], &call.io.outputs[0]);
        parallel_rows(call.y[0].f_mut(), columns.output, |line, y| {
            let (depth, row) = (line / rows.output % depths.output, line % rows.output);
            let plane = line / (rows.output * depths.output);
            let line_of_x = |depth: usize, row: usize| {
                &x[((plane * depths.input + depth) * rows.input + row) * columns.input..][..columns.input]
            };
            let (depth, row) = (how.tap::<T>(&depths, depth), how.tap::<T>(&rows, row));
            if !how.is_linear() {
                return spread(how, columns, line_of_x(depth.low, row.low), y);
            }
            let mut around: SmallVec<[(T, &[T]); 4]> = SmallVec::new();
            for (depth, by_depth) in depth.parts() {
                around.extend(row.parts().map(|(row, by_row)| (by_depth * by_row, line_of_x(depth, row))));
            }
            blend(how, columns, &around, y);
        });
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        let grad = ResizeGrad { input: ctx.input(0).shape()[2..].to_vec(), interpolation: self.interpolation };
        Ok(vec![ctx.wanted(0, || ctx.graph().push1(grad, &[ctx.dy()?]))?])
    }
}

impl OpDef for ResizeGrad {
    const STEM: &'static str = "resize";
    const SHADER: &'static str = include_str!("../../../shaders/resize.wgsl");

    fn name(&self) -> &str {
        "resize_grad"
    }

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [dy] = arity(self.name(), inputs)?;
        Ok(vec![resized(self.name(), dy, &self.input)?])
    }

    fn gpu(&self, io: &Io, gpu: &GpuTraits) -> Launches {
        let kernel = self.interpolation.kernel(Kernel::of::<Self>("resize_grad")).define("GRAD", 1);
        let linear = self.interpolation.is_linear();
        let ranges = Ranges {
            axes: self.interpolation.axes(&io.outputs[0], &io.inputs[0]),
            back: true,
            reach: if linear { |axis| axis.readers(2) } else { |axis| axis.readers(1) },
            ratios: [6, usize::from(linear)],
        };
        ranges.sums(&kernel, io, gpu)
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let (how, dy) = (self.interpolation, call.x[0].f());
        let [depths, rows, columns] = how.axes(&call.io.outputs[0], &call.io.inputs[0]);
        // The planes of one image belong to one thread, so here the elements of dy may scatter.
        let along = |axis: &Axis| 2 * axis.output.div_ceil(axis.input);
        let many = [&depths, &rows, &columns].map(along).iter().product::<usize>() > 8 * RUN;
        parallel_rows(call.y[0].f_mut(), depths.input * rows.input * columns.input, |plane, dx| {
            dx.fill(T::zero());
            let each = |add: &mut dyn FnMut(usize, T, &[T])| {
                for (depth, at_depth) in how.taps::<T>(depths).enumerate() {
                    for (row, at_row) in how.taps::<T>(rows).enumerate() {
                        let line = (plane * depths.output + depth) * rows.output + row;
                        blend_back(how, columns, &dy[line * columns.output..][..columns.output], |start, sums| {
                            for (depth, by_depth) in at_depth.parts() {
                                for (row, by_row) in at_row.parts() {
                                    add((depth * rows.input + row) * columns.input + start, by_depth * by_row, sums);
                                }
                            }
                        });
                    }
                }
            };
            if many {
                return sums::scatter(dx, |add| {
                    each(&mut |start, weight, sums| (start..).zip(sums).for_each(|(at, sum)| add(at, weight * *sum)));
                });
            }
            each(&mut |start, weight, sums| {
                dx[start..start + sums.len()].iter_mut().zip(sums).for_each(|(dx, sum)| *dx += weight * *sum);
            });
        });
    }

    /// The op is linear, and resizing is its transpose.
    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        let resize = Resize { output: ctx.input(0).shape()[2..].to_vec(), interpolation: self.interpolation };
        Ok(vec![ctx.wanted(0, || ctx.graph().push1(resize, &[ctx.dy()?]))?])
    }
}

impl Var {
    /// The spatial axes of `[batch, c, ..]`, one to three of them, brought to `size`: every element is the nearest one at or before
    /// its position, `y[o] = x[floor(o · in / out)]` along every axis (PyTorch's `mode="nearest"`, Keras's `UpSampling`).
    ///
    /// # Errors
    /// Where this is no tensor of floats with one to three spatial axes, or `size` has not one number of at least 1 for each of them.
    pub fn resize_nearest(&self, size: &[usize]) -> Result<Var> {
        self.resize(size, Interpolation::Nearest)
    }

    /// The spatial axes of `[batch, c, ..]`, one to three of them, brought to `size`: linear, bilinear or trilinear between the
    /// elements around `(o + ½) · in / out − ½` (PyTorch's `align_corners=False`, TensorFlow's `resize` without antialiasing).
    ///
    /// # Errors
    /// See [`Var::resize_nearest`].
    pub fn resize_linear(&self, size: &[usize]) -> Result<Var> {
        self.resize(size, Interpolation::Linear)
    }

    /// The spatial axes of `[batch, c, ..]`, one to three of them, brought to `size`; see [`Interpolation`].
    ///
    /// # Errors
    /// See [`Var::resize_nearest`].
    pub fn resize(&self, size: &[usize], interpolation: Interpolation) -> Result<Var> {
        if spatial(Resize::STEM, &self.spec()).is_ok_and(|from| from == size) {
            return Ok(self.clone());
        }
        self.graph.push1(Resize { output: size.to_vec(), interpolation }, &[self])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_do_not_fit_are_refused() {
        let refused = |shape: &[usize], output: &[usize]| {
            let op = Resize { output: output.to_vec(), interpolation: Interpolation::Linear };
            op.infer(&[TensorSpec::f32(shape)]).is_err()
        };
        assert!(!refused(&[1, 2, 3], &[5]));
        assert!(refused(&[1, 2, 3], &[0]));
        assert!(refused(&[1, 2, 3], &[5, 5]));
        assert!(refused(&[1, 2, 3], &[usize::MAX]));
        assert!(refused(&[2, 3], &[]));
        assert!(refused(&[1, 2, 3, 4, 5, 6], &[1, 1, 1, 1]));
    }
}
