//! Images resampled by an affine map of their own each, and by a smooth random displacement: flips, rotation, shift, zoom, shear and
//! elastic deformation in one reading, for images, class masks and boxes.
//!
//! The pixel at `q` of the result is what lies at `A q + t + d(q)` of the image, both counted from the image's centre. Between
//! pixels stands a straight line (`Sampling::Linear`) or the nearest pixel. Source of the conventions: `scipy.ndimage.map_coordinates`
//! of order 1 and 0 with the modes `grid-constant`, `nearest` and `reflect`.
//!
//! `d` is a cubic B-spline over a coarse grid of random control points: D. Rueckert et al., "Nonrigid registration using free-form
//! deformations", IEEE Transactions on Medical Imaging 18 (1999); as an augmentation: O. Ronneberger, P. Fischer, T. Brox, "U-Net", MICCAI 2015.

mod boxes;
mod map;

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use super::{arity, expect_dtype};
use crate::contract::{CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, grid, parallel_rows};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Var};
use crate::shape::{DType, TensorSpec};

pub use boxes::WarpBoxes;
pub use map::{DRAWS, WarpMap};

/// What stands between pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Sampling {
    /// A straight line between neighbours, in rows and in columns: for images.
    Linear,
    /// The nearest pixel: for masks.
    Nearest,
}

/// What stands beyond the edge of an image.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Fill {
    /// This number; in a mask of `u32` a class that is given beside it.
    Constant(f32),
    /// The pixel at the edge: `a a a | a b c d | d d d`.
    Edge,
    /// The image in a mirror: `c b a | a b c d | d c b`.
    Reflect,
}

/// `y[q] = x[A q + t + d(q)]`. Inputs: `x` `[batch, h, w]` or `[batch, c, h, w]`, floats or (for [`Sampling::Nearest`]) `u32`; the maps,
/// floats `[batch, 6]`: `A` and `t` of the column, `(a, b, t)`, then of the row; and, where there is a displacement, its control
/// points in pixels, floats `[batch, 2, cells + 3, cells + 3]`: of columns, then of rows.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Warp {
    /// What stands between pixels.
    pub sampling: Sampling,
    /// What stands beyond the edge.
    pub fill: Fill,
    /// The class that stands for a constant in a mask of `u32`.
    pub class: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    n: u32,
    width: u32,
    height: u32,
    channels: u32,
    fill: u32,
    cells: u32,
    pad: [u32; 2],
}

/// The maps of a batch, checked.
pub(super) fn expect_map(op: &str, map: &TensorSpec, batch: usize) -> Result<()> {
    let expected = TensorSpec::f32([batch, 6]);
    if *map == expected { Ok(()) } else { Err(Error::shape(op, format!("maps {expected}"), map.to_string())) }
}

/// Channels, rows and columns of `[batch, (c,) h, w]`.
fn extents(x: &TensorSpec) -> Option<[usize; 3]> {
    match *x.shape {
        [_, h, w] => Some([1, h, w]),
        [_, c, h, w] => Some([c, h, w]),
        _ => None,
    }
}

impl Warp {
    fn checked(&self, x: &TensorSpec) -> Result<()> {
        let wanted = if self.sampling == Sampling::Linear { DType::F32 } else { x.dtype };
        expect_dtype("warp", x, wanted)?;
        if x.dtype == DType::U8 {
            return Err(Error::dtype("warp", "f32 or u32", x.to_string()));
        }
        // Kernels count elements in 32 bits, and places twice as far as the image is wide in 31.
        let fits = extents(x).is_some_and(|e| e.iter().all(|n| *n < 1 << 28)) && x.shape.elements() < 1 << 31;
        if !fits {
            return Err(Error::shape("warp", "images [batch, h, w] or [batch, c, h, w]", x.to_string()));
        }
        if self.value().is_finite() {
            return Ok(());
        }
        Err(Error::parameter("warp", "fill", "finite", self.value()))
    }
}

/// Cells each way of a grid of control points.
fn cells(io: &Io) -> usize {
    io.inputs.get(2).map_or(0, |grid| grid.shape[3] - 3)
}

