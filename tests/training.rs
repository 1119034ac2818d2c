//! Whole trainings: the GPU follows the CPU, the same seed gives the same bits wherever the data lies, and a step asks nothing of
//! the host.

mod common;

use std::process::Command;

use galen::contract::GpuTraits;
use galen::data::Dataset;
use galen::nn::{Activate, BatchNorm};
use galen::prelude::*;
use galen::train::{History, Interrupt};
use galen::{Error, Tensor};
use ndarray::{Array1, Array4};

/// `n` images of 8×8 with a bright bar whose row is the class (0 to 3), and noise; bytes.
fn bars(n: usize) -> Dataset {
    let mut random = galen::contract::Threefry::new(11, 4);
    let labels: Vec<u32> = (0..n).map(|_| random.below(4)).collect();
    let mut noise = || random.below(90) as u8;
    let images = Array4::from_shape_fn((n, 1, 8, 8), |(i, _, row, _)| {
        noise() + if row / 2 == labels[i] as usize { 120 } else { 0 }
    });
    Dataset::new(images, Array1::from(labels)).expect("good data")
}

/// Convolution, pooling, dropout, dense: something of every kind.
fn network() -> Sequential {
    Sequential::new([1, 8, 8])
        .with(Conv2d::new(4, [3, 3]).activation(Relu))
        .with(MaxPool2d::new([2, 2]))
        .with(Dropout::new(0.25))
        .with(Flatten)
        .with(Dense::new(4).activation(Softmax))
}

fn model(setup: &Setup) -> Model {
    let loss = CategoricalCrossEntropy::new();
    network().compile_on(setup, Adam::new(0.01), loss, &[Metric::Accuracy]).expect("a model")
}

fn fit(epochs: usize) -> Fit {
    Fit::new().epochs(epochs).batch_size(16).verbose(false)
}

/// Trains three epochs over 100 samples (the last batch has 4) and gives the parameters' bits.
fn bits(setup: &Setup) -> Vec<u32> {
    let mut model = model(setup);
    model.fit(&bars(100), &fit(3)).expect("a training");
    parameters(&mut model)
}

fn parameters(model: &mut Model) -> Vec<u32> {
    let names: Vec<String> = model.parameter_specs().expect("specs").into_iter().map(|s| s.name).collect();
    let floats = names.iter().map(|name| model.parameter(name).expect("a parameter").into_f32().expect("floats"));
    floats.flat_map(|x| x.into_iter().map(f32::to_bits)).collect()
}

fn cpu() -> Device {
    Device::cpu_with_threads(2).expect("threads")
}

#[test]
fn a_network_learns_on_every_device() {
    for device in common::devices() {
        let mut model = model(&Setup::on(&device).seed(3));
        let history = model.fit(&bars(200), &fit(8).validation(&bars(60))).expect("a training");
        let last = history.epochs.last().expect("epochs");
        assert!(history.epochs[0].loss > last.loss * 2.0, "{device}: {:?}", history.losses());
        assert!(last.val_metrics[0].1 > 0.95, "{device}: {last:?}");
        let table = model.confusion(&bars(60)).expect("a table");
        assert!((table.accuracy() - model.evaluate(&bars(60)).expect("numbers").accuracy()).abs() < 1e-9);
    }
}

#[test]
fn threads_and_memory_change_no_bit() {
    let one = bits(&Setup::on(&Device::cpu_with_threads(1).expect("a thread")));
    assert_eq!(one, bits(&Setup::on(&cpu())), "one thread and two");
    assert_ne!(one, bits(&Setup::on(&cpu()).seed(1)), "another seed gives other parameters");
    for device in common::devices() {
        let resident = bits(&Setup::on(&device));
        assert_eq!(resident, bits(&Setup::on(&device)), "{device}: twice");
        let setup = Setup::on(&device).memory_budget(Some(streaming_budget(&device)));
        assert_eq!(resident, bits(&setup), "{device}: resident and streamed");
    }
}

