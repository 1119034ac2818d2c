//! Max-pooling of images, with the positions of the maxima, and its gradient; and what both poolings share.
//!
//! `y[b, c, i, j] = max x[b, c, i·sh − top + u, j·sw − left + v]` over the `u < kh`, `v < kw` that lie on the image.
//!
//! Source: J. Weng, N. Ahuja, T. Huang, "Cresceptron", IJCNN 1992; the positions are those of TensorFlow's
//! `max_pool_with_argmax`, counted per plane.

use std::ops::Range;

use bytemuck::{Pod, Zeroable};

use super::{arity, expect_dtype};
use crate::contract::{
    CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Padding, Real, Window, grid, parallel_row_pairs,
    parallel_rows, stem,
};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Var};
use crate::shape::{DType, TensorSpec};

/// The largest element of every window, and where it was found.
///
/// Shapes: `x` `[batch, c, h, w]`; `y` and `positions` `[batch, c, oh, ow]`. A position is `row · w + column` in the plane without
/// its padding, as `u32`. Of equal elements the first wins; a NaN counts as larger than any number; padding never wins.
#[derive(Clone, Debug)]
pub struct MaxPool2d {
    /// The window; its dilation must be 1.
    pub window: Window<2>,
}

/// `dx` from the `positions` that [`MaxPool2d`] gave and `dy`, both `[batch, c, oh, ow]`: every element of `x` gathers `dy` from
/// the windows in which it was the largest.
#[derive(Clone, Debug)]
pub struct MaxPool2dGrad {
    /// The window of the pooling.
    pub window: Window<2>,
    /// Rows and columns of `x`.
    pub input: [usize; 2],
}

/// How pooling slides its window over an image. In every pair rows come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolOptions {
    /// Rows and columns of the window.
    pub kernel: [usize; 2],
    /// How far it moves.
    pub stride: [usize; 2],
    /// The padding of the image.
    pub padding: Padding<2>,
}

impl PoolOptions {
    /// A window that moves by its own size over an image without padding.
    pub fn new(kernel: [usize; 2]) -> Self {
        PoolOptions { kernel, stride: kernel, padding: Padding::Valid }
    }

    /// The same window moving by `stride`.
    #[must_use]
    pub fn stride(self, stride: [usize; 2]) -> Self {
        PoolOptions { stride, ..self }
    }

    /// The same window with this padding.
    #[must_use]
    pub fn padding(self, padding: Padding<2>) -> Self {
        PoolOptions { padding, ..self }
    }

    /// The window over the image `x`.
    pub(super) fn window(&self, op: &str, x: &Var) -> Result<Window<2>> {
        let [.., h, w] = image(op, &x.spec())?;
        Window::new(op, [h, w], self.kernel, self.stride, self.padding, [1, 1])
    }
}

/// Window and image as both poolings' kernels see them; `n` elements to compute.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
pub(super) struct Params {
    h: u32,
    w: u32,
    oh: u32,
    ow: u32,
    kh: u32,
    kw: u32,
    sh: u32,
    sw: u32,
    top: u32,
    left: u32,
    n: u32,
}

impl Params {
    /// For a pooling of `x` into `y` by a kernel with one invocation for each of `n` elements.
    pub(super) fn new(window: &Window<2>, x: [usize; 2], y: &TensorSpec, n: usize) -> Self {
        Params {
            h: x[0] as u32,
            w: x[1] as u32,
            oh: y.shape[2] as u32,
            ow: y.shape[3] as u32,
            kh: window.kernel[0] as u32,
            kw: window.kernel[1] as u32,
            sh: window.stride[0] as u32,
            sw: window.stride[1] as u32,
            top: window.before(0) as u32,
            left: window.before(1) as u32,
            n: n as u32,
        }
    }
}

/// The four extents of an image.
pub(super) fn image(op: &str, x: &TensorSpec) -> Result<[usize; 4]> {
    expect_dtype(op, x, DType::F32)?;
    (*x.shape).try_into().map_err(|_| Error::shape(op, "[batch, channels, rows, columns]", x.to_string()))
}

/// What pooling `x` gives, in floats.
pub(super) fn pooled(op: &str, window: &Window<2>, x: &TensorSpec) -> Result<TensorSpec> {
    let [batch, channels, h, w] = image(op, x)?;
    let [oh, ow] = window.output(op, [h, w])?;
    if window.dilation != [1, 1] {
        return Err(Error::parameter(op, "dilation", "1", format!("{:?}", window.dilation)));
    }
    // So every window has a cell on the image: what would the maximum of padding alone be?
    if (0..2).any(|axis| window.padding[axis].iter().any(|p| *p >= window.kernel[axis])) {
        let expected = format!("smaller than the window {:?}", window.kernel);
        return Err(Error::parameter(op, "padding", expected, format!("{:?}", window.padding)));
    }
    Ok(TensorSpec::f32([batch, channels, oh, ow]))
}

