//! Compute pipelines, each made once per device and kernel.
#![allow(unsafe_code)]

use std::collections::HashMap;
use std::sync::Arc;

use super::cache::Store;
use super::device::{AdapterKind, AdapterSummary, Gpu};
use crate::contract::{Access, Kernel, Launch, SOFTWARE_ITERATIONS, Source};
use crate::error::Result;

/// A pipeline and the layout of its one bind group.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) pipeline: wgpu::ComputePipeline,
    pub(super) layout: wgpu::BindGroupLayout,
}

/// The pipelines of a device.
#[derive(Debug, Default)]
pub(super) struct Pipelines {
    made: HashMap<(Kernel, Vec<Access>), Arc<Compiled>>,
    kept: Option<Kept>,
}

/// The driver's own cache, and the file that it comes from and goes to.
#[derive(Debug)]
struct Kept {
    cache: wgpu::PipelineCache,
    store: Store,
    /// Pipelines that were made since it was written.
    new: usize,
}

impl Pipelines {
    /// None yet, but what the driver compiled for earlier programs, where the device can be told.
    ///
    /// # Errors
    /// Where `GALEN_PIPELINE_CACHE` makes no sense.
    pub(super) fn of(device: &wgpu::Device, adapter: &AdapterSummary) -> Result<Pipelines> {
        let can = device.features().contains(wgpu::Features::PIPELINE_CACHE);
        let kept = Store::of(adapter)?.filter(|_| can).map(|store| {
            let data = store.load();
            let descriptor =
                wgpu::PipelineCacheDescriptor { label: Some("galen"), data: data.as_deref(), fallback: true };
            // SAFETY: the data is what `keep` got from the same adapter and driver: the file's header names both, and its checksum
            // says that nothing has changed since.
            let cache = unsafe { device.create_pipeline_cache(&descriptor) };
            Kept { cache, store, new: 0 }
        });
        Ok(Pipelines { made: HashMap::new(), kept })
    }

    /// Writes what the driver compiled, where there is something new and a place for it.
    pub(super) fn keep(&mut self) {
        let Some(kept) = self.kept.as_mut().filter(|kept| kept.new > 0) else { return };
        kept.new = 0;
        if let Some(data) = kept.cache.get_data() {
            kept.store.save(&data);
        }
    }
}

impl Gpu {
    /// The pipeline of a launch; made now if it is new.
    ///
    /// # Errors
    /// Where its template has a mistake or its shader does not compile. Such a pipeline is not kept, so that the next one who asks is told as well.
    pub(super) fn pipeline(&self, launch: &Launch) -> Result<Arc<Compiled>> {
        let access: Vec<Access> = launch.bindings.iter().map(|b| b.access).collect();
        let key = (launch.kernel.clone(), access);
        let mut pipelines = self.pipelines();
        if let Some(found) = pipelines.made.get(&key) {
            return Ok(Arc::clone(found));
        }
        let wgsl = launch.kernel.wgsl()?;
        let summary = self.summary();
        let custom = matches!(launch.kernel.source, Source::Custom(_));
        if custom && launch.iterations == 0 && summary.kind == AdapterKind::Software && has_loop(&wgsl) {
            log::warn!(
                "{}::{} has loops, but its launch does not say how many iterations an invocation takes (Launch::iterations): {} may end \
                 them after {SOFTWARE_ITERATIONS}, without an error",
                launch.kernel.stem,
                launch.kernel.entry,
                summary.name
            );
        }
        let cache = pipelines.kept.as_mut().map(|kept| {
            kept.new += 1;
            &kept.cache
        });
        let made = Arc::new(compile(self.device_for_pipelines(), &key.0, wgsl, &key.1, cache));
        self.check(&format!("{}::{}", launch.kernel.stem, launch.kernel.entry))?;
        pipelines.made.insert(key, Arc::clone(&made));
        Ok(made)
    }
}

/// Whether there is a loop in a text, in any of its functions.
fn has_loop(wgsl: &str) -> bool {
    let code = wgsl.lines().map(|line| line.split("//").next().unwrap_or_default());
    let mut words = code.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_'));
    words.any(|word| ["for", "while", "loop"].contains(&word))
}

fn compile(
    device: &wgpu::Device,
    kernel: &Kernel,
    wgsl: String,
    access: &[Access],
    cache: Option<&wgpu::PipelineCache>,
) -> Compiled {
    let label = format!("{}::{}", kernel.stem, kernel.entry);
    let descriptor =
        wgpu::ShaderModuleDescriptor { label: Some(&label), source: wgpu::ShaderSource::Wgsl(wgsl.into()) };
    let module = match kernel.source {
        Source::Own(_) => {
            let mut checks = wgpu::ShaderRuntimeChecks::checked();
            checks.force_loop_bounding = false;
            checks.bounds_checks = false;
            // SAFETY: these are Galen's own shaders. Each tests its element against the sizes in its parameters, which the
            // planner derives from the shapes that the buffers were made for, and each loop ends at such a size. The guards that
            // are left out here defeat unrolling (measured: 1.6 to 4 times slower).
            unsafe { device.create_shader_module_trusted(descriptor, checks) }
        }
        Source::Custom(_) => device.create_shader_module(descriptor),
    };
    let entry = |binding: usize, ty| wgpu::BindGroupLayoutEntry {
        binding: binding as u32,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
        count: None,
    };
    let mut entries = vec![entry(0, wgpu::BufferBindingType::Uniform)];
    for (i, access) in access.iter().enumerate() {
        entries.push(entry(i + 1, wgpu::BufferBindingType::Storage { read_only: *access == Access::Read }));
    }
    let layout =
        device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(&label), entries: &entries });
    let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some(&label),
        bind_group_layouts: &[Some(&layout)],
        ..Default::default()
    });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some(&label),
        layout: Some(&pipeline_layout),
        module: &module,
        entry_point: Some(&kernel.entry),
        compilation_options: wgpu::PipelineCompilationOptions {
            // Our kernels write their workgroup memory before they read it.
            zero_initialize_workgroup_memory: matches!(kernel.source, Source::Custom(_)),
            ..Default::default()
        },
        cache,
    });
    Compiled { pipeline, layout }
}

#[cfg(test)]
mod tests {
    use super::has_loop;

    #[test]
    fn a_loop_is_one_of_three_words_of_code() {
        for text in ["for (var i = 0u; i < 3u; i++) {\n", "    while(i < 3u) { }", "fn f() { loop { break; } }"] {
            assert!(has_loop(text), "{text}");
        }
        for text in ["", "y[i] = x[i]; // for all", "let looped = before + while_2;"] {
            assert!(!has_loop(text), "{text}");
        }
    }
}
