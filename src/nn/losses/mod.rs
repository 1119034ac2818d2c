//! Loss functions.

mod binary;
mod class_weights;
mod cross_entropy;
mod dice_cross_entropy;
mod distance;
mod divergence;
mod focal;
mod form;
mod hinge;
mod missing;
mod overlap;
mod quantile;
mod regression;
mod targets;

use std::fmt;

use crate::error::{Error, Result};
use crate::graph::Var;
use crate::shape::Shape;
use crate::tensor::Tensor;

pub use binary::BinaryCrossEntropy;
pub(crate) use class_weights::check_class_weights;
pub use cross_entropy::CategoricalCrossEntropy;
pub use dice_cross_entropy::DiceCrossEntropy;
pub use distance::CosineSimilarity;
pub use divergence::{KullbackLeibler, Poisson};
pub use focal::{BinaryFocal, CategoricalFocal};
pub use form::{Form, Taken};
pub use hinge::{CategoricalHinge, Hinge};
pub use missing::Missing;
pub use overlap::{Dice, Jaccard, Tversky};
pub use quantile::Quantile;
pub use regression::{
    Huber, LogCosh, MeanAbsoluteError, MeanAbsolutePercentageError, MeanSquaredError, MeanSquaredLogarithmicError,
};

/// How a loss's values become one number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reduction {
    /// `Σ w · l / n` over all `n` values that are not ignored: Keras's `sum_over_batch_size`. Sample weights do not count in `n`.
    #[default]
    Mean,
    /// `Σ w · l / Σ w`: Keras's `mean_with_sample_weight`. The mean where there are no weights.
    WeightedMean,
    /// `Σ w · l`
    Sum,
}

/// How predictions become decisions, for metrics.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judgement {
    /// The axis along which classes exclude each other, which counts from the end where it is negative: the largest output is the
    /// prediction. `None` where every element is decided by itself.
    pub classes: Option<isize>,
    /// The output above which an element counts as positive, where it is decided by itself or stands alone on that axis: one half for
    /// probabilities, 0 for logits.
    pub threshold: f32,
}

impl Judgement {
    /// Classes along this axis; an output alone on it is a probability.
    pub fn classes(axis: isize) -> Self {
        Judgement { classes: Some(axis), threshold: 0.5 }
    }

    /// Every element by itself, of probabilities or of logits.
    pub fn elements(from_logits: bool) -> Self {
        Judgement { classes: None, threshold: if from_logits { 0.0 } else { 0.5 } }
    }

    /// The axis of the classes in predictions of `rank` dimensions and `shape`, where there is more than one of them.
    pub(crate) fn axis(self, shape: &[usize]) -> Option<usize> {
        let axis = self.classes?;
        let axis = usize::try_from(if axis < 0 { axis + shape.len() as isize } else { axis }).ok()?;
        (axis > 0 && shape.get(axis).is_some_and(|classes| *classes > 1)).then_some(axis)
    }
}

/// A loss. Write your own by implementing this: push the nodes that make values of predictions and targets; their gradients come by
/// themselves.
///
/// ```
/// use galen::{Result, Var, nn::Loss, prelude::*};
///
/// /// An error below counts twice.
/// #[derive(Debug)]
/// struct Lopsided;
///
/// impl Loss for Lopsided {
///     fn name(&self) -> &'static str {
///         "lopsided"
///     }
///
///     fn values(&self, y: &Var, targets: &Var) -> Result<Var> {
///         let error = y.sub(targets)?;
///         error.abs()?.add(&error.neg()?.relu()?)
///     }
/// }
///
/// let network = Sequential::new([2]).with(Dense::new(1));
/// let model = network.compile_on(&Setup::on(&Device::cpu()?), Adam::new(0.01), Lopsided, &[])?;
/// # Ok::<(), galen::Error>(())
/// ```
pub trait Loss: fmt::Debug + Send + Sync {
    /// Its name, as it stands in logs.
    fn name(&self) -> &'static str;

    /// The loss of every sample `[batch]`, or of every element of a sample `[batch, ..]`, not reduced.
    ///
    /// # Errors
    /// Where the targets' shape or type does not fit the predictions `y`.
    fn values(&self, y: &Var, targets: &Var) -> Result<Var>;

