//! The plan: which ops run in which order, and where every tensor lies. Plain data, made once, printable, the same for a GPU
//! and for the CPU.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use super::memory::{self, Block, Layout};
use super::{ArenaSpec, Graph, GraphData, NodeKind, Value, Var, chains, conv_gradients, conv_norms, rewrite};
use crate::contract::{GpuTraits, Io, Launch};
use crate::error::{Error, Result};
use crate::ops::{Op, copy::Copy};
use crate::shape::{DType, TensorSpec};

/// Which memory a tensor lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// An activation buffer of the plan, by index.
    Buffer(usize),
    /// An arena that outlives the plan, by index into [`Plan::arenas`].
    Arena(usize),
}

/// Where a tensor lies.
#[derive(Clone, Debug, PartialEq)]
pub struct Region {
    /// The memory.
    pub place: Place,
    /// The first element.
    pub offset: usize,
    /// Shape and type.
    pub spec: TensorSpec,
}

/// One op of the plan with everything that a run needs.
#[derive(Clone, Debug)]
pub struct Step {
    /// The op.
    pub op: Op,
    /// The layer that it belongs to; empty outside of layers.
    pub layer: Arc<str>,
    /// Specs of inputs and outputs.
    pub io: Io,
    /// Where the inputs lie.
    pub inputs: Vec<Region>,
    /// Where the outputs lie.
    pub outputs: Vec<Region>,
    /// Where the temporaries of the launches lie.
    pub temps: Vec<Region>,
    /// The dispatches; empty in a plan for the CPU.
    pub launches: Vec<Launch>,
}

impl Step {
    /// What errors and listings call this step.
    pub fn name(&self) -> String {
        format!("{}{}", super::prefix(&self.layer), self.op.name())
    }
}

/// A buffer that activations of the plan share: one after another, and side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferSpec {
    /// The type of its elements; on a GPU a buffer of floats holds `u32` too.
    pub dtype: DType,
    /// Its length in elements.
    pub len: usize,
}

impl BufferSpec {
    /// Bytes of the buffer.
    pub fn bytes(&self) -> u64 {
        self.dtype.bytes(self.len)
    }
}

/// What a plan must fit into.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Bytes of the largest storage binding.
    pub binding: u64,
    /// Bytes of the largest buffer.
    pub buffer: u64,
    /// Workgroups along one dimension of a dispatch.
    pub workgroups: u32,
    /// Storage bindings of one dispatch.
    pub storage_bindings: u32,
    /// Loop iterations of one invocation: [`Launch::iterations`].
    pub iterations: u64,
    /// Bytes that the plan may take in all.
    pub budget: u64,
}

/// What an error calls the limit that is a choice, not the device's.
pub(crate) const BUDGET: &str = "memory budget";

/// See the module's documentation.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The ops, in order.
    pub steps: Vec<Step>,
    /// Activation memory.
    pub buffers: Vec<BufferSpec>,
    /// State.
    pub arenas: Vec<ArenaSpec>,
    /// The tensors that the host gives, by name.
    pub inputs: Vec<(String, Region)>,
    /// The tensors that the host gets, in the order in which they were asked for.
    pub outputs: Vec<Region>,
    /// Elements of scratch memory that the CPU twins share.
    pub scratch: usize,
    /// The largest sum of activations that are alive at once, in bytes: no plan that runs the ops in this order could take less.
    pub lower_bound: u64,
}

impl Plan {
    /// A plan that computes `fetch` and every effect in `graph`; for a GPU where its traits are given, else for the CPU.
    ///
    /// # Errors
    /// Where a fetched variable belongs to another graph.
    pub fn new(graph: &Graph, fetch: &[Var], gpu: Option<&GpuTraits>) -> Result<Plan> {
        rewrite::stabilise(graph);
        let fetch = fetch.iter().map(|v| graph.own(v)).collect::<Result<Vec<_>>>()?;
        let mut data = graph.data().clone();
        rewrite::fuse(&mut data, &fetch);
        match gpu {
            None => conv_gradients::fuse(&mut data, &fetch),
            Some(gpu) => conv_norms::fuse(&mut data, &fetch, gpu),
        }
        chains::make(&mut data, &fetch);
        let live = rewrite::live(&data, &fetch);
        Ok(Planner::new(&data, &live, &fetch, gpu).plan(&fetch))
    }

    /// Where the input called `name` lies.
    ///
    /// # Errors
    /// Where the plan has no such input.
    pub fn input(&self, name: &str) -> Result<&Region> {
        let found = self.inputs.iter().find(|(have, _)| have == name).map(|(_, region)| region);
        found.ok_or_else(|| Error::usage(format!("input \"{name}\""), "the plan has no such input"))
    }

