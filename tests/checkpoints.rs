//! A training that is killed and resumed ends where one that never stopped ends; callbacks, and what is kept of them.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use galen::nn::BatchNorm;
use galen::optim::{CosineDecay, Plateau};
use galen::prelude::*;
use galen::train::{Callback, Checkpoints, EarlyStopping, Epoch, EpochLog, EpochRecord, History};
use galen::{Error, Result, Tensor};
use ndarray::{Array1, Array4};

const SAMPLES: usize = 120;
const EPOCHS: usize = 8;
/// Tells a child process where to train.
const CHILD: &str = "GALEN_TEST_CHECKPOINT_FOLDER";

/// Stripes, lying or standing, under noise that every run sees alike.
fn data() -> Dataset {
    let noise = |i: usize| ((i as u32).wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 24) as f32 - 0.5;
    let label = |i: usize| (i * 7 % 5 % 2) as u32;
    let x = Array4::from_shape_fn((SAMPLES, 1, 8, 8), |(i, _, r, c)| {
        let along = if label(i) == 0 { r } else { c };
        (along % 2) as f32 + 2.5 * noise(i * 64 + r * 8 + c)
    });
    Dataset::new(x, Array1::from_shape_fn(SAMPLES, label)).expect("good data")
}

fn model(device: &Device, seed: u64) -> Model {
    let network = Sequential::new([1, 8, 8])
        .with(Conv2d::new(6, [3, 3]))
        .with(BatchNorm::new())
        .with(Dropout::new(0.3))
        .with(Flatten)
        .with(Dense::new(2));
    let rates = CosineDecay::new(0.01, 60).warm_up(0.01, 10);
    let optimizer = Tuned::new(Adam::new(rates)).clip_norm(1.0).accumulate(2).ema(0.9);
    let loss = CategoricalCrossEntropy::new().from_logits();
    network.compile_on(&Setup::on(device).seed(seed), optimizer, loss, &[Metric::Accuracy]).expect("a model")
}

fn options(folder: &Path) -> Fit {
    Fit::new()
        .epochs(EPOCHS)
        .batch_size(9)
        .validation_split(0.2)
        .verbose(false)
        .augment(Augment::new().flip_horizontal().shift(0.1).noise(0.05))
        .reduce_on_plateau(Plateau::new().patience(1).factor(0.5))
        .callback(EarlyStopping::new("val_loss").patience(100))
        .callback(EpochLog::json_lines(folder.join("log.jsonl")))
        .checkpoints(Checkpoints::new(folder).best("val_loss").resume())
}

fn cpu() -> Device {
    Device::cpu().expect("a processor")
}

/// A folder of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("galen-checkpoints-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Every parameter and statistic.
fn weights(model: &mut Model) -> Vec<(String, Tensor)> {
    let specs: Vec<_> = model.parameter_specs().expect("specs").into_iter().chain(model.statistic_specs()).collect();
    specs.into_iter().map(|slot| (slot.name.clone(), model.parameter(&slot.name).expect("a tensor"))).collect()
}

/// The numbers of the epochs, without the times.
fn numbers(history: &History) -> Vec<EpochRecord> {
    let timeless = |e: &EpochRecord| EpochRecord { seconds: 0.0, waited: 0.0, step_losses: Vec::new(), ..e.clone() };
    history.epochs.iter().map(timeless).collect()
}

#[test]
fn stopping_after_any_epoch_changes_nothing() {
    for device in common::devices() {
        let whole = Folder::new("whole");
        let mut expected = model(&device, 5);
        let history = expected.fit(&data(), &options(&whole.0)).expect("a training");
        let parts = Folder::new("parts");
        let mut last = None;
        for epochs in [1, 2, 5, EPOCHS] {
            // Every part in a model of its own, as in a process of its own.
            let mut part = model(&device, 5);
            let history = part.fit(&data(), &options(&parts.0).epochs(epochs)).expect("a part");
            last = Some((part, history));
        }
        let (mut resumed, resumed_history) = last.expect("four parts");
        assert_eq!(weights(&mut resumed), weights(&mut expected), "{device}");
        assert_eq!(numbers(&resumed_history), numbers(&history), "{device}");
        resumed.apply_average().expect("an average");
        expected.apply_average().expect("an average");
        assert_eq!(weights(&mut resumed), weights(&mut expected), "the moving average, {device}");
        let log = std::fs::read_to_string(parts.0.join("log.jsonl")).expect("a log");
        assert_eq!(log.lines().count(), EPOCHS, "every epoch once");
    }
}

