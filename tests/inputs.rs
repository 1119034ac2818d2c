//! What a model is given: numbers and tokens that it refuses, whether outputs are logits or probabilities, how bytes become numbers, weights.

mod common;
#[path = "inputs/form.rs"]
mod form;
#[path = "inputs/preparation.rs"]
mod preparation;
#[path = "inputs/tokens.rs"]
mod tokens;
#[path = "inputs/values.rs"]
mod values;
#[path = "inputs/weights.rs"]
mod weights;

use std::path::PathBuf;

use galen::prelude::*;

fn cpu() -> Setup {
    Setup::on(&Device::cpu_with_threads(1).expect("a thread"))
}

/// The error's text holds every one of `parts`.
fn says<T: std::fmt::Debug>(result: galen::Result<T>, parts: &[&str]) {
    let text = result.expect_err("this must be refused").to_string();
    for part in parts {
        assert!(text.contains(part), "\"{text}\" does not say \"{part}\"");
    }
}

/// A number from 0 to 1 that follows from `i`.
fn number(i: usize) -> f32 {
    ((i as u32).wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 24) as f32
}

/// A place for a file or folder that goes when the test is over.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        Place(std::env::temp_dir().join(format!("galen-inputs-{}-{name}", std::process::id())))
    }

    /// The model as its file holds it.
    fn reopened(&self, model: &mut Model, setup: &Setup) -> Model {
        model.save(&self.0).expect("a file");
        Model::open(&self.0, setup).expect("a model")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