    /// Bytes of activations.
    pub fn activation_bytes(&self) -> u64 {
        self.buffers.iter().map(BufferSpec::bytes).sum()
    }

    /// Bytes that the CPU twins share for intermediate results.
    pub fn scratch_bytes(&self) -> u64 {
        self.scratch as u64 * 4
    }

    /// Bytes of state.
    pub fn state_bytes(&self) -> u64 {
        self.arenas.iter().map(ArenaSpec::bytes).sum()
    }

    /// Dispatches per run.
    pub fn dispatches(&self) -> usize {
        self.steps.iter().map(|s| s.launches.len()).sum()
    }

    /// Bytes of state, activations and scratch memory together: the smallest budget that the plan fits.
    pub fn bytes(&self) -> u64 {
        self.state_bytes() + self.activation_bytes() + self.scratch_bytes()
    }

    /// Refuses a plan that does not fit, before anything is allocated.
    ///
    /// # Errors
    /// [`Error::Limit`] with the first node that breaks a limit of the device; else, where the plan does not fit the budget, with all that
    /// it needs.
    pub fn check(&self, limits: &Limits) -> Result<()> {
        let refuse = |node: String, needed: u64, allowed: u64, unit, limit: &str| {
            if needed <= allowed {
                Ok(())
            } else {
                Err(Error::Limit { node, needed, allowed, unit, limit: limit.into(), remedy: String::new() })
            }
        };
        for arena in &self.arenas {
            refuse(format!("state \"{}\"", arena.name), arena.bytes(), limits.buffer, "bytes", "largest buffer")?;
        }
        let make = |node: String, region: &Region| {
            refuse(node.clone(), region.spec.bytes(), limits.buffer, "bytes", "largest buffer")?;
            match region.place {
                Place::Buffer(b) => refuse(node, self.buffers[b].bytes(), limits.buffer, "bytes", "largest buffer"),
                Place::Arena(_) => Ok(()),
            }
        };
        for (name, region) in &self.inputs {
            make(format!("input \"{name}\""), region)?;
        }
        for step in &self.steps {
            for region in step.outputs.iter().chain(&step.temps) {
                make(step.name(), region)?;
            }
            for region in step.inputs.iter().chain(&step.outputs).chain(&step.temps) {
                refuse(step.name(), region.spec.bytes(), limits.binding, "bytes", "largest storage binding")?;
            }
            for launch in &step.launches {
                let groups = launch.workgroups.iter().copied().max().unwrap_or(0);
                refuse(step.name(), groups.into(), limits.workgroups.into(), "workgroups", "workgroups per dimension")?;
                let bindings = launch.bindings.len() as u64;
                refuse(step.name(), bindings, limits.storage_bindings.into(), "bindings", "storage buffers per stage")?;
                let limit = "loop iterations of an invocation, after which this software adapter ends every loop";
                refuse(step.name(), launch.iterations, limits.iterations, "iterations", limit)?;
            }
        }
        let [state, activations, scratch] =
            [self.state_bytes(), self.activation_bytes(), self.scratch_bytes()].map(human_bytes);
        let all = format!("state and data {state}, activations {activations}, scratch memory {scratch}");
        refuse(all, self.bytes(), limits.budget, "bytes", BUDGET)
    }

    /// The memory in one line.
    pub fn describe_memory(&self) -> String {
        let mut line = String::new();
        for arena in &self.arenas {
            let _ = write!(line, "{} {} + ", arena.name, human_bytes(arena.bytes()));
        }
        let (have, need) = (human_bytes(self.activation_bytes()), human_bytes(self.lower_bound));
        let total = human_bytes(self.bytes());
        if self.scratch > 0 {
            let _ = write!(line, "scratch {} + ", human_bytes(self.scratch_bytes()));
        }
        let _ = write!(line, "activations {have} (at least {need}) = {total}");
        line
    }

    /// What will run, on what, in how many bytes: one line per op with its dispatches, then the memory.
    pub fn describe(&self) -> String {
        let mut text = String::new();
        for (i, step) in self.steps.iter().enumerate() {
            let list = |regions: &[Region]| {
                regions.iter().map(|r| format!("{}@{}", r.spec, self.place_name(r))).collect::<Vec<_>>().join(" ")
            };
            let _ = writeln!(text, "{i:4}  {:<36} {} -> {}", step.name(), list(&step.inputs), list(&step.outputs));
            for launch in &step.launches {
                let [x, y, z] = launch.workgroups;
                let _ =
                    writeln!(text, "        {}::{} {x}x{y}x{z} workgroups", launch.kernel.stem, launch.kernel.entry);
            }
        }
        let _ = writeln!(text, "{} ops, {} dispatches", self.steps.len(), self.dispatches());
        let _ = writeln!(text, "memory: {}", self.describe_memory());
        text
    }

