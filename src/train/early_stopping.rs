use serde::{Deserialize, Serialize};

use super::callback::{Begin, Callback, Epoch, Memory};
use super::model::Model;
use super::monitor::Monitor;
use crate::error::{Error, Result};
use crate::tensor::Tensor;

/// Stops a training when a watched value no longer gets better, and gives the model the parameters of its best epoch: also where the
/// training ends in another way, by its last epoch or because it was interrupted. The optimizer's state stays that of the last step.
/// Source: Keras 3, `EarlyStopping`.
///
/// ```
/// use galen::prelude::*;
/// use galen::train::EarlyStopping;
///
/// let options = Fit::new().epochs(200).validation_split(0.2).callback(EarlyStopping::new("val_loss").patience(10));
/// ```
#[derive(Clone, Debug)]
pub struct EarlyStopping {
    monitor: Monitor,
    patience: usize,
    start_from: usize,
    restore_best: bool,
    waited: usize,
    /// Epochs that have ended.
    seen: usize,
    best: Option<Best>,
}

/// The best epoch.
#[derive(Clone, Debug)]
struct Best {
    epoch: usize,
    /// Parameters and statistics; empty where they are not to be restored.
    weights: Vec<(String, Tensor)>,
}

/// What a checkpoint keeps.
#[derive(Serialize, Deserialize)]
struct Kept {
    monitor: Monitor,
    waited: usize,
    seen: usize,
    epoch: Option<usize>,
}

impl EarlyStopping {
    /// Watches `"val_loss"`, `"val_accuracy"`, `"loss"` or any other value of an epoch's record; stops after the first epoch that is
    /// not better, and restores the best parameters.
    pub fn new(monitor: &str) -> Self {
        let monitor = Monitor::new(monitor);
        EarlyStopping { monitor, patience: 0, start_from: 0, restore_best: true, waited: 0, seen: 0, best: None }
    }

    /// After how many epochs in a row without a better value the training stops; 0 and 1 mean after the first.
    #[must_use]
    pub fn patience(self, epochs: usize) -> Self {
        EarlyStopping { patience: epochs, ..self }
    }

    /// By how much a value must be better to count.
    #[must_use]
    pub fn min_delta(mut self, difference: f64) -> Self {
        self.monitor.min_delta = difference;
        self
    }

    /// Whether higher values are better, where the name does not tell: names with `loss`, `error` and the like get better downwards.
    #[must_use]
    pub fn higher_is_better(mut self, higher: bool) -> Self {
        self.monitor.higher_is_better = higher;
        self
    }

    /// Epochs at the beginning that are not looked at.
    #[must_use]
    pub fn start_from(self, epoch: usize) -> Self {
        EarlyStopping { start_from: epoch, ..self }
    }

    /// Whether the model gets the parameters of its best epoch at the end (it does by default).
    #[must_use]
    pub fn restore_best(self, restore: bool) -> Self {
        EarlyStopping { restore_best: restore, ..self }
    }
}

impl Callback for EarlyStopping {
    fn name(&self) -> &str {
        "early_stopping"
    }

    fn begin(&mut self, begin: Begin<'_>) -> Result<()> {
        self.monitor.check()?;
        begin.expect(&self.monitor.name)?;
        self.monitor.forget();
        (self.waited, self.seen, self.best) = (0, 0, None);
        Ok(())
    }

    fn epoch_end(&mut self, epoch: Epoch<'_>) -> Result<Option<String>> {
        let value = epoch.value(&self.monitor.name)?;
        self.seen += 1;
        if self.seen <= self.start_from {
            return Ok(None);
        }
        let number = epoch.epochs.last().map_or(0, |record| record.epoch);
        if self.monitor.observe(value) {
            let weights = if self.restore_best { epoch.model.weights()? } else { Vec::new() };
            (self.best, self.waited) = (Some(Best { epoch: number, weights }), 0);
            return Ok(None);
        }
        self.waited += 1;
        if self.waited < self.patience {
            return Ok(None);
        }
        let name = &self.monitor.name;
        Ok(Some(match (&self.best, self.monitor.best()) {
            (Some(best), Some(value)) => format!("{name} was best in epoch {}: {value:.4}", best.epoch),
            _ => format!("{name} was never a number"),
        }))
    }

    fn end(&mut self, model: &mut Model) -> Result<()> {
        let Some(best) = &self.best else { return Ok(()) };
        best.weights.iter().try_for_each(|(name, tensor)| model.set_parameter(name, tensor))
    }

    fn memory(&self) -> Memory {
        let epoch = self.best.as_ref().map(|best| best.epoch);
        let kept = Kept { monitor: self.monitor.clone(), waited: self.waited, seen: self.seen, epoch };
        let tensors = self.best.iter().flat_map(|best| best.weights.clone()).collect();
        Memory { values: serde_json::to_value(kept).unwrap_or_default(), tensors }
    }

    fn remember(&mut self, memory: Memory) -> Result<()> {
        let kept: Kept =
            serde_json::from_value(memory.values).map_err(|e| Error::usage("early stopping", e.to_string()))?;
        if !self.monitor.remember(&kept.monitor) {
            let expected = format!("a training that watched {}", self.monitor.name);
            return Err(Error::data("early stopping of the checkpoint", expected, kept.monitor.name));
        }
        (self.waited, self.seen) = (kept.waited, kept.seen);
        self.best = kept.epoch.map(|epoch| Best { epoch, weights: memory.tensors });
        Ok(())
    }
}
