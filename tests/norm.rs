//! Layers that normalise: their formulas, and what becomes of the running statistics in training.

mod common;

use galen::data::Dataset;
use galen::nn::{Activate, BatchNorm, BuildCtx, GroupNorm, InstanceNorm, Layer, LayerNorm};
use galen::prelude::*;
use galen::{DType, Error, Graph, Session, Tensor};
use ndarray::{Array1, Array2, Array4, ArrayD, Axis};

/// 40 samples of three features with means of about 5, -3 and 0, and their sum as target.
fn data() -> Dataset {
    let mut random = galen::contract::Threefry::new(5, 6);
    let x = Array2::from_shape_fn((40, 3), |(_, j)| [5.0, -3.0, 0.0][j] + (j as f32 + 0.5) * random.normal());
    let y = x.sum_axis(Axis(1)).insert_axis(Axis(1));
    Dataset::new(x, y).expect("good data")
}

/// Mean and biased variance of each feature.
fn moments(data: &Dataset) -> [Vec<f64>; 2] {
    let x = data.features().to_tensor().and_then(galen::Tensor::into_f32).expect("floats").mapv(f64::from);
    [x.mean_axis(Axis(0)).expect("samples"), x.var_axis(Axis(0), 0.0)].map(|x| x.into_iter().collect())
}

/// A linear model of normalised features.
fn model(device: &Device, norm: BatchNorm, optimizer: impl Into<Tuned>) -> Model {
    let network = Sequential::new([3]).with(norm).with(Dense::new(1));
    network.compile_on(&Setup::on(device).seed(2), optimizer, MeanSquaredError::new(), &[]).expect("a model")
}

/// Steps over all samples at once.
fn fit(steps: usize) -> Fit {
    Fit::new().epochs(steps).batch_size(40).verbose(false)
}

fn numbers(model: &mut Model, name: &str) -> Vec<f64> {
    model.parameter(name).expect("it is there").into_f32().expect("floats").iter().map(|v| f64::from(*v)).collect()
}

fn close(actual: &[f64], expected: &[f64], within: f64, what: &str) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    for (a, e) in actual.iter().zip(expected) {
        assert!((a - e).abs() <= within * e.abs().max(1.0), "{what}: {actual:?}, expected {expected:?}");
    }
}

#[test]
fn running_statistics_follow_the_batches_and_serve_inference() {
    let (data, [mean, variance]) = (data(), moments(&data()));
    for device in common::devices() {
        let mut model = model(&device, BatchNorm::new().momentum(0.9), Sgd::new(0.05));
        model.fit(&data, &fit(3)).expect("a training");
        let kept = 0.9f64.powi(3);
        let moved = |begin: f64, to: &[f64]| to.iter().map(|v| kept * begin + (1.0 - kept) * v).collect::<Vec<_>>();
        let (moving_mean, moving_variance) = (moved(0.0, &mean), moved(1.0, &variance));
        close(&numbers(&mut model, "batch_norm/moving_mean"), &moving_mean, 1e-5, "the mean");
        close(&numbers(&mut model, "batch_norm/moving_variance"), &moving_variance, 1e-5, "the variance");
        // What inference makes of a sample.
        let (gamma, beta) = (numbers(&mut model, "batch_norm/gamma"), numbers(&mut model, "batch_norm/beta"));
        let (kernel, bias) = (numbers(&mut model, "dense/kernel"), numbers(&mut model, "dense/bias"));
        let sample = [4.0f32, -1.0, 2.5];
        let normalised = |i: usize| (f64::from(sample[i]) - moving_mean[i]) / (moving_variance[i] + 1e-3).sqrt();
        let expected = bias[0] + (0..3).map(|i| kernel[i] * (normalised(i) * gamma[i] + beta[i])).sum::<f64>();
        let predicted = model.predict(Array2::from_shape_vec((1, 3), sample.to_vec()).expect("a row")).expect("one");
        close(&[f64::from(predicted[[0, 0]])], &[expected], 1e-5, "a prediction");
    }
}

#[test]
fn frozen_statistics_stay_and_gamma_learns_on() {
    for device in common::devices() {
        let mut model = model(&device, BatchNorm::new().frozen(), Sgd::new(0.05));
        let before = model.evaluate(&data()).expect("a loss").loss;
        let history = model.fit(&data(), &fit(2)).expect("a training");
        assert!((history.epochs[0].loss - before).abs() < 1e-5 * before, "{device}: training saw other statistics");
        assert_eq!(numbers(&mut model, "batch_norm/moving_mean"), [0.0; 3]);
        assert_eq!(numbers(&mut model, "batch_norm/moving_variance"), [1.0; 3]);
        assert_ne!(numbers(&mut model, "batch_norm/gamma"), [1.0; 3]);
    }
}

#[test]
fn a_layer_whose_parameters_are_frozen_keeps_its_statistics() {
    for device in common::devices() {
        let mut model = model(&device, BatchNorm::new(), Tuned::new(Sgd::new(0.05)).freeze("batch_norm"));
        model.fit(&data(), &fit(2)).expect("a training");
        assert_eq!(numbers(&mut model, "batch_norm/moving_mean"), [0.0; 3]);
        assert_eq!(numbers(&mut model, "batch_norm/gamma"), [1.0; 3]);
    }
}

