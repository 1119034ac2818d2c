//! The gated recurrent unit and its gradient.
//!
//! With `q = h[t − 1] · u + b`, and `gates = x · w + b'` computed for all steps at once: `z = σ(gates_z + q_z)`,
//! `r = σ(gates_r + q_r)`, `g = tanh(gates_g + r q_g)` and `h[t] = z h[t − 1] + (1 − z) g`. The gates lie side by side in this order.
//! The reset gate works on the product, not on the state before it: Keras's `reset_after`, which is also cuDNN's and PyTorch's form.
//!
//! Source: K. Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical machine translation", EMNLP
//! 2014; the form with the reset gate after the product is that of arXiv:1406.1078v1.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::recurrent::{
    SAMPLES, Sequence, add_product, is_there, kernel_gradient, parts, parts_mut, sigmoid, sigmoid_slope, states_before,
    tanh, tanh_slope, with_lengths,
};
use crate::contract::{CpuCall, GpuTraits, Io, Kernel, Launches, OpDef, Real, stem};
use crate::error::Result;
use crate::graph::{Grad, GradientCtx, Var};
use crate::shape::TensorSpec;

/// States after every step.
///
/// Inputs: `gates` `[batch, time, 3 · units]`, the recurrent kernel `u` `[units, 3 · units]` and bias `b` `[3 · units]`, the initial
/// state `h0` `[batch, units]`, and where samples have lengths of their own, these as `u32` `[batch]`. Outputs: `h`
/// `[batch, time, units]`, and for the gradient `[batch, time, 4 · units]`: `z`, `r`, `g` and `q_g`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gru {
    /// Begins with the last step.
    pub reverse: bool,
}

/// `dgates` and `dq` `[batch, time, 3 · units]`, and `dh0` `[batch, units]` from what [`Gru`] saved, the transposed recurrent kernel,
/// the states before every step, `dh`, and the lengths where there are some.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GruGrad {
    /// As in the recurrence.
    pub reverse: bool,
}

/// How [`Var::gru`] runs. The default is from the first step to the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GruOptions {
    /// From the last step to the first; what it gives for a step stays at that step's place.
    pub reverse: bool,
}

impl Gru {
    fn sequence(&self, inputs: &[TensorSpec]) -> Result<Sequence> {
        let ([gates, u, b, h0], lengths) = with_lengths(Self::STEM, inputs)?;
        let sequence = Sequence::of(Self::STEM, self.reverse, 3, gates, u)?;
        sequence.expect(Self::STEM, "a recurrent bias", b, &[sequence.units * 3])?;
        sequence.expect_state(Self::STEM, "an initial state", h0)?;
        sequence.expect_lengths(Self::STEM, lengths)?;
        Ok(sequence)
    }
}

