//! What the two MNIST programs share: data, and what is printed before and after the training.

mod set;

use std::time::Instant;

use anyhow::{Context, Result};
use galen::data::formats::idx;
use galen::prelude::*;
use ndarray::Array1;

use super::common::{self, Defaults, Options};

/// The options' defaults.
pub fn defaults(about: &'static str) -> Defaults {
    let data = "the four MNIST IDX files, gzipped or not (without it: digits that come with Galen)";
    Defaults { about, data, epochs: 10, batch_size: 32 }
}

/// Training and test set, and a line that says what they are: those of `--data`, or the digits that come with Galen.
/// `channels` says whether an image is `[1, 28, 28]` or `[784]`.
pub fn load(options: &Options, channels: bool) -> Result<(Dataset, Dataset, String)> {
    let (mnist, note) = match &options.data {
        Some(dir) => {
            let mnist = idx::mnist(dir).with_context(|| format!("--data {}", dir.display()))?;
            let note = format!("{} training and {} test images", mnist.train_labels.len(), mnist.test_labels.len());
            (mnist, note)
        }
        None => set::load(true)?,
    };
    let dataset = |images: ndarray::ArrayD<u8>, labels: Vec<u32>| -> Result<Dataset> {
        let n = images.shape()[0];
        let shape = if channels { vec![n, 1, 28, 28] } else { vec![n, 784] };
        Ok(Dataset::new(images.into_shape_with_order(shape)?, Array1::from(labels))?)
    };
    let train = dataset(mnist.train_images, mnist.train_labels)?;
    Ok((train, dataset(mnist.test_images, mnist.test_labels)?, note))
}

/// Compiles, describes, trains and evaluates; prints what a person wants to know on the way.
pub fn run(name: &str, network: Sequential, channels: bool, options: &Options) -> Result<()> {
    let start = Instant::now();
    options.check()?;
    let (train, test, note) = load(options, channels)?;
    let device = Device::named(&options.device)?;
    let say = |line: String| {
        if !options.quiet {
            common::say(&line);
        }
    };
    let setup = options.setup(&device);
    let mut model = network.compile_on(&setup, Adam::default(), CategoricalCrossEntropy::new(), &[Metric::Accuracy])?;
    say(format!("{}\n", model.summary()?));
    let fit = options.keep(options.fit()?, "").validation(&test);
    model.prepare(&train, &fit)?;
    say(format!("device  {device}"));
    say(format!("plan    {}", model.describe_memory()));
    say(format!("data    {note}\n"));
    let before = start.elapsed();
    let history = model.fit(&train, &fit)?;
    let result = model.evaluate(&test)?;
    say(format!("\ntest loss {:.4}, test accuracy {:.4}", result.loss, result.accuracy()));
    say(format!("\n{}\n", model.confusion(&test)?));
    if !history.epochs.is_empty() {
        let curve = options.out(name)?.join("curve.svg");
        history.write_curve(&curve, name)?;
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
        common::say(&line.to_string());
    }
    Ok(())
}
