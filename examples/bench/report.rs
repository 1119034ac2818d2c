//! What every line has: how steps are cut into segments, and what the segments' times say.

use galen::Plan;
use galen::gpu::{AdapterSummary, Stats};
use galen::prelude::Device;
use serde_json::{Value, json};

/// Segments of one run at most.
const MOST: usize = 10;

/// Equal segments that make up exactly the steps that were asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Segments {
    pub count: usize,
    /// Steps of each.
    pub steps: usize,
}

impl Segments {
    /// At most ten segments of `steps` steps in all, none shorter than `least` steps where that can be.
    pub fn of(steps: usize, least: usize) -> Segments {
        let fits = |count: &usize| steps.is_multiple_of(*count) && steps / count >= least;
        let count = (1..=MOST).rev().find(fits).unwrap_or(1);
        Segments { count, steps: steps / count }
    }

    /// How many segments are at least `steps` steps.
    pub fn covering(&self, steps: usize) -> usize {
        steps.div_ceil(self.steps)
    }
}

/// The rates of the segments that took `seconds`, in steps per second: the median, the slowest and the fastest.
pub fn rates(segments: Segments, seconds: &[f64]) -> [f64; 3] {
    let mut rates: Vec<f64> = seconds.iter().map(|s| segments.steps as f64 / s).collect();
    rates.sort_by(f64::total_cmp);
    [rates[rates.len() / 2], rates[0], rates[rates.len() - 1]]
}

/// What was asked of a GPU between two counts, per step; on the CPU there is nothing to count.
pub fn counts(before: Stats, after: Stats, segments: Segments) -> Value {
    let per_step = |count: u64| count as f64 / (segments.count * segments.steps) as f64;
    let dispatches = after.dispatches - before.dispatches;
    let encoding = after.encode_nanos - before.encode_nanos;
    let submitting = after.submit_nanos - before.submit_nanos;
    let micros = |nanos: u64| (dispatches > 0).then(|| nanos as f64 * 1e-3 / dispatches as f64);
    json!({
        "submissions_per_step": per_step(after.submissions - before.submissions),
        "readbacks_per_step": per_step(after.readbacks - before.readbacks),
        "dispatches_per_step": per_step(dispatches),
        "host_us_per_dispatch": micros(encoding + submitting),
        "encode_us_per_dispatch": micros(encoding),
    })
}

/// Activations of a plan: what they take, and what they take at least.
pub fn memory(plan: &Plan) -> Value {
    let (have, least) = (plan.activation_bytes(), plan.lower_bound);
    json!({
        "activation_bytes": have,
        "activation_bytes_lower_bound": least,
        "activation_ratio": have as f64 / least.max(1) as f64,
        "scratch_bytes": plan.scratch_bytes(),
        "ops_per_step": plan.steps.len(),
    })
}

/// A line of `fields`, and what every line has besides them.
pub fn line(workload: &str, device: &Device, segments: Segments, seconds: &[f64], fields: &[Value]) -> Value {
    let [median, slowest, fastest] = rates(segments, seconds);
    let mut line = json!({
        "workload": workload,
        "device": device.name(),
        "driver": device.adapter().map(driver),
        "threads": device.threads(),
        "steps": segments.count * segments.steps,
        "steps_per_segment": segments.steps,
        "steps_per_s": median,
        "slowest_segment": slowest,
        "fastest_segment": fastest,
        "peak_rss_mb": peak_rss_mb(),
    });
    if let Some(line) = line.as_object_mut() {
        fields.iter().filter_map(Value::as_object).for_each(|fields| line.extend(fields.clone()));
    }
    line
}

/// The backend and the driver's name and version.
fn driver(adapter: &AdapterSummary) -> String {
    format!("{}, {}", adapter.backend, adapter.driver)
}

/// The most memory that the process has had, where the system says it (Linux).
fn peak_rss_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<f64>().ok().map(|kib| kib / 1024.0)
}
