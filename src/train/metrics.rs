use ndarray::{ArrayView1, ArrayViewD};

use crate::error::{Error, Result};
use crate::graph::Var;
use crate::metrics::{Average, roc_auc, roc_auc_multilabel, roc_auc_one_vs_rest};
use crate::nn::Judgement;
use crate::shape::DType;
use crate::tensor::Tensor;

/// What is measured on the device while a model trains or is evaluated, over all samples of the pass. Where a network has several
/// outputs, the first is measured.
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
    /// The mean of `(y − t)²`.
    MeanSquaredError,
    /// The mean of `|y − t|`.
    MeanAbsoluteError,
    /// The area under the ROC curve, exactly: the mean over the classes, each against the rest, or over the labels where targets are
    /// floats in the shape of the outputs. Counted on the host from the outputs for all samples, so that it is there after validation
    /// and evaluation, not while training.
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
        self == Metric::Auc
    }

    /// Words that it records per step; none where the device does not measure it.
    pub(super) fn columns(self) -> usize {
        match self {
            Metric::Auc => 0,
            Metric::Accuracy | Metric::TopK(_) | Metric::MeanSquaredError | Metric::MeanAbsoluteError => 1,
            _ => 3,
        }
    }

    /// Pushes the nodes that measure a batch: as many numbers as there are columns, each a sum over the batch.
    ///
    /// # Errors
    /// Where predictions and targets do not fit each other or the metric.
    pub(super) fn build(self, y: &Var, targets: &Var, judgement: Judgement) -> Result<Vec<Var>> {
        let batch = y.shape().first().copied().unwrap_or(1) as f32;
        let error = || match y.shape() == targets.shape() && targets.dtype() == DType::F32 {
            true => y.sub(targets),
            false => Err(self.unfit("targets of the outputs' shape", y, targets)),
        };
        Ok(match self {
            Metric::Accuracy => vec![self.right(y, targets, judgement)?],
            Metric::TopK(k) => vec![self.among_largest(y, targets, k)?],
            Metric::MeanSquaredError => vec![error()?.square()?.mean_all()?.scale(batch)?],
            Metric::MeanAbsoluteError => vec![error()?.abs()?.mean_all()?.scale(batch)?],
            Metric::Auc => Vec::new(),
            _ => {
                let (predicted, truth) = self.positives(y, targets, judgement)?;
                // What the fourth entry of the table would be follows from the number of elements.
                vec![predicted.mul(&truth)?.sum_all()?, predicted.sum_all()?, truth.sum_all()?]
            }
        })
    }

    /// The metric of a pass over `samples` samples, from the sums of its columns; `elements` are judged per sample.
    pub(super) fn value(self, sums: &[f64], samples: usize, elements: usize) -> f64 {
        let share = |part: f64, whole: f64, nothing: f64| if whole > 0.0 { part / whole } else { nothing };
        let all = (samples * elements) as f64;
        match (self, sums) {
            (Metric::Precision, [hits, predicted, _]) => share(*hits, *predicted, 0.0),
            (Metric::Recall, [hits, _, truth]) => share(*hits, *truth, 0.0),
            (Metric::Specificity, [hits, predicted, truth]) => share(all - predicted - truth + hits, all - truth, 0.0),
            (Metric::F1, [hits, predicted, truth]) => share(2.0 * hits, predicted + truth, 0.0),
            (Metric::Dice, [hits, predicted, truth]) => share(2.0 * hits, predicted + truth, 1.0),
            (Metric::Iou, [hits, predicted, truth]) => share(*hits, predicted + truth - hits, 1.0),
            (_, sums) => share(sums.iter().sum(), all, 0.0),
        }
    }

    /// The metric that the device does not measure, from the outputs `[n, ..]` for all samples.
    ///
    /// # Errors
    /// Where outputs and targets do not fit, or there is one class only.
    pub(super) fn of_outputs(self, outputs: ArrayViewD<f32>, targets: &Tensor) -> Result<f64> {
        let n = outputs.shape().first().copied().unwrap_or(0);
        let unfit = || {
            let expected = "outputs [n, classes] with classes, or with targets of their shape";
            Error::shape(
                "metric auc",
                expected,
                format!("outputs {:?} and targets {}", outputs.shape(), targets.spec()),
            )
        };
        let scores =
            outputs.mapv(f64::from).into_shape_with_order((n, outputs.len() / n.max(1))).map_err(|_| unfit())?;
        match targets {
            Tensor::U32(classes) if classes.len() == n && scores.ncols() > 2 => {
                let classes: Vec<u32> = classes.iter().copied().collect();
                roc_auc_one_vs_rest(&classes, scores.view(), Average::Macro)
            }
            Tensor::U32(classes) if classes.len() == n => {
                // Of two classes the second's lead over the first; of one output that itself.
                let lead = |row: ArrayView1<f64>| row[row.len() - 1] - if row.len() == 2 { row[0] } else { 0.0 };
                let lead: Vec<f64> = scores.rows().into_iter().map(lead).collect();
                roc_auc(&classes.iter().map(|class| *class > 0).collect::<Vec<_>>(), &lead)
            }
            Tensor::F32(truth) if truth.len() == scores.len() => {
                let truth = truth.mapv(|t| t > 0.5).into_shape_with_order(scores.dim()).map_err(|_| unfit())?;
                roc_auc_multilabel(truth.view(), scores.view(), Average::Macro)
            }
            _ => Err(unfit()),
        }
    }

    /// How many decisions there are in a sample with outputs of this shape.
    fn decisions(self, output: &[usize], judgement: Judgement) -> usize {
        let all: usize = output.iter().product();
        match self {
            Metric::TopK(_) | Metric::MeanSquaredError | Metric::MeanAbsoluteError => 1,
            _ => judgement.axis(&batched(output)).map_or(all, |axis| all / output[axis - 1]),
        }
    }

    /// The number of decisions that are right, `u32[1]` or `f32[1]`: see [`Measures::new`].
    fn right(self, y: &Var, targets: &Var, judgement: Judgement) -> Result<Var> {
        let shape = y.shape();
        let Some(axis) = judgement.axis(&shape) else {
            let is_column = is_column(&shape[1..]);
            let (predicted, truth) = match is_column && judgement.threshold == 0.5 {
                true => return y.correct_count(targets),
                // The op takes outputs of one number for probabilities.
                false if is_column => {
                    return y.add(&y.graph().fill([1], 0.5 - judgement.threshold)?)?.correct_count(targets);
                }
                false => self.positives(y, targets, judgement)?,
            };
            return predicted.equal(&truth)?.sum_all();
        };
        // The op wants the classes last.
        let last = |x: &Var| match axis + 1 == shape.len() {
            true => Ok(x.clone()),
            false => {
                let others = (0..shape.len()).filter(|a| *a != axis);
                x.transpose(&others.chain([axis]).collect::<Vec<_>>())
            }
        };
        let targets = if targets.dtype() == DType::F32 { last(targets)? } else { targets.clone() };
        last(y)?.correct_count(&targets)
    }

    /// Which decisions are for positive, and which should be: 1 or 0.
    fn positives(self, y: &Var, targets: &Var, judgement: Judgement) -> Result<(Var, Var)> {
        let (have, graph) = (y.shape(), y.graph());
        let above = |x: &Var, value| x.greater(&graph.fill([1], value)?);
        let is_index = targets.dtype() == DType::U32;
        let Some(axis) = judgement.axis(&have) else {
            if targets.shape().elements() != have.elements() {
                return Err(self.unfit("targets with as many elements as the outputs", y, targets));
            }
            let targets = if is_index { targets.to_f32()? } else { targets.clone() };
            return Ok((above(y, judgement.threshold)?, above(&targets.reshape(have)?, 0.5)?));
        };
        if have[axis] != 2 {
            return Err(self.unfit("outputs of one number or of two classes", y, targets));
        }
        let channel = |x: &Var, index| {
            let ranges: Vec<(usize, usize)> =
                (0..=axis).map(|a| if a == axis { (index, index + 1) } else { (0, have[a]) }).collect();
            x.slice(&ranges)
        };
        let leads = |x: &Var| channel(x, 1)?.greater(&channel(x, 0)?);
        let predicted = leads(y)?;
        let truth = match is_index {
            true if targets.shape().elements() == predicted.shape().elements() => {
                above(&targets.to_f32()?.reshape(predicted.shape())?, 0.5)?
            }
            false if targets.shape() == have => leads(targets)?,
            _ => return Err(self.unfit("one class or one row of two for each decision", y, targets)),
        };
        Ok((predicted, truth))
    }

    /// How many rows have fewer than `k` outputs above that of the target's class.
    fn among_largest(self, y: &Var, targets: &Var, k: usize) -> Result<Var> {
        let shape = y.shape();
        let [_, classes] = *shape else { return Err(self.unfit("outputs [batch, classes]", y, targets)) };
        if k == 0 || k > classes {
            return Err(Error::parameter(self.name(), "k", format!("in 1..={classes} (the classes)"), k));
        }
        let hot =
            if targets.dtype() == DType::U32 { targets.one_hot_with(classes, -1, 1.0, 0.0)? } else { targets.clone() };
        if hot.shape() != shape {
            return Err(self.unfit("classes [batch] or one-hot rows [batch, classes]", y, targets));
        }
        let own = y.mul(&hot)?.sum(&[1], true)?;
        let above = y.greater(&own)?.sum(&[1], false)?;
        y.graph().fill([1], k as f32)?.greater(&above)?.sum_all()
    }

    fn unfit(self, expected: &str, y: &Var, targets: &Var) -> Error {
        Error::shape(
            format!("metric {}", self.name()),
            expected,
            format!("outputs {} and targets {}", y.spec(), targets.spec()),
        )
    }
}

