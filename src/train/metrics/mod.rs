//! Metrics of a training: what the device counts in every step, and what the host computes from all outputs.

mod auc;
mod decisions;
mod errors;
mod judged;
mod records;

use crate::error::Error;
use crate::graph::Var;
use crate::shape::Shape;

use auc::Auc;
use decisions::{Accuracy, OfTable, TopK};
use errors::MeanError;
use judged::Measure;
pub(super) use judged::{Answers, Judged, Labels};
pub(super) use records::{Recorded, Records};

/// What is measured on the device while a model trains or is evaluated, over all samples of the pass. Where a network has several
/// outputs, the first is measured. Labels that the loss leaves out ([`Loss::mask`](crate::nn::Loss::mask)) count for no metric.
///
/// The [loss](crate::nn::Loss::judgement) says whether outputs are classes that exclude each other, or each is decided by itself at a
/// threshold. Precision, recall, specificity, F1, Dice and IoU are about *positives*: class 1 of two classes, or every element that is
/// above the threshold. A share of nothing is 0, as in scikit-learn; Dice and IoU of nothing are 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Metric {
    /// The share of decisions that are right: of samples, pixels, or labels.
    Accuracy,
    /// The share of samples whose class is among the so many largest of the outputs `[batch, classes]`.
    TopK(usize),
    /// The share of those taken for positive that are: TP / (TP + FP).
    Precision,
    /// The share of the positive that are found, also called sensitivity: TP / (TP + FN).
    Recall,
    /// The share of the negative that are left alone: TN / (TN + FP).
    Specificity,
    /// The harmonic mean of precision and recall.
    F1,
    /// 2 TP / (2 TP + FP + FN) over all elements of all samples.
    Dice,
    /// TP / (TP + FP + FN) over all elements of all samples, also called Jaccard index.
    Iou,
    /// The mean of `(y − t)²`; class indices count as one-hot rows.
    MeanSquaredError,
    /// The mean of `|y − t|`; class indices count as one-hot rows.
    MeanAbsoluteError,
    /// The area under the ROC curve, exactly. Where classes exclude each other, of two the second's lead over the first, of more the mean
    /// over the classes, each against the rest; elsewhere the mean over the labels of outputs `[batch, labels]`, and of outputs with one
    /// channel over all pixels or steps together. Counted on the host from the outputs for all samples, so that it is there after
    /// validation and evaluation, not while training.
    Auc,
}

impl Metric {
    /// Its name, as it stands in logs.
    pub fn name(self) -> String {
        match self {
            Metric::Accuracy => "accuracy".into(),
            Metric::TopK(k) => format!("top_{k}_accuracy"),
            Metric::Precision => "precision".into(),
            Metric::Recall => "recall".into(),
            Metric::Specificity => "specificity".into(),
            Metric::F1 => "f1".into(),
            Metric::Dice => "dice".into(),
            Metric::Iou => "iou".into(),
            Metric::MeanSquaredError => "mse".into(),
            Metric::MeanAbsoluteError => "mae".into(),
            Metric::Auc => "auc".into(),
        }
    }

    /// Whether it is counted on the host, from the outputs for all samples.
    pub(super) fn is_on_host(self) -> bool {
        self.measure().columns() == 0
    }

    /// How it is computed.
    pub(super) fn measure(self) -> Box<dyn Measure> {
        let of_table = |value| Box::new(OfTable { name: self.name(), value });
        match self {
            Metric::Accuracy => Box::new(Accuracy),
            Metric::TopK(k) => Box::new(TopK(k)),
            Metric::Precision => of_table(|[hits, predicted, _], _| share(hits, predicted, 0.0)),
            Metric::Recall => of_table(|[hits, _, truth], _| share(hits, truth, 0.0)),
            Metric::Specificity => {
                of_table(|[hits, predicted, truth], all| share(all - predicted - truth + hits, all - truth, 0.0))
            }
            Metric::F1 => of_table(|[hits, predicted, truth], _| share(2.0 * hits, predicted + truth, 0.0)),
            Metric::Dice => of_table(|[hits, predicted, truth], _| share(2.0 * hits, predicted + truth, 1.0)),
            Metric::Iou => of_table(|[hits, predicted, truth], _| share(hits, predicted + truth - hits, 1.0)),
            Metric::MeanSquaredError => Box::new(MeanError { of: Var::square }),
            Metric::MeanAbsoluteError => Box::new(MeanError { of: Var::abs }),
            Metric::Auc => Box::new(Auc),
        }
    }
}

/// `part / whole`, or `nothing` where there is nothing to have a part in.
fn share(part: f64, whole: f64, nothing: f64) -> f64 {
    if whole > 0.0 { part / whole } else { nothing }
}

/// Refuses outputs that a metric cannot take.
fn unfit(metric: &str, expected: &str, outputs: &Shape) -> Error {
    let sample = Shape::from(outputs.get(1..).unwrap_or_default());
    Error::shape(format!("metric {metric}"), expected, format!("outputs {sample} for one sample"))
}
