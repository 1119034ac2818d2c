//! What a checkpoint says of its training, and the history beside it: a training that goes on, or an error.
#![no_main]

use std::path::PathBuf;
use std::sync::OnceLock;

use galen::interop::safetensors::{self, Archive};
use galen::prelude::*;
use galen::train::{Checkpoints, EarlyStopping, Metric};
use libfuzzer_sys::fuzz_target;
use ndarray::{Array1, Array2};

fn data() -> Dataset {
    let x = Array2::from_shape_fn((8, 2), |(i, j)| (i * 2 + j) as f32 / 16.0);
    Dataset::new(x, Array1::from_shape_fn(8, |i| i as u32 % 2)).expect("samples")
}

fn model() -> Model {
    let network = Sequential::new([2]).with(Dense::new(3).activation(Relu)).with(Dense::new(2).activation(Softmax));
    let setup = Setup::on(&Device::cpu_with_threads(1).expect("a processor")).seed(1);
    let loss = CategoricalCrossEntropy::new();
    network.compile_on(&setup, Adam::new(0.01), loss, &[Metric::Accuracy]).expect("a model")
}

fn options(folder: &PathBuf, epochs: usize) -> Fit {
    let kept = Checkpoints::new(folder).best("loss").resume();
    let stopping = EarlyStopping::new("loss").patience(50);
    Fit::new().epochs(epochs).batch_size(4).verbose(false).checkpoints(kept).callback(stopping)
}

/// A folder with the checkpoint of a training of two epochs, and that file's content.
fn begun() -> &'static (PathBuf, Archive) {
    static BEGUN: OnceLock<(PathBuf, Archive)> = OnceLock::new();
    BEGUN.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("galen-fuzz-{}-run", std::process::id()));
        model().fit(&data(), &options(&folder, 2)).expect("two epochs");
        let archive = Archive::open(&folder.join("last.safetensors")).expect("a checkpoint");
        (folder, archive)
    })
}

fuzz_target!(|bytes: &[u8]| {
    let (folder, archive) = begun();
    // Before the mark, what the checkpoint says; after it, its history.
    let at = bytes.windows(2).position(|pair| pair == b"@@").unwrap_or(bytes.len());
    let Ok(training) = std::str::from_utf8(&bytes[..at]) else { return };
    let tensors: Vec<(String, galen::Tensor)> =
        archive.tensors().map(|(name, tensor)| (name.to_owned(), tensor.clone())).collect();
    let keys = ["format", "galen", "architecture", "preparation", "attached"];
    let mut about: Vec<(&str, &str)> = keys.iter().filter_map(|key| Some((*key, archive.about(key)?))).collect();
    let own = archive.about("training").expect("a checkpoint");
    about.push(("training", if training.is_empty() { own } else { training }));
    safetensors::write(&folder.join("last.safetensors"), &tensors, &about).expect("the file");
    let _ = std::fs::remove_file(folder.join("previous.safetensors"));
    std::fs::write(folder.join("history.jsonl"), bytes.get(at + 2..).unwrap_or_default()).expect("the file");
    if let Ok(history) = model().fit(&data(), &options(folder, 3)) {
        assert!(history.epochs.len() <= 3);
    }
});
