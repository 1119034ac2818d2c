use super::evaluate::Evaluations;
use super::history::History;
use super::program::Pass;
use super::{Metric, program::Recipe};
use crate::engine::{Device, Session};
use crate::error::{Error, Result};
use crate::graph::{Graph, PARAMETERS, SlotSpec};
use crate::nn::{Loss, Mode, Network, Summary};
use crate::optim::Tuned;
use crate::shape::DType;
use crate::tensor::Tensor;

/// Where and with what a model works.
#[derive(Clone, Debug)]
pub struct Setup {
    device: Device,
    seed: u64,
    memory_budget: Option<u64>,
}

impl Setup {
    /// On the fastest device ([`Device::best`]), with seed 0 and the device's default memory budget.
    ///
    /// # Errors
    /// Where `GALEN_DEVICE` names a device that is not there.
    pub fn best() -> Result<Setup> {
        Ok(Setup::on(&Device::best()?))
    }

    /// On this device, with seed 0 and the device's default memory budget.
    pub fn on(device: &Device) -> Setup {
        Setup { device: device.clone(), seed: 0, memory_budget: None }
    }

    /// What decides initial weights, the order of samples and dropout. The same seed, device and program give the same
    /// parameters, to the bit.
    #[must_use]
    pub fn seed(self, seed: u64) -> Setup {
        Setup { seed, ..self }
    }

    /// Bytes that a plan's parameters, activations and resident data may take together. Data that does not fit is streamed. Training
    /// and evaluation are plans of their own: validation data that is kept on the device comes on top.
    #[must_use]
    pub fn memory_budget(self, bytes: Option<u64>) -> Setup {
        Setup { memory_budget: bytes, ..self }
    }
}

/// Turns a network into a [`Model`], as Keras's `compile` does.
pub trait Compile: Network + Sized + 'static {
    /// A model on the fastest device, with seed 0.
    ///
    /// # Errors
    /// See [`Compile::compile_on`].
    fn compile(self, optimizer: impl Into<Tuned>, loss: Loss, metrics: &[Metric]) -> Result<Model> {
        self.compile_on(&Setup::best()?, optimizer, loss, metrics)
    }

    /// A model where and with what `setup` says.
    ///
    /// # Errors
    /// Where a layer cannot take its input, or an optimizer's setting makes no sense.
    fn compile_on(self, setup: &Setup, optimizer: impl Into<Tuned>, loss: Loss, metrics: &[Metric]) -> Result<Model> {
        Model::new(Box::new(self), setup, optimizer.into(), loss, metrics)
    }
}

impl<N: Network + Sized + 'static> Compile for N {}

/// What `compile` was given.
#[derive(Debug)]
pub(super) struct Definition {
    pub(super) network: Box<dyn Network>,
    pub(super) optimizer: Tuned,
    pub(super) loss: Loss,
    pub(super) metrics: Vec<Metric>,
}

impl Definition {
    pub(super) fn recipe(&self, training: bool) -> Recipe<'_> {
        let optimizer = training.then_some(&self.optimizer);
        Recipe { network: self.network.as_ref(), loss: self.loss, metrics: &self.metrics, optimizer }
    }

    /// Words per step in the records: the loss and the metrics.
    pub(super) fn columns(&self) -> usize {
        1 + self.metrics.len()
    }
}

/// A network with its parameters on a device, ready to be trained, evaluated and asked. It is `Send`, not `Sync`.
#[derive(Debug)]
pub struct Model {
    pub(super) definition: Definition,
    pub(super) session: Session,
    pub(super) seed: u64,
    /// Steps and epochs trained so far.
    pub(super) steps: u32,
    pub(super) epochs: usize,
    pub(super) training: Option<Pass>,
    pub(super) history: History,
    pub(super) evaluations: Evaluations,
    pub(super) predictor: super::evaluate::Predictor,
    /// The shape of the network's output for one sample.
    pub(super) output: crate::Shape,
}

impl Model {
    fn new(
        network: Box<dyn Network>,
        setup: &Setup,
        optimizer: Tuned,
        loss: Loss,
        metrics: &[Metric],
    ) -> Result<Model> {
        let summary = network.summary()?;
        let output = summary.layers.last().map(|l| l.output.clone()).unwrap_or_default();
        let mut session = Session::new(&setup.device, setup.seed, setup.memory_budget);
        // One small plan puts the initial parameters on the device and finds out now what the layers object to.
        let graph = Graph::new();
        let mut shape = vec![1];
        shape.extend_from_slice(network.input_shape());
        let x = graph.input("x", shape, DType::F32)?;
        let y = network.build(&x, Mode::Infer, None)?;
        if graph.slots(PARAMETERS).is_empty() {
            return Err(Error::usage("a model", "it has no parameters to train"));
        }
        session.compile(&graph, &[y])?;
        Ok(Model {
            definition: Definition { network, optimizer, loss, metrics: metrics.to_vec() },
            session,
            seed: setup.seed,
            steps: 0,
            epochs: 0,
            training: None,
            history: History::default(),
            evaluations: Evaluations::default(),
            predictor: Default::default(),
            output,
        })
    }

    /// The device that the model lives on.
    pub fn device(&self) -> &Device {
        self.session.device()
    }

    /// The layers with their output shapes and parameters.
    ///
    /// # Errors
    /// Never, for a model that was compiled; the signature is the network's.
    pub fn summary(&self) -> Result<Summary> {
        self.definition.network.summary()
    }

    /// What one training step runs, on what, and in how many bytes; empty before the first `fit`.
    pub fn describe(&self) -> String {
        self.training.as_ref().map(|pass| pass.plan().describe()).unwrap_or_default()
    }

    /// The parameters' names and shapes.
    ///
    /// # Errors
    /// Never, for a model that was compiled.
    pub fn parameter_specs(&self) -> Result<Vec<SlotSpec>> {
        Ok(self.session.layout(PARAMETERS)?.slots.clone())
    }

    /// A parameter, read from the device: `dense/kernel`.
    ///
    /// # Errors
    /// Where there is no such parameter or the device fails.
    pub fn parameter(&mut self, name: &str) -> Result<Tensor> {
        self.session.state(PARAMETERS, name)
    }

    /// Replaces a parameter.
    ///
    /// # Errors
    /// Where there is no such parameter, its shape differs, or the device fails.
    pub fn set_parameter(&mut self, name: &str, value: &Tensor) -> Result<()> {
        self.session.set_state(PARAMETERS, name, value)
    }
}