/// Not a test of its own: the process that the next one kills.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    /// Makes epochs long enough to be killed in.
    #[derive(Debug)]
    struct Slow;
    impl Callback for Slow {
        fn name(&self) -> &str {
            "slow"
        }
        fn epoch_end(&mut self, _epoch: Epoch<'_>) -> Result<Option<String>> {
            std::thread::sleep(Duration::from_millis(20));
            Ok(None)
        }
    }
    let mut model = model(&cpu(), 5);
    model.fit(&data(), &options(folder.as_ref()).callback(Slow)).expect("a training");
    model.save(Path::new(&folder).join("done.safetensors")).expect("a file");
}

#[test]
fn a_killed_training_ends_like_one_that_was_left_alone() {
    let whole = Folder::new("alone");
    let mut expected = model(&cpu(), 5);
    expected.fit(&data(), &options(&whole.0)).expect("a training");
    let killed = Folder::new("killed");
    let start = || {
        let program = std::env::current_exe().expect("this program");
        let mut child = Command::new(program);
        child.args(["--exact", "child"]).env(CHILD, &killed.0).stdout(Stdio::null());
        child.spawn().expect("a process")
    };
    let epochs = || std::fs::read_to_string(killed.0.join("log.jsonl")).map_or(0, |log| log.lines().count());
    // Not the same moments each time, so that in the long run every moment is tried.
    let mut moment =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").subsec_nanos();
    for kill in 1..=3 {
        let (mut child, begun) = (start(), Instant::now());
        while epochs() < 2 * kill {
            assert!(begun.elapsed() < Duration::from_secs(120), "the child does not train");
            assert!(child.try_wait().expect("a state").is_none(), "the child ended before it was killed");
            std::thread::sleep(Duration::from_millis(1));
        }
        moment = moment.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        std::thread::sleep(Duration::from_micros(u64::from(moment >> 17)));
        // On Unix this is SIGKILL.
        child.kill().expect("a signal");
        assert!(!child.wait().expect("an end").success(), "killed");
        assert!(!killed.0.join("done.safetensors").exists(), "killed before its end");
    }
    assert!(start().wait().expect("an end").success(), "the last run ends by itself");
    let mut resumed = model(&cpu(), 0);
    resumed.load(killed.0.join("done.safetensors")).expect("the parameters");
    assert_eq!(weights(&mut resumed), weights(&mut expected));
}

#[test]
fn a_damaged_checkpoint_is_passed_over_and_said_so() {
    let (whole, folder) = (Folder::new("undamaged"), Folder::new("damaged"));
    let mut expected = model(&cpu(), 5);
    expected.fit(&data(), &options(&whole.0)).expect("a training");
    model(&cpu(), 5).fit(&data(), &options(&folder.0).epochs(3)).expect("a part");
    let last = folder.0.join("last.safetensors");
    let bytes = std::fs::read(&last).expect("a checkpoint");
    std::fs::write(&last, &bytes[..bytes.len() / 2]).expect("half of it");
    let mut resumed = model(&cpu(), 5);
    let history = resumed.fit(&data(), &options(&folder.0)).expect("the one before it");
    assert!(
        history.notes[0].contains("damaged") && history.notes[0].contains("last.safetensors"),
        "{:?}",
        history.notes
    );
    assert_eq!(weights(&mut resumed), weights(&mut expected));
    for name in ["last.safetensors", "previous.safetensors"] {
        std::fs::write(folder.0.join(name), b"nothing").expect("a file");
    }
    let error = model(&cpu(), 5).fit(&data(), &options(&folder.0)).expect_err("no whole one");
    assert!(matches!(error, Error::Format { .. }), "{error}");
}

