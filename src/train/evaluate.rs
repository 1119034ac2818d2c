use std::collections::VecDeque;

use ndarray::{ArrayD, Axis};

use super::feed::Feed;
use super::metrics::ConfusionTable;
use super::model::Model;
use super::program::{Pass, Unwatched, Watch};
use crate::data::Dataset;
use crate::engine::Executable;
use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::nn::Mode;
use crate::shape::{DType, Shape};
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
    pub metrics: Vec<(&'static str, f64)>,
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
        let evaluation = self.evaluate_in(data, BATCH, &mut Unwatched)?;
        evaluation.ok_or_else(|| Error::usage("evaluate", "it was stopped, though nobody can wish that"))
    }

    /// The same in batches of `batch`; nothing where `watch` wished to stop before the end.
    pub(super) fn evaluate_in(
        &mut self,
        data: &Dataset,
        batch: usize,
        watch: &mut dyn Watch,
    ) -> Result<Option<Evaluation>> {
        self.check_data(data)?;
        let mut pass = self.evaluation_pass(data, batch)?;
        let order: Vec<u32> = (0..data.len() as u32).collect();
        let rates = vec![0.0; pass.feed.steps()];
        let outcome = pass.run(&mut self.session, data, &order, &rates, watch)?;
        let (loss, metrics) = pass.feed.means(outcome.steps, &outcome.records);
        let whole = outcome.steps == pass.feed.steps();
        self.evaluations.0.push_back(pass);
        let names = self.definition.metrics.iter().map(|m| m.name());
        Ok(whole.then(|| Evaluation { loss, metrics: names.zip(metrics).collect() }))
    }

    fn evaluation_pass(&mut self, data: &Dataset, batch: usize) -> Result<Pass> {
        let spec = |t: &Tensor| t.spec().to_string();
        let name = format!("evaluate {} {} by {batch}", spec(data.features()), spec(data.targets()));
        let feed = Feed::new(&name, data, batch, self.definition.columns());
        if let Some(at) = self.evaluations.0.iter().position(|p| p.serves(&feed))
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
        Pass::new(&mut self.session, self.definition.recipe(false), feed)
    }

    /// The network's outputs for `features` `[n, ..]`, in inference mode: `[n, ..]`. Bytes become `x / 255`.
    ///
    /// # Errors
    /// Features that do not fit the network; a device that fails.
    pub fn predict(&mut self, features: impl Into<Tensor>) -> Result<ArrayD<f32>> {
        let features = match features.into() {
            Tensor::F32(x) => x,
            Tensor::U8(x) => x.mapv(|v| f32::from(v) / 255.0),
            Tensor::U32(_) => return Err(Error::dtype("predict", "f32 or u8", "u32")),
        };
        self.predict_floats(&features)
    }

    /// The network's outputs for the features of a dataset, scaled as the dataset says.
    ///
    /// # Errors
    /// See [`Model::predict`].
    pub fn predict_dataset(&mut self, data: &Dataset) -> Result<ArrayD<f32>> {
        match data.features() {
            Tensor::U8(x) => {
                let (scale, shift) = data.scaling();
                self.predict_floats(&x.mapv(|v| f32::from(v) * scale + shift))
            }
            Tensor::F32(x) => self.predict_floats(x),
            Tensor::U32(_) => Err(Error::dtype("predict", "f32 or u8", "u32")),
        }
    }

    /// How often each class of `data` was taken for each other.
    ///
    /// # Errors
    /// Where the targets are not classes; see also [`Model::predict`].
    pub fn confusion(&mut self, data: &Dataset) -> Result<ConfusionTable> {
        let truth = data.classes().ok_or_else(|| Error::data("targets", "classes", "values"))?;
        let predicted = self.predict_dataset(data)?;
        let rows = predicted.axis_iter(Axis(0));
        let classes: Vec<u32> = rows.map(|row| crate::tensor::argmax(row.iter().copied()) as u32).collect();
        ConfusionTable::new(&truth, &classes)
    }

    fn predict_floats(&mut self, features: &ArrayD<f32>) -> Result<ArrayD<f32>> {
        let (expected, n) =
            (self.definition.network.input_shape().clone(), features.shape().first().copied().unwrap_or(0));
        if n == 0 || features.shape()[1..] != *expected {
            let actual = Shape::from(features.shape()).to_string();
            return Err(Error::shape("predict", format!("[n, ..] with samples of {expected}"), actual));
        }
        let mut outputs = Vec::new();
        for chunk in features.axis_chunks_iter(Axis(0), BATCH) {
            outputs.push(self.predict_batch(chunk.to_owned().into())?.into_f32()?);
        }
        let views: Vec<_> = outputs.iter().map(|y| y.view()).collect();
        ndarray::concatenate(Axis(0), &views).map_err(|e| Error::usage("predict", e.to_string()))
    }

    fn predict_batch(&mut self, x: Tensor) -> Result<Tensor> {
        let batch = x.shape()[0];
        let at = match self.predictor.0.iter().position(|(size, _)| *size == batch) {
            Some(at) => at,
            None => {
                let graph = Graph::new();
                let input = graph.input("x", x.shape(), DType::F32)?;
                let y = self.definition.network.build(&input, Mode::Infer, None)?;
                let executable = self.session.compile(&graph, &[y])?;
                if self.predictor.0.len() >= KEPT {
                    self.predictor.0.pop_front();
                }
                self.predictor.0.push_back((batch, executable));
                self.predictor.0.len() - 1
            }
        };
        Ok(self.session.run(&self.predictor.0[at].1, &[("x", &x)])?.swap_remove(0))
    }
}
