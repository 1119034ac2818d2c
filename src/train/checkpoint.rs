use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::callback::{Memory, expect};
use super::history::EpochRecord;
use super::keep;
use super::model::Model;
use super::monitor::Monitor;
use super::program::Pass;
use super::training::Training;
use crate::TensorSpec;
use crate::error::{Error, Result};
use crate::file;
use crate::graph::{ArenaSpec, PARAMETERS};
use crate::interop::safetensors::{self, Archive};
use crate::nn::STATISTICS;
use crate::optim::{GRADIENTS, Plateau};
use crate::tensor::Tensor;

/// The key under which a checkpoint keeps what it knows of its training: what makes a model's file a checkpoint.
const TRAINING: &str = "training";
/// What the names of state begin with that is neither a parameter nor a statistic.
const STATE: &str = "state:";
/// What the names of callbacks' tensors begin with.
const CALLBACK: &str = "callback:";
/// The checkpoint of the last epoch, and the one before it.
const LAST: [&str; 2] = ["last.safetensors", "previous.safetensors"];
/// The model of the best epoch.
const BEST: &str = "best.safetensors";
/// The name of a checkpoint that is whole and not yet the last.
const NEXT: &str = "next.safetensors";

/// Where and when checkpoints of a training are written.
///
/// In the folder lie `last.safetensors`, from which a training goes on; `previous.safetensors`, the one before it, in case the last is
/// damaged; and `epoch-0005.safetensors`, where every so many are kept. Each is a model's file as [`Model::save`](super::Model::save)
/// writes it, with the optimizer's state, the counters of random numbers, the epochs so far and what callbacks remember. Where a value is
/// watched, `best.safetensors` is the model of its best epoch, without these. Nothing in them tells of paths, people or the machine.
///
/// A checkpoint belongs to its training: another seed, batch size, network, optimizer, or other samples are refused. What the program
/// alone knows (the loss, schedules, augmentation, callbacks) is the program's to keep the same.
///
/// A training that goes on ends with the same parameters, to the bit, as one that was never stopped: on the same device, with the same
/// program, seed and data.
///
/// ```
/// use galen::prelude::*;
/// use galen::train::Checkpoints;
///
/// // The first time it begins; after a power cut the same command goes on.
/// let options = Fit::new().epochs(50).checkpoints(Checkpoints::new("run").best("val_loss").every(10).resume());
/// ```
#[derive(Clone, Debug)]
pub struct Checkpoints {
    folder: PathBuf,
    every: Option<usize>,
    best: Option<Monitor>,
    resume: bool,
}

