//! What the clinical programs share: the beginning and the end.

use anyhow::{Context, Result, ensure};
use galen::prelude::*;
use galen::report::Report;

use super::common::{self, Defaults, Options};

/// A program that is running.
pub struct Study {
    pub name: &'static str,
    pub options: Options,
    pub device: Device,
}

impl Study {
    /// Reads the options and finds the device.
    pub fn begin(name: &'static str, defaults: &Defaults) -> Result<Study> {
        let options = Options::from_args(defaults)?;
        options.check()?;
        let device = Device::named(&options.device)?;
        let study = Study { name, options, device };
        study.say(format!("device  {}", study.device));
        Ok(study)
    }

    /// Where and with what the model works.
    pub fn setup(&self) -> Setup {
        self.options.setup(&self.device)
    }

    /// Prints a line, unless nobody wants to read it.
    pub fn say(&self, line: impl AsRef<str>) {
        if !self.options.quiet {
            common::say(line.as_ref());
        }
    }

    /// Prints the report, writes it with its pictures, and saves the model where that is wished. Of a training that was interrupted
    /// there is no report: its model is half trained.
    pub fn end(&self, report: &Report, model: &mut Model) -> Result<()> {
        let stopped = "the training was stopped; with --checkpoints the same command goes on";
        ensure!(!model.history().interrupted, stopped);
        self.say(format!("\n{report}"));
        let folder = self.options.out(self.name)?;
        let files = report.write(&folder).with_context(|| format!("--out {}", folder.display()))?;
        self.say(format!("\n{} files in {}", files.len(), folder.display()));
        if let Some(path) = &self.options.save {
            model.save(path)?;
            self.say(format!("model: {}", path.display()));
        }
        if self.options.json {
            common::say(&report.to_json().to_string());
        }
        Ok(())
    }
}
