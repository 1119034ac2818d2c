//! Group normalisation: of every sample, each group of channels has its mean taken away and is divided by its standard deviation.
//!
//! `y = (x − mean) · γ / √(variance + ε) + β`, the variance biased (divided by how many elements a group has), `γ` and `β` one number per
//! channel. Shapes: `x`, `y` `[batch, c, ..]`, `gamma`, `beta` `[c]`. One group and no space is layer normalisation of rows; as many
//! groups as channels is instance normalisation.
//!
//! Sources: Y. Wu, K. He, "Group normalization", ECCV 2018; J. Ba, J. Kiros, G. Hinton, "Layer normalization", arXiv:1607.06450 (2016);
//! D. Ulyanov, A. Vedaldi, V. Lempitsky, "Instance normalization", arXiv:1607.08022 (2016). The variance is computed without
//! cancellation; see `batch_norm/rows.rs`.

use serde::{Deserialize, Serialize};

use super::arity;
use super::batch_norm::rows::{Rows, Statistic, parallel_planes, products, weighted};
use super::batch_norm::{expect_channels, expect_epsilon, saved_of, sizes, thirds};
use crate::contract::exact;
use crate::contract::{
    CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, Slot, parallel_rows, parallel_together, stem,
};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Var};
use crate::shape::{Shape, TensorSpec};

/// Normalises groups of channels. Inputs: `x` `[batch, c, ..]`, `gamma` and `beta` `[c]`. Outputs: `y`, and what the gradient needs,
/// `[3, batch · groups]`: mean, what it lacks through rounding, `1 / √(variance + ε)`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupNorm {
    /// Groups of neighbouring channels, all of one size.
    pub groups: usize,
    /// What is added to the variance; positive.
    #[serde(with = "exact")]
    pub epsilon: f64,
}

/// `dx` from `x`, `gamma`, what the forward op saved, and `dy`. With `g = dy · γ` and `h = (x − mean) · rstd`:
/// `dx = rstd · (g − Σ g / n − h · Σ g h / n)`, sums over a group of `n` elements.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupNormGrad {
    /// As in the forward op.
    pub groups: usize,
}

/// `dgamma = Σ dy · h` and `dbeta = Σ dy`, both `[c]`, from `x`, what the forward op saved, and `dy`; sums over batch and space.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupNormGradAffine {
    /// As in the forward op.
    pub groups: usize,
}

/// The groups as rows with one run per channel.
fn groups_of(x: &Shape, groups: usize) -> Rows {
    let (planes, space) = (x[1] / groups, x[2..].iter().product());
    Rows::new(x[0] * groups, planes, space, planes * space, space)
}

/// The channels as rows with one run per sample.
fn channels_of(x: &Shape) -> Rows {
    Rows::channels(x[0], x[1], x[2..].iter().product())
}

fn expect_groups(op: &str, c: usize, groups: usize) -> Result<()> {
    if groups != 0 && c.is_multiple_of(groups) {
        return Ok(());
    }
    Err(Error::parameter(op, "groups", format!("a divisor of {c} channels"), groups))
}

fn expect_saved(op: &str, groups: usize, x: &TensorSpec, saved: &TensorSpec, dy: &TensorSpec) -> Result<[usize; 3]> {
    let [batch, c, space] = sizes(op, x)?;
    expect_groups(op, c, groups)?;
    let wanted = TensorSpec::f32([3, batch * groups]);
    if dy != x || *saved != wanted {
        return Err(Error::shape(op, format!("saved {wanted} and dy {x}"), format!("{saved}, {dy}")));
    }
    Ok([batch, c, space])
}

fn kernel<O: OpDef>(entry: &'static str, pass: &str) -> Kernel {
    Kernel::of::<O>(entry).define("PASS", pass)
}

