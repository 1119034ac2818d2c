//! Device memory that outlives a plan, and plans made ready: pipelines and bind groups, all made before the first step.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use super::device::Gpu;
use super::pipelines::Compiled;
use super::run::Peek;
use crate::contract::Slot;
use crate::error::{Error, Result};
use crate::graph::{ArenaSpec, Place, Plan, Region, Step};
use crate::host;
use crate::shape::DType;
use crate::tensor::{Elements, Tensor};

const STORAGE: wgpu::BufferUsages =
    wgpu::BufferUsages::STORAGE.union(wgpu::BufferUsages::COPY_SRC).union(wgpu::BufferUsages::COPY_DST);

/// One dispatch, ready to be encoded.
#[derive(Debug)]
pub(super) struct Dispatch {
    pub(super) compiled: Arc<Compiled>,
    pub(super) bind_group: wgpu::BindGroup,
    pub(super) workgroups: [u32; 3],
}

impl Dispatch {
    pub(super) fn encode(&self, pass: &mut wgpu::ComputePass<'_>) {
        let [x, y, z] = self.workgroups;
        pass.set_pipeline(&self.compiled.pipeline);
        pass.set_bind_group(0, &self.bind_group, &[]);
        pass.dispatch_workgroups(x, y, z);
    }
}

/// A plan made ready on a [`Machine`].
#[derive(Debug)]
pub struct Program {
    pub(super) plan: Arc<Plan>,
    pub(super) dispatches: Vec<Dispatch>,
    /// For every step of the plan, the index after its last dispatch.
    pub(super) step_ends: Vec<usize>,
    /// Runs that one submission holds; learned from how long they take, beginning with one.
    pub(super) steps_per_submission: AtomicUsize,
    arenas: Vec<wgpu::Buffer>,
    buffers: Vec<wgpu::Buffer>,
}

impl Program {
    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    pub(super) fn buffer(&self, place: Place) -> &wgpu::Buffer {
        match place {
            Place::Buffer(i) => &self.buffers[i],
            Place::Arena(i) => &self.arenas[i],
        }
    }
}

/// Device memory: arenas by name, and the activation buffers that all plans share.
#[derive(Debug)]
pub struct Machine {
    pub(super) gpu: Gpu,
    arenas: HashMap<String, (ArenaSpec, wgpu::Buffer)>,
    pool: Vec<wgpu::Buffer>,
    pub(super) staging: Option<wgpu::Buffer>,
    pub(super) in_flight: VecDeque<(wgpu::SubmissionIndex, usize)>,
    pub(super) last_done: Option<Instant>,
    pub(super) peek: Option<Peek>,
}

impl Machine {
    /// A machine without memory yet.
    pub fn new(gpu: Gpu) -> Self {
        Machine {
            gpu,
            arenas: HashMap::new(),
            pool: Vec::new(),
            staging: None,
            in_flight: VecDeque::new(),
            last_done: None,
            peek: None,
        }
    }

