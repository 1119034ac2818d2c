use std::f64::consts::PI;
use std::sync::Arc;

use super::{Curve, Schedule, not_negative, positive};
use crate::error::{Error, Result};

macro_rules! schedules {
    ($($name:ident),*) => {
        $(impl From<$name> for Schedule {
            fn from(curve: $name) -> Schedule {
                Schedule(Arc::new(curve))
            }
        })*
    };
}

schedules!(
    StepDecay,
    ExponentialDecay,
    PolynomialDecay,
    PiecewiseConstant,
    CosineDecay,
    CosineDecayRestarts,
    OneCycle,
    WarmUp
);

fn some(owner: &str, what: &str, steps: usize) -> Result<()> {
    if steps > 0 { Ok(()) } else { Err(Error::parameter(owner, what, "at least 1", steps)) }
}

fn share(owner: &str, what: &str, value: f64) -> Result<()> {
    if (0.0..=1.0).contains(&value) { Ok(()) } else { Err(Error::parameter(owner, what, "in [0, 1]", value)) }
}

/// `from` at 0, `to` at 1, along half a cosine.
fn along_cosine(from: f64, to: f64, part: f64) -> f64 {
    to + (from - to) * 0.5 * (1.0 + (PI * part).cos())
}

/// Stairs: `rate · factor^⌊step / every⌋`.
#[derive(Clone, Debug)]
pub struct StepDecay {
    rate: f64,
    every: usize,
    factor: f64,
}

impl StepDecay {
    /// Begins at `rate`, which is multiplied by `factor` after every `every` updates.
    pub fn new(rate: f64, every: usize, factor: f64) -> Self {
        StepDecay { rate, every, factor }
    }
}

impl Curve for StepDecay {
    fn at(&self, step: usize) -> f64 {
        self.rate * self.factor.powf((step / self.every.max(1)) as f64)
    }

    fn check(&self, owner: &str) -> Result<()> {
        positive(owner, "learning rate", self.rate)?;
        some(owner, "learning rate: steps of a stair", self.every)?;
        positive(owner, "learning rate: factor", self.factor)
    }
}

/// `rate · factor^(step / steps)`. Source: Keras 3, `ExponentialDecay`.
#[derive(Clone, Debug)]
pub struct ExponentialDecay {
    rate: f64,
    steps: usize,
    factor: f64,
    staircase: bool,
}

impl ExponentialDecay {
    /// Begins at `rate` and is `factor` times that after `steps` updates.
    pub fn new(rate: f64, steps: usize, factor: f64) -> Self {
        ExponentialDecay { rate, steps, factor, staircase: false }
    }

    /// Rounds the exponent down to a whole number.
    #[must_use]
    pub fn staircase(self) -> Self {
        ExponentialDecay { staircase: true, ..self }
    }
}

impl Curve for ExponentialDecay {
    fn at(&self, step: usize) -> f64 {
        let exponent = step as f64 / self.steps as f64;
        self.rate * self.factor.powf(if self.staircase { exponent.floor() } else { exponent })
    }

    fn check(&self, owner: &str) -> Result<()> {
        positive(owner, "learning rate", self.rate)?;
        some(owner, "learning rate: decay steps", self.steps)?;
        positive(owner, "learning rate: decay rate", self.factor)
    }
}

/// `(rate − end) · (1 − step / steps)^power + end`, and `end` afterwards. Source: Keras 3, `PolynomialDecay`.
#[derive(Clone, Debug)]
pub struct PolynomialDecay {
    rate: f64,
    steps: usize,
    end: f64,
    power: f64,
    cycle: bool,
}

impl PolynomialDecay {
    /// From `rate` to 0.0001 over `steps` updates, in a straight line.
    pub fn new(rate: f64, steps: usize) -> Self {
        PolynomialDecay { rate, steps, end: 1e-4, power: 1.0, cycle: false }
    }

    /// The last rate.
    #[must_use]
    pub fn end(self, rate: f64) -> Self {
        PolynomialDecay { end: rate, ..self }
    }

    /// The exponent; 1 is a straight line.
    #[must_use]
    pub fn power(self, power: f64) -> Self {
        PolynomialDecay { power, ..self }
    }

    /// Stretches the decay, in place of ending it, to the next multiple of its steps.
    #[must_use]
    pub fn cycle(self) -> Self {
        PolynomialDecay { cycle: true, ..self }
    }
}

impl Curve for PolynomialDecay {
    fn at(&self, step: usize) -> f64 {
        let (step, steps) = (step as f64, self.steps as f64);
        let part = if self.cycle { step / (steps * (step / steps).ceil().max(1.0)) } else { step.min(steps) / steps };
        (self.rate - self.end) * (1.0 - part).powf(self.power) + self.end
    }