/// Samples of 7 bytes in batches of 3: shards of bytes whose parts start anywhere but at whole words.
#[test]
fn odd_samples_are_streamed_like_any_other() {
    let mut random = galen::contract::Threefry::new(1, 2);
    let bytes = ndarray::Array2::from_shape_fn((101, 7), |_| random.below(256) as u8);
    let labels = Array1::from_shape_fn(101, |i| u32::from(bytes[[i, 3]] > 127));
    let data = Dataset::new(bytes, labels).expect("good data");
    for device in common::devices() {
        let train = |budget: Option<u64>| {
            let network = Sequential::new([7]).with(Dense::new(2).activation(Softmax));
            let setup = Setup::on(&device).memory_budget(budget);
            let loss = CategoricalCrossEntropy::new();
            let mut model = network.compile_on(&setup, Sgd::new(0.1).momentum(0.9), loss, &[]).expect("a model");
            let options = Fit::new().epochs(2).batch_size(3).verbose(false);
            model.prepare(&data, &options).expect("a plan");
            let (bytes, told) = (model.memory_bytes(), model.describe_memory());
            model.fit(&data, &options).expect("a training");
            (bytes, told, parameters(&mut model))
        };
        let (bytes, _, resident) = train(None);
        let (_, told, streamed) = train(Some(bytes - 200));
        assert!(told.contains("data streamed"), "{told}");
        assert_eq!(resident, streamed, "{device}");
    }
}

/// The same bytes, scaled in two ways, in turns: each has its own numbers, every time.
#[test]
fn data_that_differs_in_its_scaling_alone_is_told_apart() {
    let data = bars(40);
    let doubled =
        Dataset::scaled(data.features().clone(), data.targets().clone(), 2.0 / 255.0, -0.5).expect("good data");
    for device in common::devices() {
        let mut model = model(&Setup::on(&device));
        let a = model.evaluate(&data).expect("numbers");
        let b = model.evaluate(&doubled).expect("numbers");
        assert_ne!(a, b);
        assert_eq!(a, model.evaluate(&data).expect("numbers"), "{device}");
        assert_eq!(b, model.evaluate(&doubled).expect("numbers"), "{device}");
    }
}

/// A layer that does nothing, but wishes that the training stop as soon as it is built for a validation.
#[derive(Debug)]
struct StopAtValidation {
    armed: std::sync::Arc<std::sync::atomic::AtomicBool>,
    interrupt: Interrupt,
}

impl galen::nn::Layer for StopAtValidation {
    fn kind(&self) -> &'static str {
        "stop_at_validation"
    }

    fn build(&self, ctx: &galen::nn::BuildCtx, x: &galen::Var) -> galen::Result<galen::Var> {
        if ctx.mode == galen::nn::Mode::Infer && self.armed.load(std::sync::atomic::Ordering::Relaxed) {
            self.interrupt.stop();
        }
        Ok(x.clone())
    }
}

#[test]
fn a_wish_to_stop_is_heard_during_validation() {
    let (armed, interrupt) = (std::sync::Arc::default(), Interrupt::new());
    let layer = StopAtValidation { armed: std::sync::Arc::clone(&armed), interrupt: interrupt.clone() };
    let network = network().with(layer);
    let loss = CategoricalCrossEntropy::new();
    let mut model = network.compile_on(&Setup::on(&cpu()), Adam::default(), loss, &[]).expect("a model");
    armed.store(true, std::sync::atomic::Ordering::Relaxed);
    let options = fit(5).validation(&bars(64)).interrupt(&interrupt);
    let history = model.fit(&bars(32), &options).expect("what it has");
    assert!(history.interrupted);
    assert_eq!((history.epochs.len(), history.epochs[0].val_loss), (1, None), "half a validation is none");
}