    /// Which labels count: 1 where one does and 0 where it is left out; all of them where this is `None`. Metrics, counts and class
    /// weights leave out what the loss leaves out.
    ///
    /// The shape is that of the decisions: the predictions' shape, without the class axis (or with an extent of 1 there) where classes
    /// exclude each other (see [`Loss::judgement`]). A shape that broadcasts to the predictions' will do where they do not.
    ///
    /// # Errors
    /// Those of [`Loss::values`].
    fn mask(&self, _y: &Var, _targets: &Var) -> Result<Option<Var>> {
        Ok(None)
    }

    /// Which of the values count, 1 or 0, in the values' shape; all of them where this is `None`. Values that do not count must be 0. By
    /// default those whose label counts; a loss that makes one value of many labels says here which values are left.
    ///
    /// # Errors
    /// Those of [`Loss::values`].
    fn counts(&self, y: &Var, targets: &Var) -> Result<Option<Var>> {
        self.mask(y, targets)
    }

    /// The targets in the form that metrics take: where classes exclude each other (see [`Loss::judgement`]) class indices `u32` in the
    /// predictions' shape without the class axis, or shares `f32` in the predictions' shape; elsewhere `f32` in the predictions' shape.
    /// By default this brings `[n, 1]` to `[n]` and the like as the losses of this module do.
    ///
    /// # Errors
    /// Where the targets' shape or type does not fit the predictions.
    fn labels(&self, y: &Var, targets: &Var) -> Result<Var> {
        match self.judgement(&y.shape()).axis(&y.shape()) {
            Some(axis) => targets::classes(self.name(), y, targets, axis),
            None => targets::labels_like(self.name(), y, targets),
        }
    }

    /// How the values become one number.
    fn reduction(&self) -> Reduction {
        Reduction::Mean
    }

    /// In which form the loss takes the predictions `y`, values unless it says otherwise. Asked when a model is compiled, and by losses of
    /// logits or probabilities in [`Loss::values`]: see [`Form::taken`].
    ///
    /// # Errors
    /// Where what `y` comes from contradicts the loss.
    fn takes(&self, _y: &Var) -> Result<Taken> {
        Ok(Taken::VALUES)
    }

    /// How a prediction is judged right or wrong, given the predictions' shape. The threshold is that of values; where [`Loss::takes`] gives
    /// logits or probabilities, it is 0 or one half.
    fn judgement(&self, shape: &Shape) -> Judgement {
        // Rows of scores are classes; of images and sequences only the loss knows where the classes are.
        if shape.len() == 2 { Judgement::classes(-1) } else { Judgement::elements(false) }
    }

    /// The same loss with another reduction.
    fn reduced(self, reduction: Reduction) -> Reduced<Self>
    where
        Self: Sized,
    {
        Reduced { loss: self, reduction }
    }

    /// The same loss, for which targets of this value are missing: they count for nothing, in the loss and in every metric. NaN is a
    /// marker like any other number. Targets must be `f32`, and the loss must have a value for each of them; others are refused when
    /// a training begins.
    ///
    /// ```
    /// use galen::nn::{Loss, MeanSquaredError};
    ///
    /// let loss = MeanSquaredError::new().missing(f32::NAN);
    /// assert_eq!(loss.name(), "mse");
    /// ```
    fn missing(self, marker: f32) -> Missing<Self>
    where
        Self: Sized,
    {
        Missing::new(self, marker)
    }

    /// Refuses targets that no prediction of shape `output` (for one sample) could meet, before a training begins.
    ///
    /// # Errors
    /// [`Error::Data`], naming the first bad one.
    fn check(&self, _targets: &Tensor, _output: &Shape) -> Result<()> {
        Ok(())
    }
}

/// A loss with another reduction: see [`Loss::reduced`].
#[derive(Clone, Debug)]
pub struct Reduced<L> {
    loss: L,
    reduction: Reduction,
}

impl<L: Loss> Loss for Reduced<L> {
    fn name(&self) -> &'static str {
        self.loss.name()
    }

    fn values(&self, y: &Var, targets: &Var) -> Result<Var> {
        self.loss.values(y, targets)
    }

    fn mask(&self, y: &Var, targets: &Var) -> Result<Option<Var>> {
        self.loss.mask(y, targets)
    }

    fn counts(&self, y: &Var, targets: &Var) -> Result<Option<Var>> {
        self.loss.counts(y, targets)
    }

    fn labels(&self, y: &Var, targets: &Var) -> Result<Var> {
        self.loss.labels(y, targets)
    }

    fn reduction(&self) -> Reduction {
        self.reduction
    }

    fn takes(&self, y: &Var) -> Result<Taken> {
        self.loss.takes(y)
    }

    fn judgement(&self, shape: &Shape) -> Judgement {
        self.loss.judgement(shape)
    }

    fn check(&self, targets: &Tensor, output: &Shape) -> Result<()> {
        self.loss.check(targets, output)
    }
}

