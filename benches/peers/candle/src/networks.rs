//! The networks of W1 to W4: each a function from a batch to its mean loss. The last layer gives logits.

use candle_core::{Result, Tensor};
use candle_nn::loss::{binary_cross_entropy_with_logit, cross_entropy};
use candle_nn::{
    BatchNormConfig, Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig, Module, ModuleT, VarBuilder,
    batch_norm, conv_transpose2d, conv2d, linear, ops,
};

/// The mean loss of inputs and targets.
pub type Loss = Box<dyn Fn(&Tensor, &Tensor) -> Result<Tensor>>;

fn same(c_in: usize, c_out: usize, vars: VarBuilder) -> Result<Conv2d> {
    conv2d(c_in, c_out, 3, Conv2dConfig { padding: 1, ..Default::default() }, vars)
}

/// W1: 784, 32, 10.
pub fn dense(vars: VarBuilder) -> Result<Loss> {
    let hidden = linear(784, 32, vars.pp("hidden"))?;
    let output = linear(32, 10, vars.pp("output"))?;
    Ok(Box::new(move |x, y| cross_entropy(&output.forward(&hidden.forward(x)?.relu()?)?, y)))
}

/// W2: one convolution, pooling, one dense layer.
pub fn cnn(vars: VarBuilder) -> Result<Loss> {
    let conv = conv2d(1, 32, 3, Default::default(), vars.pp("conv"))?;
    let output = linear(32 * 13 * 13, 10, vars.pp("output"))?;
    Ok(Box::new(move |x, y| {
        let x = conv.forward(x)?.relu()?.max_pool2d(2)?.flatten_from(1)?;
        cross_entropy(&output.forward(&x)?, y)
    }))
}

/// W3: four convolutions with batch normalisation, two dense layers with dropout between them.
pub fn deep_cnn(vars: VarBuilder) -> Result<Loss> {
    let blocks = [(1, 32), (32, 32), (32, 64), (64, 64)]
        .iter()
        .enumerate()
        .map(|(i, &(c_in, c_out))| {
            let norm = batch_norm(c_out, BatchNormConfig::default(), vars.pp(format!("norm{i}")))?;
            Ok((same(c_in, c_out, vars.pp(format!("conv{i}")))?, norm))
        })
        .collect::<Result<Vec<_>>>()?;
    let hidden = linear(64 * 7 * 7, 128, vars.pp("hidden"))?;
    let output = linear(128, 10, vars.pp("output"))?;
    Ok(Box::new(move |x, y| {
        let mut x = x.clone();
        for (i, (conv, norm)) in blocks.iter().enumerate() {
            x = norm.forward_t(&conv.forward(&x)?, true)?.relu()?;
            if i % 2 == 1 {
                x = x.max_pool2d(2)?;
            }
        }
        let x = ops::dropout(&hidden.forward(&x.flatten_from(1)?)?.relu()?, 0.5)?;
        cross_entropy(&output.forward(&x)?, y)
    }))
}

/// Two convolutions of the U-Net, ReLU after each.
struct Twice([Conv2d; 2]);

impl Twice {
    fn new(c_in: usize, c_out: usize, vars: VarBuilder) -> Result<Self> {
        Ok(Self([same(c_in, c_out, vars.pp("first"))?, same(c_out, c_out, vars.pp("second"))?]))
    }
}

impl Module for Twice {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let [first, second] = &self.0;
        second.forward(&first.forward(x)?.relu()?)?.relu()
    }
}

/// A step up in the U-Net, beside what came down.
struct Up {
    enlarge: ConvTranspose2d,
    convs: Twice,
}

impl Up {
    fn new(c_in: usize, c_out: usize, vars: VarBuilder) -> Result<Self> {
        let config = ConvTranspose2dConfig { stride: 2, ..Default::default() };
        let enlarge = conv_transpose2d(c_in, c_out, 2, config, vars.pp("enlarge"))?;
        Ok(Self { enlarge, convs: Twice::new(c_in, c_out, vars)? })
    }

    fn forward(&self, x: &Tensor, skip: &Tensor) -> Result<Tensor> {
        self.convs.forward(&Tensor::cat(&[&self.enlarge.forward(x)?, skip], 1)?)
    }
}

/// W4: a U-Net of 16, 32 and 64 channels.
pub fn unet(vars: VarBuilder) -> Result<Loss> {
    let fine = Twice::new(1, 16, vars.pp("fine"))?;
    let middle = Twice::new(16, 32, vars.pp("middle"))?;
    let coarse = Twice::new(32, 64, vars.pp("coarse"))?;
    let up_middle = Up::new(64, 32, vars.pp("up_middle"))?;
    let up_fine = Up::new(32, 16, vars.pp("up_fine"))?;
    let output = conv2d(16, 1, 1, Default::default(), vars.pp("output"))?;
    Ok(Box::new(move |x, y| {
        let fine = fine.forward(x)?;
        let middle = middle.forward(&fine.max_pool2d(2)?)?;
        let coarse = coarse.forward(&middle.max_pool2d(2)?)?;
        let logits = output.forward(&up_fine.forward(&up_middle.forward(&coarse, &middle)?, &fine)?)?;
        binary_cross_entropy_with_logit(&logits, y)
    }))
}
