//! Several processes at once, and processes that are killed: files are whole, and a folder of checkpoints is one training's at a time.

use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use galen::prelude::*;
use galen::report::Report;
use galen::train::{Callback, Checkpoints, Epoch, EpochLog};
use galen::{Result, Tensor};
use ndarray::{Array1, Array2};

use super::children::{outcome, play, start, wait};

fn data() -> Dataset {
    let x = Array2::from_shape_fn((24, 4), |(i, j)| ((i * 7 + j * 3) % 11) as f32 / 11.0);
    Dataset::new(x, Array1::from_shape_fn(24, |i| i as u32 % 2)).expect("samples")
}

fn model(seed: u64) -> Result<Model> {
    let network = Sequential::new([4]).with(Dense::new(64).activation(Relu)).with(Dense::new(2).activation(Softmax));
    let setup = Setup::on(&Device::cpu_with_threads(1)?).seed(seed);
    network.compile_on(&setup, Adam::new(0.01), CategoricalCrossEntropy::new(), &[])
}

/// Makes epochs take a while.
#[derive(Debug)]
struct Slow(u64);

impl Callback for Slow {
    fn name(&self) -> &str {
        "slow"
    }

    fn epoch_end(&mut self, _: Epoch<'_>) -> Result<Option<String>> {
        std::thread::sleep(Duration::from_millis(self.0));
        Ok(None)
    }
}

/// Saves a model again and again under one name.
pub fn save(folder: &Path, seed: &str) -> Result<String> {
    let mut model = model(seed.parse().expect("a number"))?;
    for _ in 0..150 {
        model.save(folder.join("model"))?;
    }
    Ok("saved".to_owned())
}

#[test]
fn processes_that_write_one_file_do_not_tear_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut children: Vec<Child> = (0..3).map(|i| start(&format!("save:{i}"), folder.path(), None)).collect();
    let (path, mut reads) = (folder.path().join("model"), 0);
    let running = |child: &mut Child| child.try_wait().expect("a child").is_none();
    while children.iter_mut().any(running) {
        // Before the first is done there is none.
        if path.exists() {
            let mut read = model(9).expect("a model");
            read.load(&path).expect("a whole model");
            reads += 1;
        }
    }
    for child in children {
        assert_eq!(outcome(&wait(child)), "saved");
    }
    assert!(reads > 0);
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1, "nothing is left beside it");
}

/// A training of several epochs, each of which takes a while.
pub fn train(folder: &Path) -> Result<String> {
    let options = Fit::new()
        .epochs(6)
        .batch_size(6)
        .verbose(false)
        .callback(EpochLog::csv(folder.join("log.csv")))
        .callback(Slow(60))
        .checkpoints(Checkpoints::new(folder).resume());
    let mut model = model(1)?;
    let history = model.fit(&data(), &options)?;
    model.save(folder.join("done"))?;
    Ok(format!("{} epochs", history.epochs.len()))
}

/// The bits of all parameters.
fn bits(path: &Path) -> Vec<(String, Vec<u32>)> {
    let archive = galen::interop::safetensors::Archive::open(path).expect("a whole file");
    let words = |tensor: &Tensor| match tensor {
        Tensor::F32(x) => x.iter().map(|v| v.to_bits()).collect(),
        other => panic!("{other:?}"),
    };
    archive.tensors().map(|(name, tensor)| (name.to_owned(), words(tensor))).collect()
}

#[test]
fn one_training_at_a_time_has_a_folder() {
    let [alone, shared] = [(), ()].map(|()| tempfile::tempdir().expect("a folder"));
    assert_eq!(play("train", alone.path(), None), "6 epochs");
    let children: Vec<Child> = (0..4).map(|_| start("train", shared.path(), None)).collect();
    let outcomes: Vec<String> = children.into_iter().map(|child| outcome(&wait(child))).collect();
    let (done, refused): (Vec<&String>, Vec<&String>) = outcomes.iter().partition(|text| *text == "6 epochs");
    assert!(!done.is_empty() && !refused.is_empty(), "{outcomes:?}");
    for text in refused {
        assert!(text.contains("is in use by a training of process "), "{text}");
    }
    assert_eq!(bits(&shared.path().join("done")), bits(&alone.path().join("done")));
    let log = std::fs::read_to_string(shared.path().join("log.csv")).expect("a log");
    assert_eq!(log.lines().count(), 7, "{log}");
    // In one process too, and a training that ended leaves the folder free.
    let options =
        || Fit::new().epochs(8).batch_size(6).verbose(false).checkpoints(Checkpoints::new(shared.path()).resume());
    #[derive(Debug)]
    struct Another(std::path::PathBuf);
    impl Callback for Another {
        fn name(&self) -> &str {
            "another"
        }
        fn epoch_end(&mut self, _: Epoch<'_>) -> Result<Option<String>> {
            let options = Fit::new().verbose(false).checkpoints(Checkpoints::new(&self.0).resume());
            let error = model(1)?.fit(&data(), &options).expect_err("it is in use").to_string();
            assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
            Ok(None)
        }
    }
    model(1)
        .expect("a model")
        .fit(&data(), &options().callback(Another(shared.path().into())))
        .expect("two more epochs");
    model(1).expect("a model").fit(&data(), &options()).expect("nothing more");
}

/// Not the same moments each time, so that in the long run every moment is tried.
fn moments() -> impl FnMut(u64) -> Duration {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let mut state = now.subsec_nanos();
    move |milliseconds| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Duration::from_micros(u64::from(state >> 8) % (1000 * milliseconds))
    }
}

