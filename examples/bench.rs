//! Measures training: one JSON line per run.
//!
//! ```sh
//! cargo run --release --example bench -- --workload W2 --device cpu --steps 200 --warmup 50
//! ```
//!
//! W1 is the network of `mnist_dense`, W2 that of `mnist_cnn`, both with batches of 32 and Adam. Steps are run in segments of
//! 50, synchronised at both ends; the median segment counts. The loss is printed so that nobody is fast by not learning.

#[path = "digits/set.rs"]
mod digits;

use std::time::Instant;

use anyhow::{Result, bail};
use galen::prelude::*;
use lexopt::prelude::*;
use ndarray::{Array1, Axis, Slice};

const SEGMENT: usize = 50;
const BATCH: usize = 32;

struct Args {
    workload: String,
    device: String,
    steps: usize,
    warmup: usize,
}

fn args() -> Result<Args> {
    let mut args = Args { workload: "W2".into(), device: "auto".into(), steps: 200, warmup: SEGMENT };
    let mut parser = lexopt::Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            Long("workload") => args.workload = parser.value()?.string()?,
            Long("device") => args.device = parser.value()?.string()?,
            Long("steps") => args.steps = parser.value()?.parse()?,
            Long("warmup") => args.warmup = parser.value()?.parse()?,
            Long("help") => {
                println!("bench --workload W1|W2 --device NAME --steps N --warmup N");
                std::process::exit(0);
            }
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(args)
}

fn main() -> Result<()> {
    let start = Instant::now();
    env_logger::init();
    let args = args()?;
    let (network, shape) = match args.workload.as_str() {
        "W1" => {
            let network = Sequential::new([784]).with(Dense::new(32).activation(Relu));
            (network.with(Dense::new(10).activation(Softmax)), vec![SEGMENT * BATCH, 784])
        }
        "W2" => {
            let network = Sequential::new([1, 28, 28])
                .with(Conv2d::new(32, [3, 3]).activation(Relu))
                .with(MaxPool2d::new([2, 2]))
                .with(Flatten)
                .with(Dense::new(10).activation(Softmax));
            (network, vec![SEGMENT * BATCH, 1, 28, 28])
        }
        other => bail!("--workload: expected W1 or W2, got \"{other}\""),
    };
    let data = data(shape)?;
    let device = Device::named(&args.device)?;
    let setup = Setup::on(&device);
    let mut model = network.compile_on(&setup, Adam::default(), CategoricalCrossEntropy::new(), &[Metric::Accuracy])?;
    let before_fit = start.elapsed();
    let fit = |steps: usize| Fit::new().epochs(steps.div_ceil(SEGMENT).max(1)).batch_size(BATCH).verbose(false);
    let warm = model.fit(&data, &fit(args.warmup))?;
    let before = device.stats();
    let history = model.fit(&data, &fit(args.steps))?;
    let after = device.stats();
    let steps = (history.epochs.len() * SEGMENT) as f64;
    let mut rates: Vec<f64> = history.epochs.iter().map(|e| SEGMENT as f64 / e.seconds).collect();
    rates.sort_by(f64::total_cmp);
    let line = serde_json::json!({
        "device": device.to_string(),
        "workload": args.workload,
        "steps_per_s": rates[rates.len() / 2],
        "slowest_segment": rates[0],
        "fastest_segment": rates[rates.len() - 1],
        "time_to_first_loss_s": (before_fit + warm.time_to_first_loss).as_secs_f64(),
        "peak_rss_mb": peak_rss_mb(),
        "device_bytes": device.is_gpu().then_some(after.buffer_bytes),
        "submissions_per_step": (after.submissions - before.submissions) as f64 / steps,
        "readbacks_per_step": (after.readbacks - before.readbacks) as f64 / steps,
        "dispatches_per_step": (after.dispatches - before.dispatches) as f64 / steps,
        "loss": history.epochs.last().map(|e| e.loss),
    });
    println!("{line}");
    Ok(())
}

/// One segment's worth of real digits: the embedded ones, from the beginning again where they end.
fn data(shape: Vec<usize>) -> Result<Dataset> {
    let (mnist, _) = digits::load(false)?;
    let n = SEGMENT * BATCH;
    let have = mnist.train_images.shape()[0].min(n);
    let part = |to: usize| mnist.train_images.slice_axis(Axis(0), Slice::from(..to));
    let images = ndarray::concatenate(Axis(0), &[part(have), part(n - have)])?;
    let labels: Vec<u32> =
        mnist.train_labels.iter().cycle().take(have).chain(&mnist.train_labels).take(n).copied().collect();
    Ok(Dataset::new(images.into_shape_with_order(shape)?, Array1::from(labels))?)
}

/// The most memory that the process has had, where the system says it (Linux).
fn peak_rss_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<f64>().ok().map(|kib| kib / 1024.0)
}
