//! Training steps of a network, timed.

use std::time::Instant;

use anyhow::Result;
use galen::prelude::*;
use serde_json::{Value, json};

use crate::options::Options;
use crate::profile;
use crate::report::{self, Segments};
use crate::workloads::Workload;

/// Trains the workload called `name` and describes how that went. `start` is when the program began.
///
/// A segment is an epoch: one upload of the order of samples, the steps, and one readback that waits for them.
pub fn measure(name: &str, device: &Device, options: &Options, start: Instant) -> Result<Value> {
    let mut workload = Workload::on(name, device)?;
    let segments = Segments::of(options.steps.unwrap_or(workload.steps), workload.least);
    let data = workload.data(segments.steps)?;
    let fit = |segments: usize| Fit::new().epochs(segments).batch_size(workload.batch).verbose(false);
    let (model, before_fit) = (&mut workload.model, start.elapsed());
    let warm = model.fit(&data, &fit(segments.covering(options.warmup.unwrap_or(1)).max(1)))?;
    let before = device.stats();
    let history = model.fit(&data, &fit(segments.count))?;
    let after = device.stats();
    let seconds: Vec<f64> = history.epochs.iter().map(|e| e.seconds).collect();
    if options.profile {
        let [median, ..] = report::rates(segments, &seconds);
        profile::show(name, &model.profile(&data, &fit(1), profile::runs(median))?)?;
    }
    let fields = json!({
        "batch": workload.batch,
        "first_step_s": (before_fit + warm.time_to_first_loss).as_secs_f64(),
        "device_bytes": model.device_bytes(),
        "first_loss": warm.epochs.first().and_then(|e| e.step_losses.first()),
        "loss": history.epochs.last().map(|e| e.loss),
    });
    let counts = report::counts(before, after, segments);
    let memory = model.plan().map(report::memory).unwrap_or_default();
    Ok(report::line(name, device, segments, &seconds, &[fields, counts, memory]))
}
