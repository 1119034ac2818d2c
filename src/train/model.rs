use std::collections::BTreeMap;

use super::evaluate::Evaluations;
use super::feed::Feed;
use super::history::History;
use super::metrics::Records;
use super::preparation::Preparation;
use super::program::Pass;
use super::tokens::TokenLimits;
use super::{Metric, program::Recipe};
use crate::data::{Dataset, Source, check_scaling};
use crate::engine::{Device, Session};
use crate::error::{Error, Result};
use crate::graph::{ArenaSpec, Graph, PARAMETERS, SlotSpec, Var};
use crate::nn::{self, BuildCtx, Drawing, Ending, Judgement, Losses, Mode, Network, STATISTICS, Summary, Taken};
use crate::optim::{EMA, Sgd, Tuned};
use crate::shape::{DType, Shape};
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
    fn compile(self, optimizer: impl Into<Tuned>, losses: impl Into<Losses>, metrics: &[Metric]) -> Result<Model> {
        self.compile_on(&Setup::best()?, optimizer, losses, metrics)
    }

    /// A model where and with what `setup` says. `losses` is a [`Loss`](crate::nn::Loss), or [`Losses`] with one for each output.
    ///
    /// # Errors
    /// Where a layer cannot take its input, an optimizer's setting makes no sense, or a loss contradicts what the network ends in
    /// ([`Form::taken`](crate::nn::Form::taken)).
    fn compile_on(
        self,
        setup: &Setup,
        optimizer: impl Into<Tuned>,
        losses: impl Into<Losses>,
        metrics: &[Metric],
    ) -> Result<Model> {
        Model::new(Box::new(self), setup, optimizer.into(), losses.into(), metrics, Values::Drawn)
    }
}

impl<N: Network + Sized + 'static> Compile for N {}

/// What `compile` was given.
#[derive(Debug)]
pub(super) struct Definition {
    pub(super) network: Box<dyn Network>,
    pub(super) optimizer: Tuned,
    pub(super) losses: Losses,
    pub(super) metrics: Vec<Metric>,
    /// The shapes of the network's outputs for one sample.
    pub(super) outputs: Vec<Shape>,
    /// Whether penalties, on parameters or on activations, are shown with the loss.
    pub(super) penalized: bool,
    /// In which form the losses take the outputs, and what is said of it.
    pub(super) taken: Vec<(Taken, Option<String>)>,
    /// Which tokens the inputs may be.
    pub(super) tokens: TokenLimits,
    /// What is done to the inputs first.
    pub(super) preparation: Preparation,
}

impl Definition {
    /// What was given; what the network makes of it is found out when it is built.
    fn new(network: Box<dyn Network>, optimizer: Tuned, losses: Losses, metrics: &[Metric]) -> Definition {
        let preparation = Preparation::new(network.inputs().len());
        let (metrics, outputs, taken, tokens) = (metrics.to_vec(), Vec::new(), Vec::new(), TokenLimits::default());
        let penalized = false;
        Definition { network, optimizer, losses, metrics, outputs, penalized, taken, tokens, preparation }
    }

    /// What the losses say of the form in which they take the outputs where nothing tells it.
    pub(super) fn doubts(&self) -> impl Iterator<Item = &String> {
        self.taken.iter().filter(|(taken, _)| taken.guessed).filter_map(|(_, said)| said.as_ref())
    }

