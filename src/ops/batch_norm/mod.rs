//! Batch normalisation: every channel has its mean taken away and is divided by its standard deviation, over batch and space.
//!
//! `y = (x − mean) · γ / √(variance + ε) + β`. In training `mean` and `variance` are those of the batch, the variance biased
//! (divided by how many elements a channel has); else they are given. Shapes: `x`, `y` `[batch, c, ..]`, all others `[c]`.
//!
//! Source: S. Ioffe, C. Szegedy, "Batch normalization: accelerating deep network training by reducing internal covariate shift", ICML
//! 2015. The variance is computed without cancellation; see `rows.rs`.

pub(crate) mod rows;

use serde::{Deserialize, Serialize};

use super::unary::passed;
use super::{arity, expect_dtype};
use crate::contract::exact;
use crate::contract::{
    CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, Slot, parallel_rows, parallel_together,
};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Var};
use crate::microkernel::wide_fn;
use crate::shape::{DType, Shape, TensorSpec};
use rows::{Rows, Statistic, parallel_planes};

/// Normalises with the statistics of the batch. Inputs: `x` `[batch, c, ..]`, `gamma` and `beta` `[c]`. Outputs: `y`; `mean` and `variance`
/// `[c]`; and what the gradient needs, `[3, c]`: the mean, what it lacks through rounding, `1 / √(variance + ε)`.
///
/// The loss may depend on `y` only.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchNorm {
    /// What is added to the variance; positive.
    #[serde(with = "exact")]
    pub epsilon: f64,
    /// ReLU after it. Only [fusion](crate::graph) sets it: the gradient is that of the unfused nodes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub relu: bool,
}

/// Normalises with given statistics. Inputs: `x` `[batch, c, ..]`; `gamma`, `beta`, `mean` and `variance` `[c]`. Outputs: `y`, and what the
/// gradient needs, as [`BatchNorm`] gives it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchNormInfer {
    /// What is added to the variance; positive.
    #[serde(with = "exact")]
    pub epsilon: f64,
    /// ReLU after it. Only [fusion](crate::graph) sets it: the gradient is that of the unfused nodes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub relu: bool,
}

/// `dx`, `dgamma` and `dbeta` from `x`, `gamma`, what the forward op saved, and `dy`. With `h = (x − mean) · rstd`: `dbeta = Σ dy`,
/// `dgamma = Σ dy · h`, `dx = γ · rstd · (dy − dbeta / n − h · dgamma / n)` for channels of `n` elements; sums over batch and space.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchNormGrad {
    /// Of [`BatchNormInfer`]: the statistics do not depend on `x`, so that `dx = γ · rstd · dy`.
    pub frozen: bool,
    /// There is a ReLU after it, whose result is a fifth input, and `dy` is that of the ReLU. Only [fusion](crate::graph) sets it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub relu: bool,
}

const SHADER: &str = include_str!("../../../shaders/batch_norm.wgsl");

/// Batch, channels and elements of a channel's plane of `x`, whose first two dimensions those are.
pub(super) fn sizes(op: &str, x: &TensorSpec) -> Result<[usize; 3]> {
    expect_dtype(op, x, DType::F32)?;
    match &x.shape[..] {
        [batch, c, space @ ..] => Ok([*batch, *c, space.iter().product()]),
        _ => Err(Error::shape(op, "x [batch, channels, ..]", x.to_string())),
    }
}

/// Refuses anything but one number per channel.
pub(super) fn expect_channels(op: &str, c: usize, named: &[(&str, &TensorSpec)]) -> Result<()> {
    for (what, spec) in named {
        let wanted = TensorSpec::f32([c]);
        if **spec != wanted {
            return Err(Error::shape(op, format!("{what} {wanted} for {c} channels"), spec.to_string()));
        }
    }
    Ok(())
}

