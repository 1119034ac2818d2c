//! Which processor to work on, and how it is chosen.

use std::fmt;

use crate::contract::{GpuTraits, SOFTWARE_ITERATIONS};
use crate::cpu::Threads;
use crate::env;
use crate::error::{Error, Result};
use crate::gpu::{self, AdapterKind, AdapterSummary, Gpu, Stats};
use crate::graph::Limits;

const GIB: u64 = 1 << 30;

/// A processor to work on: a GPU, or the CPU. Cloning gives another handle to the same one; it is `Send` and `Sync`.
#[derive(Clone, Debug)]
pub struct Device(pub(super) Kind);

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Cpu(Threads),
    Gpu(Gpu),
}

/// One line of the list that [`Device::best`] chooses from.
#[derive(Clone, Debug)]
pub struct DeviceChoice {
    /// The adapter; `None` for the CPU.
    pub adapter: Option<AdapterSummary>,
    /// Bytes of its memory, where they are known: the CPU and a software adapter have the system's, wgpu tells no other's.
    pub memory: Option<u64>,
    /// Whether [`Device::best`] would take it now.
    pub chosen: bool,
    /// Why, or why not.
    pub reason: String,
}

impl Device {
    /// The CPU, with one thread per core (or as many as `GALEN_THREADS` says).
    ///
    /// # Errors
    /// Where `GALEN_THREADS` or `GALEN_ISA` makes no sense, or the system gives no threads.
    pub fn cpu() -> Result<Device> {
        Device::cpu_with_threads(env::threads()?)
    }

    /// The CPU, with `threads` threads (0: one per core). Their number changes no bit of any result.
    ///
    /// # Errors
    /// Where there are more than 64 threads and more than four per core, or the system does not give them.
    pub fn cpu_with_threads(threads: usize) -> Result<Device> {
        Ok(Device(Kind::Cpu(Threads::new(threads)?)))
    }

    /// The fastest adapter of any kind, a software one included.
    ///
    /// # Errors
    /// [`Error::NoDevice`] where there is none.
    pub fn gpu() -> Result<Device> {
        let first = gpu::adapters().into_iter().next();
        let adapter = first.ok_or_else(|| no_device("gpu"))?;
        Ok(Device(Kind::Gpu(Gpu::open(&adapter)?)))
    }

    /// The fastest device: a real GPU before the CPU; a software adapter is slower than the CPU's own twins and is never taken
    /// here. The environment variable `GALEN_DEVICE` (see [`Device::named`]) overrules. The choice is logged.
    ///
    /// # Errors
    /// Where `GALEN_DEVICE` names a device that is not there, or another variable makes no sense.
    pub fn best() -> Result<Device> {
        if let Some(name) = env::device()? {
            return Device::named(&name).map_err(|e| match e {
                Error::NoDevice { available, .. } => {
                    Error::NoDevice { wanted: format!("GALEN_DEVICE={name}"), available }
                }
                other => other,
            });
        }
        for adapter in gpu::adapters().iter().filter(|a| a.kind != AdapterKind::Software) {
            match Gpu::open(adapter) {
                Ok(gpu) => {
                    let device = Device(Kind::Gpu(gpu));
                    log::info!("device: {device}");
                    return Ok(device);
                }
                Err(e) => log::warn!("{} cannot be used: {e}", adapter.name),
            }
        }
        let device = Device::cpu()?;
        log::info!("device: {device} (there is no GPU)");
        Ok(device)
    }

    /// The device called `name`: `auto` ([`Device::best`]), `cpu`, `gpu` ([`Device::gpu`]), or a part of an adapter's name, driver
    /// or backend, in any case.
    ///
    /// # Errors
    /// [`Error::NoDevice`] with what there is.
    pub fn named(name: &str) -> Result<Device> {
        let wanted = name.to_lowercase();
        match wanted.as_str() {
            "auto" => return Device::best(),
            "cpu" => return Device::cpu(),
            "gpu" => return Device::gpu(),
            _ => {}
        }
        let matches =
            |a: &AdapterSummary| format!("{} {} {}", a.name, a.driver, a.backend).to_lowercase().contains(&wanted);
        match gpu::adapters().iter().find(|a| matches(a)) {
            Some(adapter) => Ok(Device(Kind::Gpu(Gpu::open(adapter)?))),
            None => Err(no_device(name)),
        }
    }

