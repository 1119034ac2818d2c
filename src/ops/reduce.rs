//! Sum, mean and maximum over axes, and their counterpart that spreads a tensor over axes.

use std::ops::Range;

use bytemuck::{Pod, Zeroable};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{arity, expect_dtype, indices};
use crate::contract::exact;
use crate::contract::{
    CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, Slot, fold, grid, parallel_outputs, parallel_rows,
    stem,
};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Var};
use crate::microkernel::sums::{RUN, shared, shared_sum, sum, sum_of};
use crate::microkernel::wide_fn;
use crate::shape::{DType, Shape, TensorSpec, resolve_axis};

/// Which reduction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum ReduceFn {
    /// `Σ x`
    Sum,
    /// `Σ x / n`
    Mean,
    /// The largest. Its gradient is shared equally by all that are equally large.
    Max,
}

/// Reduces over `axes`, which vanish from the shape.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reduce {
    /// The function.
    pub function: ReduceFn,
    /// The axes, ascending, none twice.
    pub axes: Vec<usize>,
}

/// `y = scale · x`, where `x` is repeated along axes of length 1 until it has `shape`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expand {
    /// The shape to reach; `x` broadcasts to it.
    pub shape: Shape,
    /// The factor.
    #[serde(with = "exact")]
    pub scale: f64,
}

/// Elements per output up to which one invocation reduces them all; above, a workgroup does.
const SERIAL: usize = 128;
/// Elements that one workgroup takes; where there are more, several workgroups share them.
pub(super) const PER_GROUP: usize = 1 << 14;
/// Invocations of a workgroup that reduces.
const LANES: usize = 256;
/// Elements below which a twin does not wake another thread, and results that it sums side by side.
const WORK: usize = 1 << 14;
const TOGETHER: usize = 64;

/// Loop iterations of an invocation where `lanes` of them share `elements` and add up what they have in a tree.
pub(super) fn sum_iterations(elements: usize, lanes: usize) -> u64 {
    elements.div_ceil(lanes) as u64 + u64::from(lanes.ilog2())
}

/// The launches that sum `[rows, count]` over its last axis.
pub(super) fn row_sums(rows: usize, count: usize, gpu: &GpuTraits) -> Launches {
    let io = Io { inputs: vec![TensorSpec::f32([rows, count])], outputs: vec![TensorSpec::f32([rows])] };
    Reduce { function: ReduceFn::Sum, axes: vec![1] }.gpu(&io, gpu)
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    kept: [u32; 8],
    kept_strides: [u32; 8],
    gone_strides: [u32; 8],
    outputs: u32,
    count: u32,
    /// Elements that each of a first pass's parts takes.
    part: u32,
    parts: u32,
    scale: f32,
    pad: [u32; 3],
}

/// Dimensions and strides of one side of a reduction, neighbours merged; never empty.
fn side(shape: &Shape, chosen: impl Fn(usize) -> bool) -> (Vec<usize>, Vec<usize>) {
    let strides = shape.strides();
    let (mut dims, mut steps): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
    for axis in (0..shape.len()).filter(|a| chosen(*a) && shape[*a] != 1) {
        match (dims.last_mut(), steps.last_mut()) {
            (Some(d), Some(s)) if *s == strides[axis] * shape[axis] => (*d, *s) = (*d * shape[axis], strides[axis]),
            _ => {
                dims.push(shape[axis]);
                steps.push(strides[axis]);
            }
        }
    }
    if dims.is_empty() { (vec![1], vec![0]) } else { (dims, steps) }
}

/// The offset of element `index` of a walk over `dims` with `strides`.
fn offset(mut index: usize, dims: &[usize], strides: &[usize]) -> usize {
    let mut at = 0;
    for axis in (0..dims.len()).rev() {
        at += index % dims[axis] * strides[axis];
        index /= dims[axis];
    }
    at
}

impl Reduce {
    fn count(&self, x: &Shape) -> usize {
        self.axes.iter().map(|a| x[*a]).product()
    }

    fn scale(&self, x: &Shape) -> f64 {
        if self.function == ReduceFn::Mean { 1.0 / self.count(x) as f64 } else { 1.0 }
    }
}

impl OpDef for Reduce {
    stem!("reduce");

