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

use bytemuck::{Pod, Zeroable};

use super::{arity, spatial, volume};
use crate::contract::{CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, grid, parallel_rows, stem};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Var};
use crate::shape::TensorSpec;

/// How elements between those of the input are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
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
#[derive(Clone, Debug)]
pub struct Resize {
    /// The new extents of the spatial axes.
    pub output: Vec<usize>,
    /// What stands between the elements.
    pub interpolation: Interpolation,
}

/// `dx` `[batch, c, input..]` from `dy` `[batch, c, ..]`: every element of `x` gathers `weight · dy` from where it was read.
#[derive(Clone, Debug)]
pub struct ResizeGrad {
    /// The extents of `x`'s spatial axes.
    pub input: Vec<usize>,
    /// As in [`Resize`].
    pub interpolation: Interpolation,
}

/// Extents must stay below this, so that kernels can count positions in 32 bits.
const MAX_EXTENT: usize = 1 << 30;

/// An axis of `input` elements that becomes one of `output`; `a / b` is the ratio of their distances in lowest terms.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    pub input: usize,
    pub output: usize,
    pub a: u64,
    pub b: u64,
}

impl Axis {
    pub fn new(input: usize, output: usize) -> Self {
        Self::of(input, output, input, output)
    }

    /// Where the first element falls on the first, and the last on the last.
    fn between_corners(input: usize, output: usize) -> Self {
        if output == 1 { Self::of(input, output, 0, 1) } else { Self::of(input, output, input - 1, output - 1) }
    }

    fn of(input: usize, output: usize, a: usize, b: usize) -> Self {
        let (mut divisor, mut rest) = (a, b);
        while rest != 0 {
            (divisor, rest) = (rest, divisor % rest);
        }
        Axis { input, output, a: (a / divisor) as u64, b: (b / divisor) as u64 }
    }

    /// Products of positions and of `a` or `b` do not fit 32 bits.
    fn is_wide(&self) -> bool {
        (2 * self.input.max(self.output) as u64 + 2) * self.a.max(self.b) > u64::from(u32::MAX)
    }
}

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

/// The launch of `kernel`, which goes along `axes` or back, one invocation for each of the output's elements.
pub(super) fn launch(kernel: Kernel, axes: [Axis; 3], io: &Io) -> Launches {
    let n = io.outputs[0].shape.elements();
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
    let kernel = kernel.define("WIDE", u32::from(axes.iter().any(Axis::is_wide)));
    Launch::new(kernel, &params, grid(n)).bind_all(io).into()
}

/// What an element of `y` reads along an axis: `x[low]`, weighed by `near`, and where `far` is not 0, `x[low + 1]`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Tap<T> {
    low: usize,
    near: T,
    far: T,
}

impl<T: Real> Tap<T> {
    /// What is read, and its weight.
    fn parts(self) -> impl Iterator<Item = (usize, T)> {
        let count = if self.far == T::zero() { 1 } else { 2 };
        [(self.low, self.near), (self.low + 1, self.far)].into_iter().take(count)
    }

    /// The value between elements of `x`. One without weight is not read, so that an infinity in it makes no NaN.
    #[inline(always)]
    fn read(self, x: &[T]) -> T {
        if self.far == T::zero() { x[self.low] } else { self.near * x[self.low] + self.far * x[self.low + 1] }
    }
}

impl Interpolation {
    /// Positions along an axis are counted in parts of an element of `x`: how many parts one has, what the first position is, how
    /// many parts there are from one position to the next, and by how many all of them are too large.
    fn parts(self, axis: &Axis) -> [u64; 4] {
        match self {
            Interpolation::Nearest | Interpolation::LinearAlignCorners => [axis.b, 0, axis.a, 0],
            Interpolation::NearestExact => [2 * axis.b, axis.a, 2 * axis.a, 0],
            Interpolation::Linear => [2 * axis.b, axis.a, 2 * axis.a, axis.b],
        }
    }

    /// A position lies between elements, or picks one.
    fn is_linear(self) -> bool {
        matches!(self, Interpolation::Linear | Interpolation::LinearAlignCorners)
    }

    /// Depth, rows and columns of `x` that become those of `y`.
    fn axes(self, x: &TensorSpec, y: &TensorSpec) -> [Axis; 3] {
        axes(x, y, if self == Interpolation::LinearAlignCorners { Axis::between_corners } else { Axis::new })
    }