impl OpDef for GroupNorm {
    stem!("group_norm");

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [x, gamma, beta] = arity(self.name(), inputs)?;
        let [batch, c, _] = sizes(self.name(), x)?;
        expect_groups(self.name(), c, self.groups)?;
        expect_channels(self.name(), c, &[("gamma", gamma), ("beta", beta)])?;
        expect_epsilon(self.name(), self.epsilon)?;
        Ok(vec![x.clone(), TensorSpec::f32([3, batch * self.groups])])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let rows = groups_of(&io.inputs[0].shape, self.groups);
        let params = rows.params(self.groups, self.epsilon);
        if rows.parts == 1 {
            return Launch::new(kernel::<Self>("group_norm", "whole"), &params, rows.grid()).bind_all(io).into();
        }
        let moments = Launch::new(kernel::<Self>("group_norm_moments", "moments"), &params, rows.grid());
        let merge = Launch::new(kernel::<Self>("group_norm_merge", "merge"), &params, rows.merge_grid());
        let apply = Launch::new(kernel::<Self>("group_norm_apply", "apply"), &params, rows.grid());
        let apply = (0..3).fold(apply, |launch, i| launch.read(Slot::Input(i)));
        Launches {
            list: vec![
                moments.read(Slot::Input(0)).write(Slot::Temp(0)),
                merge.read(Slot::Temp(0)).write(Slot::Output(1)),
                apply.read(Slot::Output(1)).write(Slot::Output(0)),
            ],
            temps: vec![TensorSpec::f32([rows.rows, rows.parts, 3])],
        }
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let rows = groups_of(&call.io.inputs[0].shape, self.groups);
        let moments = &mut call.scratch[..rows.scratch(3)];
        let (x, gamma, beta) = (call.x[0].f(), call.x[1].f(), call.x[2].f());
        let [y, saved] = &mut call.y[..] else { return };
        rows.moments(x, moments);
        parallel_together(thirds(saved.f_mut()), |start, [mean, rest, rstd]| {
            for i in 0..mean.len() {
                let s = rows.statistic(moments, start + i, self.epsilon);
                (mean[i], rest[i], rstd[i]) = (s.mean, s.rest, s.rstd);
            }
        });
        let (saved, c) = (saved.f(), rows.planes * self.groups);
        if rows.space > 1 {
            return parallel_planes(y.f_mut(), rows.space, |plane, at, y| {
                let Statistic { mean, rest, rstd, .. } = saved_of(saved, plane / rows.planes);
                let (scale, shift) = (gamma[plane % c] * rstd, beta[plane % c]);
                y.iter_mut().zip(&x[at..]).for_each(|(y, x)| *y = ((*x - mean) - rest) * scale + shift);
            });
        }
        parallel_rows(y.f_mut(), rows.planes, |row, y| {
            let Statistic { mean, rest, rstd, .. } = saved_of(saved, row);
            let first = row % self.groups * rows.planes;
            let (x, gamma, beta) = (&x[row * y.len()..], &gamma[first..], &beta[first..]);
            for (((y, x), gamma), beta) in y.iter_mut().zip(x).zip(gamma).zip(beta) {
                *y = ((*x - mean) - rest) * (*gamma * rstd) + *beta;
            }
        });
    }

    fn scratch(&self, io: &Io) -> usize {
        groups_of(&io.inputs[0].shape, self.groups).scratch(3)
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        if ctx.cotangent(1).is_some() {
            return Ok(vec![Grad::Unsupported("the saved statistics are not meant for use"); 3]);
        }
        let (x, gamma, saved, groups) = (ctx.input(0), ctx.input(1), ctx.output(1), self.groups);
        let dx = ctx.wanted(0, || ctx.graph().push1(GroupNormGrad { groups }, &[x, gamma, saved, ctx.dy()?]))?;
        if !ctx.is_wanted(1) && !ctx.is_wanted(2) {
            return Ok(vec![dx, Grad::NotWanted, Grad::NotWanted]);
        }
        let affine = ctx.graph().push(GroupNormGradAffine { groups }, &[x, saved, ctx.dy()?])?;
        Ok(std::iter::once(dx).chain(affine.into_iter().map(Grad::Of)).collect())
    }
}

impl OpDef for GroupNormGrad {
    stem!("group_norm");

