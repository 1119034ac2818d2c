//! The simple recurrence and its gradient.
//!
//! `h[t] = f(gates[t] + h[t − 1] · u)` with `f = tanh` or ReLU, where `gates = x · w + b` was computed for all steps at once.
//!
//! Source: J. Elman, "Finding structure in time", Cognitive Science 14 (1990).

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::recurrent::{
    SAMPLES, Sequence, add_product, is_there, kernel_gradient, states_before, tanh, tanh_slope, with_lengths,
};
use crate::contract::{CpuCall, GpuTraits, Io, Kernel, Launches, OpDef, Real, stem};
use crate::error::Result;
use crate::graph::{Grad, GradientCtx, Var};
use crate::shape::TensorSpec;

/// The states of a simple recurrence after every step.
///
/// Inputs: `gates` `[batch, time, units]`, the recurrent kernel `u` `[units, units]`, the initial state `h0` `[batch, units]`, and
/// where samples have lengths of their own, these as `u32` `[batch]`. Output: `h` `[batch, time, units]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rnn {
    /// Begins with the last step.
    pub reverse: bool,
    /// ReLU instead of tanh.
    pub relu: bool,
}

/// `dgates` `[batch, time, units]` and `dh0` `[batch, units]` from `h`, the transposed recurrent kernel, `dh`, and the lengths where
/// there are some.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RnnGrad {
    /// As in the recurrence.
    pub reverse: bool,
    /// As in the recurrence.
    pub relu: bool,
}

/// How [`Var::rnn`] runs. The default is tanh, from the first step to the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RnnOptions {
    /// From the last step to the first; what it gives for a step stays at that step's place.
    pub reverse: bool,
    /// ReLU instead of tanh.
    pub relu: bool,
}

impl Rnn {
    fn sequence(&self, inputs: &[TensorSpec]) -> Result<Sequence> {
        let ([gates, u, h0], lengths) = with_lengths(Self::STEM, inputs)?;
        let sequence = Sequence::of(Self::STEM, self.reverse, 1, gates, u)?;
        sequence.expect_state(Self::STEM, "an initial state", h0)?;
        sequence.expect_lengths(Self::STEM, lengths)?;
        Ok(sequence)
    }
}

impl OpDef for Rnn {
    stem!("rnn");

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let sequence = self.sequence(inputs)?;
        Ok(vec![sequence.steps(sequence.units)])
    }

    fn gpu(&self, io: &Io, gpu: &GpuTraits) -> Launches {
        let kernel = Kernel::of::<Self>("rnn").define("RELU", u32::from(self.relu));
        self.sequence(&io.inputs).map(|s| s.launches(kernel, "f32", io, gpu)).unwrap_or_default()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let Ok(sequence) = self.sequence(&call.io.inputs) else { return };
        let Sequence { time, units, .. } = sequence;
        let (gates, u, h0) = (call.x[0].f(), call.x[1].f(), call.x[2].f());
        let lengths = call.x.get(3).map(|x| x.u());
        let tasks = call.y[0].f_mut().par_chunks_mut(SAMPLES * time * units);
        let tasks = tasks.zip(call.scratch.par_chunks_mut(SAMPLES * units));
        tasks.enumerate().for_each(|(task, (h, sums))| {
            let samples = h.len() / (time * units);
            let start = task * SAMPLES;
            let h0 = &h0[start * units..][..samples * units];
            let gates = &gates[start * time * units..];
            let sums = &mut sums[..samples * units];
            for (t, before) in sequence.forwards() {
                for (sample, sums) in sums.chunks_exact_mut(units).enumerate() {
                    sums.copy_from_slice(&gates[(sample * time + t) * units..][..units]);
                }
                match before {
                    None => add_product(h0, (1, 0), u, units, sums),
                    Some(before) => add_product(h, (time, before), u, units, sums),
                }
                for (sample, sums) in sums.chunks_exact(units).enumerate() {
                    let h = &mut h[sample * time * units..][..time * units];
                    if is_there(lengths, start + sample, t) {
                        let states = h[t * units..].iter_mut().zip(sums);
                        match self.relu {
                            true => states.for_each(|(h, z)| *h = if *z < T::zero() { T::zero() } else { *z }),
                            false => states.for_each(|(h, z)| *h = tanh(*z)),
                        }
                    } else if let Some(before) = before {
                        h.copy_within(before * units..(before + 1) * units, t * units);
                    } else {
                        h[t * units..][..units].copy_from_slice(&h0[sample * units..][..units]);
                    }
                }
            }
        });
    }

    fn scratch(&self, io: &Io) -> usize {
        io.inputs[2].shape.elements()
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        let (u, h0, h) = (ctx.input(1), ctx.input(2), ctx.output(0));
        let (ut, dh) = (u.transpose(&[1, 0])?, ctx.dy()?);
        let mut inputs = vec![h, &ut, dh];
        inputs.extend((ctx.inputs() > 3).then(|| ctx.input(3)));
        let grads = ctx.graph().push(RnnGrad { reverse: self.reverse, relu: self.relu }, &inputs)?;
        let du = || kernel_gradient(&states_before(h, h0, self.reverse)?, &grads[0]);
        let mut all = vec![Grad::Of(grads[0].clone()), ctx.wanted(1, du)?, Grad::Of(grads[1].clone())];
        all.resize(ctx.inputs(), Grad::NotDifferentiable);
        Ok(all)
    }
}

