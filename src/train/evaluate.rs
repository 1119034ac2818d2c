use std::collections::VecDeque;

use ndarray::{ArrayD, Axis};

use super::metrics::{Answers, Metric};
use super::model::{Definition, Model};
use super::preparation::scaled;
use super::program::{Pass, Unwatched, Watch};
use crate::data::{Column, Dataset};
use crate::engine::Executable;
use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::host;
use crate::metrics::ConfusionTable;
use crate::nn::{self, BuildCtx, Mode};
use crate::tensor::Tensor;

/// Shapes of data whose evaluation steps are kept ready.
const KEPT: usize = 4;
/// Samples per step of evaluation and prediction where nobody says otherwise; Keras's default.
const BATCH: usize = 32;

/// What a model reaches on a dataset.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// The mean loss.
    pub loss: f64,
    /// Name and value of every metric.
    pub metrics: Vec<(String, f64)>,
}

impl Evaluation {
    /// The metric of this name; NaN where the model was compiled without it.
    pub fn metric(&self, name: &str) -> f64 {
        self.metrics.iter().find(|(n, _)| *n == name).map_or(f64::NAN, |(_, v)| *v)
    }

    /// The metric `accuracy`.
    pub fn accuracy(&self) -> f64 {
        self.metric("accuracy")
    }
}

/// Names and values of metrics, or why one is not defined.
pub(super) type Measured = Vec<(String, Result<f64>)>;

/// Evaluation steps that are ready, the most recently used last.
#[derive(Debug, Default)]
pub(super) struct Evaluations(VecDeque<Pass>);

/// Prediction steps that are ready, by batch size.
#[derive(Debug, Default)]
pub(super) struct Predictor(VecDeque<(usize, Executable)>);

impl Model {
    /// Loss and metrics on `data`, in inference mode, in batches of 32.
    ///
    /// # Errors
    /// Data that does not fit the network; a device that fails.
    pub fn evaluate(&mut self, data: &Dataset) -> Result<Evaluation> {
        let measured = self.measure(data, BATCH, &mut Unwatched)?;
        let (loss, metrics) =
            measured.ok_or_else(|| Error::usage("evaluate", "it was stopped, though nobody can wish that"))?;
        let metrics = metrics.into_iter().map(|(name, value)| Ok((name, value?))).collect::<Result<_>>()?;
        Ok(Evaluation { loss, metrics })
    }

    /// Loss and metrics, in batches of `batch`; nothing where `watch` wished to stop before the end. A metric that is not defined for
    /// these samples is an error by itself.
    pub(super) fn measure(
        &mut self,
        data: &Dataset,
        batch: usize,
        watch: &mut dyn Watch,
    ) -> Result<Option<(f64, Measured)>> {
        self.definition.check(data)?;
        let mut pass = self.evaluation_pass(data, batch)?;
        let order: Vec<u32> = (0..data.len() as u32).collect();
        let rates = vec![0.0; pass.feed.steps()];
        let check = |ids: &[u32], samples: &[Tensor]| self.definition.check_samples(ids, samples);
        let outcome = pass.run(&mut self.session, data, &order, &rates, &check, watch)?;
        let (loss, metrics) = pass.feed.means(outcome.steps, &outcome.records);
        let whole = outcome.steps == pass.feed.steps();
        self.evaluations.0.push_back(pass);
        if !whole {
            return Ok(None);
        }
        let mut metrics: Measured = metrics.into_iter().map(|(name, value)| (name, Ok(value))).collect();
        metrics.extend(self.host_metrics(data, batch)?);
        Ok(Some((loss, metrics)))
    }

    /// The metrics that the device does not measure, from the outputs for all samples.
    fn host_metrics(&mut self, data: &Dataset, batch: usize) -> Result<Measured> {
        let metrics: Vec<Metric> = self.definition.metrics.iter().copied().filter(|m| m.is_on_host()).collect();
        if metrics.is_empty() {
            return Ok(Vec::new());
        }
        let mut answers = self.answers(data, batch)?;
        answers.outputs = self.definition.ranked(answers.outputs);
        Ok(metrics.iter().map(|m| (m.name(), m.measure().of_outputs(&answers))).collect())
    }

    /// The first output for all samples, and what the loss takes for their labels.
    fn answers(&mut self, data: &Dataset, batch: usize) -> Result<Answers> {
        let labels = self.definition.labels(&data.targets().to_tensor()?)?;
        let outputs = self.predict_columns(data, batch)?.swap_remove(0);
        Ok(Answers { outputs, labels, threshold: self.definition.judgement().threshold })
    }

