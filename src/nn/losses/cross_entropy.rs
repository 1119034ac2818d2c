use super::Loss;
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::shape::Shape;
use crate::tensor::Tensor;

/// `−Σ t · ln p` over the classes of the last axis; for one class out of several. Targets are class indices (`u32`) or one-hot rows
/// (`f32`).
///
/// With softmax at the network's end the numerically stable formula from logits is computed.
#[derive(Clone, Debug, Default)]
pub struct CategoricalCrossEntropy {
    from_logits: bool,
}

impl CategoricalCrossEntropy {
    /// Of probabilities.
    pub fn new() -> Self {
        Self::default()
    }

    /// Of logits: the network ends without softmax.
    #[must_use]
    pub fn from_logits(self) -> Self {
        CategoricalCrossEntropy { from_logits: true }
    }
}

impl Loss for CategoricalCrossEntropy {
    fn name(&self) -> &'static str {
        "categorical_crossentropy"
    }

    fn values(&self, y: &Var, targets: &Var) -> Result<Var> {
        y.cross_entropy(targets, -1, self.from_logits)
    }

    fn check(&self, targets: &Tensor, output: &Shape) -> Result<()> {
        check_classes(targets, output.last().copied().unwrap_or(1), None)
    }
}

/// Refuses class indices that a network with `classes` outputs cannot give, except `ignored`.
pub(crate) fn check_classes(targets: &Tensor, classes: usize, ignored: Option<u32>) -> Result<()> {
    let Tensor::U32(labels) = targets else { return Ok(()) };
    match labels.iter().position(|l| *l as usize >= classes && Some(*l) != ignored) {
        Some(i) => {
            let expected = format!("classes 0 to {} (the network has {classes} outputs)", classes.saturating_sub(1));
            let (label, per_sample) = (labels.iter().nth(i), labels.len() / labels.shape()[0].max(1));
            let actual = format!("{} in sample {}", label.copied().unwrap_or_default(), i / per_sample.max(1));
            Err(Error::data("targets", expected, actual))
        }
        None => Ok(()),
    }
}