impl RnnGrad {
    fn sequence(&self, inputs: &[TensorSpec]) -> Result<Sequence> {
        let ([h, ut, dh], lengths) = with_lengths(self.name(), inputs)?;
        let sequence = Sequence::of_grad(self.name(), self.reverse, 1, dh, ut)?;
        sequence.expect(self.name(), "h", h, &dh.shape)?;
        sequence.expect_lengths(self.name(), lengths)?;
        Ok(sequence)
    }
}

impl OpDef for RnnGrad {
    stem!("rnn");

    fn name(&self) -> &str {
        "rnn_grad"
    }

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let sequence = self.sequence(inputs)?;
        Ok(vec![sequence.steps(sequence.units), sequence.state()])
    }

    fn gpu(&self, io: &Io, gpu: &GpuTraits) -> Launches {
        let kernel = Kernel::of::<Self>("rnn_grad").define("RELU", u32::from(self.relu));
        self.sequence(&io.inputs).map(|s| s.launches_grad(kernel, s.units, io, gpu)).unwrap_or_default()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let Ok(sequence) = self.sequence(&call.io.inputs) else { return };
        let Sequence { time, units, .. } = sequence;
        let (h, ut, dh) = (call.x[0].f(), call.x[1].f(), call.x[2].f());
        let lengths = call.x.get(3).map(|x| x.u());
        let [dgates, dh0] = &mut call.y[..] else { return };
        let tasks = dgates.f_mut().par_chunks_mut(SAMPLES * time * units);
        let tasks = tasks.zip(dh0.f_mut().par_chunks_mut(SAMPLES * units));
        tasks.enumerate().for_each(|(task, (dgates, carried))| {
            let start = task * SAMPLES;
            carried.fill(T::zero());
            for t in sequence.backwards() {
                for (sample, carried) in carried.chunks_exact_mut(units).enumerate() {
                    let own = (sample * time + t) * units;
                    let from = start * time * units + own;
                    let (h, dh, dgates) = (&h[from..][..units], &dh[from..][..units], &mut dgates[own..][..units]);
                    let there = is_there(lengths, start + sample, t);
                    for (j, carried) in carried.iter_mut().enumerate() {
                        let s = dh[j] + *carried;
                        let slope = match self.relu {
                            true if h[j] > T::zero() => T::one(),
                            true => T::zero(),
                            false => tanh_slope(h[j]),
                        };
                        dgates[j] = if there { s * slope } else { T::zero() };
                        *carried = if there { T::zero() } else { s };
                    }
                }
                add_product(dgates, (time, t), ut, units, carried);
            }
        });
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok(vec![Grad::Unsupported("second derivatives of a recurrence"); ctx.inputs()])
    }
}

impl Var {
    /// The states of a simple recurrence after every step, `[batch, time, units]`: `h[t] = f(gates[t] + h[t − 1] · u)`. This is
    /// `gates` `[batch, time, units]`, the input's part `x · w + b` of all steps; `u` is `[units, units]`, the initial state `h0`
    /// `[batch, units]`. With `lengths` (`u32` `[batch]`) the steps from a sample's length on leave its state as it is; a length
    /// beyond the steps there are counts as all of them. See [`Rnn`].
    ///
    /// # Errors
    /// Where shapes or types do not fit, or there are more than 65 536 steps.
    pub fn rnn(&self, u: &Var, h0: &Var, lengths: Option<&Var>, options: RnnOptions) -> Result<Var> {
        let mut inputs = vec![self, u, h0];
        inputs.extend(lengths);
        self.graph.push1(Rnn { reverse: options.reverse, relu: options.relu }, &inputs)
    }
}