pub(super) fn expect_epsilon(op: &str, epsilon: f64) -> Result<()> {
    if (epsilon as f32).is_normal() && epsilon > 0.0 {
        return Ok(());
    }
    Err(Error::parameter(op, "epsilon", "a positive number within the range of f32", epsilon))
}

fn channels(x: &Shape) -> Rows {
    Rows::channels(x[0], x[1], x[2..].iter().product())
}

impl BatchNorm {
    /// Whether a channel of `x` `[batch, channels, space]` is cut into parts on a GPU, whose moments are merged.
    pub(super) fn has_parts([batch, c, space]: [usize; 3]) -> bool {
        Rows::channels(batch, c, space).parts > 1
    }

    /// The launch that makes mean, variance and what is saved of the moments of the parts of every row.
    fn merge(&self, rows: &Rows) -> Launch {
        Launch::new(
            kernel::<Self>("batch_norm_merge", "merge", false),
            &rows.params(1, self.epsilon),
            rows.merge_grid(),
        )
    }

    /// The launch that makes `y` of `x`, `gamma`, `beta` and what was saved.
    fn apply(&self, rows: &Rows) -> Launch {
        Launch::new(kernel::<Self>("batch_norm_apply", "apply", self.relu), &rows.params(1, self.epsilon), rows.grid())
    }

    /// The same as [`BatchNorm::merge`], of moments that somebody else made of `x` `[batch, channels, space]`: of `piece` neighbours after
    /// one another, as if every channel were one run.
    pub(super) fn merge_of(&self, [batch, c, space]: [usize; 3], parts: usize, piece: usize) -> Launch {
        self.merge(&Rows::cut(c, batch * space, parts, piece))
    }

    /// The launch that normalises `x` `[batch, channels, space]`: it reads `x`, `gamma`, `beta` and what was saved, and writes `y`.
    pub(super) fn apply_of(&self, [batch, c, space]: [usize; 3]) -> Launch {
        self.apply(&Rows::channels(batch, c, space))
    }
}

fn kernel<O: OpDef>(entry: &'static str, pass: &str, relu: bool) -> Kernel {
    Kernel::of::<O>(entry).define("PASS", pass).define("RELU", u32::from(relu))
}

impl OpDef for BatchNorm {
    const STEM: &'static str = "batch_norm";
    const SHADER: &'static str = SHADER;

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [x, gamma, beta] = arity(self.name(), inputs)?;
        let [_, c, _] = sizes(self.name(), x)?;
        expect_channels(self.name(), c, &[("gamma", gamma), ("beta", beta)])?;
        expect_epsilon(self.name(), self.epsilon)?;
        Ok(vec![x.clone(), TensorSpec::f32([c]), TensorSpec::f32([c]), TensorSpec::f32([3, c])])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let rows = channels(&io.inputs[0].shape);
        let params = rows.params(1, self.epsilon);
        if rows.parts == 1 {
            return Launch::new(kernel::<Self>("batch_norm", "whole", self.relu), &params, rows.grid())
                .bind_all(io)
                .into();
        }
        let moments = Launch::new(kernel::<Self>("batch_norm_moments", "moments", false), &params, rows.grid());
        let (merge, apply) = (self.merge(&rows), self.apply(&rows));
        Launches {
            list: vec![
                moments.read(Slot::Input(0)).write(Slot::Temp(0)),
                merge.read(Slot::Temp(0)).write(Slot::Output(1)).write(Slot::Output(2)).write(Slot::Output(3)),
                apply
                    .read(Slot::Input(0))
                    .read(Slot::Input(1))
                    .read(Slot::Input(2))
                    .read(Slot::Output(3))
                    .write(Slot::Output(0)),
            ],
            temps: vec![TensorSpec::f32([rows.rows, rows.parts, 3])],
        }
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let rows = channels(&call.io.inputs[0].shape);
        let moments = &mut call.scratch[..rows.scratch(3)];
        let (x, gamma, beta) = (call.x[0].f(), call.x[1].f(), call.x[2].f());
        let [y, mean, variance, saved] = &mut call.y[..] else { return };
        if rows.are_whole() {
            rows.whole(moments, 3, y.f_mut(), |row, moments, mut y| {
                for (part, of_part) in moments.chunks_exact_mut(3).enumerate() {
                    of_part.copy_from_slice(&rows.moments_of(x, row, part));
                }
                // They are the only row of what is handed on.
                let s = rows.statistic(moments, 0, self.epsilon);
                let channel = [s.mean, s.rest, gamma[row] * s.rstd, beta[row]];
                for plane in 0..rows.planes {
                    normalise_run(channel, self.relu, &x[rows.first(row, plane)..], y.row(plane));
                }
            });
        } else {
            rows.moments(x, moments);
        }
        let [whole, rest, rstd] = thirds(saved.f_mut());
        parallel_together([mean.f_mut(), variance.f_mut(), whole, rest, rstd], |start, out| {
            let [mean, variance, whole, rest, rstd] = out;
            for i in 0..mean.len() {
                let s = rows.statistic(moments, start + i, self.epsilon);
                (mean[i], variance[i], whole[i], rest[i], rstd[i]) = (s.mean, s.variance, s.mean, s.rest, s.rstd);
            }
        });
        if !rows.are_whole() {
            normalise(&rows, x, [gamma, beta, saved.f()], self.relu, y.f_mut());
        }
    }

    fn scratch(&self, io: &Io) -> usize {
        channels(&io.inputs[0].shape).scratch(3)
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        if (1..4).any(|i| ctx.cotangent(i).is_some()) {
            return Ok(vec![Grad::Unsupported("the loss depends on the batch's mean or variance itself"); 3]);
        }
        gradient(ctx, 3, false)
    }
}

