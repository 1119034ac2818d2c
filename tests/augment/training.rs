//! What a training sees of it.

use galen::augment::{Augment, AugmentCtx, Augmentation};
use galen::data::Dataset;
use galen::prelude::*;
use galen::train::Checkpoints;
use galen::{Error, Result, Var};
use ndarray::{Array1, Array2};

use super::{cpu, devices, everything, noise};

fn data(n: usize) -> Dataset {
    let images = noise([n, 1, 12, 12]);
    let targets = Array2::from_shape_fn((n, 1), |(i, _)| images[[i, 0, 3, 4]] - images[[i, 0, 8, 2]]);
    Dataset::new(images, targets).expect("good data")
}

fn model(setup: &Setup, rate: f64) -> Model {
    let network = Sequential::new([1, 12, 12]).with(Flatten).with(Dense::new(1));
    network.compile_on(setup, Sgd::new(rate), MeanSquaredError::new(), &[]).expect("a model")
}

/// So small that no weight moves: the losses of the steps then show what the samples have become.
const STILL: f64 = 1e-30;

fn options(batch: usize) -> Fit {
    Fit::new().batch_size(batch).shuffle(false).verbose(false)
}

fn losses(setup: &Setup, options: &Fit, data: &Dataset) -> Vec<Vec<f32>> {
    let history = model(setup, STILL).fit(data, options).expect("a training");
    history.epochs.into_iter().map(|epoch| epoch.step_losses).collect()
}

#[test]
fn neither_the_order_nor_the_batch_nor_the_memory_changes_what_becomes_of_a_sample() {
    let data = data(21);
    for device in devices() {
        let setup = Setup::on(&device);
        let alone = losses(&setup, &options(1).epochs(2).augment(everything()), &data);
        assert_ne!(alone[0], alone[1], "{device}: every epoch anew");
        assert_ne!(alone[0], losses(&setup, &options(1), &data)[0], "{device}: without");
        assert_ne!(alone, losses(&setup.clone().seed(1), &options(1).epochs(2).augment(everything()), &data));

        // Batches of 4 and a last one of 1.
        for (batches, alone) in losses(&setup, &options(4).epochs(2).augment(everything()), &data).iter().zip(&alone) {
            for (batch, alone) in batches.iter().zip(alone.chunks(4)) {
                let mean = alone.iter().sum::<f32>() / alone.len() as f32;
                assert!((batch - mean).abs() <= 1e-5 * mean.abs().max(1e-2), "{device}: {batch}, alone {mean}");
            }
        }

        let shuffled = losses(&setup, &options(1).epochs(2).shuffle(true).augment(everything()), &data);
        for (shuffled, alone) in shuffled.iter().zip(&alone) {
            assert_ne!(shuffled, alone);
            let sorted = |x: &[f32]| {
                let mut x: Vec<u32> = x.iter().map(|v| v.to_bits()).collect();
                x.sort_unstable();
                x
            };
            assert_eq!(sorted(shuffled), sorted(alone), "{device}: in another order");
        }

        let fit = options(2).epochs(2).shuffle(true).augment(everything());
        let mut resident = model(&setup, STILL);
        resident.prepare(&data, &fit).expect("a plan");
        assert!(resident.describe_memory().contains("data resident"));
        let setup = setup.memory_budget(Some(resident.memory_bytes() - 2000));
        let mut streamed = model(&setup, STILL);
        streamed.prepare(&data, &fit).expect("a plan");
        assert!(streamed.describe_memory().contains("data streamed"), "{}", streamed.describe_memory());
        assert_eq!(losses(&setup, &fit, &data), losses(&Setup::on(&device), &fit, &data), "{device}: streamed");
    }
}

