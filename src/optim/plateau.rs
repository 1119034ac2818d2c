use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Lowers the learning rate when a watched number no longer gets better. Source: Keras 3, `ReduceLROnPlateau`.
///
/// ```
/// use galen::optim::Plateau;
///
/// let mut plateau = Plateau::new().factor(0.5).patience(2);
/// let factors = [1.0, 0.8, 0.9, 0.8, 0.7].map(|loss| plateau.observe(loss));
/// assert_eq!(factors, [1.0, 1.0, 1.0, 0.5, 0.5]);
/// assert_eq!(plateau.rate(0.01), 0.005);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plateau {
    factor: f64,
    patience: usize,
    min_delta: f64,
    cooldown: usize,
    min_rate: f32,
    higher_is_better: bool,
    best: Option<f64>,
    waited: usize,
    cooling: usize,
    now: f64,
}

impl Default for Plateau {
    fn default() -> Self {
        Plateau {
            factor: 0.1,
            patience: 10,
            min_delta: 1e-4,
            cooldown: 0,
            min_rate: 0.0,
            higher_is_better: false,
            best: None,
            waited: 0,
            cooling: 0,
            now: 1.0,
        }
    }
}

impl Plateau {
    /// A tenth of the rate after ten observations without a number that is lower by 0.0001.
    pub fn new() -> Self {
        Self::default()
    }

    /// What the rate is multiplied by; in (0, 1).
    #[must_use]
    pub fn factor(self, factor: f64) -> Self {
        Plateau { factor, ..self }
    }

    /// Observations without a better number until the rate is lowered.
    #[must_use]
    pub fn patience(self, observations: usize) -> Self {
        Plateau { patience: observations, ..self }
    }

    /// By how much a number must be better to count.
    #[must_use]
    pub fn min_delta(self, difference: f64) -> Self {
        Plateau { min_delta: difference, ..self }
    }

    /// Observations after a lowered rate in which nobody waits.
    #[must_use]
    pub fn cooldown(self, observations: usize) -> Self {
        Plateau { cooldown: observations, ..self }
    }

    /// The rate is not lowered below this.
    #[must_use]
    pub fn min_rate(self, rate: f32) -> Self {
        Plateau { min_rate: rate, ..self }
    }

    /// Higher numbers are better: an accuracy is watched, not a loss.
    #[must_use]
    pub fn higher_is_better(self) -> Self {
        Plateau { higher_is_better: true, ..self }
    }

    /// Refuses settings that make no sense.
    ///
    /// # Errors
    /// Where the factor is not in (0, 1), or a difference or rate is negative or not finite.
    pub fn check(&self) -> Result<()> {
        if !(self.factor > 0.0 && self.factor < 1.0) {
            return Err(Error::parameter("plateau", "factor", "in (0, 1)", self.factor));
        }
        super::schedule::not_negative("plateau", "min delta", self.min_delta)?;
        super::schedule::not_negative("plateau", "min rate", f64::from(self.min_rate))
    }

    /// Takes over what an earlier part of the training left, where its settings were the same.
    pub(crate) fn remember(&mut self, earlier: &Plateau) -> bool {
        let settings = |plateau: &Plateau| Plateau { best: None, waited: 0, cooling: 0, now: 1.0, ..plateau.clone() };
        let same = settings(self) == settings(earlier);
        if same {
            *self = earlier.clone();
        }
        same
    }

    /// Takes note of the watched number, once per epoch, and gives the factor for the rate from now on. NaN is never better.
    pub fn observe(&mut self, value: f64) -> f32 {
        if self.cooling > 0 {
            self.cooling -= 1;
            self.waited = 0;
        }
        let better = |best: f64| {
            if self.higher_is_better { value - self.min_delta > best } else { value + self.min_delta < best }
        };
        if !value.is_nan() && self.best.is_none_or(better) {
            (self.best, self.waited) = (Some(value), 0);
        } else if self.cooling == 0 {
            self.waited += 1;
            if self.waited >= self.patience {
                self.now *= self.factor;
                (self.cooling, self.waited) = (self.cooldown, 0);
            }
        }
        self.now as f32
    }

    /// The rate in place of a scheduled one: lowered as far as it now is, not below the least rate.
    pub fn rate(&self, scheduled: f32) -> f32 {
        (scheduled * self.now as f32).max(self.min_rate.min(scheduled))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factors(mut plateau: Plateau, values: &[f64]) -> Vec<f32> {
        values.iter().map(|v| plateau.observe(*v)).collect()
    }

    #[test]
    fn the_rate_is_lowered_when_patience_is_at_its_end() {
        let plateau = Plateau::new().factor(0.5).patience(2);
        assert_eq!(factors(plateau.clone(), &[3.0, 2.0, 1.0, 0.0]), [1.0; 4]);
        assert_eq!(factors(plateau.clone(), &[1.0, 1.0, 1.0, 1.0, 1.0]), [1.0, 1.0, 0.5, 0.5, 0.25]);
        // A little better is not better.
        assert_eq!(factors(plateau.clone(), &[1.0, 0.99995, 0.9999]), [1.0, 1.0, 0.5]);
        assert_eq!(factors(plateau.clone().min_delta(0.0), &[1.0, 0.99995, 0.9999]), [1.0; 3]);
        // One good observation resets the count.
        assert_eq!(factors(plateau, &[1.0, 1.0, 0.5, 0.5, 0.5]), [1.0, 1.0, 1.0, 1.0, 0.5]);
    }

    #[test]
    fn cooling_down_nobody_waits() {
        let plateau = Plateau::new().factor(0.5).patience(1).cooldown(2);
        // Lowered in the second; the third only cools, the fourth ends that and counts.
        assert_eq!(factors(plateau, &[1.0, 1.0, 1.0, 1.0, 1.0]), [1.0, 0.5, 0.5, 0.25, 0.25]);
    }

    #[test]
    fn nan_is_never_better_and_higher_can_be() {
        let plateau = Plateau::new().factor(0.5).patience(2);
        assert_eq!(factors(plateau.clone(), &[f64::NAN, f64::NAN, 1.0, f64::NAN]), [1.0, 0.5, 0.5, 0.5]);
        assert_eq!(factors(plateau.higher_is_better(), &[0.1, 0.2, 0.2, 0.1]), [1.0, 1.0, 1.0, 0.5]);
    }

    #[test]
    fn the_rate_stays_above_the_least() {
        let mut plateau = Plateau::new().factor(0.1).patience(1).min_rate(0.01);
        plateau.observe(1.0);
        let rates = [1.0; 3].map(|loss| {
            plateau.observe(loss);
            plateau.rate(0.5)
        });
        assert_eq!(rates, [0.05, 0.01, 0.01]);
        assert_eq!(plateau.rate(0.001), 0.001, "a schedule may go below it by itself");
    }

    #[test]
    fn senseless_settings_are_refused() {
        for (plateau, part) in [
            (Plateau::new().factor(1.0), "factor"),
            (Plateau::new().factor(f64::NAN), "factor"),
            (Plateau::new().min_delta(-1.0), "min delta"),
            (Plateau::new().min_rate(f32::NAN), "min rate"),
        ] {
            let error = plateau.check().expect_err("a senseless setting").to_string();
            assert!(error.contains(part), "{error}");
        }
        assert!(Plateau::new().check().is_ok());
    }
}
