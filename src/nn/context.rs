use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::architecture::{Event, Journal};
use super::{Hold, Layer, LayerSummary, Mode, Penalty, STATISTICS};
use crate::contract::stream_of;
use crate::error::{Error, Result};
use crate::graph::{Graph, Init, PARAMETERS, Var};
use crate::optim::is_within;
use crate::shape::{Shape, TensorSpec};

/// The share of a moving average that a step's value replaces, by slot of [`STATISTICS`].
#[derive(Clone, Debug)]
pub struct StatisticUpdate {
    /// The slot's name.
    pub slot: String,
    /// The batch's value, in the slot's shape.
    pub value: Var,
    /// The share of the old average that is kept.
    pub keep: f32,
}

/// What layers leave behind besides their nodes, for whoever builds the rest of a step.
#[derive(Clone, Debug, Default)]
pub struct Collected {
    /// What holds parameters back.
    pub holds: Vec<Hold>,
    /// Scalars to be added to the loss: penalties on what layers put out.
    pub activity: Vec<Var>,
    /// How the running statistics move on.
    pub statistics: Vec<StatisticUpdate>,
    /// The layers, in the order in which they were built.
    pub layers: Vec<LayerSummary>,
}

/// What a layer may use while it is built: where it is in the model, and what it may leave behind.
#[derive(Clone, Debug)]
pub struct BuildCtx {
    /// What the graph is built for.
    pub mode: Mode,
    path: String,
    clock: Option<Var>,
    /// Names of layers and blocks, and whether what is in them is frozen; the last that fits holds.
    frozen: Rc<[(String, bool)]>,
    /// How many layers of each kind there are here, and the names that are taken.
    kinds: Rc<RefCell<HashMap<&'static str, usize>>>,
    names: Rc<RefCell<HashSet<String>>>,
    depth: usize,
    collected: Rc<RefCell<Collected>>,
    /// The parameters that are held back, and where each statistic that moves stands in `collected`.
    held: Rc<RefCell<HashSet<String>>>,
    moved: Rc<RefCell<HashMap<String, usize>>>,
    /// How often each stream of random numbers was asked for.
    streams: Rc<RefCell<HashMap<String, usize>>>,
    /// What layers do is noted here, where somebody wants to know it.
    journal: Option<Rc<RefCell<Journal>>>,
}

impl BuildCtx {
    /// The context of a whole network. `clock` is there in training; `frozen` names layers and blocks and says whether their parameters
    /// are left as they are, later entries before earlier ones.
    pub fn new(mode: Mode, clock: Option<&Var>, frozen: Vec<(String, bool)>) -> Self {
        BuildCtx {
            mode,
            path: String::new(),
            clock: clock.cloned(),
            frozen: frozen.into(),
            kinds: Rc::default(),
            names: Rc::default(),
            depth: 0,
            collected: Rc::default(),
            held: Rc::default(),
            moved: Rc::default(),
            streams: Rc::default(),
            journal: None,
        }
    }

    /// The same context, in which layers leave a trace of what they do; all of them are frozen, or none.
    pub(super) fn traced(self, journal: &Rc<RefCell<Journal>>) -> Self {
        BuildCtx { journal: Some(journal.clone()), ..self }
    }

    /// For predictions and evaluations: no clock, nothing frozen.
    pub fn inference() -> Self {
        Self::new(Mode::Infer, None, Vec::new())
    }

    /// The layer's name with those of the blocks around it, unique in its model: `encoder/conv2d_1`.
    pub fn name(&self) -> &str {
        &self.path
    }

    /// Whether this layer's parameters are not trained. Layers with running statistics leave them alone then.
    pub fn is_frozen(&self) -> bool {
        if let Some(journal) = &self.journal {
            return journal.borrow_mut().is_frozen(&self.path);
        }
        let found = self.frozen.iter().rev().find(|(name, _)| is_within(&self.path, name));
        found.is_some_and(|(_, frozen)| *frozen)
    }

    /// A trained parameter of this layer, called `<layer>/<name>`.
    ///
    /// # Errors
    /// Where the layer has a parameter of this name and another shape.
    pub fn parameter(&self, graph: &Graph, name: &str, shape: impl Into<Shape>, init: Init) -> Result<Var> {
        graph.parameter(&self.own(name), shape, init)
    }

    /// Holds the parameter `name` of this layer back by a penalty, and each of its units by a largest norm.
    pub fn hold(&self, name: &str, penalty: Penalty, max_norm: Option<super::MaxNorm>) {
        if penalty != Penalty::NONE || max_norm.is_some() {
            self.leave_hold(Hold { slot: self.own(name), penalty, max_norm });
        }
    }

