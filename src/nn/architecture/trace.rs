//! A network's build as a list of items, for one number of samples.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use serde_json::Value as Json;

use super::limits::is_known;
use super::{Does, Event, Item, Journal, Node, Program, Ref, State, undescribed, unify};
use crate::contract::clock;
use crate::error::Result;
use crate::graph::{Graph, GraphData, Init, NodeKind, SlotSpec, Value, Var};
use crate::nn::{BuildCtx, Mode, Network, forward};
use crate::ops::Op;
use crate::shape::TensorSpec;

/// The numbers of samples for which networks are built. The last tells `min(batch, 8)` from the batch.
const BATCHES: [usize; 4] = [2, 3, 7, 64];

/// Builds a network and collects what it declares.
pub(super) struct Tracer<'a> {
    network: &'a dyn Network,
    pub(super) states: Vec<State>,
    /// Indices into `states`, by arena and name.
    known: HashMap<(String, String), usize>,
}

/// A program, and the layers that asked whether they are frozen.
pub(super) struct Traced {
    pub(super) program: Program,
    pub(super) asked: BTreeSet<String>,
}

/// A network built into a graph of its own.
pub(super) struct Built {
    pub(super) graph: Graph,
    pub(super) ctx: BuildCtx,
    pub(super) outputs: Vec<Var>,
    pub(super) journal: Rc<RefCell<Journal>>,
}

/// Builds `network` for `batch` samples, with all of its layers frozen or none.
pub(super) fn built(network: &dyn Network, mode: Mode, frozen: bool, batch: usize) -> Result<Built> {
    let graph = Graph::new();
    let clock = match mode {
        Mode::Infer => None,
        Mode::Train => {
            let spec = TensorSpec::u32([clock::LEN]);
            Some(graph.state("clock of a trace", "clock", spec, Init::Constant(0.0))?)
        }
    };
    let journal = Rc::new(RefCell::new(Journal::new(frozen)));
    let ctx = BuildCtx::new(mode, clock.as_ref(), Vec::new()).traced(&journal);
    let outputs = forward(network, &ctx, &graph, batch)?;
    Ok(Built { graph, ctx, outputs, journal })
}

impl<'a> Tracer<'a> {
    pub(super) fn new(network: &'a dyn Network) -> Tracer<'a> {
        Tracer { network, states: Vec::new(), known: HashMap::new() }
    }

    /// What the network does in `mode`, for any number of samples.
    pub(super) fn program(&mut self, mode: Mode, frozen: bool) -> Result<Traced> {
        let (mut programs, mut asked) = (Vec::new(), BTreeSet::new());
        for batch in BATCHES {
            let built = built(self.network, mode, frozen, batch)?;
            asked.append(&mut built.journal.borrow_mut().asked);
            programs.push(self.listed(mode, &built)?);
        }
        Ok(Traced { program: unify::unify(&programs, &BATCHES)?, asked })
    }

    /// What was built, as a list.
    fn listed(&mut self, mode: Mode, built: &Built) -> Result<Program> {
        let data = built.graph.data();
        let inputs = self.network.inputs().len();
        // The clock is declared before the inputs.
        let clocks = usize::from(mode == Mode::Train);
        let mut values = HashMap::new();
        (0..inputs).for_each(|i| _ = values.insert(Value { node: clocks + i, output: 0 }, Ref::Value(i)));
        if mode == Mode::Train {
            values.insert(Value { node: 0, output: 0 }, Ref::Value(inputs));
        }
        let (next, done) = (clocks + inputs, clocks + inputs);
        let open = vec![Open { name: String::new(), kind: String::new(), path: String::new(), items: Vec::new() }];
        let slots = slots(&data);
        let mut list = Listing { tracer: self, data: &data, slots, values, next, done, open };
        for (at, event) in &built.journal.borrow().events {
            list.nodes(*at)?;
            list.event(event)?;
        }
        list.nodes(data.nodes.len())?;
        let outputs = built.outputs.iter().map(|y| list.of(y.value)).collect::<Result<_>>()?;
        let items = list.open.pop().map(|open| open.items).unwrap_or_default();
        Ok(Program { items, outputs })
    }

    /// The slot as one of the states, the same in every graph.
    fn state(&mut self, arena: &str, slot: &SlotSpec, layer: &str) -> Result<usize> {
        if !is_known(arena) {
            let what = format!("state \"{}\"", slot.name);
            let reason = format!(
                "it lies in \"{arena}\", and only parameters, running statistics and constants are written to files"
            );
            return Err(undescribed(layer, &what, &reason));
        }
        let key = (arena.to_owned(), slot.name.clone());
        let Some(&index) = self.known.get(&key) else {
            self.known.insert(key, self.states.len());
            let (name, spec, init) = (slot.name.clone(), slot.spec.clone(), slot.init.clone());
            self.states.push(State { arena: arena.to_owned(), name, spec, init });
            return Ok(self.states.len() - 1);
        };
        let have = &self.states[index];
        if have.spec != slot.spec || !same_init(&have.init, &slot.init) {
            let what = format!("state \"{}\"", slot.name);
            return Err(undescribed(
                layer,
                &what,
                "its shape or its initial values depend on the batch or on the mode",
            ));
        }
        Ok(index)
    }
}

/// Whether two slots begin with the same bits.
pub(super) fn same_init(a: &Init, b: &Init) -> bool {
    match (a, b) {
        (Init::Values(a), Init::Values(b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| a.to_bits() == b.to_bits())
        }
        _ => a == b,
    }
}

/// The nodes that declare slots, each with its arena and its slot.
fn slots(data: &GraphData) -> HashMap<usize, (usize, usize)> {
    let mut free: HashMap<(usize, usize), usize> = HashMap::new();
    for (a, arena) in data.arenas.iter().enumerate() {
        arena.slots.iter().enumerate().for_each(|(s, slot)| _ = free.insert((a, slot.offset), s));
    }
    let mut found = HashMap::new();
    for (index, node) in data.nodes.iter().enumerate() {
        // A slot is declared once, before anybody can ask for its whole arena.
        if let NodeKind::State { arena, offset } = node.kind
            && let Some(slot) = free.remove(&(arena, offset))
        {
            found.insert(index, (arena, slot));
        }
    }
    found
}

/// A layer whose end has not come.
struct Open {
    name: String,
    kind: String,
    /// Its name with those around it.
    path: String,
    items: Vec<Item>,
}

/// A list in the making.
struct Listing<'l, 't> {
    tracer: &'l mut Tracer<'t>,
    data: &'l GraphData,
    slots: HashMap<usize, (usize, usize)>,
    values: HashMap<Value, Ref>,
    /// The value that comes next.
    next: usize,
    /// How many nodes are listed.
    done: usize,
    open: Vec<Open>,
}

impl Listing<'_, '_> {
    fn path(&self) -> &str {
        self.open.last().map_or("", |open| &open.path)
    }

