//! What a GPU gives at most through this library's door: multiply-adds that stay in registers, and a copy.
//!
//! Both are ops of one's own ([`CustomOp`]) and so built with every run-time check. The multiply-adds are unrolled by hand, 512 of them to a
//! test of the loop, so the checks take no part of the time that one could measure.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, ensure};
use galen::contract::{CpuCall, CustomOp, GpuTraits, Io, Kernel, Launch, Launches, Real};
use galen::graph::{Grad, GradientCtx};
use galen::prelude::Device;
use galen::{DType, Graph, Session, Tensor, TensorSpec};
use serde_json::{Value, json};

use crate::options::Options;
use crate::report::{self, Segments};

/// Chains of multiply-adds in one invocation: enough that no unit waits for a result.
const CHAINS: usize = 16;
/// Multiply-adds of each chain to a test of the loop.
const UNROLLED: usize = 32;
/// Rounds of the loop.
const ROUNDS: usize = 64;
const GROUP: usize = 256;
/// Every chain goes on as `v = v · FACTOR + SUMMAND` and stays near 1.
const FACTOR: f32 = 0.999;
const SUMMAND: f32 = 0.001;

/// `y[i]` = the sum of 16 chains that begin with `x[i] + chain`.
#[derive(Debug)]
struct MultiplyAdds;

impl MultiplyAdds {
    const PER_ELEMENT: usize = CHAINS * UNROLLED * ROUNDS;

