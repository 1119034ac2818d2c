//! How bytes became numbers belongs to the model.

use std::path::Path;

use galen::data::{RowMut, Rows, Source};
use galen::interop::safetensors::{self, Archive};
use galen::prelude::*;
use galen::train::{Checkpoints, SavedModel};
use galen::{DType, Result, Tensor, TensorSpec};
use ndarray::{Array1, Array2};

use super::{Place, common, cpu, says};

const SAMPLES: usize = 64;
const SCALING: (f32, f32) = (2.0 / 255.0, -1.0);

/// Dark and bright rows, so that the answer lies in where 0 is.
fn bytes() -> Array2<u8> {
    Array2::from_shape_fn((SAMPLES, 4), |(i, j)| {
        let base = if i % 2 == 0 { 40 } else { 170 };
        (base + (i * 7 + j * 13) % 40) as u8
    })
}

fn labels() -> Array1<u32> {
    Array1::from_shape_fn(SAMPLES, |i| (i % 2) as u32)
}

fn data((scale, shift): (f32, f32)) -> Dataset {
    Dataset::scaled(bytes(), labels(), scale, shift).expect("data")
}

fn network() -> Sequential {
    Sequential::new([4]).with(Dense::new(2).without_bias().activation(Softmax))
}

fn model(setup: &Setup) -> Model {
    network().compile_on(setup, Adam::new(0.05), CategoricalCrossEntropy::new(), &[Metric::Accuracy]).expect("a model")
}

fn fit() -> Fit {
    Fit::new().epochs(30).batch_size(16).verbose(false)
}

/// How many of the 64 answers to bytes are right.
fn right(model: &mut Model) -> usize {
    let answers = model.predict(bytes()).expect("outputs");
    answers.rows().into_iter().zip(labels()).filter(|(row, label)| u32::from(row[1] > row[0]) == *label).count()
}

fn floats() -> Array2<f32> {
    bytes().mapv(|b| f32::from(b) * SCALING.0 + SCALING.1)
}

#[test]
fn bytes_are_answered_as_those_of_the_training() {
    for device in common::devices() {
        let (setup, file, folder) = (Setup::on(&device).seed(2), Place::new("bytes"), Place::new("folder"));
        let mut trained = model(&setup);
        let options = fit().validation(&data(SCALING)).checkpoints(Checkpoints::new(&folder.0).best("val_loss"));
        trained.fit(&data(SCALING), &options).expect("a training");
        let expected = trained.predict_dataset(&data(SCALING)).expect("outputs");
        assert_eq!(trained.evaluate(&data(SCALING)).expect("numbers").accuracy(), 1.0);

        let opened = file.reopened(&mut trained, &setup);
        let compiled = SavedModel::read(&file.0)
            .and_then(|saved| saved.compile_on(&setup, Adam::new(0.01), CategoricalCrossEntropy::new(), &[]))
            .expect("a model to train on");
        let mut loaded = model(&setup);
        loaded.load(&file.0).expect("its file");
        let from = |name: &str| Model::open(folder.0.join(name), &setup).expect("a checkpoint");
        let mut all = [trained, opened, compiled, loaded, from("last.safetensors"), from("best.safetensors")];
        for (i, model) in all.iter_mut().enumerate() {
            assert_eq!(model.preparation().bytes(0), Some(SCALING), "model {i}");
            assert_eq!(right(model), SAMPLES, "model {i}");
            if i < 4 {
                assert_eq!(model.predict(bytes()).expect("outputs"), expected, "model {i}");
                assert_eq!(model.predict_dataset(&data(SCALING)).expect("outputs"), expected, "model {i}");
                // Floats are taken as they are.
                let given = model.predict(floats()).expect("outputs");
                assert!(given.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-6), "model {i}");
            }
            let other = ["bytes as x · 0.003921569 + 0", "bytes as x · 0.007843138 + -1"];
            says(model.predict_dataset(&data((1.0 / 255.0, 0.0))), &other);
        }
        let [trained, _, compiled, ..] = &mut all;
        for model in [trained, compiled] {
            let plain = Dataset::new(bytes(), labels()).expect("data");
            says(model.evaluate(&plain), &["model input", "as the model was trained", "0.003921569"]);
            says(model.fit(&plain, &fit()), &["model input", "as the model was trained", "Dataset::scaled"]);
            says(model.prepare(&plain, &fit()), &["as the model was trained"]);
            says(model.profile(&plain, &fit(), 1), &["as the model was trained"]);
            says(model.fit(&data(SCALING), &fit().validation(&plain)), &["as the model was trained"]);
            model.fit(&data(SCALING), &fit().epochs(1)).expect("the same again");
            // 2 / 255 computed in another way is the same scaling.
            model.fit(&data(((2.0f64 / 255.0) as f32, -1.0 + 1e-7)), &fit().epochs(1)).expect("the same again");
        }
    }
}