/// The image's rows (axis 0) or columns (axis 1), of `input` ones, that lie in the window at `position`.
pub(super) fn cells(window: &Window<2>, axis: usize, position: usize, input: usize) -> Range<usize> {
    let (start, before) = (position * window.stride[axis], window.before(axis));
    start.max(before) - before..(start + window.kernel[axis]).min(input + before) - before
}

impl OpDef for MaxPool2d {
    stem!("max_pool2d");

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [x] = arity(Self::STEM, inputs)?;
        let y = pooled(Self::STEM, &self.window, x)?;
        let positions = TensorSpec::u32(&y.shape);
        Ok(vec![y, positions])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let (x, y) = (&io.inputs[0].shape, &io.outputs[0]);
        let n = y.shape.elements();
        let params = Params::new(&self.window, [x[2], x[3]], y, n);
        Launch::new(Kernel::of::<Self>("max_pool2d"), &params, grid(n)).bind_all(io).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let (h, w) = (call.io.inputs[0].shape[2], call.io.inputs[0].shape[3]);
        let (oh, ow) = (call.io.outputs[0].shape[2], call.io.outputs[0].shape[3]);
        let (window, x) = (&self.window, call.x[0].f());
        let [y, positions] = &mut call.y[..] else { return };
        let plain = Window { kernel: [2, 2], stride: [2, 2], padding: [[0; 2]; 2], dilation: [1, 1] };
        parallel_row_pairs(y.f_mut(), positions.u_mut(), ow, |row, y, positions| {
            let (x, rows) = (&x[row / oh * h * w..][..h * w], cells(window, 0, row % oh, h));
            if *window == plain {
                return quads(&x[rows.start * w..rows.end * w], w, rows.start * w, y, positions);
            }
            for (column, (y, position)) in y.iter_mut().zip(positions).enumerate() {
                let columns = cells(window, 1, column, w);
                let mut at = rows.start * w + columns.start;
                let mut best = x[at];
                for start in rows.clone().map(|row| row * w) {
                    let (from, to) = (start + columns.start, start + columns.end);
                    for (v, i) in x[from..to].iter().zip(from..) {
                        if beats(*v, best) {
                            (best, at) = (*v, i);
                        }
                    }
                }
                (*y, *position) = (best, at as u32);
            }
        });
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        let x = ctx.input(0).shape();
        let grad = MaxPool2dGrad { window: self.window, input: [x[2], x[3]] };
        Ok(vec![ctx.wanted(0, || ctx.graph().push1(grad, &[ctx.output(1), ctx.dy()?]))?])
    }
}

/// Whether `v` takes the place of the largest so far. No short circuits, so that it vectorises.
#[inline(always)]
fn beats<T: Real>(v: T, best: T) -> bool {
    ((v > best) | v.is_nan()) & !best.is_nan()
}

/// Windows of 2×2 that touch but do not overlap: one row of results from the two rows in `x`, whose first element is at `start`.
/// Written without branches, so that it vectorises.
fn quads<T: Real>(x: &[T], w: usize, start: usize, y: &mut [T], positions: &mut [u32]) {
    let (upper, lower) = x.split_at(w);
    let cells = upper.chunks_exact(2).zip(lower.chunks_exact(2));
    for (j, ((y, position), (a, b))) in y.iter_mut().zip(positions).zip(cells).enumerate() {
        let (mut best, mut at) = (a[0], 0);
        for (v, i) in [(a[1], 1), (b[0], w as u32), (b[1], w as u32 + 1)] {
            let wins = beats(v, best);
            best = if wins { v } else { best };
            at = if wins { i } else { at };
        }
        (*y, *position) = (best, start as u32 + 2 * j as u32 + at);
    }
}

impl OpDef for MaxPool2dGrad {
    stem!("max_pool2d");