    fn wgsl() -> String {
        let mut text = format!(
            "struct Params {{ n: u32, rounds: u32, factor: f32, summand: f32 }}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@compute @workgroup_size({GROUP})
fn multiply_adds(@builtin(global_invocation_id) gid: vec3<u32>) {{
    if (gid.x >= p.n) {{ return; }}
    let a = p.factor; let b = p.summand; let begin = x[gid.x];
"
        );
        let each = |line: fn(usize) -> String, between| (0..CHAINS).map(line).collect::<Vec<_>>().join(between);
        text += &each(|c| format!("    var v{c} = begin + {c}.0;"), "\n");
        text += "\n    for (var i = 0u; i < p.rounds; i++) {\n";
        text += &(each(|c| format!("v{c} = fma(v{c}, a, b);"), " ") + "\n").repeat(UNROLLED);
        text += &format!("    }}\n    y[gid.x] = {};\n}}\n", each(|c| format!("v{c}"), " + "));
        text
    }

    fn twin<T: Real>(mut call: CpuCall<'_, T>) {
        let (x, a, b) = (call.x[0].f(), T::of(FACTOR.into()), T::of(SUMMAND.into()));
        for (y, x) in call.y[0].f_mut().iter_mut().zip(x) {
            let chain = |c| (0..UNROLLED * ROUNDS).fold(*x + T::of(c as f64), |v, _| v * a + b);
            *y = (0..CHAINS).map(chain).fold(T::zero(), |sum, v| sum + v);
        }
    }
}

impl CustomOp for MultiplyAdds {
    fn name(&self) -> &str {
        "multiply_adds"
    }

    fn infer(&self, inputs: &[TensorSpec]) -> galen::Result<Vec<TensorSpec>> {
        Ok(vec![inputs[0].clone()])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let n = io.inputs[0].shape.elements();
        let params = [n as u32, ROUNDS as u32, FACTOR.to_bits(), SUMMAND.to_bits()];
        let kernel = Kernel::custom(self.name(), Self::wgsl(), self.name());
        let launch = Launch::new(kernel, &params, [n.div_ceil(GROUP) as u32, 1, 1]).bind_all(io);
        launch.iterations(ROUNDS as u64).into()
    }

    fn cpu_f32(&self, call: CpuCall<'_, f32>) {
        Self::twin(call);
    }

    fn cpu_f64(&self, call: CpuCall<'_, f64>) {
        Self::twin(call);
    }

    fn flops(&self, io: &Io) -> u64 {
        2 * (io.inputs[0].shape.elements() * Self::PER_ELEMENT) as u64
    }

    fn gradient(&self, _ctx: &GradientCtx) -> galen::Result<Vec<Grad>> {
        Ok(vec![Grad::Unsupported("a roofline")])
    }
}

/// `y = x`, four floats at a time.
#[derive(Debug)]
struct FourByFour;

const COPY: &str = "struct Params { n: u32, width: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;
@compute @workgroup_size(256)
fn copy_four(@builtin(global_invocation_id) gid: vec3<u32>) {
    let i = gid.y * p.width + gid.x;
    if (i < p.n) { y[i] = x[i]; }
}
";

impl CustomOp for FourByFour {
    fn name(&self) -> &str {
        "copy_four"
    }

    fn infer(&self, inputs: &[TensorSpec]) -> galen::Result<Vec<TensorSpec>> {
        Ok(vec![inputs[0].clone()])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let groups = (io.inputs[0].shape.elements() / 4).div_ceil(GROUP);
        let across = groups.min(16_384);
        let params = [(io.inputs[0].shape.elements() / 4) as u32, (across * GROUP) as u32];
        let kernel = Kernel::custom(self.name(), COPY, self.name());
        Launch::new(kernel, &params, [across as u32, groups.div_ceil(across) as u32, 1]).bind_all(io).into()
    }

    fn cpu_f32(&self, mut call: CpuCall<'_, f32>) {
        call.y[0].f_mut().copy_from_slice(call.x[0].f());
    }

    fn cpu_f64(&self, mut call: CpuCall<'_, f64>) {
        call.y[0].f_mut().copy_from_slice(call.x[0].f());
    }

    fn gradient(&self, _ctx: &GradientCtx) -> galen::Result<Vec<Grad>> {
        Ok(vec![Grad::Unsupported("a roofline")])
    }
}

/// Measures both and describes how that went. `start` is when the program began.
pub fn measure(device: &Device, options: &Options, start: Instant) -> Result<Value> {
    let software = device.gpu_traits().is_none_or(|gpu| gpu.software);
    let adapter = device.adapter();
    ensure!(adapter.is_some(), "roofline: it is about a GPU; the CPU's twins of these two ops are not made to be fast");
    let largest = adapter.map_or(0, |a| a.max_binding.min(a.max_buffer)) as usize / 4;
    // A millisecond of work at 60 TFLOP/s and 4 TB/s; less for a program on the processor.
    let (many, long) = if software { (1 << 14, 4 << 20) } else { (1 << 20, 1 << 28) };
    let segments = Segments::of(options.steps.unwrap_or(20), 1);
    let add = Run::of(device, Arc::new(MultiplyAdds), many, segments)?;
    let first = start.elapsed();
    let copy = Run::of(device, Arc::new(FourByFour), long.min(largest) / 4 * 4, segments)?;
    for (element, y) in add.sampled() {
        let exact = exact_chains(element);
        ensure!((f64::from(y) - exact).abs() <= 1e-4 * exact, "multiply_adds: {y} instead of {exact}");
    }
    ensure!(copy.sampled().all(|(element, y)| y == value(element)), "copy_four: it does not copy");
    let (flops, bytes) = ((2 * many * MultiplyAdds::PER_ELEMENT) as f64, (2 * copy.elements * 4) as f64);
    let fields = json!({
        "first_step_s": first.as_secs_f64(),
        "tflops": flops / add.median_s * 1e-12,
        "tflops_by_timestamps": flops / add.device_s * 1e-12,
        "copy_gbytes_per_s": bytes / copy.median_s * 1e-9,
        "copy_gbytes_per_s_by_timestamps": bytes / copy.device_s * 1e-9,
        "copy_bytes": copy.elements * 4,
        "multiply_adds_per_element": MultiplyAdds::PER_ELEMENT,
    });
    Ok(report::line("roofline", device, segments, &add.seconds, &[fields]))
}

/// What the input's element `i` is.
fn value(i: usize) -> f32 {
    (i % 97) as f32 * 0.01
}

/// The sum of all chains of an element, by the formula of a geometric series.
fn exact_chains(element: usize) -> f64 {
    let (a, b, n) = (f64::from(FACTOR), f64::from(SUMMAND), (UNROLLED * ROUNDS) as i32);
    let rest = b * (1.0 - a.powi(n)) / (1.0 - a);
    (0..CHAINS).map(|c| f64::from(value(element) + c as f32) * a.powi(n) + rest).sum()
}

/// An op that ran.
struct Run {
    elements: usize,
    seconds: Vec<f64>,
    /// Seconds of one run, by the clock and by the device's timestamps.
    median_s: f64,
    device_s: f64,
    output: Vec<f32>,
}

impl Run {
    fn of(device: &Device, op: Arc<dyn CustomOp>, elements: usize, segments: Segments) -> Result<Run> {
        let graph = Graph::new();
        let x = graph.input("x", [elements], DType::F32)?;
        let fetch = graph.custom(op, &[&x])?;
        let mut session = Session::new(device, 0, Some(u64::MAX));
        let run = session.compile(&graph, &fetch)?;
        session.set_input(&run, "x", &Tensor::f32([elements], (0..elements).map(value).collect())?)?;
        session.run_steps(&run, 3)?;
        session.wait()?;
        let mut seconds = Vec::new();
        for _ in 0..segments.count {
            let begun = Instant::now();
            session.run_steps(&run, segments.steps)?;
            session.wait()?;
            seconds.push(begun.elapsed().as_secs_f64());
        }
        let device_s = session.profile(&run, segments.steps)?.seconds();
        let output = session.outputs(&run)?.swap_remove(0).into_f32()?.into_iter().collect();
        let [rate, ..] = report::rates(segments, &seconds);
        Ok(Run { elements, seconds, median_s: 1.0 / rate, device_s, output })
    }

    /// Some elements of the output, and their indices.
    fn sampled(&self) -> impl Iterator<Item = (usize, f32)> {
        (0..64).map(|i| i * 7_919_317 % self.elements).map(|i| (i, self.output[i]))
    }
}
