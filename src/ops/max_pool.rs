//! Max-pooling of signals, images and volumes, with the positions of the maxima, and its gradient; and what both poolings share.
//!
//! Of a volume: `y[b, c, s, i, j] = max x[b, c, s·sd − front + t, i·sh − top + u, j·sw − left + v]` over the `t < kd`, `u < kh`,
//! `v < kw` that lie on the input. An image is a volume of one slice, a signal an image of one row.
//!
//! Source: J. Weng, N. Ahuja, T. Huang, "Cresceptron", IJCNN 1992; the positions are those of TensorFlow's
//! `max_pool_with_argmax`, counted per sample and channel.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::{arity, expect_dtype, passes, spatial, volume};
use crate::contract::{
    CpuCall, GpuTraits, Io, Launches, OpDef, Padding, Real, Window, parallel_row_pairs, parallel_rows, stem,
};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Var};
use crate::microkernel::sums::{self, RUN};
use crate::microkernel::wide_fn;
use crate::shape::{DType, TensorSpec};

/// The largest element of every window, and where it was found.
///
/// Shapes: `x` `[batch, c, ..]` with one to three spatial axes; `y` and `positions` `[batch, c, ..]` with as many positions along
/// them as the window has. A position is `(slice · h + row) · w + column` in the input without its padding, as `u32`. Of equal
/// elements the first wins; a NaN counts as larger than any number; padding never wins.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaxPool {
    /// The window over slices, rows and columns; 1 along axes that the input has not. Its dilation must be 1.
    pub window: Window<3>,
}

/// `dx` from the `positions` that [`MaxPool`] gave and `dy`, both of the shape of its `y`: every element of `x` gathers `dy` from
/// the windows in which it was the largest.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaxPoolGrad {
    /// The window of the pooling.
    pub window: Window<3>,
    /// Slices, rows and columns of `x`; 1 along axes that it has not.
    pub input: [usize; 3],
}

/// How pooling slides its window over `N` spatial axes, in the tensor's order: slices, rows, columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolOptions<const N: usize> {
    /// The window's extents.
    pub kernel: [usize; N],
    /// How far it moves.
    pub stride: [usize; N],
    /// The padding of the input.
    pub padding: Padding<N>,
}

impl<const N: usize> PoolOptions<N> {
    /// A window that moves by its own size over an input without padding.
    pub fn new(kernel: [usize; N]) -> Self {
        PoolOptions { kernel, stride: kernel, padding: Padding::Valid }
    }

    /// The same window moving by `stride`.
    #[must_use]
    pub fn stride(self, stride: [usize; N]) -> Self {
        PoolOptions { stride, ..self }
    }

    /// The same window with this padding.
    #[must_use]
    pub fn padding(self, padding: Padding<N>) -> Self {
        PoolOptions { padding, ..self }
    }

    /// The window over the input `x`.
    pub(super) fn window(&self, op: &str, x: &Var) -> Result<Window<3>> {
        let spec = x.spec();
        let input: [usize; N] = spatial(op, &spec)?.try_into().map_err(|_| {
            let axes = if N == 1 { "one spatial axis".to_owned() } else { format!("{N} spatial axes") };
            Error::shape(op, format!("[batch, channels, ..] with {axes}"), spec.to_string())
        })?;
        let window = Window::new(op, input, self.kernel, self.stride, self.padding, [1; N])?;
        check(op, &window)?;
        Ok(window.lift())
    }
}

/// Refuses dilation, and padding as large as the window: what would the maximum of padding alone be?
fn check<const N: usize>(op: &str, window: &Window<N>) -> Result<()> {
    if window.dilation != [1; N] {
        return Err(Error::parameter(op, "dilation", "1", format!("{:?}", window.dilation)));
    }
    if (0..N).any(|axis| window.padding[axis].iter().any(|p| *p >= window.kernel[axis])) {
        let expected = format!("smaller than the window {:?}", window.kernel);
        return Err(Error::parameter(op, "padding", expected, format!("{:?}", window.padding)));
    }
    Ok(())
}