impl Checkpoints {
    /// In this folder, which is made where it is missing.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Checkpoints { folder: folder.into(), every: None, best: None, resume: false }
    }

    /// Keeps the checkpoint of every so many epochs.
    #[must_use]
    pub fn every(self, epochs: usize) -> Self {
        Checkpoints { every: Some(epochs), ..self }
    }

    /// Keeps the model of the epoch in which this value was best: `"val_loss"`, `"val_accuracy"`. Losses and errors are better when
    /// they are lower, everything else when it is higher.
    #[must_use]
    pub fn best(self, monitor: &str) -> Self {
        Checkpoints { best: Some(Monitor::new(monitor)), ..self }
    }

    /// Goes on from the last checkpoint in the folder, where there is one. The number of epochs of [`Fit`](super::Fit) is that of the
    /// whole training, the part before it was stopped included.
    #[must_use]
    pub fn resume(self) -> Self {
        Checkpoints { resume: true, ..self }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// What a checkpoint keeps besides tensors.
#[derive(Serialize, Deserialize)]
struct Kept {
    seed: u64,
    steps: u32,
    epochs: usize,
    /// Epochs that the model had before this training.
    before: usize,
    batch_size: usize,
    shuffle: bool,
    /// What the samples are: [`Dataset::fingerprint`](crate::data::Dataset).
    samples: u32,
    plateau: Option<Plateau>,
    best: Option<Monitor>,
    stopped: Option<String>,
    history: Vec<EpochRecord>,
    callbacks: BTreeMap<String, serde_json::Value>,
}

impl Training<'_> {
    /// Makes the folder ready.
    pub(super) fn open_folder(&mut self, names: &[String]) -> Result<()> {
        let Some(checkpoints) = &self.options.checkpoints else { return Ok(()) };
        if checkpoints.every == Some(0) {
            return Err(Error::parameter("checkpoints", "every", "at least 1 epoch", 0));
        }
        checkpoints.best.as_ref().map_or(Ok(()), |best| expect(names, &best.name))?;
        let folder = &checkpoints.folder;
        std::fs::create_dir_all(folder).map_err(|reason| Error::Io { path: folder.clone(), reason })?;
        file::check_writable(&checkpoints.path(LAST[0]))?;
        self.best = checkpoints.best.clone();
        self.samples = self.train.fingerprint();
        Ok(())
    }

    /// Goes on from the last checkpoint, where there is one and that is wished.
    pub(super) fn resume(&mut self, model: &mut Model, pass: &mut Pass) -> Result<()> {
        let Some(checkpoints) = &self.options.checkpoints else { return Ok(()) };
        // Where there is no last one, the process ended while it was being replaced, and the next is whole.
        let paths = [LAST[0], NEXT, LAST[1]].map(|name| checkpoints.path(name));
        if !paths.iter().any(|path| path.exists()) {
            return Ok(());
        }
        if !checkpoints.resume {
            let reason = format!(
                "{} already holds a training; resume() goes on with it, another folder leaves it alone",
                checkpoints.folder.display()
            );
            return Err(Error::usage("checkpoints", reason));
        }
        let (archive, kept, notes) = last_whole(&paths)?;
        notes.into_iter().for_each(|note| self.note(note));
        self.expect_same(model, &archive, &kept)?;
        self.restore(model, pass, &archive, kept)
    }

    /// Takes over everything that a checkpoint kept.
    fn restore(&mut self, model: &mut Model, pass: &mut Pass, archive: &Archive, kept: Kept) -> Result<()> {
        let arenas = state_of(pass);
        let wanted: Vec<(String, TensorSpec)> =
            arenas.iter().flat_map(|a| a.slots.iter().map(|s| (file_name(a, &s.name), s.spec.clone()))).collect();
        let tensors = archive.wanted(&wanted)?;
        let known = |name: &str| name.starts_with(CALLBACK) || wanted.iter().any(|(have, _)| have == name);
        let unknown: Vec<&str> = archive.names().filter(|name| !known(name)).collect();
        if let Some(first) = unknown.first() {
            let actual = format!("{} more, the first \"{first}\"", unknown.len());
            return Err(archive.wrong("the tensors of this training and no others", actual));
        }
        let attached = keep::attached(archive)?;
        // Whoever objects does so before anything has changed.
        self.remind(archive, kept.callbacks)?;
        let slots = arenas.iter().flat_map(|a| a.slots.iter().map(move |s| (a, s)));
        for ((arena, slot), tensor) in slots.zip(&tensors) {
            model.session.write(&arena.name, slot.offset, tensor.elements())?;
        }
        (model.steps, model.epochs) = (kept.steps, kept.epochs);
        pass.set_clock(&mut model.session, kept.steps, model.seed)?;
        attached.into_iter().for_each(|(name, value)| {
            model.attached.entry(name).or_insert(value);
        });
        self.before = kept.before;
        self.last_epoch = kept.before.saturating_add(self.options.epochs);
        (self.history.epochs, self.history.stopped) = (kept.history, kept.stopped);
        let anew = |what: &str| format!("the checkpoint's {what} has other settings: this one begins anew");
        if let (Some(plateau), Some(earlier)) = (&mut self.plateau, &kept.plateau)
            && !plateau.remember(earlier)
        {
            self.note(anew("plateau"));
        }
        if let (Some(best), Some(earlier)) = (&mut self.best, &kept.best)
            && !best.remember(earlier)
        {
            self.note(anew("best value"));
        }
        if self.options.verbose {
            eprintln!("going on after epoch {} of {}", model.epochs, self.last_epoch);
        }
        Ok(())
    }

    /// Gives callbacks back what they remembered.
    fn remind(&mut self, archive: &Archive, mut memories: BTreeMap<String, serde_json::Value>) -> Result<()> {
        let mut keys = Keys::default();
        self.each(|callback| {
            let key = keys.next(callback.name());
            let Some(values) = memories.remove(&key) else { return Ok(()) };
            let prefix = format!("{CALLBACK}{key}/");
            let own = |(name, tensor): (&str, &Tensor)| Some((name.strip_prefix(&prefix)?.to_owned(), tensor.clone()));
            callback.remember(Memory { values, tensors: archive.tensors().filter_map(own).collect() })
        })?;
        for key in memories.into_keys() {
            self.note(format!("the checkpoint remembers a callback \"{key}\", which this training does not have"));
        }
        Ok(())
    }

    /// Refuses the checkpoint of another training.
    fn expect_same(&self, model: &Model, archive: &Archive, kept: &Kept) -> Result<()> {
        let same = [
            ("seed", model.seed, kept.seed),
            ("batch size", self.options.batch_size as u64, kept.batch_size as u64),
            ("shuffling", self.options.shuffle.into(), kept.shuffle.into()),
            ("samples, weights and scaling of checksum", self.samples.into(), kept.samples.into()),
        ];
        match same.iter().find(|(_, now, then)| now != then) {
            Some((what, now, then)) => Err(archive.wrong(format!("a training with {what} {now}"), then.to_string())),
            None => Ok(()),
        }
    }

    /// Writes the checkpoints that are due after an epoch. Gives the error, where that could not be done.
    pub(super) fn keep(&mut self, model: &mut Model, pass: &Pass) -> Result<Option<Error>> {
        if self.options.checkpoints.is_none() {
            return Ok(None);
        }
        match self.write(model, pass) {
            Err(e @ Error::Io { .. }) => {
                self.note(format!("the checkpoint of epoch {} could not be written: {e}", model.epochs));
                Ok(Some(e))
            }
            result => result.map(|()| None),
        }
    }

    fn write(&mut self, model: &mut Model, pass: &Pass) -> Result<()> {
        let (Some(checkpoints), Some(record)) = (&self.options.checkpoints, self.history.epochs.last()) else {
            return Ok(());
        };
        let mut unwritten = Ok(());
        if let Some(best) = &self.best {
            let mut observed = best.clone();
            if observed.observe(record.value(&best.name).unwrap_or(f64::NAN)) {
                unwritten = model.save(checkpoints.path(BEST));
            }
            // A best model that could not be written does not count: the next that is better than the one before it will.
            if unwritten.is_ok() {
                self.best = Some(observed);
            }
        }
        let (tensors, kept) = self.gather(model, pass)?;
        let kept = serde_json::to_string(&kept).map_err(|e| Error::usage("a checkpoint", e.to_string()))?;
        let mut about = model.about()?;
        about.push((TRAINING, kept));
        let about: Vec<(&str, &str)> = about.iter().map(|(key, text)| (*key, text.as_str())).collect();
        let [last, previous] = LAST.map(|name| checkpoints.path(name));
        // Under a third name first: at no moment is there less than one whole checkpoint.
        let next = checkpoints.path(NEXT);
        safetensors::write(&next, &tensors, &about)?;
        let moved =
            |from: &Path, to: &Path| file::rename(from, to).map_err(|reason| Error::Io { path: to.to_owned(), reason });
        if last.exists() {
            moved(&last, &previous)?;
        }
        moved(&next, &last)?;
        match checkpoints.every {
            Some(every) if model.epochs.is_multiple_of(every) => {
                let path = checkpoints.path(&format!("epoch-{:04}.safetensors", model.epochs));
                safetensors::write(&path, &tensors, &about)?;
            }
            _ => {}
        }
        unwritten
    }

    /// The tensors and everything else that a checkpoint of this moment keeps.
    fn gather(&self, model: &mut Model, pass: &Pass) -> Result<(Vec<(String, Tensor)>, Kept)> {
        let arenas = state_of(pass);
        let names = arenas.iter().flat_map(|a| a.slots.iter().map(|s| file_name(a, &s.name)));
        let slots = model.session.slots_of(&arenas)?;
        let mut tensors: Vec<(String, Tensor)> = names.zip(slots.into_iter().map(|(_, tensor)| tensor)).collect();
        let (mut callbacks, mut keys) = (BTreeMap::new(), Keys::default());
        self.each(|callback| {
            let key = keys.next(callback.name());
            let memory = callback.memory();
            if memory == Memory::default() {
                return Ok(());
            }
            let Memory { values, tensors: own } = memory;
            tensors.extend(own.into_iter().map(|(name, tensor)| (format!("{CALLBACK}{key}/{name}"), tensor)));
            callbacks.insert(key, values);
            Ok(())
        })?;
        let kept = Kept {
            seed: model.seed,
            steps: model.steps,
            epochs: model.epochs,
            before: self.before,
            batch_size: self.options.batch_size,
            shuffle: self.options.shuffle,
            samples: self.samples,
            plateau: self.plateau.clone(),
            best: self.best.clone(),
            stopped: self.history.stopped.clone(),
            history: self.history.epochs.clone(),
            callbacks,
        };
        Ok((tensors, kept))
    }
}