    fn name(&self) -> &str {
        "group_norm_grad"
    }

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [x, gamma, saved, dy] = arity(self.name(), inputs)?;
        let [_, c, _] = expect_saved(self.name(), self.groups, x, saved, dy)?;
        expect_channels(self.name(), c, &[("gamma", gamma)])?;
        Ok(vec![x.clone()])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let rows = groups_of(&io.inputs[0].shape, self.groups);
        let params = rows.params(self.groups, 0.0);
        let kernel = |entry, pass: &str, dx: u32| {
            kernel::<Self>(entry, pass).define("DX", dx).define("GRAD", u32::from(pass != "grad_merge"))
        };
        if rows.parts == 1 {
            return Launch::new(kernel("group_norm_grad", "grad_whole", 1), &params, rows.grid()).bind_all(io).into();
        }
        let inputs = |launch: Launch| (0..4).fold(launch, |launch, i| launch.read(Slot::Input(i)));
        let sums = Launch::new(kernel("group_norm_grad_sums", "grad_sums", 0), &params, rows.grid());
        let merge = Launch::new(kernel("group_norm_grad_merge", "grad_merge", 0), &params, rows.merge_grid());
        let apply = Launch::new(kernel("group_norm_grad_apply", "grad_apply", 1), &params, rows.grid());
        Launches {
            list: vec![
                inputs(sums).write(Slot::Temp(0)),
                merge.read(Slot::Temp(0)).write(Slot::Temp(1)),
                inputs(apply).read(Slot::Temp(1)).write(Slot::Output(0)),
            ],
            temps: vec![TensorSpec::f32([rows.rows, rows.parts, 2]), TensorSpec::f32([rows.rows, 2])],
        }
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let rows = groups_of(&call.io.inputs[0].shape, self.groups);
        let sums = &mut call.scratch[..rows.scratch(2)];
        let (x, gamma, saved, dy) = (call.x[0].f(), call.x[1].f(), call.x[2].f(), call.x[3].f());
        let (planes, space, groups) = (rows.planes, rows.space, self.groups);
        rows.jobs(sums, 2, |row, part, out| {
            let Statistic { mean, rest, rstd, .. } = saved_of(saved, row);
            let gamma = &gamma[row % groups * planes..][..planes];
            let (own, space_of) = (rows.planes_of(part), rows.space_of(part));
            let [mut g, mut gh] = [T::zero(); 2];
            if space == 1 {
                let at = rows.first(row, own.start);
                let run = at..at + own.len();
                [g, gh] = weighted(&x[run.clone()], &dy[run], &gamma[own], mean, rest);
            } else {
                for k in own {
                    let first = rows.first(row, k);
                    let run = first + space_of.start..first + space_of.end;
                    let [d, dh] = products(&x[run.clone()], &dy[run], mean, rest);
                    (g, gh) = (g + d * gamma[k], gh + dh * gamma[k]);
                }
            }
            out.copy_from_slice(&[g, gh * rstd]);
        });
        let (n, c, sums) = (T::of(rows.count() as f64), planes * groups, &*sums);
        let of_row = |row: usize| {
            let ([g, gh], s) = (rows.total(sums, row), saved_of(saved, row));
            (s, g / n, gh / n * s.rstd)
        };
        let dx = call.y[0].f_mut();
        if space > 1 {
            return parallel_planes(dx, space, |plane, at, dx| {
                let (Statistic { mean, rest, rstd, .. }, level, slope) = of_row(plane / planes);
                let gamma = gamma[plane % c];
                for ((dx, x), dy) in dx.iter_mut().zip(&x[at..]).zip(&dy[at..]) {
                    *dx = rstd * ((*dy * gamma - level) - ((*x - mean) - rest) * slope);
                }
            });
        }
        parallel_rows(dx, planes, |row, dx| {
            let (Statistic { mean, rest, rstd, .. }, level, slope) = of_row(row);
            let (at, gamma) = (row * planes, &gamma[row % groups * planes..]);
            for (((dx, x), dy), gamma) in dx.iter_mut().zip(&x[at..]).zip(&dy[at..]).zip(gamma) {
                *dx = rstd * ((*dy * *gamma - level) - ((*x - mean) - rest) * slope);
            }
        });
    }

    fn scratch(&self, io: &Io) -> usize {
        groups_of(&io.inputs[0].shape, self.groups).scratch(2)
    }

    fn gradient(&self, _ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok(vec![Grad::Unsupported("second derivatives of group normalisation"); 4])
    }
}

impl OpDef for GroupNormGradAffine {
    stem!("group_norm");