#[test]
fn training_is_repeatable_to_the_bit() {
    let data = data(40);
    let bits = |device: &Device| {
        let mut model = model(&Setup::on(device), 0.05);
        model
            .fit(&data, &Fit::new().epochs(3).batch_size(16).verbose(false).augment(everything()))
            .expect("a training");
        let kernel = model.parameter("dense/kernel").expect("a parameter").into_f32().expect("floats");
        kernel.into_iter().map(f32::to_bits).collect::<Vec<_>>()
    };
    let one = bits(&Device::cpu_with_threads(1).expect("a thread"));
    assert_eq!(one, bits(&cpu()), "one thread and two");
    for device in devices() {
        assert_eq!(bits(&device), bits(&device), "{device}: twice");
    }
}

/// A training that goes on from its checkpoint changes its samples as one that never stopped.
#[test]
fn a_training_goes_on_from_a_checkpoint_to_the_bit() {
    let data = data(24);
    let folder = std::env::temp_dir().join(format!("galen-augment-{}", std::process::id()));
    let options = |epochs: usize| Fit::new().epochs(epochs).batch_size(7).verbose(false).augment(everything());
    let bits = |model: &mut Model| {
        let kernel = model.parameter("dense/kernel").expect("a parameter").into_f32().expect("floats");
        kernel.into_iter().map(f32::to_bits).collect::<Vec<_>>()
    };
    for device in devices() {
        let mut straight = model(&Setup::on(&device), 0.05);
        straight.fit(&data, &options(4)).expect("a training");
        let mut stopped = model(&Setup::on(&device), 0.05);
        stopped.fit(&data, &options(2).checkpoints(Checkpoints::new(&folder))).expect("a training");
        let mut resumed = model(&Setup::on(&device), 0.05);
        resumed.fit(&data, &options(4).checkpoints(Checkpoints::new(&folder).resume())).expect("a training");
        assert_eq!(bits(&mut resumed), bits(&mut straight), "{device}");
        std::fs::remove_dir_all(&folder).expect("the folder");
    }
}

/// Two trainings of an epoch each go on like one of two epochs.
#[test]
fn epochs_are_counted_on() {
    let data = data(9);
    let setup = Setup::on(&cpu());
    let both = losses(&setup, &options(3).epochs(2).augment(everything()), &data);
    let mut model = model(&setup, STILL);
    for epoch in both {
        let history = model.fit(&data, &options(3).augment(everything())).expect("a training");
        assert_eq!(history.epochs[0].step_losses, epoch);
    }
}

#[test]
fn an_evaluation_never_changes_its_data() {
    let data = data(24);
    for device in devices() {
        let mut plain = model(&Setup::on(&device), STILL);
        let (expected, predicted) =
            (plain.evaluate(&data).expect("numbers"), plain.predict_dataset(&data).expect("numbers"));
        let mut model = model(&Setup::on(&device), STILL);
        let fit = options(8).epochs(2).validation(&data).augment(everything());
        let history = model.fit(&data, &fit).expect("a training");
        for epoch in &history.epochs {
            let validated = epoch.val_loss.expect("a validation");
            assert!(
                (validated - expected.loss).abs() <= 1e-6 * expected.loss,
                "{device}: {validated}, {}",
                expected.loss
            );
            assert!((epoch.loss - expected.loss).abs() > 1e-3 * expected.loss, "{device}: the training is changed");
        }
        assert_eq!(model.evaluate(&data).expect("numbers"), expected, "{device}");
        assert_eq!(model.predict_dataset(&data).expect("numbers"), predicted, "{device}");
    }
}

/// Steps that were made for one augmentation are not those of another.
#[test]
fn another_augmentation_makes_new_steps() {
    let data = data(10);
    let setup = Setup::on(&cpu());
    let mut model = model(&setup, STILL);
    let mut fit = |options: Fit| model.fit(&data, &options).expect("a training").epochs[0].step_losses.clone();
    let plain = fit(options(1));
    let noisy = fit(options(1).augment(Augment::new().noise(0.1)));
    let noisier = fit(options(1).augment(Augment::new().noise(0.5)));
    assert!(plain != noisy && noisy != noisier);
    assert_eq!(plain, fit(options(1)));
    let both = fit(options(1).augment(Augment::new().noise(0.0)).augment(Augment::new().brightness(0.3)));
    assert_ne!(plain, both);
}

