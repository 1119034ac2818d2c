//! Networks as people write them: several inputs and outputs, shared and frozen layers, weights of samples, running statistics,
//! penalties, learning rates that fall, averages of weights, drawings.

mod common;

use galen::data::Dataset;
use galen::nn::{BatchNorm, Embedding, Gru, Losses, Penalty, Recurrent};
use galen::optim::Plateau;
use galen::prelude::*;
use galen::{Error, Tensor, Var};
use ndarray::{Array1, Array2};

fn cpu() -> Setup {
    Setup::on(&Device::cpu_with_threads(2).expect("threads")).seed(4)
}

fn setups() -> Vec<Setup> {
    std::iter::once(cpu()).chain(common::gpu().map(|gpu| Setup::on(gpu).seed(4))).collect()
}

fn quiet(epochs: usize) -> Fit {
    Fit::new().epochs(epochs).batch_size(8).verbose(false)
}

fn floats(model: &mut Model, name: &str) -> Vec<f32> {
    let tensor = model.parameter(name).unwrap_or_else(|e| panic!("{name}: {e}"));
    tensor.into_f32().expect("floats").into_iter().collect()
}

/// Two numbers per sample, and whether their product is positive.
fn product(n: usize) -> (Array2<f32>, Array1<u32>) {
    let mut random = galen::contract::Threefry::new(2, 9);
    let x = Array2::from_shape_fn((n, 2), |_| random.normal());
    let y = x.rows().into_iter().map(|r| u32::from(r[0] * r[1] > 0.0)).collect();
    (x, y)
}

/// Each number goes through the same tower; two answers come out.
fn twins() -> Functional {
    let inputs = [Input::new([1]).named("a"), Input::new([1]).named("b")];
    Functional::many(inputs, |ctx, x| {
        let tower = Dense::new(8).activation(Tanh);
        let (a, b) = (ctx.shared("tower", &tower, &x[0])?, ctx.shared("tower", &tower, &x[1])?);
        let both = Var::concat(&[&a, &b], 1)?;
        let both = ctx.layer(&Dense::new(16).activation(Relu), &both)?;
        Ok(vec![ctx.named("sign", &Dense::new(2), &both)?, ctx.named("sum", &Dense::new(1), &both)?])
    })
}

#[test]
fn a_network_with_two_inputs_two_outputs_and_a_shared_layer_learns() -> galen::Result<()> {
    let (x, y) = product(256);
    let column = |c: usize| Tensor::from(x.column(c).to_owned().into_shape_with_order((256, 1)).expect("a column"));
    let sum = Tensor::from(x.sum_axis(ndarray::Axis(1)));
    let data = Dataset::new(column(0), y)?.with_input(column(1))?.with_target(sum)?;
    let summary = twins().summary()?;
    // The tower is counted once.
    assert_eq!(summary.parameters(), 16 + (16 * 16 + 16) + 34 + 17);
    let text = summary.to_string();
    assert!(text.contains("input a") && text.contains("tower") && text.contains("sign"), "{text}");
    let drawing = twins().drawing()?;
    assert!(drawing.dot().contains("\"a\" -> \"tower\"") && drawing.dot().contains("\"concat\" -> \"dense\""));
    assert_eq!(drawing.svg().matches("<rect x=").count(), 9, "{}", drawing.dot());
    for setup in setups() {
        let losses = Losses::new(CategoricalCrossEntropy::new().from_logits()).and(MeanSquaredError::new(), 0.5);
        let mut model = twins().compile_on(&setup, Adam::new(0.02), losses, &[Metric::Accuracy])?;
        model.fit(&data, &quiet(15))?;
        let reached = model.evaluate(&data)?;
        assert!(reached.accuracy() > 0.9, "{reached:?}");
        let outputs = model.predict_dataset_many(&data)?;
        assert_eq!((outputs[0].shape(), outputs[1].shape()), (&[256, 2][..], &[256, 1][..]));
        let one = model.predict(column(0)).expect_err("two inputs");
        assert!(one.to_string().contains("2 of them (a, b)"), "{one}");
    }
    Ok(())
}