    pub(super) fn recipe(&self, mode: Mode) -> Recipe<'_> {
        let (network, losses, metrics) = (self.network.as_ref(), &self.losses, &self.metrics[..]);
        Recipe { network, losses, metrics, tuned: &self.optimizer, augment: &[], mode }
    }

    /// A pass over `data`.
    ///
    /// # Errors
    /// Targets of a shape or type that a loss cannot take.
    pub(super) fn feed(&self, name: &str, data: &Dataset, batch: usize) -> Result<Feed> {
        let targets: Vec<_> = data.outputs().map(Source::sample).collect();
        let weighted = data.weights().is_some();
        let (losses, metrics, samples) = (&self.losses, &self.metrics, data.len());
        let records = Records::new(losses, metrics, &self.outputs, &targets, samples, weighted, self.penalized)?;
        Ok(Feed::new(name, data, batch, records))
    }

    /// Refuses metrics that have no meaning for the first output.
    fn check_metrics(&self) -> Result<()> {
        let shape = self.batched();
        self.metrics.iter().try_for_each(|metric| metric.measure().check(&shape, self.judgement()))
    }

    /// The shape of the first output for a batch of one.
    fn batched(&self) -> Shape {
        Shape::from(std::iter::once(1).chain(self.outputs[0].iter().copied()).collect::<Vec<_>>())
    }

    /// How the first output is judged.
    pub(super) fn judgement(&self) -> Judgement {
        let first = self.losses.iter().next();
        let judgement = first.map_or(Judgement::elements(false), |(loss, _)| loss.judgement(&self.batched()));
        self.taken.first().map_or(judgement, |(taken, _)| taken.judged(judgement))
    }
}

/// Where a model's first parameters and statistics come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Values {
    /// They are drawn as the layers say.
    Drawn,
    /// They are written right after, all of them: drawing them would be work for nothing.
    Follow,
}

/// What is attached to a model, by name.
pub(super) type Attached = BTreeMap<String, serde_json::Value>;

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
    pub(super) attached: Attached,
    /// The network as JSON, or why it cannot be written so, once somebody has asked.
    pub(super) written: Option<Result<String, String>>,
}

impl Model {
    pub(super) fn new(
        network: Box<dyn Network>,
        setup: &Setup,
        optimizer: Tuned,
        losses: Losses,
        metrics: &[Metric],
        values: Values,
    ) -> Result<Model> {
        let model = Model::of(Definition::new(network, optimizer, losses, metrics), setup, values)?;
        model.definition.doubts().for_each(|doubt| log::warn!("{doubt}"));
        model.definition.optimizer.check_for(&model.parameter_specs()?)?;
        if model.definition.losses.len() != model.definition.outputs.len() {
            let expected = format!("{}, one for each output", model.definition.outputs.len());
            return Err(Error::data("losses", expected, model.definition.losses.len().to_string()));
        }
        model.definition.check_metrics()?;
        Ok(model)
    }

    /// A model that only predicts, whose parameters and statistics are written by whoever asks for it.
    pub(super) fn without_loss(network: Box<dyn Network>, setup: &Setup) -> Result<Model> {
        // There is always an optimizer; without losses nothing calls it.
        let optimizer = Sgd::new(0.0).into();
        Model::of(Definition::new(network, optimizer, Losses::none(), &[]), setup, Values::Follow)
    }

    fn of(definition: Definition, setup: &Setup, values: Values) -> Result<Model> {
        let mut session = Session::new(&setup.device, setup.seed, setup.memory_budget);
        // One small plan puts the initial parameters on the device and finds out now what the layers object to.
        let graph = Graph::new();
        let ctx = BuildCtx::inference();
        let outputs = nn::forward(definition.network.as_ref(), &ctx, &graph, 1)?;
        if graph.slots(PARAMETERS).is_empty() {
            return Err(Error::usage("a model", "it has no parameters to train"));
        }
        let collected = ctx.collected();
        let penalized =
            !collected.activity.is_empty() || definition.optimizer.penalty(&graph, &collected.holds)?.is_some();
        let tokens = TokenLimits::of(&graph, &definition.network.inputs());
        let taken = |((loss, _), y): ((&dyn nn::Loss, f32), &Var)| {
            let taken = loss.takes(y)?;
            Ok((taken, taken.describe(loss.name(), &Ending::of(y))))
        };
        let taken = definition.losses.iter().zip(&outputs).map(taken).collect::<Result<_>>()?;
        if values == Values::Follow {
            graph.without_initial_values(&[PARAMETERS, STATISTICS]);
        }
        session.compile(&graph, &outputs)?;
        let outputs = outputs.iter().map(|y| Shape::from(&y.shape()[1..])).collect();
        Ok(Model {
            definition: Definition { outputs, penalized, taken, tokens, ..definition },
            session,
            seed: setup.seed,
            steps: 0,
            epochs: 0,
            training: None,
            history: History::default(),
            evaluations: Evaluations::default(),
            predictor: Default::default(),
            attached: Attached::new(),
            written: None,
        })
    }