    /// What `y[o]` reads along an axis.
    fn tap<T: Real>(self, axis: &Axis, o: usize) -> Tap<T> {
        let [unit, first, step, shift] = self.parts(axis);
        let at = first + o as u64 * step;
        self.settle(axis, (at / unit, at % unit), unit, shift)
    }

    /// What every element along an axis of `y` reads, from the first on.
    fn taps<T: Real>(self, axis: Axis) -> impl Iterator<Item = Tap<T>> {
        let [unit, first, step, shift] = self.parts(&axis);
        let mut at = (first / unit, first % unit);
        let (whole, part) = (step / unit, step % unit);
        (0..axis.output).map(move |_| {
            let now = at;
            at = (at.0 + whole, at.1 + part);
            if at.1 >= unit {
                at = (at.0 + 1, at.1 - unit);
            }
            self.settle(&axis, now, unit, shift)
        })
    }

    /// The tap at whole elements and parts of one, of which `shift` parts are too many.
    #[inline(always)]
    fn settle<T: Real>(self, axis: &Axis, (whole, part): (u64, u64), unit: u64, shift: u64) -> Tap<T> {
        let (low, part) = match part.checked_sub(shift) {
            Some(part) => (whole as usize, part),
            None if whole > 0 => (whole as usize - 1, part + unit - shift),
            None => (0, 0),
        };
        if !self.is_linear() || part == 0 || low + 1 >= axis.input {
            return Tap { low, near: T::one(), far: T::zero() };
        }
        let unit = T::of(unit as f64);
        let far = T::of(part as f64);
        Tap { low, near: (unit - far) / unit, far: far / unit }
    }

    fn kernel(self, kernel: Kernel) -> Kernel {
        let centres = matches!(self, Interpolation::NearestExact | Interpolation::Linear);
        kernel.define("LINEAR", u32::from(self.is_linear())).define("CENTRES", u32::from(centres))
    }
}

/// A row of `y` from the row of `x` that its nearest elements lie in.
fn spread<T: Real>(how: Interpolation, axis: Axis, x: &[T], y: &mut [T]) {
    if axis.a == 1 {
        // A whole factor, by either rule.
        return y.chunks_exact_mut(axis.b as usize).zip(x).for_each(|(y, x)| y.fill(*x));
    }
    for (y, tap) in y.iter_mut().zip(how.taps::<T>(axis)) {
        *y = x[tap.low];
    }
}

impl OpDef for Resize {
    stem!("resize");

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [x] = arity(Self::STEM, inputs)?;
        Ok(vec![resized(Self::STEM, x, &self.output)?])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let axes = self.interpolation.axes(&io.inputs[0], &io.outputs[0]);
        launch(self.interpolation.kernel(Kernel::of::<Self>("resize")), axes, io)
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
            y.fill(T::zero());
            for (depth, by_depth) in depth.parts() {
                for (row, by_row) in row.parts() {
                    let (x, weight) = (line_of_x(depth, row), by_depth * by_row);
                    for (y, tap) in y.iter_mut().zip(how.taps::<T>(columns)) {
                        *y += weight * tap.read(x);
                    }
                }
            }
        });
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        let grad = ResizeGrad { input: ctx.input(0).shape()[2..].to_vec(), interpolation: self.interpolation };
        Ok(vec![ctx.wanted(0, || ctx.graph().push1(grad, &[ctx.dy()?]))?])
    }
}

impl OpDef for ResizeGrad {
    stem!("resize");