/// The three rows of what the gradient needs: mean, what it lacks, and `1 / √(variance + ε)`.
pub(super) fn thirds<T>(saved: &mut [T]) -> [&mut [T]; 3] {
    let (mean, others) = saved.split_at_mut(saved.len() / 3);
    let (rest, rstd) = others.split_at_mut(mean.len());
    [mean, rest, rstd]
}

/// What normalises row `row`, from what was saved.
pub(super) fn saved_of<T: Real>(saved: &[T], row: usize) -> Statistic<T> {
    let rows = saved.len() / 3;
    Statistic { mean: saved[row], rest: saved[rows + row], variance: T::zero(), rstd: saved[2 * rows + row] }
}

fn normalise<T: Real>(rows: &Rows, x: &[T], [gamma, beta, saved]: [&[T]; 3], relu: bool, y: &mut [T]) {
    let c = rows.rows;
    if rows.space > 1 {
        return parallel_planes(y, rows.space, |plane, at, y| {
            let Statistic { mean, rest, rstd, .. } = saved_of(saved, plane % c);
            normalise_run([mean, rest, gamma[plane % c] * rstd, beta[plane % c]], relu, &x[at..], y);
        });
    }
    let (mean, rest, rstd) = (&saved[..c], &saved[c..2 * c], &saved[2 * c..]);
    parallel_rows(y, c, |row, y| {
        let x = &x[row * c..][..c];
        for i in 0..c {
            let v = ((x[i] - mean[i]) - rest[i]) * (gamma[i] * rstd[i]) + beta[i];
            y[i] = if relu && v < T::zero() { T::zero() } else { v };
        }
    });
}

wide_fn! {
    /// A run of one channel normalised, with its mean, what that lacks, scale and shift.
    fn normalise_run<T: Real>(channel: [T; 4], relu: bool, x: &[T], y: &mut [T]) {
        let [mean, rest, scale, shift] = channel;
        if relu {
            for (y, x) in y.iter_mut().zip(x) {
                let v = ((*x - mean) - rest) * scale + shift;
                *y = if v < T::zero() { T::zero() } else { v };
            }
        } else {
            y.iter_mut().zip(x).for_each(|(y, x)| *y = ((*x - mean) - rest) * scale + shift);
        }
    }
}