    fn push(&mut self, item: Item) {
        if let Some(open) = self.open.last_mut() {
            open.items.push(item);
        }
    }

    fn of(&self, value: Value) -> Result<Ref> {
        let found = self.values.get(&value).copied();
        found.ok_or_else(|| undescribed(self.path(), "a tensor", "it comes from outside of the network"))
    }

    fn event(&mut self, event: &Event) -> Result<()> {
        match event {
            Event::Enter { name, kind } => {
                let path = if self.path().is_empty() { name.clone() } else { format!("{}/{name}", self.path()) };
                self.open.push(Open { name: name.clone(), kind: kind.clone(), path, items: Vec::new() });
            }
            Event::Leave { output } => {
                let output = output.map(|value| self.of(value)).transpose()?;
                if let Some(Open { name, kind, items, .. }) = self.open.pop() {
                    self.push(Item::Layer { name, kind, items, output });
                }
            }
            Event::Hold(hold) => self.push(Item::Hold(hold.clone())),
            Event::Activity(value) => {
                let value = self.of(*value)?;
                self.push(Item::Activity(value));
            }
            Event::Statistic { slot, value, keep } => {
                let (slot, value, keep) = (slot.clone(), self.of(*value)?, *keep);
                self.push(Item::Statistic { slot, value, keep });
            }
        }
        Ok(())
    }

    /// Lists the nodes up to `end`, exclusive.
    fn nodes(&mut self, end: usize) -> Result<()> {
        while self.done < end {
            self.node(self.done)?;
            self.done += 1;
        }
        Ok(())
    }

    fn node(&mut self, index: usize) -> Result<()> {
        let data = self.data;
        let node = &data.nodes[index];
        if let Some((arena, slot)) = self.slots.get(&index) {
            let arena = &data.arenas[*arena];
            let state = self.tracer.state(&arena.name, &arena.slots[*slot], &node.layer)?;
            self.values.insert(Value { node: index, output: 0 }, Ref::State { state });
            self.push(Item::State(state));
            return Ok(());
        }
        let does = self.does(&node.kind, &node.layer, &node.outputs)?;
        let inputs = node.inputs.iter().map(|v| self.of(*v)).collect::<Result<_>>()?;
        for output in 0..node.outputs.len() {
            self.values.insert(Value { node: index, output }, Ref::Value(self.next));
            self.next += 1;
        }
        let layer = (&*node.layer != self.path()).then(|| node.layer.to_string());
        self.push(Item::Node(Node { does, inputs, outputs: node.outputs.len(), layer }));
        Ok(())
    }

    fn does(&self, kind: &NodeKind, layer: &str, outputs: &[TensorSpec]) -> Result<Does> {
        match kind {
            NodeKind::Op(Op::Custom(op)) => {
                let what = format!("op \"{}\"", op.name());
                Err(undescribed(layer, &what, "it is an op of your own, and code is not written to files"))
            }
            NodeKind::Op(Op::Chain(chain)) => {
                Err(undescribed(layer, &chain.name, "chains are made when a plan is made, of ops that can be written"))
            }
            NodeKind::Op(op) if !op.writes().is_empty() => Err(undescribed(
                layer,
                op.name(),
                "it changes state, which a network that is written to a file may not",
            )),
            NodeKind::Op(op) => {
                let written = serde_json::to_value(op);
                Ok(Does::Op(written.map_err(|e| undescribed(layer, op.name(), &e.to_string()))?))
            }
            NodeKind::Reshape => {
                let shape = outputs.first().map(|spec| spec.shape.to_vec()).unwrap_or_default();
                Ok(Does::Reshape(Json::from(shape)))
            }
            NodeKind::State { arena, .. } => Ok(Does::Whole(self.data.arenas[*arena].name.clone())),
            NodeKind::Input(name) => {
                Err(undescribed(layer, &format!("input \"{name}\""), "the network declares it while it is built"))
            }
            NodeKind::Pack { .. } => {
                Err(undescribed(layer, "pack", "it is for what a training step does besides the network"))
            }
        }
    }
}
