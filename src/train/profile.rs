//! Training steps with the time of every op.

use super::model::Model;
use super::options::Fit;
use crate::data::Dataset;
use crate::engine::Profile;
use crate::error::{Error, Result};
use crate::tensor::Tensor;

impl Model {
    /// Trains up to `runs` steps on the beginning of an epoch over `data` and tells what every op of a step took. One step that is not
    /// timed comes before them; it pays for what a driver does once. All of them count as steps of the model, but not as an epoch.
    ///
    /// # Errors
    /// Those of [`Model::fit`]; data that does not last for two full batches.
    pub fn profile(&mut self, data: &Dataset, options: &Fit, runs: usize) -> Result<Profile> {
        options.check()?;
        let (train, _) = self.definition.parts(data, options)?;
        self.definition.check(&train)?;
        if train.len() / 2 < options.batch_size || runs == 0 {
            let expected = format!("at least two batches of {} and one run", options.batch_size);
            return Err(Error::data("profile", expected, format!("{} samples and {runs} runs", train.len())));
        }
        let mut pass = self.training_pass(&train, options)?;
        let order = self.order(train.len(), options.shuffle);
        let rates = self.definition.optimizer.rates(pass.clock as usize, pass.feed.steps())?;
        pass.epoch = self.epochs as u32;
        let check = |ids: &[u32], samples: &[Tensor]| self.definition.check_samples(ids, samples);
        let (profile, outcome) = pass.profile(&mut self.session, &train, &order, &rates, runs, &check)?;
        self.steps = pass.clock;
        if let Some(step) = outcome.fault {
            let first_bad = pass.find_fault(&mut self.session, &train, &order, step)?;
            return Err(Error::NotFinite { epoch: self.epochs + 1, step: step + 1, first_bad });
        }
        self.training = Some(pass);
        Ok(profile)
    }
}
