//! NaN and infinities never reach a network.

use galen::data::{RowMut, Rows, Source};
use galen::nn::{Activation, Gru, Lstm, SimpleRnn};
use galen::prelude::*;
use galen::{DType, Result, Tensor, TensorSpec};
use ndarray::{Array1, Array2, Array3};

use super::{Place, common, cpu, number, says};

const SAMPLES: usize = 50;
/// A sample of the second batch.
const BAD: usize = 40;

fn compiled(network: Sequential, setup: &Setup) -> Model {
    let network = network.with(Dense::new(2).activation(Softmax));
    network.compile_on(setup, Adam::default(), CategoricalCrossEntropy::new(), &[]).expect("a model")
}

fn sequences(bad: f32) -> Array3<f32> {
    let x = Array3::from_shape_fn((SAMPLES, 4, 3), |(i, t, j)| number(i * 12 + t * 3 + j));
    let mut x = x;
    x[[BAD, 2, 1]] = bad;
    x
}

fn rows(bad: f32) -> Array2<f32> {
    let mut x = Array2::from_shape_fn((SAMPLES, 3), |(i, j)| number(i * 3 + j));
    x[[BAD, 1]] = bad;
    x
}

#[test]
fn networks_that_would_hide_them_refuse_them() {
    let path = Place::new("values");
    for device in common::devices() {
        let setup = Setup::on(&device);
        let recurrent = [
            Sequential::new([4, 3]).with(Lstm::new(5)),
            Sequential::new([4, 3]).with(Gru::new(5)),
            Sequential::new([4, 3]).with(SimpleRnn::new(5)),
        ];
        let plain = [Tanh, Sigmoid, Relu, Activation::Softsign, Activation::HardSigmoid].into_iter();
        let plain = plain.map(|activation| Sequential::new([3]).with(Dense::new(5).activation(activation)));
        let all = recurrent.into_iter().map(|n| (n, true)).chain(plain.map(|n| (n, false)));
        for (network, sequence) in all {
            let mut model = compiled(network, &setup);
            let given = |bad: f32| -> Tensor { if sequence { sequences(bad).into() } else { rows(bad).into() } };
            let mut opened = path.reopened(&mut model, &setup);
            for model in [&mut model, &mut opened] {
                for (bad, text) in [(f32::INFINITY, "inf"), (f32::NEG_INFINITY, "-inf"), (f32::NAN, "NaN")] {
                    says(model.predict(given(bad)), &["model input", "finite", &format!("{text} in sample {BAD}")]);
                    says(model.predict_many(&[given(bad)]), &["model input", "finite", "in sample 40"]);
                }
                let good = model.predict(given(0.5)).expect("probabilities");
                assert!(good.iter().all(|p| p.is_finite()) && good.shape() == [SAMPLES, 2]);
            }
        }
    }
}

#[test]
fn of_several_inputs_the_one_is_named() {
    let inputs = [Input::new([3]).named("blood"), Input::new([1]).named("age")];
    let network = Functional::many(inputs, |ctx, x| {
        let all = galen::Var::concat(&[&x[0].tanh()?, &x[1].tanh()?], 1)?;
        Ok(vec![ctx.layer(&Dense::new(1).activation(Sigmoid), &all)?])
    });
    let mut model = network.compile_on(&cpu(), Adam::default(), BinaryCrossEntropy::new(), &[]).expect("a model");
    let mut age = Array2::<f32>::zeros((SAMPLES, 1));
    age[[3, 0]] = f32::INFINITY;
    says(model.predict_many(&[rows(0.5).into(), age.into()]), &["model input age", "inf in sample 3"]);
    says(
        model.predict_many(&[rows(f32::NAN).into(), Array2::<f32>::zeros((SAMPLES, 1)).into()]),
        &["model input blood", "NaN in sample 40"],
    );
}

/// Samples that are made when they are wanted, one of them bad.
#[derive(Debug)]
struct Made(f32);

impl Rows for Made {
    fn len(&self) -> usize {
        SAMPLES
    }

    fn sample(&self) -> TensorSpec {
        TensorSpec::new([3], DType::F32)
    }

    fn read(&self, index: usize, row: RowMut<'_>) -> Result<()> {
        if let RowMut::F32(x) = row {
            x.iter_mut().enumerate().for_each(|(j, x)| *x = number(index * 3 + j));
            x[1] = if index == BAD { self.0 } else { x[1] };
        }
        Ok(())
    }
}

#[test]
fn samples_that_are_made_or_streamed_are_looked_at_too() {
    let labels = Array1::from_shape_fn(SAMPLES, |i| (i % 2) as u32);
    let network = || Sequential::new([3]).with(Dense::new(5).activation(Tanh));
    for device in common::devices() {
        for bad in [f32::INFINITY, f32::NAN] {
            let data = Dataset::new(Source::rows(Made(bad)), labels.clone()).expect("not looked at yet");
            let mut model = compiled(network(), &Setup::on(&device));
            let parts = ["finite", "in sample 40"];
            says(model.predict_dataset(&data), &["model input", parts[0], parts[1]]);
            says(model.evaluate(&data), &parts);
            says(model.fit(&data, &Fit::new().batch_size(8).verbose(false)), &parts);
            let options = Fit::new().batch_size(8).verbose(false);
            model.prepare(&data, &options).expect("a plan");
            let tight = Setup::on(&device).memory_budget(Some(model.memory_bytes() - 64));
            says(compiled(network(), &tight).fit(&data, &options), &parts);
        }
        says(Dataset::new(rows(f32::NAN), labels.clone()), &["features", "NaN in sample 40"]);
    }
}
