//! What the device measures while it trains and evaluates, against the same counted on the host from predictions.

mod common;

use galen::nn::{BinaryCrossEntropy, Losses};
use galen::prelude::*;
use ndarray::{Array1, Array2, Array4, ArrayD};

const SAMPLES: usize = 23;

fn number(i: usize) -> f32 {
    ((i as u32).wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 24) as f32
}

/// What an evaluation gives for `metrics`, and the predictions, on every device.
fn measured(
    network: fn() -> Sequential,
    loss: fn() -> Losses,
    data: &Dataset,
    metrics: &[Metric],
) -> Vec<(Vec<f64>, ArrayD<f32>)> {
    let on = |device: &Device| {
        let mut model =
            network().compile_on(&Setup::on(device).seed(4), Sgd::new(1e-30), loss(), metrics).expect("a model");
        let evaluation = model.evaluate(data).expect("an evaluation");
        // The last batch has fewer samples than the others.
        let history = model.fit(data, &Fit::new().batch_size(5).verbose(false)).expect("an epoch that changes nothing");
        for metric in metrics {
            let (trained, evaluated) = (history.metric(&metric.name())[0], evaluation.metric(&metric.name()));
            assert!((trained - evaluated).abs() < 1e-6, "{}: {trained} in training, {evaluated} after", metric.name());
        }
        let values = metrics.iter().map(|metric| evaluation.metric(&metric.name())).collect();
        (values, model.predict_dataset(data).expect("predictions"))
    };
    common::devices().iter().map(on).collect()
}

/// True positives, false positives, false negatives, true negatives.
fn table(predicted: &[bool], truth: &[bool]) -> [f64; 4] {
    let count = |p, t| predicted.iter().zip(truth).filter(|(a, b)| (**a, **b) == (p, t)).count() as f64;
    [count(true, true), count(true, false), count(false, true), count(false, false)]
}

const BINARY: [Metric; 7] =
    [Metric::Precision, Metric::Recall, Metric::Specificity, Metric::F1, Metric::Dice, Metric::Iou, Metric::Accuracy];

fn expect_binary(values: &[f64], predicted: &[bool], truth: &[bool]) {
    let [tp, fp, fn_, tn] = table(predicted, truth);
    assert!(tp > 0.0 && fp > 0.0 && fn_ > 0.0 && tn > 0.0, "a table that says something: {:?}", [tp, fp, fn_, tn]);
    let f1 = 2.0 * tp / (2.0 * tp + fp + fn_);
    let all = tp + fp + fn_ + tn;
    let expected = [tp / (tp + fp), tp / (tp + fn_), tn / (tn + fp), f1, f1, tp / (tp + fp + fn_), (tp + tn) / all];
    for ((value, expected), metric) in values.iter().zip(expected).zip(BINARY) {
        assert!((value - expected).abs() < 1e-6, "{}: {value}, expected {expected}", metric.name());
    }
}

fn features() -> Array2<f32> {
    Array2::from_shape_fn((SAMPLES, 3), |(i, j)| 4.0 * number(i * 3 + j) - 2.0)
}

fn labels() -> Vec<bool> {
    (0..SAMPLES).map(|i| number(1000 + i) > 0.5).collect()
}

#[test]
fn one_output_is_compared_with_the_loss_threshold() {
    let truth = labels();
    let column = Array2::from_shape_fn((SAMPLES, 1), |(i, _)| f32::from(truth[i]));
    let data = Dataset::new(features(), column).expect("good data");
    let logits = || Losses::from(BinaryCrossEntropy::new().from_logits());
    for (values, y) in measured(|| Sequential::new([3]).with(Dense::new(1)), logits, &data, &BINARY) {
        expect_binary(&values, &y.iter().map(|v| *v > 0.0).collect::<Vec<_>>(), &truth);
    }
    let network = || Sequential::new([3]).with(Dense::new(1).activation(Sigmoid));
    for (values, y) in measured(network, || BinaryCrossEntropy::new().into(), &data, &BINARY) {
        expect_binary(&values, &y.iter().map(|v| *v > 0.5).collect::<Vec<_>>(), &truth);
    }
}

