//! The networks that are trained, float32, with Adam at 1e-3, and their data.

use anyhow::{Result, bail};
use galen::nn::models::UNet2d;
use galen::nn::{Activate, BatchNorm, BuildCtx, Conv1d, Layer, MaxPool1d};
use galen::prelude::*;
use galen::train::Model;
use galen::{Result as GalenResult, Var};
use ndarray::{Array1, Axis};

use crate::{digits, synthetic};

/// What is trained, on what.
pub struct Workload {
    pub model: Model,
    pub batch: usize,
    /// The fewest steps that are timed together.
    pub least: usize,
    /// Steps that are measured where nobody says how many.
    pub steps: usize,
    data: fn(usize) -> Result<Dataset>,
}

impl Workload {
    /// The workload called `name`, on `device`.
    pub fn on(name: &str, device: &Device) -> Result<Workload> {
        let setup = Setup::on(device);
        let classes =
            |network: Sequential| network.compile_on(&setup, Adam::default(), CategoricalCrossEntropy::new(), &[]);
        let workload = |model, batch, least, steps, data| Workload { model, batch, least, steps, data };
        Ok(match name {
            "W1" => workload(classes(dense())?, 32, 250, 5_000, |n| real_digits(n, &[784])),
            "W2" => workload(classes(handbook_cnn())?, 32, 50, 500, |n| real_digits(n, &[1, 28, 28])),
            "W3" => workload(classes(batch_norm_cnn())?, 64, 5, 50, |n| real_digits(n, &[1, 28, 28])),
            "W4" => {
                let model = u_net().compile_on(&setup, Adam::default(), BinaryCrossEntropy::new(), &[])?;
                workload(model, 8, 5, 50, |n| Ok(synthetic::discs(n)?))
            }
            "W5" => workload(classes(residual_1d())?, 64, 10, 100, |n| Ok(synthetic::waves(n)?)),
            other => bail!("there is no training workload \"{other}\""),
        })
    }

    /// As many samples as `steps` steps take.
    pub fn data(&self, steps: usize) -> Result<Dataset> {
        (self.data)(steps * self.batch)
    }
}

/// W1, batch 32: 784 → 32 relu → 10 softmax.
fn dense() -> Sequential {
    Sequential::new([784]).with(Dense::new(32).activation(Relu)).with(Dense::new(10).activation(Softmax))
}

/// W2, batch 32: the network of `mnist_cnn`.
fn handbook_cnn() -> Sequential {
    Sequential::new([1, 28, 28])
        .with(Conv2d::new(32, [3, 3]).activation(Relu))
        .with(MaxPool2d::new([2, 2]))
        .with(Flatten)
        .with(Dense::new(10).activation(Softmax))
}

/// W3, batch 64: twice two convolutions with batch normalisation and pooling, 32 and 64 channels; dense 128, dropout, dense 10.
fn batch_norm_cnn() -> Sequential {
    let mut network = Sequential::new([1, 28, 28]);
    for filters in [32, 64] {
        for _ in 0..2 {
            let conv = Conv2d::new(filters, [3, 3]).padding(Padding::Same);
            network = network.with(conv).with(BatchNorm::new()).with(Activate(Relu));
        }
        network = network.with(MaxPool2d::new([2, 2]));
    }
    let network = network.with(Flatten).with(Dense::new(128).activation(Relu)).with(Dropout::new(0.5));
    network.with(Dense::new(10).activation(Softmax))
}

/// W4, batch 8: the U-Net on 64×64 images, 16, 32 and 64 channels, without normalisation, ending in a sigmoid.
fn u_net() -> Sequential {
    Sequential::new([1, 64, 64]).with(UNet2d::new(1).depth(2).width(16).without_norm().activation(Sigmoid))
}

/// W5, batch 64: a convolution and three residual blocks on 187 samples of a signal, dense 32, dense 5.
fn residual_1d() -> Sequential {
    let mut network = Sequential::new([1, 187]).with(conv5().activation(Relu));
    for _ in 0..3 {
        network = network.with(Residual).with(MaxPool1d::new([5]).stride([2]));
    }
    network.with(Flatten).with(Dense::new(32).activation(Relu)).with(Dense::new(5).activation(Softmax))
}

fn conv5() -> Conv1d {
    Conv1d::new(32, [5]).padding(Padding::Same)
}

/// `relu(conv(relu(conv(x))) + x)`, 32 channels, kernels of 5.
#[derive(Debug)]
struct Residual;

impl Layer for Residual {
    fn kind(&self) -> &'static str {
        "residual"
    }

    fn build(&self, ctx: &BuildCtx, x: &Var) -> GalenResult<Var> {
        let y = ctx.layer(&conv5().activation(Relu), x)?;
        ctx.layer(&conv5(), &y)?.add(x)?.relu()
    }
}

/// `n` real digits `[n, ..shape]`: the embedded ones, from the beginning again where they end.
fn real_digits(n: usize, shape: &[usize]) -> Result<Dataset> {
    let (mnist, _) = digits::load(false)?;
    let have = mnist.train_labels.len();
    let chosen: Vec<usize> = (0..n).map(|i| i % have).collect();
    let labels: Array1<u32> = chosen.iter().map(|&i| mnist.train_labels[i]).collect();
    let images = mnist.train_images.select(Axis(0), &chosen);
    Ok(Dataset::new(images.into_shape_with_order([&[n], shape].concat())?, labels)?)
}