#[test]
fn losses_must_be_as_many_as_outputs() {
    let error = twins().compile_on(&cpu(), Adam::default(), MeanSquaredError::new(), &[]).expect_err("one loss");
    assert!(error.to_string().contains("2, one for each output"), "{error}");
}

#[test]
fn a_sample_that_weighs_nothing_teaches_nothing() -> galen::Result<()> {
    let (x, y) = product(64);
    let fit = |labels: Array1<u32>, weights: Vec<f32>| {
        let data = Dataset::new(x.clone(), labels)?.with_weights(weights)?;
        let network = Sequential::new([2]).with(Dense::new(2).activation(Softmax));
        let mut model = network.compile_on(&cpu(), Sgd::new(0.1), CategoricalCrossEntropy::new(), &[])?;
        model.fit(&data, &quiet(2))?;
        Ok::<_, Error>(floats(&mut model, "dense/kernel"))
    };
    let half: Vec<f32> = (0..64).map(|i| (i % 2) as f32).collect();
    let wrong = y.iter().enumerate().map(|(i, y)| if i % 2 == 0 { 1 - y } else { *y }).collect();
    assert_eq!(fit(y.clone(), half.clone())?, fit(wrong, half)?);
    assert_ne!(fit(y.clone(), vec![1.0; 64])?, fit(y.clone(), vec![2.0; 64])?);
    assert!(Dataset::new(x.clone(), y)?.with_weights(vec![-1.0; 64]).is_err());
    Ok(())
}

fn normalised() -> Sequential {
    Sequential::new([2])
        .with(Dense::new(6))
        .with(BatchNorm::new().momentum(0.5))
        .with(Dense::new(2).activation(Softmax))
}

#[test]
fn running_statistics_move_in_training_and_stay_when_frozen() -> galen::Result<()> {
    let (x, y) = product(64);
    let data = Dataset::new(x, y)?;
    let loss = CategoricalCrossEntropy::new;
    for setup in setups() {
        let mut model = normalised().compile_on(&setup, Sgd::new(0.01), loss(), &[])?;
        assert_eq!(floats(&mut model, "batch_norm/moving_mean"), [0.0; 6]);
        model.fit(&data, &quiet(4))?;
        let moved = floats(&mut model, "batch_norm/moving_variance");
        assert!(moved.iter().all(|v| *v != 1.0 && *v > 0.0), "{moved:?}");
        // Saved and loaded with the parameters.
        let path = std::env::temp_dir().join(format!("galen-networks-{}.safetensors", std::process::id()));
        model.save(&path)?;
        let mut other = normalised().compile_on(&setup, Sgd::new(0.01), loss(), &[])?;
        other.load(&path)?;
        let _ = std::fs::remove_file(&path);
        assert_eq!(floats(&mut other, "batch_norm/moving_variance"), moved);
        assert_eq!(model.predict_dataset(&data)?, other.predict_dataset(&data)?);

        let tuned = Tuned::new(Sgd::new(0.01)).freeze("batch_norm");
        let mut frozen = normalised().compile_on(&setup, tuned, loss(), &[])?;
        frozen.fit(&data, &quiet(1))?;
        assert_eq!(floats(&mut frozen, "batch_norm/moving_mean"), [0.0; 6]);
        assert_eq!(floats(&mut frozen, "batch_norm/gamma"), [1.0; 6]);
    }
    Ok(())
}

#[test]
fn a_bad_step_leaves_statistics_and_parameters_alone() -> galen::Result<()> {
    let (mut x, y) = product(16);
    x[[9, 0]] = f32::MAX;
    x[[9, 1]] = f32::MAX;
    let data = Dataset::new(x, y)?;
    for setup in setups() {
        let mut model = normalised().compile_on(&setup, Sgd::new(0.01), CategoricalCrossEntropy::new(), &[])?;
        let fit = quiet(1).shuffle(false);
        let error = model.fit(&data, &fit).expect_err("infinite");
        assert!(matches!(error, Error::NotFinite { step: 2, .. }), "{error}");
        for slot in model.parameter_specs()?.into_iter().chain(model.statistic_specs()) {
            assert!(floats(&mut model, &slot.name).iter().all(|v| v.is_finite()), "{}", slot.name);
        }
    }
    Ok(())
}

