//! Memory that the system does not give: an error that says for what, never the end of the process.

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use galen::Result;
use galen::data::formats::csv::Csv;
use galen::nn::{Dense, MeanSquaredError, Sequential};
use galen::prelude::*;
use ndarray::{Array1, Array2};

use super::children::play;

fn setup() -> Result<Setup> {
    // The budget is not what these tests are about.
    Ok(Setup::on(&Device::cpu_with_threads(1)?).memory_budget(Some(1 << 40)))
}

/// Makes a dense layer of `size` by `size` weights.
pub fn compile(size: &str) -> Result<String> {
    let n: usize = size.parse().expect("a number");
    let network = Sequential::new([n]).with(Dense::new(n));
    network.compile_on(&setup()?, Sgd::new(0.1), MeanSquaredError, &[]).map(|_| "compiled".to_owned())
}

/// Opens the model in the folder.
pub fn open(folder: &Path) -> Result<String> {
    Model::open(folder.join("model"), &setup()?).map(|_| "opened".to_owned())
}

/// Reads the table in the folder.
pub fn read_csv(folder: &Path) -> Result<String> {
    Csv::new().read(folder.join("zeros.csv.gz")).map(|table| format!("{} rows", table.rows()))
}

/// Takes three quarters of a dataset of 200 MB.
pub fn select() -> Result<String> {
    let data = Dataset::new(Array2::<f32>::zeros((50_000, 1000)), Array1::<u32>::zeros(50_000))?;
    let part = data.select(&(0..37_500).collect::<Vec<_>>())?;
    Ok(format!("{} samples", part.len()))
}

/// `part` fails for want of memory with each of these limits in MiB, and with none it does not.
fn fails_below(part: &str, folder: &Path, limits: &[u64], what: &str) {
    for limit in limits {
        let outcome = play(part, folder, Some(*limit));
        assert!(outcome.starts_with("error: ") && outcome.contains("out of memory"), "{limit} MiB: {outcome}");
        assert!(outcome.contains(what), "{limit} MiB: {outcome}");
    }
    let outcome = play(part, folder, None);
    assert!(!outcome.starts_with("error: "), "{outcome}");
}

#[test]
fn a_network_too_large_for_the_memory_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    // 144 MB of weights: first the device's memory, then the initial values beside it.
    fails_below("compile:6000", folder.path(), &[100, 230], "");
    assert!(play("compile:6000", folder.path(), Some(230)).contains("the initial values of \"dense/kernel\""));
}

#[test]
fn a_model_too_large_for_the_memory_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let network = Sequential::new([5000]).with(Dense::new(5000));
    let setup = setup().expect("a processor");
    let mut model = network.compile_on(&setup, Sgd::new(0.1), MeanSquaredError, &[]).expect("a model");
    model.save(folder.path().join("model")).expect("a file");
    // 100 MB: the file, its tensors, the device's memory.
    fails_below("open", folder.path(), &[80, 180], "");
}

#[test]
fn a_table_that_unpacks_to_more_than_the_memory_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = std::fs::File::create(folder.path().join("zeros.csv.gz")).expect("a file");
    let mut gzip = GzEncoder::new(file, Compression::fast());
    gzip.write_all(b"a\n").expect("written");
    for _ in 0..400 {
        gzip.write_all(&[0; 1 << 20]).expect("written");
    }
    gzip.finish().expect("written");
    for limit in [300, 700, 1200] {
        let outcome = play("csv", folder.path(), Some(limit));
        assert!(outcome.starts_with("error: ") && outcome.contains("out of memory"), "{limit} MiB: {outcome}");
    }
    // A smaller limit of one's own refuses it before.
    let few = Csv::new().most_bytes(1 << 20).read(folder.path().join("zeros.csv.gz")).expect_err("too many");
    assert!(few.to_string().contains("at most 1048576 bytes"), "{few}");
}

#[test]
fn samples_too_many_for_the_memory_are_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    fails_below("select", folder.path(), &[280, 320], "samples");
}
