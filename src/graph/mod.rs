//! The graph: nodes in the order in which they were pushed, which is also the order in which effects happen.
//!
//! A [`Graph`] is built on one thread (it is neither `Send` nor `Sync`); the [`Plan`] made from it is both.

mod autodiff;
mod chains;
mod constant;
mod conv_gradients;
mod conv_norms;
mod indices;
mod memory;
mod plan;
mod rewrite;
mod state;
mod timeline;

use std::cell::{Ref, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use crate::contract::{CustomOp, OpDef};
use crate::error::{Error, Result};
use crate::ops::Op;
use crate::shape::{DType, Shape, TensorSpec};

pub use autodiff::{Grad, GradientCtx};
pub(crate) use indices::Indices;
pub(crate) use plan::BUDGET;
pub use plan::{BufferSpec, Limits, Place, Plan, Region, Step};
pub use state::{ArenaSpec, Init, SlotSpec};
pub use timeline::{Clock, HostWork, Phase, Span, Timeline, Work};

/// Slots of an arena start at multiples of this many 32-bit words: 256 bytes, the alignment that WebGPU asks of a binding.
pub const SLOT_ALIGN: usize = 64;

/// The arena that holds every trained parameter.
pub const PARAMETERS: &str = "parameters";

/// One output of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Value {
    pub(crate) node: usize,
    pub(crate) output: usize,
}

/// What a node is. Only [`NodeKind::Op`] is work.
#[derive(Clone, Debug)]
pub(crate) enum NodeKind {
    /// A tensor that the host writes before a run.
    Input(String),
    /// A slice of an arena, from this element on.
    State { arena: usize, offset: usize },
    /// The same memory under another shape.
    Reshape,
    /// The inputs side by side in an arena, the i-th from element `offsets[i]` on.
    Pack { arena: usize, offsets: Vec<usize> },
    /// A computation.
    Op(Op),
}

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) kind: NodeKind,
    pub(crate) inputs: Vec<Value>,
    pub(crate) outputs: Vec<TensorSpec>,
    /// The layer that pushed it, shared by all of its nodes; empty outside of layers.
    pub(crate) layer: Arc<str>,
}

impl Node {
    pub(crate) fn name(&self) -> &str {
        match &self.kind {
            NodeKind::Input(name) => name,
            NodeKind::State { .. } => "state",
            NodeKind::Reshape => "reshape",
            NodeKind::Pack { .. } => "pack",
            NodeKind::Op(op) => op.name(),
        }
    }
}

/// What a drawing shows of a node.
pub(crate) struct NodeView {
    pub(crate) name: String,
    pub(crate) layer: Arc<str>,
    pub(crate) shape: String,
    pub(crate) inputs: Vec<usize>,
    pub(crate) is_state: bool,
    pub(crate) is_view: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct GraphData {
    pub(crate) nodes: Vec<Node>,
    pub(crate) arenas: Vec<ArenaSpec>,
    /// Where each arena stands, and its elements without the padding between slots.
    names: HashMap<String, usize>,
    elements: Vec<usize>,
    /// Of every node, the arena in which its output lies by its own nature: state and what shows it under another shape.
    lies_in: Vec<Option<usize>>,
    slots: HashMap<(usize, String), Value>,
    /// The layers that nodes are pushed in now, each with the names of those around it.
    layers: Vec<Arc<str>>,
}

impl GraphData {
    pub(crate) fn spec(&self, value: Value) -> &TensorSpec {
        &self.nodes[value.node].outputs[value.output]
    }

    /// The arena in which a value lies by its own nature.
    fn arena_of(&self, value: Value) -> Option<usize> {
        self.lies_in[value.node]
    }

    /// For every node, the value whose memory its first output shows: reshapes are followed, however many stand in a row.
    pub(crate) fn roots(&self) -> Vec<Value> {
        let mut roots: Vec<Value> = Vec::with_capacity(self.nodes.len());
        for (node, kind) in self.nodes.iter().map(|node| &node.kind).enumerate() {
            roots.push(match (kind, self.nodes[node].inputs.first()) {
                // Whatever a node reads was there before it.
                (NodeKind::Reshape, Some(from)) if from.output == 0 => roots[from.node],
                (NodeKind::Reshape, Some(from)) => *from,
                _ => Value { node, output: 0 },
            });
        }
        roots
    }

