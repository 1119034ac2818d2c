//! Weights of classes and samples that mean something.

use galen::data::balance::sample_weights;
use galen::nn::{CategoricalFocal, DiceCrossEntropy, Losses};
use galen::prelude::*;
use ndarray::{Array1, Array2, Array3, Array4};

use super::{cpu, number, says};

const SAMPLES: usize = 12;

fn x() -> Array2<f32> {
    Array2::from_shape_fn((SAMPLES, 3), |(i, j)| number(i * 3 + j))
}

fn data() -> Dataset {
    Dataset::new(x(), Array1::from_shape_fn(SAMPLES, |i| (i % 2) as u32)).expect("data")
}

fn fit(weights: &[f32]) -> Fit {
    Fit::new().verbose(false).class_weights(weights)
}

fn model(outputs: usize, loss: impl Into<Losses>) -> Model {
    let network = Sequential::new([3]).with(Dense::new(outputs));
    network.compile_on(&cpu(), Adam::default(), loss, &[]).expect("a model")
}

#[test]
fn a_fit_wants_one_positive_weight_for_each_class() {
    let mut two = model(2, CategoricalCrossEntropy::new());
    for weights in [&[1.0, 2.0, 3.0][..], &[1.0]] {
        let found = format!("got {}", weights.len());
        says(two.fit(&data(), &fit(weights)), &["class weights", "2, one for each class of the network", &found]);
    }
    let bad = [0.0, -1.0, f32::NAN, f32::INFINITY];
    for weight in bad {
        let found = format!("{weight} for class 1");
        says(two.fit(&data(), &fit(&[1.0, weight])), &["class weights", "positive", "ignore_index", &found]);
        says(two.fit(&data(), &fit(&[weight, weight])), &["class weights", "positive"]);
        says(two.prepare(&data(), &fit(&[1.0, weight])), &["class weights", "positive"]);
        says(two.profile(&data(), &fit(&[1.0, weight]), 1), &["class weights", "positive"]);
        says(sample_weights(&[0, 1], &[1.0, weight]), &["class weights", "positive", &found]);
    }
    two.fit(&data(), &fit(&[1.0, 2.0])).expect("a training");
    // The network has three classes, of which the data shows two.
    let mut three = model(3, CategoricalCrossEntropy::new());
    says(three.fit(&data(), &fit(&[1.0, 2.0])), &["class weights", "3, one for each class"]);
    three.fit(&data(), &fit(&[1.0, 2.0, 3.0])).expect("a training");
    // One output stands for two classes.
    let column = Array2::from_shape_fn((SAMPLES, 1), |(i, _)| (i % 2) as f32);
    let column = Dataset::new(x(), column).expect("data");
    let mut one = model(1, BinaryCrossEntropy::new());
    says(one.fit(&column, &fit(&[1.0, 2.0, 3.0])), &["class weights", "2, one for each class"]);
    one.fit(&column, &fit(&[1.0, 2.0])).expect("a training");
}

#[test]
fn losses_want_the_same() {
    let images = Dataset::new(
        Array4::from_shape_fn((4, 1, 4, 4), |(i, _, r, c)| number(i * 16 + r * 4 + c)),
        Array3::from_shape_fn((4, 4, 4), |(i, r, c)| ((i + r + c) % 2) as u32),
    )
    .expect("data");
    let pixels = |loss: DiceCrossEntropy| {
        let network = Sequential::new([1, 4, 4]).with(Conv2d::new(2, [1, 1]));
        network.compile_on(&cpu(), Adam::default(), loss, &[]).expect("a model").fit(&images, &fit(&[]))
    };
    let rows = |loss: Losses| model(2, loss).fit(&data(), &fit(&[]));
    let all = |weights: &[f32], parts: &[&str]| {
        says(rows(CategoricalCrossEntropy::new().class_weights(weights).into()), parts);
        says(rows(CategoricalFocal::new().class_weights(weights).into()), parts);
        says(pixels(DiceCrossEntropy::new().class_weights(weights)), parts);
    };
    all(&[1.0, 2.0, 3.0], &["class weights", "2 of them", "3"]);
    for weight in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        all(&[1.0, weight], &["class weights", "positive", "ignore_index", &format!("{weight} for class 1")]);
        all(&[weight, weight], &["class weights", "positive"]);
    }
    rows(CategoricalCrossEntropy::new().class_weights([1.0, 2.0]).into()).expect("a training");
    pixels(DiceCrossEntropy::new().class_weights([1.0, 2.0])).expect("a training");
}

#[test]
fn weights_of_samples_are_numbers_of_which_one_counts() {
    for bad in [-1.0, f32::NAN, f32::INFINITY] {
        let mut weights = vec![1.0; SAMPLES];
        weights[3] = bad;
        says(data().with_weights(weights), &["sample weights", "not below 0", &format!("{bad} in sample 3")]);
    }
    says(data().with_weights(vec![0.0; SAMPLES]), &["sample weights", "at least one above 0"]);
    says(data().with_weights(vec![1.0; 3]), &["sample weights", "12", "3"]);
    // Half of the samples count; a part in which none does is refused.
    let half = data().with_weights((0..SAMPLES).map(|i| f32::from(u8::from(i < 6))).collect()).expect("data");
    let (first, second) = half.split_at(6).expect("two halves");
    let mut model = model(2, CategoricalCrossEntropy::new());
    model.fit(&first, &fit(&[])).expect("a training");
    says(model.fit(&second, &fit(&[])), &["sample weights", "at least one above 0"]);
    says(model.evaluate(&second), &["sample weights", "at least one above 0"]);
    says(model.fit(&first, &fit(&[]).validation(&second)), &["sample weights", "at least one above 0"]);
}
