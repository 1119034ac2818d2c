//! A session: state that stays on one device, and the plans that work on it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::device::{Device, Kind};
use super::initial::initial_values;
use super::profile::Profile;
use crate::error::{Error, Result};
use crate::graph::{ArenaSpec, Graph, Indices, Init, Place, Plan, Region, SlotSpec, Var};
use crate::shape::TensorSpec;
use crate::tensor::{Elements, Tensor};
use crate::{cpu, gpu, host};

/// State on a device and the means to run plans on it. `Send`, so that it can move to a training thread; not `Sync`: one plan
/// runs at a time.
#[derive(Debug)]
pub struct Session {
    device: Device,
    backend: Backend,
    seed: u64,
    budget: u64,
    layouts: HashMap<String, Layout>,
    id: u64,
    peeked: Option<Vec<u32>>,
}

/// A piece of state, and a number that no other piece in this process has: state of the same name that is made anew is another.
#[derive(Debug)]
struct Layout {
    arena: ArenaSpec,
    /// Where each slot stands, by name.
    places: HashMap<String, usize>,
    id: u64,
}

fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

#[derive(Debug)]
enum Backend {
    Cpu(cpu::Machine<f32>),
    Gpu(Box<gpu::Machine>),
}

/// A plan made ready in a session. It belongs to the session that made it.
#[derive(Debug)]
pub struct Executable {
    program: Program,
    session: u64,
    /// The state that it works on, in the order of the plan's arenas.
    state: Vec<u64>,
    /// Its inputs that are indices.
    indices: Vec<Indices>,
}

#[derive(Debug)]
enum Program {
    Cpu(cpu::Program),
    Gpu(gpu::Program),
}

impl Executable {
    /// The plan.
    pub fn plan(&self) -> &Plan {
        match &self.program {
            Program::Cpu(p) => p.plan(),
            Program::Gpu(p) => p.plan(),
        }
    }
}