    /// Where the arena of this name stands.
    pub(crate) fn arena(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied()
    }
}

/// A network, or any computation, as nodes. Cloning gives another handle to the same graph.
#[derive(Clone, Default)]
pub struct Graph(Rc<RefCell<GraphData>>);

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let data = self.data();
        for (i, node) in data.nodes.iter().enumerate() {
            let outputs: Vec<String> = node.outputs.iter().map(ToString::to_string).collect();
            writeln!(f, "{i:4} {}{} -> {}", prefix(&node.layer), node.name(), outputs.join(", "))?;
        }
        Ok(())
    }
}

fn prefix(layer: &str) -> String {
    if layer.is_empty() { String::new() } else { format!("{layer}/") }
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn data(&self) -> Ref<'_, GraphData> {
        self.0.borrow()
    }

    /// A tensor that the host gives before every run, under `name`.
    pub fn input(&self, name: &str, shape: impl Into<Shape>, dtype: DType) -> Result<Var> {
        let spec = TensorSpec::new(shape, dtype);
        spec.check(&format!("input \"{name}\""))?;
        let taken = self.data().nodes.iter().any(|n| matches!(&n.kind, NodeKind::Input(other) if other == name));
        if taken {
            return Err(Error::usage(format!("input \"{name}\""), "the graph already has an input of this name"));
        }
        Ok(self.add(NodeKind::Input(name.to_owned()), vec![], vec![spec]))
    }

    /// A trained parameter: a slot of the arena [`PARAMETERS`]. A name that is already there gives the same parameter again.
    ///
    /// # Errors
    /// Where the name is taken by a parameter of another shape, or `init` holds another number of values.
    pub fn parameter(&self, name: &str, shape: impl Into<Shape>, init: Init) -> Result<Var> {
        self.state(PARAMETERS, name, TensorSpec::f32(shape), init)
    }

    /// A slot of state in the arena `arena`. A name that is already there gives the same slot again.
    ///
    /// # Errors
    /// Where the slot exists with another shape, the arena holds another type, or `init` holds another number of values.
    pub fn state(&self, arena: &str, name: &str, spec: TensorSpec, init: Init) -> Result<Var> {
        let given = match &init {
            Init::Values(values) => Some(values.len()),
            Init::Words(words) if spec.dtype == DType::U32 => Some(words.len()),
            Init::Words(_) => return Err(Error::dtype(format!("state \"{name}\""), "u32", spec.to_string())),
            _ => None,
        };
        if let Some(given) = given
            && given != spec.shape.elements()
        {
            return Err(Error::shape(
                format!("state \"{name}\""),
                format!("{} initial values", spec.shape.elements()),
                given.to_string(),
            ));
        }
        spec.check(&format!("state \"{name}\""))?;
        let index = self.arena(arena, spec.dtype)?;
        if let Some(&value) = self.data().slots.get(&(index, name.to_owned())) {
            let have = self.data().spec(value).clone();
            if have != spec {
                return Err(Error::shape(format!("state \"{name}\""), have.to_string(), spec.to_string()));
            }
            return Ok(Var { graph: self.clone(), value });
        }
        let offset = {
            let data = &mut *self.0.borrow_mut();
            data.elements[index] += spec.shape.elements();
            let arena = &mut data.arenas[index];
            let offset = arena.len;
            let align = if spec.dtype == DType::U8 { 4 * SLOT_ALIGN } else { SLOT_ALIGN };
            arena.len = (offset + spec.shape.elements()).next_multiple_of(align);
            arena.slots.push(SlotSpec { name: name.to_owned(), spec: spec.clone(), offset, init });
            offset
        };
        let var = self.add(NodeKind::State { arena: index, offset }, vec![], vec![spec]);
        self.0.borrow_mut().slots.insert((index, name.to_owned()), var.value);
        Ok(var)
    }

    fn arena(&self, name: &str, dtype: DType) -> Result<usize> {
        let data = &mut *self.0.borrow_mut();
        if let Some(index) = data.arena(name) {
            let have = data.arenas[index].dtype;
            if have != dtype {
                return Err(Error::dtype(format!("arena \"{name}\""), have.to_string(), dtype.to_string()));
            }
            return Ok(index);
        }
        data.arenas.push(ArenaSpec { name: name.to_owned(), dtype, slots: Vec::new(), len: 0 });
        data.elements.push(0);
        data.names.insert(name.to_owned(), data.arenas.len() - 1);
        Ok(data.arenas.len() - 1)
    }

    /// How many elements an arena's slots have, without the padding between them; 0 where there is no such arena.
    pub(crate) fn elements(&self, arena: &str) -> usize {
        let data = self.data();
        data.arena(arena).map_or(0, |index| data.elements[index])
    }

    /// Has the state of these arenas begin with zeros: what it holds is written before anybody reads it.
    pub(crate) fn without_initial_values(&self, arenas: &[&str]) {
        let all = &mut self.0.borrow_mut().arenas;
        let named = all.iter_mut().filter(|arena| arenas.contains(&arena.name.as_str()));
        named.flat_map(|arena| &mut arena.slots).for_each(|slot| slot.init = Init::Constant(0.0));
    }

    /// The slots of an arena; empty where the graph has no such arena.
    pub fn slots(&self, arena: &str) -> Vec<SlotSpec> {
        let data = self.data();
        data.arena(arena).map(|index| data.arenas[index].slots.clone()).unwrap_or_default()
    }

    /// A slot that was declared before, by its name.
    pub fn slot(&self, arena: &str, name: &str) -> Option<Var> {
        let data = self.data();
        let index = data.arena(arena)?;
        let value = *data.slots.get(&(index, name.to_owned()))?;
        drop(data);
        Some(Var { graph: self.clone(), value })
    }

    /// A whole arena as one flat tensor, padding included. Declare all its slots first.
    ///
    /// # Errors
    /// Where there is no such arena.
    pub fn whole(&self, arena: &str) -> Result<Var> {
        let data = self.data();
        let found = data.arena(arena).map(|i| (i, data.arenas[i].len, data.arenas[i].dtype));
        drop(data);
        let (index, len, dtype) =
            found.ok_or_else(|| Error::usage(format!("arena \"{arena}\""), "the graph has no state of this name"))?;
        Ok(self.add(NodeKind::State { arena: index, offset: 0 }, vec![], vec![TensorSpec::new([len], dtype)]))
    }

    /// A copy of the layout of arena `of` under another name, as one flat tensor: gradients and moments of the parameters.
    ///
    /// # Errors
    /// Where there is no such arena, or `name` is one already with another layout.
    pub fn mirror(&self, of: &str, name: &str, value: f32) -> Result<Var> {
        for slot in self.slots(of) {
            self.state(name, &slot.name, slot.spec, Init::Constant(value))?;
        }
        self.whole(name)
    }

    /// Tensors side by side in an arena with the layout of `of`: one for every slot, in slot order. Where a tensor has no other
    /// use it is computed in place. Where a part is missing the arena keeps its zeros.
    ///
    /// # Errors
    /// Where the count, an element count or a type differs, or `name` is state that the graph has already.
    pub fn pack(&self, of: &str, name: &str, parts: &[Option<Var>]) -> Result<Var> {
        let slots = self.slots(of);
        let expected: Vec<usize> = slots.iter().map(|s| s.spec.shape.elements()).collect();
        let count = |part: &Option<Var>| part.as_ref().map(|v| v.shape().elements());
        let actual: Vec<Option<usize>> = parts.iter().map(count).collect();
        let fits = |(have, want): (&Option<usize>, &usize)| have.is_none_or(|have| have == *want);
        if expected.len() != actual.len() || !actual.iter().zip(&expected).all(fits) {
            let shown = actual.iter().map(|n| n.map_or("none".into(), |n| n.to_string())).collect::<Vec<String>>();
            return Err(Error::shape(
                "pack",
                format!("{expected:?} elements"),
                format!("[{}] elements", shown.join(", ")),
            ));
        }
        let there = || parts.iter().flatten();
        if let Some(part) = there().find(|v| v.dtype() != DType::F32) {
            return Err(Error::dtype("pack", "f32", part.spec().to_string()));
        }
        // Parts are computed in the arena itself, whenever their turn comes: nobody else may read or write it.
        if self.data().arena(name).is_some() {
            return Err(Error::usage(format!("arena \"{name}\""), "the graph has state of this name already"));
        }
        self.mirror(of, name, 0.0)?;
        let (arena, spec) = {
            let data = self.data();
            let index = data.arena(name).unwrap_or_default();
            (index, TensorSpec::f32([data.arenas[index].len]))
        };
        let offsets = slots.iter().zip(parts).filter(|(_, part)| part.is_some()).map(|(s, _)| s.offset).collect();
        let values = there().map(|v| self.own(v)).collect::<Result<_>>()?;
        Ok(self.add(NodeKind::Pack { arena, offsets }, values, vec![spec]))
    }

    /// Pushes an op that lives in user code and gives its outputs.
    ///
    /// # Errors
    /// What the op's shape rule says.
    pub fn custom(&self, op: Arc<dyn CustomOp>, inputs: &[&Var]) -> Result<Vec<Var>> {
        self.push_op(Op::Custom(op), inputs)
    }

    /// Pushes an op and gives its outputs. Shapes and types are checked now.
    ///
    /// # Errors
    /// What the op's shape rule says, with the layer's name.
    pub fn push<O: OpDef + Into<Op>>(&self, op: O, inputs: &[&Var]) -> Result<Vec<Var>> {
        self.push_op(op.into(), inputs)
    }

    /// Like [`Graph::push`], for the usual op with one output; of several the first is given.
    ///
    /// # Errors
    /// See [`Graph::push`]; also where the op has no output because all that it does is to change state.
    pub fn push1<O: OpDef + Into<Op>>(&self, op: O, inputs: &[&Var]) -> Result<Var> {
        let op = op.into();
        let name = op.name().to_owned();
        let first = self.push_op(op, inputs)?.into_iter().next();
        first.ok_or_else(|| Error::usage(name, "it changes state in place and has no output"))
    }

    pub(crate) fn push_op(&self, op: Op, inputs: &[&Var]) -> Result<Vec<Var>> {
        let layer = self.layer();
        let values = inputs.iter().map(|v| self.own(v)).collect::<Result<Vec<_>>>()?;
        let specs: Vec<TensorSpec> = values.iter().map(|v| self.data().spec(*v).clone()).collect();
        let outputs = op.infer(&specs).map_err(|e| e.in_layer(&layer))?;
        for spec in &outputs {
            spec.check(op.name()).map_err(|e| e.in_layer(&layer))?;
        }
        if let Some(spec) = outputs.iter().find(|spec| spec.dtype == DType::U8) {
            return Err(Error::dtype(op.name(), "an output of f32 or u32", spec.to_string()).in_layer(&layer));
        }
        for &i in op.writes() {
            let data = self.data();
            if !matches!(data.nodes[values[i].node].kind, NodeKind::State { .. }) {
                return Err(Error::usage(op.name(), format!("input {i} is written in place and must be state")));
            }
            // A dispatch that writes a buffer may have no second binding of it.
            let arena = data.arena_of(values[i]);
            if let Some(j) = (0..values.len()).find(|j| *j != i && data.arena_of(values[*j]) == arena) {
                let reason = format!("input {i} is written in place and must not share an arena with input {j}");
                return Err(Error::usage(op.name(), reason));
            }
        }
        let count = outputs.len();
        let first = self.add(NodeKind::Op(op), values, outputs);
        let node = first.value.node;
        Ok((0..count).map(|output| Var { graph: self.clone(), value: Value { node, output } }).collect())
    }

    fn add(&self, kind: NodeKind, inputs: Vec<Value>, outputs: Vec<TensorSpec>) -> Var {
        let layer = self.layer();
        let data = &mut *self.0.borrow_mut();
        let lies_in = match (&kind, inputs.first()) {
            (NodeKind::State { arena, .. } | NodeKind::Pack { arena, .. }, _) => Some(*arena),
            (NodeKind::Reshape, Some(from)) => data.arena_of(*from),
            _ => None,
        };
        data.lies_in.push(lies_in);
        data.nodes.push(Node { kind, inputs, outputs, layer });
        Var { graph: self.clone(), value: Value { node: data.nodes.len() - 1, output: 0 } }
    }

    fn own(&self, var: &Var) -> Result<Value> {
        if !Rc::ptr_eq(&self.0, &var.graph.0) {
            return Err(Error::usage("a variable", "it belongs to another graph"));
        }
        Ok(var.value)
    }

    /// The nodes as somebody outside sees them, in their order.
    pub(crate) fn forward_nodes(&self) -> Vec<NodeView> {
        let view = |node: &Node| NodeView {
            name: node.name().to_owned(),
            layer: node.layer.clone(),
            shape: node.outputs.first().map_or(String::new(), |s| s.shape.to_string()),
            inputs: node.inputs.iter().map(|v| v.node).collect(),
            is_state: matches!(node.kind, NodeKind::State { .. }),
            is_view: matches!(node.kind, NodeKind::Reshape),
        };
        self.data().nodes.iter().map(view).collect()
    }

    pub(crate) fn layer(&self) -> Arc<str> {
        self.data().layers.last().cloned().unwrap_or_default()
    }

    /// Runs `build` as if in the layer that is called `path` from the model on, whatever layers it is in.
    pub(crate) fn in_path<R>(&self, path: &str, build: impl FnOnce() -> Result<R>) -> Result<R> {
        let outer = std::mem::take(&mut self.0.borrow_mut().layers);
        let result = if path.is_empty() { build() } else { self.in_layer(path, build) };
        self.0.borrow_mut().layers = outer;
        result
    }

    /// Runs `build` so that the nodes that it pushes, and the errors that it meets, carry the layer's name.
    ///
    /// # Errors
    /// Those of `build`.
    pub fn in_layer<R>(&self, name: &str, build: impl FnOnce() -> Result<R>) -> Result<R> {
        let outer = self.layer();
        let path = if outer.is_empty() { name.into() } else { format!("{outer}/{name}").into() };
        self.0.borrow_mut().layers.push(path);
        let result = build().map_err(|e| e.in_layer(&self.layer()));
        self.0.borrow_mut().layers.pop();
        result
    }
}