#[test]
fn a_confusion_table_counts_as_accuracy_does() {
    let truth = labels();
    let column = Array2::from_shape_fn((SAMPLES, 1), |(i, _)| f32::from(truth[i]));
    let data = Dataset::new(features(), column).expect("good data");
    let network = Sequential::new([3]).with(Dense::new(1));
    let loss = BinaryCrossEntropy::new().from_logits();
    let setup = Setup::on(&Device::cpu().expect("a CPU"));
    let mut model = network.compile_on(&setup, Sgd::new(0.1), loss, &[Metric::Accuracy]).expect("a model");
    let y = model.predict_dataset(&data).expect("outputs");
    assert!(y.iter().any(|v| (0.0..0.5).contains(v)), "logits that a threshold of one half would get wrong");
    let table = model.confusion(&data).expect("a table");
    let accuracy = model.evaluate(&data).expect("an evaluation").accuracy();
    assert!((table.accuracy() - accuracy).abs() < 1e-6, "{} and {accuracy}", table.accuracy());
}

#[test]
fn of_two_classes_the_second_is_positive() {
    let truth = labels();
    let classes = Array1::from_iter(truth.iter().map(|t| u32::from(*t)));
    let hot = Array2::from_shape_fn((SAMPLES, 2), |(i, j)| f32::from(truth[i] == (j == 1)));
    for data in [Dataset::new(features(), classes), Dataset::new(features(), hot)] {
        let data = data.expect("good data");
        let loss = || Losses::from(CategoricalCrossEntropy::new().from_logits());
        for (values, y) in measured(|| Sequential::new([3]).with(Dense::new(2)), loss, &data, &BINARY) {
            let predicted: Vec<bool> = y.rows().into_iter().map(|row| row[1] > row[0]).collect();
            expect_binary(&values, &predicted, &truth);
        }
    }
}

#[test]
fn masks_are_judged_pixel_by_pixel() {
    let x = Array4::from_shape_fn((SAMPLES, 1, 4, 5), |(i, _, r, c)| 4.0 * number(i * 20 + r * 5 + c) - 2.0);
    let mask = |i: usize, r: usize, c: usize| number(5000 + i * 20 + r * 5 + c) > 0.6;
    let truth: Vec<bool> = (0..SAMPLES * 20).map(|k| mask(k / 20, k / 5 % 4, k % 5)).collect();
    let one = Array4::from_shape_fn((SAMPLES, 1, 4, 5), |(i, _, r, c)| f32::from(mask(i, r, c)));
    let data = Dataset::new(x.clone(), one).expect("good data");
    let loss = || Losses::from(BinaryCrossEntropy::new().from_logits());
    let network = || Sequential::new([1, 4, 5]).with(Conv2d::new(1, [3, 3]).padding(Padding::Same));
    for (values, y) in measured(network, loss, &data, &BINARY) {
        expect_binary(&values, &y.iter().map(|v| *v > 0.0).collect::<Vec<_>>(), &truth);
    }
    let classes = ndarray::Array3::from_shape_fn((SAMPLES, 4, 5), |(i, r, c)| u32::from(mask(i, r, c)));
    let hot = Array4::from_shape_fn((SAMPLES, 2, 4, 5), |(i, k, r, c)| f32::from(mask(i, r, c) == (k == 1)));
    for data in [Dataset::new(x.clone(), classes), Dataset::new(x, hot)] {
        let data = data.expect("good data");
        let loss = || Losses::from(CategoricalCrossEntropy::new().from_logits().axis(1));
        let network = || Sequential::new([1, 4, 5]).with(Conv2d::new(2, [3, 3]).padding(Padding::Same));
        for (values, y) in measured(network, loss, &data, &BINARY) {
            let predicted: Vec<bool> = (0..SAMPLES * 20)
                .map(|k| y[[k / 20, 1, k / 5 % 4, k % 5]] > y[[k / 20, 0, k / 5 % 4, k % 5]])
                .collect();
            expect_binary(&values, &predicted, &truth);
        }
    }
}