impl OpDef for Gru {
    stem!("gru");

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let sequence = self.sequence(inputs)?;
        Ok(vec![sequence.steps(sequence.units), sequence.steps(sequence.units.saturating_mul(4))])
    }

    fn gpu(&self, io: &Io, gpu: &GpuTraits) -> Launches {
        let kernel = Kernel::of::<Self>("gru");
        self.sequence(&io.inputs).map(|s| s.launches(kernel, "vec3<f32>", io, gpu)).unwrap_or_default()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let Ok(sequence) = self.sequence(&call.io.inputs) else { return };
        let Sequence { time, units, .. } = sequence;
        let (gates, u, b, h0) = (call.x[0].f(), call.x[1].f(), call.x[2].f(), call.x[3].f());
        let lengths = call.x.get(4).map(|x| x.u());
        let [h, saved] = &mut call.y[..] else { return };
        let tasks = h.f_mut().par_chunks_mut(SAMPLES * time * units);
        let tasks = tasks.zip(saved.f_mut().par_chunks_mut(SAMPLES * time * 4 * units));
        let tasks = tasks.zip(call.scratch.par_chunks_mut(SAMPLES * 4 * units));
        tasks.enumerate().for_each(|(task, ((h, saved), scratch))| {
            let samples = h.len() / (time * units);
            let start = task * SAMPLES;
            let h0 = &h0[start * units..][..samples * units];
            let gates = &gates[start * time * 3 * units..];
            let (q, last) = scratch[..samples * 4 * units].split_at_mut(samples * 3 * units);
            for (t, before) in sequence.forwards() {
                q.chunks_exact_mut(3 * units).for_each(|q| q.copy_from_slice(b));
                match before {
                    None => add_product(h0, (1, 0), u, units, q),
                    Some(before) => add_product(h, (time, before), u, units, q),
                }
                for (sample, (q, last)) in q.chunks_exact(3 * units).zip(last.chunks_exact_mut(units)).enumerate() {
                    let own = (sample * time + t) * units;
                    match before {
                        None => last.copy_from_slice(&h0[sample * units..][..units]),
                        Some(before) => last.copy_from_slice(&h[(sample * time + before) * units..][..units]),
                    }
                    let (h, saved) = (&mut h[own..][..units], &mut saved[4 * own..][..4 * units]);
                    if is_there(lengths, start + sample, t) {
                        cell(&gates[3 * own..][..3 * units], q, last, saved, h);
                    } else {
                        h.copy_from_slice(last);
                        saved.fill(T::zero());
                    }
                }
            }
        });
    }

    fn scratch(&self, io: &Io) -> usize {
        4 * io.inputs[3].shape.elements()
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        if ctx.cotangent(1).is_some() {
            return Ok(vec![Grad::Unsupported("the saved gates are not meant for use"); ctx.inputs()]);
        }
        let (u, h0, h, dh) = (ctx.input(1), ctx.input(3), ctx.output(0), ctx.dy()?);
        let (ut, before) = (u.transpose(&[1, 0])?, states_before(h, h0, self.reverse)?);
        let mut inputs = vec![ctx.output(1), &ut, &before, dh];
        inputs.extend((ctx.inputs() > 4).then(|| ctx.input(4)));
        let grads = ctx.graph().push(GruGrad { reverse: self.reverse }, &inputs)?;
        let du = ctx.wanted(1, || kernel_gradient(&before, &grads[1]))?;
        let db = ctx.wanted(2, || grads[1].sum(&[0, 1], false))?;
        let mut all = vec![Grad::Of(grads[0].clone()), du, db, Grad::Of(grads[2].clone())];
        all.resize(ctx.inputs(), Grad::NotDifferentiable);
        Ok(all)
    }
}

/// One step of one sample, from its gates, `q` and the state before. Loops of few slices each, which vectorise.
fn cell<T: Real>(gates: &[T], q: &[T], before: &[T], saved: &mut [T], h: &mut [T]) {
    let units = h.len();
    let (sigmoids, rest) = saved.split_at_mut(2 * units);
    sigmoids.iter_mut().zip(gates).zip(q).for_each(|((y, x), q)| *y = sigmoid(*x + *q));
    let ([z, r], [g, q_g]) = (parts(sigmoids, units), parts_mut(rest, units));
    q_g.copy_from_slice(&q[2 * units..]);
    let x = &gates[2 * units..][..units];
    for (j, g) in g.iter_mut().enumerate() {
        *g = tanh(x[j] + r[j] * q_g[j]);
    }
    for (j, h) in h.iter_mut().enumerate() {
        *h = z[j] * before[j] + (T::one() - z[j]) * g[j];
    }
}

impl GruGrad {
    fn sequence(&self, inputs: &[TensorSpec]) -> Result<Sequence> {
        let ([saved, ut, before, dh], lengths) = with_lengths(self.name(), inputs)?;
        let sequence = Sequence::of_grad(self.name(), self.reverse, 3, dh, ut)?;
        let Sequence { batch, time, units, .. } = sequence;
        sequence.expect(self.name(), "saved gates", saved, &[batch, time, units.saturating_mul(4)])?;
        sequence.expect(self.name(), "states", before, &dh.shape)?;
        sequence.expect_lengths(self.name(), lengths)?;
        Ok(sequence)
    }
}

impl OpDef for GruGrad {
    stem!("gru");

