//! Sum, mean and maximum over axes, and their counterpart that spreads a tensor over axes.

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use super::batch_norm::rows::sum;
use super::{arity, expect_dtype, indices};
use crate::contract::exact;
use crate::contract::{
    CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, Slot, grid, parallel_outputs, parallel_rows, stem,
};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Var};
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
/// Elements per output that one workgroup takes; where there are more, several workgroups share them in a first pass.
const PER_GROUP: usize = 1 << 14;

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
        let (outputs, count) = (io.outputs[0].shape.elements(), self.count(x));
        let parts = count.div_ceil(PER_GROUP);
        let params = Params {
            kept: indices(&kept, 1),
            kept_strides: indices(&kept_strides, 0),
            gone_strides: indices(&gone_strides, 0),
            outputs: outputs as u32,
            count: count as u32,
            part: count.div_ceil(parts) as u32,
            parts: parts as u32,
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
        let k = kept.len();
        if count <= SERIAL {
            return Launch::new(kernel("reduce_serial", k, &gone), &params, grid(outputs)).bind_all(io).into();
        }
        let fold = |groups: usize| {
            if groups <= 65_535 { [groups as u32, 1, 1] } else { [32_768, groups.div_ceil(32_768) as u32, 1] }
        };
        if parts == 1 {
            return Launch::new(kernel("reduce_group", k, &gone), &params, fold(outputs)).bind_all(io).into();
        }
        let first = Params { scale: 1.0, ..params };
        let second = Params {
            kept: indices(&[outputs], 1),
            kept_strides: indices(&[parts], 0),
            gone_strides: indices(&[1], 0),
            count: parts as u32,
            part: parts as u32,
            parts: 1,
            ..params
        };
        Launches {
            list: vec![
                Launch::new(kernel("reduce_group", k, &gone), &first, fold(outputs * parts))
                    .read(Slot::Input(0))
                    .write(Slot::Temp(0)),
                Launch::new(kernel("reduce_group", 1, &[parts]), &second, fold(outputs))
                    .read(Slot::Temp(0))
                    .write(Slot::Output(0)),
            ],
            temps: vec![TensorSpec::f32([outputs, parts])],
        }
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let shape = &call.io.inputs[0].shape;
        let (kept, kept_strides) = side(shape, |a| !self.axes.contains(&a));
        let (gone, gone_strides) = side(shape, |a| self.axes.contains(&a));
        let (x, scale) = (call.x[0].f(), T::one() / T::of(self.count(shape) as f64));
        let max = self.function == ReduceFn::Max;
        let (last, step) = (gone[gone.len() - 1], gone_strides[gone.len() - 1]);
        let runs = gone[..gone.len() - 1].iter().product::<usize>();
        parallel_outputs(call.y[0].f_mut(), self.count(shape), |index, y| {
            let base = offset(index, &kept, &kept_strides);
            let mut acc = if max { x[base] } else { T::zero() };
            for run in 0..runs {
                let start = base + offset(run, &gone[..gone.len() - 1], &gone_strides[..gone.len() - 1]);
                if step == 1 && !max {
                    acc += sum(&x[start..start + last]);
                    continue;
                }
                let run = (0..last).map(|i| x[start + i * step]);
                // Each run is summed by itself: the error grows with the longest run, not with the whole.
                acc =
                    if max { run.fold(acc, |a, b| if b > a || b.is_nan() { b } else { a }) } else { acc + lanes(run) };
            }
            *y = if self.function == ReduceFn::Mean { acc * scale } else { acc };
        });
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

/// A sum with eight running sums, which both vectorises and loses fewer digits than one.
fn lanes<T: Real>(values: impl Iterator<Item = T>) -> T {
    let mut sums = [T::zero(); 8];
    for (i, v) in values.enumerate() {
        sums[i % 8] += v;
    }
    ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]))
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
