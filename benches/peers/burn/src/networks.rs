//! The networks of W1 to W5. The last layer gives logits; the losses take them so (the stable form).

use burn::nn::conv::{Conv1d, Conv1dConfig, Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig};
use burn::nn::loss::{BinaryCrossEntropyLossConfig, CrossEntropyLossConfig};
use burn::nn::pool::{MaxPool1dConfig, MaxPool2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Dropout, DropoutConfig, Linear, LinearConfig};
use burn::nn::{PaddingConfig1d, PaddingConfig2d};
use burn::prelude::*;
use burn::tensor::activation::relu;

/// A network whose samples have `X - 1` dimensions, and targets `Y - 1`.
pub trait Network<const X: usize, const Y: usize>: Module {
    /// The mean loss of a batch, `[1]`.
    fn loss(&self, x: Tensor<X>, y: Tensor<Y, Int>) -> Tensor<1>;
}

/// Mean cross-entropy of logits `[batch, classes]` and labels `[batch]`.
fn cross_entropy(logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1> {
    CrossEntropyLossConfig::new().init(&logits.device()).forward(logits, labels)
}

fn same(channels: [usize; 2], device: &Device) -> Conv2d {
    Conv2dConfig::new(channels, [3, 3]).with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1)).init(device)
}

fn halve(x: Tensor<4>) -> Tensor<4> {
    MaxPool2dConfig::new([2, 2]).init().forward(x)
}

/// W1: 784, 32, 10.
#[derive(Module, Debug)]
pub struct DenseNet {
    hidden: Linear,
    output: Linear,
}

impl DenseNet {
    pub fn new(device: &Device) -> Self {
        Self { hidden: LinearConfig::new(784, 32).init(device), output: LinearConfig::new(32, 10).init(device) }
    }
}

impl Network<2, 1> for DenseNet {
    fn loss(&self, x: Tensor<2>, y: Tensor<1, Int>) -> Tensor<1> {
        cross_entropy(self.output.forward(relu(self.hidden.forward(x))), y)
    }
}

/// W2: one convolution, pooling, one dense layer.
#[derive(Module, Debug)]
pub struct Cnn {
    conv: Conv2d,
    output: Linear,
}

impl Cnn {
    pub fn new(device: &Device) -> Self {
        let conv = Conv2dConfig::new([1, 32], [3, 3]).init(device);
        Self { conv, output: LinearConfig::new(32 * 13 * 13, 10).init(device) }
    }
}

impl Network<4, 1> for Cnn {
    fn loss(&self, x: Tensor<4>, y: Tensor<1, Int>) -> Tensor<1> {
        cross_entropy(self.output.forward(halve(relu(self.conv.forward(x))).flatten(1, 3)), y)
    }
}

/// W3: four convolutions with batch normalisation, two dense layers with dropout between them.
#[derive(Module, Debug)]
pub struct DeepCnn {
    convs: Vec<Conv2d>,
    norms: Vec<BatchNorm>,
    hidden: Linear,
    dropout: Dropout,
    output: Linear,
}

impl DeepCnn {
    pub fn new(device: &Device) -> Self {
        Self {
            convs: [[1, 32], [32, 32], [32, 64], [64, 64]].map(|channels| same(channels, device)).into(),
            norms: [32, 32, 64, 64].map(|channels| BatchNormConfig::new(channels).init(device)).into(),
            hidden: LinearConfig::new(64 * 7 * 7, 128).init(device),
            dropout: DropoutConfig::new(0.5).init(),
            output: LinearConfig::new(128, 10).init(device),
        }
    }
}

impl Network<4, 1> for DeepCnn {
    fn loss(&self, mut x: Tensor<4>, y: Tensor<1, Int>) -> Tensor<1> {
        for (i, (conv, norm)) in self.convs.iter().zip(&self.norms).enumerate() {
            x = relu(norm.forward(conv.forward(x)));
            if i % 2 == 1 {
                x = halve(x);
            }
        }
        let x = self.dropout.forward(relu(self.hidden.forward(x.flatten(1, 3))));
        cross_entropy(self.output.forward(x), y)
    }
}