    fn name(&self) -> &str {
        "max_pool2d_grad"
    }

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [positions, dy] = arity(self.name(), inputs)?;
        let [batch, channels, ..] = image(self.name(), dy)?;
        expect_dtype(self.name(), positions, DType::U32)?;
        let x = TensorSpec::f32([batch, channels, self.input[0], self.input[1]]);
        let y = pooled(self.name(), &self.window, &x)?;
        if dy.shape != y.shape || positions.shape != y.shape {
            return Err(Error::shape(self.name(), format!("twice {}", y.shape), format!("{positions} and {dy}")));
        }
        Ok(vec![x])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let n = io.outputs[0].shape.elements();
        let params = Params::new(&self.window, self.input, &io.inputs[1], n);
        let kernel = Kernel::of::<Self>("max_pool2d_grad").define("GRAD", 1);
        Launch::new(kernel, &params, grid(n)).bind_all(io).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let outputs = call.io.inputs[1].shape[2..].iter().product::<usize>();
        let (positions, dy) = (call.x[0].u(), call.x[1].f());
        // A plane belongs to one thread, so here the windows may scatter; they are met in the order in which the kernel gathers.
        parallel_rows(call.y[0].f_mut(), self.input[0] * self.input[1], |plane, dx| {
            let part = plane * outputs..(plane + 1) * outputs;
            dx.fill(T::zero());
            for (position, dy) in positions[part.clone()].iter().zip(&dy[part]) {
                if let Some(dx) = dx.get_mut(*position as usize) {
                    *dx += *dy;
                }
            }
        });
    }

    fn gradient(&self, _ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok(vec![Grad::NotDifferentiable, Grad::Unsupported("second derivatives of max-pooling")])
    }
}

impl Var {
    /// The largest element of every window: `[batch, c, h, w]` to `[batch, c, oh, ow]`. See [`MaxPool2d`].
    ///
    /// # Errors
    /// Where this is not an image of floats, a kernel or stride is zero, the window is larger than the padded image, or padding is
    /// as large as the window.
    pub fn max_pool2d(&self, options: PoolOptions) -> Result<Var> {
        Ok(self.max_pool2d_with_positions(options)?.0)
    }

    /// Like [`Var::max_pool2d`], and where each was found: `row · w + column` in the plane without its padding, as `u32`.
    ///
    /// # Errors
    /// See [`Var::max_pool2d`].
    pub fn max_pool2d_with_positions(&self, options: PoolOptions) -> Result<(Var, Var)> {
        let window = options.window(MaxPool2d::STEM, self)?;
        let mut outputs = self.graph.push(MaxPool2d { window }, &[self])?;
        let positions = outputs.swap_remove(1);
        Ok((outputs.swap_remove(0), positions))
    }
}

#[cfg(test)]
mod tests {
    use smallvec::smallvec;

    use super::*;
    use crate::contract::View;

    fn run(window: Window<2>, shape: [usize; 4], x: &[f32]) -> (Vec<f32>, Vec<u32>) {
        let op = MaxPool2d { window };
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
        let fast = Window { kernel: [2, 2], stride: [2, 2], padding: [[0; 2]; 2], dilation: [1, 1] };
        // The same windows, by the general path: the padding adds nothing but a last row that no window reaches.
        let general = Window { padding: [[0, 1], [0, 0]], ..fast };
        for window in [fast, general] {
            let (y, positions) = run(window, [1, 1, 2, 7], &x);
            assert_eq!(positions, [1, 2, 12], "{window:?}");
            assert!(y[0] == 2.0 && y[1].is_nan() && y[2].is_nan());
        }
    }

    #[test]
    fn the_fast_path_is_the_general_one() {
        let x: Vec<f32> = (0..3 * 9 * 70).map(|i| ((i * 37) % 11) as f32).collect();
        let fast = Window { kernel: [2, 2], stride: [2, 2], padding: [[0; 2]; 2], dilation: [1, 1] };
        let padded = Window { padding: [[0, 0], [0, 1]], ..fast };
        let general = run(padded, [1, 3, 9, 70], &x);
        assert_eq!(run(fast, [1, 3, 9, 70], &x), general);
    }

    #[test]
    fn what_cannot_be_pooled_is_refused() {
        let plain = Window { kernel: [2, 2], stride: [2, 2], padding: [[0; 2]; 2], dilation: [1, 1] };
        let refused = |window, shape: &[usize]| MaxPool2d { window }.infer(&[TensorSpec::f32(shape)]).is_err();
        assert!(!refused(plain, &[1, 1, 4, 4]));
        assert!(refused(plain, &[1, 4, 4]));
        assert!(refused(plain, &[1, 1, 1, 4]));
        assert!(refused(Window { stride: [2, 0], ..plain }, &[1, 1, 4, 4]));
        assert!(refused(Window { padding: [[0, 0], [2, 0]], ..plain }, &[1, 1, 4, 4]));
        assert!(refused(Window { dilation: [2, 1], ..plain }, &[1, 1, 4, 4]));
    }
}
