use ndarray::{Array2, ArrayD, Axis};

use super::judged::{Answers, Measure};
use super::unfit;
use crate::error::{Error, Result};
use crate::metrics::{Average, roc_auc, roc_auc_multilabel, roc_auc_one_vs_rest};
use crate::nn::Judgement;
use crate::shape::Shape;
use crate::tensor::Tensor;

/// The area under the ROC curve, from the outputs for all samples.
pub(super) struct Auc;

/// The columns of `outputs` that are labels of their own; all others are samples of them.
fn labels_of(outputs: &[usize]) -> Option<usize> {
    match outputs {
        [_, labels] => Some(*labels),
        // One channel, in whatever place, is one label of every pixel or step.
        [_, rest @ ..] if rest.contains(&1) => Some(1),
        _ => None,
    }
}

impl Measure for Auc {
    fn columns(&self) -> usize {
        0
    }

    fn check(&self, outputs: &Shape, judgement: Judgement) -> Result<()> {
        if judgement.axis(outputs).is_some() || labels_of(outputs).is_some() {
            return Ok(());
        }
        let expected =
            "outputs [batch, labels], with one channel, or of classes that exclude each other (the loss's axis)";
        Err(unfit("auc", expected, outputs))
    }

    fn of_outputs(&self, answers: &Answers) -> Result<f64> {
        let (outputs, labels) = (&answers.outputs, &answers.labels);
        if let (Some(axis), Some(truth)) = (labels.axis, labels.classes()) {
            let scores = columns(outputs, axis)?;
            let picked: Vec<usize> = truth.iter().map(|(i, _)| *i).collect();
            let (scores, truth) = (scores.select(Axis(0), &picked), truth.into_iter().map(|(_, class)| class));
            if scores.ncols() > 2 {
                return roc_auc_one_vs_rest(&truth.collect::<Vec<_>>(), scores.view(), Average::Macro);
            }
            // Of two classes the second's lead over the first.
            let lead: Vec<f64> = scores.rows().into_iter().map(|row| row[1] - row[0]).collect();
            return roc_auc(&truth.map(|class| class > 0).collect::<Vec<_>>(), &lead);
        }
        let shape = Shape::from(outputs.shape());
        let (Some(n), Tensor::F32(truth)) = (labels_of(&shape), &labels.values) else {
            return Err(unfit("auc", "outputs [batch, labels]", &shape));
        };
        let table = |x: &ArrayD<f32>| {
            let elements = x.iter().map(|v| f64::from(*v)).collect();
            Array2::from_shape_vec((x.len() / n.max(1), n), elements).map_err(|e| Error::usage("auc", e.to_string()))
        };
        let (scores, truth) = (table(outputs)?, table(truth)?);
        let there = |i: usize, j: usize| labels.counts(i * n + j);
        let truth = Array2::from_shape_fn(truth.dim(), |(i, j)| there(i, j).then(|| truth[[i, j]] > 0.5));
        roc_auc_multilabel(truth.view(), scores.view(), Average::Macro)
    }
}

/// Outputs as rows of scores, one for each decision between the classes along `axis`.
fn columns(outputs: &ArrayD<f32>, axis: usize) -> Result<Array2<f64>> {
    let lanes = outputs.lanes(Axis(axis));
    let scores = lanes.into_iter().flat_map(|lane| lane.iter().map(|v| f64::from(*v)).collect::<Vec<_>>()).collect();
    let classes = outputs.shape()[axis];
    Array2::from_shape_vec((outputs.len() / classes.max(1), classes), scores)
        .map_err(|e| Error::usage("auc", e.to_string()))
}
