//! Where the time goes: a table for people, and a trace for a viewer.

use std::path::Path;

use anyhow::{Context, Result};
use galen::engine::Profile;

/// Single ops that the table lists.
const LONGEST: usize = 15;

/// Runs that are profiled: enough for a mean, but no more than some seconds where `steps_per_s` are done otherwise.
pub fn runs(steps_per_s: f64) -> usize {
    (2.0 * steps_per_s).clamp(3.0, 50.0) as usize
}

/// Prints the table, and writes the trace.
pub fn show(workload: &str, profile: &Profile) -> Result<()> {
    let folder = Path::new("target/bench");
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let path = folder.join(format!("{workload}.trace.json"));
    std::fs::write(&path, profile.trace()).with_context(|| path.display().to_string())?;
    eprintln!("{workload} on {}\ntrace: {}", profile.table(LONGEST), path.display());
    Ok(())
}