#[test]
fn a_checkpoint_of_another_training_is_refused() {
    let folder = Folder::new("other");
    model(&cpu(), 5).fit(&data(), &options(&folder.0).epochs(1)).expect("a part");
    let message = |mut model: Model, options: Fit| model.fit(&data(), &options).expect_err("another").to_string();
    let seed = message(model(&cpu(), 6), options(&folder.0));
    assert!(seed.contains("a training with seed 6, got 5"), "{seed}");
    let batch = message(model(&cpu(), 5), options(&folder.0).batch_size(10));
    assert!(batch.contains("a training with batch size 10, got 9"), "{batch}");
    // As many samples, one of them another: a corrected label, the next fold.
    let mut other: Vec<usize> = (0..SAMPLES).collect();
    other[3] = 4;
    let other = data().select(&other).expect("as many samples");
    let samples = model(&cpu(), 5).fit(&other, &options(&folder.0)).expect_err("other samples").to_string();
    assert!(samples.contains("a training with samples"), "{samples}");
    let compiled = |units: usize, optimizer: Tuned| {
        let network = Sequential::new([1, 8, 8]).with(Flatten).with(Dense::new(units)).with(Dense::new(2));
        let loss = CategoricalCrossEntropy::new().from_logits();
        network.compile_on(&Setup::on(&cpu()).seed(5), optimizer, loss, &[]).expect("a model")
    };
    let network = message(compiled(3, Adam::new(0.1).into()), options(&folder.0));
    for part in ["\"dense/kernel\" as f32[64, 3]", "\"dense_1/kernel\" as f32[3, 2]", "got f32[216, 2]"] {
        assert!(network.contains(part), "{part} in {network}");
    }
    let kept = Folder::new("optimizer");
    let plain = || Fit::new().verbose(false).checkpoints(Checkpoints::new(&kept.0).resume());
    compiled(3, Adam::new(0.1).into()).fit(&data(), &plain()).expect("a part");
    let error = compiled(3, Sgd::new(0.1).into()).fit(&data(), &plain().epochs(2)).expect_err("another").to_string();
    assert!(error.contains("state:"), "{error}");
    let again = Fit::new().verbose(false).checkpoints(Checkpoints::new(&kept.0));
    let error = compiled(3, Adam::new(0.1).into()).fit(&data(), &again).expect_err("not resumed").to_string();
    assert!(error.contains("already holds a training"), "{error}");
}

#[test]
fn checkpoints_tell_nothing_of_paths() {
    let folder = Folder::new("secret-patient-name");
    model(&cpu(), 5).fit(&data(), &options(&folder.0).epochs(2)).expect("a training");
    for entry in std::fs::read_dir(&folder.0).expect("the folder") {
        let path = entry.expect("a file").path();
        let bytes = std::fs::read(&path).expect("its content");
        for word in ["secret", "/tmp", "home", "root"] {
            let found = bytes.windows(word.len()).any(|window| window == word.as_bytes());
            assert!(!found, "{word} in {}", path.display());
        }
    }
}

#[test]
fn a_checkpoint_that_cannot_be_written_loses_nothing() {
    /// Puts a folder where the next checkpoint would be written, as a full disk would: the write fails.
    #[derive(Debug)]
    struct Block(PathBuf, usize);
    impl Callback for Block {
        fn name(&self) -> &str {
            "block"
        }
        fn epoch_end(&mut self, epoch: Epoch<'_>) -> Result<Option<String>> {
            if epoch.epochs.len() == self.1 {
                std::fs::create_dir_all(self.0.join("next.safetensors")).expect("a folder");
            }
            Ok(None)
        }
    }
    let (whole, folder) = (Folder::new("room"), Folder::new("full"));
    let mut expected = model(&cpu(), 5);
    expected.fit(&data(), &options(&whole.0)).expect("a training");
    let mut full = model(&cpu(), 5);
    let error = full.fit(&data(), &options(&folder.0).callback(Block(folder.0.clone(), 3))).expect_err("no room");
    assert!(matches!(error, Error::Io { .. }), "{error}");
    assert_eq!(full.history().epochs.len(), EPOCHS, "it trained on");
    assert_eq!(full.history().notes.len(), EPOCHS - 2, "{:?}", full.history().notes);
    assert_eq!(weights(&mut full), weights(&mut expected), "nothing of the training is lost");
    std::fs::remove_dir(folder.0.join("next.safetensors")).expect("room again");
    let mut resumed = model(&cpu(), 5);
    let unblocked = options(&folder.0).callback(Block(folder.0.clone(), 1000));
    let history = resumed.fit(&data(), &unblocked).expect("the checkpoint of epoch 2");
    assert_eq!(history.epochs.len(), EPOCHS);
    assert_eq!(weights(&mut resumed), weights(&mut expected));
}

