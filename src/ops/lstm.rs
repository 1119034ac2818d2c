//! Long short-term memory and its gradient.
//!
//! `[i f g o] = gates[t] + h[t − 1] · u`, where `gates = x · w + b` was computed for all steps at once; then
//! `c[t] = σ(f) c[t − 1] + σ(i) tanh(g)` and `h[t] = σ(o) tanh(c[t])`. The gates lie side by side in this order, which is that of
//! Keras (where `g` is called `c`).
//!
//! Source: S. Hochreiter, J. Schmidhuber, "Long short-term memory", Neural Computation 9 (1997), with the forget gate of F. Gers,
//! J. Schmidhuber, F. Cummins, "Learning to forget", Neural Computation 12 (2000).

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

/// States and cells after every step.
///
/// Inputs: `gates` `[batch, time, 4 · units]`, the recurrent kernel `u` `[units, 4 · units]`, the initial state `h0` and cell `c0`
/// `[batch, units]`, and where samples have lengths of their own, these as `u32` `[batch]`. Outputs: `h` and `c`
/// `[batch, time, units]`, and for the gradient `[batch, time, 5 · units]`: the four gates after their activations, and the cell
/// before the step.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lstm {
    /// Begins with the last step.
    pub reverse: bool,
}

/// `dgates` `[batch, time, 4 · units]`, `dh0` and `dc0` `[batch, units]` from what [`Lstm`] saved, the transposed recurrent kernel,
/// `dh`, `dc` where the cells were used, and the lengths where there are some.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LstmGrad {
    /// As in the recurrence.
    pub reverse: bool,
    /// There is a `dc`.
    pub cell: bool,
}

/// How [`Var::lstm`] runs. The default is from the first step to the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LstmOptions {
    /// From the last step to the first; what it gives for a step stays at that step's place.
    pub reverse: bool,
}

impl Lstm {
    fn sequence(&self, inputs: &[TensorSpec]) -> Result<Sequence> {
        let ([gates, u, h0, c0], lengths) = with_lengths(Self::STEM, inputs)?;
        let sequence = Sequence::of(Self::STEM, self.reverse, 4, gates, u)?;
        sequence.expect_state(Self::STEM, "an initial state", h0)?;
        sequence.expect_state(Self::STEM, "an initial cell", c0)?;
        sequence.expect_lengths(Self::STEM, lengths)?;
        Ok(sequence)
    }
}