/// A budget that the data does not fit into, but everything else does; it is checked that the model then streams.
fn streaming_budget(device: &Device) -> u64 {
    let mut probe = model(&Setup::on(device));
    probe.prepare(&bars(100), &fit(1)).expect("a plan");
    assert!(probe.describe_memory().contains("data resident"));
    let total = probe.memory_bytes();
    let budget = total - 3000;
    let mut streamed = model(&Setup::on(device).memory_budget(Some(budget)));
    streamed.prepare(&bars(100), &fit(1)).expect("a plan");
    assert!(streamed.describe_memory().contains("data streamed"), "{}", streamed.describe_memory());
    budget
}

const CHILD: &str = "GALEN_TEST_PRINT_PARAMETERS_OF";

/// Run by [`two_processes_give_the_same_bits`] in another process; does nothing otherwise.
#[test]
fn print_parameters() {
    if let Ok(name) = std::env::var(CHILD) {
        let device = common::devices().into_iter().find(|d| d.name() == name).expect("the device");
        println!("bits {:?}", bits(&Setup::on(&device)));
    }
}

#[test]
fn two_processes_give_the_same_bits() {
    for device in common::devices() {
        let exe = std::env::current_exe().expect("this binary");
        let output = Command::new(exe)
            .args(["--exact", "print_parameters", "--nocapture"])
            .env(CHILD, device.name())
            .output()
            .expect("a child");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains(&format!("bits {:?}", bits(&Setup::on(&device)))), "{device}: {text}");
    }
}

/// The handbook's convolutional network on noise images: GPU and CPU, same seed, same batches.
#[test]
fn the_first_50_losses_of_the_gpu_are_those_of_the_cpu() {
    let Some(gpu) = common::gpu() else { return };
    let mut random = galen::contract::Threefry::new(5, 6);
    let n = 50 * 32;
    let labels: Vec<u32> = (0..n).map(|_| random.below(10)).collect();
    let images = Array4::from_shape_fn((n, 1, 28, 28), |(i, _, r, c)| {
        (random.below(60) as u8) + if (r + c) % 10 == labels[i] as usize { 150 } else { 0 }
    });
    let data = Dataset::new(images, Array1::from(labels)).expect("good data");
    let losses = |device: &Device| -> History {
        let network = Sequential::new([1, 28, 28])
            .with(Conv2d::new(32, [3, 3]).activation(Relu))
            .with(MaxPool2d::new([2, 2]))
            .with(Flatten)
            .with(Dense::new(10).activation(Softmax));
        let loss = CategoricalCrossEntropy::new();
        let mut model = network.compile_on(&Setup::on(device), Adam::default(), loss, &[]).expect("a model");
        assert_eq!(model.summary().expect("a summary").parameters(), 54_410);
        model.fit(&data, &Fit::new().verbose(false)).expect("a training")
    };
    let (a, b) = (losses(gpu), losses(&cpu()));
    let (a, b) = (&a.epochs[0].step_losses, &b.epochs[0].step_losses);
    assert_eq!((a.len(), b.len()), (50, 50));
    assert!(b[49] < b[0] / 2.0, "the network must have learned something: {b:?}");
    for (step, (a, b)) in a.iter().zip(b).enumerate() {
        let close = (a - b).abs() <= 1e-3 * b.abs();
        assert!(close, "step {step}: GPU {a}, CPU {b}");
    }
}