    /// Everything that could be worked on, and what [`Device::best`] would take.
    pub fn choices() -> Vec<DeviceChoice> {
        let adapters = gpu::adapters();
        let chosen_name = Device::best().ok().map(|d| (d.is_gpu(), d.name()));
        let why = match env::device() {
            Ok(Some(name)) => format!("GALEN_DEVICE is \"{name}\""),
            _ => "the fastest kind of device here".to_owned(),
        };
        let line = |adapter: Option<AdapterSummary>, name: String| {
            let is_chosen = chosen_name == Some((adapter.is_some(), name));
            let reason = match &adapter {
                _ if is_chosen => why.clone(),
                Some(a) if a.kind == AdapterKind::Software => "slower than the CPU's own kernels; only by name".into(),
                Some(_) => "a faster or earlier one is there, or it cannot be opened".into(),
                None => "a GPU is there".into(),
            };
            let system = adapter.as_ref().is_none_or(|a| a.kind == AdapterKind::Software);
            let memory = if system { system_memory() } else { None };
            DeviceChoice { adapter, memory, chosen: is_chosen, reason }
        };
        let mut lines: Vec<DeviceChoice> = adapters.into_iter().map(|a| line(Some(a.clone()), a.name)).collect();
        lines.push(line(None, "cpu".into()));
        // Two adapters of the same name: the first is the one that is opened.
        let first = lines.iter().position(|l| l.chosen);
        lines.iter_mut().enumerate().for_each(|(i, l)| l.chosen = Some(i) == first);
        lines
    }

    /// Whether it is a GPU (or a program that poses as one).
    pub fn is_gpu(&self) -> bool {
        matches!(self.0, Kind::Gpu(_))
    }

    /// Its name.
    pub fn name(&self) -> String {
        match &self.0 {
            Kind::Cpu(_) => "cpu".into(),
            Kind::Gpu(gpu) => gpu.summary().name.clone(),
        }
    }

    /// The adapter; `None` for the CPU.
    pub fn adapter(&self) -> Option<&AdapterSummary> {
        match &self.0 {
            Kind::Cpu(_) => None,
            Kind::Gpu(gpu) => Some(gpu.summary()),
        }
    }

    /// The number of threads that work; 1 for a GPU's host side.
    pub fn threads(&self) -> usize {
        match &self.0 {
            Kind::Cpu(threads) => threads.count(),
            Kind::Gpu(_) => 1,
        }
    }

    /// What was asked of wgpu since the device was opened; zeros for the CPU.
    pub fn stats(&self) -> Stats {
        match &self.0 {
            Kind::Cpu(_) => Stats::default(),
            Kind::Gpu(gpu) => gpu.stats(),
        }
    }

    /// Gives a GPU up as if it had been lost; for tests of what happens then. The CPU cannot be lost.
    pub fn destroy(&self) {
        if let Kind::Gpu(gpu) = &self.0 {
            gpu.destroy();
        }
    }

    /// What kernels may know of the adapter; `None` for the CPU.
    pub fn gpu_traits(&self) -> Option<GpuTraits> {
        match &self.0 {
            Kind::Cpu(_) => None,
            Kind::Gpu(gpu) => Some(gpu.traits()),
        }
    }

    /// A handle to the same device whose kernels are told `traits` instead of what the adapter is: every adapter can then run both
    /// forms of a kernel. It is for tests of the form that the adapter would not choose; results are right in either form, only
    /// slower. The CPU has no kernels to tell, and comes back as it is.
    #[must_use]
    pub fn with_gpu_traits(&self, traits: GpuTraits) -> Device {
        match &self.0 {
            Kind::Cpu(_) => self.clone(),
            Kind::Gpu(gpu) => Device(Kind::Gpu(gpu.with_traits(traits))),
        }
    }

    /// Bytes that a session may take where nobody says otherwise. Adapters do not tell their memory: a graphics card counts as
    /// 4 GiB, a GPU that shares the processor's memory as 2 GiB (never more than half of that memory), the CPU as half of it.
    pub fn default_budget(&self) -> u64 {
        let half = system_memory().map_or(4 * GIB, |bytes| bytes / 2);
        match self.adapter().map(|a| a.kind) {
            None | Some(AdapterKind::Software) => half,
            Some(AdapterKind::Discrete) => 4 * GIB,
            Some(_) => half.min(2 * GIB),
        }
    }

    /// What a plan must fit into, within `budget` bytes.
    pub fn limits(&self, budget: u64) -> Limits {
        match self.adapter() {
            Some(a) => Limits {
                // Kernels count in 32 bits.
                binding: a.max_binding.min(u32::MAX.into()),
                buffer: a.max_buffer,
                workgroups: a.max_workgroups,
                storage_bindings: a.storage_buffers,
                iterations: if a.kind == AdapterKind::Software { SOFTWARE_ITERATIONS } else { u64::MAX },
                budget,
            },
            None => Limits {
                binding: u64::MAX,
                buffer: u64::MAX,
                workgroups: u32::MAX,
                storage_bindings: u32::MAX,
                iterations: u64::MAX,
                budget,
            },
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.adapter() {
            Some(a) => write!(f, "{} ({}, {}, {})", a.name, a.backend, a.driver, a.kind),
            None => write!(f, "cpu ({} threads)", self.threads()),
        }
    }
}

fn no_device(wanted: &str) -> Error {
    let mut names: Vec<String> = gpu::adapters().into_iter().map(|a| format!("\"{}\"", a.name)).collect();
    names.push("\"cpu\"".into());
    Error::NoDevice { wanted: wanted.into(), available: names.join(", ") }
}

/// The system's memory in bytes, where the system says it (Linux).
fn system_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|l| l.starts_with("MemTotal:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}