/// How the loss of a batch adds up to the loss of a pass.
#[derive(Clone, Debug)]
pub(crate) enum Total {
    /// It is a mean over samples, each of which counts the same.
    Mean,
    /// It is a sum.
    Sum,
    /// It is `sum / count`, both of which the device computes.
    Counted { sum: Var, count: Var },
}

/// The loss of predictions `y`, a scalar. `weights` are those of the samples, `[batch]`.
///
/// # Errors
/// What the loss says of predictions and targets; where it gives values without the batch as their first dimension.
pub fn reduce(loss: &dyn Loss, y: &Var, targets: &Var, weights: Option<&Var>) -> Result<Var> {
    total(loss, y, targets, weights).map(|(value, _)| value)
}

/// [`reduce`], and how the number adds up over batches.
pub(crate) fn total(loss: &dyn Loss, y: &Var, targets: &Var, weights: Option<&Var>) -> Result<(Var, Total)> {
    let (values, mask) = (loss.values(y, targets)?, loss.counts(y, targets)?);
    let (shape, batch) = (values.shape(), y.shape().first().copied().unwrap_or(1));
    if shape.first() != Some(&batch) {
        return Err(Error::shape(loss.name(), format!("values [{batch}, ..]"), shape.to_string()));
    }
    let weights = weights.map(|weights| {
        let mut column = vec![1; shape.len()];
        column[0] = batch;
        weights.reshape(column)
    });
    let weights = weights.transpose()?;
    let weighted = weights.as_ref().map_or(Ok(values.clone()), |weights| values.mul(weights))?;
    // How much of a value each one is, where that is not 1 for all.
    let counts = match (loss.reduction(), &mask, &weights) {
        (Reduction::Sum, ..) => return Ok((weighted.sum_all()?, Total::Sum)),
        (Reduction::Mean, Some(mask), _) | (Reduction::WeightedMean, Some(mask), None) => mask.broadcast_to(shape)?,
        (Reduction::WeightedMean, Some(mask), Some(weights)) => mask.mul(weights)?,
        (Reduction::WeightedMean, None, Some(weights)) => weights.scale((shape.elements() / batch.max(1)) as f32)?,
        (_, None, _) => return Ok((weighted.mean_all()?, Total::Mean)),
    };
    let (sum, count) = (weighted.sum_all()?, counts.sum_all()?);
    // Where nothing counts the loss is 0 and not 0 / 0.
    let value = sum.div(&count.select(&count, &count.graph().fill(count.shape(), 1.0)?)?)?;
    Ok((value, Total::Counted { sum, count }))
}

/// One of several losses in a batch: its weight, its value, and its sums.
pub(crate) type OneOf = (f32, Var, Total);

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

    /// No losses at all: of a model that is not trained.
    pub(crate) fn none() -> Losses {
        Losses(Vec::new())
    }

    /// True only of a model that was opened from a file without losses.
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
        self.terms(outputs, targets, weights).map(|(sum, _)| sum)
    }

    /// [`Losses::build`], and the total of each loss by itself with its weight.
    pub(crate) fn terms(&self, outputs: &[Var], targets: &[Var], weights: Option<&Var>) -> Result<(Var, Vec<OneOf>)> {
        if outputs.len() != self.len() || targets.len() != self.len() {
            let actual = format!("{} outputs and {} targets", outputs.len(), targets.len());
            return Err(Error::data("losses", format!("{0} outputs and {0} targets", self.len()), actual));
        }
        let (mut sum, mut terms): (Option<Var>, _) = (None, Vec::new());
        for ((loss, weight), (y, t)) in self.iter().zip(outputs.iter().zip(targets)) {
            if !weight.is_finite() || weight < 0.0 {
                return Err(Error::parameter(loss.name(), "weight", "a number not below 0", weight));
            }
            let (value, total) = total(loss, y, t, weights)?;
            let weighted = if weight == 1.0 { value.clone() } else { value.scale(weight)? };
            terms.push((weight, value, total));
            sum = Some(match sum {
                Some(sum) => sum.add(&weighted)?,
                None => weighted,
            });
        }
        let sum = sum.ok_or_else(|| Error::usage("losses", "there is none"))?;
        Ok((sum, terms))
    }
}

impl<L: Loss + 'static> From<L> for Losses {
    fn from(loss: L) -> Losses {
        Losses::new(loss)
    }
}
