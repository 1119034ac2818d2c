use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A watched value of the epochs, and the best that it has been.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Monitor {
    pub(super) name: String,
    pub(super) higher_is_better: bool,
    pub(super) min_delta: f64,
    best: Option<f64>,
}

impl Monitor {
    /// Watches the value called `name`. Losses, errors and distances get better downwards, everything else upwards.
    pub(super) fn new(name: &str) -> Monitor {
        let downwards = ["loss", "error", "mse", "mae", "rmse", "brier", "hausdorff", "distance"];
        let higher_is_better = !downwards.iter().any(|word| name.contains(word));
        Monitor { name: name.to_owned(), higher_is_better, min_delta: 0.0, best: None }
    }

    /// Takes note of an epoch's value and tells whether it is the best so far by the least difference. NaN never is.
    pub(super) fn observe(&mut self, value: f64) -> bool {
        let gain = |best: f64| if self.higher_is_better { value - best } else { best - value };
        let better = !value.is_nan() && self.best.is_none_or(|best| gain(best) > self.min_delta);
        if better {
            self.best = Some(value);
        }
        better
    }

    /// The best value so far.
    pub(super) fn best(&self) -> Option<f64> {
        self.best
    }

    /// Takes over the best value of an earlier part of the training, where the same value was watched in the same direction.
    pub(super) fn remember(&mut self, earlier: &Monitor) -> bool {
        let same = self.name == earlier.name && self.higher_is_better == earlier.higher_is_better;
        if same {
            self.best = earlier.best;
        }
        same
    }

    pub(super) fn forget(&mut self) {
        self.best = None;
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.min_delta.is_finite() && self.min_delta >= 0.0 {
            return Ok(());
        }
        Err(Error::parameter(format!("watching {}", self.name), "min delta", "a number not below 0", self.min_delta))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_get_better_downwards_and_shares_upwards() {
        let mut loss = Monitor::new("val_loss");
        assert_eq!(
            [1.0, 0.5, 0.5, f64::NAN, 0.6, 0.4].map(|v| loss.observe(v)),
            [true, true, false, false, false, true]
        );
        let mut auc = Monitor { min_delta: 0.1, ..Monitor::new("val_auc") };
        assert_eq!([0.5, 0.55, 0.7, 0.6].map(|v| auc.observe(v)), [true, false, true, false]);
        assert_eq!(auc.best(), Some(0.7));
    }
}