#[test]
fn a_resumed_training_knows_its_bytes() {
    let folder = Place::new("resumed");
    let options = |epochs| fit().epochs(epochs).checkpoints(Checkpoints::new(&folder.0).resume());
    model(&cpu()).fit(&data(SCALING), &options(2)).expect("two epochs");
    let mut resumed = model(&cpu());
    resumed.fit(&data(SCALING), &options(30)).expect("the rest");
    assert_eq!((resumed.preparation().bytes(0), right(&mut resumed)), (Some(SCALING), SAMPLES));
    says(model(&cpu()).fit(&data((1.0 / 255.0, 0.0)), &options(31)), &["scaling"]);
}

#[test]
fn bytes_that_a_model_knows_nothing_of_are_refused() {
    let (parts, file) = (["model input", "not trained on bytes", "scale_bytes", "u8[64, 4]"], Place::new("floats"));
    let mut trained = model(&cpu());
    says(trained.predict(bytes()), &parts);
    trained.fit(&Dataset::new(floats(), labels()).expect("data"), &fit()).expect("a training");
    let expected = trained.predict(floats()).expect("outputs");
    let mut opened = file.reopened(&mut trained, &cpu());
    for model in [&mut trained, &mut opened] {
        says(model.predict(bytes()), &parts);
        // A dataset says how its bytes are scaled.
        let given = model.predict_dataset(&data(SCALING)).expect("outputs");
        assert!(given.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-6));
        says(model.scale_bytes(1, SCALING.0, SCALING.1), &["scale_bytes", "there are 1 inputs", "1"]);
        says(model.scale_bytes(0, 0.0, 1.0), &["scale_bytes", "the scale not 0"]);
        says(model.scale_bytes(0, f32::NAN, 1.0), &["scale_bytes", "NaN"]);
        model.scale_bytes(0, SCALING.0, SCALING.1).expect("nothing was known");
        assert_eq!(right(model), SAMPLES);
        says(model.scale_bytes(0, 1.0, 0.0), &["as the model was trained"]);
    }
    // A training that never made a step has taught nothing.
    let mut stopped = model(&cpu());
    let wish = galen::train::Interrupt::new();
    wish.stop();
    stopped.fit(&data((1.0, 0.0)), &fit().interrupt(&wish)).expect("no step");
    assert_eq!(stopped.preparation().bytes(0), None);
    stopped.fit(&data(SCALING), &fit()).expect("a training");
    assert_eq!(right(&mut stopped), SAMPLES);
}

/// The file with what it says of itself changed.
fn changed(from: &Path, to: &Path, preparation: Option<&str>) {
    let archive = Archive::open(from).expect("a file");
    let keys = ["format", "galen", "architecture", "attached"];
    let mut about: Vec<(&str, &str)> = keys.iter().map(|key| (*key, archive.about(key).expect("a text"))).collect();
    about.extend(preparation.map(|text| ("preparation", text)));
    let tensors: Vec<_> = archive.tensors().map(|(name, tensor)| (name.to_owned(), tensor.clone())).collect();
    safetensors::write(to, &tensors, &about).expect("a file");
}

