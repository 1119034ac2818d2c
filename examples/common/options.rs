//! The options that all training programs take.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use galen::prelude::*;
use galen::train::{Checkpoints, Interrupt};
use lexopt::prelude::*;

/// See [`Defaults::help`].
#[derive(Debug)]
pub struct Options {
    pub data: Option<PathBuf>,
    pub device: String,
    pub epochs: usize,
    pub batch_size: usize,
    pub seed: u64,
    pub memory_budget: Option<u64>,
    pub save: Option<PathBuf>,
    pub checkpoints: Option<PathBuf>,
    out: Option<PathBuf>,
    pub quiet: bool,
    pub json: bool,
}

/// What differs from program to program.
pub struct Defaults {
    /// What the program does, in a sentence.
    pub about: &'static str,
    /// What `--data` is, and what is used without it.
    pub data: &'static str,
    pub epochs: usize,
    pub batch_size: usize,
}

impl Defaults {
    fn help(&self) -> String {
        let Defaults { about, data, epochs, batch_size } = self;
        format!(
            "\
{about}

  --data PATH          {data}
  --device NAME        auto, gpu, cpu, or a part of an adapter's name [auto]
  --epochs N           [{epochs}]
  --batch-size N       [{batch_size}]
  --seed N             [0]
  --memory-budget SIZE bytes that the model and its data may take on the device: 512M, 2G
  --checkpoints DIR    keep checkpoints there; started again, go on from the last one
  --out DIR            where pictures and reports go [target/the program's name]
  --save FILE          write the trained model there (safetensors)
  --quiet              print nothing but errors (and the JSON line)
  --json               the last line is a JSON object with the results"
        )
    }
}

impl Options {
    /// Reads the command line; `--help` prints and ends the program.
    pub fn from_args(defaults: &Defaults) -> Result<Options> {
        let mut options = Options {
            data: None,
            device: "auto".into(),
            epochs: defaults.epochs,
            batch_size: defaults.batch_size,
            seed: 0,
            memory_budget: None,
            save: None,
            checkpoints: None,
            out: None,
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
                Long("checkpoints") => options.checkpoints = Some(parser.value()?.into()),
                Long("out") => options.out = Some(parser.value()?.into()),
                Long("save") => options.save = Some(parser.value()?.into()),
                Long("quiet") => options.quiet = true,
                Long("json") => options.json = true,
                Long("help") | Short('h') => {
                    println!("{}", defaults.help());
                    std::process::exit(0);
                }
                other => return Err(other.unexpected().into()),
            }
        }
        Ok(options)
    }

    /// Finds out before the training, not after it, whether the model can be written.
    pub fn check(&self) -> Result<()> {
        self.save.as_ref().map_or(Ok(()), |path| galen::file::check_writable(path)).context("--save")
    }

    /// The folder for pictures and reports.
    pub fn out(&self, program: &str) -> Result<PathBuf> {
        let folder = self.out.clone().unwrap_or_else(|| Path::new("target").join(program));
        std::fs::create_dir_all(&folder).with_context(|| format!("--out {}", folder.display()))?;
        Ok(folder)
    }

    /// Where and with what the model works.
    pub fn setup(&self, device: &Device) -> Setup {
        Setup::on(device).seed(self.seed).memory_budget(self.memory_budget)
    }

    /// How to train; Ctrl-C stops it.
    pub fn fit(&self) -> Result<Fit> {
        let fit = Fit::new().epochs(self.epochs).batch_size(self.batch_size).verbose(!self.quiet);
        Ok(fit.interrupt(&Interrupt::on_ctrl_c()?))
    }

    /// The same training with checkpoints, where they are wished; `part` tells several of one program apart and may be empty.
    pub fn keep(&self, fit: Fit, part: &str) -> Fit {
        match &self.checkpoints {
            Some(folder) => fit.checkpoints(Checkpoints::new(folder.join(part)).resume()),
            None => fit,
        }
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
