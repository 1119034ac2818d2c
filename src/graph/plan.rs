//! The plan: which ops run in which order, and where every tensor lies. Plain data, made once, printable, the same for a GPU
//! and for the CPU.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::{ArenaSpec, Graph, GraphData, NodeKind, Value, Var, rewrite};
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
    pub layer: String,
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

/// A buffer that activations of the plan share, one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferSpec {
    /// The type of its elements.
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
    /// Bytes that the plan may take in all.
    pub budget: u64,
}

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
    /// The largest sum of activations that are alive at once, in bytes: no plan could take less.
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
        if gpu.is_none() {
            rewrite::fuse_gradients(&mut data, &fetch);
        }
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

    /// Refuses a plan that does not fit, before anything is allocated.
    ///
    /// # Errors
    /// [`Error::Limit`] with the first node that breaks a limit.
    pub fn check(&self, limits: &Limits) -> Result<()> {
        let refuse = |node: String, needed: u64, allowed: u64, unit, limit: &str| {
            if needed <= allowed {
                Ok(())
            } else {
                Err(Error::Limit { node, needed, allowed, unit, limit: limit.into() })
            }
        };
        for arena in &self.arenas {
            refuse(format!("state \"{}\"", arena.name), arena.bytes(), limits.buffer, "bytes", "largest buffer")?;
        }
        let mut total = self.state_bytes() + self.scratch_bytes();
        refuse("parameters, optimizer state and data".into(), total, limits.budget, "bytes", "memory budget")?;
        let mut seen = vec![false; self.buffers.len()];
        let mut make = |node: String, region: &Region| {
            refuse(node.clone(), region.spec.bytes(), limits.buffer, "bytes", "largest buffer")?;
            match region.place {
                Place::Buffer(b) if !std::mem::replace(&mut seen[b], true) => {
                    total += self.buffers[b].bytes();
                    refuse(node, total, limits.budget, "bytes", "memory budget")
                }
                _ => Ok(()),
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
            }
        }
        Ok(())
    }

    /// The memory in one line.
    pub fn describe_memory(&self) -> String {
        let mut line = String::new();
        for arena in &self.arenas {
            let _ = write!(line, "{} {} + ", arena.name, human_bytes(arena.bytes()));
        }
        let (have, need) = (human_bytes(self.activation_bytes()), human_bytes(self.lower_bound));
        let total = human_bytes(self.state_bytes() + self.activation_bytes() + self.scratch_bytes());
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
            Place::Buffer(b) => format!("b{b}"),
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

/// An activation buffer while the plan is made.
struct Pooled {
    spec: BufferSpec,
    free: bool,
}

struct Planner<'a> {
    data: &'a GraphData,
    live: &'a [bool],
    gpu: Option<&'a GpuTraits>,
    /// Index of the last node that uses each root; `usize::MAX` for what the host fetches.
    last_use: HashMap<Value, usize>,
    /// Roots that are computed in place inside an arena.
    packed: HashMap<Value, (usize, usize)>,
    regions: HashMap<Value, Region>,
    pool: Vec<Pooled>,
    alive: u64,
    lower_bound: u64,
}

impl<'a> Planner<'a> {
    fn new(data: &'a GraphData, live: &'a [bool], fetch: &[Value], gpu: Option<&'a GpuTraits>) -> Self {
        let mut last_use = HashMap::new();
        let mut uses: HashMap<Value, usize> = HashMap::new();
        for (i, node) in data.nodes.iter().enumerate().filter(|(i, _)| live[*i]) {
            if matches!(node.kind, NodeKind::Reshape) {
                continue;
            }
            for value in &node.inputs {
                let root = root_of(data, *value);
                last_use.insert(root, i);
                *uses.entry(root).or_default() += 1;
            }
        }
        for value in fetch {
            let root = root_of(data, *value);
            last_use.insert(root, usize::MAX);
            *uses.entry(root).or_default() += 1;
        }
        // Inputs stay as the host wrote them, so that a plan can be run again.
        let inputs = data.nodes.iter().enumerate().filter(|(_, n)| matches!(n.kind, NodeKind::Input(_)));
        last_use.extend(inputs.map(|(node, _)| (Value { node, output: 0 }, usize::MAX)));
        let packed = placed_in_arena(data, live, &uses);
        let (regions, pool) = (HashMap::new(), Vec::new());
        Planner { data, live, gpu, last_use, packed, regions, pool, alive: 0, lower_bound: 0 }
    }