/// What pooling `x` gives, in floats.
pub(super) fn pooled(op: &str, window: &Window<3>, x: &TensorSpec) -> Result<TensorSpec> {
    let lead = 3 - spatial(op, x)?.len();
    let y = window.output(op, volume(x))?;
    check(op, window)?;
    if window.kernel[..lead].iter().any(|k| *k != 1) {
        let expected = format!("1 along axes that {x} has not");
        return Err(Error::parameter(op, "the window", expected, format!("{:?}", window.kernel)));
    }
    Ok(with_spatial(x, y))
}

/// `x` with other slices, rows and columns, as many of them as it has.
pub(super) fn with_spatial(x: &TensorSpec, size: [usize; 3]) -> TensorSpec {
    let mut shape = x.shape.to_vec();
    let lead = 5 - shape.len();
    shape[2..].copy_from_slice(&size[lead..]);
    TensorSpec::f32(shape)
}

/// The slices, rows or columns of an input with `input` of them that lie in the window at `position`.
pub(super) fn cells(window: &Window<3>, axis: usize, position: usize, input: usize) -> Range<usize> {
    let (start, before) = (position * window.stride[axis], window.before(axis));
    start.max(before) - before..(start + window.kernel[axis]).min(input + before) - before
}

impl OpDef for MaxPool {
    stem!("max_pool");

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [x] = arity(Self::STEM, inputs)?;
        let y = pooled(Self::STEM, &self.window, x)?;
        let positions = TensorSpec::u32(&y.shape);
        Ok(vec![y, positions])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        passes::pool::maxima(&self.window, io)
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let ([d, h, w], [od, oh, ow]) = (volume(&call.io.inputs[0]), volume(&call.io.outputs[0]));
        let (window, x) = (&self.window, call.x[0].f());
        let [y, positions] = &mut call.y[..] else { return };
        let quad = Window { kernel: [1, 2, 2], stride: [1, 2, 2], padding: [[0; 2]; 3], dilation: [1; 3] };
        if *window == quad {
            return parallel_row_pairs(y.f_mut(), positions.u_mut(), oh * ow, oh * ow, |slice, y, positions| {
                let x = &x[slice * h * w..][..h * w];
                quads(x, [w, ow], (slice % d * h * w) as u32, y, positions);
            });
        }
        parallel_row_pairs(y.f_mut(), positions.u_mut(), ow, ow, |line, y, positions| {
            let x = &x[line / (od * oh) * d * h * w..][..d * h * w];
            let (slices, rows) = (cells(window, 0, line / oh % od, d), cells(window, 1, line % oh, h));
            let lines: SmallVec<[usize; 16]> =
                slices.flat_map(|slice| rows.clone().map(move |row| (slice * h + row) * w)).collect();
            // Windows between these columns have all of theirs.
            let whole = window.inside(2, 0, w, ow).start..window.inside(2, window.kernel[2] - 1, w, ow).end;
            let whole = whole.start..whole.end.max(whole.start);
            for column in (0..whole.start).chain(whole.end..ow) {
                let columns = cells(window, 2, column, w);
                (y[column], positions[column]) = largest(x, &lines, columns);
            }
            let (y, positions, first) = (&mut y[whole.clone()], &mut positions[whole.clone()], whole.start);
            let Some(start) = (first * window.stride[2]).checked_sub(window.before(2)) else { return };
            match window.stride[2] {
                1 => together::<_, 1>(x, &lines, start, window.kernel[2], 1, y, positions),
                2 => together::<_, 2>(x, &lines, start, window.kernel[2], 2, y, positions),
                stride => together::<_, 0>(x, &lines, start, window.kernel[2], stride, y, positions),
            }
        });
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        let grad = MaxPoolGrad { window: self.window, input: volume(&ctx.input(0).spec()) };
        Ok(vec![ctx.wanted(0, || ctx.graph().push1(grad, &[ctx.output(1), ctx.dy()?]))?])
    }
}

/// Whether `v` takes the place of the largest so far. No short circuits, so that it vectorises.
#[inline(always)]
pub(super) fn beats<T: Real>(v: T, best: T) -> bool {
    ((v > best) | v.is_nan()) & !best.is_nan()
}

