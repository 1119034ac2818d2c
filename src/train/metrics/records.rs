//! What the device writes down in every step, and the numbers of a pass that come of it.

use super::Metric;
use super::judged::Judged;
use crate::error::Result;
use crate::graph::{Graph, Var};
use crate::nn::{Losses, OneOf, Total};
use crate::shape::{DType, Shape, TensorSpec};

/// The columns of a pass's records. The first is the loss of the step, as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::train) struct Records {
    /// Whether a column holds counts, `u32`, and not `f32`.
    counts: Vec<bool>,
    /// How each loss adds up, where the loss of a step is not a mean over its samples; else none.
    terms: Vec<Term>,
    /// Whether penalties have a column behind the losses.
    penalized: bool,
    /// Decisions per sample, where all of them count; else a column behind the penalties has their number.
    decisions: Option<usize>,
    metrics: Vec<Metric>,
}

/// A loss among others: its weight, and its columns.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Term {
    weight: f32,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// A mean over samples.
    Mean,
    /// A sum.
    Sum,
    /// A sum and the number that it is divided by.
    Counted,
}

impl Kind {
    fn of(total: &Total) -> Kind {
        match total {
            Total::Mean => Kind::Mean,
            Total::Sum => Kind::Sum,
            Total::Counted { .. } => Kind::Counted,
        }
    }

    fn columns(self) -> usize {
        if self == Kind::Counted { 2 } else { 1 }
    }
}

/// The loss of a batch, and everything that its step writes down.
pub(in crate::train) struct Recorded {
    /// The loss without penalties.
    pub(in crate::train) loss: Var,
    /// What the gradient of this batch counts beside those of others: how many labels the loss is a mean of, or samples where losses of
    /// several outputs differ in that; 1 for a sum.
    pub(in crate::train) share: Var,
    terms: Vec<OneOf>,
    measured: Vec<Var>,
    decisions: Option<usize>,
}

impl Recorded {
    /// Pushes the nodes of losses and metrics.
    ///
    /// # Errors
    /// Where targets fit neither a loss nor a metric.
    pub(in crate::train) fn new(
        losses: &Losses,
        metrics: &[Metric],
        outputs: &[Var],
        targets: &[Var],
        weights: Option<&Var>,
    ) -> Result<Recorded> {
        let (loss, terms) = losses.terms(outputs, targets, weights)?;
        let share = match &terms[..] {
            [(_, _, Total::Counted { count, .. })] => count.clone(),
            [(_, _, Total::Sum)] => loss.graph().fill(Shape::default(), 1.0)?,
            _ => loss.graph().fill(Shape::default(), outputs[0].shape()[0] as f32)?,
        };
        let (mut measured, mut decisions) = (Vec::new(), Some(0));
        let first = losses.iter().next().filter(|_| metrics.iter().any(|m| !m.is_on_host()));
        if let Some((loss, _)) = first {
            let batch = Judged::new(loss, &outputs[0], &targets[0])?;
            decisions = Some(batch.decisions() / outputs[0].shape()[0].max(1));
            if let Some(mask) = &batch.mask {
                decisions = None;
                measured.push(mask.sum_all()?);
            }
            for metric in metrics {
                measured.extend(metric.measure().sums(&batch)?);
            }
        }
        Ok(Recorded { loss, share, terms, measured, decisions })
    }

    /// The loss of each output where they have to be kept apart to be added up over batches of different sizes.
    fn apart(&self) -> &[OneOf] {
        let all_means = self.terms.iter().all(|(_, _, total)| matches!(total, Total::Mean));
        if all_means { &[] } else { &self.terms }
    }

    /// What is written down, in the order of the columns. `shown` is the loss with `penalties`.
    pub(in crate::train) fn columns(&self, shown: Var, penalties: Option<Var>) -> Vec<Var> {
        let mut columns = vec![shown];
        for (_, value, total) in self.apart() {
            match total {
                Total::Counted { sum, count } => columns.extend([sum.clone(), count.clone()]),
                Total::Mean | Total::Sum => columns.push(value.clone()),
            }
        }
        columns.extend(penalties.filter(|_| !self.apart().is_empty()));
        columns.extend(self.measured.iter().cloned());
        columns
    }
}