    fn name(&self) -> &str {
        "gru_grad"
    }

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let sequence = self.sequence(inputs)?;
        let gates = sequence.steps(sequence.units.saturating_mul(3));
        Ok(vec![gates.clone(), gates, sequence.state()])
    }

    fn gpu(&self, io: &Io, gpu: &GpuTraits) -> Launches {
        let kernel = Kernel::of::<Self>("gru_grad");
        self.sequence(&io.inputs).map(|s| s.launches_grad(kernel, 3 * s.units, io, gpu)).unwrap_or_default()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let Ok(sequence) = self.sequence(&call.io.inputs) else { return };
        let Sequence { time, units, .. } = sequence;
        let (saved, ut, before, dh) = (call.x[0].f(), call.x[1].f(), call.x[2].f(), call.x[3].f());
        let lengths = call.x.get(4).map(|x| x.u());
        let [dgates, dq, dh0] = &mut call.y[..] else { return };
        let tasks = dgates.f_mut().par_chunks_mut(SAMPLES * time * 3 * units);
        let tasks = tasks.zip(dq.f_mut().par_chunks_mut(SAMPLES * time * 3 * units));
        let tasks = tasks.zip(dh0.f_mut().par_chunks_mut(SAMPLES * units));
        tasks.enumerate().for_each(|(task, ((dgates, dq), carried))| {
            let start = task * SAMPLES;
            carried.fill(T::zero());
            for t in sequence.backwards() {
                for (sample, s) in carried.chunks_exact_mut(units).enumerate() {
                    let row = sample * time + t;
                    let from = start * time + row;
                    let own = row * 3 * units..(row + 1) * 3 * units;
                    let (dgates, dq) = (&mut dgates[own.clone()], &mut dq[own]);
                    s.iter_mut().zip(&dh[from * units..]).for_each(|(s, dh)| *s += *dh);
                    if is_there(lengths, start + sample, t) {
                        let (saved, before) = (&saved[from * 4 * units..][..4 * units], &before[from * units..]);
                        cell_grad(saved, before, s, dgates, dq);
                    } else {
                        dgates.fill(T::zero());
                        dq.fill(T::zero());
                    }
                }
                add_product(dq, (time, t), ut, 3 * units, carried);
            }
        });
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok(vec![Grad::Unsupported("second derivatives of a recurrence"); ctx.inputs()])
    }
}

/// One step of one sample backwards. `s` is the whole gradient of its state, and becomes what it passes on to the one before beside
/// the gates.
fn cell_grad<T: Real>(saved: &[T], before: &[T], s: &mut [T], dgates: &mut [T], dq: &mut [T]) {
    let units = s.len();
    let [z, r, g, q] = parts(saved, units);
    let ([dz, dr, dg], [dq_z, dq_r, dq_g]) = (parts_mut(dgates, units), parts_mut(dq, units));
    for j in 0..units {
        dz[j] = s[j] * (before[j] - g[j]) * sigmoid_slope(z[j]);
        dg[j] = s[j] * (T::one() - z[j]) * tanh_slope(g[j]);
        dr[j] = dg[j] * q[j] * sigmoid_slope(r[j]);
        (dq_z[j], dq_r[j], dq_g[j]) = (dz[j], dr[j], dg[j] * r[j]);
        s[j] *= z[j];
    }
}

impl Var {
    /// The states of a gated recurrent unit after every step, `[batch, time, units]`. This is `gates` `[batch, time, 3 · units]`,
    /// the input's part `x · w + b'` of all steps, in Keras's order: update, reset, candidate. `u` is `[units, 3 · units]`, the
    /// recurrent bias `b` `[3 · units]`, the initial state `h0` `[batch, units]`. With `lengths` (`u32` `[batch]`) the steps from a
    /// sample's length on leave its state as it is; a length beyond the steps there are counts as all of them. See [`Gru`].
    ///
    /// # Errors
    /// Where shapes or types do not fit, or there are more than 65 536 steps.
    pub fn gru(&self, u: &Var, b: &Var, h0: &Var, lengths: Option<&Var>, options: GruOptions) -> Result<Var> {
        let mut inputs = vec![self, u, b, h0];
        inputs.extend(lengths);
        self.graph.push1(Gru { reverse: options.reverse }, &inputs)
    }
}
