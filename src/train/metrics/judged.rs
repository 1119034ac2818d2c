use ndarray::{ArrayD, Axis};

use crate::error::{Error, Result};
use crate::graph::Var;
use crate::metrics::ConfusionTable;
use crate::nn::{Judgement, Loss};
use crate::shape::{DType, Shape};
use crate::tensor::{Tensor, class_of};

/// How a metric is computed: from sums over every batch, which the device counts, or from the outputs for all samples, on the host.
///
/// Sums and the number of decisions stay apart until the last division, so that neither the batch size nor the order of samples nor
/// labels that are left out change the value.
pub(in crate::train) trait Measure {
    /// How many sums the device keeps; 0 where the metric is computed on the host.
    fn columns(&self) -> usize;

    /// Refuses outputs that the metric has no meaning for, before anything runs. `outputs` is the shape of a batch.
    fn check(&self, _outputs: &Shape, _judgement: Judgement) -> Result<()> {
        Ok(())
    }

    /// Pushes the nodes of the sums over a batch, one number each, over the decisions that count.
    fn sums(&self, _batch: &Judged) -> Result<Vec<Var>> {
        Ok(Vec::new())
    }

    /// The metric, from its sums over a pass and the number of decisions that count.
    fn value(&self, _sums: &[f64], _decisions: f64) -> f64 {
        f64::NAN
    }

    /// The metric, from the outputs for all samples.
    fn of_outputs(&self, _answers: &Answers) -> Result<f64> {
        Err(Error::usage("metrics", "this one is counted while the device runs"))
    }
}

/// A batch as metrics see it: outputs, and labels in the one form that the loss brings them to.
pub(in crate::train) struct Judged {
    pub(super) y: Var,
    /// Class indices `u32` or shares `f32` where classes exclude each other, else numbers in the outputs' shape.
    pub(in crate::train) labels: Var,
    /// 1 for decisions that count, 0 for others, in the decisions' shape; all count where there is none.
    pub(in crate::train) mask: Option<Var>,
    /// The axis of the classes, where they exclude each other.
    pub(super) axis: Option<usize>,
    pub(super) threshold: f32,
}

impl Judged {
    pub(in crate::train) fn new(loss: &dyn Loss, y: &Var, targets: &Var) -> Result<Judged> {
        let (shape, mask) = (y.shape(), loss.mask(y, targets)?);
        let judgement = loss.takes(y)?.judged(loss.judgement(&shape));
        let axis = judgement.axis(&shape);
        let mask = mask.map(|mask| match axis {
            Some(axis) => mask.reshape(shape.without(axis)),
            None => mask.broadcast_to(shape.clone()),
        });
        let (mask, mut labels) = (mask.transpose()?, loss.labels(y, targets)?);
        if let (Some(mask), DType::F32) = (&mask, labels.dtype()) {
            // A label that is missing may be NaN.
            let mask = if axis.is_some() { mask.reshape(kept(&shape, axis))? } else { mask.clone() };
            labels = mask.select(&labels, &y.graph().fill(Shape::default(), 0.0)?)?;
        }
        Ok(Judged { y: y.clone(), labels, mask, axis, threshold: judgement.threshold })
    }

    /// How many decisions there are in a batch, all of them counted.
    pub(super) fn decisions(&self) -> usize {
        let shape = self.y.shape();
        self.axis.map_or(shape.elements(), |axis| shape.elements() / shape[axis])
    }

    /// The sum of `x`, a number for every decision, over those that count.
    pub(super) fn sum(&self, x: &Var) -> Result<Var> {
        match &self.mask {
            Some(mask) => mask.reshape(x.shape())?.mul(x)?.sum_all(),
            None => x.sum_all(),
        }
    }

