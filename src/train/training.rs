//! The epochs of a training, and everything that is done between them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::callback::{Begin, Callback, Epoch};
use super::checkpoint::Folder;
use super::history::{EpochRecord, History};
use super::model::Model;
use super::options::Fit;
use super::program::{Outcome, Pass, Watch};
use super::progress::{Progress, tell};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::optim::Plateau;
use crate::tensor::Tensor;

/// One call of `fit`.
pub(super) struct Training<'a> {
    pub(super) options: &'a Fit,
    pub(super) train: Dataset,
    pub(super) validation: Option<Dataset>,
    pub(super) plateau: Option<Plateau>,
    pub(super) start: Instant,
    pub(super) history: History,
    /// The best value of what the checkpoints watch.
    pub(super) best: Option<super::monitor::Monitor>,
    /// Epochs that the model had before this training.
    pub(super) before: usize,
    /// What the samples are, where there are checkpoints.
    pub(super) samples: u32,
    /// The folder of the checkpoints, this training's alone.
    pub(super) folder: Option<Folder>,
}

/// Shows progress, listens for the wish to stop, and takes the time of the first step.
struct FitWatch<'a> {
    progress: Progress,
    options: &'a Fit,
    start: Instant,
    first: Option<Duration>,
}

/// Listens, during validation, for the wish to stop.
struct ValidationWatch<'a>(&'a Fit);

/// Why a training should stop in the middle of an epoch.
fn wish(options: &Fit, start: Instant) -> Option<&'static str> {
    if options.interrupt.is_wished() {
        return Some("it was interrupted");
    }
    let over = options.time_limit.is_some_and(|limit| start.elapsed() >= limit);
    over.then_some("its time was over")
}

impl Watch for ValidationWatch<'_> {
    fn wants_to_stop(&self) -> bool {
        self.0.interrupt.is_wished()
    }
}

