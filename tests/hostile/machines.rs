//! Machines, disks and code that fail in the middle of something.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use galen::contract::{CpuCall, CustomOp, GpuTraits, Io, Launches};
use galen::data::formats::images::{ImageOptions, image_folder};
use galen::graph::{Grad, GradientCtx};
use galen::nn::{BuildCtx, Network};
use galen::prelude::*;
use galen::train::{Callback, Checkpoints, EarlyStopping, Epoch, EpochLog, History};
use galen::{Error, Result, Tensor, TensorSpec, Var};
use ndarray::{Array1, Array2};

fn setup() -> Setup {
    Setup::on(&Device::cpu_with_threads(2).expect("a processor"))
}

fn data() -> Dataset {
    let x = Array2::from_shape_fn((24, 4), |(i, j)| ((i * 7 + j * 3) % 11) as f32 / 11.0);
    Dataset::new(x, Array1::from_shape_fn(24, |i| i as u32 % 2)).expect("samples")
}

/// An identity whose twin panics once it is told to.
#[derive(Debug)]
struct Bomb(Arc<AtomicBool>);

impl CustomOp for Bomb {
    fn name(&self) -> &str {
        "bomb"
    }

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        Ok(inputs.to_vec())
    }

    fn gpu(&self, _: &Io, _: &GpuTraits) -> Launches {
        Launches::default()
    }

    fn cpu_f32(&self, mut call: CpuCall<'_, f32>) {
        let lit = self.0.load(Ordering::Relaxed);
        let x = call.x[0].f();
        // On the workers of the pool, as the twins of Galen's own ops.
        galen::contract::parallel_chunks(call.y[0].f_mut(), |start, y| {
            assert!(!lit, "the fuse has burned down");
            let len = y.len();
            y.copy_from_slice(&x[start..start + len]);
        });
    }

    fn cpu_f64(&self, _: CpuCall<'_, f64>) {}

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok(vec![Grad::Of(ctx.dy()?.clone())])
    }
}

#[derive(Debug)]
struct Mined(Arc<AtomicBool>);

impl Network for Mined {
    fn inputs(&self) -> Vec<Input> {
        vec![Input::new([4])]
    }

    fn build(&self, ctx: &BuildCtx, x: &[Var]) -> Result<Vec<Var>> {
        let y = ctx.layer(&Dense::new(2).activation(Softmax), &x[0])?;
        y.graph().custom(Arc::new(Bomb(self.0.clone())), &[&y])
    }
}

#[test]
fn a_worker_that_panics_is_an_error_that_names_the_op() {
    let fuse = Arc::new(AtomicBool::new(false));
    let network = Mined(fuse.clone());
    let mut model = network.compile_on(&setup(), Sgd::new(0.1), CategoricalCrossEntropy::new(), &[]).expect("a model");
    let options = Fit::new().epochs(2).verbose(false);
    model.fit(&data(), &options).expect("a training");
    fuse.store(true, Ordering::Relaxed);
    let error = model.fit(&data(), &options).expect_err("a panic");
    assert!(matches!(error, Error::Backend { .. }), "{error:?}");
    assert!(error.to_string().contains("bomb panicked: the fuse has burned down"), "{error}");
    // What the op had taken is lost: nothing is made of the rest.
    fuse.store(false, Ordering::Relaxed);
    let features = || Tensor::f32([1, 4], vec![0.0; 4]).expect("a tensor");
    for result in [model.predict(features()).map(drop), model.fit(&data(), &options).map(drop)] {
        assert!(result.expect_err("a broken machine").to_string().contains("bomb panicked"));
    }
    let folder = tempfile::tempdir().expect("a folder");
    assert!(model.save(folder.path().join("model")).is_err());
    // The device itself is as good as before.
    let network = Sequential::new([4]).with(Dense::new(2).activation(Softmax));
    let mut other = network.compile_on(&setup(), Sgd::new(0.1), CategoricalCrossEntropy::new(), &[]).expect("a model");
    other.fit(&data(), &options).expect("a training");
}

/// Does something after an epoch.
struct After<F>(usize, F);

