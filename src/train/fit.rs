use std::time::{Duration, Instant};

use super::feed::Feed;
use super::history::{EpochRecord, History};
use super::interrupt::Interrupt;
use super::model::Model;
use super::program::{Outcome, Pass, Watch};
use super::progress::Progress;
use crate::contract::{Threefry, stream_of};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::nn::{Input, Mode};
use crate::optim::Plateau;
use crate::shape::DType;
use crate::tensor::Tensor;

/// How to train; every setting has Keras's default.
#[derive(Clone, Debug)]
pub struct Fit {
    epochs: usize,
    batch_size: usize,
    validation: Option<Dataset>,
    validation_split: f64,
    shuffle: bool,
    verbose: bool,
    interrupt: Interrupt,
    plateau: Option<Plateau>,
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

    /// The data to train on and the data to validate on.
    fn split(&self, data: &Dataset) -> Result<(Dataset, Option<Dataset>)> {
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

/// Shows progress, listens for the wish to stop, and takes the time of the first step.
struct FitWatch<'a> {
    progress: Progress,
    interrupt: &'a Interrupt,
    start: Instant,
    first: Option<Duration>,
}

/// Listens, during validation, for the wish to stop.
struct ValidationWatch<'a>(&'a Interrupt);

impl Watch for ValidationWatch<'_> {
    fn wants_to_stop(&self) -> bool {
        self.0.is_wished()
    }
}

impl Watch for FitWatch<'_> {
    fn wants_to_stop(&self) -> bool {
        self.interrupt.is_wished()
    }

    fn first_step(&mut self) {
        self.first.get_or_insert(self.start.elapsed());
    }

    fn is_due(&self) -> bool {
        self.progress.is_due()
    }

    fn show(&mut self, done: usize, records: Option<(usize, &[u32])>) {
        self.progress.steps(done, records);
    }
}

impl Model {
    /// Refuses data that the network cannot take, or whose targets its losses cannot.
    pub(super) fn check_data(&self, data: &Dataset) -> Result<()> {
        self.expect_losses()?;
        let expected = self.definition.network.inputs();
        self.check_inputs(&data.inputs().collect::<Vec<_>>(), &expected)?;
        if data.outputs().len() != self.outputs.len() {
            let expected = format!("{} tensors of them, one for each output", self.outputs.len());
            return Err(Error::data("targets", expected, data.outputs().len().to_string()));
        }
        let mut losses = self.definition.losses.iter().zip(data.outputs().zip(&self.outputs));
        losses.try_for_each(|((loss, _), (targets, output))| loss.check(targets, output))
    }

    /// Refuses inputs `[n, ..]` that the network cannot take.
    pub(super) fn check_inputs(&self, given: &[&Tensor], expected: &[Input]) -> Result<()> {
        if given.len() != expected.len() {
            let names: Vec<String> = expected.iter().enumerate().map(|(i, input)| input.label(i)).collect();
            let expected = format!("{} of them ({})", expected.len(), names.join(", "));
            return Err(Error::data("model inputs", expected, given.len().to_string()));
        }
        for (i, (tensor, want)) in given.iter().zip(expected).enumerate() {
            let have = tensor.spec();
            let what =
                if expected.len() == 1 { "model input".to_owned() } else { format!("model input {}", want.label(i)) };
            if have.shape.get(1..) != Some(&*want.shape) {
                let expected = format!("[n, ..] with samples of {}", want.shape);
                return Err(Error::shape(what, expected, have.shape.to_string()));
            }
            // Bytes become floats when a batch is gathered.
            let fits = if want.dtype == DType::U32 { have.dtype == DType::U32 } else { have.dtype != DType::U32 };
            if !fits {
                let expected = if want.dtype == DType::U32 { "u32" } else { "f32 or u8" };
                return Err(Error::dtype(what, expected, have.to_string()));
            }
            want.check(&what, tensor)?;
        }
        Ok(())
    }