/// The largest element in `columns` of the rows that begin at `lines`, and where it is.
fn largest<T: Real>(x: &[T], lines: &[usize], columns: Range<usize>) -> (T, u32) {
    let first = lines.first().map_or(0, |line| line + columns.start);
    let (mut best, mut at) = (x[first], first);
    for line in lines {
        let (from, to) = (line + columns.start, line + columns.end);
        for (v, i) in x[from..to].iter().zip(from..) {
            if beats(*v, best) {
                (best, at) = (*v, i);
            }
        }
    }
    (best, at as u32)
}

wide_fn! {
/// Windows of `kernel` columns, `stride` apart (`S` where that is not 0), of the rows that begin at `lines`; the first begins `start`
/// columns from there. All windows meet their next cell at once, so that it vectorises.
fn together<T: Real, const S: usize>(
    x: &[T],
    lines: &[usize],
    start: usize,
    kernel: usize,
    stride: usize,
    y: &mut [T],
    positions: &mut [u32],
) {
    let step = if S == 0 { stride } else { S };
    let n = y.len();
    if n == 0 {
        return;
    }
    for (cell, at) in lines.iter().flat_map(|line| (0..kernel).map(move |k| line + start + k)).enumerate() {
        let meet = |v: T, i: u32, y: &mut T, position: &mut u32| {
            let wins = (cell == 0) | beats(v, *y);
            *y = if wins { v } else { *y };
            *position = if wins { i } else { *position };
        };
        let cells = &x[at..at + (n - 1) * step + 1];
        let results = y.iter_mut().zip(positions.iter_mut()).enumerate();
        let results = results.map(|(j, (y, position))| ((at + j * step) as u32, y, position));
        if S == 0 {
            results.zip(cells.iter().step_by(step)).for_each(|((i, y, position), v)| meet(*v, i, y, position));
        } else {
            // Whole steps first: of the last cell there is no whole step.
            let whole = cells.as_chunks::<S>().0;
            results.zip(whole).for_each(|((i, y, position), v)| meet(v[0], i, y, position));
            if whole.len() < n {
                let v = cells[(n - 1) * step];
                meet(v, (at + (n - 1) * step) as u32, &mut y[n - 1], &mut positions[n - 1]);
            }
        }
    }
}
}

wide_fn! {
    /// Windows of 2×2 that touch but do not overlap, of a slice `x` with rows of `w` elements of which the first is at `start`: rows of `ow`
    /// results.
    fn quads<T: Real>(x: &[T], widths: [usize; 2], start: u32, y: &mut [T], positions: &mut [u32]) {
        let [w, ow] = widths;
        let results = y.chunks_exact_mut(ow).zip(positions.chunks_exact_mut(ow));
        for (row, ((y, positions), x)) in results.zip(x.chunks_exact(2 * w)).enumerate() {
            let start = start + (2 * row * w) as u32;
            let (upper, lower) = x.split_at(w);
            if ow < QUADS {
                for j in 0..ow {
                    let cells = [upper[2 * j], upper[2 * j + 1], lower[2 * j], lower[2 * j + 1]];
                    (y[j], positions[j]) = largest_of(cells, w as u32, start + 2 * j as u32);
                }
                continue;
            }
            // The last step begins earlier, so that it is a whole one.
            for from in (0..ow).step_by(QUADS).map(|from| from.min(ow - QUADS)) {
                let cells = 2 * from..2 * (from + QUADS);
                let (upper, lower) = (&upper[cells.clone()], &lower[cells]);
                let (y, positions) = (&mut y[from..from + QUADS], &mut positions[from..from + QUADS]);
                for j in 0..QUADS {
                    let cells = [upper[2 * j], upper[2 * j + 1], lower[2 * j], lower[2 * j + 1]];
                    (y[j], positions[j]) = largest_of(cells, w as u32, start + 2 * (from + j) as u32);
                }
            }
        }
    }
}

/// Windows that are met at once.
const QUADS: usize = 8;