    fn evaluation_pass(&mut self, data: &Dataset, batch: usize) -> Result<Pass> {
        let name = format!("evaluate {} {} by {batch}", data.features().spec(), data.targets().spec());
        let feed = self.definition.feed(&name, data, batch)?;
        if let Some(at) = self.evaluations.0.iter().position(|p| p.serves(&feed, &[]))
            && let Some(pass) = self.evaluations.0.remove(at)
        {
            return Ok(pass);
        }
        while self.evaluations.0.len() >= KEPT {
            for arena in self.evaluations.0.pop_front().iter().flat_map(|p| p.feed.arenas()) {
                self.session.forget(&arena);
            }
        }
        // Steps for data of the same name that is scaled in another way use the same state: they go with it.
        self.evaluations.0.retain(|pass| pass.feed.name != name);
        for arena in feed.arenas() {
            self.session.forget(&arena);
        }
        Pass::new(&mut self.session, self.definition.recipe(Mode::Infer), feed)
    }

    /// The network's outputs for `features` `[n, ..]`, in inference mode: `[n, ..]`.
    ///
    /// Bytes become numbers as those that the model was trained on did, in this process or before it was saved ([`Model::preparation`]). Floats
    /// are taken as they are: they must come prepared as those of the training were.
    ///
    /// # Errors
    /// Features that do not fit the network; NaN, infinities and tokens that the network does not know, with the sample; bytes, where the
    /// model was not trained on bytes; a network with several inputs or outputs (see [`Model::predict_many`]); a device that
    /// fails.
    pub fn predict(&mut self, features: impl Into<Tensor>) -> Result<ArrayD<f32>> {
        only(self.predict_many(&[features.into()])?)
    }

    /// All outputs of the network for its inputs, each `[n, ..]`, in inference mode; bytes and floats as in [`Model::predict`].
    ///
    /// # Errors
    /// See [`Model::predict`]; also where the inputs differ in their number of samples.
    pub fn predict_many(&mut self, inputs: &[Tensor]) -> Result<Vec<ArrayD<f32>>> {
        self.definition.check_specs(&inputs.iter().map(Tensor::spec).collect::<Vec<_>>())?;
        let n = inputs[0].shape()[0];
        if n == 0 || inputs.iter().any(|t| t.shape()[0] != n) {
            let counts: Vec<usize> = inputs.iter().map(|t| t.shape()[0]).collect();
            return Err(Error::data("features", "at least one sample, as many in every input", format!("{counts:?}")));
        }
        inputs.iter().try_for_each(|t| t.expect_rows("features"))?;
        let definition = &self.definition;
        let scaling = |(i, input): (usize, &Tensor)| definition.preparation.scaling(i, &definition.what(i), input);
        let scalings = inputs.iter().enumerate().map(scaling).collect::<Result<Vec<_>>>()?;
        self.predict_batches(n, BATCH, |samples| {
            inputs.iter().zip(&scalings).map(|(input, by)| Ok(scaled(input.select(samples)?, *by))).collect()
        })
    }

    /// The network's outputs for the features of a dataset, scaled as the dataset says.
    ///
    /// # Errors
    /// See [`Model::predict`]; also where the dataset scales its bytes in another way than that of the training.
    pub fn predict_dataset(&mut self, data: &Dataset) -> Result<ArrayD<f32>> {
        only(self.predict_dataset_many(data)?)
    }

    /// All outputs of the network for the features of a dataset, scaled as the dataset says.
    ///
    /// # Errors
    /// See [`Model::predict`].
    pub fn predict_dataset_many(&mut self, data: &Dataset) -> Result<Vec<ArrayD<f32>>> {
        self.predict_columns(data, BATCH)
    }

    fn predict_columns(&mut self, data: &Dataset, batch: usize) -> Result<Vec<ArrayD<f32>>> {
        self.definition.check_columns(data)?;
        let names: Vec<String> = (0..data.columns().len()).map(|i| self.definition.what(i)).collect();
        let read = |(column, name): (&Column, &String), samples: &[usize]| {
            Ok(scaled(column.source.read_as(name, samples, |x| !x.is_finite())?, column.scaling()))
        };
        self.predict_batches(data.len(), batch, |samples| {
            data.columns().iter().zip(&names).map(|column| read(column, samples)).collect()
        })
    }

