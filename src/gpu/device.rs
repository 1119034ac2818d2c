//! The adapter, the device and the queue, behind one wrapper that counts what is asked of them.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use futures_intrusive::channel::shared::oneshot_channel;

use super::pipelines::Pipelines;
use crate::contract::GpuTraits;
use crate::error::{Error, Result};
use crate::host;

const BACKENDS: wgpu::Backends = wgpu::Backends::VULKAN.union(wgpu::Backends::METAL).union(wgpu::Backends::DX12);

/// What is used where the adapter offers it: times of dispatches, for profiles, and what its driver has compiled.
const WISHED: wgpu::Features = wgpu::Features::TIMESTAMP_QUERY.union(wgpu::Features::PIPELINE_CACHE);

/// What kind of processor an adapter is, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AdapterKind {
    /// A graphics card with its own memory.
    Discrete,
    /// A GPU that shares the processor's memory.
    Integrated,
    /// A GPU behind a hypervisor.
    Virtual,
    /// The driver does not say.
    Unknown,
    /// A program on the processor: right, but slower than the CPU twins.
    Software,
}

impl fmt::Display for AdapterKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AdapterKind::Discrete => "discrete GPU",
            AdapterKind::Integrated => "integrated GPU",
            AdapterKind::Virtual => "virtual GPU",
            AdapterKind::Unknown => "unknown kind",
            AdapterKind::Software => "software (runs on the processor)",
        })
    }
}

/// What an adapter says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct AdapterSummary {
    /// Its name, as the driver gives it.
    pub name: String,
    /// Vulkan, Metal or Dx12.
    pub backend: String,
    /// The driver's name and version.
    pub driver: String,
    /// Its kind.
    pub kind: AdapterKind,
    /// Bytes of the largest storage binding.
    pub max_binding: u64,
    /// Bytes of the largest buffer.
    pub max_buffer: u64,
    /// Invocations of the largest workgroup.
    pub max_invocations: u32,
    /// Bytes of workgroup memory.
    pub workgroup_memory: u32,
    /// Workgroups along one dimension of a dispatch.
    pub max_workgroups: u32,
    /// Storage buffers of one dispatch.
    pub storage_buffers: u32,
}

/// What was asked of wgpu since the device was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Buffers made.
    pub buffers: u64,
    /// Bytes of buffers made.
    pub buffer_bytes: u64,
    /// Bind groups made.
    pub bind_groups: u64,
    /// Pipelines made.
    pub pipelines: u64,
    /// Writes from the host.
    pub uploads: u64,
    /// Bytes of them.
    pub uploaded_bytes: u64,
    /// Submissions.
    pub submissions: u64,
    /// Dispatches encoded.
    pub dispatches: u64,
    /// Readbacks that somebody waited for.
    pub readbacks: u64,
    /// Readbacks that nobody waited for (progress).
    pub peeks: u64,
    /// Sets of timestamps made, for profiles.
    pub query_sets: u64,
    /// Nanoseconds that the host spent encoding, waiting not counted.
    pub encode_nanos: u64,
    /// Nanoseconds that the host spent submitting what it had encoded. A driver without a thread of its own does the work meanwhile.
    pub submit_nanos: u64,
}

#[derive(Default)]
struct Counters {
    buffers: AtomicU64,
    buffer_bytes: AtomicU64,
    bind_groups: AtomicU64,
    pipelines: AtomicU64,
    uploads: AtomicU64,
    uploaded_bytes: AtomicU64,
    submissions: AtomicU64,
    dispatches: AtomicU64,
    readbacks: AtomicU64,
    peeks: AtomicU64,
    query_sets: AtomicU64,
    encode_nanos: AtomicU64,
    submit_nanos: AtomicU64,
}

/// What the driver told us behind our back.
#[derive(Default)]
struct Trouble {
    lost: Option<String>,
    error: Option<wgpu::Error>,
}

/// A GPU, ready to work. Cloning gives another handle to the same device; it is `Send` and `Sync`.
#[derive(Clone)]
pub struct Gpu {
    inner: Arc<Inner>,
    traits: GpuTraits,
}