    fn check(&self, owner: &str) -> Result<()> {
        positive(owner, "learning rate", self.rate)?;
        some(owner, "learning rate: decay steps", self.steps)?;
        not_negative(owner, "learning rate: end", self.end)?;
        positive(owner, "learning rate: power", self.power)
    }
}

/// `values[0]` up to and including update `boundaries[0]`, then `values[1]` up to `boundaries[1]`, and so on. Source: Keras 3,
/// `PiecewiseConstantDecay`.
#[derive(Clone, Debug)]
pub struct PiecewiseConstant {
    boundaries: Vec<usize>,
    values: Vec<f64>,
}

impl PiecewiseConstant {
    /// One value more than there are boundaries, which ascend.
    pub fn new(boundaries: impl Into<Vec<usize>>, values: impl Into<Vec<f64>>) -> Self {
        PiecewiseConstant { boundaries: boundaries.into(), values: values.into() }
    }
}

impl Curve for PiecewiseConstant {
    fn at(&self, step: usize) -> f64 {
        let passed = self.boundaries.iter().filter(|boundary| step > **boundary).count();
        self.values.get(passed).copied().unwrap_or(0.0)
    }

    fn check(&self, owner: &str) -> Result<()> {
        if self.values.len() != self.boundaries.len() + 1 || !self.boundaries.is_sorted_by(|a, b| a < b) {
            let (expected, actual) = ("ascending boundaries, and one value more", format!("{self:?}"));
            return Err(Error::parameter(owner, "learning rate", expected, actual));
        }
        self.values.iter().try_for_each(|value| not_negative(owner, "learning rate", *value))
    }
}

/// Half a cosine from the rate down to `alpha` times it, with a linear warm-up before it where asked for. Sources: I. Loshchilov,
/// F. Hutter, "SGDR", ICLR 2017, without restarts; Keras 3, `CosineDecay`.
#[derive(Clone, Debug)]
pub struct CosineDecay {
    rate: f64,
    steps: usize,
    alpha: f64,
    warm_up: Option<(f64, usize)>,
}

impl CosineDecay {
    /// From `rate` to 0 over `steps` updates.
    pub fn new(rate: f64, steps: usize) -> Self {
        CosineDecay { rate, steps, alpha: 0.0, warm_up: None }
    }

    /// The share of the highest rate that is left at the end.
    #[must_use]
    pub fn alpha(self, alpha: f64) -> Self {
        CosineDecay { alpha, ..self }
    }

    /// First a straight line from the rate to `target` over `steps` updates; the cosine begins there.
    #[must_use]
    pub fn warm_up(self, target: f64, steps: usize) -> Self {
        CosineDecay { warm_up: Some((target, steps)), ..self }
    }
}

impl Curve for CosineDecay {
    fn at(&self, step: usize) -> f64 {
        let (top, before) = self.warm_up.unwrap_or((self.rate, 0));
        if step < before {
            return self.rate + (top - self.rate) * step as f64 / before as f64;
        }
        let part = (step - before).min(self.steps) as f64 / self.steps as f64;
        along_cosine(top, self.alpha * top, part)
    }

    fn check(&self, owner: &str) -> Result<()> {
        match self.warm_up {
            Some((target, _)) => {
                not_negative(owner, "learning rate", self.rate)?;
                positive(owner, "learning rate: warm-up target", target)?;
            }
            None => positive(owner, "learning rate", self.rate)?,
        }
        some(owner, "learning rate: decay steps", self.steps)?;
        share(owner, "learning rate: alpha", self.alpha)
    }
}

/// Half cosines, one after another: the i-th is `t_mul^i` times as long as the first and begins at `m_mul^i` times the rate. Sources: I.
/// Loshchilov, F. Hutter, "SGDR", ICLR 2017; Keras 3, `CosineDecayRestarts`.
#[derive(Clone, Debug)]
pub struct CosineDecayRestarts {
    rate: f64,
    first: usize,
    t_mul: f64,
    m_mul: f64,
    alpha: f64,
}

impl CosineDecayRestarts {
    /// From `rate` to 0 over `first_steps` updates, then again, twice as long each time.
    pub fn new(rate: f64, first_steps: usize) -> Self {
        CosineDecayRestarts { rate, first: first_steps, t_mul: 2.0, m_mul: 1.0, alpha: 0.0 }
    }

    /// How much longer every cosine is than the one before; at least 1.
    #[must_use]
    pub fn t_mul(self, t_mul: f64) -> Self {
        CosineDecayRestarts { t_mul, ..self }
    }

    /// How much higher every cosine begins than the one before.
    #[must_use]
    pub fn m_mul(self, m_mul: f64) -> Self {
        CosineDecayRestarts { m_mul, ..self }
    }

