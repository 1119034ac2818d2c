//! What the test binaries share: the case table, the comparison, the random source, the GPU handle.
#![allow(dead_code)]

pub mod finite;
pub mod rows;
pub mod skip;

use std::sync::OnceLock;

use galen::contract::{Threefry, stream_of};
use galen::engine::Reference;
use galen::{DType, Device, Executable, Graph, Plan, Result, Session, Tensor, Var};
use rows::{Bound, Feed, Row, Values};

/// 2⁻²⁴: half a unit in the last place of a number near 1.
pub const UNIT: f64 = 1.0 / (1 << 24) as f64;

/// The adapter under test: `GALEN_DEVICE`, or the first there is. Where there is none the caller says SKIPPED, unless
/// `GALEN_REQUIRE_GPU=1`, which makes that a failure.
pub fn gpu() -> Option<&'static Device> {
    static GPU: OnceLock<Option<Device>> = OnceLock::new();
    GPU.get_or_init(own_gpu).as_ref()
}

/// The CPU and, where there is one, the GPU.
pub fn devices() -> Vec<Device> {
    let cpu = Device::cpu_with_threads(2).expect("threads");
    std::iter::once(cpu).chain(gpu().cloned()).collect()
}

/// Like [`gpu`], opened anew: tests run side by side, and one that counts dispatches must count only its own.
pub fn own_gpu() -> Option<Device> {
    let found = match std::env::var("GALEN_DEVICE") {
        Ok(name) if !["", "auto", "cpu"].contains(&name.as_str()) => Device::named(&name),
        _ => Device::gpu(),
    };
    match found {
        Ok(device) => Some(device),
        Err(e) => {
            let thread = std::thread::current();
            let test = thread.name().unwrap_or("a test");
            skip::skip(test, "GALEN_REQUIRE_GPU", &format!("there is no adapter ({e})"));
            None
        }
    }
}

/// The tensor that a row's input is fed with; `index` separates the inputs' random streams.
pub fn feed(row: &Row, index: usize, feed: &Feed) -> Tensor {
    let mut random = Threefry::new(20_261_122, stream_of(&format!("{}/{}/{index}", row.stem, row.name)));
    let n = feed.shape.elements();
    let mut sign = |x: f32| if random.next_u32() & 1 == 0 { x } else { -x };
    let values: Vec<f32> = match &feed.values {
        Values::OffZero => {
            let signs: Vec<f32> = (0..n).map(|_| sign(1.0)).collect();
            signs.into_iter().map(|s| s * (0.2 + random.uniform())).collect()
        }
        Values::Normal => (0..n).map(|_| random.normal()).collect(),
        Values::Uniform(low, high) => (0..n).map(|_| low + (high - low) * random.uniform()).collect(),
        Values::Distinct => {
            random.permutation(n).into_iter().map(|i| (i as f32 - n as f32 / 2.0) * 0.05 + 0.01).collect()
        }
        Values::Whole(below) | Values::Below(below) => (0..n).map(|_| random.below(*below) as f32).collect(),
        Values::Exactly(values) => values.clone(),
    };
    let shape = feed.shape.clone();
    match feed.dtype {
        DType::F32 => Tensor::f32(shape, values),
        DType::U32 => Tensor::u32(shape, values.iter().map(|v| *v as u32).collect()),
        DType::U8 => Tensor::u8(shape, values.iter().map(|v| *v as u8).collect()),
    }
    .unwrap_or_else(|e| panic!("{}/{}: {e}", row.stem, row.name))
}

/// A row's graph: its outputs, then the gradients of every wished input with random cotangents, and what to feed.
pub struct Case {
    pub graph: Graph,
    pub fetch: Vec<Var>,
    /// The bound of each fetched tensor.
    pub bounds: Vec<Bound>,
    pub feeds: Vec<(String, Tensor)>,
}