#[test]
fn a_step_that_goes_bad_leaves_the_statistics_alone() {
    let x = data().features().to_tensor().expect("in memory");
    let bad = Dataset::new(x, Array2::<f32>::from_elem((40, 1), 1e30)).expect("finite data");
    for device in common::devices() {
        let mut model = model(&device, BatchNorm::new(), Sgd::new(0.05));
        match model.fit(&bad, &fit(1)) {
            Err(Error::NotFinite { .. }) => {}
            other => panic!("{device}: {other:?}"),
        }
        assert_eq!(numbers(&mut model, "batch_norm/moving_mean"), [0.0; 3]);
        assert_eq!(numbers(&mut model, "batch_norm/moving_variance"), [1.0; 3]);
    }
}

/// Normalisations of every kind between convolutions and dense layers: the GPU follows the CPU.
#[test]
fn the_devices_train_alike() {
    let mut random = galen::contract::Threefry::new(1, 9);
    let images = Array4::from_shape_fn((32, 2, 6, 6), |(i, ..)| random.normal() + (i % 2) as f32);
    let data = Dataset::new(images, Array1::from_shape_fn(32, |i| i as u32 % 2)).expect("good data");
    let train = |device: &Device| {
        let network = Sequential::new([2, 6, 6])
            .with(InstanceNorm::new().without_scale())
            .with(Conv2d::new(4, [3, 3]).without_bias())
            .with(BatchNorm::new().momentum(0.5))
            .with(Activate(Relu))
            .with(GroupNorm::new(2))
            .with(LayerNorm::new().over_channels())
            .with(Flatten)
            .with(Dense::new(6))
            .with(LayerNorm::new().without_center())
            .with(BatchNorm::new().without_scale().without_center())
            .with(Dense::new(2).activation(Softmax));
        let loss = CategoricalCrossEntropy::new();
        let mut model = network.compile_on(&Setup::on(device), Sgd::new(0.1), loss, &[]).expect("a model");
        let options = Fit::new().epochs(4).batch_size(10).verbose(false);
        let history = model.fit(&data, &options).expect("a training");
        let loss = history.epochs.last().expect("epochs").loss;
        assert!(loss < 0.8 * history.epochs[0].loss, "{device}: {:?}", history.losses());
        assert_eq!(model.statistic_specs().len(), 4, "{device}: two layers with two statistics");
        assert!(model.statistic_specs().iter().any(|s| s.name == "batch_norm_1/moving_variance"));
        (loss, model.evaluate(&data).expect("a loss").loss)
    };
    let all: Vec<(f64, f64)> = common::devices().iter().map(train).collect();
    for found in &all[1..] {
        close(&[found.0, found.1], &[all[0].0, all[0].1], 1e-3, "the last loss, and that of an evaluation");
    }
}

/// What `layer` makes of `x`, without training.
fn apply(device: &Device, layer: &dyn Layer, x: &ArrayD<f32>) -> ArrayD<f32> {
    let graph = Graph::new();
    let input = graph.input("x", x.shape(), DType::F32).expect("an input");
    let y = BuildCtx::inference().layer(layer, &input).expect("a layer");
    assert_eq!(&*y.shape(), x.shape());
    let mut session = Session::new(device, 0, None);
    let run = session.compile(&graph, &[y]).expect("a plan");
    let found = session.run(&run, &[("x", &Tensor::F32(x.clone()))]).expect("a run");
    found[0].clone().into_f32().expect("floats")
}

/// `x` with every stretch of it along `axes` normalised.
fn normalised(x: &ArrayD<f32>, axes: &[usize], epsilon: f64) -> ArrayD<f32> {
    let mean = |x: &ArrayD<f64>| {
        axes.iter().fold(x.clone(), |x, a| x.mean_axis(Axis(*a)).expect("elements").insert_axis(Axis(*a)))
    };
    let x = x.mapv(f64::from);
    let d = &x - &mean(&x);
    let variance = mean(&(&d * &d));
    (d / (variance + epsilon).mapv(f64::sqrt)).mapv(|v| v as f32)
}

#[test]
fn each_layer_normalises_what_its_name_says() {
    let mut random = galen::contract::Threefry::new(7, 1);
    let x = ArrayD::from_shape_fn(vec![2, 6, 3, 5], |i| random.normal() + 3.0 * i[1] as f32 + i[0] as f32);
    let same = |layer: &dyn Layer, expected: &ArrayD<f32>| {
        for device in common::devices() {
            let found = apply(&device, layer, &x);
            let far = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0f32, f32::max);
            assert!(far < 3e-6, "{device}: {layer:?} is off by {far}");
        }
    };
    same(&LayerNorm::new(), &normalised(&x, &[3], 1e-3));
    same(&LayerNorm::new().axes(2).epsilon(1e-5), &normalised(&x, &[2, 3], 1e-5));
    same(&LayerNorm::new().axes(3), &normalised(&x, &[1, 2, 3], 1e-3));
    same(&LayerNorm::new().over_channels(), &normalised(&x, &[1], 1e-3));
    same(&InstanceNorm::new(), &normalised(&x, &[2, 3], 1e-3));
    let grouped = x.clone().into_shape_with_order(vec![2, 3, 2, 3, 5]).expect("groups");
    let grouped = normalised(&grouped, &[2, 3, 4], 1e-3).into_shape_with_order(x.shape()).expect("channels");
    same(&GroupNorm::new(3), &grouped);
    // The first statistics are a mean of 0 and a variance of 1.
    same(&BatchNorm::new(), &x.mapv(|v| v / 1.001f32.sqrt()));
}
