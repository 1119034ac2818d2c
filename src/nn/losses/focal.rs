use super::form::{Form, Taken, form_methods};
use super::targets::{
    check_classes, check_not_negative, check_smoothing, check_values, class_weights, classes, counted, labels_like,
    shares,
};
use super::{Judgement, Loss};
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::shape::{Shape, resolve_axis};
use crate::tensor::Tensor;

/// What is left to gain is never taken for less than this, so that every power of it has a slope.
const EPSILON: f32 = 1e-7;

/// `−α_t (1 − p_t)^γ ln p_t`, element by element, with `p_t` the probability of the true answer: binary cross-entropy that counts the
/// easy cases less. Source: T. Lin et al., "Focal loss for dense object detection", ICCV 2017; with soft labels as Keras.
///
/// Targets and predictions are those of [`BinaryCrossEntropy`](super::BinaryCrossEntropy).
#[derive(Clone, Debug)]
pub struct BinaryFocal {
    gamma: f32,
    alpha: Option<f32>,
    form: Form,
    smoothing: f32,
}

impl Default for BinaryFocal {
    fn default() -> Self {
        BinaryFocal { gamma: 2.0, alpha: None, form: Form::Auto, smoothing: 0.0 }
    }
}

impl BinaryFocal {
    /// Of probabilities or logits, as the network's end says, with `γ = 2` and without `α`.
    pub fn new() -> Self {
        Self::default()
    }

    /// How much less easy cases count; 0 is plain cross-entropy.
    #[must_use]
    pub fn gamma(self, gamma: f32) -> Self {
        BinaryFocal { gamma, ..self }
    }

    /// What positives count, from 0 to 1; negatives count `1 − alpha`. The paper's is 0.25.
    #[must_use]
    pub fn alpha(self, alpha: f32) -> Self {
        BinaryFocal { alpha: Some(alpha), ..self }
    }

    form_methods!("sigmoid");

    /// Targets move towards one half: `(1 − smoothing) t + smoothing / 2`.
    #[must_use]
    pub fn label_smoothing(self, smoothing: f32) -> Self {
        BinaryFocal { smoothing, ..self }
    }
}

impl Loss for BinaryFocal {
    fn name(&self) -> &'static str {
        "binary_focal_crossentropy"
    }

    fn takes(&self, y: &Var) -> Result<Taken> {
        self.form.taken(self.name(), y, self.judgement(&y.shape()))
    }

    fn judgement(&self, _shape: &Shape) -> Judgement {
        self.form.elements()
    }

    fn values(&self, y: &Var, targets: &Var) -> Result<Var> {
        check_not_negative(self.name(), "gamma", self.gamma)?;
        check_smoothing(self.name(), self.smoothing)?;
        let mut t = labels_like(self.name(), y, targets)?;
        if self.smoothing != 0.0 {
            t = t.scale(1.0 - self.smoothing)?.shift(0.5 * self.smoothing)?;
        }
        let from_logits = self.takes(y)?.is_logits();
        let p = if from_logits { y.sigmoid()? } else { y.clone() };
        // 1 − p_t, where p_t = t p + (1 − t) (1 − p)
        let missing = p.add(&t)?.sub(&p.mul(&t)?.scale(2.0)?)?.clip(EPSILON, 1.0)?;
        let values = y.binary_cross_entropy(&t, from_logits)?.mul(&missing.powf(self.gamma)?)?;
        match self.alpha {
            None => Ok(values),
            Some(alpha) if (0.0..=1.0).contains(&alpha) => values.mul(&t.scale(2.0 * alpha - 1.0)?.shift(1.0 - alpha)?),
            Some(alpha) => Err(Error::parameter(self.name(), "alpha", "from 0 to 1", alpha)),
        }
    }

    fn check(&self, targets: &Tensor, _output: &Shape) -> Result<()> {
        check_values(targets, "labels from 0 to 1", |t| (0.0..=1.0).contains(&t))
    }
}

/// `−Σ α t (1 − p)^γ ln p` over the classes: categorical cross-entropy that counts the easy cases less. One value per sample, or per
/// pixel. Source: T. Lin et al., "Focal loss for dense object detection", ICCV 2017; for several classes as Keras, whose `alpha`, 0.25 unless
/// it is said, is a class weight here and 1 unless it is said.
///
/// Targets and scores are those of [`CategoricalCrossEntropy`](super::CategoricalCrossEntropy). Take logits where you can: of probabilities
/// that are nearly 0 or 1, which are clipped to 1e-7 from both, digits are lost.
#[derive(Clone, Debug)]
pub struct CategoricalFocal {
    gamma: f32,
    axis: isize,
    form: Form,
    smoothing: f32,
    weights: Vec<f32>,
    ignored: Option<u32>,
}