#[test]
fn names_that_fit_nothing_are_refused_when_a_model_is_compiled() {
    let tuned = Tuned::new(Adam::default()).freeze("encoder");
    let error = normalised().compile_on(&cpu(), tuned, CategoricalCrossEntropy::new(), &[]).expect_err("no encoder");
    assert!(error.to_string().contains("\"encoder\"") && error.to_string().contains("dense/kernel"), "{error}");
}

#[test]
fn a_penalty_is_in_the_loss_and_shrinks_weights() -> galen::Result<()> {
    let (x, y) = product(64);
    let data = Dataset::new(x, y)?;
    for setup in setups() {
        let train = |penalty: Penalty| {
            let layer = Dense::new(2).kernel_regularizer(penalty).activation(Softmax);
            let network = Sequential::new([2]).with(layer);
            let mut model = network.compile_on(&setup, Sgd::new(0.1), CategoricalCrossEntropy::new(), &[])?;
            let before = model.evaluate(&data)?.loss;
            model.fit(&data, &quiet(5))?;
            let norm: f32 = floats(&mut model, "dense/kernel").iter().map(|w| w * w).sum();
            Ok::<_, Error>((before, norm))
        };
        let ((plain, free), (penalised, held)) = (train(Penalty::NONE)?, train(Penalty::l2(0.5))?);
        assert!(penalised > plain + 0.01 && held < 0.1 * free, "{plain} {penalised} {free} {held}");
    }
    Ok(())
}

#[test]
fn the_rate_falls_on_a_plateau_and_the_average_takes_over() -> galen::Result<()> {
    let (x, y) = product(64);
    let data = Dataset::new(x, y)?;
    let network = Sequential::new([2]).with(Dense::new(2).activation(Softmax));
    let tuned = Tuned::new(Sgd::new(0.5)).ema(0.9);
    let mut model = network.compile_on(&cpu(), tuned, CategoricalCrossEntropy::new(), &[])?;
    assert!(model.apply_average().is_err());
    let plateau = Plateau::new().factor(0.5).patience(1).min_delta(1.0);
    let history = model.fit(&data, &quiet(4).reduce_on_plateau(plateau))?;
    let rates: Vec<f32> = history.epochs.iter().map(|e| e.learning_rate).collect();
    assert_eq!(rates, [0.5, 0.5, 0.25, 0.125]);
    let last = floats(&mut model, "dense/kernel");
    model.apply_average()?;
    assert_ne!(floats(&mut model, "dense/kernel"), last);
    Ok(())
}

/// A sentence and how long it is.
fn sentences() -> Functional {
    let inputs = [Input::tokens([6]).below(5).named("words"), Input::lengths(6).named("length")];
    Functional::many(inputs, |ctx, x| {
        let words = ctx.layer(&Embedding::new(5, 4), &x[0])?;
        let state = ctx.block("gru", x[0].graph(), |ctx| Gru::new(7).build_with_lengths(ctx, &words, &x[1]))?;
        Ok(vec![ctx.layer(&Dense::new(2), &state)?])
    })
}

#[test]
fn what_lies_behind_a_sequences_end_changes_nothing() -> galen::Result<()> {
    for setup in setups() {
        let loss = CategoricalCrossEntropy::new().from_logits();
        let mut model = sentences().compile_on(&setup, Adam::default(), loss, &[])?;
        let words = |behind: u32| Tensor::u32([2, 6], vec![1, 2, 3, behind, behind, behind, 4, 3, 2, 1, 0, 4]);
        let length = Tensor::u32([2], vec![3, 6])?;
        let a = model.predict_many(&[words(0)?, length.clone()])?;
        assert_eq!(a, model.predict_many(&[words(4)?, length.clone()])?);
        assert_ne!(a, model.predict_many(&[words(4)?, Tensor::u32([2], vec![4, 6])?])?);
        let beyond = model.predict_many(&[words(0)?, Tensor::u32([2], vec![3, 7])?]).expect_err("too long");
        assert!(beyond.to_string().contains("below 7") && beyond.to_string().contains("7 in sample 1"), "{beyond}");
        let unknown = model.predict_many(&[words(5)?, length]).expect_err("no such word");
        assert!(unknown.to_string().contains("words") && unknown.to_string().contains("below 5"), "{unknown}");
    }
    Ok(())
}