    pub(super) fn leave_hold(&self, hold: Hold) {
        // A shared layer is built more than once; its parameters are held once.
        if self.held.borrow_mut().insert(hold.slot.clone()) {
            self.note(None, || Event::Hold(hold.clone()));
            self.collected.borrow_mut().holds.push(hold);
        }
    }

    /// Adds a penalty on what the layer puts out, per sample as in Keras: `(l1 · Σ|y| + l2 · Σy²) / batch`.
    ///
    /// # Errors
    /// Where `y` is not of floats.
    pub fn penalise_activity(&self, y: &Var, penalty: Penalty) -> Result<()> {
        let batch = y.shape().first().copied().unwrap_or(1).max(1) as f32;
        for (factor, terms) in [(penalty.l1, Var::abs as fn(&Var) -> Result<Var>), (penalty.l2, Var::square)] {
            if factor != 0.0 {
                let sum = terms(y)?.sum_all()?.scale(factor / batch)?;
                self.leave_activity(sum);
            }
        }
        Ok(())
    }

    pub(super) fn leave_activity(&self, sum: Var) {
        self.note(Some(sum.graph()), || Event::Activity(sum.value));
        self.collected.borrow_mut().activity.push(sum);
    }

    /// A statistic of this layer that training moves and that is not trained: a slot of [`STATISTICS`].
    ///
    /// # Errors
    /// Where the layer has a statistic of this name and another shape.
    pub fn statistic(&self, graph: &Graph, name: &str, shape: impl Into<Shape>, init: Init) -> Result<Var> {
        graph.state(STATISTICS, &self.own(name), TensorSpec::f32(shape), init)
    }

    /// After the step, unless it went bad, the statistic `name` becomes `keep · statistic + (1 − keep) · value`.
    ///
    /// # Errors
    /// Where `keep` is not in [0, 1]. A layer that is built twice in one step moves its statistics by the last of its values.
    pub fn update_statistic(&self, name: &str, value: &Var, keep: f32) -> Result<()> {
        if !(0.0..=1.0).contains(&keep) {
            return Err(Error::parameter(format!("layer \"{}\"", self.path), "momentum", "in [0, 1]", keep));
        }
        self.leave_statistic(StatisticUpdate { slot: self.own(name), value: value.clone(), keep });
        Ok(())
    }

    pub(super) fn leave_statistic(&self, update: StatisticUpdate) {
        let StatisticUpdate { slot, value, keep } = &update;
        self.note(Some(value.graph()), || Event::Statistic { slot: slot.clone(), value: value.value, keep: *keep });
        let statistics = &mut self.collected.borrow_mut().statistics;
        match self.moved.borrow_mut().entry(slot.clone()) {
            Entry::Occupied(place) => statistics[*place.get()] = update,
            Entry::Vacant(place) => {
                place.insert(statistics.len());
                statistics.push(update);
            }
        }
    }

    fn note(&self, graph: Option<&Graph>, event: impl FnOnce() -> Event) {
        if let Some(journal) = &self.journal {
            journal.borrow_mut().note(graph, event());
        }
    }

    /// The clock that random layers take their numbers from; there is one in training.
    ///
    /// # Errors
    /// Where the graph has no clock.
    pub fn clock(&self) -> Result<&Var> {
        self.clock.as_ref().ok_or_else(|| Error::usage(format!("layer \"{}\"", self.path), "this graph has no clock"))
    }

    /// A stream of random numbers of this layer's own; `what` tells several of one layer apart and may be empty. A shared layer has
    /// another one each time that it is built.
    pub fn stream(&self, what: &str) -> u32 {
        let name = if what.is_empty() { self.path.clone() } else { self.own(what) };
        let mut streams = self.streams.borrow_mut();
        let count = streams.entry(name.clone()).or_default();
        *count += 1;
        if *count == 1 { stream_of(&name) } else { stream_of(&format!("{name}#{count}")) }
    }

    /// Builds `layer` here, under the name of its kind: the second `dense` is `dense_1`.
    ///
    /// # Errors
    /// Those of the layer.
    pub fn layer(&self, layer: &dyn Layer, x: &Var) -> Result<Var> {
        let name = self.next_name(layer.kind());
        self.build(&name, layer, x)
    }

