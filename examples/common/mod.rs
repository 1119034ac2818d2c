//! What all training programs share.

mod options;

use std::process::ExitCode;

pub use options::{Defaults, Options};

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