struct Inner {
    summary: AdapterSummary,
    device: wgpu::Device,
    queue: wgpu::Queue,
    counters: Counters,
    trouble: Arc<Mutex<Trouble>>,
    pipelines: Mutex<Pipelines>,
}

impl fmt::Debug for Gpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gpu({}, {})", self.inner.summary.name, self.inner.summary.backend)
    }
}

/// The process's one instance: another would load every driver and ask it for its adapters again.
fn instance() -> &'static wgpu::Instance {
    static INSTANCE: OnceLock<wgpu::Instance> = OnceLock::new();
    INSTANCE.get_or_init(|| {
        let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
        descriptor.backends = BACKENDS;
        wgpu::Instance::new(descriptor)
    })
}

fn summary(adapter: &wgpu::Adapter) -> AdapterSummary {
    let (info, limits) = (adapter.get_info(), adapter.limits());
    AdapterSummary {
        name: info.name,
        backend: format!("{:?}", info.backend),
        driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
        kind: match info.device_type {
            wgpu::DeviceType::DiscreteGpu => AdapterKind::Discrete,
            wgpu::DeviceType::IntegratedGpu => AdapterKind::Integrated,
            wgpu::DeviceType::VirtualGpu => AdapterKind::Virtual,
            wgpu::DeviceType::Cpu => AdapterKind::Software,
            wgpu::DeviceType::Other => AdapterKind::Unknown,
        },
        max_binding: limits.max_storage_buffer_binding_size,
        max_buffer: limits.max_buffer_size,
        max_invocations: limits.max_compute_invocations_per_workgroup,
        workgroup_memory: limits.max_compute_workgroup_storage_size,
        max_workgroups: limits.max_compute_workgroups_per_dimension,
        storage_buffers: limits.max_storage_buffers_per_shader_stage,
    }
}

/// Every adapter, the fastest kind first; within a kind in the order of the system.
pub fn adapters() -> Vec<AdapterSummary> {
    let mut all: Vec<_> = pollster::block_on(instance().enumerate_adapters(BACKENDS)).iter().map(summary).collect();
    all.sort_by_key(|a| a.kind);
    all
}