    fn place_name(&self, region: &Region) -> String {
        match region.place {
            Place::Buffer(b) if region.offset == 0 => format!("b{b}"),
            Place::Buffer(b) => format!("b{b}+{}", region.offset),
            Place::Arena(a) => format!("{}+{}", self.arenas[a].name, region.offset),
        }
    }
}

/// A number of bytes for people: `1.5 MiB`.
pub(crate) fn human_bytes(bytes: u64) -> String {
    let (mut value, mut unit) = (bytes as f64, "B");
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 1024.0 {
            break;
        }
        (value, unit) = (value / 1024.0, next);
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") }
}

struct Planner<'a> {
    data: &'a GraphData,
    live: &'a [bool],
    gpu: Option<&'a GpuTraits>,
    /// [`GraphData::roots`].
    roots: Vec<Value>,
    /// Roots that are computed in place inside an arena.
    packed: HashMap<Value, (usize, usize)>,
    /// Where each root lies. Until everything is placed, buffers are indices into `blocks`.
    regions: HashMap<Value, Region>,
    blocks: Vec<Block>,
    steps: Vec<Step>,
}

impl<'a> Planner<'a> {
    fn new(data: &'a GraphData, live: &'a [bool], fetch: &[Value], gpu: Option<&'a GpuTraits>) -> Self {
        let (roots, mut uses): (_, HashMap<Value, usize>) = (data.roots(), HashMap::new());
        let nodes =
            data.nodes.iter().enumerate().filter(|(i, node)| live[*i] && !matches!(node.kind, NodeKind::Reshape));
        for value in nodes.flat_map(|(_, node)| &node.inputs).chain(fetch) {
            *uses.entry(root_of(&roots, *value)).or_default() += 1;
        }
        let packed = placed_in_arena(data, live, &uses, &roots);
        Planner { data, live, gpu, roots, packed, regions: HashMap::new(), blocks: Vec::new(), steps: Vec::new() }
    }

    fn plan(mut self, fetch: &[Value]) -> Plan {
        // The host writes inputs before the first step.
        let mut inputs = Vec::new();
        for (index, node) in self.data.nodes.iter().enumerate() {
            if let (NodeKind::Input(name), true) = (&node.kind, self.live[index]) {
                let region = self.block(&node.outputs[0]);
                self.regions.insert(Value { node: index, output: 0 }, region.clone());
                inputs.push((name.clone(), region));
            }
        }
        for (index, node) in self.data.nodes.iter().enumerate().filter(|(i, _)| self.live[*i]) {
            match &node.kind {
                NodeKind::Input(_) | NodeKind::Reshape => {}
                NodeKind::State { arena, offset } => {
                    let spec = node.outputs[0].clone();
                    let region = Region { place: Place::Arena(*arena), offset: *offset, spec };
                    self.regions.insert(Value { node: index, output: 0 }, region);
                }
                NodeKind::Pack { arena, offsets } => {
                    let place = Place::Arena(*arena);
                    for (value, offset) in node.inputs.iter().zip(offsets) {
                        if !self.packed.contains_key(&root_of(&self.roots, *value)) {
                            let from = self.region(*value);
                            let to = Region { place, offset: *offset, spec: from.spec.clone() };
                            self.step(Op::Copy(Copy), &node.layer, vec![from], vec![to]);
                        }
                    }
                    let region = Region { place, offset: 0, spec: node.outputs[0].clone() };
                    self.regions.insert(Value { node: index, output: 0 }, region);
                }
                NodeKind::Op(op) => {
                    let inputs: Vec<Region> = node.inputs.iter().map(|v| self.region(*v)).collect();
                    let outputs: Vec<Region> = (0..node.outputs.len()).map(|o| self.place_output(index, o)).collect();
                    self.step(op.clone(), &node.layer, inputs, outputs);
                }
            }
        }
        let outputs: Vec<Region> = fetch.iter().map(|v| self.region(*v)).collect();
        // Inputs stay as the host wrote them, so that a plan can be run again; what the host fetches stays until it does.
        let after = self.steps.len();
        inputs.iter().map(|(_, region)| region).chain(&outputs).for_each(|region| self.used(region, after));
        self.placed(inputs, outputs)
    }