    /// The device.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// Makes the arena where it is missing; tells whether it did. It holds zeros then.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn ensure_arena(&mut self, spec: &ArenaSpec) -> Result<bool> {
        let same = |(have, _): &(ArenaSpec, wgpu::Buffer)| have.len == spec.len && have.dtype == spec.dtype;
        if self.arenas.get(&spec.name).is_some_and(same) {
            return Ok(false);
        }
        let buffer = self.gpu.create_buffer(&spec.name, spec.bytes(), STORAGE);
        self.gpu.check(&format!("state \"{}\"", spec.name))?;
        self.arenas.insert(spec.name.clone(), (spec.clone(), buffer));
        Ok(true)
    }

    /// Drops an arena and its memory.
    pub fn forget_arena(&mut self, name: &str) {
        self.arenas.remove(name);
    }

    fn arena(&self, name: &str) -> Result<&wgpu::Buffer> {
        let found = self.arenas.get(name).map(|(_, buffer)| buffer);
        found.ok_or_else(|| Error::usage(format!("state \"{name}\""), "it was never made"))
    }

    /// Makes `plan` ready: all its buffers, pipelines and bind groups.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], or [`Error::Backend`] where a shader does not compile.
    pub fn prepare(&mut self, plan: Arc<Plan>) -> Result<Program> {
        let arenas = plan.arenas.iter().map(|a| self.arena(&a.name).cloned()).collect::<Result<Vec<_>>>()?;
        let buffers = self.activations(&plan)?;
        let mut program = Program {
            plan,
            dispatches: Vec::new(),
            step_ends: Vec::new(),
            steps_per_submission: AtomicUsize::new(1),
            arenas,
            buffers,
        };
        let plan = Arc::clone(&program.plan);
        let align = self.gpu.uniform_alignment();
        let (mut params, mut offsets) = (Vec::new(), Vec::new());
        for launch in plan.steps.iter().flat_map(|s| &s.launches) {
            params.resize((params.len() as u64).next_multiple_of(align) as usize, 0);
            offsets.push(params.len() as u64);
            params.extend(&launch.params);
            params.resize(params.len().next_multiple_of(16), 0);
        }
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let uniforms = self.gpu.create_buffer("parameters of launches", params.len() as u64, usage);
        self.gpu.write(&uniforms, 0, &params);
        let mut offsets = offsets.into_iter();
        for step in &plan.steps {
            for (launch, offset) in step.launches.iter().zip(offsets.by_ref()) {
                let dispatch = self.dispatch(&program, step, launch, &uniforms, offset)?;
                self.gpu.check(&step.name())?;
                program.dispatches.push(dispatch);
            }
            program.step_ends.push(program.dispatches.len());
        }
        self.gpu.pipelines().keep();
        Ok(program)
    }

    fn dispatch(
        &self,
        program: &Program,
        step: &Step,
        launch: &crate::contract::Launch,
        uniforms: &wgpu::Buffer,
        offset: u64,
    ) -> Result<Dispatch> {
        let compiled = self.gpu.pipeline(launch)?;
        let binding = |buffer, offset, bytes: u64| {
            wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                buffer,
                offset,
                size: std::num::NonZeroU64::new(bytes),
            })
        };
        let size = (launch.params.len() as u64).next_multiple_of(16);
        let mut entries = vec![wgpu::BindGroupEntry { binding: 0, resource: binding(uniforms, offset, size) }];
        for (i, bound) in launch.bindings.iter().enumerate() {
            let region = match bound.slot {
                Slot::Input(i) => step.inputs.get(i),
                Slot::Output(i) => step.outputs.get(i),
                Slot::Temp(i) => step.temps.get(i),
            };
            let wrong =
                || Error::usage(step.name(), format!("a launch binds {:?}, which the op does not have", bound.slot));
            let region = region.ok_or_else(wrong)?;
            let resource = binding(program.buffer(region.place), byte_offset(region), region.spec.bytes());
            entries.push(wgpu::BindGroupEntry { binding: i as u32 + 1, resource });
        }
        let bind_group = self.gpu.create_bind_group(&compiled.layout, &entries);
        Ok(Dispatch { compiled, bind_group, workgroups: launch.workgroups })
    }

    /// The activation buffers of a plan: those of earlier plans where they are large enough.
    fn activations(&mut self, plan: &Plan) -> Result<Vec<wgpu::Buffer>> {
        let mut order: Vec<usize> = (0..plan.buffers.len()).collect();
        order.sort_by_key(|&i| std::cmp::Reverse(plan.buffers[i].bytes()));
        self.pool.sort_by_key(|b| std::cmp::Reverse(b.size()));
        let mut chosen: Vec<Option<wgpu::Buffer>> = vec![None; plan.buffers.len()];
        for (rank, &i) in order.iter().enumerate() {
            let bytes = plan.buffers[i].bytes();
            if self.pool.get(rank).is_none_or(|have| have.size() < bytes) {
                let made = self.gpu.create_buffer("activations", bytes, STORAGE);
                self.gpu.check("activations")?;
                match self.pool.get_mut(rank) {
                    Some(have) => *have = made,
                    None => self.pool.push(made),
                }
            }
            chosen[i] = self.pool.get(rank).cloned();
        }
        Ok(chosen.into_iter().flatten().collect())
    }

    /// Writes elements into an arena.
    ///
    /// # Errors
    /// Where there is no such arena or the device is lost.
    pub fn write_arena(&mut self, name: &str, offset: usize, elements: Elements<'_>) -> Result<()> {
        let scale = if elements.dtype() == DType::U8 { 1 } else { 4 };
        let buffer = self.arena(name)?;
        let end = offset as u64 * scale + elements.bytes().len() as u64;
        if end > buffer.size() {
            return Err(Error::shape("write", format!("at most {} bytes", buffer.size()), end.to_string()));
        }
        self.gpu.write(buffer, offset as u64 * scale, elements.bytes());
        self.gpu.check(name)
    }

    /// Reads a region of an arena; waits for it.
    ///
    /// # Errors
    /// Where there is no such arena or the device is lost.
    pub fn read_arena(&mut self, name: &str, region: &Region) -> Result<Tensor> {
        let buffer = self.arena(name)?.clone();
        self.read_buffer(&buffer, region)
    }

    /// Writes an input or other region of a program.
    ///
    /// # Errors
    /// Where the device is lost.
    pub fn write(&mut self, program: &Program, region: &Region, elements: Elements<'_>) -> Result<()> {
        self.gpu.write(program.buffer(region.place), byte_offset(region), elements.bytes());
        self.gpu.check("an input")
    }

    /// Reads an output or other region of a program; waits for it.
    ///
    /// # Errors
    /// Where the device is lost.
    pub fn read(&mut self, program: &Program, region: &Region) -> Result<Tensor> {
        let buffer = program.buffer(region.place).clone();
        self.read_buffer(&buffer, region)
    }

    /// Reads regions of several arenas in one readback; waits for it.
    ///
    /// # Errors
    /// Where there is no such arena or the device is lost.
    pub fn read_arenas(&mut self, wanted: &[(&str, Region)]) -> Result<Vec<Tensor>> {
        let buffers = wanted.iter().map(|(name, _)| self.arena(name).cloned()).collect::<Result<Vec<_>>>()?;
        self.read_buffers(&buffers.iter().zip(wanted.iter().map(|(_, region)| region)).collect::<Vec<_>>())
    }

    fn read_buffer(&mut self, buffer: &wgpu::Buffer, region: &Region) -> Result<Tensor> {
        Ok(self.read_buffers(&[(buffer, region)])?.swap_remove(0))
    }

    fn read_buffers(&mut self, wanted: &[(&wgpu::Buffer, &Region)]) -> Result<Vec<Tensor>> {
        for (buffer, region) in wanted {
            let end = byte_offset(region).saturating_add(region.spec.bytes());
            if end > buffer.size() {
                return Err(Error::shape("read", format!("at most {} bytes", buffer.size()), end.to_string()));
            }
        }
        let total = wanted.iter().map(|(_, region)| region.spec.bytes()).sum();
        let staging = self.staging(total);
        let mut encoder = self.gpu.encoder();
        let mut at = 0;
        for (buffer, region) in wanted {
            encoder.copy_buffer_to_buffer(buffer, byte_offset(region), &staging, at, region.spec.bytes());
            at += region.spec.bytes();
        }
        self.gpu.submit(encoder);
        // Where that fails the buffer may stay mapped, and no later readback could use it: it goes.
        let data = self.gpu.read(&staging, total).inspect_err(|_| self.staging = None)?;
        self.in_flight.clear();
        let mut rest = data.as_slice();
        let mut take = |region: &Region| {
            let (bytes, after) = rest.split_at(region.spec.bytes() as usize);
            rest = after;
            let (shape, count) = (region.spec.shape.clone(), region.spec.shape.elements());
            match region.spec.dtype {
                DType::F32 => Tensor::f32(shape, words(bytes, f32::from_ne_bytes)?),
                DType::U32 => Tensor::u32(shape, words(bytes, u32::from_ne_bytes)?),
                DType::U8 => Tensor::u8(shape, host::copied(&bytes[..count], READ)?),
            }
        };
        wanted.iter().map(|(_, region)| take(region)).collect()
    }

    fn staging(&mut self, bytes: u64) -> wgpu::Buffer {
        match &self.staging {
            Some(have) if have.size() >= bytes => have.clone(),
            _ => {
                let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
                let made = self.gpu.create_buffer("readback", bytes, usage);
                self.staging = Some(made.clone());
                made
            }
        }
    }

    /// Bytes of the arenas, the activations and the buffer for readbacks.
    pub fn bytes(&self) -> u64 {
        let arenas = self.arenas.values().map(|(_, buffer)| buffer);
        arenas.chain(&self.pool).chain(&self.staging).map(wgpu::Buffer::size).sum()
    }

    /// Fills the activation memory with NaN, so that a test sees what a kernel left unwritten.
    pub fn poison(&mut self) {
        for buffer in &self.pool {
            self.gpu.write(buffer, 0, &vec![0xff; buffer.size() as usize]);
        }
    }
}

/// What a copy of a device's memory is for.
const READ: &str = "what is read from the device";

/// The 32-bit words in these bytes, which may begin anywhere.
fn words<T>(bytes: &[u8], word: fn([u8; 4]) -> T) -> Result<Vec<T>> {
    host::collected(bytes.as_chunks::<4>().0.iter().map(|bytes| word(*bytes)), READ)
}

/// Where a region starts, in bytes. Slots start at whole words whatever their type.
pub(super) fn byte_offset(region: &Region) -> u64 {
    let scale = if region.spec.dtype == DType::U8 { 1 } else { 4 };
    region.offset as u64 * scale
}