#[test]
fn early_stopping_gives_the_best_parameters_back_also_when_resumed() {
    /// Remembers the parameters of every epoch.
    #[derive(Debug, Clone, Default)]
    struct Spy(std::sync::Arc<std::sync::Mutex<Vec<Tensor>>>);
    impl Callback for Spy {
        fn name(&self) -> &str {
            "spy"
        }
        fn epoch_end(&mut self, epoch: Epoch<'_>) -> Result<Option<String>> {
            self.0.lock().expect("a list").push(epoch.model.parameter("dense/kernel")?);
            Ok(None)
        }
    }
    let (folder, spy) = (Folder::new("early"), Spy::default());
    let stopping = || EarlyStopping::new("val_loss").patience(2);
    // A rate this high leaves the best epoch behind soon.
    let wild = || {
        let network = Sequential::new([1, 8, 8]).with(Flatten).with(Dense::new(2));
        let loss = CategoricalCrossEntropy::new().from_logits();
        network.compile_on(&Setup::on(&cpu()).seed(2), Adam::new(0.3), loss, &[]).expect("a model")
    };
    let plain = Fit::new().epochs(60).validation_split(0.3).verbose(false);
    let mut model = wild();
    let history = model.fit(&data(), &plain.clone().callback(spy.clone()).callback(stopping())).expect("a training");
    let losses = history.val_losses();
    let best = (0..losses.len()).min_by(|a, b| losses[*a].total_cmp(&losses[*b])).expect("epochs");
    assert_eq!(losses.len(), best + 3, "the second epoch that is not better stops it: {losses:?}");
    let kernel = model.parameter("dense/kernel").expect("a kernel");
    assert_eq!(kernel, spy.0.lock().expect("a list")[best]);
    let reason = history.stopped.expect("a reason");
    assert!(reason.contains(&format!("best in epoch {}", best + 1)), "{reason}");
    let last = Spy::default();
    let unrestored = plain.clone().callback(last.clone()).callback(stopping().restore_best(false));
    let mut model = wild();
    model.fit(&data(), &unrestored).expect("a training");
    let (seen, kept) = (last.0.lock().expect("a list"), model.parameter("dense/kernel").expect("a kernel"));
    assert_eq!(
        (seen.len(), Some(&kept)),
        (best + 3, seen.last()),
        "the parameters of the last epoch, where that is asked for"
    );
    let kept = || plain.clone().callback(stopping()).checkpoints(Checkpoints::new(&folder.0).resume());
    wild().fit(&data(), &kept().epochs(best + 2)).expect("a part that ends after the best epoch");
    for _ in 0..2 {
        // The second time there is nothing left to train, and the best parameters come back all the same.
        let mut resumed = wild();
        let again = resumed.fit(&data(), &kept()).expect("the rest");
        assert_eq!(again.epochs.len(), losses.len());
        assert_eq!(resumed.parameter("dense/kernel").expect("a kernel"), kernel);
    }
}

#[test]
fn a_time_limit_stops_in_the_middle_of_an_epoch() {
    let mut model = model(&cpu(), 1);
    let options = Fit::new().epochs(1_000_000).verbose(false).time_limit(Duration::from_millis(300));
    let (start, history) = (Instant::now(), model.fit(&data(), &options).expect("some epochs"));
    assert!(start.elapsed() < Duration::from_secs(60));
    assert_eq!(history.stopped.as_deref(), Some("its time was over"));
    assert!(!history.epochs.is_empty());
}