/// The shape of a batch of one.
fn batched(output: &[usize]) -> Vec<usize> {
    std::iter::once(1).chain(output.iter().copied()).collect()
}

/// Whether an output of this shape is one number for the sample.
fn is_column(output: &[usize]) -> bool {
    *output == [1]
}

/// The metrics of a pass: what the columns of its records mean.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Measures(Vec<Measure>);

#[derive(Clone, Debug, PartialEq)]
struct Measure {
    metric: Metric,
    /// How many elements of a sample are judged.
    elements: usize,
    /// Whether its column holds counts, `u32`, and not `f32`.
    counts: bool,
}

impl Measures {
    /// These metrics, for outputs of this shape per sample.
    pub(super) fn new(metrics: &[Metric], output: &[usize], judgement: Judgement) -> Measures {
        let counts = judgement.axis(&batched(output)).is_some() || is_column(output);
        let measure = |metric: &Metric| Measure {
            metric: *metric,
            elements: metric.decisions(output, judgement),
            counts: *metric == Metric::Accuracy && counts,
        };
        Measures(metrics.iter().filter(|metric| !metric.is_on_host()).map(measure).collect())
    }

    /// Words per step in the records: the loss, then those of each metric.
    pub(super) fn columns(&self) -> usize {
        1 + self.0.iter().map(|measure| measure.metric.columns()).sum::<usize>()
    }

    /// The mean loss and the metrics of steps over so many samples each, from their records; added in double precision.
    pub(super) fn means(&self, batches: impl Iterator<Item = usize>, records: &[u32]) -> (f64, Vec<(String, f64)>) {
        let (mut samples, mut loss, mut sums) = (0, 0.0, vec![0.0; self.columns() - 1]);
        let counts: Vec<bool> = self.0.iter().flat_map(|m| std::iter::repeat_n(m.counts, m.metric.columns())).collect();
        for (batch, record) in batches.zip(records.chunks_exact(self.columns())) {
            samples += batch;
            loss += f64::from(f32::from_bits(record[0])) * batch as f64;
            for ((sum, word), counts) in sums.iter_mut().zip(&record[1..]).zip(&counts) {
                *sum += if *counts { f64::from(*word) } else { f64::from(f32::from_bits(*word)) };
            }
        }
        let mut rest = &sums[..];
        let mut value = |measure: &Measure| {
            let (own, others) = rest.split_at(measure.metric.columns());
            rest = others;
            (measure.metric.name(), measure.metric.value(own, samples, measure.elements))
        };
        let values = self.0.iter().map(&mut value).collect();
        (loss / samples.max(1) as f64, values)
    }
}