    fn plan(mut self, fetch: &[Value]) -> Plan {
        let (mut steps, mut inputs, mut scratch) = (Vec::new(), Vec::new(), 0);
        // The host writes inputs before the first step, so their memory is taken first.
        for (index, node) in self.data.nodes.iter().enumerate() {
            if let (NodeKind::Input(name), true) = (&node.kind, self.live[index]) {
                let region = self.allocate(&node.outputs[0]);
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
                        if !self.packed.contains_key(&root_of(self.data, *value)) {
                            let from = self.region(*value);
                            let to = Region { place, offset: *offset, spec: from.spec.clone() };
                            steps.push(self.step(Op::Copy(Copy), &node.layer, vec![from], vec![to]));
                        }
                    }
                    let region = Region { place, offset: 0, spec: node.outputs[0].clone() };
                    self.regions.insert(Value { node: index, output: 0 }, region);
                    self.release(index);
                }
                NodeKind::Op(op) => {
                    let inputs: Vec<Region> = node.inputs.iter().map(|v| self.region(*v)).collect();
                    let outputs: Vec<Region> = (0..node.outputs.len()).map(|o| self.place_output(index, o)).collect();
                    let step = self.step(op.clone(), &node.layer, inputs, outputs);
                    if self.gpu.is_none() {
                        scratch = scratch.max(op.scratch(&step.io));
                    }
                    steps.push(step);
                    self.release(index);
                }
            }
        }
        let outputs = fetch.iter().map(|v| self.region(*v)).collect();
        let buffers = self.pool.iter().map(|p| p.spec).collect();
        let (arenas, lower_bound) = (self.data.arenas.clone(), self.lower_bound);
        Plan { steps, buffers, arenas, inputs, outputs, scratch, lower_bound }
    }

    /// Where a value lies, in its own shape.
    fn region(&self, value: Value) -> Region {
        let mut region = self.regions[&root_of(self.data, value)].clone();
        region.spec = self.data.spec(value).clone();
        region
    }

    fn place_output(&mut self, node: usize, output: usize) -> Region {
        let value = Value { node, output };
        let spec = self.data.spec(value).clone();
        let region = match self.packed.get(&value) {
            Some(&(arena, offset)) => Region { place: Place::Arena(arena), offset, spec },
            None => self.allocate(&spec),
        };
        self.regions.insert(value, region.clone());
        region
    }

    fn step(&mut self, op: Op, layer: &str, inputs: Vec<Region>, outputs: Vec<Region>) -> Step {
        let specs = |regions: &[Region]| regions.iter().map(|r| r.spec.clone()).collect();
        let io = Io { inputs: specs(&inputs), outputs: specs(&outputs) };
        let launches = self.gpu.map(|gpu| op.gpu(&io, gpu)).unwrap_or_default();
        let temps: Vec<Region> = launches.temps.iter().map(|t| self.allocate(t)).collect();
        for temp in &temps {
            self.free(temp);
        }
        Step { op, layer: layer.to_owned(), io, inputs, outputs, temps, launches: launches.list }
    }

    /// The smallest free buffer that is large enough, else the largest one, made larger, else a new one.
    fn allocate(&mut self, spec: &TensorSpec) -> Region {
        let len = spec.shape.elements();
        let fit = |p: &Pooled| if p.spec.len >= len { (0, p.spec.len) } else { (1, usize::MAX - p.spec.len) };
        let candidates = self.pool.iter().enumerate().filter(|(_, p)| p.free && p.spec.dtype == spec.dtype);
        let best = candidates.min_by_key(|(_, p)| fit(p)).map(|(i, _)| i);
        let index = best.unwrap_or_else(|| {
            self.pool.push(Pooled { spec: BufferSpec { dtype: spec.dtype, len }, free: true });
            self.pool.len() - 1
        });
        let chosen = &mut self.pool[index];
        chosen.free = false;
        chosen.spec.len = chosen.spec.len.max(len);
        self.alive += spec.bytes();
        self.lower_bound = self.lower_bound.max(self.alive);
        Region { place: Place::Buffer(index), offset: 0, spec: spec.clone() }
    }

    fn free(&mut self, region: &Region) {
        if let Place::Buffer(index) = region.place {
            self.pool[index].free = true;
            self.alive -= region.spec.bytes();
        }
    }

    /// Gives back what node `index` was the last to use, its own unused outputs included.
    fn release(&mut self, index: usize) {
        let node = &self.data.nodes[index];
        let own = (0..node.outputs.len()).map(|output| Value { node: index, output });
        let mut roots: Vec<Value> = node.inputs.iter().map(|v| root_of(self.data, *v)).chain(own).collect();
        roots.sort_unstable();
        roots.dedup();
        for root in roots {
            if self.last_use.get(&root).is_none_or(|&last| last == index) {
                let region = self.regions[&root].clone();
                self.free(&region);
            }
        }
    }
}

/// The value whose memory `value` shows: reshapes are followed.
fn root_of(data: &GraphData, mut value: Value) -> Value {
    while matches!(data.nodes[value.node].kind, NodeKind::Reshape) {
        value = data.nodes[value.node].inputs[0];
    }
    value
}

/// The inputs of packs that can be computed where the pack wants them: those with no other use, at most one per producer.
fn placed_in_arena(data: &GraphData, live: &[bool], uses: &HashMap<Value, usize>) -> HashMap<Value, (usize, usize)> {
    let mut placed = HashMap::new();
    let mut producers = Vec::new();
    for node in data.nodes.iter().enumerate().filter(|(i, _)| live[*i]).map(|(_, n)| n) {
        let NodeKind::Pack { arena, offsets } = &node.kind else { continue };
        for (value, offset) in node.inputs.iter().zip(offsets) {
            let root = root_of(data, *value);
            let computed = matches!(data.nodes[root.node].kind, NodeKind::Op(_));
            if computed && uses.get(&root) == Some(&1) && !producers.contains(&root.node) {
                producers.push(root.node);
                placed.insert(root, (*arena, *offset));
            }
        }
    }
    placed
}