#[test]
fn class_weights_are_sample_weights() {
    let data = data();
    let trained = |data: &Dataset, options: Fit| {
        let mut model = model(&cpu(), 3);
        model.fit(data, &options.verbose(false)).expect("a training");
        weights(&mut model)
    };
    let classes = data.classes().expect("classes");
    let by_hand = data.clone().with_weights(classes.iter().map(|c| if *c == 0 { 0.5 } else { 3.0 }).collect());
    let weighted = trained(&data, Fit::new().class_weights([0.5, 3.0]));
    assert_eq!(weighted, trained(&by_hand.expect("weights"), Fit::new()));
    assert_ne!(weighted, trained(&data, Fit::new()));
    let error = model(&cpu(), 3).fit(&data, &Fit::new().class_weights([1.0])).expect_err("too few").to_string();
    assert!(error.contains("2, one for each class of the network, got 1"), "{error}");
    let refused = |targets: Tensor| {
        let network = Sequential::new([4]).with(Dense::new(3));
        let setup = Setup::on(&cpu());
        let mut model = network.compile_on(&setup, Adam::new(0.1), MeanSquaredError::new(), &[]).expect("a model");
        let data = Dataset::new(ndarray::Array2::<f32>::zeros((2, 4)), targets).expect("good data");
        let data = data.with_weights(vec![1.0, 1.0]).expect("weights");
        model.fit(&data, &Fit::new().class_weights([1.0, 2.0, 3.0])).expect_err("no classes").to_string()
    };
    let labels = refused(ndarray::arr2(&[[1f32, 0., 0.], [0., 1., 1.]]).into());
    assert!(labels.contains("one class for each sample") && labels.contains("sample 1"), "{labels}");
    let masks = refused(ndarray::Array3::<u32>::zeros((2, 2, 2)).into());
    assert!(masks.contains("u32[2] for scores f32[2, 3], got u32[2, 2, 2]"), "{masks}");
    // Two labels that do not exclude each other are no class of the sample.
    let network = Sequential::new([4]).with(Dense::new(2).activation(galen::nn::Activation::Sigmoid));
    let loss = BinaryCrossEntropy::new();
    let mut model = network.compile_on(&Setup::on(&cpu()), Adam::new(0.1), loss, &[]).expect("a model");
    let labels = ndarray::arr2(&[[1f32, 0.], [0., 1.]]);
    let data = Dataset::new(ndarray::Array2::<f32>::zeros((2, 4)), labels).expect("good data");
    let error = model.fit(&data, &Fit::new().class_weights([1.0, 2.0])).expect_err("no classes").to_string();
    assert!(error.contains("one class for each sample"), "{error}");
}

#[test]
fn logs_have_a_row_per_epoch() {
    let folder = Folder::new("logs");
    let options = Fit::new().epochs(2).validation_split(0.2).verbose(false);
    let options = options.callback(EpochLog::csv(folder.0.join("a/log.csv")));
    let history = model(&cpu(), 1).fit(&data(), &options).expect("a training");
    let text = std::fs::read_to_string(folder.0.join("a/log.csv")).expect("a log");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "epoch,loss,accuracy,val_loss,val_accuracy,learning_rate,seconds,waited");
    assert_eq!(lines.len(), 3);
    assert!(lines[2].starts_with(&format!("2,{},", history.epochs[1].loss)), "{}", lines[2]);
}

#[test]
fn a_value_that_no_epoch_has_is_named_before_the_first() {
    let folder = Folder::new("names");
    let plain = || Fit::new().verbose(false);
    let wrong = [
        plain().callback(EarlyStopping::new("val_auc")),
        plain().checkpoints(Checkpoints::new(&folder.0).best("val_auc")),
        plain().callback(EarlyStopping::new("val_loss")),
    ];
    for options in wrong {
        let mut model = model(&cpu(), 1);
        let error = model.fit(&data(), &options).expect_err("no such value").to_string();
        assert!(error.contains("one of loss, accuracy, learning_rate") && error.contains("val_"), "{error}");
        assert!(model.history().epochs.is_empty(), "nothing was trained");
    }
}

#[test]
fn a_second_training_of_a_model_is_resumed_to_its_own_end() {
    let (whole, parts) = (Folder::new("phases"), Folder::new("phases-parts"));
    let first = || {
        let mut model = model(&cpu(), 5);
        model.fit(&data(), &Fit::new().epochs(2).batch_size(9).validation_split(0.2).verbose(false)).expect("a phase");
        model
    };
    let mut expected = first();
    expected.fit(&data(), &options(&whole.0).epochs(4)).expect("the second phase");
    // Stopped by a callback of its own in the middle of the second phase.
    #[derive(Debug)]
    struct Stop;
    impl Callback for Stop {
        fn name(&self) -> &str {
            "stop"
        }
        fn epoch_end(&mut self, epoch: Epoch<'_>) -> Result<Option<String>> {
            // As if the process ended here: the error comes after the checkpoint of epoch 3.
            if epoch.epochs.len() == 2 { Err(Error::usage("a test", "a power cut")) } else { Ok(None) }
        }
    }
    let error = first().fit(&data(), &options(&parts.0).epochs(4).callback(Stop)).expect_err("a power cut");
    assert!(error.to_string().contains("a power cut"), "{error}");
    let mut resumed = first();
    let history = resumed.fit(&data(), &options(&parts.0).epochs(4)).expect("the rest");
    assert_eq!(history.epochs.last().expect("epochs").epoch, 6);
    assert_eq!(weights(&mut resumed), weights(&mut expected));
}

