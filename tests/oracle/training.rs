//! Two networks trained by Keras: the same start, the same batches, the same losses, hits and final weights.

use galen::prelude::*;
use galen::{Error, Result};
use serde_json::Value;

use super::common::floats;
use super::{field, list, number, numbers, object, tensor, text, whole};

/// A stored training: its file, the network, and what Keras's layers are called here.
struct Training {
    name: &'static str,
    file: &'static str,
    network: fn() -> Sequential,
    layers: &'static [(&'static str, &'static str)],
}

const TRAININGS: [Training; 2] = [
    Training {
        name: "dense",
        file: include_str!("train_dense.json"),
        network: || Sequential::new([16]).with(Dense::new(8).activation(Relu)).with(Dense::new(4).activation(Softmax)),
        layers: &[("dense1", "dense"), ("dense2", "dense_1")],
    },
    Training {
        name: "cnn",
        file: include_str!("train_cnn.json"),
        network: || {
            Sequential::new([1, 8, 8])
                .with(Conv2d::new(3, [3, 3]).activation(Relu))
                .with(MaxPool2d::new([2, 2]))
                .with(Flatten)
                .with(Dense::new(4).activation(Softmax))
        },
        layers: &[("conv", "conv2d"), ("dense", "dense")],
    },
];

/// How far losses and weights may be from a run of Keras in this precision. Its `f32` runs take β₂ through `f32`, which moves 1 − β₂
/// by 1e-5 of itself; Galen does not, and so must be nearer to the `f64` runs.
fn bounds(dtype: &str) -> (f64, f64) {
    match dtype {
        "float64" => (1e-6, 3e-7),
        "float32" => (6e-6, 1.5e-6),
        other => panic!("a run in {other}"),
    }
}

/// Trains both networks with both learning rates on `device`.
pub fn check(device: &Device) {
    let mut failures = Vec::new();
    for training in &TRAININGS {
        let file: Value = serde_json::from_str(training.file).expect(training.name);
        let runs = list(field(&file, "runs"), Value::clone);
        assert_eq!(runs.len(), 4, "two learning rates in two precisions");
        for pair in runs.chunks(2) {
            let rate = number(field(&pair[0], "learning_rate"));
            let trained = training.run(&file, rate as f32, device).expect(training.name);
            for run in pair {
                assert_eq!(number(field(run, "learning_rate")), rate);
                let what = format!("{}, rate {rate}, {}", training.name, text(field(run, "dtype")));
                failures.extend(training.compare(&trained, run).into_iter().map(|e| format!("{what}: {e}")));
            }
        }
    }
    assert!(failures.is_empty(), "on {device}:\n{}", failures.join("\n"));
}

/// What a training gave: the loss of every step, hits per epoch, and the final weights under Galen's names.
struct Trained {
    losses: Vec<f64>,
    hits: Vec<usize>,
    weights: Vec<(String, Vec<f64>)>,
}

impl Training {
    /// `dense1.kernel` is `dense/kernel` here.
    fn name(&self, keras: &str) -> String {
        let (layer, parameter) = keras.split_once('.').expect("layer.parameter");
        let found = self.layers.iter().find(|(have, _)| *have == layer).unwrap_or_else(|| panic!("layer {layer}"));
        format!("{}/{parameter}", found.1)
    }

    fn run(&self, file: &Value, rate: f32, device: &Device) -> Result<Trained> {
        let attrs = field(file, "attrs");
        let attr = |name: &str| field(attrs, name);
        assert_eq!(text(attr("optimizer")), "adam");
        let adam = Adam::new(rate).betas(number(attr("beta1")), number(attr("beta2"))).epsilon(number(attr("epsilon")));
        let setup = Setup::on(device);
        let loss = CategoricalCrossEntropy::new();
        let mut model = (self.network)().compile_on(&setup, adam, loss, &[Metric::Accuracy])?;
        let mut given = 0;
        for (name, array) in object(field(file, "initial")) {
            model.set_parameter(&self.name(name), &tensor(array))?;
            given += 1;
        }
        let specs = model.parameter_specs()?;
        assert_eq!(given, specs.len(), "every parameter is given");

        let data = Dataset::new(tensor(field(file, "x")), tensor(field(file, "labels")))?;
        let fit =
            Fit::new().epochs(whole(attr("epochs"))).batch_size(whole(attr("batch"))).shuffle(false).verbose(false);
        let history = model.fit(&data, &fit)?;
        let hits =
            history.metric("accuracy").iter().map(|share| (share * data.len() as f64).round() as usize).collect();
        let losses = history.epochs.iter().flat_map(|e| &e.step_losses).map(|l| f64::from(*l)).collect();
        let mut weight = |name: String| Ok::<_, Error>((name.clone(), floats(&model.parameter(&name)?)));
        let weights = specs.into_iter().map(|s| weight(s.name)).collect::<Result<_>>()?;
        Ok(Trained { losses, hits, weights })
    }

    fn compare(&self, trained: &Trained, run: &Value) -> Vec<String> {
        let (loss_bound, weight_bound) = bounds(text(field(run, "dtype")));
        let mut failures = Vec::new();
        let mut near = |what: &str, actual: &[f64], expected: &[f64], bound: f64| {
            assert_eq!(actual.len(), expected.len(), "{what}");
            let off = actual.iter().zip(expected).map(|(a, e)| (a - e).abs());
            // The largest, where a NaN is larger than any number.
            let off = off.fold(0.0, |m: f64, v| if v <= m { m } else { v });
            println!("{}: {what} off by {off:e}, {bound:e} allowed", self.name);
            let close = off <= bound;
            if !close {
                failures.push(format!("{what} off by {off:e}, {bound:e} allowed"));
            }
        };
        near("losses", &trained.losses, &numbers(field(run, "losses")), loss_bound);
        for (keras, expected) in object(field(run, "final")) {
            let name = self.name(keras);
            let found = trained.weights.iter().find(|(have, _)| *have == name).unwrap_or_else(|| panic!("{name}"));
            near(&name, &found.1, &numbers(expected), weight_bound);
        }
        let per_step = list(field(run, "correct"), whole);
        let hits: Vec<usize> =
            per_step.chunks(per_step.len() / trained.hits.len()).map(|epoch| epoch.iter().sum()).collect();
        if trained.hits != hits {
            failures.push(format!("hits per epoch {:?}, expected {hits:?}", trained.hits));
        }
        failures
    }
}
