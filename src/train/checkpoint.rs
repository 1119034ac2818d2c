use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::callback::{Memory, expect};
use super::history::EpochRecord;
use super::keep;
use super::model::Model;
use super::monitor::Monitor;
use super::program::Pass;
use super::training::Training;
use crate::error::{Error, Result};
use crate::file::{self, Access, Appended, FolderLock, Taken};
use crate::graph::{ArenaSpec, PARAMETERS};
use crate::nn::STATISTICS;
use crate::optim::{GRADIENTS, Plateau};
use crate::tensor::Tensor;

/// The key under which a checkpoint keeps what it knows of its training: what makes a model's file a checkpoint.
pub(super) const TRAINING: &str = "training";
/// What the names of state begin with that is neither a parameter nor a statistic.
const STATE: &str = "state:";
/// What the names of callbacks' tensors begin with.
pub(super) const CALLBACK: &str = "callback:";
/// The checkpoint of the last epoch, and the one before it.
pub(super) const LAST: [&str; 2] = ["last.safetensors", "previous.safetensors"];
/// The model of the best epoch.
const BEST: &str = "best.safetensors";
/// The name of a checkpoint that is whole and not yet the last.
pub(super) const NEXT: &str = "next.safetensors";
/// The epochs, a JSON object per line: what a checkpoint weighs does not grow with them.
pub(super) const HISTORY: &str = "history.jsonl";

/// Where and when checkpoints of a training are written.
///
/// In the folder lie `last.safetensors`, from which a training goes on; `previous.safetensors`, the one before it, in case the last is
/// damaged; and `epoch-0005.safetensors`, where every so many are kept. Each is a model's file as [`Model::save`](super::Model::save)
/// writes it, with the optimizer's state, the counters of random numbers and what callbacks remember. Where a value is
/// watched, `best.safetensors` is the model of its best epoch, without these. The epochs so far stand in `history.jsonl`. Nothing in them
/// tells of paths, people or the machine. New files are readable by their owner alone ([`Checkpoints::access`]).
///
/// While a training runs, the folder is its own: another one that would write there, in this process or in another, is refused and told
/// the number of the process. The lock (the file `lock`) ends with the process, also where that is killed.
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
    pub(super) folder: PathBuf,
    every: Option<usize>,
    best: Option<Monitor>,
    pub(super) resume: bool,
    access: Access,
}

/// The folder of a training's checkpoints while it runs.
#[derive(Debug)]
pub(super) struct Folder {
    history: Appended,
    /// Nobody else's, until it is dropped; missing where the file system has no locks.
    _lock: Option<FolderLock>,
}

impl Checkpoints {
    /// In this folder, which is made where it is missing.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Checkpoints { folder: folder.into(), every: None, best: None, resume: false, access: Access::Private }
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

    /// Who may read the files; their owner alone unless told otherwise.
    #[must_use]
    pub fn access(self, access: Access) -> Self {
        Checkpoints { access, ..self }
    }

    /// Goes on from the last checkpoint in the folder, where there is one. The number of epochs of [`Fit`](super::Fit) is that of the
    /// whole training, the part before it was stopped included.
    #[must_use]
    pub fn resume(self) -> Self {
        Checkpoints { resume: true, ..self }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// What a checkpoint keeps besides tensors.
#[derive(Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) seed: u64,
    pub(super) steps: u32,
    pub(super) epochs: usize,
    /// Epochs that the model had before this training.
    pub(super) before: usize,
    pub(super) batch_size: usize,
    pub(super) shuffle: bool,
    /// What the samples are: [`Dataset::fingerprint`](crate::data::Dataset).
    pub(super) samples: u32,
    pub(super) plateau: Option<Plateau>,
    pub(super) best: Option<Monitor>,
    pub(super) stopped: Option<String>,
    /// How many lines of [`HISTORY`] are this checkpoint's.
    pub(super) history: usize,
    pub(super) callbacks: BTreeMap<String, serde_json::Value>,
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
        file::make_folder(folder)?;
        file::check_writable(&checkpoints.path(LAST[0]))?;
        let (lock, doubt) = match FolderLock::take(folder)? {
            Taken::By(lock) => (Some(lock), None),
            Taken::Unknown(e) => {
                (None, Some(format!("{} cannot be locked against other trainings: {e}", folder.display())))
            }
            Taken::Other(owner) => {
                let reason = format!(
                    "{} is in use by a training of {owner}; wait for it, or take another folder",
                    folder.display()
                );
                return Err(Error::usage("checkpoints", reason));
            }
        };
        file::remove_stale(folder);
        self.folder =
            Some(Folder { history: Appended::new(&checkpoints.path(HISTORY), checkpoints.access), _lock: lock });
        self.best = checkpoints.best.clone();
        self.samples = self.train.fingerprint();
        doubt.into_iter().for_each(|doubt| self.note(doubt));
        Ok(())
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
                unwritten = model.save_as(&checkpoints.path(BEST), checkpoints.access);
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
        let [last, previous] = LAST.map(|name| checkpoints.path(name));
        if let Some(Folder { history, .. }) = &mut self.folder {
            history.epochs(&self.history.epochs)?;
        }
        // Under a third name first: at no moment is there less than one whole checkpoint.
        let next = checkpoints.path(NEXT);
        keep::write(&next, &tensors, &about, checkpoints.access)?;
        if last.exists() {
            file::rename(&last, &previous)?;
        }
        file::rename(&next, &last)?;
        match checkpoints.every {
            Some(every) if model.epochs.is_multiple_of(every) => {
                let path = checkpoints.path(&format!("epoch-{:04}.safetensors", model.epochs));
                keep::write(&path, &tensors, &about, checkpoints.access)?;
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
            history: self.history.epochs.len(),
            callbacks,
        };
        Ok((tensors, kept))
    }
}

impl Appended {
    /// Has these epochs in the file, on the disk: appends the last one where those before are there.
    fn epochs(&mut self, epochs: &[EpochRecord]) -> Result<()> {
        let line = |record: &EpochRecord| {
            let text = serde_json::to_string(record).map_err(|e| Error::usage("an epoch's record", e.to_string()))?;
            Ok(text + "\n")
        };
        match epochs.last() {
            Some(last) if self.is_begun() => self.append(&line(last)?, true),
            _ => self.begin(&epochs.iter().map(line).collect::<Result<String>>()?),
        }
    }
}

/// Whether a tensor of this name is state of a training and no part of a model.
pub(super) fn is_state(name: &str) -> bool {
    name.starts_with(STATE) || name.starts_with(CALLBACK)
}

/// What callbacks' memories are called: by the callback's name, the second of a name `name 2`.
#[derive(Default)]
pub(super) struct Keys(BTreeMap<String, usize>);

impl Keys {
    pub(super) fn next(&mut self, name: &str) -> String {
        let count = self.0.entry(name.to_owned()).or_default();
        *count += 1;
        if *count == 1 { name.to_owned() } else { format!("{name} {count}") }
    }
}

/// The state that lives on from step to step, apart from that of the pass itself.
pub(super) fn state_of(pass: &Pass) -> Vec<ArenaSpec> {
    let own = pass.feed.arenas();
    let lives = |arena: &&ArenaSpec| arena.name != GRADIENTS && !own.contains(&arena.name);
    pass.plan().arenas.iter().filter(lives).cloned().collect()
}

/// What a slot is called in a checkpoint: parameters and statistics as in a model file.
pub(super) fn file_name(arena: &ArenaSpec, slot: &str) -> String {
    match arena.name.as_str() {
        PARAMETERS | STATISTICS => slot.to_owned(),
        other => format!("{STATE}{other}/{slot}"),
    }
}