/// Two convolutions of the U-Net, ReLU after each.
#[derive(Module, Debug)]
pub struct Twice {
    first: Conv2d,
    second: Conv2d,
}

impl Twice {
    fn new([c_in, c_out]: [usize; 2], device: &Device) -> Self {
        Self { first: same([c_in, c_out], device), second: same([c_out, c_out], device) }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        relu(self.second.forward(relu(self.first.forward(x))))
    }
}

/// A step up in the U-Net, beside what came down.
#[derive(Module, Debug)]
pub struct Up {
    enlarge: ConvTranspose2d,
    convs: Twice,
}

impl Up {
    fn new(channels: [usize; 2], device: &Device) -> Self {
        let enlarge = ConvTranspose2dConfig::new(channels, [2, 2]).with_stride([2, 2]).init(device);
        Self { enlarge, convs: Twice::new(channels, device) }
    }

    fn forward(&self, x: Tensor<4>, skip: Tensor<4>) -> Tensor<4> {
        self.convs.forward(Tensor::cat(vec![self.enlarge.forward(x), skip], 1))
    }
}

/// W4: a U-Net of 16, 32 and 64 channels.
#[derive(Module, Debug)]
pub struct UNet {
    fine: Twice,
    middle: Twice,
    coarse: Twice,
    up_middle: Up,
    up_fine: Up,
    output: Conv2d,
}

impl UNet {
    pub fn new(device: &Device) -> Self {
        Self {
            fine: Twice::new([1, 16], device),
            middle: Twice::new([16, 32], device),
            coarse: Twice::new([32, 64], device),
            up_middle: Up::new([64, 32], device),
            up_fine: Up::new([32, 16], device),
            output: Conv2dConfig::new([16, 1], [1, 1]).init(device),
        }
    }
}

impl Network<4, 4> for UNet {
    fn loss(&self, x: Tensor<4>, y: Tensor<4, Int>) -> Tensor<1> {
        let fine = self.fine.forward(x);
        let middle = self.middle.forward(halve(fine.clone()));
        let coarse = self.coarse.forward(halve(middle.clone()));
        let logits = self.output.forward(self.up_fine.forward(self.up_middle.forward(coarse, middle), fine));
        BinaryCrossEntropyLossConfig::new().with_logits(true).init(&logits.device()).forward(logits, y)
    }
}

/// W5: three residual blocks of 1-D convolutions.
#[derive(Module, Debug)]
pub struct SignalNet {
    entry: Conv1d,
    blocks: Vec<[Conv1d; 2]>,
    hidden: Linear,
    output: Linear,
}

impl SignalNet {
    pub fn new(device: &Device) -> Self {
        let conv = |c_in| Conv1dConfig::new(c_in, 32, 5).with_padding(PaddingConfig1d::Explicit(2, 2)).init(device);
        Self {
            entry: conv(1),
            blocks: (0..3).map(|_| [conv(32), conv(32)]).collect(),
            // 187 samples become 92, 44 and 20.
            hidden: LinearConfig::new(32 * 20, 32).init(device),
            output: LinearConfig::new(32, 5).init(device),
        }
    }
}

impl Network<3, 1> for SignalNet {
    fn loss(&self, x: Tensor<3>, y: Tensor<1, Int>) -> Tensor<1> {
        let mut x = relu(self.entry.forward(x));
        for [first, second] in &self.blocks {
            let sum = second.forward(relu(first.forward(x.clone()))) + x;
            x = MaxPool1dConfig::new(5).with_stride(2).init().forward(relu(sum));
        }
        cross_entropy(self.output.forward(relu(self.hidden.forward(x.flatten(1, 2)))), y)
    }
}
