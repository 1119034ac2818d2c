//! Runs a plan with the CPU twins. The plan's buffers are made once; a step allocates nothing.

mod denormals;
mod memory;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use rayon::{ThreadPool, ThreadPoolBuilder};
use smallvec::SmallVec;

use crate::contract::{CpuCall, View};
use crate::env;
use crate::error::{Error, Result, caught};
use crate::graph::{ArenaSpec, Clock, Place, Plan, Region, Span, Step, Timeline};
use crate::microkernel::Isa;
use crate::ops::Twin;
use crate::tensor::{Elements, Tensor};

pub use memory::HostBuffer;

/// The threads that twins run on; one pool per device.
#[derive(Clone, Debug)]
pub struct Threads(Arc<ThreadPool>);

impl Threads {
    /// A pool of `count` threads; 0 takes one per core. Denormal numbers are flushed to zero on them: they would make the last
    /// digits of nothing a hundred times slower than the rest.
    ///
    /// # Errors
    /// Where there are more than 64 threads and more than four per core, the system does not give them, or `GALEN_ISA` names instructions that the processor has not.
    pub fn new(count: usize) -> Result<Threads> {
        Isa::wished()?;
        let most = env::most_threads();
        if count > most {
            return Err(Error::parameter("cpu", "threads", format!("at most {most} on this machine"), count));
        }
        let pool = ThreadPoolBuilder::new()
            .num_threads(count)
            .thread_name(|i| format!("galen-{i}"))
            .start_handler(|_| denormals::flush_to_zero())
            .build()
            .map_err(|e| Error::Backend { device: "cpu".into(), message: e.to_string() })?;
        Ok(Threads(Arc::new(pool)))
    }

    /// How many threads there are.
    pub fn count(&self) -> usize {
        self.0.current_num_threads()
    }
}

/// A plan made ready on a [`Machine`]: its places resolved to memory.
#[derive(Clone, Debug)]
pub struct Program {
    plan: Arc<Plan>,
    arenas: Vec<usize>,
    buffers: Vec<usize>,
}

impl Program {
    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    fn at(&self, place: Place) -> usize {
        match place {
            Place::Buffer(i) => self.buffers[i],
            Place::Arena(i) => self.arenas[i],
        }
    }
}

/// Memory and threads. Floats are held as `T`: `f32` for work, `f64` for the truth that tests compare with.
#[derive(Debug)]
pub struct Machine<T> {
    threads: Threads,
    memory: Vec<HostBuffer<T>>,
    arenas: HashMap<String, usize>,
    pool: Vec<usize>,
    scratch: Vec<T>,
    /// The step that runs.
    at: usize,
    /// What a twin panicked with: what it had taken out of memory is gone.
    broken: Option<String>,
}

impl<T: Twin> Machine<T> {
    /// A machine without memory yet.
    pub fn new(threads: Threads) -> Self {
        let (memory, arenas, pool, scratch) = (Vec::new(), HashMap::new(), Vec::new(), Vec::new());
        Machine { threads, memory, arenas, pool, scratch, at: 0, broken: None }
    }