    /// The device that the model lives on.
    pub fn device(&self) -> &Device {
        self.session.device()
    }

    /// The layers with their output shapes and parameters, and whether the losses take logits or probabilities.
    ///
    /// # Errors
    /// Never, for a model that was compiled; the signature is the network's.
    pub fn summary(&self) -> Result<Summary> {
        let mut summary = self.definition.network.summary()?;
        summary.losses = self.definition.taken.iter().filter_map(|(_, said)| said.clone()).collect();
        Ok(summary)
    }

    /// What is done to the inputs before they reach the network: how bytes become numbers.
    pub fn preparation(&self) -> &Preparation {
        &self.definition.preparation
    }

    /// Says that bytes of the `input`-th input become `x · scale + shift`, where the model was trained on floats that had been made so, or
    /// its file tells nothing of it.
    ///
    /// # Errors
    /// Where there is no such input of floats, the numbers are not finite or the scale is 0, or the model knows bytes that are scaled in
    /// another way.
    pub fn scale_bytes(&mut self, input: usize, scale: f32, shift: f32) -> Result<()> {
        let inputs = self.definition.network.inputs();
        if inputs.get(input).is_none_or(|input| input.dtype != DType::F32) {
            let expected = format!("that of an input of floats (there are {} inputs)", inputs.len());
            return Err(Error::parameter("scale_bytes", "the input's number", expected, input));
        }
        check_scaling("scale_bytes", scale, shift)?;
        let what = self.definition.what(input);
        self.definition.preparation.learn(input, &what, (scale, shift))
    }

    /// The network as a drawing: which layer feeds which.
    ///
    /// # Errors
    /// Never, for a model that was compiled; the signature is the network's.
    pub fn drawing(&self) -> Result<Drawing> {
        self.definition.network.drawing()
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

    /// Names and shapes of what the model keeps without training it: the running statistics of batch normalisation.
    pub fn statistic_specs(&self) -> Vec<SlotSpec> {
        // A model without such layers has no such state.
        self.session.layout(STATISTICS).map(|arena| arena.slots.clone()).unwrap_or_default()
    }

    /// A parameter or a statistic, read from the device: `dense/kernel`, `batch_norm/moving_mean`.
    ///
    /// # Errors
    /// Where there is none of this name or the device fails.
    pub fn parameter(&mut self, name: &str) -> Result<Tensor> {
        self.session.state(self.arena_of(name), name)
    }

    /// Replaces a parameter or a statistic.
    ///
    /// # Errors
    /// Where there is none of this name, its shape differs, or the device fails.
    pub fn set_parameter(&mut self, name: &str, value: &Tensor) -> Result<()> {
        self.session.set_state(self.arena_of(name), name, value)
    }

    /// All parameters and statistics, read from the device.
    pub(super) fn weights(&mut self) -> Result<Vec<(String, Tensor)>> {
        let arenas: Vec<ArenaSpec> =
            [PARAMETERS, STATISTICS].iter().filter_map(|name| self.session.layout(name).ok().cloned()).collect();
        self.session.slots_of(&arenas)
    }

    /// Puts the moving average of the parameters ([`Tuned::ema`]) in their place: usually once, after the last training.
    ///
    /// # Errors
    /// Where the model keeps no average, or has made no update yet; a device that fails.
    pub fn apply_average(&mut self) -> Result<()> {
        if !self.definition.optimizer.has_ema() {
            return Err(Error::usage("apply_average", "the model was compiled without a moving average (Tuned::ema)"));
        }
        if self.session.layout(EMA).is_err() || (self.steps as usize) < self.definition.optimizer.steps_per_update() {
            return Err(Error::usage("apply_average", "there is no average before the first update"));
        }
        for slot in self.parameter_specs()? {
            let average = self.session.state(EMA, &slot.name)?;
            self.session.set_state(PARAMETERS, &slot.name, &average)?;
        }
        Ok(())
    }

    /// The state in which the parameter or statistic `name` lies.
    fn arena_of(&self, name: &str) -> &'static str {
        if self.session.has_slot(STATISTICS, name) { STATISTICS } else { PARAMETERS }
    }
}
