//! Every row of the table: the GPU's results and the CPU's f32 results are those of the f64 twin, gradients included.

mod common;
#[path = "parity/large.rs"]
mod large;

use common::iterations;
use common::rows::chosen;
use galen::Device;
use galen::contract::GpuTraits;

fn run(device: &Device, on_gpu: bool) {
    let mut failures = Vec::new();
    let rows = chosen();
    for row in &rows {
        let result = common::build(row).map_err(|e| e.to_string()).and_then(|case| {
            let actual = if on_gpu { case.run_on_gpu(device)? } else { case.run(device).map_err(|e| e.to_string())? };
            case.compare(&actual)
        });
        if let Err(e) = result {
            failures.push(format!("{}/{}: {e}", row.stem, row.name));
        }
    }
    assert!(failures.is_empty(), "{} of {} rows on {device}:\n{}", failures.len(), rows.len(), failures.join("\n"));
    println!("{} rows on {device}", rows.len());
}

#[test]
fn the_gpu_agrees_with_the_f64_twin() {
    if let Some(gpu) = common::own_gpu() {
        run(&gpu, true);
    }
}

/// What an adapter is decides between two forms of some kernels, so each machine alone would only ever see one of them.
#[test]
fn the_gpu_agrees_in_its_other_form() {
    if let Some(gpu) = common::own_gpu() {
        let traits = gpu.gpu_traits().expect("a GPU");
        run(&gpu.with_gpu_traits(GpuTraits { software: !traits.software }), true);
    }
}

#[test]
fn the_cpu_agrees_with_the_f64_twin() {
    run(&Device::cpu().expect("a thread pool"), false);
}

/// What a launch says of its loops ([`galen::contract::Launch::iterations`]) is compared with a count, in both forms of every kernel.
#[test]
fn no_launch_takes_more_iterations_than_it_says() {
    let Some(gpu) = common::own_gpu() else { return };
    let (mut counted, rows) = (Vec::new(), chosen());
    for software in [true, false] {
        let device = gpu.with_gpu_traits(GpuTraits { software });
        for row in &rows {
            let case = common::build(row).unwrap_or_else(|e| panic!("{}/{}: {e}", row.stem, row.name));
            let launches = iterations::count(&case, &device);
            counted.extend(launches.unwrap_or_else(|e| panic!("{}/{}: {e}", row.stem, row.name)));
        }
    }
    iterations::judge(&counted).unwrap_or_else(|e| panic!("{} launches on {gpu}:\n{e}", counted.len()));
    println!("{} launches with loops on {gpu}", counted.len());
}
