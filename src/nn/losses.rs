use crate::error::{Error, Result};
use crate::graph::Var;
use crate::shape::DType;

/// What training makes small. Each is the mean over the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// `−Σ t · ln p` over the classes of the last axis; for one class out of several. Targets are class indices (`u32`) or
    /// one-hot rows (`f32`). `from_logits` says that the network ends without softmax; with softmax at its end the same stable
    /// formula is computed.
    CategoricalCrossEntropy {
        /// The network's output is logits, not probabilities.
        from_logits: bool,
    },
    /// The mean of `(y − t)²` over all elements.
    MeanSquaredError,
}

impl Loss {
    /// Categorical cross-entropy of probabilities.
    pub const CATEGORICAL_CROSS_ENTROPY: Loss = Loss::CategoricalCrossEntropy { from_logits: false };

    /// Its name, as it stands in logs.
    pub fn name(self) -> &'static str {
        match self {
            Loss::CategoricalCrossEntropy { .. } => "categorical_crossentropy",
            Loss::MeanSquaredError => "mse",
        }
    }

    /// The loss of predictions `y`, a scalar.
    ///
    /// # Errors
    /// Where the targets' shape or type does not fit the predictions'.
    pub fn build(self, y: &Var, targets: &Var) -> Result<Var> {
        match self {
            Loss::CategoricalCrossEntropy { from_logits } => y.cross_entropy(targets, -1, from_logits)?.mean_all(),
            Loss::MeanSquaredError => {
                if targets.dtype() != DType::F32 {
                    return Err(Error::dtype("mse", "f32", targets.spec().to_string()));
                }
                // One value per sample may come as [n] or as [n, 1].
                let targets = match (&*y.shape(), &*targets.shape()) {
                    ([n, 1], [m]) if n == m => targets.reshape([*n, 1])?,
                    _ => targets.clone(),
                };
                if y.shape() != targets.shape() {
                    return Err(Error::shape("mse", y.shape().to_string(), targets.shape().to_string()));
                }
                y.sub(&targets)?.square()?.mean_all()
            }
        }
    }
}