    /// Makes the arena where it is missing; tells whether it did. It holds zeros then.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn ensure_arena(&mut self, spec: &ArenaSpec) -> Result<bool> {
        let found = self.arenas.get(&spec.name).copied();
        if found.is_some_and(|index| self.memory[index].len() == spec.len && self.memory[index].dtype() == spec.dtype) {
            return Ok(false);
        }
        let buffer = HostBuffer::zeros(spec.dtype, spec.len)?;
        match found {
            Some(index) => self.memory[index] = buffer,
            None => {
                self.memory.push(buffer);
                self.arenas.insert(spec.name.clone(), self.memory.len() - 1);
            }
        }
        Ok(true)
    }

    /// Drops an arena and its memory.
    pub fn forget_arena(&mut self, name: &str) {
        if let Some(index) = self.arenas.remove(name) {
            self.memory[index] = HostBuffer::default();
        }
    }

    /// Makes `plan` ready. Plans share activation memory: only one runs at a time.
    ///
    /// # Errors
    /// Where the plan names an arena that was not made; [`Error::OutOfMemory`].
    pub fn prepare(&mut self, plan: Arc<Plan>) -> Result<Program> {
        let arenas = plan.arenas.iter().map(|a| self.arena(&a.name)).collect::<Result<Vec<_>>>()?;
        let mut free = self.pool.clone();
        let mut buffers = vec![0; plan.buffers.len()];
        let mut order: Vec<usize> = (0..plan.buffers.len()).collect();
        order.sort_by_key(|&i| std::cmp::Reverse(plan.buffers[i].len));
        for i in order {
            let want = plan.buffers[i];
            let index = match free.iter().position(|&m| self.memory[m].dtype() == want.dtype) {
                Some(at) => free.remove(at),
                None => {
                    self.memory.push(HostBuffer::zeros(want.dtype, 0)?);
                    self.pool.push(self.memory.len() - 1);
                    self.memory.len() - 1
                }
            };
            self.memory[index].grow(want.len)?;
            buffers[i] = index;
        }
        memory::grow(&mut self.scratch, plan.scratch, T::zero())?;
        Ok(Program { plan, arenas, buffers })
    }

    fn arena(&self, name: &str) -> Result<usize> {
        let found = self.arenas.get(name).copied();
        found.ok_or_else(|| Error::usage(format!("state \"{name}\""), "it was never made"))
    }

    /// Writes elements into an arena.
    ///
    /// # Errors
    /// Where there is no such arena, or the elements do not fit into it.
    pub fn write_arena(&mut self, name: &str, offset: usize, elements: Elements<'_>) -> Result<()> {
        self.expect_whole()?;
        let index = self.arena(name)?;
        self.memory[index].write(offset, elements)
    }

    /// Reads elements of an arena.
    ///
    /// # Errors
    /// Where there is no such arena or it is shorter.
    pub fn read_arena(&self, name: &str, region: &Region) -> Result<Tensor> {
        self.expect_whole()?;
        self.memory[self.arena(name)?].read(region)
    }

    /// Writes an input or other region of a program.
    ///
    /// # Errors
    /// Where the elements do not fit.
    pub fn write(&mut self, program: &Program, region: &Region, elements: Elements<'_>) -> Result<()> {
        self.expect_whole()?;
        self.memory[program.at(region.place)].write(region.offset, elements)
    }

    /// Reads an output or other region of a program.
    ///
    /// # Errors
    /// Where the region lies outside of its memory.
    pub fn read(&self, program: &Program, region: &Region) -> Result<Tensor> {
        self.expect_whole()?;
        self.memory[program.at(region.place)].read(region)
    }

    /// The floats of a region, as they are held.
    pub fn floats(&self, program: &Program, region: &Region) -> &[T] {
        let HostBuffer::F(x) = &self.memory[program.at(region.place)] else { return &[] };
        &x[region.offset..][..region.spec.shape.elements()]
    }

    /// The floats of a region, as they are held, to be changed.
    pub fn floats_mut(&mut self, program: &Program, region: &Region) -> &mut [T] {
        let HostBuffer::F(x) = &mut self.memory[program.at(region.place)] else { return &mut [] };
        &mut x[region.offset..][..region.spec.shape.elements()]
    }

    /// Runs the whole plan once.
    ///
    /// # Errors
    /// Where an op panics, now or before.
    pub fn run(&mut self, program: &Program) -> Result<()> {
        self.on_threads(program, |machine| {
            for (index, step) in program.plan.steps.iter().enumerate() {
                machine.step(program, index, step);
            }
        })
    }

    /// Runs the plan `runs` times and tells when each op ran.
    ///
    /// # Errors
    /// See [`Machine::run`].
    pub fn profile(&mut self, program: &Program, runs: usize) -> Result<Timeline> {
        self.on_threads(program, |machine| {
            let (start, mut timeline) = (Instant::now(), Timeline::new(Clock::Cpu));
            let nanos = |at: Instant| (at - start).as_nanos() as u64;
            for run in 0..runs {
                for (index, step) in program.plan.steps.iter().enumerate() {
                    let begun = Instant::now();
                    machine.step(program, index, step);
                    timeline.push(run, index, 0, Span { begin: nanos(begun), end: nanos(Instant::now()) });
                }
            }
            timeline
        })
    }

    /// Runs the plan once and tells the first step that gave a NaN or an infinity.
    ///
    /// # Errors
    /// See [`Machine::run`].
    pub fn run_until_not_finite(&mut self, program: &Program) -> Result<Option<usize>> {
        self.on_threads(program, |machine| {
            program.plan.steps.iter().enumerate().position(|(index, step)| {
                machine.step(program, index, step);
                step.outputs.iter().any(|region| !machine.floats(program, region).iter().all(|x| x.is_finite()))
            })
        })
    }

    /// What `work` gives on the machine's threads. Where a twin panics, on whichever of them, the op is named, and the machine is not
    /// used again: what the twin had taken is lost.
    fn on_threads<R: Send>(&mut self, program: &Program, work: impl FnOnce(&mut Self) -> R + Send) -> Result<R> {
        self.expect_whole()?;
        let threads = self.threads.clone();
        caught(|| threads.0.install(|| work(self))).or_else(|panic| {
            let op = program.plan.steps.get(self.at).map(Step::name).unwrap_or_default();
            self.broken = Some(format!("{op} panicked: {panic}"));
            self.expect_whole().and(Err(Error::usage("cpu", "it is broken")))
        })
    }

    /// Refuses a machine that has lost memory.
    ///
    /// # Errors
    /// [`Error::Backend`] with the op that panicked.
    pub fn expect_whole(&self) -> Result<()> {
        let broken = |message: &String| Err(Error::Backend { device: "cpu".into(), message: message.clone() });
        self.broken.as_ref().map_or(Ok(()), broken)
    }

    /// Runs one op. What it writes is taken out of memory for the while, so that it can be borrowed beside what it reads.
    fn step(&mut self, program: &Program, index: usize, step: &Step) {
        self.at = index;
        let writes = step.op.writes();
        let written = || writes.iter().map(|&i| &step.inputs[i]).chain(&step.outputs);
        let mut taken: SmallVec<[HostBuffer<T>; 4]> =
            written().map(|region| std::mem::take(&mut self.memory[program.at(region.place)])).collect();
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut writable = taken.iter_mut();
        let mut x: SmallVec<[View<'_, T>; 8]> = SmallVec::new();
        for (i, region) in step.inputs.iter().enumerate() {
            match writes.contains(&i).then(|| writable.next()).flatten() {
                Some(buffer) => x.push(buffer.view_mut(region)),
                None => x.push(self.memory[program.at(region.place)].view(region)),
            }
        }
        let y = step.outputs.iter().zip(writable).map(|(region, buffer)| buffer.view_mut(region)).collect();
        step.op.cpu(CpuCall { io: &step.io, x, y, scratch: &mut scratch });
        self.scratch = scratch;
        for (region, buffer) in written().zip(taken) {
            self.memory[program.at(region.place)] = buffer;
        }
    }

    /// Fills the activation memory with NaN, so that a test sees what a twin left unwritten.
    pub fn poison(&mut self) {
        for &index in &self.pool {
            self.memory[index].poison();
        }
    }

    /// Bytes that the machine holds.
    pub fn bytes(&self) -> u64 {
        self.memory.iter().map(HostBuffer::bytes).sum::<u64>() + (self.scratch.len() * size_of::<T>()) as u64
    }
}