impl Records {
    /// The records of steps with these losses and metrics over `samples` targets of these specs, from a step that is built and not run.
    ///
    /// # Errors
    /// Those of [`Recorded::new`]: targets of a shape or type that a loss cannot take are refused here, before the first step.
    pub(in crate::train) fn new(
        losses: &Losses,
        metrics: &[Metric],
        outputs: &[Shape],
        targets: &[TensorSpec],
        samples: usize,
        weighted: bool,
        penalized: bool,
    ) -> Result<Records> {
        let graph = Graph::new();
        // All samples, so that an error has the shapes of the data, unless they are too many for one tensor; at least two, since an
        // extent of 1 could hide a mistake.
        let largest = outputs.iter().chain(targets.iter().map(|t| &t.shape)).map(|shape| shape.elements()).max();
        let samples = samples.min((1 << 28) / largest.unwrap_or(1).max(1)).max(2);
        let batch = |shape: &Shape| -> Vec<usize> { std::iter::once(samples).chain(shape.iter().copied()).collect() };
        let outputs = outputs.iter().enumerate().map(|(i, y)| graph.input(&format!("y{i}"), batch(y), DType::F32));
        let outputs = outputs.collect::<Result<Vec<_>>>()?;
        // Bytes become floats when a batch is gathered.
        let float = |dtype| if dtype == DType::U8 { DType::F32 } else { dtype };
        let targets = targets.iter().enumerate();
        let targets = targets.map(|(i, t)| graph.input(&format!("t{i}"), batch(&t.shape), float(t.dtype)));
        let targets = targets.collect::<Result<Vec<_>>>()?;
        let weights = weighted.then(|| graph.input("w", [samples], DType::F32)).transpose()?;
        let recorded = Recorded::new(losses, metrics, &outputs, &targets, weights.as_ref())?;
        let terms = recorded.apart().iter().map(|(weight, _, total)| Term { weight: *weight, kind: Kind::of(total) });
        let terms: Vec<Term> = terms.collect();
        let penalized = penalized && !terms.is_empty();
        let penalties = penalized.then(|| recorded.loss.clone());
        let columns = recorded.columns(recorded.loss.clone(), penalties);
        Ok(Records {
            counts: columns.iter().map(|column| column.dtype() == DType::U32).collect(),
            terms,
            penalized,
            decisions: recorded.decisions,
            metrics: metrics.iter().copied().filter(|metric| !metric.is_on_host()).collect(),
        })
    }

    /// Words per step in the records.
    pub(in crate::train) fn columns(&self) -> usize {
        self.counts.len()
    }

    /// The loss and the metrics of steps over so many samples each, from their records; added in double precision. Both are what one
    /// batch of all the samples would give.
    pub(in crate::train) fn means(
        &self,
        batches: impl Iterator<Item = usize>,
        records: &[u32],
    ) -> (f64, Vec<(String, f64)>) {
        // Sums of the columns, and of the columns times the number of samples.
        let (mut samples, mut sums) = (0.0, vec![0.0; self.columns()]);
        let mut by_sample = vec![0.0; self.columns()];
        for (batch, record) in batches.zip(records.chunks_exact(self.columns())) {
            samples += batch as f64;
            for (i, (word, counts)) in record.iter().zip(&self.counts).enumerate() {
                let value = if *counts { f64::from(*word) } else { f64::from(f32::from_bits(*word)) };
                sums[i] += value;
                by_sample[i] += value * batch as f64;
            }
        }
        let mean = |column: usize| by_sample[column] / f64::max(samples, 1.0);
        let mut loss = if self.terms.is_empty() { mean(0) } else { 0.0 };
        let mut at = 1;
        for Term { weight, kind } in &self.terms {
            loss += f64::from(*weight)
                * match kind {
                    Kind::Mean => mean(at),
                    Kind::Sum => sums[at],
                    Kind::Counted => super::share(sums[at], sums[at + 1], 0.0),
                };
            at += kind.columns();
        }
        if self.penalized {
            loss += mean(at);
            at += 1;
        }
        let decisions = match self.decisions {
            Some(each) => each as f64 * samples,
            None => {
                at += 1;
                sums[at - 1]
            }
        };
        let value = |metric: &Metric| {
            let measure = metric.measure();
            let own = &sums[at..at + measure.columns()];
            at += own.len();
            (metric.name(), measure.value(own, decisions))
        };
        let values = self.metrics.iter().map(value).collect();
        (loss, values)
    }
}
