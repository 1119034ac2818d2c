//! Where do the nuclei end? Images and masks from two folders, a U-Net, augmentation of images with their masks, Dice and distances of
//! borders, and pictures of what it draws.
//!
//! ```sh
//! cargo run --release --features full --example nuclei_segmentation
//! cargo run --release --features full --example nuclei_segmentation -- --data dsb2018
//! ```
//!
//! `--data` is a folder with the folders `images` and `labels`; images and masks of one size that go by the same names, everything above
//! 0 in a mask being nucleus. The last fifth by name is for testing. Images are read by threads of their own while the device works on
//! those before. Without `--data` the program draws nuclei.

mod common;
mod study;

use anyhow::{Context, Result};
use common::Defaults;
use galen::augment::{Augment, Fill};
use galen::contract::Threefry;
use galen::data::formats::images::{ImageOptions, Masks, image_mask_folders};
use galen::data::{RowMut, Rows, Source};
use galen::nn::DiceCrossEntropy;
use galen::nn::models::UNet2d;
use galen::optim::CosineDecay;
use galen::plot::Example;
use galen::prelude::*;
use galen::report::Report;
use galen::{Tensor, TensorSpec};
use ndarray::{Array2, Array3, Array4, Axis, s};
use study::Study;

/// Test images in the picture of examples.
const SHOWN: usize = 6;

fn main() -> std::process::ExitCode {
    env_logger::init();
    common::report(run())
}

fn run() -> Result<()> {
    let study = Study::begin(
        "nuclei_segmentation",
        &Defaults {
            about: "Finds the borders of cell nuclei in microscopy.",
            data: "a folder with the folders images and labels (without it: images that the program draws)",
            epochs: 14,
            batch_size: 4,
        },
    )?;
    let data = match &study.options.data {
        Some(folder) => {
            let (images, labels) = (folder.join("images"), folder.join("labels"));
            let pairs = image_mask_folders(images, labels, &ImageOptions::new().grey(), &Masks::above(0));
            let pairs = pairs.with_context(|| format!("--data {}", folder.display()))?;
            Dataset::new(Source::rows(DarkGround(pairs.images().clone())), Source::rows(pairs.masks().clone()))?
        }
        None => drawn()?,
    };
    let (train, test) = data.split_at(data.len() - (data.len() / 5).max(1))?;
    let shape = train.sample_shape();
    study.say(format!("data    {} images {shape} to train on, {} to test", train.len(), test.len()));

    let network = Sequential::new(shape).with(UNet2d::new(1).depth(3).width(8));
    let steps = study.options.epochs * train.len().div_ceil(study.options.batch_size);
    let loss = DiceCrossEntropy::new().from_logits();
    let rate = CosineDecay::new(3e-3, steps);
    let mut model = network.compile_on(&study.setup(), Adam::new(rate), loss, &[Metric::Dice])?;
    let augment = Augment::new().flip_horizontal().flip_vertical().quarter_turns().zoom(0.9, 1.1).contrast(0.8, 1.25);
    let augment = augment.fill(Fill::Reflect).with_masks();
    let fit = study.options.keep(study.options.fit()?, "").augment(augment);
    let history = model.fit(&train, &fit)?;
    let waited: f64 = history.epochs.iter().map(|epoch| epoch.waited).sum();
    let all: f64 = history.epochs.iter().map(|epoch| epoch.seconds).sum();
    let share = 100.0 * waited / all.max(f64::MIN_POSITIVE);
    study.say(format!("the device waited for images {share:.1} % of the time"));

    let predicted = model.predict_dataset(&test)?.into_dimensionality::<ndarray::Ix4>()?;
    let images = test.features().to_tensor()?;
    let (Tensor::U8(images), Tensor::F32(truth)) = (images, test.targets().to_tensor()?) else {
        anyhow::bail!("expected images of bytes with masks of floats");
    };
    let mut report = Report::segmentation("test", &[1.0, 1.0]).history(&history);
    let mut examples = Vec::new();
    for (i, (p, t)) in predicted.axis_iter(Axis(0)).zip(truth.axis_iter(Axis(0))).enumerate() {
        let p: Array2<bool> = p.slice(s![0, .., ..]).mapv(|v| v > 0.0);
        let t: Array2<bool> = t.into_dimensionality::<ndarray::Ix3>()?.slice(s![0, .., ..]).mapv(|v| v > 0.5);
        report = report.image(t.view(), p.view())?;
        if i < SHOWN {
            let image = images.index_axis(Axis(0), i).into_dimensionality::<ndarray::Ix3>()?;
            let dice = galen::metrics::dice(t.view(), p.view())?;
            let example = Example::of_bytes(image)?.truth(t.view())?.predicted(p.view())?;
            examples.push(example.caption(format!("image {}: Dice {dice:.2}", i + 1)));
        }
    }
    study.end(&report.examples(examples).build()?, &mut model)
}

/// Images with bright nuclei on dark ground: stained tissue, which is dark on light, is turned around.
#[derive(Debug)]
struct DarkGround<R>(R);

impl<R: Rows> Rows for DarkGround<R> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn sample(&self) -> TensorSpec {
        self.0.sample()
    }

    fn read(&self, index: usize, row: RowMut<'_>) -> galen::Result<()> {
        let RowMut::U8(bytes) = row else { return Err(galen::Error::dtype("images", "u8", row.dtype().to_string())) };
        self.0.read(index, RowMut::U8(&mut *bytes))?;
        let mean = bytes.iter().map(|b| u64::from(*b)).sum::<u64>() / bytes.len().max(1) as u64;
        if mean > 127 {
            bytes.iter_mut().for_each(|b| *b = 255 - *b);
        }
        Ok(())
    }
}

/// Sixty drawn images of 64 × 64 pixels: ellipses, some of them touching, under noise.
fn drawn() -> Result<Dataset> {
    const IMAGES: usize = 60;
    const SIZE: usize = 64;
    let mut random = Threefry::new(64, 0);
    let mut images = Array4::<u8>::zeros((IMAGES, 1, SIZE, SIZE));
    let mut masks = Array4::<f32>::zeros((IMAGES, 1, SIZE, SIZE));
    for i in 0..IMAGES {
        let mut between = |low: f32, high: f32| low + (high - low) * random.uniform();
        let ground = between(15.0, 60.0);
        let mut light = Array3::from_elem((1, SIZE, SIZE), ground);
        for _ in 0..between(4.0, 10.0) as usize {
            let (row, column, turn) = (between(0.0, SIZE as f32), between(0.0, SIZE as f32), between(0.0, 3.2));
            let (long, short, bright) = (between(5.0, 10.0), between(3.5, 6.0), between(60.0, 160.0));
            for r in 0..SIZE {
                for c in 0..SIZE {
                    let (dr, dc) = (r as f32 - row, c as f32 - column);
                    let (along, across) = (dr * turn.cos() + dc * turn.sin(), dc * turn.cos() - dr * turn.sin());
                    let distance = (along / long).hypot(across / short);
                    let inside = ((1.15 - distance) / 0.3).clamp(0.0, 1.0);
                    light[[0, r, c]] = light[[0, r, c]].max(ground + bright * inside);
                    if distance <= 1.0 {
                        masks[[i, 0, r, c]] = 1.0;
                    }
                }
            }
        }
        for r in 0..SIZE {
            for c in 0..SIZE {
                images[[i, 0, r, c]] = (light[[0, r, c]] + between(-25.0, 25.0)).clamp(0.0, 255.0) as u8;
            }
        }
    }
    Ok(Dataset::new(images, masks)?)
}
