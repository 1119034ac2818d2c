//! Metrics of decisions: how many are right, and how many of the positive ones.

use super::judged::{Judged, Measure};
use super::{share, unfit};
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::nn::Judgement;
use crate::shape::{DType, Shape};

/// The share of decisions that are right.
pub(super) struct Accuracy;

impl Measure for Accuracy {
    fn columns(&self) -> usize {
        1
    }

    fn sums(&self, batch: &Judged) -> Result<Vec<Var>> {
        Ok(vec![match (&batch.mask, batch.axis) {
            (None, Some(axis)) => right(batch, axis)?,
            (None, None) if batch.y.shape()[1..] == [1] => right_columns(batch)?,
            (Some(mask), Some(axis)) => {
                let axis = axis as isize;
                let truth = match batch.labels.dtype() {
                    DType::U32 => batch.labels.to_f32()?,
                    _ => batch.labels.argmax(axis)?.to_f32()?,
                };
                batch.y.argmax(axis)?.to_f32()?.equal(&truth)?.mul(mask)?.sum_all()?
            }
            (_, None) => {
                let (predicted, truth) = positives(batch)?;
                batch.sum(&predicted.equal(&truth)?)?
            }
        }])
    }

    fn value(&self, sums: &[f64], decisions: f64) -> f64 {
        share(sums[0], decisions, 0.0)
    }
}

/// How many decisions between classes along `axis` are right.
fn right(batch: &Judged, axis: usize) -> Result<Var> {
    let (shape, labels) = (batch.y.shape(), &batch.labels);
    // The op wants the classes last.
    let last = |x: &Var| match axis + 1 == shape.len() {
        true => Ok(x.clone()),
        false => {
            let others = (0..shape.len()).filter(|a| *a != axis);
            x.transpose(&others.chain([axis]).collect::<Vec<_>>())
        }
    };
    let labels = if labels.dtype() == DType::F32 { last(labels)? } else { labels.clone() };
    last(&batch.y)?.correct_count(&labels)
}

/// How many outputs `[batch, 1]` lie on the right side of the threshold.
fn right_columns(batch: &Judged) -> Result<Var> {
    let y = &batch.y;
    // The op takes outputs of one number for probabilities.
    let y = if batch.threshold == 0.5 { y.clone() } else { y.add(&y.graph().fill([1], 0.5 - batch.threshold)?)? };
    y.correct_count(&batch.labels)
}

/// The share of samples whose class is among the `k` largest outputs.
pub(super) struct TopK(pub(super) usize);

impl TopK {
    fn name(&self) -> String {
        format!("top_{}_accuracy", self.0)
    }
}

impl Measure for TopK {
    fn columns(&self) -> usize {
        1
    }

    fn check(&self, outputs: &Shape, judgement: Judgement) -> Result<()> {
        let (axis, k) = (judgement.axis(outputs), self.0);
        let (2, Some(_)) = (outputs.len(), axis) else {
            return Err(unfit(&self.name(), "outputs [batch, classes] of classes that exclude each other", outputs));
        };
        if k == 0 || k > outputs[1] {
            let classes = outputs[1];
            return Err(Error::parameter(self.name(), "k", format!("in 1..={classes} (the classes)"), k));
        }
        Ok(())
    }

    fn sums(&self, batch: &Judged) -> Result<Vec<Var>> {
        let y = &batch.y;
        let own = y.mul(&batch.numbers()?)?.sum(&[1], true)?;
        let above = y.greater(&own)?.sum(&[1], false)?;
        let found = y.graph().fill([1], self.0 as f32)?.greater(&above)?;
        Ok(vec![batch.sum(&found)?])
    }

    fn value(&self, sums: &[f64], decisions: f64) -> f64 {
        share(sums[0], decisions, 0.0)
    }
}

/// A share of the table of decisions for and against positive: true positives, those called positive, those that are.
pub(super) struct OfTable {
    pub(super) name: String,
    /// The metric of these three and the number of decisions.
    pub(super) value: fn([f64; 3], f64) -> f64,
}

impl Measure for OfTable {
    fn columns(&self) -> usize {
        3
    }

    fn check(&self, outputs: &Shape, judgement: Judgement) -> Result<()> {
        match judgement.axis(outputs) {
            Some(axis) if outputs[axis] != 2 => {
                Err(unfit(&self.name, "outputs of one number or of two classes", outputs))
            }
            _ => Ok(()),
        }
    }

    fn sums(&self, batch: &Judged) -> Result<Vec<Var>> {
        let (predicted, truth) = positives(batch)?;
        // What the fourth entry of the table would be follows from the number of decisions.
        Ok(vec![batch.sum(&predicted.mul(&truth)?)?, batch.sum(&predicted)?, batch.sum(&truth)?])
    }

    fn value(&self, sums: &[f64], decisions: f64) -> f64 {
        (self.value)([sums[0], sums[1], sums[2]], decisions)
    }
}

/// Which decisions are for positive, and which should be: 1 or 0.
fn positives(batch: &Judged) -> Result<(Var, Var)> {
    let (y, labels, shape) = (&batch.y, &batch.labels, batch.y.shape());
    let above = |x: &Var, value| x.greater(&x.graph().fill([1], value)?);
    let Some(axis) = batch.axis else {
        return Ok((above(y, batch.threshold)?, above(labels, 0.5)?));
    };
    let channel = |x: &Var, index| {
        let ranges: Vec<(usize, usize)> =
            (0..shape.len()).map(|a| if a == axis { (index, index + 1) } else { (0, shape[a]) }).collect();
        x.slice(&ranges)
    };
    let leads = |x: &Var| channel(x, 1)?.greater(&channel(x, 0)?);
    let predicted = leads(y)?;
    let truth = match labels.dtype() {
        DType::U32 => above(&labels.to_f32()?.reshape(predicted.shape())?, 0.5)?,
        _ => leads(labels)?,
    };
    Ok((predicted, truth))
}
