//! Every row of the table: the GPU's results and the CPU's f32 results are those of the f64 twin, gradients included.

mod common;

use common::rows::Row;
use galen::Device;

/// The rows of the stems that `GALEN_ROWS` names (a comma-separated list of stems or `stem/name` beginnings); all without it.
fn chosen() -> Vec<Row> {
    let wanted = std::env::var("GALEN_ROWS").unwrap_or_default();
    let wanted: Vec<&str> = wanted.split(',').filter(|w| !w.is_empty()).collect();
    let mut rows = common::rows::all();
    rows.retain(|r| wanted.is_empty() || wanted.iter().any(|w| format!("{}/{}", r.stem, r.name).starts_with(w)));
    rows
}

fn run(device: &Device) {
    let mut failures = Vec::new();
    let rows = chosen();
    for row in &rows {
        let result = common::build(row)
            .and_then(|case| Ok((case.run(device)?, case)))
            .map_err(|e| e.to_string())
            .and_then(|(actual, case)| case.compare(&actual));
        if let Err(e) = result {
            failures.push(format!("{}/{}: {e}", row.stem, row.name));
        }
    }
    assert!(failures.is_empty(), "{} of {} rows on {device}:\n{}", failures.len(), rows.len(), failures.join("\n"));
    println!("{} rows on {device}", rows.len());
}

#[test]
fn the_gpu_agrees_with_the_f64_twin() {
    if let Some(gpu) = common::gpu() {
        run(gpu);
    }
}

#[test]
fn the_cpu_agrees_with_the_f64_twin() {
    run(&Device::cpu().expect("a thread pool"));
}
