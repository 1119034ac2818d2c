//! Losses, activations and noise: settings that make no sense, targets that do not fit.

use galen::data::Dataset;
use galen::nn::*;
use galen::prelude::*;
use galen::{DType, Graph};
use ndarray::{Array1, Array2};

use super::{cpu, says};

/// What a loss says of predictions and targets of these shapes.
fn refused(loss: impl Loss, y: &[usize], targets: (&[usize], DType), parts: &[&str]) {
    let graph = Graph::new();
    let y = graph.input("y", y, DType::F32).expect("an input");
    let targets = graph.input("t", targets.0, targets.1).expect("an input");
    says(reduce(&loss, &y, &targets, None), parts);
}

#[test]
fn settings_of_losses_are_checked() {
    let flat = (&[4, 3][..], DType::F32);
    let binary = BinaryCrossEntropy::new;
    let classes = CategoricalCrossEntropy::new;
    refused(binary().label_smoothing(1.0), flat.0, flat, &["binary_crossentropy", "smoothing", "[0, 1)", "1"]);
    refused(binary().positive_weight(0.0), flat.0, flat, &["positive weight", "positive number", "0"]);
    refused(classes().label_smoothing(-0.1), flat.0, flat, &["categorical_crossentropy", "smoothing", "-0.1"]);
    refused(classes().class_weights([1.0, 2.0]), flat.0, flat, &["class weights", "3 of them", "2"]);
    refused(classes().class_weights([1.0, f32::NAN, 1.0]), flat.0, flat, &["class weights", "positive", "NaN"]);
    refused(classes().axis(2), flat.0, flat, &["axis", "-2..2", "2"]);
    refused(classes().ignore_index(2), flat.0, flat, &["u32 (class indices), of which one", "f32[4, 3]"]);
    refused(classes().ignore_index(1 << 24), flat.0, (&[4], DType::U32), &["ignored label", "below 2²⁴"]);
    refused(Huber::new(0.0), flat.0, flat, &["huber", "delta", "0"]);
    refused(Quantile::new(1.0), flat.0, flat, &["quantile", "between 0 and 1", "1"]);
    refused(Quantile::many([]), flat.0, flat, &["quantile", "at least one"]);
    refused(Quantile::many([0.1, 0.9]), flat.0, flat, &["quantile", "[batch, .., 2]", "[4, 3]"]);
    refused(Quantile::many([0.1, 0.5, 0.9]), flat.0, flat, &["quantile", "targets f32[4]", "f32[4, 3]"]);
    refused(BinaryFocal::new().gamma(-1.0), flat.0, flat, &["binary_focal", "gamma", "-1"]);
    refused(BinaryFocal::new().alpha(1.5), flat.0, flat, &["binary_focal", "alpha", "1.5"]);
    refused(CategoricalFocal::new().gamma(f32::NAN), flat.0, flat, &["categorical_focal", "gamma", "NaN"]);
    refused(Dice::new().smooth(0.0), flat.0, flat, &["dice", "smoothing", "0"]);
    refused(Tversky::new(-1.0, 0.5), flat.0, flat, &["tversky", "false positives", "-1"]);
    refused(Dice::new().without_background(), flat.0, flat, &["dice", "besides the background", "[4, 3]"]);
    refused(DiceCrossEntropy::new().parts(1.0, f32::NAN), flat.0, flat, &["dice_crossentropy", "part", "NaN"]);
    refused(DiceCrossEntropy::new().class_weights([1.0]), flat.0, flat, &["class weights", "exclude"]);
    refused(CosineSimilarity::new().axis(-3), flat.0, flat, &["cosine_similarity", "axis", "-3"]);
}