wide_fn! {
    /// The slope along a run of one channel: `dx` from `dy`, of which a ReLU may have let a part through.
    fn slope_run<T: Real>(channel: Slope<T>, x: &[T], dy: &[T], y: Option<&[T]>, dx: &mut [T]) {
        match y {
            Some(y) => {
                for (dx, ((x, dy), y)) in dx.iter_mut().zip(x.iter().zip(dy).zip(y)) {
                    *dx = channel.at(*x, passed(*dy, *y));
                }
            }
            None => dx.iter_mut().zip(x.iter().zip(dy)).for_each(|(dx, (x, dy))| *dx = channel.at(*x, *dy)),
        }
    }
}

/// What the gradient of one channel's elements needs.
#[derive(Clone, Copy)]
struct Slope<T> {
    mean: T,
    rest: T,
    scale: T,
    /// `dbeta / n`, and `dgamma / n · rstd`; none where the statistics do not depend on `x`.
    shares: Option<[T; 2]>,
}

impl<T: Real> Slope<T> {
    #[inline(always)]
    fn at(&self, x: T, dy: T) -> T {
        match self.shares {
            None => self.scale * dy,
            Some([beta, gamma]) => self.scale * ((dy - beta) - ((x - self.mean) - self.rest) * gamma),
        }
    }
}

fn gradient(ctx: &GradientCtx, saved: usize, frozen: bool) -> Result<Vec<Grad>> {
    let inputs = [ctx.input(0), ctx.input(1), ctx.output(saved), ctx.dy()?];
    Ok(ctx.graph().push(BatchNormGrad { frozen, relu: false }, &inputs)?.into_iter().map(Grad::Of).collect())
}

impl OpDef for BatchNormInfer {
    const STEM: &'static str = "batch_norm";
    const SHADER: &'static str = SHADER;

    fn name(&self) -> &str {
        "batch_norm_infer"
    }

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [x, gamma, beta, mean, variance] = arity(self.name(), inputs)?;
        let [_, c, _] = sizes(self.name(), x)?;
        let named = [("gamma", gamma), ("beta", beta), ("mean", mean), ("variance", variance)];
        expect_channels(self.name(), c, &named)?;
        expect_epsilon(self.name(), self.epsilon)?;
        Ok(vec![x.clone(), TensorSpec::f32([3, c])])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let rows = channels(&io.inputs[0].shape);
        let params = rows.params(1, self.epsilon);
        Launch::new(kernel::<Self>("batch_norm_infer", "infer", self.relu), &params, rows.grid()).bind_all(io).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let rows = channels(&call.io.inputs[0].shape);
        let (mean, variance) = (call.x[3].f(), call.x[4].f());
        let [y, saved] = &mut call.y[..] else { return };
        let [whole, rest, rstd] = thirds(saved.f_mut());
        whole.copy_from_slice(mean);
        rest.fill(T::zero());
        let epsilon = T::of(self.epsilon);
        rstd.iter_mut().zip(variance).for_each(|(rstd, v)| *rstd = T::one() / (*v + epsilon).sqrt());
        normalise(&rows, call.x[0].f(), [call.x[1].f(), call.x[2].f(), saved.f()], self.relu, y.f_mut());
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        let mut grads = gradient(ctx, 1, true)?;
        grads.extend([Grad::NotDifferentiable, Grad::NotDifferentiable]);
        Ok(grads)
    }
}

impl OpDef for BatchNormGrad {
    const STEM: &'static str = "batch_norm";
    const SHADER: &'static str = SHADER;

