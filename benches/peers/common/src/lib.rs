//! What the peers' programs in Rust share: the command line, the measuring, the line of JSON and ([`data`]) the data.
//! The same as `workloads.py` for the programs in Python.

pub mod data;

use std::fs;
use std::time::Instant;

use serde_json::{Value, json};

/// The command line that all benches share.
pub struct Args {
    pub workload: String,
    pub device: String,
    pub steps: usize,
    pub warmup: usize,
}

impl Args {
    /// Reads the command line; ends the program where it cannot be understood.
    pub fn parse() -> Self {
        let mut args = Self { workload: "W2".into(), device: "cpu".into(), steps: 200, warmup: 20 };
        let mut words = std::env::args().skip(1);
        while let Some(option) = words.next() {
            let Some(value) = words.next() else { stop(&format!("{option} needs a value")) };
            let number = || value.parse().unwrap_or_else(|_| stop(&format!("{option} {value}: not a number")));
            match option.as_str() {
                "--workload" => args.workload = value,
                "--device" => args.device = value,
                "--steps" => args.steps = number(),
                "--warmup" => args.warmup = number(),
                _ => stop("--workload W1|W2|... --device cpu|gpu --steps N --warmup N"),
            }
        }
        args
    }
}

/// Ends the program with a message.
pub fn stop(message: &str) -> ! {
    eprintln!("{message}");
    std::process::exit(2);
}

/// What was measured; steps per second are those of the segments.
pub struct Measured {
    rates: Vec<f64>,
    first_step_s: f64,
    pub loss: Value,
}

/// Runs `run(count)`, which starts `count` steps and returns the last one's result, and `wait(result)`, which waits for
/// the device and returns the loss as a number: one step, the rest of the warm-up, then eight segments.
pub fn measure<R>(args: &Args, mut run: impl FnMut(usize) -> R, mut wait: impl FnMut(R) -> f64) -> Measured {
    let mut loss = wait(run(1));
    let first_step_s = process_seconds();
    if args.warmup > 1 {
        wait(run(args.warmup - 1));
    }
    let each = (args.steps / 8).max(1);
    let rates = (0..args.steps.div_ceil(each))
        .map(|_| {
            let start = Instant::now();
            loss = wait(run(each));
            each as f64 / start.elapsed().as_secs_f64()
        })
        .collect();
    Measured { rates, first_step_s, loss: loss.into() }
}

/// Prints the line of JSON.
pub fn report(peer: &str, device: &str, version: &str, args: &Args, measured: Measured) {
    let Measured { mut rates, first_step_s, loss } = measured;
    rates.sort_by(f64::total_cmp);
    let middle = rates.len() / 2;
    let median = (rates[middle] + rates[(rates.len() - 1) / 2]) / 2.0;
    let mut line = json!({
        "peer": peer,
        "device": device,
        "versions": { peer: version },
        "workload": args.workload,
        "mode": "step",
        "steps_per_s": median,
        "slowest_segment": rates[0],
        "fastest_segment": rates[rates.len() - 1],
        "first_step_s": first_step_s,
        "loss": loss,
    });
    if let Some(flops) = data::flops(&args.workload) {
        line["tflops"] = json!(flops * median / 1e12);
    }
    line["peak_rss_mb"] = json!(peak_rss_mb());
    println!("{line}");
}

/// The processor's name and the number of cores that this process may use.
pub fn processor() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    format!("{}, {cores} cores", name.map_or("CPU", |(_, name)| name))
}

/// Seconds since this process started, to a hundredth (Linux).
fn process_seconds() -> f64 {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let uptime = read("/proc/uptime").split(' ').next().and_then(|seconds| seconds.parse::<f64>().ok());
    // The 22nd field, in hundredths of a second; the fields after the program's name, in brackets, begin with the third.
    let started =
        read("/proc/self/stat").rsplit(") ").next().and_then(|rest| rest.split(' ').nth(19)?.parse::<f64>().ok());
    uptime.zip(started).map_or(f64::NAN, |(uptime, started)| uptime - started / 100.0)
}

/// The most memory that the process has had (Linux).
fn peak_rss_mb() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1024.0)
}