    /// The plan, once every block has its place.
    fn placed(self, mut inputs: Vec<(String, Region)>, mut outputs: Vec<Region>) -> Plan {
        let Layout { buffers, places } = memory::assign(&self.blocks, self.gpu.is_some());
        let mut steps = self.steps;
        let in_steps = steps.iter_mut().flat_map(|s| s.inputs.iter_mut().chain(&mut s.outputs).chain(&mut s.temps));
        for region in in_steps.chain(inputs.iter_mut().map(|(_, region)| region)).chain(&mut outputs) {
            if let Place::Buffer(block) = region.place {
                let (buffer, offset) = places[block];
                (region.place, region.offset) = (Place::Buffer(buffer), offset);
            }
        }
        let on_cpu = steps.iter().filter(|_| self.gpu.is_none());
        let scratch = on_cpu.map(|step| step.op.scratch(&step.io)).max().unwrap_or(0);
        let (arenas, lower_bound) = (self.data.arenas.clone(), memory::lower_bound(&self.blocks));
        Plan { steps, buffers, arenas, inputs, outputs, scratch, lower_bound }
    }

    /// Where a value lies, in its own shape.
    fn region(&self, value: Value) -> Region {
        let mut region = self.regions[&root_of(&self.roots, value)].clone();
        region.spec = self.data.spec(value).clone();
        region
    }

    fn place_output(&mut self, node: usize, output: usize) -> Region {
        let value = Value { node, output };
        let spec = self.data.spec(value).clone();
        let region = match self.packed.get(&value) {
            Some(&(arena, offset)) => Region { place: Place::Arena(arena), offset, spec },
            None => self.block(&spec),
        };
        self.regions.insert(value, region.clone());
        region
    }

    /// Memory for a tensor that is written in the step that comes next.
    fn block(&mut self, spec: &TensorSpec) -> Region {
        let now = self.steps.len();
        self.blocks.push(Block { spec: spec.clone(), first: now, last: now, apart: Vec::new() });
        Region { place: Place::Buffer(self.blocks.len() - 1), offset: 0, spec: spec.clone() }
    }

    /// A region is used in step `at`.
    fn used(&mut self, region: &Region, at: usize) {
        if let Place::Buffer(block) = region.place {
            self.blocks[block].last = self.blocks[block].last.max(at);
        }
    }

    fn step(&mut self, op: Op, layer: &Arc<str>, inputs: Vec<Region>, outputs: Vec<Region>) {
        let specs = |regions: &[Region]| regions.iter().map(|r| r.spec.clone()).collect();
        let io = Io { inputs: specs(&inputs), outputs: specs(&outputs) };
        let launches = self.gpu.map(|gpu| op.gpu(&io, gpu)).unwrap_or_default();
        let temps: Vec<Region> = launches.temps.iter().map(|t| self.block(t)).collect();
        let now = self.steps.len();
        inputs.iter().for_each(|region| self.used(region, now));
        let block = |region: &Region| if let Place::Buffer(block) = region.place { Some(block) } else { None };
        let written: Vec<usize> = outputs.iter().chain(&temps).filter_map(block).collect();
        let touched: Vec<usize> = inputs.iter().filter_map(block).chain(written.iter().copied()).collect();
        for &w in &written {
            for &t in touched.iter().filter(|t| **t != w) {
                self.blocks[w].apart.push(t);
                self.blocks[t].apart.push(w);
            }
        }
        self.steps.push(Step { op, layer: layer.clone(), io, inputs, outputs, temps, launches: launches.list });
    }
}

/// The value whose memory `value` shows.
fn root_of(roots: &[Value], value: Value) -> Value {
    if value.output == 0 { roots[value.node] } else { value }
}

/// The inputs of packs that can be computed where the pack wants them: those with no other use, at most one per producer.
fn placed_in_arena(
    data: &GraphData,
    live: &[bool],
    uses: &HashMap<Value, usize>,
    roots: &[Value],
) -> HashMap<Value, (usize, usize)> {
    let mut placed = HashMap::new();
    let mut producers = Vec::new();
    for node in data.nodes.iter().enumerate().filter(|(i, _)| live[*i]).map(|(_, n)| n) {
        let NodeKind::Pack { arena, offsets } = &node.kind else { continue };
        for (value, offset) in node.inputs.iter().zip(offsets) {
            let root = root_of(roots, *value);
            let computed = matches!(data.nodes[root.node].kind, NodeKind::Op(_));
            if computed && uses.get(&root) == Some(&1) && !producers.contains(&root.node) {
                producers.push(root.node);
                placed.insert(root, (*arena, *offset));
            }
        }
    }
    placed
}