#[test]
fn targets_that_do_not_fit_are_refused() {
    let image: &[usize] = &[2, 3, 4, 5];
    refused(MeanAbsoluteError::new(), &[4, 3], (&[4, 2], DType::F32), &["mae", "[4, 3]", "[4, 2]"]);
    refused(LogCosh::new(), &[4, 3], (&[4, 3], DType::U32), &["log_cosh", "f32", "u32[4, 3]"]);
    refused(BinaryCrossEntropy::new(), &[4, 3], (&[4], DType::U32), &["binary_crossentropy", "[4, 3]", "[4]"]);
    let pixels = (&[2, 4, 5][..], DType::U32);
    refused(CategoricalCrossEntropy::new(), image, pixels, &["u32[2, 3, 4]", "f32[2, 3, 4, 5]", "u32[2, 4, 5]"]);
    let wrong = (&[2, 2, 4, 5][..], DType::F32);
    refused(CategoricalCrossEntropy::new().axis(1), image, wrong, &["f32[2, 3, 4, 5]", "f32[2, 2, 4, 5]"]);
    refused(Dice::new(), image, (&[2, 5, 4], DType::U32), &["dice", "u32[2, 4, 5]", "u32[2, 5, 4]"]);
    refused(Dice::new(), image, (image, DType::U8), &["dice", "f32 (shares) or u32", "u8[2, 3, 4, 5]"]);
    refused(Dice::new(), &[3], (&[3], DType::F32), &["dice", "[batch, channels, ..]", "[3]"]);
    refused(Jaccard::new(), &[2, 1, 4], (&[2, 5], DType::F32), &["jaccard", "[2, 1, 4]", "[2, 5]"]);
    refused(CategoricalHinge::new(), &[4, 3], (&[5], DType::U32), &["categorical_hinge", "u32[4]", "u32[5]"]);
}

/// Values of targets are looked at before a training begins, and the first bad one is named.
#[test]
fn labels_that_are_none_are_named() {
    let data = |t: Vec<f32>| Dataset::new(Array2::<f32>::zeros((4, 2)), Array1::from(t)).expect("data");
    let evaluate = |loss: Losses, classes: usize, data: &Dataset| {
        let network = Sequential::new([2]).with(Dense::new(classes));
        network.compile_on(&Setup::on(&cpu()), Adam::default(), loss, &[]).and_then(|mut m| m.evaluate(data))
    };
    let bad = data(vec![0.0, 1.0, -1.0, 1.0]);
    let binary = || BinaryCrossEntropy::new().from_logits();
    says(evaluate(binary().into(), 1, &bad), &["labels from 0 to 1", "-1 in sample 2"]);
    evaluate(binary().missing(-1.0).into(), 1, &bad).expect("a loss");
    says(evaluate(Hinge::new().into(), 1, &bad), &["−1 or 1", "0 in sample 0"]);
    says(evaluate(DiceCrossEntropy::new().into(), 1, &bad), &["labels from 0 to 1", "-1 in sample 2"]);
    let labels = Array1::from(vec![0u32, 9, 2, 3]);
    let labels = Dataset::new(Array2::<f32>::zeros((4, 2)), labels).expect("data");
    let classes = || CategoricalCrossEntropy::new().from_logits();
    says(evaluate(classes().into(), 3, &labels), &["0 to 2", "9 in sample 1"]);
    says(evaluate(classes().ignore_index(9).into(), 3, &labels), &["0 to 2", "3 in sample 3"]);
    evaluate(classes().ignore_index(9).into(), 4, &labels).expect("a loss");
    says(evaluate(CategoricalFocal::new().into(), 4, &labels), &["0 to 3", "9 in sample 1"]);
}

#[test]
fn activations_and_noise_are_checked() {
    let build = |layer: Box<dyn Fn(Sequential) -> Sequential>| layer(Sequential::new([3, 4])).summary();
    macro_rules! refuse {
        ($layer:expr, $parts:expr) => {
            says(build(Box::new(|model| model.with($layer))), $parts)
        };
    }
    refuse!(Activate(Activation::LeakyRelu(f32::NAN)), &["leaky_relu", "alpha", "NaN"]);
    refuse!(Activate(Activation::SoftmaxAlong(3)), &["softmax", "axis", "3"]);
    refuse!(PRelu::new().axis(3), &["layer \"p_relu\"", "axis", "3"]);
    refuse!(PRelu::new().axis(0), &["layer \"p_relu\"", "behind the batch"]);
    refuse!(PRelu::new().initial(f32::INFINITY), &["p_relu", "initial alpha", "inf"]);
    refuse!(SpatialDropout::new(1.0), &["spatial_dropout", "rate", "1"]);
    refuse!(SpatialDropout::new(0.1).axis(0), &["spatial_dropout", "behind the batch"]);
    refuse!(GaussianNoise::new(-0.1), &["gaussian_noise", "deviation", "-0.1"]);
    refuse!(GaussianDropout::new(f32::NAN), &["gaussian_dropout", "rate", "NaN"]);
    refuse!(AlphaDropout::new(1.0), &["alpha_dropout", "rate", "1"]);
}