/// Whether a tensor of this name is state of a training and no part of a model.
pub(super) fn is_state(name: &str) -> bool {
    name.starts_with(STATE) || name.starts_with(CALLBACK)
}

/// What callbacks' memories are called: by the callback's name, the second of a name `name 2`.
#[derive(Default)]
struct Keys(BTreeMap<String, usize>);

impl Keys {
    fn next(&mut self, name: &str) -> String {
        let count = self.0.entry(name.to_owned()).or_default();
        *count += 1;
        if *count == 1 { name.to_owned() } else { format!("{name} {count}") }
    }
}

/// The state that lives on from step to step, apart from that of the pass itself.
fn state_of(pass: &Pass) -> Vec<ArenaSpec> {
    let own = pass.feed.arenas();
    let lives = |arena: &&ArenaSpec| arena.name != GRADIENTS && !own.contains(&arena.name);
    pass.plan().arenas.iter().filter(lives).cloned().collect()
}

/// What a slot is called in a checkpoint: parameters and statistics as in a model file.
fn file_name(arena: &ArenaSpec, slot: &str) -> String {
    match arena.name.as_str() {
        PARAMETERS | STATISTICS => slot.to_owned(),
        other => format!("{STATE}{other}/{slot}"),
    }
}

/// The first of these checkpoints that is whole, and what is to be said of those before it.
fn last_whole(paths: &[PathBuf]) -> Result<(Archive, Kept, Vec<String>)> {
    let (mut notes, mut first) = (Vec::new(), None);
    for path in paths.iter().filter(|path| path.exists()) {
        match Archive::open(path).and_then(|archive| Ok((kept(&archive)?, archive))) {
            Ok((kept, archive)) => return Ok((archive, kept, notes)),
            Err(e) => {
                notes.push(format!("a damaged checkpoint is passed over: {e}"));
                first.get_or_insert(e);
            }
        }
    }
    Err(first.unwrap_or_else(|| Error::usage("checkpoints", "there is none")))
}

/// What the checkpoint says of its training.
fn kept(archive: &Archive) -> Result<Kept> {
    let Some(kept) = archive.about(TRAINING) else {
        return Err(archive.wrong("a checkpoint", archive.about("format").unwrap_or("another file")));
    };
    serde_json::from_str(kept).map_err(|e| archive.wrong("the state of a training", e.to_string()))
}