    fn name(&self) -> &str {
        "resize_grad"
    }

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [dy] = arity(self.name(), inputs)?;
        Ok(vec![resized(self.name(), dy, &self.input)?])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let kernel = self.interpolation.kernel(Kernel::of::<Self>("resize_grad")).define("GRAD", 1);
        launch(kernel, self.interpolation.axes(&io.outputs[0], &io.inputs[0]), io)
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let (how, dy) = (self.interpolation, call.x[0].f());
        let [depths, rows, columns] = how.axes(&call.io.outputs[0], &call.io.inputs[0]);
        // The planes of one image belong to one thread, so here the elements of dy may scatter.
        parallel_rows(call.y[0].f_mut(), depths.input * rows.input * columns.input, |plane, dx| {
            dx.fill(T::zero());
            for (depth, at_depth) in how.taps::<T>(depths).enumerate() {
                for (row, at_row) in how.taps::<T>(rows).enumerate() {
                    let dy = &dy[((plane * depths.output + depth) * rows.output + row) * columns.output..];
                    for (depth, by_depth) in at_depth.parts() {
                        for (row, by_row) in at_row.parts() {
                            let dx = &mut dx[(depth * rows.input + row) * columns.input..][..columns.input];
                            for (dy, tap) in dy.iter().zip(how.taps::<T>(columns)) {
                                let share = by_depth * by_row * *dy;
                                dx[tap.low] += tap.near * share;
                                if tap.far != T::zero() {
                                    dx[tap.low + 1] += tap.far * share;
                                }
                            }
                        }
                    }
                }
            }
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

    const ALL: [Interpolation; 4] = [
        Interpolation::Nearest,
        Interpolation::NearestExact,
        Interpolation::Linear,
        Interpolation::LinearAlignCorners,
    ];
    const SIZES: [usize; 9] = [1, 2, 3, 4, 5, 7, 12, 31, 64];

    #[test]
    fn the_walk_over_taps_is_their_formula() {
        for (input, output) in SIZES.iter().flat_map(|i| SIZES.map(|o| (*i, o))).chain([(65_537, 70_001), (70_001, 9)]) {
            for how in ALL {
                let axis = axis(how, input, output);
                let walk: Vec<Tap<f64>> = how.taps(axis).collect();
                assert_eq!(walk.len(), output);
                for (o, tap) in walk.iter().enumerate() {
                    assert_eq!(*tap, how.tap(&axis, o), "{input} to {output}, {how:?}, element {o}");
                    let position = match how {
                        Interpolation::Nearest => (o * input / output) as f64,
                        Interpolation::NearestExact => ((2 * o + 1) * input / (2 * output)) as f64,
                        Interpolation::Linear => {
                            let position = (o as f64 + 0.5) * input as f64 / output as f64 - 0.5;
                            position.clamp(0.0, (input - 1) as f64)
                        }
                        Interpolation::LinearAlignCorners => {
                            o as f64 * (input - 1) as f64 / (output - 1).max(1) as f64
                        }
                    };
                    let found = tap.low as f64 + tap.far;
                    assert!((found - position).abs() < 1e-9 && (tap.near + tap.far - 1.0).abs() < 1e-12, "{tap:?}");
                    assert!(tap.low < input && (tap.far == 0.0 || tap.low + 1 < input), "{tap:?}");
                }
            }
        }
    }

    fn axis(how: Interpolation, input: usize, output: usize) -> Axis {
        let [.., axis] = how.axes(&TensorSpec::f32([1, 1, input]), &TensorSpec::f32([1, 1, output]));
        axis
    }

    /// The range from which the gradient's kernel gathers, in its own arithmetic.
    fn readers(how: Interpolation, axis: &Axis, i: u64) -> std::ops::Range<usize> {
        let (out, last) = (axis.output, i as usize + 1 == axis.input);
        if axis.a == 0 {
            return 0..if i == 0 { out } else { 0 };
        }
        let (down, up) = (|n: u64| n * axis.b / axis.a, |n: u64| (n * axis.b).div_ceil(axis.a));
        let (start, end) = match how {
            Interpolation::Nearest => (up(i), up(i + 1)),
            Interpolation::NearestExact => (up(2 * i) / 2, up(2 * i + 2) / 2),
            Interpolation::Linear => (if i > 0 { down(2 * i - 1).div_ceil(2) } else { 0 }, up(2 * i + 3) / 2),
            Interpolation::LinearAlignCorners => (if i > 0 { down(i - 1) + 1 } else { 0 }, up(i + 1)),
        };
        start as usize..if last { out } else { out.min(end as usize) }
    }

    #[test]
    fn the_gradient_gathers_from_all_who_read_an_element_and_from_nobody_else() {
        for (input, output) in SIZES.iter().flat_map(|i| SIZES.map(|o| (*i, o))) {
            for how in ALL {
                let axis = axis(how, input, output);
                let taps: Vec<Tap<f64>> = how.taps(axis).collect();
                for i in 0..input {
                    let reads = |o: &usize| taps[*o].parts().any(|(at, _)| at == i);
                    let expected: Vec<usize> = (0..output).filter(reads).collect();
                    let found: Vec<usize> = readers(how, &axis, i as u64).collect();
                    assert_eq!(found, expected, "{input} to {output}, {how:?}, element {i}");
                }
            }
        }
    }

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
