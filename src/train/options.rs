use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::callback::Callback;
use super::checkpoint::Checkpoints;
use super::interrupt::Interrupt;
use crate::augment::Augmentation;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::optim::Plateau;

/// How to train; every setting has Keras's default.
#[derive(Clone, Debug)]
pub struct Fit {
    pub(super) epochs: usize,
    pub(super) batch_size: usize,
    validation: Option<Dataset>,
    validation_split: f64,
    pub(super) shuffle: bool,
    pub(super) verbose: bool,
    pub(super) interrupt: Interrupt,
    pub(super) plateau: Option<Plateau>,
    pub(super) augment: Vec<Arc<dyn Augmentation>>,
    pub(super) callbacks: Vec<Arc<Mutex<dyn Callback>>>,
    pub(super) checkpoints: Option<Checkpoints>,
    pub(super) class_weights: Vec<f32>,
    pub(super) time_limit: Option<Duration>,
}

impl Default for Fit {
    fn default() -> Self {
        Fit {
            epochs: 1,
            batch_size: 32,
            validation: None,
            validation_split: 0.0,
            shuffle: true,
            verbose: true,
            interrupt: Interrupt::new(),
            plateau: None,
            augment: Vec::new(),
            callbacks: Vec::new(),
            checkpoints: None,
            class_weights: Vec::new(),
            time_limit: None,
        }
    }
}

impl Fit {
    /// One epoch, batches of 32, shuffled, with a progress bar.
    pub fn new() -> Self {
        Self::default()
    }

    /// How often the training goes over the data.
    #[must_use]
    pub fn epochs(self, epochs: usize) -> Self {
        Fit { epochs, ..self }
    }

    /// Samples per step; the last step of an epoch takes what is left.
    #[must_use]
    pub fn batch_size(self, batch_size: usize) -> Self {
        Fit { batch_size, ..self }
    }

    /// Evaluates on this data after every epoch.
    #[must_use]
    pub fn validation(self, data: &Dataset) -> Self {
        Fit { validation: Some(data.clone()), ..self }
    }

    /// Keeps this share of the data, its last samples, for evaluation after every epoch, and does not train on it.
    #[must_use]
    pub fn validation_split(self, share: f64) -> Self {
        Fit { validation_split: share, ..self }
    }

    /// Whether every epoch has its own order of samples (one permutation over the whole set).
    #[must_use]
    pub fn shuffle(self, shuffle: bool) -> Self {
        Fit { shuffle, ..self }
    }

    /// Whether to show progress: a bar in a terminal, a line per epoch in a pipe.
    #[must_use]
    pub fn verbose(self, verbose: bool) -> Self {
        Fit { verbose, ..self }
    }

    /// Stops the training when this wish is expressed.
    #[must_use]
    pub fn interrupt(self, interrupt: &Interrupt) -> Self {
        Fit { interrupt: interrupt.clone(), ..self }
    }

    /// Lowers the learning rate when the validation loss (the training loss, where there is no validation) no longer falls. Every call
    /// of `fit` begins anew, at the full rate.
    #[must_use]
    pub fn reduce_on_plateau(self, plateau: Plateau) -> Self {
        Fit { plateau: Some(plateau), ..self }
    }

    /// Changes every sample anew in every epoch, on the device; never in validation. Given several times, one after the other. See
    /// [`augment`](crate::augment).
    #[must_use]
    pub fn augment(mut self, augmentation: impl Augmentation + 'static) -> Self {
        self.augment.push(Arc::new(augmentation));
        self
    }

    /// Does this after every epoch as well; callbacks are called in the order in which they were given. Clones of these settings share
    /// it, and every training begins with it anew.
    #[must_use]
    pub fn callback(mut self, callback: impl Callback + 'static) -> Self {
        self.callbacks.push(Arc::new(Mutex::new(callback)));
        self
    }

    /// Keeps checkpoints, and goes on from the last one where they say so.
    #[must_use]
    pub fn checkpoints(self, checkpoints: Checkpoints) -> Self {
        Fit { checkpoints: Some(checkpoints), ..self }
    }

    /// How much the samples of each class count in the training loss, one positive number for each class: rare classes more, for
    /// instance by [`balanced_weights`](crate::data::balance::balanced_weights) of their [`class_counts`](crate::data::balance::class_counts). Multiplies the
    /// samples' own weights; validation is left as it is.
    #[must_use]
    pub fn class_weights(self, weights: impl Into<Vec<f32>>) -> Self {
        Fit { class_weights: weights.into(), ..self }
    }

    /// Stops after this time, in the middle of an epoch if need be.
    #[must_use]
    pub fn time_limit(self, limit: Duration) -> Self {
        Fit { time_limit: Some(limit), ..self }
    }

    /// Refuses settings that make no sense.
    pub(super) fn check(&self) -> Result<()> {
        for (what, value) in [("epochs", self.epochs), ("batch size", self.batch_size)] {
            if value == 0 {
                return Err(Error::parameter("fit", what, "at least 1", value));
            }
        }
        self.augment.iter().try_for_each(|augment| augment.check())?;
        self.plateau.as_ref().map_or(Ok(()), Plateau::check)
    }

    /// The data to train on and the data to validate on.
    pub(super) fn split(&self, data: &Dataset) -> Result<(Dataset, Option<Dataset>)> {
        if self.validation_split == 0.0 {
            return Ok((data.clone(), self.validation.clone()));
        }
        if !(0.0..1.0).contains(&self.validation_split) {
            return Err(Error::parameter("fit", "validation split", "in [0, 1)", self.validation_split));
        }
        if self.validation.is_some() {
            return Err(Error::usage("fit", "give either validation data or a validation split, not both"));
        }
        let train = (data.len() as f64 * (1.0 - self.validation_split)).floor() as usize;
        let (train, validation) = data.split_at(train)?;
        Ok((train, Some(validation)))
    }
}
