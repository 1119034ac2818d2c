//! Malignant or not, from an ultrasound image: a residual network, class weights, augmentation on the device, and the area under the ROC
//! curve with its interval.
//!
//! ```sh
//! cargo run --release --features full --example breast_ultrasound
//! cargo run --release --features full --example breast_ultrasound -- --data breastmnist.npz
//! ```
//!
//! `--data` is BreastMNIST of [MedMNIST](https://medmnist.com), whose label 0 is malignant. Without it the program draws its own: round
//! and smooth is benign, ragged is malignant, under speckle. That shows how the program works, and says nothing about medicine.

mod common;
mod study;

use std::path::Path;

use anyhow::{Context, Result};
use common::Defaults;
use galen::Tensor;
use galen::augment::{Augment, Fill};
use galen::contract::Threefry;
use galen::data::balance::{balanced_weights, class_counts};
use galen::data::formats::npz::Npz;
use galen::nn::models::ResNet18;
use galen::optim::CosineDecay;
use galen::prelude::*;
use galen::report::Report;
use galen::train::EarlyStopping;
use ndarray::Array4;
use study::Study;

const CLASSES: [&str; 2] = ["malignant", "benign or normal"];

fn main() -> std::process::ExitCode {
    env_logger::init();
    common::report(run())
}

fn run() -> Result<()> {
    let study = Study::begin(
        "breast_ultrasound",
        &Defaults {
            about: "Tells malignant tumours of the breast in ultrasound images.",
            data: "BreastMNIST's NPZ file (without it: images that the program draws)",
            epochs: 30,
            batch_size: 32,
        },
    )?;
    let [train, validation, test] = match &study.options.data {
        Some(path) => medmnist(path).with_context(|| format!("--data {}", path.display()))?,
        None => [(400, 1), (80, 2), (150, 3)].map(|(n, part)| drawn(n, part)),
    };
    study.say(format!(
        "data    {} images to train on, {} to validate, {} to test",
        train.len(),
        validation.len(),
        test.len()
    ));

    let (epochs, batch) = (study.options.epochs, study.options.batch_size);
    let rate = CosineDecay::new(1e-3, epochs * train.len().div_ceil(batch));
    let optimizer = Tuned::new(AdamW::new(rate)).weight_decay(0.05);
    let loss = CategoricalCrossEntropy::new().from_logits();
    let network = Sequential::new(train.sample_shape()).with(ResNet18::new(2).width(16));
    let mut model = network.compile_on(&study.setup(), optimizer, loss, &[Metric::Accuracy])?;
    model.attach("classes", &CLASSES)?;

    // A breast has no left and right; grey values depend on the machine and its settings.
    let augment = Augment::new()
        .flip_horizontal()
        .rotate(10.0)
        .shift(0.07)
        .zoom(0.9, 1.1)
        .contrast(0.85, 1.15)
        .brightness(0.08)
        .fill(Fill::Edge);
    let weights = balanced_weights(&class_counts(&train.classes().unwrap_or_default())?)?;
    let fit = study.options.keep(study.options.fit()?, "");
    let fit = fit.validation(&validation).augment(augment).class_weights(weights);
    let fit = fit.callback(EarlyStopping::new("val_loss").patience(10));
    let history = model.fit(&train, &fit)?;

    let scores = model.predict_dataset(&test)?.into_dimensionality::<ndarray::Ix2>()?;
    let scores = softmax(scores);
    let truth = test.classes().unwrap_or_default();
    let report = Report::classification("test", &truth, scores.view()).classes(CLASSES).positive(CLASSES[0]);
    let report = report.history(&history).build()?;
    study.end(&report, &mut model)
}

/// Training, validation and test set of a MedMNIST file.
fn medmnist(path: &Path) -> Result<[Dataset; 3]> {
    let file = Npz::open(path)?;
    let part = |name: &str| -> Result<Dataset> {
        let images = file.array(&format!("{name}_images"))?.into_tensor()?;
        let labels = file.array(&format!("{name}_labels"))?.to_u32()?;
        let (shape, n) = (images.shape().to_vec(), labels.len());
        anyhow::ensure!(shape.len() == 3, "{name}_images: expected grey images [n, h, w], got {shape:?}");
        let Tensor::U8(images) = images else { anyhow::bail!("{name}_images: expected bytes, got {}", images.spec()) };
        let images = images.into_shape_with_order((shape[0], 1, shape[1], shape[2]))?;
        Ok(Dataset::scaled(images, labels.into_shape_with_order(n)?, 2.0 / 255.0, -1.0)?)
    };
    Ok([part("train")?, part("val")?, part("test")?])
}

/// `n` drawn tumours.
fn drawn(n: usize, part: u32) -> Dataset {
    const SIZE: usize = 28;
    let mut random = Threefry::new(28, part);
    let mut images = Array4::<u8>::zeros((n, 1, SIZE, SIZE));
    let mut labels = Vec::with_capacity(n);
    for i in 0..n {
        let malignant = random.uniform() < 0.3;
        let mut between = |low: f32, high: f32| low + (high - low) * random.uniform();
        let (row, column, radius) = (between(10.0, 18.0), between(10.0, 18.0), between(4.0, 7.0));
        let (ragged, lobes, turn) = (
            if malignant { between(0.12, 0.3) } else { between(0.0, 0.06) },
            between(4.0, 8.0).floor(),
            between(0.0, 6.3),
        );
        for r in 0..SIZE {
            for c in 0..SIZE {
                let (dr, dc) = (r as f32 - row, c as f32 - column);
                let border = radius * (1.0 + ragged * (lobes * dr.atan2(dc) + turn).sin());
                let inside = (border - dr.hypot(dc)).clamp(-1.0, 1.0) / 2.0 + 0.5;
                let tissue = 150.0 - 100.0 * inside;
                images[[i, 0, r, c]] = (tissue * between(0.6, 1.4)) as u8;
            }
        }
        labels.push(u32::from(!malignant));
    }
    Dataset::scaled(images, ndarray::Array1::from(labels), 2.0 / 255.0, -1.0).expect("images with labels")
}

/// Probabilities of logits.
fn softmax(mut logits: ndarray::Array2<f32>) -> ndarray::Array2<f32> {
    for mut row in logits.rows_mut() {
        let most = row.fold(f32::NEG_INFINITY, |a, b| a.max(*b));
        row.mapv_inplace(|v| (v - most).exp());
        let sum = row.sum();
        row /= sum;
    }
    logits
}