impl OpDef for Lstm {
    stem!("lstm");

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let sequence = self.sequence(inputs)?;
        let states = sequence.steps(sequence.units);
        Ok(vec![states.clone(), states, sequence.steps(sequence.units.saturating_mul(5))])
    }

    fn gpu(&self, io: &Io, gpu: &GpuTraits) -> Launches {
        let kernel = Kernel::of::<Self>("lstm");
        self.sequence(&io.inputs).map(|s| s.launches(kernel, "vec4<f32>", io, gpu)).unwrap_or_default()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let Ok(sequence) = self.sequence(&call.io.inputs) else { return };
        let Sequence { time, units, .. } = sequence;
        let (gates, u, h0, c0) = (call.x[0].f(), call.x[1].f(), call.x[2].f(), call.x[3].f());
        let lengths = call.x.get(4).map(|x| x.u());
        let [h, c, saved] = &mut call.y[..] else { return };
        let tasks = h.f_mut().par_chunks_mut(SAMPLES * time * units);
        let tasks = tasks.zip(c.f_mut().par_chunks_mut(SAMPLES * time * units));
        let tasks = tasks.zip(saved.f_mut().par_chunks_mut(SAMPLES * time * 5 * units));
        let tasks = tasks.zip(call.scratch.par_chunks_mut(SAMPLES * 4 * units));
        tasks.enumerate().for_each(|(task, (((h, c), saved), sums))| {
            let samples = h.len() / (time * units);
            let start = task * SAMPLES;
            let (h0, c0) = (&h0[start * units..][..samples * units], &c0[start * units..]);
            let gates = &gates[start * time * 4 * units..];
            let sums = &mut sums[..samples * 4 * units];
            for (t, before) in sequence.forwards() {
                for (sample, sums) in sums.chunks_exact_mut(4 * units).enumerate() {
                    sums.copy_from_slice(&gates[(sample * time + t) * 4 * units..][..4 * units]);
                }
                match before {
                    None => add_product(h0, (1, 0), u, units, sums),
                    Some(before) => add_product(h, (time, before), u, units, sums),
                }
                for (sample, sums) in sums.chunks_exact(4 * units).enumerate() {
                    let own = (sample * time + t) * units;
                    let (saved, last) = saved[5 * own..][..5 * units].split_at_mut(4 * units);
                    match before {
                        None => last.copy_from_slice(&c0[sample * units..][..units]),
                        Some(before) => last.copy_from_slice(&c[(sample * time + before) * units..][..units]),
                    }
                    if is_there(lengths, start + sample, t) {
                        cell(sums, last, saved, &mut c[own..][..units], &mut h[own..][..units]);
                        continue;
                    }
                    saved.fill(T::zero());
                    c[own..][..units].copy_from_slice(last);
                    match before {
                        None => h[own..][..units].copy_from_slice(&h0[sample * units..][..units]),
                        Some(before) => {
                            let from = (sample * time + before) * units;
                            h.copy_within(from..from + units, own);
                        }
                    }
                }
            }
        });
    }

    fn scratch(&self, io: &Io) -> usize {
        4 * io.inputs[2].shape.elements()
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        if ctx.cotangent(2).is_some() {
            return Ok(vec![Grad::Unsupported("the saved gates are not meant for use"); ctx.inputs()]);
        }
        let (u, h0, h) = (ctx.input(1), ctx.input(2), ctx.output(0));
        let ut = u.transpose(&[1, 0])?;
        let dh = match ctx.cotangent(0) {
            Some(dh) => dh.clone(),
            None => ctx.graph().fill(h.shape(), 0.0)?,
        };
        let mut inputs = vec![ctx.output(2), &ut, &dh];
        inputs.extend(ctx.cotangent(1));
        inputs.extend((ctx.inputs() > 4).then(|| ctx.input(4)));
        let op = LstmGrad { reverse: self.reverse, cell: ctx.cotangent(1).is_some() };
        let grads = ctx.graph().push(op, &inputs)?;
        let du = || kernel_gradient(&states_before(h, h0, self.reverse)?, &grads[0]);
        let du = ctx.wanted(1, du)?;
        let mut all = vec![Grad::Of(grads[0].clone()), du, Grad::Of(grads[1].clone()), Grad::Of(grads[2].clone())];
        all.resize(ctx.inputs(), Grad::NotDifferentiable);
        Ok(all)
    }
}

/// One step of one sample, from the four sums and the cell before. Loops of few slices each, which vectorise.
fn cell<T: Real>(sums: &[T], before: &[T], saved: &mut [T], c: &mut [T], h: &mut [T]) {
    let units = c.len();
    for (gate, (saved, sums)) in saved.chunks_exact_mut(units).zip(sums.chunks_exact(units)).enumerate() {
        match gate {
            2 => saved.iter_mut().zip(sums).for_each(|(y, z)| *y = tanh(*z)),
            _ => saved.iter_mut().zip(sums).for_each(|(y, z)| *y = sigmoid(*z)),
        }
    }
    let [i, f, g, o] = parts(saved, units);
    for (j, (c, before)) in c.iter_mut().zip(before).enumerate() {
        *c = f[j] * *before + i[j] * g[j];
    }
    h.iter_mut().zip(c).zip(o).for_each(|((h, c), o)| *h = *o * tanh(*c));
}

impl LstmGrad {
    fn sequence(&self, inputs: &[TensorSpec]) -> Result<Sequence> {
        let (saved, ut, dh, dc, lengths) = if self.cell {
            let ([saved, ut, dh, dc], lengths) = with_lengths(self.name(), inputs)?;
            (saved, ut, dh, Some(dc), lengths)
        } else {
            let ([saved, ut, dh], lengths) = with_lengths(self.name(), inputs)?;
            (saved, ut, dh, None, lengths)
        };
        let sequence = Sequence::of_grad(self.name(), self.reverse, 4, dh, ut)?;
        let Sequence { batch, time, units, .. } = sequence;
        sequence.expect(self.name(), "saved gates", saved, &[batch, time, units.saturating_mul(5)])?;
        if let Some(dc) = dc {
            sequence.expect(self.name(), "dc", dc, &dh.shape)?;
        }
        sequence.expect_lengths(self.name(), lengths)?;
        Ok(sequence)
    }
}

impl OpDef for LstmGrad {
    stem!("lstm");

