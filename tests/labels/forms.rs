//! Every loss with every metric and every form of targets: what the loss takes its metrics take, and all forms give the same numbers.

use galen::nn::*;
use galen::prelude::*;
use galen::{Device, Shape, Tensor};

use super::{METRICS, common, echo};

const SAMPLES: usize = 6;

fn number(i: usize) -> f32 {
    ((i as u32).wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 24) as f32
}

/// Labels of every class, in order of memory.
fn classes(n: usize, classes: u32) -> Vec<u32> {
    let of = |i: u32| if classes == 2 { i.wrapping_mul(2_654_435_761) >> 16 } else { i + i / 3 };
    (0..n as u32).map(|i| of(i) % classes).collect()
}

/// One-hot rows with the classes along axis 1 + `axis` of `shape` (of one sample).
fn one_hot(labels: &[u32], shape: &[usize], axis: usize) -> Tensor {
    let (k, inner) = (shape[axis], shape[axis + 1..].iter().product::<usize>());
    let mut hot = vec![0.0; SAMPLES * shape.iter().product::<usize>()];
    for (i, label) in labels.iter().enumerate() {
        hot[(i / inner * k + *label as usize) * inner + i % inner] = 1.0;
    }
    Tensor::f32(batched(shape), hot).expect("one-hot rows")
}

fn batched(shape: &[usize]) -> Shape {
    Shape::from([&[SAMPLES], shape].concat())
}

/// The same labels in every shape, as `u32` and, where `floats` is set, as `f32`.
fn forms(labels: &[u32], shapes: &[&[usize]], floats: bool) -> Vec<Tensor> {
    let whole = shapes.iter().map(|shape| Tensor::u32(batched(shape), labels.to_vec()).expect("labels"));
    let float = |shape: &&[usize]| Tensor::f32(batched(shape), labels.iter().map(|l| *l as f32).collect());
    let mut all: Vec<Tensor> = whole.collect();
    if floats {
        all.extend(shapes.iter().map(|shape| float(shape).expect("labels")));
    }
    all
}

/// Losses by how they are made, for outputs of one sample, and the forms of the targets that they take.
type Group = (Vec<usize>, Vec<fn() -> Losses>, Vec<Tensor>);

fn groups() -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    // Classes that exclude each other: rows, steps, pixels.
    for k in [2, 3] {
        let labels = classes(SAMPLES, k as u32);
        let mut targets = forms(&labels, &[&[], &[1]], false);
        targets.push(one_hot(&labels, &[k], 0));
        let losses: Vec<fn() -> Losses> = vec![
            || CategoricalCrossEntropy::new().from_logits().into(),
            || CategoricalFocal::new().from_logits().into(),
            || CategoricalHinge::new().into(),
        ];
        groups.push((vec![k], losses, targets));
        let labels = classes(SAMPLES * 4, k as u32);
        let mut targets = forms(&labels, &[&[4], &[4, 1]], false);
        targets.push(one_hot(&labels, &[4, k], 1));
        let losses: Vec<fn() -> Losses> = vec![
            || CategoricalCrossEntropy::new().from_logits().into(),
            || CategoricalFocal::new().from_logits().into(),
            || CategoricalHinge::new().into(),
        ];
        groups.push((vec![4, k], losses, targets));
        let labels = classes(SAMPLES * 6, k as u32);
        let mut targets = forms(&labels, &[&[2, 3], &[1, 2, 3]], false);
        targets.push(one_hot(&labels, &[k, 2, 3], 0));
        let losses: Vec<fn() -> Losses> = vec![
            || CategoricalCrossEntropy::new().axis(1).from_logits().into(),
            || CategoricalFocal::new().axis(1).from_logits().into(),
            || CategoricalHinge::new().axis(1).into(),
            || Dice::new().from_logits().into(),
            || Jaccard::new().from_logits().into(),
            || Tversky::new(0.3, 0.7).from_logits().into(),
            || DiceCrossEntropy::new().from_logits().into(),
        ];
        groups.push((vec![k, 2, 3], losses, targets));
    }
    let labels = classes(SAMPLES, 3);
    let losses: Vec<fn() -> Losses> = vec![|| KullbackLeibler::new().from_logits().into()];
    groups.push((vec![3], losses, vec![one_hot(&labels, &[3], 0)]));
    // Yes or no: of samples, steps, pixels.
    let shapes: [(&[usize], &[&[usize]]); 3] =
        [(&[1], &[&[], &[1]]), (&[4, 1], &[&[4], &[4, 1]]), (&[1, 2, 3], &[&[2, 3], &[1, 2, 3]])];
    for (shape, targets) in shapes {
        let labels = classes(SAMPLES * shape.iter().product::<usize>(), 2);
        let losses: Vec<fn() -> Losses> =
            vec![|| BinaryCrossEntropy::new().from_logits().into(), || BinaryFocal::new().from_logits().into()];
        groups.push((shape.to_vec(), losses, forms(&labels, targets, true)));
        let whole = forms(&labels, targets, false);
        let mut signs = whole.clone();
        let sign = |shape: &&[usize]| {
            Tensor::f32(batched(shape), labels.iter().map(|l| 2.0 * *l as f32 - 1.0).collect()).expect("signs")
        };
        signs.extend(targets.iter().map(sign));
        let losses: Vec<fn() -> Losses> = vec![|| Hinge::new().into(), || Hinge::new().squared().into()];
        groups.push((shape.to_vec(), losses, signs));
        let losses: Vec<fn() -> Losses> = vec![
            || MeanSquaredError::new().into(),
            || MeanAbsoluteError::new().into(),
            || MeanAbsolutePercentageError::new().into(),
            || MeanSquaredLogarithmicError::new().into(),
            || LogCosh::new().into(),
            || Huber::new(1.0).into(),
            || Quantile::new(0.5).into(),
            || Poisson::new().log_input().into(),
            || MeanSquaredError::new().missing(f32::NAN).into(),
        ];
        groups.push((shape.to_vec(), losses, forms(&labels, targets, true).split_off(targets.len())));
    }
    let labels = classes(SAMPLES * 6, 2);
    let losses: Vec<fn() -> Losses> =
        vec![|| Dice::new().from_logits().into(), || DiceCrossEntropy::new().from_logits().into()];
    groups.push((vec![1, 2, 3], losses, forms(&labels, &[&[2, 3], &[1, 2, 3]], true)));
    // Several labels of a sample, and several values.
    let labels = classes(SAMPLES * 3, 2);
    let losses: Vec<fn() -> Losses> =
        vec![|| BinaryCrossEntropy::new().from_logits().into(), || BinaryFocal::new().from_logits().into()];
    groups.push((vec![3], losses, forms(&labels, &[&[3]], true)));
    let losses: Vec<fn() -> Losses> = vec![|| MeanSquaredError::new().into(), || CosineSimilarity::new().into()];
    groups.push((vec![3], losses, vec![one_hot(&classes(SAMPLES, 3), &[3], 0)]));
    let values = Tensor::f32([SAMPLES], (0..SAMPLES).map(|i| (i % 2) as f32).collect()).expect("values");
    groups.push((vec![2], vec![|| Quantile::many([0.1, 0.9]).into()], vec![values]));
    groups
}

