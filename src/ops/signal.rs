//! What happens to signals on their way: another gain, leads that come off, and a baseline that wanders:
//! `y = f · x + w · Σₖ aₖ sin 2π(cₖ t + sₖ) / K`, or 0 in a lead that is dropped. Each sample has its own `f` and its own three waves,
//! each of its leads its own weight `w` of them, from −1 to 1. One lead, drawn at random, is never dropped.
//!
//! Sources: J. Oh et al., "Lead-agnostic self-supervised learning for local and global representations of electrocardiogram", CHIL
//! 2022 (leads dropped at random); J. Friesen et al., "A comparison of the noise sensitivity of nine QRS detection algorithms", IEEE
//! Transactions on Biomedical Engineering 37 (1990), for the baseline as a sum of slow sines.

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use super::{arity, expect_dtype};
use crate::contract::{
    CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, exact, grid, parallel_rows, stem,
};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Var};
use crate::shape::{DType, TensorSpec};

/// Waves of which a wandering baseline is made.
pub const WAVES: usize = 3;
/// Uniform numbers of a sample before those of its leads.
const HEAD: usize = 2 + 3 * WAVES;

/// Uniform numbers that choose what happens to a sample of so many leads.
pub fn draws(leads: usize) -> usize {
    HEAD + 2 * leads
}

/// Changes the gain, drops leads and lets the baseline wander. Inputs: signals, floats `[batch, leads, time]`, and uniform numbers in
/// [0, 1), floats `[batch, draws(leads)]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signal {
    /// The smallest and the largest gain.
    pub scale: [f32; 2],
    /// The share of leads that are set to 0.
    #[serde(with = "exact")]
    pub dropout: f32,
    /// The largest size of the wandering baseline.
    #[serde(with = "exact")]
    pub wander: f32,
    /// The smallest and the largest frequency of its waves, in cycles per step of time.
    pub cycles: [f32; 2],
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    scale: [f32; 2],
    cycles: [f32; 2],
    n: u32,
    leads: u32,
    time: u32,
    dropout: f32,
    wander: f32,
    pad: [u32; 3],
}

impl Signal {
    /// Refuses settings that make no sense.
    ///
    /// # Errors
    /// [`Error::Parameter`], naming the setting.
    pub fn check(&self) -> Result<()> {
        let refuse = |what, expected, actual: String| Err(Error::parameter("signal", what, expected, actual));
        let [low, high] = self.scale;
        if !(low >= 0.0 && low <= high && high.is_finite()) {
            return refuse("scale", "two factors, the smaller first", format!("{low} to {high}"));
        }
        if !(0.0..=1.0).contains(&self.dropout) {
            return refuse("lead dropout", "0 to 1", self.dropout.to_string());
        }
        if !(self.wander >= 0.0 && self.wander.is_finite()) {
            return refuse("baseline wander", "a size of at least 0", self.wander.to_string());
        }
        let [low, high] = self.cycles;
        if !(low >= 0.0 && low <= high && high <= 0.5) {
            let expected = "two frequencies of at most half a cycle per step of time, the smaller first";
            return refuse("baseline wander", expected, format!("{low} to {high}"));
        }
        Ok(())
    }
}

impl OpDef for Signal {
    stem!("signal");

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [x, u] = arity("signal", inputs)?;
        self.check()?;
        expect_dtype("signal", x, DType::F32)?;
        let [batch, leads, _] = *x.shape else {
            return Err(Error::shape("signal", "signals [batch, leads, time]", x.to_string()));
        };
        let expected = TensorSpec::f32([batch, draws(leads)]);
        if *u != expected {
            return Err(Error::shape("signal", format!("uniform numbers {expected}"), u.to_string()));
        }
        // Kernels count elements in 32 bits.
        if x.shape.elements().max(u.shape.elements()) >= 1 << 31 {
            return Err(Error::shape("signal", "fewer than 2³¹ elements", x.to_string()));
        }
        Ok(vec![x.clone()])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let x = &io.inputs[0].shape;
        let params = Params {
            scale: self.scale,
            cycles: self.cycles,
            n: x.elements() as u32,
            leads: x[1] as u32,
            time: x[2] as u32,
            dropout: self.dropout,
            wander: self.wander,
            pad: [0; 3],
        };
        let kernel = Kernel::of::<Self>("signal")
            .define("HEAD", HEAD)
            .define("WAVES", WAVES)
            .define("WANDER", u32::from(self.wander > 0.0));
        Launch::new(kernel, &params, grid(x.elements())).bind_all(io).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let shape = &call.io.inputs[0].shape;
        let (leads, time) = (shape[1], shape[2]);
        let (x, all) = (call.x[0].f(), call.x[1].f());
        let of = |x: f32| T::of(f64::from(x));
        let between = |[a, b]: [f32; 2], u: T| of(a) + (of(b) - of(a)) * u;
        parallel_rows(call.y[0].f_mut(), time, |row, y| {
            let (sample, lead) = (row / leads, row % leads);
            let u = &all[sample * draws(leads)..][..draws(leads)];
            let own = &u[HEAD + 2 * lead..][..2];
            let stays = ((u[1] * T::of(leads as f64)).f64() as usize).min(leads - 1);
            if own[0] < of(self.dropout) && lead != stays {
                return y.fill(T::zero());
            }
            let factor = between(self.scale, u[0]);
            let weight = (T::of(2.0) * own[1] - T::one()) * (of(self.wander) / T::of(WAVES as f64));
            for (t, (y, x)) in y.iter_mut().zip(&x[row * time..]).enumerate() {
                *y = factor * *x;
                if self.wander > 0.0 {
                    let waves = u[2..HEAD].chunks_exact(3).map(|wave| {
                        let turns = between(self.cycles, wave[0]) * T::of(t as f64) + wave[1];
                        wave[2] * (T::of(std::f64::consts::TAU) * (turns - turns.floor())).sin()
                    });
                    *y += weight * waves.sum::<T>();
                }
            }
        });
    }

    fn gradient(&self, _ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok(vec![Grad::NotDifferentiable; 2])
    }
}

impl Var {
    /// The signals `[batch, leads, time]` with another gain, without some leads and with a wandering baseline, as uniform numbers
    /// `[batch, draws(leads)]` choose: see [`Signal`]. It has no gradient.
    ///
    /// # Errors
    /// Where a setting makes no sense or a shape does not fit.
    pub fn signal(&self, settings: &Signal, draws: &Var) -> Result<Var> {
        self.graph.push1(settings.clone(), &[self, draws])
    }
}
