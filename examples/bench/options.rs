//! The command line.

use anyhow::{Result, ensure};
use lexopt::prelude::*;

/// The workloads, for messages.
pub const WORKLOADS: &str = "W1 W2 W3 W4 W5 (training), all (these five), matmul512 matmul1024 matmul4096 matmul8192 conv2d, W6 (those), roofline";

/// See [`HELP`].
#[derive(Debug)]
pub struct Options {
    pub workload: String,
    pub device: String,
    pub steps: Option<usize>,
    pub warmup: Option<usize>,
    pub profile: bool,
}

const HELP: &str = "\
Measures training steps and single products; prints one JSON line per workload.

  --workload NAME   see below [W2]
  --device NAME     auto, gpu, cpu, or a part of an adapter's name [auto]
  --steps N         steps that are measured [as many as take some seconds on two processor cores]
  --warmup N        steps before them, rounded up to whole segments [one segment]
  --profile         also run some steps with the time of every op: a table on the standard error output, and
                    target/bench/WORKLOAD.trace.json for Perfetto (ui.perfetto.dev) or chrome://tracing

workloads: ";

impl Options {
    /// Reads the command line; `--help` prints and ends the program.
    pub fn from_args() -> Result<Options> {
        let mut options =
            Options { workload: "W2".into(), device: "auto".into(), steps: None, warmup: None, profile: false };
        let mut parser = lexopt::Parser::from_env();
        while let Some(arg) = parser.next()? {
            match arg {
                Long("workload") => options.workload = parser.value()?.string()?,
                Long("device") => options.device = parser.value()?.string()?,
                Long("steps") => options.steps = Some(parser.value()?.parse()?),
                Long("warmup") => options.warmup = Some(parser.value()?.parse()?),
                Long("profile") => options.profile = true,
                Long("help") | Short('h') => {
                    println!("{HELP}{WORKLOADS}");
                    std::process::exit(0);
                }
                other => return Err(other.unexpected().into()),
            }
        }
        ensure!(options.steps != Some(0), "--steps: expected at least 1, got 0");
        Ok(options)
    }
}
