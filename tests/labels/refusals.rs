//! What no loss or metric can take is refused before the first step, in words.

use galen::TensorSpec;
use galen::data::{RowMut, Rows, Source};
use galen::nn::{BinaryCrossEntropy, CategoricalCrossEntropy, KullbackLeibler, Loss, MeanSquaredError};
use galen::prelude::*;
use galen::{DType, Device, Result};
use ndarray::{Array1, Array2, arr1};

use super::{echo, says};

fn cpu() -> Device {
    Device::cpu().expect("a CPU")
}

#[test]
fn a_target_that_is_not_a_number_is_a_missing_one_only_where_the_loss_says_so() {
    let x = Array2::from_elem((4, 1), 0.5f32);
    let data = Dataset::new(x, arr1(&[0f32, 1.0, f32::NAN, 1.0])).expect("a NaN may be a missing label");
    let mut model = echo(&cpu(), &[1], MeanSquaredError::new(), &[]).expect("a model");
    says(model.evaluate(&data), &["targets", "missing", "NaN in sample 2"]);
    says(model.fit(&data, &Fit::new().verbose(false)), &["targets", "NaN in sample 2"]);
    says(model.fit(&data.select(&[0, 1]).expect("two"), &Fit::new().validation(&data).verbose(false)), &["sample 2"]);
    let mut model = echo(&cpu(), &[1], BinaryCrossEntropy::new().from_logits().missing(-1.0), &[]).expect("a model");
    says(model.evaluate(&data), &["NaN in sample 2"]);
    let mut model = echo(&cpu(), &[1], MeanSquaredError::new().missing(-1.0), &[]).expect("a model");
    says(model.evaluate(&data), &["NaN in sample 2"]);
    // Also where the loss cannot take the targets at all.
    let x = Array2::from_elem((4, 3), 0.5f32);
    let data = Dataset::new(x, Array2::from_shape_fn((4, 2), |at| if at == (2, 1) { f32::NAN } else { 1.0 }));
    let mut model = echo(&cpu(), &[3], MeanSquaredError::new(), &[]).expect("a model");
    says(model.evaluate(&data.expect("data")), &["targets", "NaN in sample 2"]);
    let x = Array2::from_elem((2, 1), 0.5f32);
    says(Dataset::new(x, arr1(&[0f32, f32::INFINITY])), &["targets", "inf in sample 1"]);
}

/// Targets that are made when a batch wants them; that of sample 3 is NaN.
#[derive(Debug)]
struct Made;

impl Rows for Made {
    fn len(&self) -> usize {
        5
    }

    fn sample(&self) -> TensorSpec {
        TensorSpec::new(galen::Shape::default(), DType::F32)
    }

    fn read(&self, index: usize, row: RowMut<'_>) -> Result<()> {
        if let RowMut::F32(row) = row {
            row[0] = if index == 3 { f32::NAN } else { 0.5 };
        }
        Ok(())
    }
}

#[test]
fn targets_that_are_made_later_are_looked_at_when_they_are() {
    let data = Dataset::new(Array2::from_elem((5, 1), 0.5f32), Source::rows(Made)).expect("data");
    let mut model = echo(&cpu(), &[1], MeanSquaredError::new(), &[]).expect("a model");
    says(model.evaluate(&data), &["targets", "NaN"]);
    let mut model = echo(&cpu(), &[1], MeanSquaredError::new().missing(f32::NAN), &[]).expect("a model");
    assert_eq!(model.evaluate(&data).expect("four labels").loss, 0.0);
}

#[test]
fn a_marker_needs_targets_that_are_numbers_and_a_loss_with_a_value_for_each() {
    let x = Array2::from_elem((4, 3), 0.5f32);
    let data = Dataset::new(x.clone(), Array2::from_elem((4, 3), 0.25f32)).expect("data");
    let mut model = echo(&cpu(), &[3], KullbackLeibler::new().from_logits().missing(f32::NAN), &[]).expect("a model");
    says(model.evaluate(&data), &["kl_divergence", "a value for every target", "[4]"]);
    let data = Dataset::new(x, Array1::from_elem(4, 1u32)).expect("data");
    let mut model = echo(&cpu(), &[3], MeanSquaredError::new().missing(-1.0), &[]).expect("a model");
    says(model.evaluate(&data), &["mse", "f32", "u32"]);
}

#[test]
fn targets_that_fit_no_output_are_refused_before_the_first_step() {
    let x = Array2::from_elem((4, 3), 0.5f32);
    for metrics in [&[][..], &[Metric::Accuracy], &[Metric::MeanSquaredError, Metric::Auc]] {
        let loss = CategoricalCrossEntropy::new().from_logits();
        let mut model = echo(&cpu(), &[3], loss, metrics).expect("a model");
        for targets in [Array2::from_elem((4, 2), 1u32), Array2::from_elem((4, 3), 1u32)] {
            let data = Dataset::new(x.clone(), targets).expect("data");
            says(model.fit(&data, &Fit::new().verbose(false)), &["categorical_crossentropy", "u32[4]"]);
            assert_eq!(model.history().epochs.len(), 0);
        }
        let data = Dataset::new(x.clone(), Array2::from_elem((4, 2), 1f32)).expect("data");
        says(model.evaluate(&data), &["categorical_crossentropy", "f32[4, 3]", "f32[4, 2]"]);
    }
}

#[test]
fn metrics_that_have_no_meaning_for_the_outputs_fail_when_the_model_is_compiled() {
    let refused = |shape: &[usize], loss: galen::nn::Losses, metric, parts: &[&str]| {
        says(echo(&cpu(), shape, loss, &[metric]), parts);
    };
    let logits = || CategoricalCrossEntropy::new().from_logits();
    refused(&[3], logits().into(), Metric::Dice, &["metric dice", "two classes", "[3]"]);
    refused(&[3], logits().into(), Metric::TopK(4), &["in 1..=3 (the classes), got 4"]);
    refused(&[3, 2, 2], logits().axis(1).into(), Metric::TopK(2), &["metric top_2_accuracy", "[batch, classes]"]);
    refused(&[1], BinaryCrossEntropy::new().from_logits().into(), Metric::TopK(1), &["exclude each other", "[1]"]);
    let many = BinaryCrossEntropy::new().from_logits();
    refused(&[3, 4, 4], many.into(), Metric::Auc, &["metric auc", "one channel", "[3, 4, 4]"]);
    refused(&[5, 3], MeanSquaredError::new().into(), Metric::Auc, &["metric auc", "[5, 3]"]);
}