/// A card has tiles, in which a convolution and the batch normalisation after it are one op; an adapter in software has neither. Both
/// follow the CPU.
#[test]
fn batch_normalised_losses_of_the_gpu_are_those_of_the_cpu_in_both_of_its_forms() {
    let Some(gpu) = common::own_gpu() else { return };
    let mut random = galen::contract::Threefry::new(6, 6);
    let (n, batch) = (8 * 32, 32);
    let labels: Vec<u32> = (0..n).map(|_| random.below(10)).collect();
    let images = Array4::from_shape_fn((n, 1, 20, 20), |(i, _, r, c)| {
        (random.below(60) as u8) + if (r + c) % 10 == labels[i] as usize { 150 } else { 0 }
    });
    let data = Dataset::new(images, Array1::from(labels)).expect("good data");
    let losses = |device: &Device| -> Vec<f32> {
        let network = Sequential::new([1, 20, 20])
            .with(Conv2d::new(12, [3, 3]).padding(Padding::Same))
            .with(BatchNorm::new())
            .with(Activate(Relu))
            .with(MaxPool2d::new([2, 2]))
            .with(Conv2d::new(8, [3, 3]))
            .with(BatchNorm::new())
            .with(Flatten)
            .with(Dense::new(10).activation(Softmax));
        let loss = CategoricalCrossEntropy::new();
        let mut model = network.compile_on(&Setup::on(device), Adam::default(), loss, &[]).expect("a model");
        let history = model.fit(&data, &Fit::new().epochs(3).batch_size(batch).verbose(false)).expect("a training");
        let joined = model.plan().is_some_and(|plan| plan.steps.iter().any(|step| step.op.name() == "conv_norm"));
        assert_eq!(joined, device.gpu_traits().is_some_and(|traits| !traits.software), "{device}");
        history.epochs.iter().flat_map(|epoch| epoch.step_losses.clone()).collect()
    };
    let expected = losses(&cpu());
    assert!(expected[23] < expected[0] / 2.0, "the network must have learned something: {expected:?}");
    for software in [true, false] {
        let found = losses(&gpu.with_gpu_traits(GpuTraits { software }));
        assert_eq!(found.len(), expected.len());
        for (step, (a, b)) in found.iter().zip(&expected).enumerate() {
            assert!((a - b).abs() <= 2e-3 * b.abs(), "software {software}, step {step}: GPU {a}, CPU {b}");
        }
    }
}

#[test]
fn a_step_asks_nothing_of_the_host() {
    let Some(gpu) = common::gpu() else { return };
    // A device of its own: other tests count on the shared one.
    let gpu = Device::named(&gpu.name()).expect("the adapter again");
    let mut model = model(&Setup::on(&gpu));
    let data = bars(100);
    model.fit(&data, &fit(2)).expect("a training");
    let before = gpu.stats();
    let epochs = 5;
    model.fit(&data, &fit(epochs)).expect("a training");
    let after = gpu.stats();
    let steps = 7 * epochs as u64;
    assert_eq!(after.buffers, before.buffers, "no allocation");
    assert_eq!(after.bind_groups, before.bind_groups, "no bind group");
    assert_eq!(after.pipelines, before.pipelines, "no pipeline");
    assert_eq!(after.uploads - before.uploads, epochs as u64, "one upload of order and learning rates per epoch");
    assert_eq!(after.readbacks - before.readbacks, epochs as u64, "one awaited readback per epoch");
    assert!(after.submissions - before.submissions <= steps + 2 * steps, "{after:?}");
    assert!(after.dispatches > before.dispatches);
}

#[test]
fn a_diverging_training_names_the_node_and_keeps_the_parameters() {
    for device in common::devices() {
        let mut model = model(&Setup::on(&device));
        model.fit(&bars(64), &fit(1)).expect("a training");
        // An infinite weight makes the convolution's output infinite in the first step.
        let kernel = Tensor::f32([4, 1, 3, 3], vec![f32::MAX; 36]).expect("a tensor");
        model.set_parameter("conv2d/kernel", &kernel).expect("set");
        let before = parameters(&mut model);
        match model.fit(&bars(64), &fit(1)) {
            Err(Error::NotFinite { epoch: 2, step: 1, first_bad }) => {
                assert!(first_bad.contains("conv2d"), "{device}: {first_bad}");
            }
            other => panic!("{device}: {other:?}"),
        }
        assert!(model.history().epochs.is_empty(), "{device}: the bad epoch is not recorded");
        assert_eq!(before, parameters(&mut model), "{device}: the parameters are those before the bad step");
        // Mended, it trains on.
        let kernel = Tensor::f32([4, 1, 3, 3], (0..36).map(|i| (i as f32 - 18.0) / 60.0).collect()).expect("a tensor");
        model.set_parameter("conv2d/kernel", &kernel).expect("set");
        model.fit(&bars(64), &fit(1)).expect("a training");
    }
}

