//! Losses with constants of their own in whole trainings: weights of classes, labels that are ignored, several quantiles.

use galen::data::Dataset;
use galen::nn::*;
use galen::prelude::*;
use ndarray::{Array1, Array2, Array3};

use super::common;

fn devices() -> impl Iterator<Item = Device> {
    std::iter::once(Device::cpu().expect("threads")).chain(common::gpu().cloned())
}

fn fit(epochs: usize) -> Fit {
    Fit::new().epochs(epochs).batch_size(20).verbose(false)
}

/// Samples of `[0, 1)`, 30 of them.
fn points() -> Array2<f32> {
    Array2::from_shape_fn((30, 1), |(i, _)| i as f32 / 30.0)
}

#[test]
fn a_class_that_counts_more_is_found_more_often() {
    // One third of the samples of each half has the other half's label.
    let labels = Array1::from_shape_fn(30, |i| u32::from((i >= 15) != (i % 3 == 0)));
    let data = Dataset::new(points(), labels).expect("data");
    for device in devices() {
        let share = |weights: [f32; 2]| {
            let network = Sequential::new([1]).with(Dense::new(2));
            let loss = CategoricalCrossEntropy::new().from_logits().class_weights(weights);
            let setup = Setup::on(&device).seed(4);
            let mut model = network.compile_on(&setup, Adam::new(0.1), loss, &[]).expect("a model");
            model.fit(&data, &fit(40)).expect("a training");
            assert!(model.evaluate(&data).expect("an evaluation").loss.is_finite());
            let found = model.predict(points()).expect("predictions");
            found.outer_iter().filter(|y| y[1] > y[0]).count()
        };
        let (few, many) = (share([8.0, 1.0]), share([1.0, 8.0]));
        assert!(few < 8 && many > 22, "{device}: {few} and {many} of 30");
    }
}

#[test]
fn pixels_without_a_label_are_left_out() {
    // Rows of four pixels; what is above one half is class 1; every third has no label.
    let images = Array3::from_shape_fn((30, 1, 4), |(i, _, p)| ((i * 7 + p * 11) % 30) as f32 / 30.0);
    let labels = Array2::from_shape_fn((30, 4), |(i, p)| match (i * 4 + p) % 3 {
        0 => 255,
        _ => u32::from(images[[i, 0, p]] > 0.5),
    });
    let data = Dataset::new(images, labels).expect("data");
    for device in devices() {
        let network = || {
            Functional::new([1, 4], |ctx, x| {
                let shape = x.shape();
                let pixels = x.reshape([shape[0] * 4, 1])?;
                let y = ctx.layer(&Dense::new(8).activation(Activation::Gelu), &pixels)?;
                ctx.layer(&Dense::new(2), &y)?.reshape([shape[0], 4, 2])?.transpose(&[0, 2, 1])
            })
        };
        let last = |loss: Losses| {
            let setup = Setup::on(&device).seed(1);
            let mut model = network().compile_on(&setup, Adam::new(0.05), loss, &[]).expect("a model");
            let history = model.fit(&data, &fit(60)).expect("a training");
            *history.losses().last().expect("epochs")
        };
        let cross_entropy = last(CategoricalCrossEntropy::new().from_logits().axis(1).ignore_index(255).into());
        let both = last(DiceCrossEntropy::new().from_logits().ignore_index(255).into());
        assert!(cross_entropy < 0.2 && both < 0.6, "{device}: {cross_entropy} {both}");
    }
}

#[test]
fn quantiles_are_in_order() {
    let targets = Array1::from_shape_fn(30, |i| ((i * 17) % 30) as f32 / 30.0);
    let data = Dataset::new(Array2::<f32>::zeros((30, 1)), targets).expect("data");
    for device in devices() {
        let network = Sequential::new([1]).with(Dense::new(3));
        let loss = Quantile::many([0.1, 0.5, 0.9]);
        let mut model = network.compile_on(&Setup::on(&device), Adam::new(0.02), loss, &[]).expect("a model");
        model.fit(&data, &fit(200)).expect("a training");
        let found = model.predict(Array2::<f32>::zeros((1, 1))).expect("a prediction");
        for (y, q) in found.iter().zip([0.1, 0.5, 0.9]) {
            assert!((y - q).abs() < 0.1, "{device}: {found}");
        }
    }
}