    fn name(&self) -> &str {
        "lstm_grad"
    }

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let sequence = self.sequence(inputs)?;
        let state = sequence.state();
        Ok(vec![sequence.steps(sequence.units.saturating_mul(4)), state.clone(), state])
    }

    fn gpu(&self, io: &Io, gpu: &GpuTraits) -> Launches {
        let kernel = Kernel::of::<Self>("lstm_grad").define("CELL", u32::from(self.cell));
        self.sequence(&io.inputs).map(|s| s.launches_grad(kernel, 4 * s.units, io, gpu)).unwrap_or_default()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let Ok(sequence) = self.sequence(&call.io.inputs) else { return };
        let Sequence { time, units, .. } = sequence;
        let (saved, ut, dh) = (call.x[0].f(), call.x[1].f(), call.x[2].f());
        let dc = self.cell.then(|| call.x[3].f());
        let lengths = call.x.get(3 + usize::from(self.cell)).map(|x| x.u());
        let [dgates, dh0, dc0] = &mut call.y[..] else { return };
        let tasks = dgates.f_mut().par_chunks_mut(SAMPLES * time * 4 * units);
        let tasks = tasks.zip(dh0.f_mut().par_chunks_mut(SAMPLES * units));
        let tasks = tasks.zip(dc0.f_mut().par_chunks_mut(SAMPLES * units));
        tasks.enumerate().for_each(|(task, ((dgates, carried_h), carried_c))| {
            let start = task * SAMPLES;
            carried_h.fill(T::zero());
            carried_c.fill(T::zero());
            for t in sequence.backwards() {
                let carried = carried_h.chunks_exact_mut(units).zip(carried_c.chunks_exact_mut(units));
                for (sample, (s, r)) in carried.enumerate() {
                    let row = sample * time + t;
                    let from = start * time + row;
                    let dgates = &mut dgates[row * 4 * units..][..4 * units];
                    s.iter_mut().zip(&dh[from * units..]).for_each(|(s, dh)| *s += *dh);
                    if let Some(dc) = dc {
                        r.iter_mut().zip(&dc[from * units..]).for_each(|(r, dc)| *r += *dc);
                    }
                    if is_there(lengths, start + sample, t) {
                        cell_grad(&saved[from * 5 * units..][..5 * units], s, r, dgates);
                    } else {
                        dgates.fill(T::zero());
                    }
                }
                add_product(dgates, (time, t), ut, 4 * units, carried_h);
            }
        });
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok(vec![Grad::Unsupported("second derivatives of a recurrence"); ctx.inputs()])
    }
}

/// One step of one sample backwards. `s` and `r` are the whole gradients of its state and cell, and become what they pass on to
/// those before beside the gates.
fn cell_grad<T: Real>(saved: &[T], s: &mut [T], r: &mut [T], dgates: &mut [T]) {
    let units = s.len();
    let [i, f, g, o, before] = parts(saved, units);
    let [di, df, dg, d_o] = parts_mut(dgates, units);
    // The output of the cell, in a loop of its own, which vectorises.
    for (j, y) in d_o.iter_mut().enumerate() {
        *y = tanh(f[j] * before[j] + i[j] * g[j]);
    }
    for j in 0..units {
        let y = d_o[j];
        let dc = r[j] + s[j] * o[j] * tanh_slope(y);
        di[j] = dc * g[j] * sigmoid_slope(i[j]);
        df[j] = dc * before[j] * sigmoid_slope(f[j]);
        dg[j] = dc * i[j] * tanh_slope(g[j]);
        d_o[j] = s[j] * y * sigmoid_slope(o[j]);
        (s[j], r[j]) = (T::zero(), dc * f[j]);
    }
}

impl Var {
    /// States `h` and cells `c` of a long short-term memory after every step, both `[batch, time, units]`. This is `gates`
    /// `[batch, time, 4 · units]`, the input's part `x · w + b` of all steps, in Keras's order: input, forget, cell, output. `u` is
    /// `[units, 4 · units]`, the initial state `h0` and cell `c0` `[batch, units]`. With `lengths` (`u32` `[batch]`) the steps from a
    /// sample's length on leave state and cell as they are; a length beyond the steps there are counts as all of them. See [`Lstm`].
    ///
    /// # Errors
    /// Where shapes or types do not fit, or there are more than 65 536 steps.
    pub fn lstm(&self, u: &Var, h0: &Var, c0: &Var, lengths: Option<&Var>, options: LstmOptions) -> Result<(Var, Var)> {
        let mut inputs = vec![self, u, h0, c0];
        inputs.extend(lengths);
        let mut outputs = self.graph.push(Lstm { reverse: options.reverse }, &inputs)?;
        let c = outputs.swap_remove(1);
        Ok((outputs.swap_remove(0), c))
    }
}