impl OpDef for Warp {
    const STEM: &'static str = "warp";
    const SHADER: &'static str = include_str!("../../../shaders/warp.wgsl");

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let (x, map) = match inputs {
            [x, map] => (x, map),
            [x, map, grid] => {
                expect_dtype("warp", grid, DType::F32)?;
                let fits =
                    matches!(*grid.shape, [b, 2, rows, columns] if b == x.shape[0] && rows == columns && rows > 3);
                if !fits {
                    let expected = "control points f32[batch, 2, cells + 3, cells + 3]";
                    return Err(Error::shape("warp", expected, grid.to_string()));
                }
                (x, map)
            }
            _ => return arity::<2>("warp", inputs).map(|_| Vec::new()),
        };
        self.checked(x)?;
        expect_map("warp", map, x.shape[0])?;
        Ok(vec![x.clone()])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let x = &io.inputs[0];
        let [channels, height, width] = extents(x).unwrap_or([1; 3]).map(|n| n as u32);
        let n = x.shape.elements();
        let fill = match self.fill {
            Fill::Constant(_) => "constant",
            Fill::Edge => "edge",
            Fill::Reflect => "reflect",
        };
        let (kind, fill_bits) =
            if x.dtype == DType::U32 { ("u32", self.class) } else { ("f32", self.value().to_bits()) };
        let cells = cells(io) as u32;
        let params = Params { n: n as u32, width, height, channels, fill: fill_bits, cells, pad: [0; 2] };
        let kernel = Kernel::of::<Self>("warp")
            .define("KIND", "image")
            .define("TYPE", kind)
            .define("FILL", fill)
            .define("LINEAR", u32::from(self.sampling == Sampling::Linear))
            .define("ELASTIC", u32::from(cells > 0));
        Launch::new(kernel, &params, grid(n)).bind_all(io).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let Some([channels, height, width]) = extents(&call.io.inputs[0]) else { return };
        let maps = call.x[1].f();
        let cells = cells(call.io);
        let field = if cells > 0 { Some(Field::new(call.x[2].f(), cells, height, width)) } else { None };
        // Where the pixel of a row is read.
        let source = |row: usize, column: usize| {
            let (sample, row) = (row / height / channels, row % height);
            let m = &maps[sample * 6..][..6];
            let half = T::of(0.5);
            let (cx, cy) = (half * T::of((width - 1) as f64), half * T::of((height - 1) as f64));
            let (qx, qy) = (T::of(column as f64) - cx, T::of(row as f64) - cy);
            let mut at = [m[0] * qx + m[1] * qy + m[2] + cx, m[3] * qx + m[4] * qy + m[5] + cy];
            if let Some(field) = &field {
                let d = field.at(sample, column, row);
                at = [at[0] + d[0], at[1] + d[1]];
            }
            at.map(|a| a.max(T::of(-1e9)).min(T::of(1e9)))
        };
        let view = |row: usize| Plane { start: row / height * height * width, height, width, fill: self.fill };
        match call.io.inputs[0].dtype {
            DType::F32 => {
                let (x, fill) = (call.x[0].f(), T::of(f64::from(self.value())));
                parallel_rows(call.y[0].f_mut(), width, |row, y| {
                    let plane = view(row);
                    for (column, y) in y.iter_mut().enumerate() {
                        let at = source(row, column);
                        *y = match self.sampling {
                            Sampling::Linear => plane.linear(x, at, fill),
                            Sampling::Nearest => plane.nearest(x, at, fill),
                        };
                    }
                });
            }
            _ => {
                let (x, fill) = (call.x[0].u(), self.class);
                parallel_rows(call.y[0].u_mut(), width, |row, y| {
                    let plane = view(row);
                    y.iter_mut().enumerate().for_each(|(c, y)| *y = plane.nearest(x, source(row, c), fill));
                });
            }
        }
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok(vec![Grad::NotDifferentiable; ctx.inputs()])
    }
}

impl Warp {
    fn value(&self) -> f32 {
        if let Fill::Constant(value) = self.fill { value } else { 0.0 }
    }
}

/// One plane of an image in memory.
struct Plane {
    start: usize,
    height: usize,
    width: usize,
    fill: Fill,
}

impl Plane {
    fn pixel<E: Copy>(&self, x: &[E], column: i64, row: i64, fill: E) -> E {
        let (width, height) = (self.width as i64, self.height as i64);
        let outside = column < 0 || row < 0 || column >= width || row >= height;
        if outside && matches!(self.fill, Fill::Constant(_)) {
            return fill;
        }
        let inside = |i: i64, n: i64| match self.fill {
            Fill::Reflect => {
                let at = i.rem_euclid(2 * n);
                if at >= n { 2 * n - 1 - at } else { at }
            }
            _ => i.clamp(0, n - 1),
        };
        x[self.start + inside(row, height) as usize * self.width + inside(column, width) as usize]
    }

    fn nearest<T: Real, E: Copy>(&self, x: &[E], at: [T; 2], fill: E) -> E {
        let [column, row] = at.map(|a| (a + T::of(0.5)).floor().f64() as i64);
        self.pixel(x, column, row, fill)
    }