#[test]
fn files_without_a_preparation_open_and_damaged_ones_do_not() {
    let (file, other) = (Place::new("whole"), Place::new("changed"));
    let mut trained = model(&cpu());
    trained.fit(&data(SCALING), &fit()).expect("a training");
    trained.save(&file.0).expect("a file");
    assert_eq!(SavedModel::read(&file.0).expect("a file").preparation().expect("one").bytes(0), Some(SCALING));
    changed(&file.0, &other.0, None);
    let mut older = Model::open(&other.0, &cpu()).expect("a model");
    says(older.predict(bytes()), &["not trained on bytes"]);
    older.scale_bytes(0, SCALING.0, SCALING.1).expect("nothing was known");
    assert_eq!(right(&mut older), SAMPLES);
    for (text, parts) in [
        (r#"{"version":2,"inputs":[{}]}"#, ["a preparation", "version 2"]),
        (r#"{"version":1,"inputs":[]}"#, ["a preparation", "0 inputs"]),
        (r#"{"version":1,"inputs":[{"bytes":{"scale":1,"shift":"nan"}}]}"#, ["a preparation", "not finite"]),
        (r#"{"version":1,"inputs":[{"bits":1}]}"#, ["a preparation", "bits"]),
        ("[]", ["a preparation", "got"]),
    ] {
        changed(&file.0, &other.0, Some(text));
        says(Model::open(&other.0, &cpu()), &parts);
        let mut untouched = model(&cpu());
        says(untouched.load(&other.0), &parts);
        assert_eq!(untouched.preparation().bytes(0), None);
    }
}

/// Features that are made when they are wanted.
#[derive(Debug)]
struct Made(DType);

impl Rows for Made {
    fn len(&self) -> usize {
        SAMPLES
    }

    fn sample(&self) -> TensorSpec {
        TensorSpec::new([4], self.0)
    }

    fn read(&self, index: usize, row: RowMut<'_>) -> Result<()> {
        if let RowMut::U8(x) = row {
            x.iter_mut().zip(bytes().row(index)).for_each(|(x, b)| *x = *b);
        }
        Ok(())
    }
}

#[test]
fn only_bytes_are_scaled() {
    let tokens = Array2::<u32>::zeros((SAMPLES, 4));
    for features in [Source::from(floats()), Source::from(tokens), Source::rows(Made(DType::F32))] {
        says(Dataset::scaled(features.clone(), labels(), 2.0, 1.0), &["features to scale", "bytes (u8)", "[64, 4]"]);
        let data = data(SCALING);
        says(data.with_scaled_input(features, 2.0, 1.0), &["features to scale", "bytes (u8)", "[64, 4]"]);
    }
    let bad = [(0.0, 0.0), (f32::NAN, 0.0), (1.0, f32::INFINITY), (f32::INFINITY, 0.0), (f32::MAX, 0.0)];
    for (scale, shift) in bad {
        says(Dataset::scaled(bytes(), labels(), scale, shift), &["features to scale", "finite", "the scale not 0"]);
        says(data(SCALING).with_scaled_input(bytes(), scale, shift), &["features to scale", "finite"]);
    }
    let made = Dataset::scaled(Source::rows(Made(DType::U8)), labels(), SCALING.0, SCALING.1).expect("data");
    let mut trained = model(&cpu());
    trained.fit(&made, &fit()).expect("a training");
    assert_eq!(right(&mut trained), SAMPLES);
}

#[test]
fn every_input_has_a_scaling_of_its_own() {
    let file = Place::new("inputs");
    let inputs = [Input::new([4]).named("image"), Input::new([1]).named("age"), Input::new([4]).named("second")];
    let network = Functional::many(inputs, |ctx, x| {
        let all = galen::Var::concat(&[&x[0], &x[1], &x[2]], 1)?;
        Ok(vec![ctx.layer(&Dense::new(2).activation(Softmax), &all)?])
    });
    let age = Array2::from_shape_fn((SAMPLES, 1), |(i, _)| i as f32 / 64.0);
    let all = |first: (f32, f32), second: (f32, f32)| {
        let data = data(first).with_input(age.clone()).expect("ages");
        data.with_scaled_input(bytes(), second.0, second.1).expect("data")
    };
    let mut model = network.compile_on(&cpu(), Adam::new(0.05), CategoricalCrossEntropy::new(), &[]).expect("a model");
    let trained_on = all(SCALING, (1.0 / 64.0, 0.5));
    model.fit(&trained_on, &fit()).expect("a training");
    let expected = model.predict_dataset_many(&trained_on).expect("outputs");
    let mut opened = file.reopened(&mut model, &cpu());
    for model in [&mut model, &mut opened] {
        let known = (0..3).map(|i| model.preparation().bytes(i)).collect::<Vec<_>>();
        assert_eq!(known, [Some(SCALING), None, Some((1.0 / 64.0, 0.5))]);
        let given: [Tensor; 3] = [bytes().into(), age.clone().into(), bytes().into()];
        assert_eq!(model.predict_many(&given).expect("outputs"), expected);
        let ages = Array2::<u8>::zeros((SAMPLES, 1));
        let given: [Tensor; 3] = [bytes().into(), ages.into(), bytes().into()];
        says(model.predict_many(&given), &["model input age", "not trained on bytes"]);
        says(model.predict_dataset_many(&all(SCALING, SCALING)), &["model input second", "x · 0.015625 + 0.5"]);
    }
}
