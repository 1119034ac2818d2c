//! What every line has: how steps are cut into segments, and what the segments' times say.

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

/// A line of `fields`, and what every line has besides them.
pub fn line(workload: &str, segments: Segments, seconds: &[f64], fields: Value) -> Value {
    let [median, slowest, fastest] = rates(segments, seconds);
    let mut line = json!({
        "workload": workload,
        "steps": segments.count * segments.steps,
        "steps_per_segment": segments.steps,
        "steps_per_s": median,
        "slowest_segment": slowest,
        "fastest_segment": fastest,
        "peak_rss_mb": peak_rss_mb(),
    });
    if let (Some(line), Value::Object(fields)) = (line.as_object_mut(), fields) {
        line.extend(fields);
    }
    line
}

/// The most memory that the process has had, where the system says it (Linux).
fn peak_rss_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<f64>().ok().map(|kib| kib / 1024.0)
}
