//! Profiles: they name every op of the plan, their time adds up, their trace is one that a viewer can read, and they change no bit.

mod common;

use galen::data::Dataset;
use galen::engine::Profile;
use galen::graph::{Clock, Phase};
use galen::prelude::*;
use galen::{DType, Error, Graph, Plan, Session, Tensor};
use ndarray::{Array1, Array4};
use serde_json::Value;

const SAMPLES: usize = 64;
const BATCH: usize = 8;

fn data() -> Dataset {
    let mut random = galen::contract::Threefry::new(3, 9);
    let labels: Array1<u32> = (0..SAMPLES).map(|_| random.below(3)).collect();
    let images = Array4::from_shape_fn((SAMPLES, 1, 6, 6), |(i, ..)| random.normal() + labels[i] as f32);
    Dataset::new(images, labels).expect("good data")
}

fn model(device: &Device) -> Model {
    model_on(&Setup::on(device))
}

fn model_on(setup: &Setup) -> Model {
    let network = Sequential::new([1, 6, 6])
        .with(Conv2d::new(3, [3, 3]).activation(Relu))
        .with(Dropout::new(0.2))
        .with(Flatten)
        .with(Dense::new(3).activation(Softmax));
    network.compile_on(setup, Adam::new(0.01), CategoricalCrossEntropy::new(), &[]).expect("a model")
}

fn fit() -> Fit {
    Fit::new().batch_size(BATCH).verbose(false)
}

fn profiled(device: &Device, runs: usize) -> (Model, Profile) {
    let mut model = model(device);
    let profile = model.profile(&data(), &fit(), runs).expect("a profile");
    (model, profile)
}

/// Every dispatch of every run once, in order; on the CPU every op.
fn expected_work(plan: &Plan, runs: usize, on_gpu: bool) -> Vec<(usize, usize, usize)> {
    let dispatches = |step: usize| if on_gpu { plan.steps[step].launches.len() } else { 1 };
    let run = |run| (0..plan.steps.len()).flat_map(move |step| (0..dispatches(step)).map(move |d| (run, step, d)));
    (0..runs).flat_map(run).collect()
}

#[test]
fn a_profile_names_every_op_and_its_time_adds_up() {
    for device in common::devices() {
        let (model, profile) = profiled(&device, 3);
        let plan = model.plan().expect("a plan");
        let names: Vec<String> = profile.ops.iter().map(|op| op.full_name()).collect();
        let steps: Vec<String> = plan.steps.iter().map(|step| step.name()).collect();
        assert_eq!(names, steps, "{device}");
        let work: Vec<_> = profile.timeline.work.iter().map(|w| (w.run, w.step, w.dispatch)).collect();
        assert_eq!((profile.runs, work), (3, expected_work(plan, 3, device.is_gpu())), "{device}");
        let spans: u64 = profile.timeline.work.iter().map(|work| work.span.nanos()).sum();
        assert!(spans > 0, "{device}: nothing took any time");
        assert!((profile.seconds() * 3.0 - spans as f64 * 1e-9).abs() <= 1e-9 * profile.seconds(), "{device}");
        let shares: f64 = profile.ops.iter().map(|op| op.share).sum();
        assert!((shares - 1.0).abs() < 1e-9, "{device}: {shares}");
        let sums = profile.by_name();
        assert_eq!(sums.iter().map(|op| op.ops).sum::<usize>(), plan.steps.len(), "{device}");
        assert!(sums.is_sorted_by(|a, b| a.seconds >= b.seconds), "{device}");
        let table = profile.table(5);
        for op in &sums {
            assert!(table.contains(&op.name), "{device}: no {} in\n{table}", op.name);
        }
        assert!(!device.is_gpu() || profile.timeline.clock != Clock::Cpu, "{device}");
        let planned = plan.state_bytes() + plan.activation_bytes();
        assert!((planned..4 * planned).contains(&model.device_bytes()), "{device}: {planned} bytes are planned");
    }
}

