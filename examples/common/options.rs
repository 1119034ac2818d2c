//! The options that both training programs take.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use lexopt::prelude::*;

/// See [`HELP`].
#[derive(Debug)]
pub struct Options {
    pub data: Option<PathBuf>,
    pub device: String,
    pub epochs: usize,
    pub batch_size: usize,
    pub seed: u64,
    pub memory_budget: Option<u64>,
    pub save: Option<PathBuf>,
    pub quiet: bool,
    pub json: bool,
}

const HELP: &str = "\
  --data DIR           the four MNIST IDX files, gzipped or not (without it: digits that come with Galen)
  --device NAME        auto, gpu, cpu, or a part of an adapter's name [auto]
  --epochs N           [10]
  --batch-size N       [32]
  --seed N             [0]
  --memory-budget SIZE bytes that the model and its data may take on the device: 512M, 2G
  --save FILE          write the trained parameters there (safetensors)
  --quiet              print nothing but errors (and the JSON line)
  --json               the last line is a JSON object with the results";

impl Options {
    /// Reads the command line; `--help` prints and ends the program.
    pub fn from_args(about: &str) -> Result<Options> {
        let mut options = Options {
            data: None,
            device: "auto".into(),
            epochs: 10,
            batch_size: 32,
            seed: 0,
            memory_budget: None,
            save: None,
            quiet: false,
            json: false,
        };
        let mut parser = lexopt::Parser::from_env();
        while let Some(arg) = parser.next()? {
            match arg {
                Long("data") => options.data = Some(parser.value()?.into()),
                Long("device") => options.device = parser.value()?.string()?,
                Long("epochs") => options.epochs = number(&mut parser, "--epochs", 1)? as usize,
                Long("batch-size") => options.batch_size = number(&mut parser, "--batch-size", 1)? as usize,
                Long("seed") => options.seed = number(&mut parser, "--seed", 0)?,
                Long("memory-budget") => options.memory_budget = Some(size(&parser.value()?.string()?)?),
                Long("save") => options.save = Some(parser.value()?.into()),
                Long("quiet") => options.quiet = true,
                Long("json") => options.json = true,
                Long("help") | Short('h') => {
                    println!("{about}\n\n{HELP}");
                    std::process::exit(0);
                }
                other => return Err(other.unexpected().into()),
            }
        }
        Ok(options)
    }
}

fn number(parser: &mut lexopt::Parser, option: &str, least: u64) -> Result<u64> {
    let text = parser.value()?.string()?;
    match text.parse() {
        Ok(n) if n >= least => Ok(n),
        _ => bail!("{option}: expected a whole number of at least {least}, got \"{text}\""),
    }
}

/// `4096`, `512K`, `512M`, `2G`.
fn size(text: &str) -> Result<u64> {
    let (digits, factor) = match text.to_ascii_uppercase().trim_end_matches('B').chars().last() {
        Some('K') => (text.trim_end_matches(['k', 'K', 'b', 'B']), 1 << 10),
        Some('M') => (text.trim_end_matches(['m', 'M', 'b', 'B']), 1 << 20),
        Some('G') => (text.trim_end_matches(['g', 'G', 'b', 'B']), 1 << 30),
        _ => (text, 1),
    };
    let n: u64 = digits
        .parse()
        .with_context(|| format!("--memory-budget: expected a size such as 512M or 2G, got \"{text}\""))?;
    n.checked_mul(factor).with_context(|| format!("--memory-budget: {text} is too large"))
}
