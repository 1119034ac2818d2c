//! What all training programs share.

mod options;

use std::io::Write;
use std::process::ExitCode;

pub use options::{Defaults, Options};

/// Prints a line. Where nobody reads any more (`| head -1`), the program goes on with its work.
#[allow(dead_code, reason = "not every program prints results in this way")]
pub fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Says in one line what went wrong, if something did.
pub fn report(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e:#}");
            ExitCode::FAILURE
        }
    }
}