/// Multiplications and additions of the products in the network, by hand.
#[test]
fn products_know_their_operations() {
    let (_, profile) = profiled(&common::devices()[0], 1);
    let flops = |name: &str, layer: &str| -> Vec<u64> {
        profile.ops.iter().filter(|op| op.name == name && op.layer == layer).map(|op| op.flops).collect()
    };
    let conv = (2 * BATCH * 3 * 4 * 4 * 9) as u64;
    assert_eq!(flops("conv", "conv2d"), [conv]);
    // The gradient with respect to the images is nobody's wish: all gradients in one op are that of the weights.
    assert_eq!((flops("conv_grad", "conv2d"), flops("conv_grad_x", "conv2d")), (vec![conv], vec![]));
    let dense = (2 * BATCH * 48 * 3) as u64;
    assert_eq!(flops("matmul", "dense"), [dense; 3], "the product and both gradients");
    assert!(profile.ops.iter().filter(|op| op.flops > 0).all(|op| op.gflops().is_some() == (op.seconds > 0.0)));
}

/// One row of a trace, as `(begin, end)` in microseconds.
fn row(trace: &Value, tid: u64) -> Vec<(f64, f64)> {
    let events = trace["traceEvents"].as_array().expect("events");
    let timed = events.iter().filter(|e| e["ph"] == "X" && e["tid"] == tid);
    timed.map(|e| (e["ts"].as_f64().expect("ts"), e["dur"].as_f64().expect("dur"))).map(|(t, d)| (t, t + d)).collect()
}

#[test]
fn a_trace_is_json_whose_device_spans_follow_each_other() {
    for device in common::devices() {
        let (model, profile) = profiled(&device, 4);
        let trace: Value = serde_json::from_str(&profile.trace()).expect("JSON");
        let spans = row(&trace, 1);
        assert_eq!(spans.len(), expected_work(model.plan().expect("a plan"), 4, device.is_gpu()).len(), "{device}");
        for pair in spans.windows(2) {
            assert!(pair[0].0 <= pair[0].1 && pair[0].1 <= pair[1].0 + 1e-3, "{device}: {pair:?} overlap");
        }
        let host = row(&trace, 2);
        assert_eq!(host.is_empty(), !device.is_gpu(), "{device}");
        assert!(host.is_sorted_by(|a, b| a.1 <= b.0 + 1e-3), "{device}: what the host did overlaps");
        if device.is_gpu() {
            let encodings = profile.timeline.host.iter().filter(|h| h.phase == Phase::Encode).count();
            assert!(encodings >= 4, "{device}: {encodings} encodings in 4 runs");
        }
    }
}

#[test]
fn profiling_changes_no_bit() {
    let bits = |model: &mut Model| -> Vec<u32> {
        let specs = model.parameter_specs().expect("specs");
        let mut one = |name: &str| model.parameter(name).expect("a parameter").into_f32().expect("floats");
        specs.iter().flat_map(|spec| one(&spec.name).into_iter().map(f32::to_bits)).collect()
    };
    for device in common::devices() {
        let mut plain = model(&device);
        plain.fit(&data(), &fit().epochs(2)).expect("a training");
        // The first epoch's steps in a profile, all eight; the second as usual. The model's count of epochs is behind by one then, so
        // both train in the order of the files.
        let same = |options: Fit| options.shuffle(false);
        let mut expected = model(&device);
        expected.fit(&data(), &same(fit().epochs(2))).expect("a training");
        let mut profiled = model(&device);
        let profile = profiled.profile(&data(), &same(fit()), 100).expect("a profile");
        assert_eq!(profile.runs, SAMPLES / BATCH - 1, "{device}: all but the first step of an epoch");
        profiled.fit(&data(), &same(fit())).expect("a training");
        assert_eq!(bits(&mut profiled), bits(&mut expected), "{device}");
        assert_ne!(bits(&mut plain), bits(&mut expected), "{device}: the order matters, so the comparison can fail");
    }
}

/// Where the data does not fit, the steps of its first shard are profiled.
#[test]
fn streamed_data_is_profiled_too() {
    for device in common::devices() {
        let mut resident = model(&device);
        resident.prepare(&data(), &fit()).expect("a plan");
        let setup = Setup::on(&device).memory_budget(Some(resident.memory_bytes() - 3_000));
        let mut streamed = model_on(&setup);
        let profile = streamed.profile(&data(), &fit(), 100).expect("a profile");
        assert!(streamed.describe_memory().contains("data streamed"), "{}", streamed.describe_memory());
        assert!((1..SAMPLES / BATCH - 1).contains(&profile.runs), "{device}: {} runs", profile.runs);
    }
}