#[test]
fn a_training_refuses_what_cannot_be_done() {
    let mut model = model(&Setup::on(&cpu()), 0.1);
    let error = model.fit(&data(8), &options(4).augment(Augment::new().zoom(0.0, 1.0))).expect_err("a zoom of 0");
    assert!(matches!(&error, Error::Parameter { what, .. } if what == "zoom"), "{error}");
    let error =
        model.fit(&data(8), &options(4).augment(Augment::new().flip_vertical().with_masks())).expect_err("no mask");
    assert!(error.to_string().contains("a mask"), "{error}");

    #[derive(Debug)]
    struct Half;
    impl Augmentation for Half {
        fn build(&self, _ctx: &AugmentCtx, inputs: &[Var], targets: &[Var]) -> Result<(Vec<Var>, Vec<Var>)> {
            Ok((vec![inputs[0].slice(&[(0, 4), (0, 1), (0, 6)])?], targets.to_vec()))
        }
    }
    let error = model.fit(&data(8), &options(4).augment(Half)).expect_err("another shape");
    assert!(error.to_string().contains("augmented inputs"), "{error}");
    model.fit(&data(8), &options(4)).expect("it still trains");
}

/// Masks of classes follow their images through a training of a segmentation network.
#[test]
fn a_segmentation_trains_with_its_masks() {
    let n = 48;
    let masks = ndarray::Array3::from_shape_fn((n, 12, 12), |(i, r, c)| {
        let (y, x) = (r as f32 - 5.5, c as f32 - 3.0 - (i % 6) as f32);
        u32::from(y * y + x * x < 9.0)
    });
    let images = masks.mapv(|m| 0.2 + 0.6 * m as f32).insert_axis(ndarray::Axis(1));
    let data = Dataset::new(images, masks).expect("good data");
    for device in devices() {
        let network = Functional::new([1, 12, 12], |ctx, x| {
            let x = ctx.layer(&Conv2d::new(4, [3, 3]).padding(Padding::Same).activation(Relu), x)?;
            ctx.layer(&Conv2d::new(2, [1, 1]), &x)?.transpose(&[0, 2, 3, 1])?.softmax(-1)
        });
        let setup = Setup::on(&device);
        let Ok(mut model) = network.compile_on(&setup, Adam::new(0.02), CategoricalCrossEntropy::new(), &[]) else {
            panic!("no model")
        };
        let augment =
            Augment::new().flip_horizontal().rotate(45.0).shift(0.1).fill(galen::augment::Fill::Edge).with_masks();
        let fit = Fit::new().epochs(12).batch_size(16).verbose(false).augment(augment);
        let history = model.fit(&data, &fit).expect("a training");
        let (start, end) = (history.epochs[0].loss, history.epochs[11].loss);
        assert!(end < 0.5 * start, "{device}: {start} to {end}");
    }
}

#[test]
fn tokens_are_augmented_too() {
    let mut random = galen::contract::Threefry::new(3, 3);
    let tokens = Array2::from_shape_simple_fn((30, 12), || random.below(4));
    let labels = Array1::from_shape_fn(30, |i| tokens[[i, 0]] % 2);
    let data = Dataset::new(tokens, labels).expect("good data");
    let network = Functional::new(Input::tokens([12]).below(4), |ctx, x| {
        let x = ctx.layer(&galen::nn::Embedding::new(4, 3), x)?;
        ctx.layer(&Dense::new(2).activation(Softmax), &ctx.layer(&Flatten, &x)?)
    });
    let mut model =
        network.compile_on(&Setup::on(&cpu()), Sgd::new(STILL), CategoricalCrossEntropy::new(), &[]).expect("a model");
    let dna = galen::augment::SequenceAugment::dna();
    let mut fit = |options: Fit| model.fit(&data, &options).expect("a training").epochs[0].step_losses.clone();
    let plain = fit(options(10));
    assert_eq!(plain, fit(options(10).augment(dna.clone())));
    assert_ne!(plain, fit(options(10).augment(dna.mutation(0.5).reverse_complement(0.5))));
}