impl<F> std::fmt::Debug for After<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "after epoch {}", self.0)
    }
}

impl<F: FnMut() -> Result<Option<String>> + Send> Callback for After<F> {
    fn name(&self) -> &str {
        "after"
    }

    fn epoch_end(&mut self, epoch: Epoch<'_>) -> Result<Option<String>> {
        if epoch.epochs.len() == self.0 { self.1() } else { Ok(None) }
    }
}

#[test]
fn an_image_that_vanishes_is_named_and_the_training_keeps_what_it_had() {
    let folder = tempfile::tempdir().expect("a folder");
    let picture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats/files/images/grey.png");
    for i in 0..120 {
        let class = if i < 60 { "a" } else { "b" };
        std::fs::create_dir_all(folder.path().join(class)).expect("a folder");
        std::fs::copy(&picture, folder.path().join(class).join(format!("{i}.png"))).expect("a file");
    }
    let images = image_folder(folder.path(), &ImageOptions::new().grey().resize(64, 64)).expect("images");
    let data = images.dataset().expect("samples");
    let network = || Sequential::new([1, 64, 64]).with(Flatten).with(Dense::new(2).activation(Softmax));
    // So little memory that samples are read anew in every epoch.
    let compile = |budget| {
        let setup = setup().memory_budget(Some(budget));
        network().compile_on(&setup, Sgd::new(0.001), CategoricalCrossEntropy::new(), &[])
    };
    let victim = folder.path().join("b/70.png");
    let gone = victim.clone();
    let remove = move || {
        std::fs::remove_file(&gone).expect("it was there");
        Ok(None)
    };
    let options = Fit::new().epochs(4).batch_size(1).verbose(false);
    let fits = |budget: &u64| compile(*budget).and_then(|mut model| model.prepare(&data, &options)).is_ok();
    let least = (1..200).map(|i| i * 10_000).find(fits).expect("a budget that is enough");
    let mut model = compile(least).expect("a model");
    let options = options.callback(After(2, remove));
    let error = model.fit(&data, &options).expect_err("a file is gone");
    assert!(matches!(&error, Error::Io { path, .. } if *path == victim), "{error:?}");
    assert_eq!(model.history().epochs.len(), 2);
    model.predict(Tensor::f32([1, 1, 64, 64], vec![0.5; 4096]).expect("a tensor")).expect("the model of two epochs");
}

#[cfg(unix)]
#[test]
fn a_path_need_not_be_unicode() {
    use std::os::unix::ffi::OsStringExt;
    let folder = tempfile::tempdir().expect("a folder");
    let odd = folder.path().join(std::ffi::OsString::from_vec(b"patient_\xfc".to_vec()));
    if std::fs::create_dir(&odd).is_err() {
        return super::common::skip::skip(
            "a_path_need_not_be_unicode",
            "GALEN_REQUIRE_DISK",
            "the file system refuses such names",
        );
    }
    let network = Sequential::new([4]).with(Dense::new(2).activation(Softmax));
    let mut model = network.compile_on(&setup(), Sgd::new(0.1), CategoricalCrossEntropy::new(), &[]).expect("a model");
    let options = Fit::new()
        .epochs(2)
        .verbose(false)
        .callback(EpochLog::csv(odd.join("log.csv")))
        .checkpoints(Checkpoints::new(&odd).resume());
    model.fit(&data(), &options).expect("a training");
    let path = odd.join(std::ffi::OsString::from_vec(b"m\xf6del".to_vec()));
    model.save(&path).expect("a file");
    let x = Tensor::f32([1, 4], vec![0.5; 4]).expect("a tensor");
    let mut opened = Model::open(&path, &setup()).expect("the model");
    assert_eq!(opened.predict(x.clone()).expect("an answer"), model.predict(x).expect("an answer"));
    let missing = Model::open(odd.join("missing"), &setup()).expect_err("nothing").to_string();
    assert!(missing.contains("patient_\\xFC"), "{missing}");
}

/// Fails, as a log does whose disk is full.
#[derive(Debug)]
struct FullDisk;