    fn name(&self) -> &str {
        "batch_norm_grad"
    }

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [x, gamma, saved, dy] = arity(self.name(), &inputs[..inputs.len().min(4)])?;
        let [_, c, _] = sizes(self.name(), x)?;
        expect_channels(self.name(), c, &[("gamma", gamma)])?;
        if inputs.get(4).is_some() != self.relu || inputs.get(4).is_some_and(|y| y != x) {
            return Err(Error::shape(self.name(), format!("y {x} where there is a ReLU"), format!("{inputs:?}")));
        }
        let wanted = TensorSpec::f32([3, c]);
        if dy != x || *saved != wanted {
            return Err(Error::shape(self.name(), format!("saved {wanted} and dy {x}"), format!("{saved}, {dy}")));
        }
        Ok(vec![x.clone(), gamma.clone(), gamma.clone()])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let rows = channels(&io.inputs[0].shape);
        let params = rows.params(1, 0.0);
        let kernel = |entry, pass: &str, writes_dx: u32| {
            let kernel =
                kernel::<Self>(entry, pass, self.relu).define("DX", writes_dx).define("FROZEN", u32::from(self.frozen));
            kernel.define("GRAD", u32::from(pass != "grad_merge"))
        };
        if rows.parts == 1 {
            let kernel = kernel("batch_norm_grad", "grad_whole", 1);
            return Launch::new(kernel, &params, rows.grid()).bind_all(io).into();
        }
        let inputs = |launch| (0..io.inputs.len()).fold(launch, |launch: Launch, i| launch.read(Slot::Input(i)));
        let sums = Launch::new(kernel("batch_norm_grad_sums", "grad_sums", 0), &params, rows.grid());
        let merge = Launch::new(kernel("batch_norm_grad_merge", "grad_merge", 0), &params, rows.merge_grid());
        let apply = Launch::new(kernel("batch_norm_grad_apply", "grad_apply", 1), &params, rows.grid());
        Launches {
            list: vec![
                inputs(sums).write(Slot::Temp(0)),
                merge.read(Slot::Temp(0)).write(Slot::Output(1)).write(Slot::Output(2)),
                inputs(apply).read(Slot::Output(1)).read(Slot::Output(2)).write(Slot::Output(0)),
            ],
            temps: vec![TensorSpec::f32([rows.rows, rows.parts, 2])],
        }
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let rows = channels(&call.io.inputs[0].shape);
        let sums = &mut call.scratch[..rows.scratch(2)];
        let (x, gamma, saved, dy) = (call.x[0].f(), call.x[1].f(), call.x[2].f(), call.x[3].f());
        let y = call.x.get(4).map(|y| y.f());
        let [dx, dgamma, dbeta] = &mut call.y[..] else { return };
        let (c, n, frozen) = (rows.rows, T::of(rows.count() as f64), self.frozen);
        let slope = |row: usize, [dbeta, dgamma]: [T; 2]| {
            let Statistic { mean, rest, rstd, .. } = saved_of(saved, row);
            let shares = (!frozen).then(|| [dbeta / n, dgamma / n * rstd]);
            Slope { mean, rest, scale: gamma[row] * rstd, shares }
        };
        let sums_of = |row: usize, part: usize| {
            let s = saved_of(saved, row);
            let [d, dh] = match y {
                Some(y) => rows.products_where_positive(x, dy, y, [s.mean, s.rest], row, part),
                None => rows.products(x, dy, [s.mean, s.rest], row, part),
            };
            [d, dh * s.rstd]
        };
        let run = |slope: Slope<T>, at: usize, dx: &mut [T]| {
            let part = at..at + dx.len();
            slope_run(slope, &x[part.clone()], &dy[part.clone()], y.map(|y| &y[part]), dx);
        };
        if rows.are_whole() {
            rows.whole(sums, 2, dx.f_mut(), |row, sums, mut dx| {
                sums.chunks_exact_mut(2).enumerate().for_each(|(part, sums)| sums.copy_from_slice(&sums_of(row, part)));
                // They are the only row of what is handed on.
                let slope = slope(row, rows.total(sums, 0));
                (0..rows.planes).for_each(|plane| run(slope, rows.first(row, plane), dx.row(plane)));
            });
        } else {
            rows.jobs(sums, 2, |row, part, out| {
                if rows.in_columns() {
                    return products_of_columns(&rows, x, (dy, y), saved, (row, part), out);
                }
                out.copy_from_slice(&sums_of(row, part));
            });
        }
        parallel_together([dgamma.f_mut(), dbeta.f_mut()], |start, [dgamma, dbeta]| {
            for (i, (dgamma, dbeta)) in dgamma.iter_mut().zip(dbeta).enumerate() {
                [*dbeta, *dgamma] = rows.total(sums, start + i);
            }
        });
        if rows.are_whole() {
            return;
        }
        let (dgamma, dbeta) = (dgamma.f(), dbeta.f());
        let slope = |row: usize| slope(row, [dbeta[row], dgamma[row]]);
        if rows.space > 1 {
            return parallel_planes(dx.f_mut(), rows.space, |plane, at, dx| run(slope(plane % c), at, dx));
        }
        parallel_rows(dx.f_mut(), c, |row, dx| {
            for (i, dx) in dx.iter_mut().enumerate() {
                let at = row * c + i;
                *dx = slope(i).at(x[at], y.map_or(dy[at], |y| passed(dy[at], y[at])));
            }
        });
    }

    fn scratch(&self, io: &Io) -> usize {
        channels(&io.inputs[0].shape).scratch(2)
    }

    fn gradient(&self, _ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok(vec![Grad::Unsupported("second derivatives of batch normalisation"); 4])
    }
}