    fn linear<T: Real>(&self, x: &[T], at: [T; 2], fill: T) -> T {
        let [column, row] = at.map(|a| a.floor().f64() as i64);
        let part = at.map(|a| a - a.floor());
        // What has no weight is not read, so that an image that is only turned stays as it is.
        let blend = |part: T, near: T, far: &dyn Fn() -> T| {
            if part == T::zero() { near } else { (T::one() - part) * near + part * far() }
        };
        let between =
            |row: i64| blend(part[0], self.pixel(x, column, row, fill), &|| self.pixel(x, column + 1, row, fill));
        blend(part[1], between(row), &|| between(row + 1))
    }
}

/// A smooth displacement, by its control points.
struct Field<'a, T> {
    points: &'a [T],
    /// Control points each way.
    count: usize,
    /// Of every column and of every row, the first of its four control points, and their weights.
    columns: Vec<(usize, [T; 4])>,
    rows: Vec<(usize, [T; 4])>,
}

impl<'a, T: Real> Field<'a, T> {
    fn new(points: &'a [T], cells: usize, height: usize, width: usize) -> Self {
        let along = |n: usize| {
            let weights = |i: usize| {
                let at = (T::of(i as f64) + T::of(0.5)) / T::of(n as f64) * T::of(cells as f64);
                let cell = (at.f64() as usize).min(cells - 1);
                (cell, spline(at - T::of(cell as f64)))
            };
            (0..n).map(weights).collect()
        };
        Field { points, count: cells + 3, columns: along(width), rows: along(height) }
    }

    /// The displacement of a pixel's column and row.
    fn at(&self, sample: usize, column: usize, row: usize) -> [T; 2] {
        let ((left, across), (top, down)) = (&self.columns[column], &self.rows[row]);
        let mut sum = [T::zero(); 2];
        for (j, down) in down.iter().enumerate() {
            for (i, across) in across.iter().enumerate() {
                let from = (2 * sample * self.count + top + j) * self.count + left + i;
                let weight = *down * *across;
                let second = self.points[from + self.count * self.count];
                sum = [sum[0] + weight * self.points[from], sum[1] + weight * second];
            }
        }
        sum
    }
}

/// The weights of the four control points around a place that lies `t` of a cell beyond the second of them.
fn spline<T: Real>(t: T) -> [T; 4] {
    let (s, six) = (T::one() - t, T::of(6.0));
    let inner = |t: T| (T::of(3.0) * t - six) * t * t + T::of(4.0);
    [s * s * s, inner(t), inner(s), t * t * t].map(|w| w / six)
}

impl Var {
    /// The images `[batch, h, w]` or `[batch, c, h, w]`, floats, each resampled by its map, and by its displacement where there is one: see
    /// [`Warp`]. It has no gradient.
    ///
    /// # Errors
    /// Where a shape does not fit, or classes are to be sampled between pixels.
    pub fn warp(&self, map: &Var, displacement: Option<&Var>, sampling: Sampling, fill: Fill) -> Result<Var> {
        let inputs: Vec<&Var> = [self, map].into_iter().chain(displacement).collect();
        self.graph.push1(Warp { sampling, fill, class: 0 }, &inputs)
    }

    /// Like [`Var::warp`], for masks of classes, u32: the nearest pixel; `class` stands where `fill` is a constant.
    ///
    /// # Errors
    /// Where a shape does not fit.
    pub fn warp_classes(&self, map: &Var, displacement: Option<&Var>, fill: Fill, class: u32) -> Result<Var> {
        let inputs: Vec<&Var> = [self, map].into_iter().chain(displacement).collect();
        self.graph.push1(Warp { sampling: Sampling::Nearest, fill, class }, &inputs)
    }

    /// The boxes `[batch, n, 4]` carried along with images of `size` (columns, rows) that were resampled by `map`: see [`WarpBoxes`].
    /// It has no gradient.
    ///
    /// # Errors
    /// Where a shape does not fit.
    pub fn warp_boxes(&self, map: &Var, size: [usize; 2]) -> Result<Var> {
        self.graph.push1(WarpBoxes { size }, &[self, map])
    }

    /// The maps `[batch, 6]` for [`Var::warp`] that uniform numbers `[batch, 8]` choose: see [`WarpMap`]. It has no gradient.
    ///
    /// # Errors
    /// Where a setting makes no sense or a shape does not fit.
    pub fn warp_map(&self, settings: &WarpMap) -> Result<Var> {
        self.graph.push1(settings.clone(), &[self])
    }
}