#[test]
fn callbacks_may_be_given_in_another_order_when_a_training_is_resumed() {
    let (whole, parts) = (Folder::new("order"), Folder::new("order-parts"));
    let fit = |folder: &Path, epochs: usize| {
        let plain = Fit::new().epochs(epochs).batch_size(9).validation_split(0.2).verbose(false);
        plain.checkpoints(Checkpoints::new(folder).resume())
    };
    // Only the first epoch is ever the best: what is remembered of it decides what comes back.
    let stopping = || EarlyStopping::new("loss").higher_is_better(true).patience(100);
    let log = |folder: &Path| EpochLog::csv(folder.join("log.csv"));
    let mut expected = model(&cpu(), 5);
    expected.fit(&data(), &fit(&whole.0, 4).callback(stopping()).callback(log(&whole.0))).expect("a training");
    model(&cpu(), 5).fit(&data(), &fit(&parts.0, 2).callback(stopping())).expect("a part");
    let mut resumed = model(&cpu(), 5);
    resumed.fit(&data(), &fit(&parts.0, 4).callback(log(&parts.0)).callback(stopping())).expect("the rest");
    assert_eq!(weights(&mut resumed), weights(&mut expected));
    let history = model(&cpu(), 5).fit(&data(), &fit(&parts.0, 5)).expect("without the callback");
    assert!(history.notes[0].contains("early_stopping"), "{:?}", history.notes);
}

#[test]
fn settings_that_are_new_count_when_a_training_is_resumed() {
    let folder = Folder::new("settings");
    let plain = |epochs: usize| Fit::new().epochs(epochs).batch_size(9).validation_split(0.2).verbose(false);
    let kept = || Checkpoints::new(&folder.0).resume();
    model(&cpu(), 5).fit(&data(), &plain(1).checkpoints(kept())).expect("a part");
    let falling = Plateau::new().patience(1).factor(0.5).min_delta(10.0);
    let options = plain(4).checkpoints(kept().best("val_loss")).reduce_on_plateau(falling);
    let history = model(&cpu(), 5).fit(&data(), &options).expect("the rest");
    assert!(folder.0.join("best.safetensors").exists());
    assert!(history.epochs[3].learning_rate < 0.6 * 0.01, "{:?}", history.epochs[3]);
    let other = Plateau::new().patience(7);
    let options = plain(5).checkpoints(kept().best("val_accuracy")).reduce_on_plateau(other);
    let notes = model(&cpu(), 5).fit(&data(), &options).expect("one more").notes;
    assert!(notes.len() == 2 && notes.iter().all(|note| note.contains("begins anew")), "{notes:?}");
}

#[test]
fn what_is_attached_comes_back_with_the_checkpoint() {
    let folder = Folder::new("attached");
    let mut first = model(&cpu(), 5);
    first.attach("scale", &[0.5, 2.0]).expect("attached");
    first.fit(&data(), &options(&folder.0).epochs(1)).expect("a part");
    let mut resumed = model(&cpu(), 5);
    resumed.fit(&data(), &options(&folder.0).epochs(2)).expect("the rest");
    assert_eq!(resumed.attached::<Vec<f64>>("scale").expect("numbers"), Some(vec![0.5, 2.0]));
    let opened = Model::open(folder.0.join("last.safetensors"), &Setup::on(&cpu())).expect("a checkpoint is a model");
    assert_eq!(opened.attached::<Vec<f64>>("scale").expect("numbers"), Some(vec![0.5, 2.0]));
}

#[test]
fn an_area_that_is_not_defined_is_noted_and_ends_nothing() {
    let network = Sequential::new([1, 8, 8]).with(Flatten).with(Dense::new(2));
    let loss = CategoricalCrossEntropy::new().from_logits();
    let mut model = network.compile_on(&Setup::on(&cpu()), Adam::new(0.01), loss, &[Metric::Auc]).expect("a model");
    let zeros: Vec<usize> =
        data().classes().expect("classes").iter().enumerate().filter(|(_, c)| **c == 0).map(|(i, _)| i).collect();
    let one_class = data().select(&zeros).expect("samples");
    let history = model.fit(&data(), &Fit::new().epochs(2).validation(&one_class).verbose(false)).expect("a training");
    assert!(history.val_metric("auc").iter().all(|v| v.is_nan()), "{:?}", history.val_metric("auc"));
    assert_eq!(history.notes.len(), 1, "said once: {:?}", history.notes);
}