#[test]
fn labels_that_do_not_exclude_each_other_are_judged_one_by_one() {
    let truth: Vec<bool> = (0..SAMPLES * 2).map(|k| number(300 + k) > 0.5).collect();
    let labels = Array2::from_shape_fn((SAMPLES, 2), |(i, j)| f32::from(truth[2 * i + j]));
    let data = Dataset::new(features(), labels).expect("good data");
    let loss = || Losses::from(BinaryCrossEntropy::new().from_logits());
    for (values, y) in measured(|| Sequential::new([3]).with(Dense::new(2)), loss, &data, &BINARY) {
        expect_binary(&values, &y.iter().map(|v| *v > 0.0).collect::<Vec<_>>(), &truth);
    }
}

#[test]
fn the_class_may_be_among_the_largest() {
    let classes = Array1::from_shape_fn(SAMPLES, |i| (number(900 + i) * 5.0) as u32);
    let data = Dataset::new(features(), classes.clone()).expect("good data");
    let loss = || Losses::from(CategoricalCrossEntropy::new().from_logits());
    let metrics = [Metric::TopK(1), Metric::TopK(2), Metric::TopK(5), Metric::Accuracy];
    for (values, y) in measured(|| Sequential::new([3]).with(Dense::new(5)), loss, &data, &metrics) {
        let share = |k: usize| {
            let rows = y.rows().into_iter().zip(&classes);
            let hits = rows.filter(|(row, c)| row.iter().filter(|v| **v > row[**c as usize]).count() < k).count();
            hits as f64 / SAMPLES as f64
        };
        let expected = [share(1), share(2), 1.0, share(1)];
        assert!(values.iter().zip(expected).all(|(v, e)| (v - e).abs() < 1e-6), "{values:?}, expected {expected:?}");
    }
}

#[test]
fn the_area_under_the_curve_is_counted_from_all_outputs() {
    let truth = labels();
    let classes = Array1::from_iter(truth.iter().map(|t| u32::from(*t)));
    let data = Dataset::new(features(), classes).expect("good data");
    for device in common::devices() {
        let network = Sequential::new([3]).with(Dense::new(2));
        let loss = CategoricalCrossEntropy::new().from_logits();
        let setup = Setup::on(&device).seed(4);
        let mut model =
            network.compile_on(&setup, Sgd::new(0.1), loss, &[Metric::Auc, Metric::Accuracy]).expect("a model");
        let options = Fit::new().batch_size(5).validation(&data).verbose(false);
        let history = model.fit(&data, &options).expect("an epoch");
        let y = model.predict_dataset(&data).expect("predictions");
        let score = |i: usize| y[[i, 1]] - y[[i, 0]];
        let (mut pairs, mut right) = (0.0, 0.0);
        for i in (0..SAMPLES).filter(|i| truth[*i]) {
            for j in (0..SAMPLES).filter(|j| !truth[*j]) {
                pairs += 1.0;
                right += if score(i) > score(j) { 1.0 } else { 0.5 * f64::from(score(i) == score(j)) };
            }
        }
        assert!((history.val_metric("auc")[0] - right / pairs).abs() < 1e-12, "{:?}", history.epochs[0]);
        assert!(history.metric("auc")[0].is_nan() && history.metric("accuracy")[0] > 0.0);
        let one = data.select(&(0..SAMPLES).filter(|i| truth[*i]).collect::<Vec<_>>()).expect("one class");
        assert!(model.evaluate(&one).is_err(), "there is no curve of one class");
    }
}

#[test]
fn errors_of_values_are_means() {
    let targets = Array2::from_shape_fn((SAMPLES, 2), |(i, j)| number(70 + 2 * i + j));
    let data = Dataset::new(features(), targets.clone()).expect("good data");
    let metrics = [Metric::MeanSquaredError, Metric::MeanAbsoluteError];
    let network = || Sequential::new([3]).with(Dense::new(2));
    for (values, y) in measured(network, || MeanSquaredError::new().into(), &data, &metrics) {
        let errors: Vec<f64> = y.iter().zip(&targets).map(|(y, t)| f64::from(*y) - f64::from(*t)).collect();
        let mean = |f: fn(f64) -> f64| errors.iter().map(|e| f(*e)).sum::<f64>() / errors.len() as f64;
        let expected = [mean(|e| e * e), mean(f64::abs)];
        assert!(values.iter().zip(expected).all(|(v, e)| (v - e).abs() < 1e-5), "{values:?}, expected {expected:?}");
    }
}