/// Builds a row's graph and its gradients.
pub fn build(row: &Row) -> Result<Case> {
    let graph = Graph::new();
    let mut feeds = Vec::new();
    let mut inputs = Vec::new();
    for (i, f) in row.feeds.iter().enumerate() {
        let name = format!("x{i}");
        inputs.push(graph.input(&name, f.shape.clone(), f.dtype)?);
        feeds.push((name, feed(row, i, f)));
    }
    let outputs = (row.build)(&graph, &inputs)?;
    let mut fetch = outputs.clone();
    let mut bounds = vec![row.forward; outputs.len()];
    if !row.wrt.is_empty() {
        let mut pairs = Vec::new();
        for (i, y) in outputs.iter().enumerate().filter(|(_, y)| y.dtype() == DType::F32) {
            let name = format!("dy{i}");
            let random = Feed { shape: y.shape(), dtype: DType::F32, values: Values::Normal };
            pairs.push((y.clone(), graph.input(&name, y.shape(), DType::F32)?));
            feeds.push((name, feed(row, 100 + i, &random)));
        }
        let wrt: Vec<Var> = row.wrt.iter().map(|&i| inputs[i].clone()).collect();
        fetch.extend(graph.gradients_from(&pairs, &wrt)?);
        bounds.resize(fetch.len(), row.backward);
    }
    Ok(Case { graph, fetch, bounds, feeds })
}

impl Case {
    /// Runs the case in f64, with the inputs as they are or with their absolute values.
    pub fn truth(&self, absolute: bool) -> Result<Vec<Vec<f64>>> {
        self.evaluate(absolute, true)
    }

    fn evaluate(&self, absolute: bool, poison: bool) -> Result<Vec<Vec<f64>>> {
        let mut reference = Reference::new(&self.graph, &self.fetch, 1)?;
        if poison {
            reference.poison();
        }
        for (name, tensor) in &self.feeds {
            let absolute = match tensor {
                Tensor::F32(x) if absolute => Tensor::F32(x.abs()),
                other => other.clone(),
            };
            // A fetch that does not depend on an input leaves it out of the plan.
            let _ = reference.set(name, absolute.elements());
        }
        reference.run();
        reference.outputs()
    }

    /// Runs the case on a device.
    pub fn run(&self, device: &Device) -> Result<Vec<Tensor>> {
        let mut session = Session::new(device, 1, None);
        let executable = session.compile(&self.graph, &self.fetch)?;
        self.run_in(&mut session, &executable)
    }

    /// Runs the case where a GPU is claimed, and refuses results that did not come from one.
    pub fn run_on_gpu(&self, device: &Device) -> std::result::Result<Vec<Tensor>, String> {
        let mut session = Session::new(device, 1, None);
        let executable = session.compile(&self.graph, &self.fetch).map_err(|e| e.to_string())?;
        let before = device.stats().dispatches;
        let outputs = self.run_in(&mut session, &executable).map_err(|e| e.to_string())?;
        every_step_ran(executable.plan(), device.stats().dispatches - before)?;
        Ok(outputs)
    }

    fn run_in(&self, session: &mut Session, executable: &Executable) -> Result<Vec<Tensor>> {
        session.poison();
        let inputs: Vec<(&str, &Tensor)> = self
            .feeds
            .iter()
            .filter(|(name, _)| executable.plan().inputs.iter().any(|(have, _)| have == name))
            .map(|(name, tensor)| (name.as_str(), tensor))
            .collect();
        session.run(executable, &inputs)
    }

    /// Refuses a truth whose NaN comes from memory that no twin has written.
    fn twins_wrote(&self, truth: &[Vec<f64>]) -> std::result::Result<(), String> {
        if !truth.iter().flatten().any(|v| v.is_nan()) {
            return Ok(());
        }
        let clean = self.evaluate(false, false).map_err(|e| e.to_string())?;
        let same = truth.iter().flatten().zip(clean.iter().flatten()).all(|(a, b)| a.is_nan() == b.is_nan());
        if same { Ok(()) } else { Err("a twin left elements unwritten: NaN only where memory was poisoned".into()) }
    }