/// More dispatches than one set of timestamps holds.
#[test]
fn a_long_plan_is_profiled_in_several_submissions() {
    let graph = Graph::new();
    let mut x = graph.input("x", [1, 2], DType::F32).expect("an input");
    let swap = graph.input("swap", [2, 2], DType::F32).expect("an input");
    for _ in 0..2_500 {
        x = x.matmul(&swap).expect("a product");
    }
    let tensor = |shape: &[usize], values: &[f32]| Tensor::f32(shape, values.to_vec()).expect("a tensor");
    for device in common::devices() {
        let mut session = Session::new(&device, 0, None);
        let run = session.compile(&graph, std::slice::from_ref(&x)).expect("a plan");
        session.set_input(&run, "x", &tensor(&[1, 2], &[1.0, -2.0])).expect("an input");
        session.set_input(&run, "swap", &tensor(&[2, 2], &[0.0, 1.0, 1.0, 0.0])).expect("an input");
        let profile = session.profile(&run, 2).expect("a profile");
        let n = run.plan().steps.len();
        assert!(n > 2_048, "{n} steps fit into one submission");
        assert_eq!(profile.timeline.work.len(), 2 * n, "{device}");
        let y = session.outputs(&run).expect("outputs").swap_remove(0);
        assert_eq!(y, tensor(&[1, 2], &[1.0, -2.0]), "{device}");
    }
}

#[test]
fn too_little_data_is_refused() {
    let mut model = model(&common::devices()[0]);
    for (options, runs) in [(fit().batch_size(33), 3), (fit(), 0)] {
        let refused = model.profile(&data(), &options, runs);
        assert!(matches!(refused, Err(Error::Data { .. })), "{refused:?}");
    }
}

/// Set for a child, which prints what the product of a GPU is.
const CHILD: &str = "GALEN_PIPELINE_CACHE_CHILD";

/// Run by [`compiled_pipelines_are_kept_and_a_broken_file_does_no_harm`] in other processes; does nothing otherwise.
#[test]
fn print_a_product() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let device = common::own_gpu().expect("the adapter again");
    let graph = Graph::new();
    let x = graph.input("x", [2, 2], DType::F32).expect("an input");
    let y = x.matmul(&x).expect("a product");
    let mut session = Session::new(&device, 0, None);
    let run = session.compile(&graph, &[y]).expect("a plan");
    let values = Tensor::f32([2, 2], vec![1.0, 2.0, 3.0, 4.0]).expect("a tensor");
    println!("product {:?}", session.run(&run, &[("x", &values)]).expect("a run")[0].elements());
}

#[test]
fn compiled_pipelines_are_kept_and_a_broken_file_does_no_harm() {
    let Some(gpu) = common::gpu() else { return };
    let folder = std::env::temp_dir().join(format!("galen-pipeline-cache-{}", std::process::id()));
    let child = |cache: &std::ffi::OsStr| {
        let output = std::process::Command::new(std::env::current_exe().expect("this binary"))
            .args(["--exact", "print_a_product", "--nocapture"])
            .envs([(std::ffi::OsStr::new(CHILD), std::ffi::OsStr::new("1")), ("GALEN_PIPELINE_CACHE".as_ref(), cache)])
            .output()
            .expect("a child");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains("product F32([7.0, 10.0, 15.0, 22.0])"), "{text}");
    };
    child("off".as_ref());
    assert!(!folder.exists());
    child(folder.as_os_str());
    if gpu.adapter().is_some_and(|a| a.backend == "Vulkan") {
        let files: Vec<_> =
            std::fs::read_dir(&folder).expect("the folder").map(|f| f.expect("a file").path()).collect();
        let [file] = &files[..] else { panic!("{files:?}") };
        let kept = std::fs::read(file).expect("a file");
        child(folder.as_os_str());
        std::fs::write(file, &kept[..kept.len() / 2]).expect("a broken file");
        child(folder.as_os_str());
        let again = std::fs::read(file).expect("a file");
        assert_eq!(again[..24], kept[..24], "it is written anew, for the same adapter");
        assert!(again.len() > kept.len() / 2);
    }
    std::fs::remove_dir_all(&folder).ok();
}