    /// The labels as numbers in the outputs' shape: class indices become one-hot rows.
    pub(super) fn numbers(&self) -> Result<Var> {
        match self.axis {
            Some(axis) if self.labels.dtype() == DType::U32 => {
                let shape = self.y.shape();
                let mut row = vec![1; shape.len()];
                row[axis] = shape[axis];
                let classes: Vec<f32> = (0..shape[axis]).map(|class| class as f32).collect();
                // A comparison, not a table look-up: a label that is left out need not be a class.
                let classes = self.y.graph().constant([shape[axis]], classes)?.reshape(row)?;
                self.labels.to_f32()?.reshape(kept(&shape, Some(axis)))?.equal(&classes)
            }
            _ => Ok(self.labels.clone()),
        }
    }
}

/// `shape` with an extent of 1 along `axis`.
fn kept(shape: &Shape, axis: Option<usize>) -> Vec<usize> {
    let mut shape = shape.to_vec();
    axis.into_iter().for_each(|axis| shape[axis] = 1);
    shape
}

/// Labels on the host, in the one form that the loss brings them to.
#[derive(Debug)]
pub(in crate::train) struct Labels {
    /// Class indices `u32` in the decisions' shape or shares `f32` in the outputs' where classes exclude each other, else numbers
    /// in the outputs' shape.
    pub(in crate::train) values: Tensor,
    /// Which decisions count, in their order; all where there is none.
    pub(in crate::train) mask: Option<Vec<bool>>,
    /// The axis of the classes in the outputs, where they exclude each other.
    pub(in crate::train) axis: Option<usize>,
}

impl Labels {
    /// The class of every decision that counts, with its number among all; `None` where each element is decided by itself.
    pub(in crate::train) fn classes(&self) -> Option<Vec<(usize, u32)>> {
        let axis = self.axis?;
        let classes: Vec<u32> = match &self.values {
            Tensor::U32(classes) => classes.iter().copied().collect(),
            Tensor::F32(shares) => shares.lanes(Axis(axis)).into_iter().map(|l| class_of(l.iter().copied())).collect(),
            Tensor::U8(_) => return None,
        };
        Some(classes.into_iter().enumerate().filter(|(i, _)| self.counts(*i)).collect())
    }

    /// Whether decision `i` counts.
    pub(in crate::train) fn counts(&self, i: usize) -> bool {
        self.mask.as_ref().is_none_or(|mask| mask[i])
    }
}

/// The outputs for all samples, and their labels.
pub(in crate::train) struct Answers {
    pub(in crate::train) outputs: ArrayD<f32>,
    pub(in crate::train) labels: Labels,
    pub(in crate::train) threshold: f32,
}

impl Answers {
    /// How often each class was taken for each other, over the decisions that count.
    pub(in crate::train) fn confusion(&self) -> Result<ConfusionTable> {
        let (outputs, labels) = (&self.outputs, &self.labels);
        let (truth, predicted, classes): (Vec<u32>, Vec<u32>, usize) = match (labels.classes(), &labels.values) {
            (Some(truth), _) => {
                let axis = labels.axis.unwrap_or_default();
                let lanes = outputs.lanes(Axis(axis)).into_iter();
                let all: Vec<u32> = lanes.map(|lane| class_of(lane.iter().copied())).collect();
                let (truth, predicted) = truth.into_iter().map(|(i, class)| (class, all[i])).unzip();
                (truth, predicted, outputs.shape()[axis])
            }
            (None, Tensor::F32(values)) if outputs.shape()[1..].contains(&1) => {
                let above = |y: f32| u32::from(y > self.threshold || y.is_nan());
                let pairs = values.iter().zip(outputs).enumerate().filter(|(i, _)| labels.counts(*i));
                let (truth, predicted) = pairs.map(|(_, (t, y))| (u32::from(*t > 0.5), above(*y))).unzip();
                (truth, predicted, 2)
            }
            _ => {
                let expected = "outputs of classes that exclude each other, or one for each decision";
                return Err(Error::shape("confusion", expected, Shape::from(outputs.shape()).to_string()));
            }
        };
        ConfusionTable::with_classes(&truth, &predicted, classes)
    }
}
