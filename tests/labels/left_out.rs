//! The metrics of the labelled part alone, as scikit-learn computes them (`make.py`), on every device.

use std::collections::BTreeMap;
use std::path::Path;

use galen::contract::Threefry;
use galen::nn::{
    BinaryCrossEntropy, CategoricalCrossEntropy, CategoricalFocal, CosineSimilarity, Dice, DiceCrossEntropy, Huber,
    LogCosh, Loss, Losses, MeanAbsoluteError, MeanSquaredError, Poisson, Quantile, Reduction,
};
use galen::optim::Tuned;
use galen::prelude::*;
use galen::report::Report;
use galen::{Device, Tensor};
use ndarray::{Array1, Array2, arr1, arr2, array};
use serde::Deserialize;

use super::{METRICS, common, echo, says};

#[derive(Deserialize)]
struct Case {
    name: String,
    kind: String,
    shape: Vec<usize>,
    outputs: Vec<f32>,
    targets: Vec<Option<f32>>,
    expected: BTreeMap<String, f64>,
    marker: Option<f32>,
    ignored: Option<u32>,
    confusion: Option<Vec<Vec<usize>>>,
}

impl Case {
    fn samples(&self) -> usize {
        self.outputs.len() / self.shape.iter().product::<usize>()
    }

    /// The loss, with `marker` in the place of the case's own where targets are floats.
    fn losses(&self, marker: Option<f32>) -> Losses {
        match self.kind.as_str() {
            "binary" => {
                BinaryCrossEntropy::new().from_logits().missing(marker.or(self.marker).expect("a marker")).into()
            }
            "classes" => {
                let loss = CategoricalCrossEntropy::new().axis(1).from_logits();
                loss.ignore_index(self.ignored.expect("a label")).into()
            }
            "values" => MeanSquaredError::new().missing(marker.unwrap_or(f32::NAN)).into(),
            other => panic!("no kind is called {other}"),
        }
    }

    /// Samples in the order of `order`, with `marker` in the place of the case's own where targets are floats.
    fn data(&self, order: &[u32], marker: Option<f32>) -> Dataset {
        let (n, width) = (self.samples(), self.shape.iter().product::<usize>());
        let pick = |values: Vec<f32>| -> Vec<f32> {
            let each = values.len() / n;
            order.iter().flat_map(|i| values[*i as usize * each..][..each].to_vec()).collect()
        };
        let shape: Vec<usize> = [&[n], &self.shape[..]].concat();
        let outputs = Tensor::f32(shape.clone(), pick(self.outputs.clone())).expect("outputs");
        let targets: Vec<f32> = self.targets.iter().map(|t| t.unwrap_or(f32::NAN)).collect();
        let missing = |t: f32| t.is_nan() || (self.kind == "binary" && Some(t) == self.marker);
        let targets = match marker {
            Some(marker) => targets.into_iter().map(|t| if missing(t) { marker } else { t }).collect(),
            None => targets,
        };
        let targets = pick(targets);
        let targets = match self.kind.as_str() {
            "classes" => {
                let shape: Vec<usize> = [&[n], &self.shape[1..]].concat();
                Tensor::u32(shape, targets.iter().map(|t| *t as u32).collect())
            }
            _ => Tensor::f32([n, width], targets),
        };
        Dataset::new(outputs, targets.expect("targets")).expect("good data")
    }

    fn metrics(&self) -> Vec<Metric> {
        METRICS.into_iter().filter(|metric| self.expected.contains_key(&metric.name())).collect()
    }
}

fn cases() -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/labels/left_out.json");
    let cases: Vec<Case> = serde_json::from_str(&std::fs::read_to_string(path).expect("a file")).expect("cases");
    assert_eq!(cases.len(), 10);
    cases
}

#[track_caller]
fn near(of: &str, actual: f64, expected: f64) {
    assert!((actual - expected).abs() <= 2e-6 * expected.abs().max(1.0), "{of}: {actual}, not {expected}");
}