    fn name(&self) -> &str {
        match self.function {
            ReduceFn::Sum => "sum",
            ReduceFn::Mean => "mean",
            ReduceFn::Max => "max",
        }
    }

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [x] = arity(self.name(), inputs)?;
        expect_dtype(self.name(), x, DType::F32)?;
        if !self.axes.is_sorted_by(|a, b| a < b) || self.axes.iter().any(|a| *a >= x.shape.len()) {
            let expected = format!("ascending, distinct and below {}", x.shape.len());
            return Err(Error::parameter(self.name(), "axes", expected, format!("{:?}", self.axes)));
        }
        let kept = (0..x.shape.len()).filter(|a| !self.axes.contains(a)).map(|a| x.shape[a]).collect::<Vec<_>>();
        Ok(vec![TensorSpec::f32(kept)])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let x = &io.inputs[0].shape;
        let (kept, kept_strides) = side(x, |a| !self.axes.contains(&a));
        let (gone, gone_strides) = side(x, |a| self.axes.contains(&a));
        let (outputs, mut count) = (io.outputs[0].shape.elements(), self.count(x));
        let mut params = Params {
            kept: indices(&kept, 1),
            kept_strides: indices(&kept_strides, 0),
            gone_strides: indices(&gone_strides, 0),
            outputs: outputs as u32,
            count: count as u32,
            part: count as u32,
            parts: 1,
            scale: self.scale(x) as f32,
            pad: [0; 3],
        };
        let kernel = |entry, kept: usize, gone: &[usize]| {
            let combine =
                if self.function == ReduceFn::Max { "select(a, b, b > a || is_nan_bits(b))" } else { "a + b" };
            // The first element of Max; a large finite number would hide that all elements are smaller.
            let kernel = Kernel::of::<Self>(entry).define("COMBINE", combine).define("KEPT", kept);
            let dims: Vec<String> = gone.iter().map(|d| format!("{d}u")).collect();
            let kernel = kernel.define("GONE", gone.len()).define("GONE_DIMS", dims.join(", "));
            kernel.define("MAX", u32::from(self.function == ReduceFn::Max))
        };
        if count <= SERIAL {
            let launch = Launch::new(kernel("reduce_serial", kept.len(), &gone), &params, grid(outputs));
            return launch.bind_all(io).iterations(count as u64).into();
        }
        // Every pass makes one number of at most PER_GROUP, until one is left: rounding grows with the number of passes.
        let (mut launches, mut from, mut k, mut gone) = (Launches::default(), Slot::Input(0), kept.len(), gone);
        loop {
            let parts = count.div_ceil(PER_GROUP);
            let part = count.div_ceil(parts);
            let to = if parts == 1 { Slot::Output(0) } else { launches.temp(TensorSpec::f32([outputs, parts])) };
            let scale = if parts == 1 { params.scale } else { 1.0 };
            let pass = Params { count: count as u32, part: part as u32, parts: parts as u32, scale, ..params };
            let launch =
                Launch::new(kernel("reduce_group", k, &gone), &pass, fold(outputs * parts)).read(from).write(to);
            launches.list.push(launch.iterations(sum_iterations(part, LANES)));
            if parts == 1 {
                return launches;
            }
            (from, k, gone, count) = (to, 1, vec![parts], parts);
            params.kept = indices(&[outputs], 1);
            params.kept_strides = indices(&[parts], 0);
            params.gone_strides = indices(&[1], 0);
        }
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let shape = &call.io.inputs[0].shape;
        let (kept, kept_strides) = side(shape, |a| !self.axes.contains(&a));
        let (gone, strides) = side(shape, |a| self.axes.contains(&a));
        let (x, count, y) = (call.x[0].f(), self.count(shape), call.y[0].f_mut());
        let first = |index: usize| offset(index, &kept, &kept_strides);
        let walk = Walk { dims: &gone, strides: &strides };
        if self.function == ReduceFn::Max {
            return parallel_outputs(y, count, |index, y| {
                let x = &x[first(index)..];
                *y = x[0];
                walk.runs(0..count, |start, n, step| {
                    let run = x[start..].iter().step_by(step).take(n);
                    *y = run.fold(*y, |a, b| if *b > a || b.is_nan() { *b } else { a });
                });
            });
        }
        let scale = if self.function == ReduceFn::Mean { T::one() / T::of(count as f64) } else { T::one() };
        let width = kept[kept.len() - 1];
        if !kept_strides.ends_with(&[1]) {
            // The last axis goes: what is summed are neighbours.
            parallel_outputs(y, count, |index, y| *y = walk.sum(&x[first(index)..]) * scale);
        } else {
            // It stays: neighbouring results are summed side by side.
            let rows = y.par_chunks_exact_mut(width).enumerate().with_min_len(WORK.div_ceil(count * width));
            rows.for_each(|(row, y)| {
                y.par_chunks_mut(TOGETHER).enumerate().with_min_len(WORK.div_ceil(count * TOGETHER)).for_each(
                    |(i, y)| {
                        let x = &x[first(row * width) + i * TOGETHER..];
                        match y.len() {
                            ..=4 => walk.sums::<T, 4>(x, y),
                            5..=16 => walk.sums::<T, 16>(x, y),
                            _ => walk.sums::<T, TOGETHER>(x, y),
                        }
                        y.iter_mut().for_each(|y| *y *= scale);
                    },
                );
            });
        }
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        let (x, y, dy) = (ctx.input(0), ctx.output(0), ctx.dy()?);
        let shape = x.shape();
        let with_ones: Vec<usize> =
            (0..shape.len()).map(|a| if self.axes.contains(&a) { 1 } else { shape[a] }).collect();
        let dy = dy.reshape(with_ones.clone())?;
        if self.function != ReduceFn::Max {
            let dx = dy.graph().push1(Expand { shape: shape.clone(), scale: self.scale(&shape) }, &[&dy])?;
            return Ok(vec![Grad::Of(dx)]);
        }
        let winners = x.equal(&y.reshape(with_ones.clone())?)?;
        let axes: Vec<isize> = self.axes.iter().map(|a| *a as isize).collect();
        let share = dy.div(&winners.sum(&axes, true)?)?;
        Ok(vec![Grad::Of(winners.mul(&share)?)])
    }
}

