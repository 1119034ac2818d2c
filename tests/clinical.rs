//! Trainings on real data, with a bar that each must clear on samples it has never seen. They take minutes and want an optimised
//! build, so they are not part of the usual tests: `tests/train` runs them. `GALEN_DATA` is the folder with the data;
//! `GALEN_DEVICE` names another device than the CPU.

#[path = "../examples/beats/mod.rs"]
#[allow(dead_code)] // Drawn beats and names are the program's.
mod beats;
#[path = "clinical/data.rs"]
mod data;
#[path = "clinical/heart.rs"]
mod heart;
#[path = "clinical/images.rs"]
mod images;
#[path = "clinical/sequences.rs"]
mod sequences;
#[path = "common/skip.rs"]
mod skip;
#[path = "clinical/volumes.rs"]
mod volumes;

use std::time::Instant;

use anyhow::Result;
use galen::prelude::*;

/// On `GALEN_DEVICE`, or the CPU.
fn setup(seed: u64) -> Result<Setup> {
    let device = match std::env::var("GALEN_DEVICE") {
        Ok(name) if !name.is_empty() => Device::named(&name)?,
        _ => Device::cpu()?,
    };
    Ok(Setup::on(&device).seed(seed))
}

/// Says what was reached, and refuses less than `bar`.
fn clears(what: &str, value: f64, bar: f64, start: Instant) {
    println!("{what}: {value:.4} (at least {bar}), {:.0} s", start.elapsed().as_secs_f64());
    assert!(value >= bar, "{what}: {value:.4} is below {bar}");
}

/// Twice what two masks share, over what both hold: 1 where both are empty. `predicted` are probabilities or logits above `threshold`.
fn dice(predicted: impl Iterator<Item = f32>, truth: impl Iterator<Item = f32>, threshold: f32) -> f64 {
    let (mut both, mut sum) = (0.0, 0.0);
    for (p, t) in predicted.zip(truth) {
        let (p, t) = (f64::from(u8::from(p > threshold)), f64::from(t));
        both += p * t;
        sum += p + t;
    }
    if sum == 0.0 { 1.0 } else { 2.0 * both / sum }
}

/// The area under the ROC curve: how often a positive sample has the higher score, ties counted half.
fn auc(scores: &[f32], positive: &[bool]) -> f64 {
    let scores: Vec<f64> = scores.iter().copied().map(f64::from).collect();
    galen::metrics::roc_auc(positive, &scores).expect("samples of both classes")
}

#[test]
fn the_area_under_a_curve_counts_pairs() {
    let positive = [true, false, true, false];
    assert_eq!(auc(&[0.9, 0.1, 0.8, 0.2], &positive), 1.0);
    assert_eq!(auc(&[0.5, 0.5, 0.5, 0.5], &positive), 0.5);
    assert_eq!(auc(&[0.1, 0.2, 0.9, 0.2], &positive), 0.5);
}
