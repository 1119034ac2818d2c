//! What the test binaries share: the case table, the comparison, the random source, the GPU handle.
#![allow(dead_code)]

pub mod finite;
pub mod iterations;
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
    for (result, bound) in &row.single {
        bounds[*result] = *bound;
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

    /// The truth, and how far from it each element may be.
    pub fn expected(&self) -> std::result::Result<Expected, String> {
        let values = self.truth(false).map_err(|e| e.to_string())?;
        self.twins_wrote(&values)?;
        let sizes = self.sizes(&values).map_err(|e| e.to_string())?;
        Ok(Expected { values, sizes, bounds: self.bounds.clone() })
    }

    /// The size of each element that its bound is a part of.
    fn sizes(&self, values: &[Vec<f64>]) -> Result<Vec<Vec<f64>>> {
        let any = |is: fn(&Bound) -> bool| self.bounds.iter().any(is);
        let terms = any(|b| matches!(b, Bound::Terms(_))).then(|| self.truth(true)).transpose()?;
        let moved = any(|b| matches!(b, Bound::Rounding(_))).then(|| self.moved(values)).transpose()?;
        let sizes = values.iter().zip(&self.bounds).enumerate().map(|(i, (values, bound))| {
            let largest = values.iter().filter(|v| v.is_finite()).fold(0.0f64, |m, v| m.max(v.abs()));
            let size = |(at, value): (usize, &f64)| match (bound, &terms, &moved) {
                (Bound::Terms(_), Some(terms), _) => terms[i][at].abs(),
                (Bound::Rounding(_), _, Some(moved)) => (value.abs() + moved[i][at]).min(largest),
                (Bound::Unit(_), ..) => value.abs().max(1.0),
                _ => value.abs(),
            };
            values.iter().enumerate().map(size).collect()
        });
        Ok(sizes.collect())
    }

    /// By how many 2⁻²⁴ each element moves where every input and every state is moved by about 2⁻²⁴ of itself, as rounding does: the
    /// root mean square of several drawn roundings. Whole numbers are exact in f32 and stay.
    fn moved(&self, values: &[Vec<f64>]) -> Result<Vec<Vec<f64>>> {
        const DRAWS: u32 = 8;
        let mut squares: Vec<Vec<f64>> = values.iter().map(|v| vec![0.0; v.len()]).collect();
        for draw in 0..DRAWS {
            let mut reference = Reference::new(&self.graph, &self.fetch, 1)?;
            for (name, tensor) in &self.feeds {
                let _ = reference.set(name, tensor.elements());
            }
            let mut random = Threefry::new(24, draw);
            reference
                .change_floats(|x| if x.fract() == 0.0 { x } else { x * (1.0 + UNIT * f64::from(random.normal())) });
            reference.run();
            for (squares, (moved, values)) in squares.iter_mut().zip(reference.outputs()?.iter().zip(values)) {
                for (square, (moved, value)) in squares.iter_mut().zip(moved.iter().zip(values)) {
                    let by = (moved - value) / UNIT;
                    *square += if by.is_finite() { by * by / f64::from(DRAWS) } else { 0.0 };
                }
            }
        }
        Ok(squares.into_iter().map(|squares| squares.into_iter().map(f64::sqrt).collect()).collect())
    }

    /// Compares a device's results with the truth.
    pub fn compare(&self, actual: &[Tensor]) -> std::result::Result<(), String> {
        self.expected()?.compare(actual)
    }
}

/// What a case must give.
pub struct Expected {
    pub values: Vec<Vec<f64>>,
    /// The size of each element that its bound is a part of.
    pub sizes: Vec<Vec<f64>>,
    bounds: Vec<Bound>,
}

impl Expected {
    /// Compares a device's results with what must come.
    pub fn compare(&self, actual: &[Tensor]) -> std::result::Result<(), String> {
        if actual.len() != self.values.len() {
            return Err(format!("{} results, expected {}", actual.len(), self.values.len()));
        }
        actual.iter().enumerate().try_for_each(|(i, actual)| self.compare_one(i, actual))
    }

    /// Compares one of a device's results.
    pub fn compare_one(&self, i: usize, actual: &Tensor) -> std::result::Result<(), String> {
        let expected = &self.values[i];
        let Tensor::F32(x) = actual else {
            // Whole numbers above 2²⁴ would pass through f32 unnoticed if they were rounded like floats.
            let same = floats(actual) == *expected;
            return if same { Ok(()) } else { Err(format!("result {i}: {actual:?}, expected {expected:?}")) };
        };
        // A kernel's own NaN has other bits than the memory of a GPU is poisoned with.
        if let Some(at) = x.iter().position(|v| v.to_bits() == u32::MAX) {
            return Err(format!("result {i}: element {at} was not written (NaN of the poison)"));
        }
        let sizes = Some(self.sizes[i].as_slice());
        compare(&floats(actual), expected, self.bounds[i], sizes).map_err(|e| format!("result {i}: {e}"))
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

/// Accepts only `|a − b| <= bound`, so that a NaN is never accepted, except where the truth itself is NaN. `sizes` are what the bounds
/// of terms and of rounding are parts of.
pub fn compare(
    actual: &[f64],
    expected: &[f64],
    bound: Bound,
    sizes: Option<&[f64]>,
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
            // Below its smallest normal number a device may round to zero.
            Bound::Ulps(k) => k * UNIT * e.abs().max(f64::from(f32::MIN_POSITIVE) / UNIT),
            Bound::Terms(k) => k * UNIT * sizes.map_or(0.0, |t| t[i].abs()),
            Bound::Rounding(k) => k * UNIT * sizes.map_or(e.abs(), |t| t[i]).max(f64::from(f32::MIN_POSITIVE) / UNIT),
            Bound::Unit(k) => k * UNIT * e.abs().max(1.0),
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
