use super::targets::{is_marker, present};
use super::{Judgement, Loss, Reduction, Taken};
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::shape::{DType, Shape};
use crate::tensor::Tensor;

/// A loss for which some targets are missing: see [`Loss::missing`].
#[derive(Clone, Debug)]
pub struct Missing<L> {
    loss: L,
    marker: f32,
}

/// What stands in for a missing target: a value that every loss can take.
const STAND_IN: f32 = 1.0;

impl<L: Loss> Missing<L> {
    pub(super) fn new(loss: L, marker: f32) -> Self {
        Missing { loss, marker }
    }

    /// 1 where a target is there, in the targets' own shape.
    fn present(&self, targets: &Var) -> Result<Var> {
        if targets.dtype() != DType::F32 {
            let expected = "f32, of which one value is the marker of what is missing";
            return Err(Error::dtype(self.name(), expected, targets.spec().to_string()));
        }
        present(targets, self.marker)
    }

    /// The targets with a stand-in for those that are missing.
    fn filled(&self, targets: &Var) -> Result<Var> {
        self.present(targets)?.select(targets, &targets.graph().fill(Shape::default(), STAND_IN)?)
    }

    /// 1 where a target is there, in the predictions' shape.
    fn shown(&self, y: &Var, targets: &Var) -> Result<Var> {
        // A mask takes the same way to the predictions' shape as the targets themselves.
        self.loss.labels(y, &self.present(targets)?)?.broadcast_to(y.shape())
    }
}

impl<L: Loss> Loss for Missing<L> {
    fn name(&self) -> &'static str {
        self.loss.name()
    }

    fn takes(&self, y: &Var) -> Result<Taken> {
        self.loss.takes(y)
    }

    fn judgement(&self, shape: &Shape) -> Judgement {
        // Targets are missing one by one, so they are judged one by one.
        Judgement { classes: None, ..self.loss.judgement(shape) }
    }

    fn values(&self, y: &Var, targets: &Var) -> Result<Var> {
        let values = self.loss.values(y, &self.filled(targets)?)?;
        if values.shape() != y.shape() {
            let expected = format!("a loss with a value for every target, {}, where targets may be missing", y.shape());
            return Err(Error::shape(self.name(), expected, values.shape().to_string()));
        }
        self.shown(y, targets)?.select(&values, &y.graph().fill(Shape::default(), 0.0)?)
    }

    fn mask(&self, y: &Var, targets: &Var) -> Result<Option<Var>> {
        self.shown(y, targets).map(Some)
    }

    fn labels(&self, y: &Var, targets: &Var) -> Result<Var> {
        self.loss.labels(y, &self.filled(targets)?)
    }

    fn reduction(&self) -> Reduction {
        self.loss.reduction()
    }

    fn check(&self, targets: &Tensor, output: &Shape) -> Result<()> {
        let filled = match targets {
            Tensor::F32(x) => x.mapv(|t| if is_marker(t, self.marker) { STAND_IN } else { t }).into(),
            other => other.clone(),
        };
        self.loss.check(&filled, output)
    }
}