impl Callback for FullDisk {
    fn name(&self) -> &str {
        "full disk"
    }

    fn epoch_end(&mut self, _: Epoch<'_>) -> Result<Option<String>> {
        Err(Error::Io { path: PathBuf::from("log.csv"), reason: std::io::ErrorKind::StorageFull.into() })
    }
}

/// A noisy validation loss, so that early stopping has something to choose from.
fn stopped(order: &[usize]) -> (History, Vec<u32>) {
    let network = Sequential::new([4]).with(Dense::new(16).activation(Relu)).with(Dense::new(2).activation(Softmax));
    let mut model =
        network.compile_on(&setup(), Adam::new(0.05), CategoricalCrossEntropy::new(), &[]).expect("a model");
    let mut options = Fit::new().epochs(60).batch_size(5).validation_split(0.25).verbose(false);
    for which in order {
        options = match which {
            0 => options.callback(FullDisk),
            1 => options.callback(EarlyStopping::new("val_loss").patience(3)),
            _ => options.callback(After(40, || Ok(Some("forty are enough".to_owned())))),
        };
    }
    let result = model.fit(&data(), &options);
    assert_eq!(matches!(result, Err(Error::Io { .. })), order.contains(&0), "{result:?}");
    let kernel = model.parameter("dense/kernel").expect("a parameter").into_f32().expect("floats");
    (model.history().clone(), kernel.iter().map(|v| v.to_bits()).collect())
}

#[test]
fn a_log_that_fails_changes_nothing_of_the_network() {
    let (expected, bits) = stopped(&[1, 2]);
    assert!(expected.stopped.is_some() && expected.epochs.len() < 60, "{:?}", expected.stopped);
    for order in [vec![0, 1, 2], vec![1, 0, 2], vec![2, 1, 0], vec![0, 2, 1], vec![2, 1]] {
        let (history, found) = stopped(&order);
        assert_eq!(history.epochs.len(), expected.epochs.len(), "{order:?}");
        assert_eq!(history.stopped, expected.stopped, "{order:?}");
        assert_eq!(found, bits, "{order:?}");
        let noted = history.notes.iter().filter(|note| note.contains("the callback \"full disk\" failed")).count();
        assert_eq!(noted, if order.contains(&0) { history.epochs.len() } else { 0 }, "{:?}", history.notes);
    }
}