impl Default for CategoricalFocal {
    fn default() -> Self {
        let (weights, ignored) = (Vec::new(), None);
        CategoricalFocal { gamma: 2.0, axis: -1, form: Form::Auto, smoothing: 0.0, weights, ignored }
    }
}

const CATEGORICAL: &str = "categorical_focal_crossentropy";

impl CategoricalFocal {
    /// Of probabilities or logits, as the network's end says, with `γ = 2` and the classes along the last axis.
    pub fn new() -> Self {
        Self::default()
    }

    /// How much less easy cases count; 0 is plain cross-entropy.
    #[must_use]
    pub fn gamma(self, gamma: f32) -> Self {
        CategoricalFocal { gamma, ..self }
    }

    form_methods!("softmax");

    /// The axis of the classes, which counts from the end where it is negative: 1 for images `[batch, classes, h, w]`.
    #[must_use]
    pub fn axis(self, axis: isize) -> Self {
        CategoricalFocal { axis, ..self }
    }

    /// Every class gets a share of the target: `(1 − smoothing) t + smoothing / classes`.
    #[must_use]
    pub fn label_smoothing(self, smoothing: f32) -> Self {
        CategoricalFocal { smoothing, ..self }
    }

    /// Each value is multiplied with the weight `α` of its true class (for soft targets with `Σ t α`).
    #[must_use]
    pub fn class_weights(self, weights: impl Into<Vec<f32>>) -> Self {
        CategoricalFocal { weights: weights.into(), ..self }
    }

    /// Samples (or pixels) with this label count for nothing. It need not be a class, and is below 2²⁴: 255, say. Needs class indices.
    #[must_use]
    pub fn ignore_index(self, label: u32) -> Self {
        CategoricalFocal { ignored: Some(label), ..self }
    }
}

impl Loss for CategoricalFocal {
    fn name(&self) -> &'static str {
        CATEGORICAL
    }

    fn takes(&self, y: &Var) -> Result<Taken> {
        self.form.taken(self.name(), y, self.judgement(&y.shape()))
    }

    fn judgement(&self, _shape: &Shape) -> Judgement {
        Judgement::classes(self.axis)
    }

    fn values(&self, y: &Var, targets: &Var) -> Result<Var> {
        check_not_negative(CATEGORICAL, "gamma", self.gamma)?;
        check_smoothing(CATEGORICAL, self.smoothing)?;
        let axis = resolve_axis(CATEGORICAL, self.axis, y.shape().len())?;
        let (targets, n, axes) = (classes(CATEGORICAL, y, targets, axis)?, y.shape()[axis], [axis as isize]);
        let log_p = match self.takes(y)?.is_logits() {
            true => y.log_softmax(axes[0])?,
            false => y.clip(EPSILON, 1.0 - EPSILON)?.log()?,
        };
        // 1 − p, with all digits where p is nearly 1.
        let missing = log_p.expm1()?.neg()?.clip(EPSILON, 1.0)?;
        let t = shares(&targets, axis, n, self.smoothing)?;
        let mut values = t.mul(&log_p)?.mul(&missing.powf(self.gamma)?)?.sum(&axes, false)?.neg()?;
        let (mask, zero) = (counted(CATEGORICAL, &targets, self.ignored)?, y.graph().fill(Shape::default(), 0.0)?);
        if !self.weights.is_empty() {
            values = values.mul(&class_weights(CATEGORICAL, &targets, axis, n, &self.weights, self.ignored)?)?;
        }
        match mask {
            Some(mask) => mask.select(&values, &zero),
            None => Ok(values),
        }
    }

    fn mask(&self, y: &Var, targets: &Var) -> Result<Option<Var>> {
        let axis = resolve_axis(CATEGORICAL, self.axis, y.shape().len())?;
        counted(CATEGORICAL, &classes(CATEGORICAL, y, targets, axis)?, self.ignored)
    }

    fn check(&self, targets: &Tensor, output: &Shape) -> Result<()> {
        let axis = if self.axis > 0 { self.axis - 1 } else { self.axis };
        match resolve_axis(CATEGORICAL, axis, output.len()) {
            Ok(axis) => check_classes(targets, output[axis], self.ignored),
            Err(_) => Ok(()),
        }
    }
}