    /// Trains on `data`.
    ///
    /// Stopped by its [`Interrupt`], it returns what it has; the parameters are those after the last step that ran. It may be
    /// called again and goes on from there.
    ///
    /// # Errors
    /// Data that does not fit the network; zero epochs or batch size; a plan that does not fit the device or the budget
    /// ([`Error::Limit`], before anything runs); a loss or gradient that is not finite ([`Error::NotFinite`]; the parameters are
    /// those before the bad step); a device that fails.
    pub fn fit(&mut self, data: &Dataset, options: &Fit) -> Result<History> {
        let start = Instant::now();
        for (what, value) in [("epochs", options.epochs), ("batch size", options.batch_size)] {
            if value == 0 {
                return Err(Error::parameter("fit", what, "at least 1", value));
            }
        }
        options.plateau.as_ref().map_or(Ok(()), Plateau::check)?;
        let (train, validation) = options.split(data)?;
        self.check_data(&train)?;
        validation.as_ref().map_or(Ok(()), |v| self.check_data(v))?;
        let mut pass = self.training_pass(&train, options.batch_size)?;
        let mut history = History::default();
        let result = self.epochs(&mut pass, &train, validation.as_ref(), options, start, &mut history);
        history.duration = start.elapsed();
        self.history = history.clone();
        match result {
            Ok(()) | Err(Error::NotFinite { .. }) => self.training = Some(pass),
            // Host and device may no longer agree on the clock: the next training makes its steps anew.
            Err(_) => self.training = None,
        }
        result.map(|()| history)
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
        let (train, _) = options.split(data)?;
        self.check_data(&train)?;
        if options.batch_size == 0 {
            return Err(Error::parameter("fit", "batch size", "at least 1", options.batch_size));
        }
        let pass = self.training_pass(&train, options.batch_size)?;
        self.training = Some(pass);
        Ok(())
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
    fn training_pass(&mut self, data: &Dataset, batch: usize) -> Result<Pass> {
        let feed = Feed::new("train", data, batch, self.definition.columns());
        match self.training.take() {
            Some(pass) if pass.serves(&feed) => Ok(pass),
            _ => {
                for arena in feed.arenas() {
                    self.session.forget(&arena);
                }
                let mut pass = Pass::new(&mut self.session, self.definition.recipe(Mode::Train), feed)?;
                pass.set_clock(&mut self.session, self.steps, self.seed)?;
                Ok(pass)
            }
        }
    }

    fn epochs(
        &mut self,
        pass: &mut Pass,
        train: &Dataset,
        validation: Option<&Dataset>,
        options: &Fit,
        start: Instant,
        history: &mut History,
    ) -> Result<()> {
        let names: Vec<&'static str> = self.definition.metrics.iter().map(|m| m.name()).collect();
        let progress =
            Progress::new(options.verbose, self.epochs.saturating_add(options.epochs), pass.feed.clone(), names);
        let mut plateau = options.plateau.clone();
        let mut watch = FitWatch { progress, interrupt: &options.interrupt, start, first: None };
        for _ in 0..options.epochs {
            let epoch_start = Instant::now();
            let order = self.order(train.len(), options.shuffle);
            let base = pass.clock as usize;
            let mut rates = self.definition.optimizer.rates(base, pass.feed.steps())?;
            if let Some(plateau) = &plateau {
                rates.iter_mut().for_each(|rate| *rate = plateau.rate(*rate));
            }
            watch.progress.start(self.epochs + 1);
            let outcome = pass.run(&mut self.session, train, &order, &rates, &mut watch)?;
            self.steps = pass.clock;
            history.time_to_first_loss = watch.first.unwrap_or_default();
            if let Some(step) = outcome.fault {
                let first_bad = pass.find_fault(&mut self.session, train, &order, step)?;
                pass.set_clock(&mut self.session, self.steps, self.seed)?;
                return Err(Error::NotFinite { epoch: self.epochs + 1, step: step + 1, first_bad });
            }
            history.interrupted = outcome.steps < pass.feed.steps();
            if outcome.steps > 0 {
                let mut record = self.record(pass, &outcome);
                self.epochs += 1;
                if let Some(validation) = validation.filter(|_| !history.interrupted) {
                    let mut watch = ValidationWatch(&options.interrupt);
                    match self.evaluate_in(validation, options.batch_size, &mut watch)? {
                        Some(e) => (record.val_loss, record.val_metrics) = (Some(e.loss), e.metrics),
                        None => history.interrupted = true,
                    }
                }
                record.learning_rate = rates.last().copied().unwrap_or_default();
                if let Some(plateau) = &mut plateau {
                    plateau.observe(record.val_loss.unwrap_or(record.loss));
                }
                record.seconds = epoch_start.elapsed().as_secs_f64();
                watch.progress.end(&record);
                history.epochs.push(record);
            }
            if history.interrupted {
                break;
            }
        }
        Ok(())
    }

    /// The order of samples in the next epoch: a function of the seed and the epoch's number.
    fn order(&self, samples: usize, shuffle: bool) -> Vec<u32> {
        if !shuffle {
            return (0..samples as u32).collect();
        }
        Threefry::new(self.seed, stream_of(&format!("order of epoch {}", self.epochs))).permutation(samples)
    }

    fn record(&self, pass: &Pass, outcome: &Outcome) -> EpochRecord {
        let (loss, metrics) = pass.feed.means(outcome.steps, &outcome.records);
        let names = self.definition.metrics.iter().map(|m| m.name());
        let columns = pass.feed.columns;
        EpochRecord {
            epoch: self.epochs + 1,
            loss,
            metrics: names.zip(metrics).collect(),
            val_loss: None,
            val_metrics: Vec::new(),
            step_losses: outcome
                .records
                .chunks_exact(columns)
                .take(outcome.steps)
                .map(|r| f32::from_bits(r[0]))
                .collect(),
            learning_rate: 0.0,
            seconds: 0.0,
        }
    }
}