    fn name(&self) -> &str {
        "group_norm_grad_affine"
    }

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [x, saved, dy] = arity(self.name(), inputs)?;
        let [_, c, _] = expect_saved(self.name(), self.groups, x, saved, dy)?;
        Ok(vec![TensorSpec::f32([c]), TensorSpec::f32([c])])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let rows = channels_of(&io.inputs[0].shape);
        let params = rows.params(self.groups, 0.0);
        let kernel =
            |entry, pass: &str| kernel::<Self>(entry, pass).define("AFFINE", u32::from(pass != "affine_merge"));
        if rows.parts == 1 {
            let kernel = kernel("group_norm_grad_affine", "affine_whole");
            return Launch::new(kernel, &params, rows.grid()).bind_all(io).into();
        }
        let sums = Launch::new(kernel("group_norm_grad_affine_sums", "affine_sums"), &params, rows.grid());
        let merge = Launch::new(kernel("group_norm_grad_affine_merge", "affine_merge"), &params, rows.merge_grid());
        Launches {
            list: vec![
                (0..3).fold(sums, |launch, i| launch.read(Slot::Input(i))).write(Slot::Temp(0)),
                merge.read(Slot::Temp(0)).write(Slot::Output(0)).write(Slot::Output(1)),
            ],
            temps: vec![TensorSpec::f32([rows.rows, rows.parts, 2])],
        }
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let (rows, groups) = (channels_of(&call.io.inputs[0].shape), self.groups);
        let sums = &mut call.scratch[..rows.scratch(2)];
        let (x, saved, dy) = (call.x[0].f(), call.x[1].f(), call.x[2].f());
        let group_size = rows.rows / groups;
        rows.jobs(sums, 2, |row, part, out| {
            out.fill(T::zero());
            let (d, dh) = out.split_at_mut(out.len() / 2);
            // One channel, or as many side by side as the task takes: those of one group have one statistic.
            let (own, width) = (rows.space_of(part), d.len().min(rows.rows - row));
            for k in rows.planes_of(part) {
                let mut i = 0;
                while i < width {
                    let group = (row + i) / group_size;
                    let Statistic { mean, rest, rstd, .. } = saved_of(saved, k * groups + group);
                    let (first, end) = (rows.first(row + i, k), ((group + 1) * group_size - row).min(width));
                    if rows.space == 1 {
                        let sums = d[i..end].iter_mut().zip(&mut dh[i..end]);
                        for (((d, dh), x), dy) in sums.zip(&x[first..]).zip(&dy[first..]) {
                            *d += *dy;
                            *dh += *dy * (((*x - mean) - rest) * rstd);
                        }
                        i = end;
                    } else {
                        let run = first + own.start..first + own.end;
                        let [sum, product] = products(&x[run.clone()], &dy[run], mean, rest);
                        (d[i], dh[i]) = (d[i] + sum, dh[i] + product * rstd);
                        i += 1;
                    }
                }
            }
        });
        let [dgamma, dbeta] = &mut call.y[..] else { return };
        parallel_together([dgamma.f_mut(), dbeta.f_mut()], |start, [dgamma, dbeta]| {
            for (i, (dgamma, dbeta)) in dgamma.iter_mut().zip(dbeta).enumerate() {
                [*dbeta, *dgamma] = rows.total(sums, start + i);
            }
        });
    }

    fn scratch(&self, io: &Io) -> usize {
        channels_of(&io.inputs[0].shape).scratch(2)
    }

    fn gradient(&self, _ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok(vec![Grad::Unsupported("second derivatives of group normalisation"); 3])
    }
}

impl Var {
    /// Every group of `c / groups` neighbouring channels of every sample of this `[batch, c, ..]` normalised by its own mean and variance,
    /// then `· gamma + beta` (both `[c]`). With as many groups as channels this is instance normalisation.
    ///
    /// # Errors
    /// Where this has no channels or is not of floats, `groups` does not divide them, gamma or beta are not `[c]`, or epsilon is
    /// not positive.
    pub fn group_norm(&self, groups: usize, gamma: &Var, beta: &Var, epsilon: f64) -> Result<Var> {
        self.graph.push1(GroupNorm { groups, epsilon }, &[self, gamma, beta])
    }

    /// The `n` elements along the last axis of this `[.., n]` normalised by their own mean and variance, then `· gamma + beta` (both
    /// `[n]`).
    ///
    /// # Errors
    /// Where this is a scalar or not of floats, gamma or beta are not `[n]`, or epsilon is not positive.
    pub fn layer_norm(&self, gamma: &Var, beta: &Var, epsilon: f64) -> Result<Var> {
        let shape = self.shape();
        let Some(&n) = shape.last() else {
            return Err(Error::shape("layer_norm", "at least one axis", self.spec().to_string()));
        };
        let rows = self.reshape([shape.elements() / n, n])?;
        rows.group_norm(1, gamma, beta, epsilon)?.reshape(shape)
    }
}