#[test]
fn a_wish_to_stop_ends_a_training_soon_and_cleanly() {
    for device in common::devices() {
        let mut model = model(&Setup::on(&device));
        let data = bars(100);
        let before = model.evaluate(&data).expect("numbers").loss;
        let interrupt = Interrupt::new();
        let wish = interrupt.clone();
        let stopper = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(1500));
            wish.stop();
            std::time::Instant::now()
        });
        let history = model.fit(&data, &fit(1_000_000).interrupt(&interrupt)).expect("what it has");
        let late = stopper.join().expect("the stopper").elapsed();
        assert!(history.interrupted && !history.epochs.is_empty(), "{device}");
        assert!(late.as_secs_f64() < 1.0, "{device}: {late:?} after the wish");
        assert!(model.evaluate(&data).expect("numbers").loss < before, "{device}: the parameters are usable");
    }
}

#[test]
fn fit_goes_on_where_it_stopped() {
    for device in common::devices() {
        let (mut once, mut twice) = (model(&Setup::on(&device)), model(&Setup::on(&device)));
        once.fit(&bars(100), &fit(3)).expect("a training");
        twice.fit(&bars(100), &fit(1)).expect("a training");
        twice.fit(&bars(100), &fit(2)).expect("a training");
        assert_eq!(parameters(&mut once), parameters(&mut twice), "{device}");
    }
}

#[test]
fn logits_and_softmax_labels_and_one_hot_rows_are_the_same_training() {
    let data = bars(64);
    let Some(Tensor::U32(labels)) = data.targets().tensor() else { panic!("class indices") };
    let one_hot = ndarray::Array2::from_shape_fn((64, 4), |(i, c)| f32::from(u8::from(labels[i] as usize == c)));
    let hot = Dataset::new(data.features().clone(), one_hot).expect("good data");
    let train = |softmax: bool, data: &Dataset| {
        let last = if softmax { Dense::new(4).activation(Softmax) } else { Dense::new(4) };
        let network = Sequential::new([1, 8, 8]).with(Flatten).with(last);
        let plain = CategoricalCrossEntropy::new();
        let loss = if softmax { plain } else { plain.from_logits() };
        let mut model = network.compile_on(&Setup::on(&cpu()), Adam::default(), loss, &[]).expect("a model");
        model.fit(data, &fit(2)).expect("a training");
        parameters(&mut model)
    };
    let reference = train(true, &data);
    assert_eq!(reference, train(false, &data), "softmax at the end, and logits");
    assert_eq!(reference, train(true, &hot), "class indices, and one-hot rows");
}

#[test]
fn parameters_go_to_a_file_and_back() {
    let path = std::env::temp_dir().join(format!("galen-{}.safetensors", std::process::id()));
    let mut trained = model(&Setup::on(&cpu()));
    trained.fit(&bars(64), &fit(1)).expect("a training");
    trained.save(&path).expect("a file");
    let mut fresh = model(&Setup::on(&cpu()).seed(9));
    fresh.load(&path).expect("the same model");
    assert_eq!(parameters(&mut trained), parameters(&mut fresh));
    let network = Sequential::new([3]).with(Dense::new(2));
    let mut other =
        network.compile_on(&Setup::on(&cpu()), Sgd::default(), MeanSquaredError::new(), &[]).expect("a model");
    assert!(matches!(other.load(&path), Err(Error::Format { .. })), "another model's file");
    let bytes = std::fs::read(&path).expect("the file");
    std::fs::write(&path, &bytes[..bytes.len() / 2]).expect("half a file");
    let before = parameters(&mut fresh);
    assert!(matches!(fresh.load(&path), Err(Error::Format { .. })), "half a file");
    assert_eq!(before, parameters(&mut fresh));
    std::fs::remove_file(&path).expect("removed");
}