impl Gpu {
    /// Opens the adapter that `wanted` describes, as [`adapters`] listed it.
    ///
    /// # Errors
    /// [`Error::NoDevice`] where it is gone, [`Error::Backend`] where its driver refuses; where `GALEN_PIPELINE_CACHE` makes no sense.
    pub fn open(wanted: &AdapterSummary) -> Result<Gpu> {
        let all = pollster::block_on(instance().enumerate_adapters(BACKENDS));
        let adapter = all.into_iter().find(|a| summary(a) == *wanted);
        let adapter =
            adapter.ok_or_else(|| Error::NoDevice { wanted: wanted.name.clone(), available: "it is gone".into() })?;
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("galen"),
            required_features: adapter.features() & WISHED,
            required_limits: adapter.limits(),
            ..Default::default()
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))
            .map_err(|e| Error::Backend { device: wanted.name.clone(), message: e.to_string() })?;
        let trouble = Arc::new(Mutex::new(Trouble::default()));
        let lost = Arc::clone(&trouble);
        device.set_device_lost_callback(move |reason, message| {
            lock(&lost).lost.get_or_insert_with(|| format!("{reason:?} {message}"));
        });
        let errors = Arc::clone(&trouble);
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            lock(&errors).error.get_or_insert(error);
        }));
        let (counters, pipelines) = (Counters::default(), Mutex::new(Pipelines::of(&device, wanted)?));
        let inner = Inner { summary: wanted.clone(), device, queue, counters, trouble, pipelines };
        Ok(Gpu { inner: Arc::new(inner), traits: GpuTraits { software: wanted.kind == AdapterKind::Software } })
    }

    /// What the adapter says of itself.
    pub fn summary(&self) -> &AdapterSummary {
        &self.inner.summary
    }

    /// What kernels may know of the adapter.
    pub fn traits(&self) -> GpuTraits {
        self.traits
    }

    /// A handle to the same device whose kernels are told `traits` instead of what the adapter is.
    #[must_use]
    pub fn with_traits(&self, traits: GpuTraits) -> Gpu {
        Gpu { inner: Arc::clone(&self.inner), traits }
    }

    /// What was asked of wgpu so far.
    pub fn stats(&self) -> Stats {
        let c = &self.inner.counters;
        Stats {
            buffers: c.buffers.load(Relaxed),
            buffer_bytes: c.buffer_bytes.load(Relaxed),
            bind_groups: c.bind_groups.load(Relaxed),
            pipelines: c.pipelines.load(Relaxed),
            uploads: c.uploads.load(Relaxed),
            uploaded_bytes: c.uploaded_bytes.load(Relaxed),
            submissions: c.submissions.load(Relaxed),
            dispatches: c.dispatches.load(Relaxed),
            readbacks: c.readbacks.load(Relaxed),
            peeks: c.peeks.load(Relaxed),
            query_sets: c.query_sets.load(Relaxed),
            encode_nanos: c.encode_nanos.load(Relaxed),
            submit_nanos: c.submit_nanos.load(Relaxed),
        }
    }

    /// Gives the device up, as if it had been lost. What was on it is gone.
    pub fn destroy(&self) {
        self.inner.device.destroy();
        lock(&self.inner.trouble).lost.get_or_insert_with(|| "it was given up".into());
    }

    /// What went wrong since the last call, if anything did.
    ///
    /// # Errors
    /// [`Error::DeviceLost`], [`Error::OutOfMemory`] or [`Error::Backend`].
    pub(super) fn check(&self, what: &str) -> Result<()> {
        let device = self.inner.summary.name.clone();
        let mut trouble = lock(&self.inner.trouble);
        if let Some(reason) = &trouble.lost {
            return Err(Error::DeviceLost { device, reason: reason.clone() });
        }
        match trouble.error.take() {
            None => Ok(()),
            Some(wgpu::Error::OutOfMemory { .. }) => Err(Error::OutOfMemory { device, what: what.into() }),
            Some(error) => Err(Error::Backend { device, message: format!("{what}: {error}") }),
        }
    }

    pub(super) fn pipelines(&self) -> MutexGuard<'_, Pipelines> {
        lock(&self.inner.pipelines)
    }

    /// The device, for `pipelines.rs`, which makes shader modules, layouts and pipelines of it and counts the latter here.
    pub(super) fn device_for_pipelines(&self) -> &wgpu::Device {
        self.inner.counters.pipelines.fetch_add(1, Relaxed);
        &self.inner.device
    }

    pub(super) fn create_buffer(&self, label: &str, bytes: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
        let size = bytes.max(16).next_multiple_of(16);
        self.inner.counters.buffers.fetch_add(1, Relaxed);
        self.inner.counters.buffer_bytes.fetch_add(size, Relaxed);
        let descriptor = wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false };
        self.inner.device.create_buffer(&descriptor)
    }

    pub(super) fn create_bind_group(
        &self,
        layout: &wgpu::BindGroupLayout,
        entries: &[wgpu::BindGroupEntry<'_>],
    ) -> wgpu::BindGroup {
        self.inner.counters.bind_groups.fetch_add(1, Relaxed);
        self.inner.device.create_bind_group(&wgpu::BindGroupDescriptor { label: None, layout, entries })
    }

    pub(super) fn uniform_alignment(&self) -> u64 {
        self.inner.device.limits().min_uniform_buffer_offset_alignment.into()
    }

    pub(super) fn write(&self, buffer: &wgpu::Buffer, offset: u64, bytes: &[u8]) {
        self.inner.counters.uploads.fetch_add(1, Relaxed);
        self.inner.counters.uploaded_bytes.fetch_add(bytes.len() as u64, Relaxed);
        // Writes are whole words; a tail of bytes is padded.
        let whole = bytes.len() / 4 * 4;
        self.inner.queue.write_buffer(buffer, offset, &bytes[..whole]);
        if whole < bytes.len() {
            let mut tail = [0; 4];
            tail[..bytes.len() - whole].copy_from_slice(&bytes[whole..]);
            self.inner.queue.write_buffer(buffer, offset + whole as u64, &tail);
        }
    }

    pub(super) fn encoder(&self) -> wgpu::CommandEncoder {
        self.inner.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default())
    }

    pub(super) fn count_dispatches(&self, count: u64) {
        self.inner.counters.dispatches.fetch_add(count, Relaxed);
    }

    /// Counts the time that encoding took, up to where [`Gpu::submit`] is called.
    pub(super) fn count_encoding(&self, time: Duration) {
        self.inner.counters.encode_nanos.fetch_add(time.as_nanos() as u64, Relaxed);
    }

    /// Nanoseconds of one tick of the device's clock; `None` where the adapter tells no times.
    pub(super) fn timestamp_period(&self) -> Option<f64> {
        let told = self.inner.device.features().contains(wgpu::Features::TIMESTAMP_QUERY);
        told.then(|| f64::from(self.inner.queue.get_timestamp_period()))
    }

    /// Room for `count` timestamps, at most [`wgpu::QUERY_SET_MAX_QUERIES`].
    pub(super) fn create_query_set(&self, count: u32) -> wgpu::QuerySet {
        self.inner.counters.query_sets.fetch_add(1, Relaxed);
        let descriptor = wgpu::QuerySetDescriptor { label: Some("times"), ty: wgpu::QueryType::Timestamp, count };
        self.inner.device.create_query_set(&descriptor)
    }

    pub(super) fn submit(&self, encoder: wgpu::CommandEncoder) -> wgpu::SubmissionIndex {
        self.inner.counters.submissions.fetch_add(1, Relaxed);
        let begun = Instant::now();
        let commands = encoder.finish();
        self.count_encoding(begun.elapsed());
        let finished = Instant::now();
        let submission = self.inner.queue.submit([commands]);
        self.inner.counters.submit_nanos.fetch_add(finished.elapsed().as_nanos() as u64, Relaxed);
        submission
    }

    /// Waits until `submission` is done (all of them where it is `None`).
    pub(super) fn wait(&self, submission: Option<wgpu::SubmissionIndex>) -> Result<()> {
        let timeout = Some(Duration::from_secs(600));
        let poll = wgpu::PollType::Wait { submission_index: submission, timeout };
        let waited = self.inner.device.poll(poll);
        self.check("waiting for the device")?;
        waited
            .map(|_| ())
            .map_err(|e| Error::DeviceLost { device: self.inner.summary.name.clone(), reason: e.to_string() })
    }

    /// Runs the callbacks of whatever is done, without waiting.
    pub(super) fn poll(&self) {
        // An error here shows again, and is reported, at the next wait.
        let _ = self.inner.device.poll(wgpu::PollType::Poll);
    }

    /// Maps `staging`, waits, and gives its first `bytes` bytes.
    pub(super) fn read(&self, staging: &wgpu::Buffer, bytes: u64) -> Result<Vec<u8>> {
        self.inner.counters.readbacks.fetch_add(1, Relaxed);
        let (sender, receiver) = oneshot_channel();
        staging.slice(..bytes).map_async(wgpu::MapMode::Read, move |result| {
            // The receiver is gone only where the wait below failed; then nobody wants the result.
            let _ = sender.send(result);
        });
        self.wait(None)?;
        let lost = |reason: String| Error::DeviceLost { device: self.inner.summary.name.clone(), reason };
        match pollster::block_on(receiver.receive()) {
            Some(Ok(())) => {}
            other => return Err(lost(format!("a readback failed: {other:?}"))),
        }
        let mapped = staging.slice(..bytes).get_mapped_range().map_err(|e| lost(format!("{e:?}")))?;
        let data = host::copied(&mapped, "what is read from the device")?;
        drop(mapped);
        staging.unmap();
        Ok(data)
    }

    /// Maps `staging` without waiting; `done` is called from a later poll.
    pub(super) fn peek(&self, staging: &wgpu::Buffer, bytes: u64, done: impl FnOnce(bool) + Send + 'static) {
        self.inner.counters.peeks.fetch_add(1, Relaxed);
        staging.slice(..bytes).map_async(wgpu::MapMode::Read, move |result| done(result.is_ok()));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