/// The sums of a part of as many rows as `out` has pairs for, where neighbours in memory belong to different rows.
fn products_of_columns<T: Real>(
    rows: &Rows,
    x: &[T],
    (dy, y): (&[T], Option<&[T]>),
    saved: &[T],
    (row, part): (usize, usize),
    out: &mut [T],
) {
    let c = rows.rows;
    out.fill(T::zero());
    let (d, dh) = out.split_at_mut(out.len() / 2);
    let width = d.len().min(c - row);
    let (d, dh) = (&mut d[..width], &mut dh[..width]);
    let (mean, rest, rstd) = (&saved[row..][..width], &saved[c + row..][..width], &saved[2 * c + row..][..width]);
    for k in rows.planes_of(part) {
        let first = rows.first(row, k);
        let (x, dy, y) = (&x[first..][..width], &dy[first..][..width], y.map(|y| &y[first..][..width]));
        for i in 0..width {
            let dy = y.map_or(dy[i], |y| passed(dy[i], y[i]));
            d[i] += dy;
            dh[i] += dy * ((x[i] - mean[i]) - rest[i]);
        }
    }
    dh.iter_mut().zip(rstd).for_each(|(dh, rstd)| *dh *= *rstd);
}

impl Var {
    /// Every channel of this `[batch, c, ..]` normalised by its own mean and variance over batch and space, then `· gamma + beta` (both
    /// `[c]`). Gives the result, and mean and biased variance `[c]`, through which no gradient flows.
    ///
    /// # Errors
    /// Where this has no channels or is not of floats, gamma or beta are not `[c]`, or epsilon is not positive.
    pub fn batch_norm(&self, gamma: &Var, beta: &Var, epsilon: f64) -> Result<(Var, Var, Var)> {
        let mut outputs = self.graph.push(BatchNorm { epsilon, relu: false }, &[self, gamma, beta])?;
        outputs.truncate(3);
        let [y, mean, variance] = <[Var; 3]>::try_from(outputs)
            .map_err(|_| Error::usage("batch_norm", "it has fewer outputs than it should"))?;
        Ok((y, mean, variance))
    }

    /// Like [`Var::batch_norm`] with a given mean and variance (both `[c]`), to which no gradient flows: inference, and training with
    /// frozen statistics.
    ///
    /// # Errors
    /// See [`Var::batch_norm`].
    pub fn batch_norm_with(&self, gamma: &Var, beta: &Var, mean: &Var, variance: &Var, epsilon: f64) -> Result<Var> {
        self.graph.push1(BatchNormInfer { epsilon, relu: false }, &[self, gamma, beta, mean, variance])
    }
}
