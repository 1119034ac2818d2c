use super::{AugmentCtx, Augmentation, input};
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::ops::signal::{Signal, draws};
use crate::shape::DType;

/// Between these frequencies, in Hz, lie breathing and the slow drift of electrodes.
const WANDER: [f32; 2] = [0.05, 0.5];

/// Changes signals `[leads, time]`, such as electrocardiograms. Nothing is on at first. All that is on happens to every sample of a
/// training, each time with another size: scaling and lead dropout, baseline wander, jitter. Lead dropout comes last, so that a lead that is off
/// is 0.
///
/// ```
/// use galen::augment::{Augmentation, SignalAugment};
///
/// let augment = SignalAugment::new().jitter(0.01).scale(0.8, 1.25).lead_dropout(0.1).baseline_wander(0.2, 500.0);
/// augment.check()?;
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SignalAugment {
    input: usize,
    jitter: f32,
    signal: Signal,
    rate: f32,
    frequencies: [f32; 2],
}

impl Default for SignalAugment {
    fn default() -> Self {
        let signal = Signal { scale: [1.0; 2], dropout: 0.0, wander: 0.0, cycles: [0.0; 2] };
        SignalAugment { input: 0, jitter: 0.0, signal, rate: 1.0, frequencies: WANDER }
    }
}

impl SignalAugment {
    /// Changes nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Which of the network's inputs holds the signals; the first if not said.
    #[must_use]
    pub fn input(self, index: usize) -> Self {
        SignalAugment { input: index, ..self }
    }

    /// Normal noise of this standard deviation is added to every value.
    #[must_use]
    pub fn jitter(self, sigma: f32) -> Self {
        SignalAugment { jitter: sigma, ..self }
    }

    /// All leads of a sample multiplied by a factor between these two.
    #[must_use]
    pub fn scale(mut self, low: f32, high: f32) -> Self {
        self.signal.scale = [low, high];
        self
    }

    /// Every lead is set to 0 with this probability, except one of each sample, drawn at random, that stays in any case.
    #[must_use]
    pub fn lead_dropout(mut self, probability: f32) -> Self {
        self.signal.dropout = probability;
        self
    }

    /// A sum of three slow sines is added, at most `size` large, of another weight and sign in every lead: from 0.05 to 0.5 Hz, for
    /// signals of `rate` values per second.
    #[must_use]
    pub fn baseline_wander(mut self, size: f32, rate: f32) -> Self {
        self.signal.wander = size;
        SignalAugment { rate, ..self }
    }

    /// Between which frequencies, in Hz, the baseline wanders.
    #[must_use]
    pub fn wander_frequencies(self, low: f32, high: f32) -> Self {
        SignalAugment { frequencies: [low, high], ..self }
    }

    fn signal(&self) -> Signal {
        let cycles = if self.signal.wander > 0.0 { self.frequencies.map(|f| f / self.rate) } else { [0.0; 2] };
        Signal { cycles, ..self.signal.clone() }
    }
}

impl Augmentation for SignalAugment {
    fn check(&self) -> Result<()> {
        if !(self.jitter >= 0.0 && self.jitter.is_finite()) {
            return Err(Error::parameter("augment", "jitter", "a standard deviation of at least 0", self.jitter));
        }
        if self.signal.wander > 0.0 && !(self.rate > 0.0 && self.rate.is_finite()) {
            return Err(Error::parameter("augment", "sampling rate", "above 0", self.rate));
        }
        self.signal().check()
    }

    fn build(&self, ctx: &AugmentCtx, inputs: &[Var], targets: &[Var]) -> Result<(Vec<Var>, Vec<Var>)> {
        self.check()?;
        let x = input(inputs, self.input)?;
        let spec = x.spec();
        let [_, leads, time] = *spec.shape else {
            return Err(Error::shape("a signal", "samples [leads, time]", spec.to_string()));
        };
        if spec.dtype != DType::F32 {
            return Err(Error::dtype("a signal", "f32 or u8", spec.to_string()));
        }
        let mut inputs = inputs.to_vec();
        let mut y = x.clone();
        let (op, draw) = (self.signal(), ctx.uniform("signal", [draws(leads)])?);
        if self.jitter == 0.0 {
            y = y.signal(&op, &draw)?;
        } else {
            // The noise is added before leads are dropped, by the same numbers, so that a lead that is off is 0.
            let noise = ctx.normal("jitter", [leads, time])?.scale(self.jitter)?;
            y = y.signal(&Signal { dropout: 0.0, ..op.clone() }, &draw)?.add(&noise)?;
            if op.dropout > 0.0 {
                y = y.signal(&Signal { scale: [1.0; 2], wander: 0.0, ..op }, &draw)?;
            }
        }
        inputs[self.input] = y;
        Ok((inputs, targets.to_vec()))
    }
}
