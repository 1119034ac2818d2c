//! What the two MNIST programs share: options, data, and what is printed before and after the training.

mod digits;
mod options;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};
use galen::data::formats::idx;
use galen::prelude::*;
use galen::train::{History, Interrupt};
use ndarray::Array1;

pub use options::Options;

/// Training and test set, and a line that says what they are: those of `--data`, or the digits that come with Galen.
/// `channels` says whether an image is `[1, 28, 28]` or `[784]`.
pub fn load(options: &Options, channels: bool) -> Result<(Dataset, Dataset, String)> {
    let (mnist, note) = match &options.data {
        Some(dir) => {
            let mnist = idx::mnist(dir).with_context(|| format!("--data {}", dir.display()))?;
            let note = format!("{} training and {} test images", mnist.train_labels.len(), mnist.test_labels.len());
            (mnist, note)
        }
        None => digits::load(true)?,
    };
    let dataset = |images: ndarray::ArrayD<u8>, labels: Vec<u32>| -> Result<Dataset> {
        let n = images.shape()[0];
        let shape = if channels { vec![n, 1, 28, 28] } else { vec![n, 784] };
        Ok(Dataset::new(images.into_shape_with_order(shape)?, Array1::from(labels))?)
    };
    let train = dataset(mnist.train_images, mnist.train_labels)?;
    Ok((train, dataset(mnist.test_images, mnist.test_labels)?, note))
}

/// Says in one line what went wrong, if something did.
pub fn report(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e:#}");
            ExitCode::FAILURE
        }
    }
}

/// Compiles, describes, trains and evaluates; prints what a person wants to know on the way.
pub fn run(name: &str, network: Sequential, channels: bool, options: &Options) -> Result<()> {
    let start = Instant::now();
    if let Some(path) = &options.save {
        // Found out before the training, not after it.
        galen::file::check_writable(path).context("--save")?;
    }
    let (train, test, note) = load(options, channels)?;
    let device = Device::named(&options.device)?;
    let say = |line: String| {
        if !options.quiet {
            println!("{line}");
        }
    };
    say(format!("{}\n", network.summary()?));
    let setup = Setup::on(&device).seed(options.seed).memory_budget(options.memory_budget);
    let mut model = network.compile_on(&setup, Adam::default(), CategoricalCrossEntropy::new(), &[Metric::Accuracy])?;
    let interrupt = Interrupt::on_ctrl_c()?;
    let fit = Fit::new()
        .epochs(options.epochs)
        .batch_size(options.batch_size)
        .validation(&test)
        .verbose(!options.quiet)
        .interrupt(&interrupt);
    model.prepare(&train, &fit)?;
    say(format!("device  {device}"));
    say(format!("plan    {}", model.describe_memory()));
    say(format!("data    {note}\n"));
    let before = start.elapsed();
    let history = model.fit(&train, &fit)?;
    if history.interrupted {
        say("stopped; the parameters are those of the last step".into());
    }
    let result = model.evaluate(&test)?;
    say(format!("\ntest loss {:.4}, test accuracy {:.4}", result.loss, result.accuracy()));
    say(format!("\n{}\n", model.confusion(&test)?));
    if let Some(curve) = write_curve(name, &history)? {
        say(format!("training curve: {}", curve.display()));
    }
    if let Some(path) = &options.save {
        model.save(path)?;
        say(format!("model: {}", path.display()));
    }
    if options.json {
        let line = serde_json::json!({
            "program": name,
            "device": device.to_string(),
            "parameters": model.summary()?.parameters(),
            "epochs": history.epochs.len(),
            "seconds": history.duration.as_secs_f64(),
            "time_to_first_loss_s": (before + history.time_to_first_loss).as_secs_f64(),
            "train_loss": history.epochs.last().map(|e| e.loss),
            "test_loss": result.loss,
            "test_accuracy": result.accuracy(),
        });
        println!("{line}");
    }
    Ok(())
}

/// Writes the training curve, where there is one, beside the program's other output.
fn write_curve(name: &str, history: &History) -> Result<Option<PathBuf>> {
    if history.epochs.is_empty() {
        return Ok(None);
    }
    let path = Path::new("target").join(format!("{name}-curve.svg"));
    std::fs::create_dir_all("target").context("target")?;
    history.write_curve(&path, name)?;
    Ok(Some(path))
}