/// The largest of the four cells of a window whose first is at `at`, in rows `w` apart, and where it is. Without branches, so that it
/// vectorises.
#[inline(always)]
fn largest_of<T: Real>(cells: [T; 4], w: u32, at: u32) -> (T, u32) {
    let (mut best, mut place) = (cells[0], 0);
    for (v, i) in [(cells[1], 1), (cells[2], w), (cells[3], w + 1)] {
        let wins = beats(v, best);
        best = if wins { v } else { best };
        place = if wins { i } else { place };
    }
    (best, at + place)
}

/// The gradient's twin: `dx` from positions and `dy`. The cells of one channel belong to one thread, so here the windows may scatter;
/// they are met in the order in which the kernels gather. `most` windows share an element, at most.
pub(super) fn scatter<T: Real>(mut call: CpuCall<'_, T>, most: usize) {
    let volume = |spec: &TensorSpec| spec.shape[2..].iter().product::<usize>();
    let (outputs, inputs) = (volume(&call.io.inputs[1]), volume(&call.io.outputs[0]));
    let (positions, dy) = (call.x[0].u(), call.x[1].f());
    parallel_rows(call.y[0].f_mut(), inputs, |plane, dx| {
        let part = plane * outputs..(plane + 1) * outputs;
        dx.fill(T::zero());
        let pairs = positions[part.clone()].iter().map(|position| *position as usize).zip(&dy[part]);
        if most > RUN {
            return sums::scatter(dx, |add| {
                pairs.filter(|(position, _)| *position < inputs).for_each(|(position, dy)| add(position, *dy));
            });
        }
        for (position, dy) in pairs {
            if let Some(dx) = dx.get_mut(position) {
                *dx += *dy;
            }
        }
    });
}

impl OpDef for MaxPoolGrad {
    stem!("max_pool");

    fn name(&self) -> &str {
        "max_pool_grad"
    }

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [positions, dy] = arity(self.name(), inputs)?;
        spatial(self.name(), dy)?;
        expect_dtype(self.name(), positions, DType::U32)?;
        let x = with_spatial(dy, self.input);
        let y = pooled(self.name(), &self.window, &x)?;
        if dy.shape != y.shape || positions.shape != y.shape {
            return Err(Error::shape(self.name(), format!("twice {}", y.shape), format!("{positions} and {dy}")));
        }
        Ok(vec![x])
    }

    fn gpu(&self, io: &Io, gpu: &GpuTraits) -> Launches {
        passes::pool::grad(&self.window, self.input, io, gpu)
    }

    fn cpu<T: Real>(&self, call: CpuCall<'_, T>) {
        let (window, dilated) = (&self.window, self.window.dilation != [1; 3]);
        let along = |axis: usize| window.kernel[axis].div_ceil(if dilated { 1 } else { window.stride[axis] });
        scatter(call, (0..3).map(along).product());
    }

    fn gradient(&self, _ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok(vec![Grad::NotDifferentiable, Grad::Unsupported("second derivatives of max-pooling")])
    }
}

impl Var {
    /// The largest element of every window along a signal: `[batch, c, w]` to `[batch, c, ow]`. See [`MaxPool`].
    ///
    /// # Errors
    /// See [`Var::max_pool2d`].
    pub fn max_pool1d(&self, options: PoolOptions<1>) -> Result<Var> {
        Ok(self.max_pool_with_positions(options)?.0)
    }

    /// The largest element of every window on an image: `[batch, c, h, w]` to `[batch, c, oh, ow]`. See [`MaxPool`].
    ///
    /// # Errors
    /// Where this is no tensor of floats with as many spatial axes as the window has, a kernel or stride is zero, the window is
    /// larger than the padded input, or padding is as large as the window.
    pub fn max_pool2d(&self, options: PoolOptions<2>) -> Result<Var> {
        Ok(self.max_pool_with_positions(options)?.0)
    }

    /// The largest element of every window in a volume: `[batch, c, d, h, w]` to `[batch, c, od, oh, ow]`. See [`MaxPool`].
    ///
    /// # Errors
    /// See [`Var::max_pool2d`].
    pub fn max_pool3d(&self, options: PoolOptions<3>) -> Result<Var> {
        Ok(self.max_pool_with_positions(options)?.0)
    }

