use super::form::{Form, Taken, form_methods};
use super::targets::{check_classes, check_smoothing, class_weights, classes, counted, shares};
use super::{Judgement, Loss};
use crate::error::Result;
use crate::graph::Var;
use crate::shape::{Shape, resolve_axis};
use crate::tensor::Tensor;

/// `−Σ t · ln p` over the classes; for one class out of several. One value per sample, or per pixel.
///
/// Scores are `[batch, classes]`, or have their classes along [`axis`](Self::axis): 1 for images `[batch, classes, h, w]`. Targets are
/// class indices (`u32`) in the scores' shape without that axis, or shares of classes (`f32`, one-hot or soft) in the scores' shape.
///
/// Scores are probabilities where the network ends in softmax, and logits where it ends without an activation: see [`Form`]. With softmax
/// at the network's end the numerically stable formula from logits is computed all the same.
#[derive(Clone, Debug)]
pub struct CategoricalCrossEntropy {
    axis: isize,
    form: Form,
    smoothing: f32,
    weights: Vec<f32>,
    ignored: Option<u32>,
}

impl Default for CategoricalCrossEntropy {
    fn default() -> Self {
        CategoricalCrossEntropy { axis: -1, form: Form::Auto, smoothing: 0.0, weights: Vec::new(), ignored: None }
    }
}

const NAME: &str = "categorical_crossentropy";

impl CategoricalCrossEntropy {
    /// Of probabilities or logits, as the network's end says, with the classes along the last axis.
    pub fn new() -> Self {
        Self::default()
    }

    form_methods!("softmax");

    /// The axis of the classes, which counts from the end where it is negative: 1 for images `[batch, classes, h, w]`.
    #[must_use]
    pub fn axis(self, axis: isize) -> Self {
        CategoricalCrossEntropy { axis, ..self }
    }

    /// Every class gets a share of the target: `(1 − smoothing) t + smoothing / classes`. Source: C. Szegedy et al., "Rethinking the
    /// Inception architecture for computer vision", CVPR 2016.
    #[must_use]
    pub fn label_smoothing(self, smoothing: f32) -> Self {
        CategoricalCrossEntropy { smoothing, ..self }
    }

    /// Each value is multiplied with the weight of its true class (for soft targets with `Σ t w`), for classes that are rare. The mean
    /// still divides by the number of values, as Keras's does.
    #[must_use]
    pub fn class_weights(self, weights: impl Into<Vec<f32>>) -> Self {
        CategoricalCrossEntropy { weights: weights.into(), ..self }
    }

    /// Samples (or pixels) with this label count for nothing. It need not be a class, and is below 2²⁴: 255, say. Needs class indices.
    #[must_use]
    pub fn ignore_index(self, label: u32) -> Self {
        CategoricalCrossEntropy { ignored: Some(label), ..self }
    }
}

impl Loss for CategoricalCrossEntropy {
    fn name(&self) -> &'static str {
        NAME
    }

    fn takes(&self, y: &Var) -> Result<Taken> {
        self.form.taken(NAME, y, self.judgement(&y.shape()))
    }

    fn judgement(&self, _shape: &Shape) -> Judgement {
        Judgement::classes(self.axis)
    }

    fn values(&self, y: &Var, targets: &Var) -> Result<Var> {
        check_smoothing(NAME, self.smoothing)?;
        let axis = resolve_axis(NAME, self.axis, y.shape().len())?;
        let targets = classes(NAME, y, targets, axis)?;
        let smoothed = match self.smoothing {
            0.0 => targets.clone(),
            smoothing => shares(&targets, axis, y.shape()[axis], smoothing)?,
        };
        let from_logits = self.takes(y)?.is_logits();
        let mut values = y.cross_entropy(&smoothed, axis as isize, from_logits)?;
        let zero = y.graph().fill(Shape::default(), 0.0)?;
        let mask = counted(NAME, &targets, self.ignored)?;
        if !self.weights.is_empty() {
            values = values.mul(&class_weights(NAME, &targets, axis, y.shape()[axis], &self.weights, self.ignored)?)?;
        }
        match mask {
            Some(mask) => mask.select(&values, &zero),
            None => Ok(values),
        }
    }

    fn mask(&self, y: &Var, targets: &Var) -> Result<Option<Var>> {
        let axis = resolve_axis(NAME, self.axis, y.shape().len())?;
        counted(NAME, &classes(NAME, y, targets, axis)?, self.ignored)
    }

    fn check(&self, targets: &Tensor, output: &Shape) -> Result<()> {
        // The output's shape is that of one sample.
        let axis = if self.axis > 0 { self.axis - 1 } else { self.axis };
        match resolve_axis(NAME, axis, output.len()) {
            Ok(axis) => check_classes(targets, output[axis], self.ignored),
            Err(_) => Ok(()),
        }
    }
}