#[test]
fn metrics_are_those_of_the_labels_that_are_there() {
    for device in common::devices() {
        for case in cases() {
            let (n, metrics) = (case.samples(), case.metrics());
            assert!(metrics.len() + 1 == case.expected.len(), "{}: a metric is not there", case.name);
            let markers = if case.kind == "classes" { vec![None] } else { vec![None, Some(f32::NAN), Some(-7.5)] };
            for (marker, seed) in markers.into_iter().zip(1..) {
                let mut model = echo(&device, &case.shape, case.losses(marker), &metrics).expect("a model");
                let order = Threefry::new(seed, 5).permutation(n);
                for batch in [1, 4, n] {
                    let data = case.data(&order, marker);
                    let fit = Fit::new().batch_size(batch).validation(&data).verbose(false);
                    let history = model.fit(&data, &fit).expect("an epoch");
                    let record = history.epochs.last().expect("an epoch");
                    for (name, expected) in &case.expected {
                        let of = format!("{}, marker {marker:?}, batches of {batch}: {name}", case.name);
                        near(&of, record.value(&format!("val_{name}")).expect("a value"), *expected);
                        if name != "auc" {
                            near(&format!("{of}, training"), record.value(name).expect("a value"), *expected);
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn tables_count_the_labels_that_are_there() {
    for case in cases() {
        let Some(expected) = &case.confusion else { continue };
        let order: Vec<u32> = (0..case.samples() as u32).collect();
        let mut model = echo(&Device::cpu().expect("a CPU"), &case.shape, case.losses(None), &[]).expect("a model");
        let table = model.confusion(&case.data(&order, None)).expect("a table");
        assert_eq!(table.counts, *expected, "{}", case.name);
    }
}

#[test]
fn the_three_examples_of_labels_that_do_not_count() {
    let cpu = Device::cpu().expect("a CPU");
    // Two classes of pixels: both labelled pixels are right.
    let y = array![[[1f32, -1., 2., 2.], [-1., 1., -2., -2.]]];
    let pixels = Dataset::new(y, arr2(&[[0u32, 1, 255, 255]])).expect("data");
    let metrics = [Metric::Accuracy, Metric::Dice, Metric::Recall];
    let loss = CategoricalCrossEntropy::new().axis(1).from_logits().ignore_index(255);
    let pixels_of = echo(&cpu, &[2, 4], loss, &metrics).expect("a model").evaluate(&pixels).expect("an evaluation");
    assert_eq!(pixels_of.metrics.iter().map(|(_, v)| *v).collect::<Vec<_>>(), [1.0, 1.0, 1.0]);

    // Yes or no, half of the answers unknown.
    let y = arr2(&[[-2f32], [1.], [2.], [3.], [4.], [5.]]);
    let answers = Dataset::new(y, arr1(&[0f32, 1., 1., -1., -1., -1.])).expect("data");
    let metrics = [Metric::Auc, Metric::Specificity, Metric::F1];
    let loss = BinaryCrossEntropy::new().from_logits().missing(-1.0);
    let answers_of = echo(&cpu, &[1], loss, &metrics).expect("a model").evaluate(&answers).expect("an evaluation");
    assert!(answers_of.metrics.iter().all(|(_, v)| *v == 1.0), "{answers_of:?}");

    // A label that is no class.
    let y = arr2(&[[2f32, -2.], [1., -1.], [-1., 1.], [-2., 2.], [3., -3.], [3., -3.]]);
    let data = Dataset::new(y, arr1(&[0u32, 0, 1, 1, 9, 9])).expect("data");
    let loss = CategoricalCrossEntropy::new().from_logits().ignore_index(9);
    let mut model = echo(&cpu, &[2], loss, &[Metric::Auc]).expect("a model");
    assert_eq!(model.evaluate(&data).expect("an evaluation").metric("auc"), 1.0);
    let table = model.confusion(&data).expect("a table");
    assert_eq!(table.counts, [[2, 0], [0, 2]]);
    model.fit(&data, &Fit::new().class_weights([1.0, 3.0]).verbose(false)).expect("weights of two classes are enough");
}

#[test]
fn a_mean_loss_divides_by_the_labels_of_all_batches() {
    // Of 64 samples half have no label: alone in their batches or between the others.
    let y = Array2::from_shape_fn((64, 1), |(i, _)| if i < 32 { 0.65 } else { -1.5 });
    let label = |i: usize| if i < 32 { 1.0 } else { -1.0 };
    let losses = || Losses::from(BinaryCrossEntropy::new().from_logits().missing(-1.0));
    let expected = (1.0 + (-0.65f64).exp()).ln();
    for device in common::devices() {
        let mut model = echo(&device, &[1], losses(), &[]).expect("a model");
        let sorted: Vec<usize> = (0..64).collect();
        let mixed: Vec<usize> = (0..64).map(|i| i / 2 + 32 * (i % 2)).collect();
        for order in [sorted, mixed] {
            let truth: Array1<f32> = order.iter().map(|i| label(*i)).collect();
            let data = Dataset::new(y.select(ndarray::Axis(0), &order), truth).expect("data");
            near("half of the labels", model.evaluate(&data).expect("an evaluation").loss, expected);
        }
        // Two images with four and with one labelled pixel.
        let y = array![[[0.5f32, 0.5, 0.5, 0.5], [0., 0., 0., 0.]], [[2., 9., 9., 9.], [0., 9., 9., 9.]]];
        let data = Dataset::new(y, arr2(&[[0u32, 0, 0, 0], [1, 255, 255, 255]])).expect("data");
        let cost = |z: f64| (1.0 + z.exp()).ln();
        let expected = (4.0 * cost(-0.5) + cost(2.0)) / 5.0;
        for batch in [1, 2] {
            let loss = CategoricalCrossEntropy::new().axis(1).from_logits().ignore_index(255);
            let mut model = echo(&device, &[2, 4], loss, &[]).expect("a model");
            let fit = Fit::new().batch_size(batch).shuffle(false).validation(&data).verbose(false);
            let history = model.fit(&data, &fit).expect("an epoch");
            near("training", history.losses()[0], expected);
            near("validation", history.val_losses()[0], expected);
        }
    }
}

#[test]
fn the_loss_of_a_pass_is_that_of_one_batch_of_everything() {
    let (n, k) = (11, 3);
    let y = Array2::from_shape_fn((n, k), |(i, j)| ((i * 7 + j * 5) % 11) as f32 / 4.0 - 1.25);
    let classes = Array1::from_shape_fn(n, |i| if i % 4 == 1 { 9 } else { (i * 5 % 3) as u32 });
    let values = Array2::from_shape_fn((n, 1), |(i, _)| if i % 3 == 0 { f32::NAN } else { i as f32 / 8.0 });
    let weights: Vec<f32> = (0..n).map(|i| (i % 5) as f32 / 2.0).collect();
    let network = || {
        Functional::many([Input::new([k])], |ctx, x| {
            let y = ctx.layer(&super::Identity, &x[0])?;
            Ok(vec![y.clone(), y.slice(&[(0, y.shape()[0]), (0, 1)])?])
        })
    };
    let losses = |first, second| {
        let loss = CategoricalCrossEntropy::new().from_logits().ignore_index(9).reduced(first);
        Losses::new(loss).and(MeanSquaredError::new().missing(f32::NAN).reduced(second), 0.25)
    };
    let data = Dataset::new(y, classes).and_then(|data| data.with_target(values)).expect("data");
    let weighted = data.clone().with_weights(weights).expect("weights");
    use Reduction::{Mean, Sum, WeightedMean};
    for device in common::devices() {
        for (first, second) in [(Mean, Mean), (Mean, Sum), (WeightedMean, Mean), (Sum, WeightedMean)] {
            for data in [&data, &weighted] {
                let loss_of = |batch: usize| {
                    let setup = Setup::on(&device);
                    let optimizer = Sgd::new(1e-30);
                    let model = network().compile_on(&setup, optimizer, losses(first, second), &[Metric::Accuracy]);
                    let fit = Fit::new().batch_size(batch).verbose(false);
                    let history = model.expect("a model").fit(data, &fit).expect("an epoch");
                    (history.losses()[0], history.metric("accuracy")[0])
                };
                let (whole, accuracy) = loss_of(n);
                for batch in [1, 2, 4] {
                    let (loss, some) = loss_of(batch);
                    near(&format!("{first:?} and {second:?} in batches of {batch}"), loss, whole);
                    near("accuracy", some, accuracy);
                }
            }
        }
    }
}

#[test]
fn every_loss_of_values_takes_targets_that_are_missing() {
    fn losses(marker: f32) -> Vec<(&'static str, Losses)> {
        vec![
            ("mse", MeanSquaredError::new().missing(marker).into()),
            ("mae", MeanAbsoluteError::new().missing(marker).into()),
            ("mape", galen::nn::MeanAbsolutePercentageError::new().missing(marker).into()),
            ("msle", galen::nn::MeanSquaredLogarithmicError::new().missing(marker).into()),
            ("log cosh", LogCosh::new().missing(marker).into()),
            ("huber", Huber::new(0.5).missing(marker).into()),
            ("quantile", Quantile::new(0.3).missing(marker).into()),
            ("poisson", Poisson::new().log_input().missing(marker).into()),
            ("hinge", galen::nn::Hinge::new().missing(marker).into()),
            ("focal", galen::nn::BinaryFocal::new().from_logits().missing(marker).into()),
            ("bce", BinaryCrossEntropy::new().from_logits().missing(marker).into()),
        ]
    }
    let (n, there) = (13, |i: usize| i % 3 != 1);
    let y = Array2::from_shape_fn((n, 1), |(i, _)| (i * 5 % 13) as f32 / 4.0 - 1.5);
    let target = |i: usize| if i * 3 % 7 > 3 { 1.0 } else { 0.0 };
    for device in common::devices() {
        for marker in [f32::NAN, -9.0] {
            for (at, (name, loss)) in losses(marker).into_iter().enumerate() {
                let sign = |t: f32| if name == "hinge" { 2.0 * t - 1.0 } else { t };
                let targets: Array1<f32> = (0..n).map(|i| if there(i) { sign(target(i)) } else { marker }).collect();
                let data = Dataset::new(y.clone(), targets).expect("data");
                let labelled = data.select(&(0..n).filter(|i| there(*i)).collect::<Vec<_>>()).expect("some");
                let metrics = [Metric::MeanAbsoluteError];
                let whole = echo(&device, &[1], losses(marker).swap_remove(at).1, &metrics);
                let expected = whole.expect("a model").evaluate(&labelled).expect("the labelled part");
                let mut model = echo(&device, &[1], loss, &metrics).expect("a model");
                let fit = Fit::new().batch_size(4).validation(&data).verbose(false);
                let history = model.fit(&data, &fit).expect("an epoch");
                near(name, history.losses()[0], expected.loss);
                near(name, history.val_losses()[0], expected.loss);
                near(name, history.val_metric("mae")[0], expected.metric("mae"));
            }
        }
    }
}

#[test]
fn several_quantiles_and_cosines_leave_out_what_is_missing() {
    for device in common::devices() {
        let y = Array2::from_shape_fn((6, 2), |(i, j)| (i * 3 + j) as f32 / 4.0);
        let some = |keep: &[usize]| {
            let all = [0.5, f32::NAN, 1.5, 2.0, f32::NAN, 0.0];
            let targets: Array1<f32> = keep.iter().map(|i| all[*i]).collect();
            Dataset::new(y.select(ndarray::Axis(0), keep), targets).expect("data")
        };
        let loss = || Quantile::many([0.1, 0.9]).missing(f32::NAN);
        let mut model = echo(&device, &[2], loss(), &[Metric::MeanAbsoluteError]).expect("a model");
        let all = model.evaluate(&some(&[0, 1, 2, 3, 4, 5])).expect("an evaluation");
        let labelled = model.evaluate(&some(&[0, 2, 3, 5])).expect("an evaluation");
        near("quantiles", all.loss, labelled.loss);
        near("their errors", all.metric("mae"), labelled.metric("mae"));

        let y = arr2(&[[1f32, 2., 5.], [3., -1., 2.], [4., 4., 4.]]);
        let t = arr2(&[[2f32, 4., f32::NAN], [f32::NAN, -2., 4.], [f32::NAN, f32::NAN, f32::NAN]]);
        let data = Dataset::new(y, t).expect("data");
        let mut model = echo(&device, &[3], CosineSimilarity::new().missing(f32::NAN), &[]).expect("a model");
        near("a cosine", model.evaluate(&data).expect("an evaluation").loss, -1.0);
    }
}

#[test]
fn regions_without_a_labelled_pixel_do_not_count() {
    // The second image has no label at all.
    let y = array![[[1f32, -1., 2.], [-1., 1., 0.]], [[3., 3., 3.], [0., 0., 0.]]];
    let data = Dataset::new(y, arr2(&[[0u32, 1, 7], [7, 7, 7]])).expect("data");
    let one = data.select(&[0]).expect("the first");
    let losses: [fn() -> Losses; 3] = [
        || Dice::new().from_logits().ignore_index(7).into(),
        || DiceCrossEntropy::new().from_logits().ignore_index(7).into(),
        || CategoricalFocal::new().axis(1).from_logits().ignore_index(7).into(),
    ];
    for device in common::devices() {
        for loss in losses {
            let mut model = echo(&device, &[2, 3], loss(), &[Metric::Accuracy, Metric::Dice]).expect("a model");
            let (both, alone) = (model.evaluate(&data).expect("both"), model.evaluate(&one).expect("one"));
            near("loss", both.loss, alone.loss);
            assert_eq!((both.accuracy(), both.metric("dice")), (1.0, 1.0));
        }
    }
}

#[test]
fn steps_that_are_accumulated_count_by_their_labels() {
    // Seven samples in batches of four: the second batch has three, and of some samples the label is missing.
    let x = Array2::from_shape_fn((7, 2), |(i, j)| ((i * 5 + j * 3) % 7) as f32 / 4.0 - 0.5);
    for gaps in [false, true] {
        let label = |i: usize| if gaps && [0, 1, 2, 5].contains(&i) { f32::NAN } else { i as f32 / 3.0 };
        let data = Dataset::new(x.clone(), Array2::from_shape_fn((7, 1), |(i, _)| label(i))).expect("data");
        for device in common::devices() {
            let trained = |batch: usize, every: usize| {
                let network = Sequential::new([2]).with(Dense::new(1));
                let loss = MeanSquaredError::new().missing(f32::NAN);
                let optimizer = Tuned::new(Sgd::new(0.1)).accumulate(every);
                let mut model = network.compile_on(&Setup::on(&device), optimizer, loss, &[]).expect("a model");
                model.fit(&data, &Fit::new().epochs(3).batch_size(batch).verbose(false)).expect("three epochs");
                model.parameter("dense/kernel").expect("a kernel").into_f32().expect("floats")
            };
            let (whole, parts) = (trained(7, 1), trained(4, 2));
            let off = whole.iter().zip(&parts).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(off < 1e-6, "gaps {gaps}: {whole} and {parts}");
        }
    }
}

/// Penalties are no part of the sums over labels, and join the loss of a pass all the same.
#[test]
fn a_loss_with_nothing_missing_has_the_penalties_of_one_that_cannot_miss() {
    let x = Array2::from_shape_fn((7, 2), |(i, j)| (3 * i + 5 * j) as f32 % 7.0 / 7.0);
    let data = Dataset::new(x, Array2::from_shape_fn((7, 1), |(i, _)| i as f32 / 7.0)).expect("data");
    for device in common::devices() {
        let losses = |loss: Losses, strength: f32| -> (f64, f64) {
            let penalty = galen::nn::Penalty::l2(strength);
            let network = Sequential::new([2]).with(Dense::new(1).kernel_regularizer(penalty));
            let mut model = network.compile_on(&Setup::on(&device), Sgd::new(1e-30), loss, &[]).expect("a model");
            let history = model.fit(&data, &Fit::new().epochs(1).batch_size(3).verbose(false)).expect("an epoch");
            (history.epochs[0].loss, model.evaluate(&data).expect("a loss").loss)
        };
        let near = |a: f64, b: f64| (a - b).abs() < 1e-6;
        let plain = losses(MeanSquaredError::new().into(), 0.5);
        let masked = losses(MeanSquaredError::new().missing(-1.0).into(), 0.5);
        let none = losses(MeanSquaredError::new().missing(-1.0).into(), 0.0);
        assert!(near(plain.0, masked.0) && near(plain.1, masked.1), "{device}: {plain:?} and {masked:?}");
        assert!(masked.0 > none.0 + 1e-3, "{device}: the penalty counts");
    }
}

#[test]
fn reports_leave_out_what_is_missing() {
    let truth = [0u32, 0, 1, 1, 9, 9, 1];
    let scores = arr2(&[[0.9f32, 0.1], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4], [0.5, 0.5], [0.1, 0.9], [0.2, 0.8]]);
    let groups = ["a", "b", "c", "d", "e", "f", "g"];
    let all = Report::classification("all", &truth, scores.view()).groups(&groups).ignore_index(9).build();
    let (all, keep) = (all.expect("a report"), [0, 1, 2, 3, 6]);
    let some = scores.select(ndarray::Axis(0), &keep);
    let (truth, groups) = (keep.map(|i| truth[i]), keep.map(|i| groups[i]));
    let labelled = Report::classification("labelled", &truth, some.view()).groups(&groups).build().expect("a report");
    assert_eq!(all.rows(), labelled.rows());
    assert_eq!((all.samples(), all.left_out()), (5, 2));
    assert!(all.to_string().contains("2 samples without a label were left out"), "{all}");

    let n = f32::NAN;
    let truth = arr2(&[[1f32, 0.], [0., n], [n, 1.], [1., 1.], [0., 0.], [n, n]]);
    let scores = arr2(&[[0.9f32, 0.2], [0.1, 0.9], [0.9, 0.6], [0.4, 0.7], [0.3, 0.3], [0.5, 0.5]]);
    let report = Report::multilabel("gaps", truth.view(), scores.view()).build().expect("a report");
    let row = |key: &str, label: &str| report.row(key, Some(label)).expect("a row").clone();
    let of = |label: usize, keep: &[usize]| {
        let truth: Vec<u32> = keep.iter().map(|i| truth[[*i, label]] as u32).collect();
        let scores = Array2::from_shape_fn((keep.len(), 1), |(i, _)| scores[[keep[i], label]]);
        Report::classification("one", &truth, scores.view()).threshold(0.5).build().expect("a report")
    };
    for (label, keep) in [(0, [0, 1, 3, 4]), (1, [0, 2, 3, 4])] {
        let one = of(label, &keep);
        for key in ["auc", "average_precision", "sensitivity", "specificity", "prevalence", "f1"] {
            let (gaps, whole) = (row(key, &format!("label {label}")), one.row(key, None).expect("a row"));
            assert_eq!((gaps.value, gaps.n), (whole.value, whole.n), "{key} of label {label}");
        }
    }
    assert_eq!(report.left_out(), 4);
    let minus = truth.mapv(|t| if t.is_nan() { -1.0 } else { t });
    let marked = Report::multilabel("gaps", minus.view(), scores.view()).missing(-1.0).build().expect("a report");
    assert_eq!(marked.rows(), report.rows());
    says(Report::multilabel("gaps", minus.view(), scores.view()).build(), &["0 or 1", "-1"]);

    let truth = arr1(&[1f32, n, 3., 4., n, 6.]);
    let predicted = arr1(&[1.5f32, 100., 2.5, 4.5, -50., 5.]);
    let gaps = Report::regression("gaps", &truth.to_vec(), &predicted.to_vec()).missing(n).build().expect("a report");
    let whole = Report::regression("whole", &[1., 3., 4., 6.], &[1.5, 2.5, 4.5, 5.]).build().expect("a report");
    assert_eq!((gaps.rows(), gaps.left_out()), (whole.rows(), 2));
}
