//! Where the time of a plan goes: per op, and along a timeline.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::graph::{Clock, Phase, Plan, Span, Step, Timeline};

/// What one op, or all ops of one name, took in a run of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct OpTime {
    /// The op: `conv`.
    pub name: String,
    /// The layer that it belongs to; empty outside of layers, and where several are added up.
    pub layer: String,
    /// Shapes of inputs and outputs; empty where several are added up.
    pub shapes: String,
    /// Ops that are added up here: 1 for a single one.
    pub ops: usize,
    /// Dispatches in a run; on the CPU there are none.
    pub dispatches: usize,
    /// Seconds in a run, the mean over the runs.
    pub seconds: f64,
    /// Its share of the run's time, from 0 to 1.
    pub share: f64,
    /// Bytes of the tensors that it reads and writes, each counted once.
    pub bytes: u64,
    /// Floating-point operations of its formula; 0 where nobody counts them.
    pub flops: u64,
}

impl OpTime {
    /// What it is called in listings: `conv2d/conv`.
    pub fn full_name(&self) -> String {
        if self.layer.is_empty() { self.name.clone() } else { format!("{}/{}", self.layer, self.name) }
    }

    /// Billions of floating-point operations per second; `None` where nobody counts them.
    pub fn gflops(&self) -> Option<f64> {
        (self.flops > 0 && self.seconds > 0.0).then(|| self.flops as f64 / self.seconds * 1e-9)
    }

    /// Billions of bytes per second; 0 where it took no time.
    pub fn gbytes(&self) -> f64 {
        if self.seconds > 0.0 { self.bytes as f64 / self.seconds * 1e-9 } else { 0.0 }
    }
}

/// Where the time of a plan goes.
///
/// On a GPU every dispatch is a pass of its own while it is profiled, so that a run takes longer than otherwise; what is computed is the
/// same, to the bit.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// The device.
    pub device: String,
    /// Runs that were timed.
    pub runs: usize,
    /// Every op of the plan, in its order.
    pub ops: Vec<OpTime>,
    /// When everything ran.
    pub timeline: Timeline,
}

impl Profile {
    pub(super) fn new(device: String, plan: &Plan, runs: usize, timeline: Timeline) -> Profile {
        let mut nanos = vec![0u64; plan.steps.len()];
        timeline.work.iter().for_each(|work| nanos[work.step] += work.span.nanos());
        let total = nanos.iter().sum::<u64>().max(1) as f64;
        let op = |(step, nanos): (&Step, &u64)| OpTime {
            name: step.op.name().to_owned(),
            layer: step.layer.to_string(),
            shapes: shapes(step),
            ops: 1,
            dispatches: step.launches.len(),
            seconds: *nanos as f64 * 1e-9 / runs.max(1) as f64,
            share: *nanos as f64 / total,
            bytes: step.inputs.iter().chain(&step.outputs).map(|region| region.spec.bytes()).sum(),
            flops: step.op.flops(&step.io),
        };
        let ops = plan.steps.iter().zip(&nanos).map(op).collect();
        Profile { device, runs, ops, timeline }
    }

    /// Seconds in which the device worked, in a run.
    pub fn seconds(&self) -> f64 {
        self.ops.iter().map(|op| op.seconds).sum()
    }

    /// The ops of each name added up, the longest first.
    pub fn by_name(&self) -> Vec<OpTime> {
        let mut sums: Vec<OpTime> = Vec::new();
        for op in &self.ops {
            match sums.iter_mut().find(|sum| sum.name == op.name) {
                Some(sum) => {
                    sum.ops += 1;
                    sum.dispatches += op.dispatches;
                    sum.seconds += op.seconds;
                    sum.share += op.share;
                    sum.bytes += op.bytes;
                    sum.flops += op.flops;
                }
                None => sums.push(OpTime { layer: String::new(), shapes: String::new(), ..op.clone() }),
            }
        }
        longest_first(sums)
    }

    /// The `count` ops that took longest.
    pub fn longest(&self, count: usize) -> Vec<OpTime> {
        let mut ops = longest_first(self.ops.clone());
        ops.truncate(count);
        ops
    }

    /// A table of the ops by name, and one of the `count` single ops that took longest.
    pub fn table(&self, count: usize) -> String {
        let clock = match self.timeline.clock {
            Clock::Cpu => "clock around every op",
            Clock::Device => "the device's timestamps around every dispatch",
            Clock::Waiting => "clock around every dispatch, submission and waiting included",
        };
        let (ops, micros) = (self.ops.len(), self.seconds() * 1e6);
        let mut text =
            format!("{}: {ops} ops, {micros:.1} µs per run, mean of {} runs; {clock}\n", self.device, self.runs);
        let head = ["µs", "share", "ops", "dispatches", "GFLOP/s", "GB/s"];
        let mut part = |what: &str, lines: &[OpTime]| {
            let [a, b, c, d, e, f] = head;
            let _ = writeln!(text, "{a:>10} {b:>6} {c:>4} {d:>10} {e:>8} {f:>8}  {what}");
            for op in lines {
                let gflops = op.gflops().map_or("-".into(), |v| format!("{v:.1}"));
                let (micros, share, gbytes) = (op.seconds * 1e6, op.share * 100.0, op.gbytes());
                let (name, n, dispatches) = (op.full_name(), op.ops, op.dispatches);
                let _ =
                    write!(text, "{micros:10.1} {share:5.1}% {n:4} {dispatches:10} {gflops:>8} {gbytes:8.1}  {name}");
                let _ = if op.shapes.is_empty() { writeln!(text) } else { writeln!(text, "  {}", op.shapes) };
            }
        };
        part("ops of one name", &self.by_name());
        part(&format!("the {} longest of {ops} ops", count.min(ops)), &self.longest(count));
        text
    }

    /// The timeline in the Trace Event Format, as JSON: Chrome's `about:tracing` and Perfetto show it. One row is the device's work, one
    /// what the host did meanwhile. Source: "Trace Event Format", Google, 2016.
    pub fn trace(&self) -> String {
        let row = |name: &str, tid| json!({ "name": "thread_name", "ph": "M", "pid": 1, "tid": tid, "args": { "name": name } });
        let mut events = vec![row(&format!("device: {}", self.device), 1)];
        let event = |name: String, tid, span: Span, args: Value| {
            let (begin, length) = (span.begin as f64 * 1e-3, span.nanos() as f64 * 1e-3);
            json!({ "name": name, "ph": "X", "pid": 1, "tid": tid, "ts": begin, "dur": length, "args": args })
        };
        for work in &self.timeline.work {
            let op = &self.ops[work.step];
            let args = json!({ "run": work.run, "dispatch": work.dispatch, "shapes": op.shapes });
            events.push(event(op.full_name(), 1, work.span, args));
        }
        if !self.timeline.host.is_empty() {
            events.push(row("host", 2));
        }
        for host in &self.timeline.host {
            let name = match host.phase {
                Phase::Encode => "encode",
                Phase::Submit => "submit",
                Phase::Wait => "wait",
            };
            events.push(event(name.into(), 2, host.span, json!({ "run": host.run })));
        }
        json!({ "displayTimeUnit": "ns", "traceEvents": events }).to_string()
    }
}

/// `[32, 784] [784, 32] -> [32, 32]`.
fn shapes(step: &Step) -> String {
    let list = |specs: &[crate::TensorSpec]| specs.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    format!("{} -> {}", list(&step.io.inputs), list(&step.io.outputs))
}

fn longest_first(mut ops: Vec<OpTime>) -> Vec<OpTime> {
    ops.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    ops
}
