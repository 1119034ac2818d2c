use super::form::{Form, Taken, form_methods};
use super::targets::{check_positive, check_smoothing, check_values, is_marker, labels_like, present};
use super::{Judgement, Loss};
use crate::error::Result;
use crate::graph::Var;
use crate::shape::Shape;
use crate::tensor::Tensor;

/// `−t ln p − (1 − t) ln(1 − p)`, element by element; for yes or no, and for several labels that do not exclude each other.
///
/// Targets are labels 0 and 1 (`f32`, `u32` or bytes) or shares between (`f32`), in the predictions' shape; `[n]` for `[n, 1]` and `[n, h, w]`
/// for `[n, 1, h, w]` will do. Predictions are probabilities, clipped to 1e-7 from 0 and from 1 as Keras's, where the network
/// ends in sigmoid, and logits where it ends without an activation: see [`Form`]. With the sigmoid at the network's end the stable formula
/// from logits is computed all the same.
#[derive(Clone, Debug)]
pub struct BinaryCrossEntropy {
    form: Form,
    smoothing: f32,
    positive: f32,
    missing: Option<f32>,
}

impl Default for BinaryCrossEntropy {
    fn default() -> Self {
        BinaryCrossEntropy { form: Form::Auto, smoothing: 0.0, positive: 1.0, missing: None }
    }
}

const NAME: &str = "binary_crossentropy";

impl BinaryCrossEntropy {
    /// Of probabilities or logits, as the network's end says.
    pub fn new() -> Self {
        Self::default()
    }

    form_methods!("sigmoid");

    /// Targets move towards one half: `(1 − smoothing) t + smoothing / 2`.
    #[must_use]
    pub fn label_smoothing(self, smoothing: f32) -> Self {
        BinaryCrossEntropy { smoothing, ..self }
    }

    /// What a positive label counts: `−w t ln p − (1 − t) ln(1 − p)`, for positives that are rare. As TensorFlow's
    /// `weighted_cross_entropy_with_logits`.
    #[must_use]
    pub fn positive_weight(self, weight: f32) -> Self {
        BinaryCrossEntropy { positive: weight, ..self }
    }

    /// Labels of this value (−1 or NaN, say) are missing and count for nothing, in the loss and in every metric.
    #[must_use]
    pub fn missing(self, label: f32) -> Self {
        BinaryCrossEntropy { missing: Some(label), ..self }
    }

    fn present(&self, labels: &Var) -> Result<Option<Var>> {
        self.missing.map(|marker| present(labels, marker)).transpose()
    }
}

impl Loss for BinaryCrossEntropy {
    fn name(&self) -> &'static str {
        NAME
    }

    fn takes(&self, y: &Var) -> Result<Taken> {
        self.form.taken(NAME, y, self.judgement(&y.shape()))
    }

    fn judgement(&self, _shape: &Shape) -> Judgement {
        self.form.elements()
    }

    fn values(&self, y: &Var, targets: &Var) -> Result<Var> {
        check_smoothing(NAME, self.smoothing)?;
        check_positive(NAME, "positive weight", self.positive)?;
        let from_logits = self.takes(y)?.is_logits();
        let labels = labels_like(NAME, y, targets)?;
        let (mask, zero) = (self.present(&labels)?, y.graph().fill(Shape::default(), 0.0)?);
        let mut t = match &mask {
            Some(mask) => mask.select(&labels, &zero)?,
            None => labels,
        };
        if self.smoothing != 0.0 {
            t = t.scale(1.0 - self.smoothing)?.shift(0.5 * self.smoothing)?;
        }
        let mut values = if self.positive == 1.0 {
            y.binary_cross_entropy(&t, from_logits)?
        } else {
            // w t a + (1 − t) b = s (t′ a + (1 − t′) b) with s = w t + 1 − t and t′ = w t / s.
            let positive = t.scale(self.positive)?;
            let sum = positive.sub(&t)?.shift(1.0)?;
            y.binary_cross_entropy(&positive.div(&sum)?, from_logits)?.mul(&sum)?
        };
        if let Some(mask) = &mask {
            values = mask.select(&values, &zero)?;
        }
        Ok(values)
    }

    fn mask(&self, y: &Var, targets: &Var) -> Result<Option<Var>> {
        self.present(&labels_like(NAME, y, targets)?)
    }

    fn check(&self, targets: &Tensor, _output: &Shape) -> Result<()> {
        let is_missing = |t| self.missing.is_some_and(|marker| is_marker(t, marker));
        check_values(targets, "labels from 0 to 1", |t| (0.0..=1.0).contains(&t) || is_missing(t))
    }
}
