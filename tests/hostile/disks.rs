//! A disk that fills up while a training writes to it.

use std::path::{Path, PathBuf};
use std::process::Command;

use galen::prelude::*;
use galen::train::{Callback, Checkpoints, Epoch, EpochLog};
use galen::{Error, Result};
use ndarray::{Array1, Array2};

use super::common::skip::skip;

/// A small file system in memory, unmounted when it is dropped.
struct Disk(tempfile::TempDir);

impl Disk {
    /// `None`, and the test is skipped, where the system does not let us mount.
    fn new(test: &str, kilobytes: u64) -> Option<Disk> {
        let folder = tempfile::tempdir().expect("a folder");
        let size = format!("size={kilobytes}k");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Disk(folder));
        }
        skip(test, "GALEN_REQUIRE_DISK", "no file system of a few kilobytes can be mounted (that needs root)");
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

/// Takes some more of the disk after every epoch.
#[derive(Debug)]
struct Fill {
    path: PathBuf,
    bytes: usize,
}

impl Callback for Fill {
    fn name(&self) -> &str {
        "fill"
    }

    fn epoch_end(&mut self, epoch: Epoch<'_>) -> Result<Option<String>> {
        // Until nothing more goes in.
        let _ = std::fs::write(&self.path, vec![1; self.bytes * epoch.epochs.len()]);
        Ok(None)
    }
}

fn data() -> Dataset {
    let x = Array2::from_shape_fn((24, 4), |(i, j)| ((i * 7 + j * 3) % 11) as f32 / 11.0);
    Dataset::new(x, Array1::from_shape_fn(24, |i| i as u32 % 2)).expect("samples")
}

fn model() -> Model {
    let network = Sequential::new([4]).with(Dense::new(64).activation(Relu)).with(Dense::new(2).activation(Softmax));
    let setup = Setup::on(&Device::cpu_with_threads(1).expect("a processor"));
    network.compile_on(&setup, Adam::new(0.01), CategoricalCrossEntropy::new(), &[]).expect("a model")
}

fn options(folder: &Path, epochs: usize) -> Fit {
    Fit::new()
        .epochs(epochs)
        .batch_size(6)
        .verbose(false)
        .callback(EpochLog::csv(folder.join("log.csv")))
        .checkpoints(Checkpoints::new(folder).best("loss").resume())
}

fn bits(model: &mut Model) -> Vec<u32> {
    let names: Vec<String> = model.parameter_specs().expect("slots").into_iter().map(|slot| slot.name).collect();
    let words = |name: &String| -> Vec<u32> {
        let x = model.parameter(name).expect("a parameter").into_f32().expect("floats");
        x.iter().map(|v| v.to_bits()).collect()
    };
    names.iter().map(words).collect::<Vec<_>>().concat()
}

#[test]
fn a_training_on_a_disk_that_fills_up_goes_on_when_there_is_room_again() {
    let Some(disk) = Disk::new("a_training_on_a_disk_that_fills_up_goes_on_when_there_is_room_again", 160) else {
        return;
    };
    let whole = tempfile::tempdir().expect("a folder");
    let mut expected = model();
    expected.fit(&data(), &options(whole.path(), 16)).expect("a training");
    let filler = disk.path().join("filler");
    let mut full = model();
    let filling = options(disk.path(), 12).callback(Fill { path: filler.clone(), bytes: 16 << 10 });
    let error = full.fit(&data(), &filling).expect_err("a full disk");
    assert!(matches!(error, Error::Io { .. }), "{error:?}");
    assert_eq!(full.history().epochs.len(), 12, "it trained on");
    assert!(!full.history().notes.is_empty());
    // A model that is saved there now is whole or not there.
    let saved = disk.path().join("model");
    if full.save(&saved).is_ok() {
        model().load(&saved).expect("a whole file");
    } else {
        assert!(!saved.exists());
    }
    std::fs::remove_file(&filler).expect("room again");
    let mut resumed = model();
    let history = resumed.fit(&data(), &options(disk.path(), 16)).expect("a training");
    assert_eq!(history.epochs.len(), 16);
    assert_eq!(bits(&mut resumed), bits(&mut expected));
    let log = |folder: &Path| {
        let text = std::fs::read_to_string(folder.join("log.csv")).expect("a log");
        text.lines().map(|line| line.split(',').take(2).collect::<Vec<_>>().join(",")).collect::<Vec<_>>()
    };
    assert_eq!(log(disk.path()), log(whole.path()));
    let drafts = std::fs::read_dir(disk.path()).expect("a folder").flatten();
    let drafts = drafts.filter(|entry| entry.file_name().to_string_lossy().ends_with(".part")).count();
    assert_eq!(drafts, 0, "what could not be written is gone");
}