    /// Like [`Var::max_pool2d`], and where each was found: `row · w + column` in the image without its padding, as `u32`.
    ///
    /// # Errors
    /// See [`Var::max_pool2d`].
    pub fn max_pool2d_with_positions(&self, options: PoolOptions<2>) -> Result<(Var, Var)> {
        self.max_pool_with_positions(options)
    }

    /// The largest element of every window over one to three spatial axes, and where each was found: `(slice · h + row) · w + column`
    /// in the input without its padding, as `u32`. See [`MaxPool`].
    ///
    /// # Errors
    /// See [`Var::max_pool2d`].
    pub fn max_pool_with_positions<const N: usize>(&self, options: PoolOptions<N>) -> Result<(Var, Var)> {
        let window = options.window(MaxPool::STEM, self)?;
        let mut outputs = self.graph.push(MaxPool { window }, &[self])?;
        let positions = outputs.swap_remove(1);
        Ok((outputs.swap_remove(0), positions))
    }
}

#[cfg(test)]
mod tests {
    use smallvec::smallvec;

    use super::*;
    use crate::contract::View;

    const QUAD: Window<2> = Window { kernel: [2, 2], stride: [2, 2], padding: [[0; 2]; 2], dilation: [1, 1] };

    fn run(window: Window<2>, shape: &[usize], x: &[f32]) -> (Vec<f32>, Vec<u32>) {
        let op = MaxPool { window: window.lift() };
        let inputs = vec![TensorSpec::f32(shape)];
        let io = Io { outputs: op.infer(&inputs).unwrap(), inputs };
        let n = io.outputs[0].shape.elements();
        let (mut y, mut positions) = (vec![f32::NAN; n], vec![u32::MAX; n]);
        let (x, y_views) = (smallvec![View::F(x)], smallvec![View::FMut(&mut y), View::UMut(&mut positions)]);
        op.cpu(CpuCall { io: &io, x, y: y_views, scratch: &mut [] });
        (y, positions)
    }

    #[test]
    fn the_first_maximum_wins_and_the_first_nan_beats_it() {
        let nan = f32::NAN;
        #[rustfmt::skip]
        let x = [
            1.0, 2.0,  nan, 1.0,  -1.0, -2.0,  9.0,
            2.0, 0.0,  5.0, nan,  f32::NEG_INFINITY, nan,  9.0,
        ];
        // The same windows, by the general path: the padding adds nothing but a last row that no window reaches.
        let general = Window { padding: [[0, 1], [0, 0]], ..QUAD };
        for window in [QUAD, general] {
            let (y, positions) = run(window, &[1, 1, 2, 7], &x);
            assert_eq!(positions, [1, 2, 12], "{window:?}");
            assert!(y[0] == 2.0 && y[1].is_nan() && y[2].is_nan());
        }
    }

    #[test]
    fn the_fast_path_is_the_general_one() {
        let x: Vec<f32> = (0..3 * 9 * 70).map(|i| ((i * 37) % 11) as f32).collect();
        let padded = Window { padding: [[0, 0], [0, 1]], ..QUAD };
        for shape in [&[1, 3, 9, 70][..], &[1, 1, 3, 9, 70]] {
            assert_eq!(run(QUAD, shape, &x), run(padded, shape, &x));
        }
    }

    #[test]
    fn what_cannot_be_pooled_is_refused() {
        let refused = |window: Window<2>, shape: &[usize]| {
            MaxPool { window: window.lift() }.infer(&[TensorSpec::f32(shape)]).is_err()
        };
        assert!(!refused(QUAD, &[1, 1, 4, 4]));
        assert!(!refused(QUAD, &[1, 1, 1, 4, 4]));
        assert!(refused(QUAD, &[1, 4, 4]));
        assert!(refused(QUAD, &[1, 1, 1, 4]));
        assert!(refused(Window { padding: [[1, 0], [0, 0]], ..QUAD }, &[1, 1, 4]));
        assert!(refused(Window { stride: [2, 0], ..QUAD }, &[1, 1, 4, 4]));
        assert!(refused(Window { padding: [[0, 0], [2, 0]], ..QUAD }, &[1, 1, 4, 4]));
        assert!(refused(Window { dilation: [2, 1], ..QUAD }, &[1, 1, 4, 4]));
    }
}