impl Watch for FitWatch<'_> {
    fn wants_to_stop(&self) -> bool {
        wish(self.options, self.start).is_some()
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

impl Training<'_> {
    /// Trains until the last epoch, or until something or somebody wants it to stop.
    pub(super) fn run(&mut self, model: &mut Model, pass: &mut Pass) -> Result<()> {
        let names = self.names(model);
        model.definition.doubts().for_each(|doubt| self.note(doubt.clone()));
        // First, so that the logs of another training in this folder are left alone too.
        self.open_folder(&names)?;
        self.each(|callback| callback.begin(Begin { names: &names, model: &mut *model }))?;
        self.resume(model, pass)?;
        let trained = self.epochs(model, pass);
        // Best parameters are restored after an error too: what was earned is kept.
        let failed = self.every(|callback| callback.end(model));
        let ended = self.first_of(failed, "at the end");
        trained.and(ended)
    }

    /// The number of the epoch that is to be the last.
    pub(super) fn last_epoch(&self) -> usize {
        self.before.saturating_add(self.options.epochs)
    }

    /// The names of the values that an epoch's record will have.
    fn names(&self, model: &Model) -> Vec<String> {
        let metrics = &model.definition.metrics;
        let named = |on_host: bool| metrics.iter().filter(move |m| on_host || !m.is_on_host()).map(|m| (m.name(), 0.0));
        let validated = self.validation.is_some();
        EpochRecord {
            val_loss: validated.then_some(0.0),
            metrics: named(false).collect(),
            val_metrics: named(true).filter(|_| validated).collect(),
            ..EpochRecord::default()
        }
        .names()
    }

    fn epochs(&mut self, model: &mut Model, pass: &mut Pass) -> Result<()> {
        let progress = Progress::new(self.options.verbose, self.last_epoch(), pass.feed.clone());
        let mut watch = FitWatch { progress, options: self.options, start: self.start, first: None };
        let mut unwritten = None;
        while model.epochs < self.last_epoch() && self.history.stopped.is_none() {
            let begun = Instant::now();
            let Some(record) = self.epoch(model, pass, &mut watch)? else { break };
            self.history.epochs.push(record);
            let validated = if self.history.interrupted { Ok(()) } else { self.validate(model) };
            if let Some(record) = self.history.epochs.last_mut() {
                record.seconds = begun.elapsed().as_secs_f64();
                watch.progress.end(record);
            }
            validated?;
            if self.history.interrupted {
                self.history.stopped = wish(self.options, self.start).map(str::to_owned);
                break;
            }
            // A checkpoint is written whatever callbacks say: the epoch was earned.
            let done = self.between(model);
            unwritten = self.keep(model, pass)?;
            match done {
                Err(e @ Error::Io { .. }) => unwritten = Some(e),
                done => done?,
            }
        }
        if let (Some(reason), true) = (&self.history.stopped, self.options.verbose) {
            tell(&format!("stopped: {reason}"));
        }
        // What could not be written is only noted while there are more epochs to come.
        unwritten.map_or(Ok(()), Err)
    }

    /// One epoch without its validation; nothing where it was interrupted before its first step.
    fn epoch(&mut self, model: &mut Model, pass: &mut Pass, watch: &mut FitWatch<'_>) -> Result<Option<EpochRecord>> {
        let order = model.order(self.train.len(), self.options.shuffle);
        let base = pass.clock as usize;
        let mut rates = model.definition.optimizer.rates(base, pass.feed.steps())?;
        if let Some(plateau) = &self.plateau {
            rates.iter_mut().for_each(|rate| *rate = plateau.rate(*rate));
        }
        watch.progress.start(model.epochs + 1);
        pass.epoch = model.epochs as u32;
        let check = |ids: &[u32], samples: &[Tensor]| model.definition.check_samples(ids, samples);
        let outcome = match pass.run(&mut model.session, &self.train, &order, &rates, &check, watch) {
            Ok(outcome) => outcome,
            Err(e) => {
                // Some steps may have run: the clock on the device is the one that counts.
                if pass.read_clock(&mut model.session).is_ok() {
                    model.steps = pass.clock;
                }
                return Err(e);
            }
        };
        model.steps = pass.clock;
        self.history.time_to_first_loss = watch.first.unwrap_or_default();
        if let Some(step) = outcome.fault {
            let first_bad = pass.find_fault(&mut model.session, &self.train, &order, step)?;
            pass.set_clock(&mut model.session, model.steps, model.seed)?;
            return Err(Error::NotFinite { epoch: model.epochs + 1, step: step + 1, first_bad });
        }
        self.history.interrupted = outcome.steps < pass.feed.steps();
        if outcome.steps == 0 {
            self.history.stopped = wish(self.options, self.start).map(str::to_owned);
            return Ok(None);
        }
        let mut record = record(model, pass, &outcome);
        record.learning_rate = rates.last().copied().unwrap_or_default();
        model.epochs += 1;
        Ok(Some(record))
    }

    /// Adds to the epoch's record what the model reaches on the validation data. The time limit does not cut this short: it would cost
    /// the whole epoch.
    fn validate(&mut self, model: &mut Model) -> Result<()> {
        let Some(validation) = &self.validation else { return Ok(()) };
        let mut watch = ValidationWatch(self.options);
        let Some((loss, metrics)) = model.measure(validation, self.options.batch_size, &mut watch)? else {
            self.history.interrupted = true;
            return Ok(());
        };
        let mut notes = Vec::new();
        let values = metrics.into_iter().map(|(name, value)| {
            let value = value.unwrap_or_else(|e| {
                notes.push(format!("val_{name}: {e}"));
                f64::NAN
            });
            (name, value)
        });
        let values: Vec<(String, f64)> = values.collect();
        if let Some(record) = self.history.epochs.last_mut() {
            (record.val_loss, record.val_metrics) = (Some(loss), values);
        }
        for note in notes {
            // Once is enough: the data is the same after every epoch.
            if !self.history.notes.contains(&note) {
                self.note(note);
            }
        }
        Ok(())
    }

    /// What is done between two epochs.
    fn between(&mut self, model: &mut Model) -> Result<()> {
        if let (Some(plateau), Some(record)) = (&mut self.plateau, self.history.epochs.last()) {
            plateau.observe(record.val_loss.unwrap_or(record.loss));
        }
        let (epochs, mut reasons) = (&self.history.epochs, Vec::new());
        let failed = self.every(|callback| {
            let wish = callback.epoch_end(Epoch { epochs, model: &mut *model });
            reasons.extend(wish?);
            Ok(())
        });
        reasons.sort();
        self.history.stopped = (!reasons.is_empty()).then(|| reasons.join("; "));
        let epoch = format!("epoch {}", model.epochs);
        self.first_of(failed, &epoch)
    }

    /// Notes what callbacks failed with and gives the error that ends the training, where one does: [`Error::Io`] comes last, it is one
    /// that may pass.
    fn first_of(&mut self, failed: Vec<(String, Error)>, when: &str) -> Result<()> {
        // The only error is told by whoever gets it; a full disk is noted too, as the training may go on after it.
        let several = failed.len() > 1;
        for (name, e) in failed.iter().filter(|(_, e)| several || matches!(e, Error::Io { .. })) {
            self.note(format!("{when}: the callback \"{name}\" failed: {e}"));
        }
        let (passing, lasting): (Vec<_>, Vec<_>) = failed.into_iter().partition(|(_, e)| matches!(e, Error::Io { .. }));
        lasting.into_iter().chain(passing).next().map_or(Ok(()), |(_, e)| Err(e))
    }

    /// Calls every callback, in their order, those after one that fails included: what a log cannot write changes nothing of what the
    /// others do. Gives all that failed, with their names.
    fn every(&self, mut call: impl FnMut(&mut dyn Callback) -> Result<()>) -> Vec<(String, Error)> {
        let mut failed = Vec::new();
        for callback in &self.options.callbacks {
            let mut callback = locked(callback);
            if let Err(e) = call(&mut *callback) {
                failed.push((callback.name().to_owned(), e));
            }
        }
        failed
    }

    /// Calls the callbacks, in their order, up to the first that fails: before anything is trained.
    pub(super) fn each(&self, mut call: impl FnMut(&mut dyn Callback) -> Result<()>) -> Result<()> {
        self.options.callbacks.iter().try_for_each(|callback| call(&mut *locked(callback)))
    }

    /// Tells the person in front of it.
    pub(super) fn note(&mut self, note: String) {
        log::warn!("{note}");
        if self.options.verbose {
            tell(&note);
        }
        self.history.notes.push(note);
    }
}

/// A callback that panicked elsewhere is still the one that was given.
fn locked(callback: &Arc<Mutex<dyn Callback>>) -> MutexGuard<'_, dyn Callback + 'static> {
    callback.lock().unwrap_or_else(PoisonError::into_inner)
}

fn record(model: &Model, pass: &Pass, outcome: &Outcome) -> EpochRecord {
    let (loss, metrics) = pass.feed.means(outcome.steps, &outcome.records);
    let losses = outcome.records.chunks_exact(pass.feed.columns()).take(outcome.steps);
    EpochRecord {
        epoch: model.epochs + 1,
        loss,
        metrics,
        val_loss: None,
        val_metrics: Vec::new(),
        step_losses: losses.map(|r| f32::from_bits(r[0])).collect(),
        learning_rate: 0.0,
        waited: outcome.waited.as_secs_f64(),
        seconds: 0.0,
    }
}