#[test]
fn a_metric_takes_every_form_of_targets_that_the_loss_takes() {
    let mut taken = 0;
    for device in common::devices() {
        for (shape, losses, targets) in groups() {
            let n = SAMPLES * shape.iter().product::<usize>();
            let x =
                Tensor::f32(batched(&shape), (0..n).map(|i| 4.0 * number(i + 17) - 2.0).collect()).expect("outputs");
            for losses in &losses {
                let metrics: Vec<Metric> =
                    METRICS.into_iter().filter(|m| echo(&device, &shape, losses(), &[*m]).is_ok()).collect();
                let name = losses().iter().next().expect("a loss").0.name();
                assert!(metrics.len() > 2, "{name} of {shape:?}: only {metrics:?}");
                let mut all = Vec::new();
                for targets in &targets {
                    let data = Dataset::new(x.clone(), targets.clone()).expect("good data");
                    let mut model = echo(&device, &shape, losses(), &metrics).expect("a model");
                    let of = |e| panic!("{name} of {shape:?} and {}: {e}", targets.spec());
                    let evaluation = model.evaluate(&data).unwrap_or_else(of);
                    let fit = Fit::new().batch_size(4).verbose(false);
                    let history = model.fit(&data, &fit).unwrap_or_else(|e| panic!("{name} of {shape:?}: {e}"));
                    for (metric, value) in &evaluation.metrics {
                        assert!(value.is_finite(), "{name} of {shape:?} and {}: {metric} {value}", targets.spec());
                        let trained = history.metric(metric)[0];
                        assert!(trained.is_nan() || (trained - value).abs() < 1e-5, "{metric}: {trained} and {value}");
                    }
                    all.push((evaluation.loss, evaluation.metrics, targets.spec()));
                    taken += 1;
                }
                let (loss, metrics, _) = &all[0];
                for (other_loss, others, spec) in &all[1..] {
                    assert!(
                        (loss - other_loss).abs() < 1e-6,
                        "{name} of {shape:?} and {spec}: {other_loss}, not {loss}"
                    );
                    for ((metric, value), (_, other)) in metrics.iter().zip(others) {
                        // Signs and labels are one thing to decisions, not to errors.
                        assert!(
                            (value - other).abs() < 1e-6,
                            "{name}, {shape:?}, {spec}: {metric} {other}, not {value}"
                        );
                    }
                }
            }
        }
    }
    assert!(taken > 150, "{taken} forms");
}

#[test]
fn a_confusion_table_takes_every_form() {
    let cpu = Device::cpu().expect("a CPU");
    let x = |n: usize| (0..n).map(|i| 4.0 * number(i + 17) - 2.0).collect::<Vec<f32>>();
    for (shape, losses, targets) in groups() {
        let n = SAMPLES * shape.iter().product::<usize>();
        let x = Tensor::f32(batched(&shape), x(n)).expect("outputs");
        let mut model = echo(&cpu, &shape, losses[0](), &[Metric::Accuracy]).expect("a model");
        let mut tables = Vec::new();
        for targets in targets {
            let data = Dataset::new(x.clone(), targets).expect("good data");
            let Ok(table) = model.confusion(&data) else { continue };
            let accuracy = model.evaluate(&data).expect("an evaluation").accuracy();
            assert!((table.accuracy() - accuracy).abs() < 1e-6, "{shape:?}: {} and {accuracy}", table.accuracy());
            tables.push(table.counts);
        }
        assert!(tables.windows(2).all(|two| two[0] == two[1]), "{shape:?}: {tables:?}");
    }
}