    /// How often each class of `data` was taken for each other, over all decisions whose label counts for the loss: of samples, or of
    /// pixels or steps. Of several outputs the largest counts; one output counts as class 1 above the loss's
    /// [threshold](crate::nn::Loss::judgement), as for the metrics.
    ///
    /// # Errors
    /// Where the outputs are several labels that do not exclude each other, or no label counts; see also [`Model::predict`].
    pub fn confusion(&mut self, data: &Dataset) -> Result<ConfusionTable> {
        self.definition.check(data)?;
        self.answers(data, BATCH)?.confusion()
    }

    /// The outputs for `n` samples, `batch` at a time; `inputs` gives those of some samples.
    fn predict_batches(
        &mut self,
        n: usize,
        batch: usize,
        inputs: impl Fn(&[usize]) -> Result<Vec<Tensor>>,
    ) -> Result<Vec<ArrayD<f32>>> {
        let mut outputs: Vec<Vec<ArrayD<f32>>> = vec![Vec::new(); self.definition.outputs.len()];
        for start in (0..n).step_by(batch) {
            let samples: Vec<usize> = (start..n.min(start + batch)).collect();
            let inputs = inputs(&samples)?;
            self.definition.check_inputs(&inputs, start)?;
            for (all, part) in outputs.iter_mut().zip(self.predict_batch(&inputs)?) {
                all.push(part.into_f32()?);
            }
        }
        outputs.into_iter().map(joined).collect()
    }

    fn predict_batch(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
        let batch = inputs[0].shape()[0];
        let at = match self.predictor.0.iter().position(|(size, _)| *size == batch) {
            Some(at) => at,
            None => {
                let graph = Graph::new();
                let network = self.definition.network.as_ref();
                let outputs = nn::forward(network, &BuildCtx::inference(), &graph, batch)?;
                let executable = self.session.compile(&graph, &outputs)?;
                if self.predictor.0.len() >= KEPT {
                    self.predictor.0.pop_front();
                }
                self.predictor.0.push_back((batch, executable));
                self.predictor.0.len() - 1
            }
        };
        let expected = self.definition.network.inputs();
        let names: Vec<String> = expected.iter().enumerate().map(|(i, input)| input.label(i)).collect();
        // An input that no output depends on is left out of the plan.
        let plan = self.predictor.0[at].1.plan();
        let used = |name: &String| plan.inputs.iter().any(|(have, _)| have == name);
        let given: Vec<(&str, &Tensor)> =
            names.iter().zip(inputs).filter(|(name, _)| used(name)).map(|(name, t)| (name.as_str(), t)).collect();
        self.session.run(&self.predictor.0[at].1, &given)
    }
}

impl Definition {
    /// The first output's values `[n, classes]` as they rank the samples of each class. Logits of more than two classes do not: their
    /// probabilities do, and so do the log-odds of each class against the others, which do not end at 0 and 1.
    fn ranked(&self, mut outputs: ArrayD<f32>) -> ArrayD<f32> {
        let is_logits = self.taken.first().is_some_and(|(taken, _)| taken.is_logits());
        let axis = self.judgement().axis(outputs.shape());
        if let Some(axis) = axis.filter(|axis| is_logits && outputs.shape()[*axis] > 2) {
            for mut row in outputs.lanes_mut(Axis(axis)) {
                let z: Vec<f64> = row.iter().map(|z| f64::from(*z)).collect();
                row.iter_mut().enumerate().for_each(|(own, z_own)| *z_own = (z[own] - log_sum(&z, own)) as f32);
            }
        }
        outputs
    }
}

/// `ln Σ eᶻ` of all but one.
fn log_sum(z: &[f64], but: usize) -> f64 {
    let others = || z.iter().enumerate().filter(|(i, _)| *i != but).map(|(_, z)| *z);
    let largest = others().fold(f64::NEG_INFINITY, f64::max);
    largest + others().map(|z| (z - largest).exp()).sum::<f64>().ln()
}

/// Outputs of several batches as one.
fn joined(parts: Vec<ArrayD<f32>>) -> Result<ArrayD<f32>> {
    let mut shape = parts.first().map_or(vec![0], |part| part.shape().to_vec());
    shape[0] = parts.iter().map(|part| part.shape()[0]).sum();
    let mut all = host::room(shape.iter().product(), "predictions")?;
    for part in &parts {
        all.extend_from_slice(part.as_slice().unwrap_or_default());
    }
    Tensor::f32(shape, all)?.into_f32()
}

/// The only one of a network's outputs.
fn only(mut outputs: Vec<ArrayD<f32>>) -> Result<ArrayD<f32>> {
    match (outputs.pop(), outputs.len()) {
        (Some(y), 0) => Ok(y),
        (_, more) => Err(Error::usage("predict", format!("the network has {} outputs: predict_many", more + 1))),
    }
}