    /// Builds `layer` here under a name of your own.
    ///
    /// # Errors
    /// Where the name is taken (see [`BuildCtx::shared`]) or holds a `/`; those of the layer.
    pub fn named(&self, name: &str, layer: &dyn Layer, x: &Var) -> Result<Var> {
        if self.names.borrow().contains(name) {
            let reason = "the name is taken; layers that share their parameters are built by `shared`";
            return Err(Error::usage(format!("layer \"{}\"", self.own(name)), reason));
        }
        self.shared(name, layer, x)
    }

    /// Builds `layer` here under a name of your own. Built again under the same name, it has the same parameters.
    ///
    /// # Errors
    /// Where the name is empty or holds a `/`, or belongs to a layer whose parameters have other shapes; those of the layer.
    pub fn shared(&self, name: &str, layer: &dyn Layer, x: &Var) -> Result<Var> {
        check_name(name)?;
        self.names.borrow_mut().insert(name.to_owned());
        self.build(name, layer, x)
    }

    /// Runs `build` inside a block called `name`: what it builds is called `<name>/..`. For layers that take more than one tensor.
    ///
    /// # Errors
    /// Where the name is taken or holds a `/`; those of `build`.
    pub fn block<R>(&self, name: &str, graph: &Graph, build: impl FnOnce(&BuildCtx) -> Result<R>) -> Result<R> {
        check_name(name)?;
        if !self.names.borrow_mut().insert(name.to_owned()) {
            return Err(Error::usage(format!("block \"{}\"", self.own(name)), "the name is taken"));
        }
        self.record(name, "block", graph, build, |_| None)
    }

    /// What layers left behind so far.
    pub fn collected(&self) -> Collected {
        self.collected.borrow().clone()
    }

    fn build(&self, name: &str, layer: &dyn Layer, x: &Var) -> Result<Var> {
        let graph = x.graph().clone();
        self.record(name, layer.kind(), &graph, |ctx| layer.build(ctx, x), |y: &Var| Some(y.clone()))
    }

    /// Builds again what was traced as the layer `name` of this kind.
    pub(super) fn replayed(
        &self,
        (name, kind): (&str, &str),
        graph: &Graph,
        build: impl FnOnce(&BuildCtx) -> Result<Option<Var>>,
    ) -> Result<Option<Var>> {
        check_name(name)?;
        self.record(name, kind.to_owned(), graph, build, Option::clone)
    }

    /// Builds something under `name` and puts it into the list of layers.
    fn record<R>(
        &self,
        name: &str,
        kind: impl Into<Cow<'static, str>>,
        graph: &Graph,
        build: impl FnOnce(&BuildCtx) -> Result<R>,
        output: impl FnOnce(&R) -> Option<Var>,
    ) -> Result<R> {
        let kind = kind.into();
        self.note(Some(graph), || Event::Enter { name: name.to_owned(), kind: kind.to_string() });
        let inner = self.inner(name);
        let counts = || [PARAMETERS, STATISTICS].map(|arena| graph.elements(arena));
        let (before, place) = (counts(), self.collected.borrow().layers.len());
        let result = graph.in_layer(name, || build(&inner))?;
        let after = counts();
        let output = output(&result);
        self.note(Some(graph), || Event::Leave { output: output.as_ref().map(|y| y.value) });
        let summary = LayerSummary {
            name: inner.path.clone(),
            kind,
            depth: self.depth,
            output: output.map(|y| y.shape()),
            parameters: after[0] - before[0],
            statistics: after[1] - before[1],
        };
        self.collected.borrow_mut().layers.insert(place, summary);
        Ok(result)
    }

    fn inner(&self, name: &str) -> BuildCtx {
        BuildCtx {
            path: self.own(name),
            kinds: Rc::default(),
            names: Rc::default(),
            depth: self.depth + 1,
            ..self.clone()
        }
    }

    fn next_name(&self, kind: &'static str) -> String {
        loop {
            let name = {
                let mut kinds = self.kinds.borrow_mut();
                let count = kinds.entry(kind).or_default();
                *count += 1;
                if *count == 1 { kind.to_owned() } else { format!("{kind}_{}", *count - 1) }
            };
            if self.names.borrow_mut().insert(name.clone()) {
                return name;
            }
        }
    }

    fn own(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}/{name}", self.path) }
    }
}

fn check_name(name: &str) -> Result<()> {
    if name.is_empty() || name.contains('/') {
        return Err(Error::parameter("a layer", "name", "without \"/\" and not empty", format!("\"{name}\"")));
    }
    Ok(())
}