/// The elements that one result is made of: a walk over `dims` with `strides`.
#[derive(Clone, Copy)]
struct Walk<'a> {
    dims: &'a [usize],
    strides: &'a [usize],
}

impl Walk<'_> {
    /// Elements of a run along the last dimension, and from each to the next.
    fn last(&self) -> [usize; 2] {
        let last = self.dims.len() - 1;
        [self.dims[last], self.strides[last]]
    }

    /// Where run `run` begins.
    fn first(&self, run: usize) -> usize {
        let lead = self.dims.len() - 1;
        offset(run, &self.dims[..lead], &self.strides[..lead])
    }

    /// Calls `f(where it begins, elements, from each to the next)` for every run of the elements `range`.
    fn runs(&self, range: Range<usize>, mut f: impl FnMut(usize, usize, usize)) {
        let [len, step] = self.last();
        let mut at = range.start;
        while at < range.end {
            let n = (len - at % len).min(range.end - at);
            f(self.first(at / len) + at % len * step, n, step.max(1));
            at += n;
        }
    }

    /// The sum of all, whose runs are neighbours.
    fn sum<T: Real>(&self, x: &[T]) -> T {
        let len = self.last()[0];
        let runs = self.dims[..self.dims.len() - 1].iter().product();
        if runs == 1 { shared_sum(&x[..len]) } else { sum_of(runs, |run| sum(&x[self.first(run)..][..len])) }
    }

    /// The sums of as many neighbouring results as `y` has, at most `N`.
    fn sums<T: Real, const N: usize>(&self, x: &[T], y: &mut [T]) {
        let width = y.len();
        let sums = shared(0..self.dims.iter().product(), RUN, &|piece| {
            let mut sums = [T::zero(); N];
            self.runs(piece, |start, n, step| add_rows(&x[start..], step, n, &mut sums[..width]));
            sums
        });
        y.copy_from_slice(&sums[..y.len()]);
    }
}

wide_fn! {
    /// Adds `n` rows, `step` apart, to sums.
    fn add_rows<T: Real>(x: &[T], step: usize, n: usize, sums: &mut [T]) {
        for i in 0..n {
            sums.iter_mut().zip(&x[i * step..]).for_each(|(sum, x)| *sum += *x);
        }
    }
}

impl OpDef for Expand {
    stem!("reduce");

