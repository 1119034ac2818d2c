//! Measures Burn: one JSON line per run.
//!
//! ```sh
//! cargo run --release -- --workload W2 --device cpu --steps 200 --warmup 20
//! ```
//!
//! `cpu` is the backend flex; `gpu` (feature `wgpu`) the backend wgpu on its default adapter, whatever that is
//! (`CUBECL_WGPU_DEFAULT_DEVICE=Cpu` takes a software Vulkan device). The batches are in the device's memory before the
//! first step. Adam 1e-3.

mod networks;

use bench_common::data::{self, BATCHES};
use bench_common::{Args, Measured, measure, processor, report, stop};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::TensorData;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use networks::{Cnn, DeepCnn, DenseNet, Network, SignalNet, UNet};

fn main() {
    let args = Args::parse();
    let (device, name) = device(&args.device);
    let measured = match args.workload.as_str() {
        "W1" => train(&args, DenseNet::new, &device.autodiff()),
        "W2" => train(&args, Cnn::new, &device.autodiff()),
        "W3" => train(&args, DeepCnn::new, &device.autodiff()),
        "W4" => train(&args, UNet::new, &device.autodiff()),
        "W5" => train(&args, SignalNet::new, &device.autodiff()),
        _ => kernel(&args, device),
    };
    report("burn", &name, "0.22.1", &args, measured);
}

/// The device of that name, and what it is.
fn device(name: &str) -> (Device, String) {
    match name {
        "cpu" => (Device::flex(), processor() + " (flex)"),
        #[cfg(feature = "wgpu")]
        "gpu" => {
            let device = Device::wgpu(Default::default());
            let name = format!("{device:?}");
            (device, name)
        }
        _ => stop("--device: cpu, or gpu where this program was built with --features wgpu"),
    }
}

fn train<const X: usize, const Y: usize, N: Network<X, Y>>(
    args: &Args,
    network: impl Fn(&Device) -> N,
    device: &Device,
) -> Measured {
    device.seed(0);
    let data = data::training(&args.workload).expect("the caller knows the workload");
    let x_shape: Vec<usize> = [&[data.batch], data.shape.as_slice()].concat();
    let y_shape = if Y == 1 { vec![data.batch] } else { x_shape.clone() };
    let batches: Vec<(Tensor<X>, Tensor<Y, Int>)> = (0..BATCHES)
        .map(|i| {
            let (x, y) = data.batch(i);
            let x = Tensor::from_data(TensorData::new(x.to_vec(), x_shape.clone()), device);
            (x, Tensor::from_data(TensorData::new(y.to_vec(), y_shape.clone()), device))
        })
        .collect();
    let mut batches = batches.iter().cycle();
    let mut optimizer = AdamConfig::new().with_epsilon(1e-7).init();
    let mut model = Some(network(device));
    let run = |count: usize| {
        let mut last = None;
        for (x, y) in batches.by_ref().take(count) {
            let current = model.take().expect("each step leaves a model behind");
            let loss = current.loss(x.clone(), y.clone());
            let gradients = GradientsParams::from_grads(loss.backward(), &current);
            model = Some(optimizer.step(1e-3, current, gradients));
            last = Some(loss);
        }
        last.expect("at least one step")
    };
    measure(args, run, |loss| f64::from(loss.into_scalar::<f32>()))
}

/// A workload of W6. The loss is the mean square of the results, so that a wrong or a skipped one shows.
fn kernel(args: &Args, device: Device) -> Measured {
    let Some(operands) = data::operands(&args.workload) else { stop("--workload: W1 to W5, matmulN or conv2d") };
    let mean_square = |result: Tensor<1>| f64::from(result.square().mean().into_scalar::<f32>());
    let first = |result: Tensor<1>| f64::from(result.slice([0..1]).into_scalar::<f32>());
    let flat = |tensor: Tensor<4>| tensor.flatten::<1>(0, 3);
    if args.workload == "conv2d" {
        let device = device.autodiff();
        let [x, w, dy] = [0, 1, 2].map(|i| {
            let (shape, elements) = &operands[i];
            Tensor::<4>::from_data(TensorData::new(elements.clone(), shape.clone()), &device)
        });
        let (x, w) = (x.require_grad(), w.require_grad());
        let step = || {
            let y = conv2d(x.clone(), w.clone(), None, ConvOptions::new([1, 1], [1, 1], [1, 1], 1));
            // The gradient of this sum with respect to y is dy.
            let gradients = (y.clone() * dy.clone()).sum().backward();
            let gradient = |of: &Tensor<4>| of.grad(&gradients).expect("x and w require gradients");
            [y.inner(), gradient(&x), gradient(&w)]
        };
        let run = |count: usize| (0..count).map(|_| step()).last().expect("at least one step");
        // All three are waited for.
        let wait = |results: [Tensor<4>; 3]| results.map(|result| first(flat(result)))[0];
        let mut measured = measure(args, run, wait);
        measured.loss = step().map(|result| mean_square(flat(result))).to_vec().into();
        return measured;
    }
    let [a, b] = [0, 1].map(|i| {
        let (shape, elements) = &operands[i];
        Tensor::<2>::from_data(TensorData::new(elements.clone(), shape.clone()), &device)
    });
    let step = || a.clone().matmul(b.clone());
    let run = |count: usize| (0..count).map(|_| step()).last().expect("at least one step");
    let mut measured = measure(args, run, |result| first(result.flatten(0, 1)));
    measured.loss = vec![mean_square(step().flatten(0, 1))].into();
    measured
}
