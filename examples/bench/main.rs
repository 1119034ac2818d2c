//! Measures training steps and single products: one JSON line per workload.
//!
//! ```sh
//! cargo run --release --example bench -- --workload W2 --device cpu --steps 200
//! ```
//!
//! What each workload is stands in `networks.rs` and `kernels.rs` (single ops). Runs are timed in segments of equal
//! length, synchronised with the device at both ends; the median segment counts. The loss at the end (for single ops the largest
//! error of sampled elements) is printed so that nobody is fast by not computing.

#[path = "../digits/set.rs"]
mod digits;
mod kernels;
mod networks;
mod options;
mod profile;
mod report;
mod roofline;
mod synthetic;
mod training;
mod workloads;

use std::time::Instant;

use anyhow::{Result, bail};
use galen::prelude::Device;

use options::Options;

/// The workloads that train a network.
const TRAINING: [&str; 5] = ["W1", "W2", "W3", "W4", "W5"];

fn main() -> Result<()> {
    let start = Instant::now();
    env_logger::init();
    let options = Options::from_args()?;
    let device = Device::named(&options.device)?;
    for workload in expand(&options.workload, &device) {
        let line = match workload.as_str() {
            name if TRAINING.contains(&name) => training::measure(name, &device, &options, start)?,
            name if name == "conv2d" || name.starts_with("matmul") => kernels::measure(name, &device, &options, start)?,
            "roofline" => roofline::measure(&device, &options, start)?,
            other => bail!("--workload: expected one of {}, got \"{other}\"", options::WORKLOADS),
        };
        println!("{line}");
    }
    Ok(())
}

/// `W6` is several workloads: the large products only where the device is made for them.
fn expand(workload: &str, device: &Device) -> Vec<String> {
    let names: &[&str] = match workload {
        "W6" if device.gpu_traits().is_some_and(|gpu| !gpu.software) => {
            &["matmul512", "matmul1024", "matmul4096", "matmul8192", "conv2d"]
        }
        "W6" => &["matmul512", "matmul1024", "conv2d"],
        "all" => &["W1", "W2", "W3", "W4", "W5"],
        other => return vec![other.to_owned()],
    };
    names.iter().map(|name| (*name).to_owned()).collect()
}
