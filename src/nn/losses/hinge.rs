use super::form::{Form, Taken};
use super::targets::{check_classes, check_values, classes, labels_like, shares};
use super::{Judgement, Loss};
use crate::error::Result;
use crate::graph::Var;
use crate::shape::{DType, Shape, resolve_axis};
use crate::tensor::Tensor;

/// `max(0, 1 − t y)`, element by element, or its [square](Self::squared): right answers must be right by a margin.
/// Predictions are scores, below 0 for no: a network that ends in sigmoid or softmax is an error.
///
/// Targets have the predictions' shape: −1 and 1 (`f32`), or labels 0 and 1 (`u32`), which become those. One value per sample may come as
/// `[n]` or as `[n, 1]`.
#[derive(Clone, Debug, Default)]
pub struct Hinge {
    squared: bool,
}

impl Hinge {
    /// The loss, not squared.
    pub fn new() -> Self {
        Self::default()
    }

    /// `max(0, 1 − t y)²`
    #[must_use]
    pub fn squared(self) -> Self {
        Hinge { squared: true }
    }
}

impl Loss for Hinge {
    fn name(&self) -> &'static str {
        if self.squared { "squared_hinge" } else { "hinge" }
    }

    fn takes(&self, y: &Var) -> Result<Taken> {
        Form::Logits.taken(self.name(), y, self.judgement(&y.shape()))
    }

    fn judgement(&self, _shape: &Shape) -> Judgement {
        Judgement::elements(true)
    }

    fn labels(&self, y: &Var, targets: &Var) -> Result<Var> {
        let t = match targets.dtype() {
            DType::F32 => targets.clone(),
            _ => targets.to_f32()?.scale(2.0)?.shift(-1.0)?,
        };
        labels_like(self.name(), y, &t)
    }

    fn values(&self, y: &Var, targets: &Var) -> Result<Var> {
        self.takes(y)?;
        let short = self.labels(y, targets)?.mul(y)?.neg()?.shift(1.0)?.relu()?;
        if self.squared { short.square() } else { Ok(short) }
    }

    fn check(&self, targets: &Tensor, _output: &Shape) -> Result<()> {
        match targets {
            Tensor::F32(_) => check_values(targets, "−1 or 1 (or labels 0 and 1 as u32)", |t| t == 1.0 || t == -1.0),
            _ => check_values(targets, "labels 0 or 1", |t| t <= 1.0),
        }
    }
}

/// `max(0, 1 + max (1 − t) y − Σ t y)` along an axis: the right class must be above every other by a margin, as in Keras. One value per
/// sample, in the predictions' shape without the axis. Predictions are scores: a network that ends in softmax is an error.
///
/// Targets are class indices (`u32`) in the scores' shape without the axis, or one-hot rows (`f32`) in the scores' shape.
#[derive(Clone, Debug)]
pub struct CategoricalHinge {
    axis: isize,
}

impl Default for CategoricalHinge {
    fn default() -> Self {
        CategoricalHinge { axis: -1 }
    }
}

impl CategoricalHinge {
    /// With the classes along the last axis.
    pub fn new() -> Self {
        Self::default()
    }

    /// The axis of the classes; it counts from the end where it is negative.
    #[must_use]
    pub fn axis(self, axis: isize) -> Self {
        CategoricalHinge { axis }
    }
}

impl Loss for CategoricalHinge {
    fn name(&self) -> &'static str {
        "categorical_hinge"
    }

    fn takes(&self, y: &Var) -> Result<Taken> {
        Form::Logits.taken(self.name(), y, self.judgement(&y.shape()))
    }

    fn judgement(&self, _shape: &Shape) -> Judgement {
        Judgement::classes(self.axis)
    }

    fn values(&self, y: &Var, targets: &Var) -> Result<Var> {
        let name = "categorical_hinge";
        let axis = resolve_axis(name, self.axis, y.shape().len())?;
        self.takes(y)?;
        let t = shares(&classes(name, y, targets, axis)?, axis, y.shape()[axis], 0.0)?;
        let axes = [axis as isize];
        let right = t.mul(y)?.sum(&axes, false)?;
        let wrong = t.neg()?.shift(1.0)?.mul(y)?.max(&axes, false)?;
        wrong.sub(&right)?.shift(1.0)?.relu()
    }

    fn check(&self, targets: &Tensor, output: &Shape) -> Result<()> {
        let axis = if self.axis > 0 { self.axis - 1 } else { self.axis };
        match resolve_axis("categorical_hinge", axis, output.len()) {
            Ok(axis) => check_classes(targets, output[axis], None),
            Err(_) => Ok(()),
        }
    }
}