#[test]
fn an_end_that_fails_ends_no_other() {
    #[derive(Debug)]
    struct Fails(&'static str);
    impl Callback for Fails {
        fn name(&self) -> &str {
            self.0
        }
        fn epoch_end(&mut self, _: Epoch<'_>) -> Result<Option<String>> {
            Ok(None)
        }
        fn end(&mut self, _: &mut Model) -> Result<()> {
            Err(Error::usage(self.0, "it fails"))
        }
    }
    let network = || Sequential::new([4]).with(Dense::new(16).activation(Relu)).with(Dense::new(2).activation(Softmax));
    let compile =
        || network().compile_on(&setup(), Adam::new(0.05), CategoricalCrossEntropy::new(), &[]).expect("a model");
    let options = || Fit::new().epochs(30).batch_size(5).validation_split(0.25).verbose(false);
    let stopping = || EarlyStopping::new("val_loss").patience(3);
    let (mut whole, mut failed) = (compile(), compile());
    whole.fit(&data(), &options().callback(stopping())).expect("a training");
    let several = options().callback(Fails("first")).callback(stopping()).callback(Fails("second"));
    let error = failed.fit(&data(), &several).expect_err("two fail");
    assert!(error.to_string().contains("first"), "{error}");
    assert!(failed.history().notes.iter().any(|note| note.contains("second")), "{:?}", failed.history().notes);
    let kernel = |model: &mut Model| model.parameter("dense/kernel").expect("a parameter");
    assert_eq!(kernel(&mut failed), kernel(&mut whole), "the best parameters are back all the same");
}

#[test]
fn logs_and_checkpoints_cost_the_same_in_every_epoch() {
    let folder = tempfile::tempdir().expect("a folder");
    let network = Sequential::new([4]).with(Dense::new(2).activation(Softmax));
    let mut model = network.compile_on(&setup(), Sgd::new(0.01), CategoricalCrossEntropy::new(), &[]).expect("a model");
    let sizes = Arc::new(std::sync::Mutex::new(Vec::new()));
    let (path, seen) = (folder.path().join("last.safetensors"), sizes.clone());
    /// Notes the size of the checkpoint.
    #[derive(Debug)]
    struct Sizes(PathBuf, Arc<std::sync::Mutex<Vec<u64>>>);
    impl Callback for Sizes {
        fn name(&self) -> &str {
            "sizes"
        }
        fn epoch_end(&mut self, _: Epoch<'_>) -> Result<Option<String>> {
            if let Ok(about) = std::fs::metadata(&self.0) {
                self.1.lock().expect("a list").push(about.len());
            }
            Ok(None)
        }
    }
    let options = |epochs| {
        Fit::new()
            .epochs(epochs)
            .batch_size(24)
            .verbose(false)
            .callback(EpochLog::csv(folder.path().join("log.csv")))
            .callback(EpochLog::json_lines(folder.path().join("log.jsonl")))
            .callback(Sizes(path.clone(), seen.clone()))
            .checkpoints(Checkpoints::new(folder.path()).resume())
    };
    model.fit(&data(), &options(120)).expect("a training");
    let sizes = sizes.lock().expect("a list").clone();
    // Numbers of more digits are all that grows.
    let (least, most) = (sizes.iter().min().expect("sizes"), sizes.iter().max().expect("sizes"));
    assert!(most - least < 64, "{least} to {most} bytes");
    let lines = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("a file").lines().count();
    assert_eq!([lines("log.csv"), lines("log.jsonl"), lines("history.jsonl")], [121, 120, 120]);
    // What was appended is what a resumed training writes anew.
    let before = std::fs::read_to_string(folder.path().join("log.csv")).expect("a log");
    let network = Sequential::new([4]).with(Dense::new(2).activation(Softmax));
    let mut again = network.compile_on(&setup(), Sgd::new(0.01), CategoricalCrossEntropy::new(), &[]).expect("a model");
    let history = again.fit(&data(), &options(121)).expect("one more epoch");
    assert_eq!(history.epochs.len(), 121);
    let after = std::fs::read_to_string(folder.path().join("log.csv")).expect("a log");
    assert!(after.starts_with(&before), "{before}\n{after}");
}

#[test]
fn a_history_that_is_damaged_is_said_and_costs_no_training() {
    let [whole, damaged] = [(), ()].map(|()| tempfile::tempdir().expect("a folder"));
    let compile = || {
        let network = Sequential::new([4]).with(Dense::new(2).activation(Softmax));
        network.compile_on(&setup(), Adam::new(0.01), CategoricalCrossEntropy::new(), &[]).expect("a model")
    };
    let options = |folder: &Path, epochs| {
        let stopping = EarlyStopping::new("loss").start_from(3).patience(50);
        Fit::new()
            .epochs(epochs)
            .batch_size(6)
            .verbose(false)
            .callback(stopping)
            .checkpoints(Checkpoints::new(folder).resume())
    };
    let mut expected = compile();
    expected.fit(&data(), &options(whole.path(), 6)).expect("a training");
    compile().fit(&data(), &options(damaged.path(), 4)).expect("a training");
    let path = damaged.path().join("history.jsonl");
    let content = std::fs::read_to_string(&path).expect("a history");
    std::fs::write(&path, &content[..content.len() / 2]).expect("a file");
    let mut resumed = compile();
    let history = resumed.fit(&data(), &options(damaged.path(), 6)).expect("a training");
    assert!(history.notes.iter().any(|note| note.contains("history.jsonl")), "{:?}", history.notes);
    assert_eq!(history.epochs.iter().map(|record| record.epoch).collect::<Vec<_>>(), [5, 6]);
    let kernel = |model: &mut Model| model.parameter("dense/kernel").expect("a parameter");
    assert_eq!(kernel(&mut resumed), kernel(&mut expected));
}
