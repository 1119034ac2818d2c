//! The networks that are measured.

use galen::nn::models::UNet2d;
use galen::nn::{Activate, BatchNorm, BuildCtx, Conv1d, Layer, MaxPool1d};
use galen::prelude::*;
use galen::{Result, Var};

/// W1, batch 32: 784 → 32 relu → 10 softmax.
pub fn dense() -> Sequential {
    Sequential::new([784]).with(Dense::new(32).activation(Relu)).with(Dense::new(10).activation(Softmax))
}

/// W2, batch 32: the network of `mnist_cnn`.
pub fn handbook_cnn() -> Sequential {
    Sequential::new([1, 28, 28])
        .with(Conv2d::new(32, [3, 3]).activation(Relu))
        .with(MaxPool2d::new([2, 2]))
        .with(Flatten)
        .with(Dense::new(10).activation(Softmax))
}

/// W3, batch 64: twice two convolutions with batch normalisation and pooling, 32 and 64 channels; dense 128, dropout, dense 10.
pub fn batch_norm_cnn() -> Sequential {
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
pub fn u_net() -> Sequential {
    Sequential::new([1, 64, 64]).with(UNet2d::new(1).depth(2).width(16).without_norm().activation(Sigmoid))
}

/// W5, batch 64: a convolution and three residual blocks on 187 samples of a signal, dense 32, dense 5.
pub fn residual_1d() -> Sequential {
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

    fn build(&self, ctx: &BuildCtx, x: &Var) -> Result<Var> {
        let y = ctx.layer(&conv5().activation(Relu), x)?;
        ctx.layer(&conv5(), &y)?.add(x)?.relu()
    }
}
