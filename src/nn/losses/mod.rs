//! What training makes small.

mod cross_entropy;
mod regression;

use std::fmt;

use crate::error::{Error, Result};
use crate::graph::Var;
use crate::shape::{DType, Shape};
use crate::tensor::Tensor;

pub use cross_entropy::CategoricalCrossEntropy;
pub use regression::MeanSquaredError;

/// How a loss's values become one number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reduction {
    /// `Σ w · l / n` over all `n` values: Keras's `sum_over_batch_size`. Sample weights do not count in `n`.
    #[default]
    Mean,
    /// `Σ w · l / Σ w`: Keras's `mean_with_sample_weight`. The mean where there are no weights.
    WeightedMean,
    /// `Σ w · l`
    Sum,
}

/// A loss. Write your own by implementing this: push the nodes that make values of predictions and targets.
pub trait Loss: fmt::Debug + Send + Sync {
    /// Its name, as it stands in logs.
    fn name(&self) -> &'static str;

    /// The loss of every sample `[batch]`, or of every element of a sample `[batch, ..]`, not reduced.
    ///
    /// # Errors
    /// Where the targets' shape or type does not fit the predictions `y`.
    fn values(&self, y: &Var, targets: &Var) -> Result<Var>;

    /// How the values become one number.
    fn reduction(&self) -> Reduction {
        Reduction::Mean
    }

    /// Refuses targets that no prediction of shape `output` (for one sample) could meet, before a training begins.
    ///
    /// # Errors
    /// [`Error::Data`], naming the first bad one.
    fn check(&self, _targets: &Tensor, _output: &Shape) -> Result<()> {
        Ok(())
    }
}

/// The loss of predictions `y`, a scalar. `weights` are those of the samples, `[batch]`.
///
/// # Errors
/// What the loss says of predictions and targets; where it gives values without the batch as their first dimension.
pub fn reduce(loss: &dyn Loss, y: &Var, targets: &Var, weights: Option<&Var>) -> Result<Var> {
    let values = loss.values(y, targets)?;
    let (shape, batch) = (values.shape(), y.shape().first().copied().unwrap_or(1));
    if shape.first() != Some(&batch) {
        return Err(Error::shape(loss.name(), format!("values [{batch}, ..]"), shape.to_string()));
    }
    let Some(weights) = weights else {
        return if loss.reduction() == Reduction::Sum { values.sum_all() } else { values.mean_all() };
    };
    let mut column = vec![1; shape.len()];
    column[0] = batch;
    let weighted = values.mul(&weights.reshape(column)?)?;
    match loss.reduction() {
        Reduction::Mean => weighted.mean_all(),
        Reduction::Sum => weighted.sum_all(),
        Reduction::WeightedMean => {
            let per_sample = (shape.elements() / batch.max(1)) as f32;
            weighted.sum_all()?.div(&weights.sum_all()?.scale(per_sample)?)
        }
    }
}

/// The losses of a model's outputs, one for each, and how much each counts. A single loss becomes one by itself.
///
/// ```
/// use galen::nn::{CategoricalCrossEntropy, Losses, MeanSquaredError};
///
/// let both = Losses::new(CategoricalCrossEntropy::new()).and(MeanSquaredError::new(), 0.5);
/// assert_eq!(both.len(), 2);
/// ```
#[derive(Debug)]
pub struct Losses(Vec<(Box<dyn Loss>, f32)>);

impl Losses {
    /// The loss of the first output, with weight 1.
    pub fn new(loss: impl Loss + 'static) -> Losses {
        Losses(vec![(Box::new(loss), 1.0)])
    }

    /// The loss of the next output, and how much it counts.
    #[must_use]
    pub fn and(mut self, loss: impl Loss + 'static, weight: f32) -> Losses {
        self.0.push((Box::new(loss), weight));
        self
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Never true.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The losses, with their weights.
    pub fn iter(&self) -> impl Iterator<Item = (&dyn Loss, f32)> {
        self.0.iter().map(|(loss, weight)| (loss.as_ref(), *weight))
    }

    /// The weighted sum of the losses of `outputs`, a scalar.
    ///
    /// # Errors
    /// Where there are not as many losses and targets as outputs; what the losses say.
    pub fn build(&self, outputs: &[Var], targets: &[Var], weights: Option<&Var>) -> Result<Var> {
        if outputs.len() != self.len() || targets.len() != self.len() {
            let actual = format!("{} outputs and {} targets", outputs.len(), targets.len());
            return Err(Error::data("losses", format!("{0} outputs and {0} targets", self.len()), actual));
        }
        let mut sum: Option<Var> = None;
        for ((loss, weight), (y, t)) in self.iter().zip(outputs.iter().zip(targets)) {
            if !weight.is_finite() || weight < 0.0 {
                return Err(Error::parameter(loss.name(), "weight", "a number not below 0", weight));
            }
            let mut value = reduce(loss, y, t, weights)?;
            if weight != 1.0 {
                value = value.scale(weight)?;
            }
            sum = Some(match sum {
                Some(sum) => sum.add(&value)?,
                None => value,
            });
        }
        sum.ok_or_else(|| Error::usage("losses", "there is none"))
    }
}

impl<L: Loss + 'static> From<L> for Losses {
    fn from(loss: L) -> Losses {
        Losses::new(loss)
    }
}

/// Targets of floats in the shape of the predictions. One value per sample may come as `[n]` or as `[n, 1]`.
pub(crate) fn like(op: &str, y: &Var, targets: &Var) -> Result<Var> {
    if targets.dtype() != DType::F32 {
        return Err(Error::dtype(op, "f32", targets.spec().to_string()));
    }
    let targets = match (&*y.shape(), &*targets.shape()) {
        ([n, 1], [m]) if n == m => targets.reshape([*n, 1])?,
        ([n], [m, 1]) if n == m => targets.reshape([*n])?,
        _ => targets.clone(),
    };
    if y.shape() != targets.shape() {
        return Err(Error::shape(op, y.shape().to_string(), targets.shape().to_string()));
    }
    Ok(targets)
}
