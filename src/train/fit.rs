use std::time::Instant;

use super::history::History;
use super::model::Model;
use super::options::Fit;
use super::program::{Pass, Recipe};
use super::training::Training;
use crate::contract::{Threefry, stream_of};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::nn::Mode;

impl Model {
    /// Trains on `data`.
    ///
    /// Stopped by its [`Interrupt`](super::Interrupt), a callback or the time limit, it returns what it has; interrupted in the middle
    /// of an epoch, the parameters are those after the last step that ran. It may be called again and goes on from there.
    ///
    /// # Errors
    /// Data that does not fit the network; zero epochs or batch size; a plan that does not fit the device or the budget
    /// ([`Error::Limit`], before anything runs); a loss or gradient that is not finite ([`Error::NotFinite`]; the parameters are
    /// those before the bad step); a checkpoint of another training, or a last one that cannot be written; what callbacks say; a device
    /// that fails. What was trained until then is kept, and [`Model::history`] tells of it.
    pub fn fit(&mut self, data: &Dataset, options: &Fit) -> Result<History> {
        let start = Instant::now();
        options.check()?;
        let (train, validation) = self.definition.parts(data, options)?;
        self.definition.check(&train)?;
        let (known, steps) = (self.definition.preparation.clone(), self.steps);
        self.definition.learn(&train)?;
        let checked = validation.as_ref().map_or(Ok(()), |v| self.definition.check(v));
        let pass = checked.and_then(|()| self.training_pass(&train, options));
        let mut pass = pass.inspect_err(|_| self.definition.preparation = known.clone())?;
        let mut training = Training {
            options,
            train,
            validation,
            plateau: options.plateau.clone(),
            start,
            history: History::default(),
            best: None,
            before: self.epochs,
            samples: 0,
            folder: None,
        };
        let result = training.run(self, &mut pass);
        training.history.duration = start.elapsed();
        if self.steps == steps {
            // Nothing was learned of these numbers.
            self.definition.preparation = known;
        }
        self.history = training.history.clone();
        match result {
            // Host and device may no longer agree on the clock: the next training makes its steps anew.
            Err(Error::DeviceLost { .. } | Error::OutOfMemory { .. } | Error::Backend { .. }) => self.training = None,
            _ => self.training = Some(pass),
        }
        result.map(|()| training.history)
    }

    /// What the last training left behind, one that ended with an error included.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Makes the training step ready without running it, so that [`Model::describe`] can tell what it needs.
    ///
    /// # Errors
    /// Those of [`Model::fit`] that come before the first step.
    pub fn prepare(&mut self, data: &Dataset, options: &Fit) -> Result<()> {
        options.check()?;
        let (train, _) = self.definition.parts(data, options)?;
        self.definition.check(&train)?;
        let pass = self.training_pass(&train, options)?;
        self.training = Some(pass);
        Ok(())
    }

    /// The plan of the training step; `None` before [`Model::prepare`] and [`Model::fit`].
    pub fn plan(&self) -> Option<&crate::Plan> {
        self.training.as_ref().map(Pass::plan)
    }

    /// Bytes of state and activations that the model holds on its device, those of evaluation and prediction included.
    pub fn device_bytes(&self) -> u64 {
        self.session.bytes()
    }

    /// One line on the training step's memory; empty before [`Model::prepare`] and [`Model::fit`].
    pub fn describe_memory(&self) -> String {
        self.training.as_ref().map(Pass::describe_memory).unwrap_or_default()
    }

    /// Bytes of state and activations of the training step; 0 before [`Model::prepare`] and [`Model::fit`].
    pub fn memory_bytes(&self) -> u64 {
        let bytes = |plan: &crate::Plan| plan.state_bytes() + plan.activation_bytes() + plan.scratch_bytes();
        self.training.as_ref().map_or(0, |pass| bytes(pass.plan()))
    }

    /// The steps for data of this shape: those of the last training where they fit, else new ones.
    pub(super) fn training_pass(&mut self, data: &Dataset, options: &Fit) -> Result<Pass> {
        let feed = self.definition.feed("train", data, options.batch_size)?;
        let feed = if options.augment.is_empty() { feed } else { feed.keyed() };
        match self.training.take() {
            Some(pass) if pass.serves(&feed, &options.augment) => Ok(pass),
            _ => {
                for arena in feed.arenas() {
                    self.session.forget(&arena);
                }
                let recipe = Recipe { augment: &options.augment, ..self.definition.recipe(Mode::Train) };
                let mut pass = Pass::new(&mut self.session, recipe, feed)?;
                pass.set_clock(&mut self.session, self.steps, self.seed)?;
                Ok(pass)
            }
        }
    }

    /// The order of samples in the next epoch: a function of the seed and the epoch's number.
    pub(super) fn order(&self, samples: usize, shuffle: bool) -> Vec<u32> {
        if !shuffle {
            return (0..samples as u32).collect();
        }
        Threefry::new(self.seed, stream_of(&format!("order of epoch {}", self.epochs))).permutation(samples)
    }
}
