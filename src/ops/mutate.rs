//! What happens to sequences of letters: single letters change into others, and a sequence is read from the other strand, that is, from its
//! end to its start with every letter as its complement. For tokens and for one-hot letters.
//!
//! A letter mutates where its number, as a whole number below 2²⁴, is below `rate · 2²⁴`, into each of the others alike; that is arithmetic
//! on whole numbers, and the same on every device. Sources: N. Lee et al., "EvoAug: improving generalization and interpretability of
//! genomic deep neural networks with evolution-inspired data augmentations", Genome Biology 24 (2023); A. Shrikumar et al., "Reverse-complement
//! parameter sharing improves deep learning models for genomics", bioRxiv (2017).

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use super::expect_dtype;
use crate::contract::{
    CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, exact, grid, parallel_rows, stem,
};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Var};
use crate::shape::{DType, TensorSpec};

/// Mutates letters and turns strands. Inputs: tokens, u32 `[batch, time]`, or one-hot letters, floats `[batch, letters, time]`; uniform numbers
/// in [0, 1), floats `[batch, 1 + time]`: the strand's, then each letter's; the complement of every letter, u32 `[letters]`, which must
/// give each letter back when it is taken twice; and, where sequences end early, their lengths, u32 `[batch]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutate {
    /// The token of the first letter; 0 for one-hot letters. Other tokens stay what they are.
    pub first: u32,
    /// How many letters there are, 1 to 256.
    pub letters: u32,
    /// The share of letters that change.
    #[serde(with = "exact")]
    pub rate: f32,
    /// The share of samples that are read from the other strand.
    #[serde(with = "exact")]
    pub reverse: f32,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    n: u32,
    time: u32,
    letters: u32,
    first: u32,
    rate: u32,
    reverse: f32,
    pad: [u32; 2],
}

impl Mutate {
    /// Refuses settings that make no sense.
    ///
    /// # Errors
    /// [`Error::Parameter`], naming the setting.
    pub fn check(&self) -> Result<()> {
        for (what, share) in [("mutation", self.rate), ("reverse complement", self.reverse)] {
            if !(0.0..=1.0).contains(&share) {
                return Err(Error::parameter("mutate", what, "a probability, 0 to 1", share));
            }
        }
        if !(1..=256).contains(&self.letters) || self.first.checked_add(self.letters).is_none() {
            let actual = format!("{} from token {} on", self.letters, self.first);
            return Err(Error::parameter("mutate", "letters", "1 to 256", actual));
        }
        Ok(())
    }

    /// The mutation rate in parts of 2²⁴.
    fn threshold(&self) -> u32 {
        (f64::from(self.rate) * 16_777_216.0).round() as u32
    }

    /// How many letters further the mutation goes that a letter's number chooses.
    fn step(&self, draw: u32) -> u32 {
        if draw >= self.threshold() || self.letters < 2 { 0 } else { 1 + draw * (self.letters - 1) / self.threshold() }
    }
}

/// What a twin knows of one sequence.
struct Strand<'a, T> {
    op: &'a Mutate,
    draws: &'a [T],
    table: &'a [u32],
    length: usize,
}

impl<'a, T: Real> Strand<'a, T> {
    fn of(op: &'a Mutate, call: &'a CpuCall<'_, T>, sample: usize, time: usize) -> Self {
        let length = call.x.get(3).map_or(time, |lengths| (lengths.u()[sample] as usize).min(time));
        let draws = &call.x[1].f()[sample * (1 + time)..][..1 + time];
        Strand { op, draws, table: call.x[2].u(), length }
    }

    fn is_turned(&self) -> bool {
        self.draws[0] < T::of(f64::from(self.op.reverse))
    }

    /// Where the letter at `i` comes from, and how far it mutates there.
    fn source(&self, i: usize) -> (usize, u32) {
        let j = if self.is_turned() { self.length - 1 - i } else { i };
        (j, self.op.step((self.draws[1 + j] * T::of(16_777_216.0)).f64() as u32))
    }

    fn complement(&self, letter: u32) -> u32 {
        if self.is_turned() { self.table[letter as usize].min(self.op.letters - 1) } else { letter }
    }
}