#[test]
fn a_training_that_is_killed_leaves_its_folder_free_and_ends_as_it_would_have() {
    let [alone, killed] = [(), ()].map(|()| tempfile::tempdir().expect("a folder"));
    assert_eq!(play("train", alone.path(), None), "6 epochs");
    let mut moment = moments();
    for _ in 0..6 {
        let mut child = start("train", killed.path(), None);
        std::thread::sleep(moment(300));
        child.kill().expect("a signal");
        child.wait().expect("an end");
    }
    assert_eq!(play("train", killed.path(), None), "6 epochs");
    assert_eq!(bits(&killed.path().join("done")), bits(&alone.path().join("done")));
    let log = |folder: &Path| std::fs::read_to_string(folder.join("log.csv")).expect("a log");
    let losses = |folder: &Path| -> Vec<String> {
        log(folder).lines().map(|line| line.split(',').take(2).collect::<Vec<_>>().join(",")).collect()
    };
    assert_eq!(losses(killed.path()), losses(alone.path()));
}

/// Writes reports without end.
pub fn reports(folder: &Path) -> Result<String> {
    let report = report()?;
    for _ in 0..10_000 {
        report.write(folder.join("report"))?;
    }
    Ok("written".to_owned())
}

fn report() -> Result<Report> {
    let scores = Array2::from_shape_fn((40, 2), |(i, j)| {
        let p = ((i * 13) % 40) as f32 / 40.0;
        if j == 0 { p } else { 1.0 - p }
    });
    let truth: Vec<u32> = (0..40).map(|i| u32::from(i % 3 == 0)).collect();
    Report::classification("test", &truth, scores.view()).resamples(50).build()
}

#[test]
fn a_report_that_is_killed_leaves_whole_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let expected = report().expect("a report");
    let whole = tempfile::tempdir().expect("a folder");
    expected.write(whole.path()).expect("files");
    let (mut moment, begun, mut seen) = (moments(), Instant::now(), 0);
    while seen < 40 && begun.elapsed() < Duration::from_secs(60) {
        let mut child = start("report", folder.path(), None);
        std::thread::sleep(Duration::from_millis(20) + moment(150));
        child.kill().expect("a signal");
        child.wait().expect("an end");
        for entry in std::fs::read_dir(folder.path().join("report")).into_iter().flatten() {
            let entry = entry.expect("an entry");
            // What was not whole yet has another name.
            if !entry.file_name().to_string_lossy().starts_with(".galen-") {
                let bytes = std::fs::read(entry.path()).expect("a file");
                assert!(bytes == std::fs::read(whole.path().join(entry.file_name())).expect("the same"), "{entry:?}");
                seen += 1;
            }
        }
    }
    assert!(seen > 0, "no report was written");
}

#[cfg(unix)]
#[test]
fn files_of_a_training_are_its_owner_s_alone_and_keep_what_they_are_given() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let mode = |path: &Path| std::fs::metadata(path).expect("a file").permissions().mode() & 0o777;
    let set = |path: &Path, mode: u32| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("permissions");
    };
    let run = folder.path().join("run");
    let options = |epochs| {
        let log = EpochLog::json_lines(run.join("log.jsonl"));
        let kept = Checkpoints::new(&run).best("loss").every(1).resume();
        Fit::new().epochs(epochs).verbose(false).callback(log).checkpoints(kept)
    };
    let mut own = model(1).expect("a model");
    own.fit(&data(), &options(2)).expect("two epochs");
    report().expect("a report").write(run.join("report")).expect("files");
    let mut files = 0;
    for entry in
        std::fs::read_dir(&run).expect("a folder").chain(std::fs::read_dir(run.join("report")).expect("a folder"))
    {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            assert_eq!(mode(&path), 0o600, "{}", path.display());
            files += 1;
        }
    }
    assert!(files > 8, "{files}");
    let saved = folder.path().join("model");
    own.save(&saved).expect("a file");
    set(&saved, 0o600);
    own.save(&saved).expect("a file");
    assert_eq!(mode(&saved), 0o600);
    // Whoever wants to share says so.
    let open = folder.path().join("open");
    let kept = Checkpoints::new(&open).access(galen::file::Access::Shared);
    model(1).expect("a model").fit(&data(), &Fit::new().verbose(false).checkpoints(kept)).expect("an epoch");
    std::fs::write(open.join("plain"), "").expect("a file");
    assert_eq!(mode(&open.join("last.safetensors")), mode(&open.join("plain")));
}

#[cfg(unix)]
#[test]
fn links_planted_where_drafts_once_were_are_not_followed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (victim, path) = (folder.path().join("victim"), folder.path().join("model"));
    std::fs::write(&victim, "untouched").expect("a file");
    for name in ["model.part", "last.safetensors.part", "next.safetensors.part", "history.jsonl", "log.csv"] {
        std::os::unix::fs::symlink(&victim, folder.path().join(name)).expect("a link");
    }
    let mut own = model(1).expect("a model");
    own.save(&path).expect("a file");
    let log = EpochLog::csv(folder.path().join("log.csv"));
    let options = Fit::new().epochs(3).verbose(false).callback(log).checkpoints(Checkpoints::new(folder.path()));
    own.fit(&data(), &options).expect("a training");
    assert_eq!(std::fs::read_to_string(&victim).expect("a file"), "untouched");
}

/// A training that talks.
pub fn chatter() -> Result<String> {
    let mut model = model(1)?;
    let history = model.fit(&data(), &Fit::new().epochs(30).callback(Slow(5)))?;
    Ok(format!("{} epochs", history.epochs.len()))
}

#[test]
fn a_training_goes_on_where_nobody_listens_any_more() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut child = start("chatter", folder.path(), None);
    drop(child.stderr.take());
    assert_eq!(outcome(&wait(child)), "30 epochs");
}