impl Session {
    /// A session without state yet. `seed` decides initial values; `budget` is the memory in bytes that a plan may take, `None` the
    /// device's default.
    pub fn new(device: &Device, seed: u64, budget: Option<u64>) -> Session {
        let backend = match &device.0 {
            Kind::Cpu(threads) => Backend::Cpu(cpu::Machine::new(threads.clone())),
            Kind::Gpu(gpu) => Backend::Gpu(Box::new(gpu::Machine::new(gpu.clone()))),
        };
        let budget = budget.unwrap_or_else(|| device.default_budget());
        let (device, layouts) = (device.clone(), HashMap::new());
        Session { device, backend, seed, budget, layouts, id: next_id(), peeked: None }
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Bytes that a plan may take.
    pub fn budget(&self) -> u64 {
        self.budget
    }

    /// The plan for `graph` on this session's device. Nothing is allocated yet.
    ///
    /// # Errors
    /// [`Error::Limit`] where it does not fit the device or the budget.
    pub fn plan(&self, graph: &Graph, fetch: &[Var]) -> Result<Plan> {
        let plan = Plan::new(graph, fetch, self.device.gpu_traits().as_ref())?;
        plan.check(&self.device.limits(self.budget))?;
        Ok(plan)
    }

    /// Makes a plan ready: state that is new gets its initial values, and everything that a run needs is made.
    ///
    /// # Errors
    /// Where state of the same name has another layout in this session, or the device fails.
    pub fn prepare(&mut self, plan: Plan) -> Result<Executable> {
        for arena in &plan.arenas {
            self.ensure(arena)?;
        }
        let state = plan.arenas.iter().map(|a| self.layouts[&a.name].id).collect();
        let indices = plan.indices();
        let plan = Arc::new(plan);
        let program = match &mut self.backend {
            Backend::Cpu(machine) => Program::Cpu(machine.prepare(plan)?),
            Backend::Gpu(machine) => Program::Gpu(machine.prepare(plan)?),
        };
        Ok(Executable { program, session: self.id, state, indices })
    }

    /// [`Session::plan`] and [`Session::prepare`] in one.
    ///
    /// # Errors
    /// See there.
    pub fn compile(&mut self, graph: &Graph, fetch: &[Var]) -> Result<Executable> {
        let plan = self.plan(graph, fetch)?;
        self.prepare(plan)
    }

    fn ensure(&mut self, arena: &ArenaSpec) -> Result<()> {
        if let Some(Layout { arena: have, .. }) = self.layouts.get(&arena.name) {
            let names =
                |a: &ArenaSpec| a.slots.iter().map(|s| format!("{} {}", s.name, s.spec)).collect::<Vec<_>>().join(", ");
            if names(have) != names(arena) || have.len != arena.len {
                return Err(Error::shape(format!("state \"{}\"", arena.name), names(have), names(arena)));
            }
            return Ok(());
        }
        match &mut self.backend {
            Backend::Cpu(machine) => machine.ensure_arena(arena)?,
            Backend::Gpu(machine) => machine.ensure_arena(arena)?,
        };
        let places = arena.slots.iter().enumerate().map(|(i, slot)| (slot.name.clone(), i)).collect();
        self.layouts.insert(arena.name.clone(), Layout { arena: arena.clone(), places, id: next_id() });
        // State whose values could not all be made is no state: the next plan that wants it begins anew.
        self.fill(arena).inspect_err(|_| self.forget(&arena.name))
    }

    /// Writes the initial values of state that holds zeros.
    fn fill(&mut self, arena: &ArenaSpec) -> Result<()> {
        for slot in arena.slots.iter().filter(|slot| slot.init != Init::Constant(0.0)) {
            let values = initial_values(self.seed, slot)?;
            self.write(&arena.name, slot.offset, values.elements())?;
        }
        Ok(())
    }

    /// Refuses an executable of another session, or one whose state was dropped.
    fn own(&self, executable: &Executable) -> Result<()> {
        if executable.session != self.id {
            return Err(foreign());
        }
        for (arena, id) in executable.plan().arenas.iter().zip(&executable.state) {
            if self.layouts.get(&arena.name).is_none_or(|layout| layout.id != *id) {
                return Err(Error::usage("an executable", format!("its state \"{}\" was dropped", arena.name)));
            }
        }
        Ok(())
    }

    /// Drops the state called `arena`. Executables that work on it are refused from then on.
    pub fn forget(&mut self, arena: &str) {
        self.layouts.remove(arena);
        match &mut self.backend {
            Backend::Cpu(machine) => machine.forget_arena(arena),
            Backend::Gpu(machine) => machine.forget_arena(arena),
        }
    }

    /// Runs a plan once with the given inputs and gives what it was asked to fetch.
    ///
    /// # Errors
    /// Where an input is missing or unknown, those of [`Session::set_input`]; where the device fails.
    pub fn run(&mut self, executable: &Executable, inputs: &[(&str, &Tensor)]) -> Result<Vec<Tensor>> {
        for (name, tensor) in inputs {
            let known = executable.plan().inputs.iter().any(|(have, _)| have == name);
            if !known {
                let names: Vec<&str> = executable.plan().inputs.iter().map(|(n, _)| n.as_str()).collect();
                return Err(Error::usage(format!("input \"{name}\""), format!("the plan has only {names:?}")));
            }
            self.set_input(executable, name, tensor)?;
        }
        for (name, _) in &executable.plan().inputs {
            if !inputs.iter().any(|(given, _)| given == name) {
                return Err(Error::usage(format!("input \"{name}\""), "it was not given"));
            }
        }
        self.run_steps(executable, 1)?;
        self.outputs(executable)
    }

    /// Writes one input of a plan.
    ///
    /// # Errors
    /// Where there is no such input, shape or type differ, or an index is out of range for the node that takes it
    /// ([`Var::gather`], [`Var::one_hot`]).
    pub fn set_input(&mut self, executable: &Executable, name: &str, tensor: &Tensor) -> Result<()> {
        self.own(executable)?;
        let region = executable.plan().input(name)?;
        if tensor.spec() != region.spec {
            return Err(Error::shape(format!("input \"{name}\""), region.spec.to_string(), tensor.spec().to_string()));
        }
        tensor.expect_rows(&format!("input \"{name}\""))?;
        executable.indices.iter().try_for_each(|indices| indices.check(name, tensor))?;
        match (&mut self.backend, &executable.program) {
            (Backend::Cpu(machine), Program::Cpu(program)) => machine.write(program, region, tensor.elements()),
            (Backend::Gpu(machine), Program::Gpu(program)) => machine.write(program, region, tensor.elements()),
            _ => Err(foreign()),
        }
    }

    /// Runs a plan up to `at_most` times without inputs or outputs and tells how often. On a GPU the runs are only submitted; at
    /// most two submissions are on their way at once.
    ///
    /// # Errors
    /// Where the device fails.
    pub fn run_some(&mut self, executable: &Executable, at_most: usize) -> Result<usize> {
        self.own(executable)?;
        match (&mut self.backend, &executable.program) {
            (Backend::Cpu(machine), Program::Cpu(program)) => {
                if at_most == 0 {
                    return Ok(0);
                }
                machine.run(program)?;
                Ok(1)
            }
            (Backend::Gpu(machine), Program::Gpu(program)) => machine.run_some(program, at_most),
            _ => Err(foreign()),
        }
    }

    /// Runs a plan `count` times without inputs or outputs; see [`Session::run_some`].
    ///
    /// # Errors
    /// Where the device fails.
    pub fn run_steps(&mut self, executable: &Executable, count: usize) -> Result<()> {
        let mut done = 0;
        while done < count {
            done += self.run_some(executable, count - done)?;
        }
        Ok(())
    }

    /// Runs a plan `runs` times, as [`Session::run_steps`] does, and tells what each of its ops took. Where a device has just been
    /// opened, the first runs include what its driver does once.
    ///
    /// # Errors
    /// Where the device fails.
    pub fn profile(&mut self, executable: &Executable, runs: usize) -> Result<Profile> {
        self.own(executable)?;
        let timeline = match (&mut self.backend, &executable.program) {
            (Backend::Cpu(machine), Program::Cpu(program)) => machine.profile(program, runs)?,
            (Backend::Gpu(machine), Program::Gpu(program)) => machine.profile(program, runs)?,
            _ => return Err(foreign()),
        };
        Ok(Profile::new(self.device.to_string(), executable.plan(), runs, timeline))
    }

    /// Bytes of state and activations that the session holds on its device.
    pub fn bytes(&self) -> u64 {
        match &self.backend {
            Backend::Cpu(machine) => machine.bytes(),
            Backend::Gpu(machine) => machine.bytes(),
        }
    }

    /// Fills activation memory with NaN, so that a test sees what a kernel left unwritten.
    pub fn poison(&mut self) {
        match &mut self.backend {
            Backend::Cpu(machine) => machine.poison(),
            Backend::Gpu(machine) => machine.poison(),
        }
    }

    /// What the plan fetched in its last run.
    ///
    /// # Errors
    /// Where the device fails.
    pub fn outputs(&mut self, executable: &Executable) -> Result<Vec<Tensor>> {
        executable.plan().outputs.iter().map(|region| self.read_region(executable, region)).collect()
    }

    fn read_region(&mut self, executable: &Executable, region: &Region) -> Result<Tensor> {
        self.own(executable)?;
        match (&mut self.backend, &executable.program) {
            (Backend::Cpu(machine), Program::Cpu(program)) => machine.read(program, region),
            (Backend::Gpu(machine), Program::Gpu(program)) => machine.read(program, region),
            _ => Err(foreign()),
        }
    }

    /// Waits until the device has done everything.
    ///
    /// # Errors
    /// Where the device fails.
    pub fn wait(&mut self) -> Result<()> {
        match &mut self.backend {
            Backend::Cpu(_) => Ok(()),
            Backend::Gpu(machine) => machine.wait(),
        }
    }

    /// Runs a plan op by op, until one gives a NaN or an infinity, and tells that op's name.
    ///
    /// # Errors
    /// Where the device fails.
    pub fn first_not_finite(&mut self, executable: &Executable) -> Result<Option<String>> {
        self.own(executable)?;
        let index = match (&mut self.backend, &executable.program) {
            (Backend::Cpu(machine), Program::Cpu(program)) => machine.run_until_not_finite(program)?,
            (Backend::Gpu(machine), Program::Gpu(program)) => machine.run_until_not_finite(program)?,
            _ => return Err(foreign()),
        };
        Ok(index.map(|i| executable.plan().steps[i].name()))
    }

    /// Asks for words of a piece of state without waiting for them; [`Session::peeked`] gives them when they have come. Tells
    /// whether it asked: it does not while an earlier wish is still open.
    pub fn peek(&mut self, executable: &Executable, arena: &str, words: std::ops::Range<usize>) -> bool {
        let Some(index) = executable.plan().arenas.iter().position(|a| a.name == arena) else { return false };
        if self.own(executable).is_err() || words.is_empty() || words.end > executable.plan().arenas[index].len {
            return false;
        }
        let spec = TensorSpec::u32([words.len()]);
        let region = Region { place: Place::Arena(index), offset: words.start, spec };
        match (&mut self.backend, &executable.program) {
            (Backend::Gpu(machine), Program::Gpu(program)) => machine.peek(program, &region),
            (Backend::Cpu(machine), Program::Cpu(program)) => {
                if let Ok(Tensor::U32(words)) = machine.read(program, &region) {
                    self.peeked = Some(words.into_iter().collect());
                }
                self.peeked.is_some()
            }
            _ => false,
        }
    }

    /// What [`Session::peek`] asked for, once, if it has come.
    pub fn peeked(&mut self) -> Option<Vec<u32>> {
        match &mut self.backend {
            Backend::Cpu(_) => self.peeked.take(),
            Backend::Gpu(machine) => machine.peeked(),
        }
    }

    /// The layout of a piece of state.
    ///
    /// # Errors
    /// Where the session has none of this name.
    pub fn layout(&self, arena: &str) -> Result<&ArenaSpec> {
        self.layouts
            .get(arena)
            .map(|layout| &layout.arena)
            .ok_or_else(|| Error::usage(format!("state \"{arena}\""), "the session has none of this name"))
    }

    fn slot(&self, arena: &str, name: &str) -> Result<&SlotSpec> {
        let slots = &self.layout(arena)?.slots;
        let found = self.place(arena, name).and_then(|i| slots.get(i));
        found.ok_or_else(|| Error::usage(format!("state \"{arena}\""), format!("it has no slot \"{name}\"")))
    }

    /// Whether there is a piece of state of this name with this slot.
    pub(crate) fn has_slot(&self, arena: &str, name: &str) -> bool {
        self.place(arena, name).is_some()
    }

    /// Where the slot of this name stands in a piece of state.
    fn place(&self, arena: &str, name: &str) -> Option<usize> {
        self.layouts.get(arena)?.places.get(name).copied()
    }

    /// The content of one slot of state, read from the device.
    ///
    /// # Errors
    /// Where there is no such slot or the device fails.
    pub fn state(&mut self, arena: &str, slot: &str) -> Result<Tensor> {
        let slot = self.slot(arena, slot)?.clone();
        self.read_state(arena, slot.offset, slot.spec)
    }

    /// `spec` elements of a piece of state, from `offset` on, read from the device.
    ///
    /// # Errors
    /// Where there is no such state or the device fails.
    pub fn read_state(&mut self, arena: &str, offset: usize, spec: TensorSpec) -> Result<Tensor> {
        let region = Region { place: Place::Arena(0), offset, spec };
        match &mut self.backend {
            Backend::Cpu(machine) => machine.read_arena(arena, &region),
            Backend::Gpu(machine) => machine.read_arena(arena, &region),
        }
    }

    /// Several pieces of state, each from its beginning, in one readback.
    ///
    /// # Errors
    /// Where there is no such state or the device fails.
    pub fn read_states(&mut self, wanted: &[(String, TensorSpec)]) -> Result<Vec<Tensor>> {
        let at = |spec: &TensorSpec| Region { place: Place::Arena(0), offset: 0, spec: spec.clone() };
        match &mut self.backend {
            Backend::Cpu(machine) => wanted.iter().map(|(name, spec)| machine.read_arena(name, &at(spec))).collect(),
            Backend::Gpu(machine) => {
                let wanted: Vec<_> = wanted.iter().map(|(name, spec)| (name.as_str(), at(spec))).collect();
                machine.read_arenas(&wanted)
            }
        }
    }

    /// The content of all slots of these pieces of state, by name and in their order, in one readback.
    ///
    /// # Errors
    /// Where there is no such state or the device fails.
    pub fn slots_of(&mut self, arenas: &[ArenaSpec]) -> Result<Vec<(String, Tensor)>> {
        let whole: Vec<_> = arenas.iter().map(|a| (a.name.clone(), TensorSpec::new([a.len], a.dtype))).collect();
        let read = self.read_states(&whole)?;
        let mut slots = Vec::new();
        for (arena, tensor) in arenas.iter().zip(&read) {
            for SlotSpec { name, spec, offset, .. } in &arena.slots {
                let range = *offset..offset + spec.shape.elements();
                let shape = spec.shape.clone();
                let slot = match tensor.elements() {
                    Elements::F32(x) => Tensor::f32(shape, host::copied(&x[range], name)?)?,
                    Elements::U32(x) => Tensor::u32(shape, host::copied(&x[range], name)?)?,
                    Elements::U8(x) => Tensor::u8(shape, host::copied(&x[range], name)?)?,
                };
                slots.push((name.clone(), slot));
            }
        }
        Ok(slots)
    }

    /// Replaces the content of one slot of state.
    ///
    /// # Errors
    /// Where there is no such slot, shape or type differ, or the device fails.
    pub fn set_state(&mut self, arena: &str, slot: &str, tensor: &Tensor) -> Result<()> {
        let have = self.slot(arena, slot)?.clone();
        if have.spec != tensor.spec() {
            return Err(Error::shape(format!("state \"{slot}\""), have.spec.to_string(), tensor.spec().to_string()));
        }
        tensor.expect_rows(&format!("state \"{slot}\""))?;
        self.write(arena, have.offset, tensor.elements())
    }

    /// Writes elements into a piece of state, from `offset` on. A GPU writes whole words: up to three bytes after the last one of a
    /// `u8` tensor become zero.
    ///
    /// # Errors
    /// Where there is no such state, they do not fit, or the device fails.
    pub fn write(&mut self, arena: &str, offset: usize, elements: Elements<'_>) -> Result<()> {
        match &mut self.backend {
            Backend::Cpu(machine) => machine.write_arena(arena, offset, elements),
            Backend::Gpu(machine) => machine.write_arena(arena, offset, elements),
        }
    }
}

fn foreign() -> Error {
    Error::usage("an executable", "it belongs to another session")
}
