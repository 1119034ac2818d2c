//! How a training goes on from a checkpoint.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

use super::callback::Memory;
use super::checkpoint::{CALLBACK, HISTORY, Kept, Keys, LAST, NEXT, TRAINING, file_name, state_of};
use super::history::EpochRecord;
use super::keep;
use super::model::Model;
use super::program::Pass;
use super::progress::tell;
use super::training::Training;
use crate::TensorSpec;
use crate::error::{Error, Result};
use crate::file;
use crate::interop::safetensors::Archive;
use crate::tensor::Tensor;

impl Training<'_> {
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
        let own: HashSet<&str> = wanted.iter().map(|(name, _)| name.as_str()).collect();
        let known = |name: &str| name.starts_with(CALLBACK) || own.contains(name);
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
        self.history.stopped = kept.stopped;
        match self.earlier(kept.history, kept.epochs) {
            Ok(epochs) => self.history.epochs = epochs,
            Err(e) => self.note(format!("the epochs before epoch {} are not in the history: {e}", kept.epochs + 1)),
        }
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
            tell(&format!("going on after epoch {} of {}", model.epochs, self.last_epoch()));
        }
        Ok(())
    }

    /// The first `count` epochs that [`HISTORY`] holds, the last of which is number `last`.
    fn earlier(&self, count: usize, last: usize) -> Result<Vec<EpochRecord>> {
        let Some(checkpoints) = &self.options.checkpoints else { return Ok(Vec::new()) };
        let path = checkpoints.path(HISTORY);
        let wrong = |actual: String| Error::Format {
            path: path.clone(),
            expected: format!("{count} epochs, the last of them epoch {last}"),
            actual,
        };
        let bytes = file::read(&path)?;
        let lines = bytes.split(|byte| *byte == b'\n').take(count).enumerate();
        let epochs =
            lines.map(|(i, line)| serde_json::from_slice(line).map_err(|e| wrong(format!("in line {}: {e}", i + 1))));
        let epochs: Vec<EpochRecord> = epochs.collect::<Result<_>>()?;
        match epochs.last() {
            Some(record) if epochs.len() == count && record.epoch == last => Ok(epochs),
            None if count == 0 => Ok(epochs),
            other => Err(wrong(format!("{}, the last of them {:?}", epochs.len(), other.map(|record| record.epoch)))),
        }
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