impl OpDef for Mutate {
    stem!("mutate");

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [x, u, table] = inputs.first_chunk().ok_or_else(|| {
            Error::shape(
                "mutate",
                "letters, numbers, complements and perhaps lengths",
                format!("{} tensors", inputs.len()),
            )
        })?;
        self.check()?;
        let (batch, time) = match (x.dtype, &*x.shape) {
            (DType::U32, [batch, time]) => (*batch, *time),
            (DType::F32, [batch, letters, time]) if *letters == self.letters as usize && self.first == 0 => {
                (*batch, *time)
            }
            _ => {
                let expected = format!("tokens u32[batch, time] or one-hot letters f32[batch, {}, time]", self.letters);
                return Err(Error::shape("mutate", expected, x.to_string()));
            }
        };
        expect_dtype("mutate", u, DType::F32)?;
        let wanted = [TensorSpec::f32([batch, 1 + time]), TensorSpec::u32([self.letters as usize])];
        for (want, have) in wanted.iter().zip([u, table]) {
            if want != have {
                return Err(Error::shape("mutate", want.to_string(), have.to_string()));
            }
        }
        match &inputs[3..] {
            [] => {}
            [lengths] if *lengths == TensorSpec::u32([batch]) => {}
            more => return Err(Error::shape("mutate", format!("lengths u32[{batch}]"), format!("{more:?}"))),
        }
        // Kernels count elements in 32 bits.
        if x.shape.elements() >= 1 << 31 {
            return Err(Error::shape("mutate", "fewer than 2³¹ elements", x.to_string()));
        }
        Ok(vec![x.clone()])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let x = &io.inputs[0];
        let n = x.shape.elements();
        let params = Params {
            n: n as u32,
            time: x.shape[x.shape.len() - 1] as u32,
            letters: self.letters,
            first: self.first,
            rate: self.threshold(),
            reverse: self.reverse,
            pad: [0; 2],
        };
        let kernel = Kernel::of::<Self>("mutate")
            .define("ONE_HOT", u32::from(x.dtype == DType::F32))
            .define("LENGTHS", u32::from(io.inputs.len() > 3));
        Launch::new(kernel, &params, grid(n)).bind_all(io).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let spec = &call.io.inputs[0];
        let (time, one_hot) = (spec.shape[spec.shape.len() - 1], spec.dtype == DType::F32);
        let letters = self.letters as usize;
        let mut y = std::mem::take(&mut call.y);
        if one_hot {
            let x = call.x[0].f();
            parallel_rows(y[0].f_mut(), time, |row, y| {
                let (sample, letter) = (row / letters, (row % letters) as u32);
                let strand = Strand::of(self, &call, sample, time);
                y.copy_from_slice(&x[row * time..][..time]);
                for (i, y) in y.iter_mut().enumerate().take(strand.length) {
                    let (j, step) = strand.source(i);
                    let from = (strand.complement(letter) + self.letters - step) % self.letters;
                    *y = x[(sample * letters + from as usize) * time + j];
                }
            });
            return;
        }
        let x = call.x[0].u();
        parallel_rows(y[0].u_mut(), time, |sample, y| {
            let strand = Strand::of(self, &call, sample, time);
            let x = &x[sample * time..][..time];
            y.copy_from_slice(x);
            for (i, y) in y.iter_mut().enumerate().take(strand.length) {
                let (j, step) = strand.source(i);
                *y = match x[j].checked_sub(self.first).filter(|letter| *letter < self.letters) {
                    Some(letter) => self.first + strand.complement((letter + step) % self.letters),
                    None => x[j],
                };
            }
        });
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok(vec![Grad::NotDifferentiable; ctx.inputs()])
    }
}

impl Var {
    /// The sequences with letters mutated and strands turned, as uniform numbers `[batch, 1 + time]` choose: see [`Mutate`]. It has no
    /// gradient.
    ///
    /// # Errors
    /// Where a setting makes no sense or a shape does not fit.
    pub fn mutate(&self, settings: &Mutate, draws: &Var, complements: &Var, lengths: Option<&Var>) -> Result<Var> {
        let inputs: Vec<&Var> = [self, draws, complements].into_iter().chain(lengths).collect();
        self.graph.push1(settings.clone(), &inputs)
    }
}