    /// The share of the rate that is left at the end of a cosine.
    #[must_use]
    pub fn alpha(self, alpha: f64) -> Self {
        CosineDecayRestarts { alpha, ..self }
    }

    /// Which cosine a time lies in, and where in it; times are counted in lengths of the first cosine.
    fn place(&self, time: f64) -> (f64, f64) {
        if self.t_mul == 1.0 {
            return (time.floor(), time.fract());
        }
        let start = |i: f64| (self.t_mul.powf(i) - 1.0) / (self.t_mul - 1.0);
        let mut i = ((1.0 + time * (self.t_mul - 1.0)).ln() / self.t_mul.ln()).floor().max(0.0);
        // The logarithm may be off by one where a cosine begins.
        if start(i + 1.0) <= time {
            i += 1.0;
        } else if start(i) > time {
            i -= 1.0;
        }
        (i, (time - start(i)) / self.t_mul.powf(i))
    }
}

impl Curve for CosineDecayRestarts {
    fn at(&self, step: usize) -> f64 {
        let (i, part) = self.place(step as f64 / self.first as f64);
        let cosine = 0.5 * self.m_mul.powf(i) * (1.0 + (PI * part).cos());
        self.rate * ((1.0 - self.alpha) * cosine + self.alpha)
    }

    fn check(&self, owner: &str) -> Result<()> {
        positive(owner, "learning rate", self.rate)?;
        some(owner, "learning rate: first decay steps", self.first)?;
        if !self.t_mul.is_finite() || self.t_mul < 1.0 {
            return Err(Error::parameter(owner, "learning rate: t_mul", "a number not below 1", self.t_mul));
        }
        positive(owner, "learning rate: m_mul", self.m_mul)?;
        share(owner, "learning rate: alpha", self.alpha)
    }
}

/// Up along half a cosine, then down along another, far below where it began. Sources: L. Smith, N. Topin, "Super-convergence", 2018;
/// the formula is that of PyTorch's `OneCycleLR`, which stays at its last rate here.
#[derive(Clone, Debug)]
pub struct OneCycle {
    top: f64,
    steps: usize,
    rise: f64,
    start: f64,
    end: f64,
}

impl OneCycle {
    /// One cycle of `steps` updates in all, up to `top_rate` in the first 30 % of them. It begins at a 25th of that and ends ten
    /// thousand times lower than it began.
    pub fn new(top_rate: f64, steps: usize) -> Self {
        OneCycle { top: top_rate, steps, rise: 0.3, start: 25.0, end: 1e4 }
    }

    /// The share of the updates in which the rate rises (PyTorch's `pct_start`).
    #[must_use]
    pub fn rise(self, share: f64) -> Self {
        OneCycle { rise: share, ..self }
    }

    /// How many times lower than the top it begins.
    #[must_use]
    pub fn div_factor(self, factor: f64) -> Self {
        OneCycle { start: factor, ..self }
    }

    /// How many times lower than it began it ends.
    #[must_use]
    pub fn final_div_factor(self, factor: f64) -> Self {
        OneCycle { end: factor, ..self }
    }
}

impl Curve for OneCycle {
    fn at(&self, step: usize) -> f64 {
        let (low, last) = (self.top / self.start, (self.steps as f64 - 1.0).max(0.0));
        let (step, peak) = ((step as f64).min(last), (self.rise * self.steps as f64 - 1.0).clamp(0.0, last));
        if step < peak {
            along_cosine(low, self.top, step / peak)
        } else if last > peak {
            along_cosine(self.top, low / self.end, (step - peak) / (last - peak))
        } else {
            self.top
        }
    }

    fn check(&self, owner: &str) -> Result<()> {
        positive(owner, "learning rate", self.top)?;
        some(owner, "learning rate: steps of the cycle", self.steps)?;
        share(owner, "learning rate: share of rising steps", self.rise)?;
        positive(owner, "learning rate: div factor", self.start)?;
        positive(owner, "learning rate: final div factor", self.end)
    }
}

/// A straight line from 0 over some updates, then another schedule from its beginning.
#[derive(Clone, Debug)]
pub struct WarmUp {
    steps: usize,
    then: Schedule,
}

impl WarmUp {
    /// From 0 to the first rate of `then` over `steps` updates.
    pub fn new(steps: usize, then: impl Into<Schedule>) -> Self {
        WarmUp { steps, then: then.into() }
    }
}

impl Curve for WarmUp {
    fn at(&self, step: usize) -> f64 {
        match step.checked_sub(self.steps) {
            Some(step) => self.then.0.at(step),
            None => self.then.0.at(0) * step as f64 / self.steps as f64,
        }
    }

    fn check(&self, owner: &str) -> Result<()> {
        self.then.check(owner)
    }
}