/// A tensor in a [`Graph`]. Its methods push ops; each lives in the op's file under `src/ops`.
#[derive(Clone)]
pub struct Var {
    pub(crate) graph: Graph,
    pub(crate) value: Value,
}

impl fmt::Debug for Var {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}[{}]", self.value.node, self.value.output, self.spec())
    }
}

impl Var {
    /// The graph that the tensor belongs to.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The tensor's shape and type.
    pub fn spec(&self) -> TensorSpec {
        self.graph.data().spec(self.value).clone()
    }

    /// The tensor's shape.
    pub fn shape(&self) -> Shape {
        self.spec().shape
    }

    /// The type of the tensor's elements.
    pub fn dtype(&self) -> DType {
        self.spec().dtype
    }

    /// The same elements, in the same order, under another shape. Costs nothing.
    ///
    /// # Errors
    /// Where the number of elements differs.
    pub fn reshape(&self, shape: impl Into<Shape>) -> Result<Var> {
        let (spec, shape) = (self.spec(), shape.into());
        if shape.elements() != spec.shape.elements() || shape.len() > crate::shape::MAX_RANK {
            let expected =
                format!("{} elements in at most {} dimensions", spec.shape.elements(), crate::shape::MAX_RANK);
            return Err(Error::shape("reshape", expected, shape.to_string()).in_layer(&self.graph.layer()));
        }
        if shape == spec.shape {
            return Ok(self.clone());
        }
        Ok(self.graph.add(NodeKind::Reshape, vec![self.value], vec![TensorSpec::new(shape, spec.dtype)]))
    }
}