    fn name(&self) -> &str {
        "expand"
    }

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [x] = arity(self.name(), inputs)?;
        expect_dtype(self.name(), x, DType::F32)?;
        if x.shape.broadcast(&self.shape).as_ref() != Some(&self.shape) {
            return Err(Error::shape(self.name(), format!("a shape that broadcasts to {}", self.shape), x.to_string()));
        }
        Ok(vec![TensorSpec::f32(self.shape.clone())])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let strides = io.inputs[0].shape.broadcast_strides(&self.shape);
        let n = self.shape.elements();
        let params = Params {
            kept: indices(&self.shape, 1),
            kept_strides: indices(&strides, 0),
            gone_strides: [0; 8],
            outputs: n as u32,
            count: 1,
            part: 1,
            parts: 1,
            scale: self.scale as f32,
            pad: [0; 3],
        };
        let kernel = Kernel::of::<Self>("reduce_expand").define("KEPT", self.shape.len()).define("GONE", 1);
        let kernel = kernel.define("GONE_DIMS", "1u").define("MAX", 0).define("COMBINE", "a + b");
        Launch::new(kernel, &params, grid(n)).bind_all(io).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let strides = call.io.inputs[0].shape.broadcast_strides(&self.shape);
        let (x, scale) = (call.x[0].f(), T::of(self.scale));
        let Some((&width, lead)) = self.shape.split_last() else {
            call.y[0].f_mut()[0] = x[0] * scale;
            return;
        };
        let step = strides[lead.len()];
        parallel_rows(call.y[0].f_mut(), width, |row, y| {
            let base = offset(row, lead, &strides[..lead.len()]);
            if step == 0 {
                y.fill(x[base] * scale);
            } else {
                y.iter_mut().zip(&x[base..]).for_each(|(y, x)| *y = *x * scale);
            }
        });
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        let dx = ctx.dy()?.sum_to(&ctx.input(0).shape())?;
        Ok(vec![Grad::Of(if self.scale == 1.0 { dx } else { dx.broadcast_scaled(self.scale)? })])
    }
}

impl Var {
    /// `Σ x` over `axes` (negative ones count from the end), which become 1 with `keep` and vanish without.
    ///
    /// # Errors
    /// Where there is no such axis or one is named twice.
    pub fn sum(&self, axes: &[isize], keep: bool) -> Result<Var> {
        self.reduce(ReduceFn::Sum, axes, keep)
    }

    /// The mean over `axes`; see [`Var::sum`].
    ///
    /// # Errors
    /// See [`Var::sum`].
    pub fn mean(&self, axes: &[isize], keep: bool) -> Result<Var> {
        self.reduce(ReduceFn::Mean, axes, keep)
    }

    /// The maximum over `axes`; see [`Var::sum`]. Elements that share the maximum share its gradient equally.
    ///
    /// # Errors
    /// See [`Var::sum`].
    pub fn max(&self, axes: &[isize], keep: bool) -> Result<Var> {
        self.reduce(ReduceFn::Max, axes, keep)
    }

    /// The sum of all elements, a scalar.
    ///
    /// # Errors
    /// Where the elements are not floats.
    pub fn sum_all(&self) -> Result<Var> {
        self.graph.push1(Reduce { function: ReduceFn::Sum, axes: (0..self.shape().len()).collect() }, &[self])
    }

    /// The mean of all elements, a scalar.
    ///
    /// # Errors
    /// Where the elements are not floats.
    pub fn mean_all(&self) -> Result<Var> {
        self.graph.push1(Reduce { function: ReduceFn::Mean, axes: (0..self.shape().len()).collect() }, &[self])
    }

    fn reduce(&self, function: ReduceFn, axes: &[isize], keep: bool) -> Result<Var> {
        let shape = self.shape();
        let op = Reduce { function, axes: Vec::new() };
        let mut resolved = axes.iter().map(|a| resolve_axis(op.name(), *a, shape.len())).collect::<Result<Vec<_>>>()?;
        resolved.sort_unstable();
        let y = self.graph.push1(Reduce { function, axes: resolved.clone() }, &[self])?;
        if !keep {
            return Ok(y);
        }
        y.reshape((0..shape.len()).map(|a| if resolved.contains(&a) { 1 } else { shape[a] }).collect::<Vec<_>>())
    }

    /// This tensor repeated along its axes of length 1 (and along new leading ones) until it has `shape`.
    ///
    /// # Errors
    /// Where it does not broadcast to `shape`.
    pub fn broadcast_to(&self, shape: impl Into<Shape>) -> Result<Var> {
        self.graph.push1(Expand { shape: shape.into(), scale: 1.0 }, &[self])
    }

    /// `scale · x`, with the factor in the twin's own precision.
    fn broadcast_scaled(&self, scale: f64) -> Result<Var> {
        self.graph.push1(Expand { shape: self.shape(), scale }, &[self])
    }

    /// The sum over whatever axes broadcasting added to `shape`: the gradient of [`Var::broadcast_to`].
    ///
    /// # Errors
    /// Where `shape` does not broadcast to this tensor's.
    pub fn sum_to(&self, shape: &Shape) -> Result<Var> {
        let own = self.shape();
        if own == *shape {
            return Ok(self.clone());
        }
        let lead = own.len().saturating_sub(shape.len());
        let axes: Vec<usize> = (0..own.len()).filter(|&a| a < lead || (shape[a - lead] == 1 && own[a] != 1)).collect();
        self.graph.push1(Reduce { function: ReduceFn::Sum, axes }, &[self])?.reshape(shape)
    }
}