    /// Compares a device's results with the truth.
    pub fn compare(&self, actual: &[Tensor]) -> std::result::Result<(), String> {
        let truth = self.truth(false).map_err(|e| e.to_string())?;
        self.twins_wrote(&truth)?;
        let terms = if self.bounds.iter().any(|b| matches!(b, Bound::Terms(_))) {
            Some(self.truth(true).map_err(|e| e.to_string())?)
        } else {
            None
        };
        if actual.len() != truth.len() {
            return Err(format!("{} results, expected {}", actual.len(), truth.len()));
        }
        for (i, (actual, expected)) in actual.iter().zip(&truth).enumerate() {
            let terms = terms.as_ref().map(|t| t[i].as_slice());
            // Whole numbers above 2²⁴ would pass through f32 unnoticed if they were rounded like floats.
            if !matches!(actual, Tensor::F32(_)) {
                if floats(actual) != *expected {
                    return Err(format!("result {i}: {actual:?}, expected {expected:?}"));
                }
                continue;
            }
            // A kernel's own NaN has other bits than the memory of a GPU is poisoned with.
            if let Tensor::F32(x) = actual
                && let Some(at) = x.iter().position(|v| v.to_bits() == u32::MAX)
            {
                return Err(format!("result {i}: element {at} was not written (NaN of the poison)"));
            }
            compare(&floats(actual), expected, self.bounds[i], terms).map_err(|e| format!("result {i}: {e}"))?;
        }
        Ok(())
    }
}

/// Refuses a run on a GPU in which not every step of the plan was dispatched; `made` is what the device counted. A plan that was
/// made for the CPU has no launches at all and is refused like one that ran elsewhere.
pub fn every_step_ran(plan: &Plan, made: u64) -> std::result::Result<(), String> {
    if let Some(step) = plan.steps.iter().find(|s| s.launches.is_empty()) {
        return Err(format!("{} has no launch: it did not run on a GPU", step.name()));
    }
    let planned = plan.dispatches() as u64;
    if made != planned { Err(format!("{made} dispatches on the GPU, planned were {planned}")) } else { Ok(()) }
}

/// A tensor's elements as f64.
pub fn floats(tensor: &Tensor) -> Vec<f64> {
    match tensor {
        Tensor::F32(x) => x.iter().map(|v| f64::from(*v)).collect(),
        Tensor::U32(x) => x.iter().map(|v| f64::from(*v)).collect(),
        Tensor::U8(x) => x.iter().map(|v| f64::from(*v)).collect(),
    }
}

/// Accepts only `|a − b| <= bound`, so that a NaN is never accepted, except where the truth itself is NaN.
pub fn compare(
    actual: &[f64],
    expected: &[f64],
    bound: Bound,
    terms: Option<&[f64]>,
) -> std::result::Result<(), String> {
    if actual.len() != expected.len() {
        return Err(format!("{} elements, expected {}", actual.len(), expected.len()));
    }
    let largest = expected.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    for (i, (&a, &e)) in actual.iter().zip(expected).enumerate() {
        if e.is_nan() && a.is_nan() {
            continue;
        }
        let allowed = match bound {
            Bound::Exact => 0.0,
            Bound::Ulps(k) => k * UNIT * e.abs().max(1e-3),
            Bound::Terms(k) => k * UNIT * terms.map_or(0.0, |t| t[i].abs()),
            Bound::Scale(k) => k * UNIT * largest,
        };
        let e = if matches!(bound, Bound::Exact) { f64::from(e as f32) } else { e };
        let close = (a - e).abs() <= allowed;
        if !close {
            return Err(format!("element {i}: {a:e}, expected {e:e} within {allowed:e} (off by {:e})", (a - e).abs()));
        }
    }
    Ok(())
}
