//! A network for every kind of layer, and data for it.

use galen::contract::Threefry;
use galen::data::Dataset;
use galen::nn::models::{Mlp, ResNet1d, ResNet18, SequenceModel, SmallCnn, TransformerEncoder, UNet2d, UNet3d};
use galen::nn::{
    Activate, AdaptiveAvgPool2d, AdaptiveMaxPool1d, AlphaDropout, AvgPool1d, BatchNorm, Bidirectional, BuildCtx,
    ClassToken, Conv1d, ConvTranspose2d, Cropping2d, DepthwiseConv2d, Embedding, FirstInTime, GaussianDropout,
    GaussianNoise, GlobalAvgPool, GlobalMaxPool, GroupNorm, Gru, Initializer, InstanceNorm, Interpolation, Layer,
    LayerNorm, LearnedPositions, Lstm, MultiHeadAttention, PRelu, PatchEmbedding, Penalty, Permute, Recurrent, Reshape,
    SeparableConv2d, SimpleRnn, SinusoidalPositions, SpatialDropout, TransformerDecoderBlock, TransformerEncoderBlock,
    UpSampling2d, ZeroPadding2d,
};
use galen::ops::masked_softmax::AttentionMask;
use galen::prelude::*;
use galen::{DType, Result, Shape, Tensor, Var};

/// Any network: they are in one list.
#[derive(Debug)]
pub struct Any(Box<dyn Network>);

impl Any {
    pub fn of(network: impl Network + 'static) -> Any {
        Any(Box::new(network))
    }
}

impl Network for Any {
    fn inputs(&self) -> Vec<Input> {
        self.0.inputs()
    }

    fn build(&self, ctx: &BuildCtx, inputs: &[Var]) -> Result<Vec<Var>> {
        self.0.build(ctx, inputs)
    }
}

fn noise(shape: &Shape, n: usize, stream: u32) -> (Vec<usize>, Threefry, usize) {
    let mut all = vec![n];
    all.extend_from_slice(shape);
    let count = Shape::from(all.clone()).elements();
    (all, Threefry::new(11, stream), count)
}

/// `n` samples of noise for every input.
pub fn features(network: &Any, n: usize) -> Vec<Tensor> {
    let one = |input: &Input| {
        let (shape, mut random, count) = noise(&input.shape, n, 7);
        match input.dtype {
            DType::U32 => Tensor::u32(shape, (0..count).map(|_| random.below(input.limit.unwrap_or(5))).collect()),
            _ => Tensor::f32(shape, (0..count).map(|_| random.normal()).collect()),
        }
    };
    network.inputs().iter().map(|input| one(input).expect("features")).collect()
}

/// `n` samples of noise, and something to aim at for every output.
pub fn dataset(network: &Any, n: usize) -> Result<Dataset> {
    let target = |shape: &Shape| {
        let (shape, mut random, count) = noise(shape, n, 8);
        Tensor::f32(shape, (0..count).map(|_| random.normal()).collect()).expect("targets")
    };
    let mut features = features(network, n).into_iter();
    let outputs = network.summary()?.outputs;
    let first = features.next().expect("an input");
    let data = Dataset::new(first, target(&outputs[0]))?;
    let data = features.try_fold(data, |data, x| data.with_input(x))?;
    outputs[1..].iter().try_fold(data, |data, shape| data.with_target(target(shape)))
}

/// A layer of one's own, of ops: `y = x · tanh(s · x + c)`, with a table of constants, some of them not finite, and a penalty.
#[derive(Debug)]
struct Own;

impl Layer for Own {
    fn kind(&self) -> &'static str {
        "own"
    }

    fn build(&self, ctx: &BuildCtx, x: &Var) -> Result<Var> {
        let graph = x.graph();
        let width = x.shape()[1];
        let s = ctx.parameter(graph, "s", [width], galen::graph::Init::Uniform(-0.5, 0.1))?;
        let table = graph.constant(
            [2, width],
            (0..2 * width).map(|i| if i < width { 0.1 * i as f32 } else { f32::INFINITY }).collect::<Vec<_>>(),
        )?;
        let c = table.slice(&[(0, 1), (0, width)])?;
        let y = graph.in_layer("gate", || x.mul(&s)?.add(&c)?.tanh())?;
        ctx.penalise_activity(&y, Penalty::l1_l2(0.01, 0.1))?;
        y.mul(x)
    }
}

fn convolutions() -> Sequential {
    let conv = |filters| Conv2d::new(filters, [3, 3]).padding(Padding::Same);
    Sequential::new([2, 8, 8])
        .with(ZeroPadding2d::around(1))
        .with(conv(4).without_bias().kernel_regularizer(Penalty::l2(0.01)).kernel_max_norm(1.5))
        .with(BatchNorm::new().momentum(0.8))
        .with(Activate(Relu))
        .with(Cropping2d::around(1))
        .with(SpatialDropout::new(0.2))
        .with(MaxPool2d::new([2, 2]))
        .with(DepthwiseConv2d::new([3, 3]).padding(Padding::Same))
        .with(GroupNorm::new(2))
        .with(SeparableConv2d::new(4, [3, 3]).padding(Padding::Same))
        .with(InstanceNorm::new())
        .with(PRelu::new())
        .with(ConvTranspose2d::new(3, [2, 2]).stride([2, 2]))
        .with(UpSampling2d::new([2, 2]).interpolation(Interpolation::Linear))
        .with(AvgPool2d::new([2, 2]))
        .with(AdaptiveAvgPool2d::new([3, 3]))
        .with(GlobalMaxPool::new())
        .with(LayerNorm::new())
        .with(GaussianNoise::new(0.1))
        .with(GaussianDropout::new(0.1))
        .with(AlphaDropout::new(0.1))
        .with(Own)
        .named(
            "head",
            Block::new().with(Dense::new(5).activation(Relu)).with(BatchNorm::new().frozen()).with(Dense::new(2)),
        )
}

fn recurrent() -> Sequential {
    Sequential::new(Input::tokens([7]).below(11))
        .with(Embedding::new(11, 6).padding(0))
        .with(Bidirectional::new(Lstm::new(4).return_sequences()))
        .with(Gru::new(4).return_sequences().go_backwards())
        .with(Permute::new([2, 1]))
        .with(Conv1d::new(3, [3]).causal())
        .with(AvgPool1d::new([2]))
        .with(AdaptiveMaxPool1d::new([2]))
        .with(Permute::new([2, 1]))
        .with(SimpleRnn::new(3).return_sequences())
        .with(Reshape::new([6]))
        .with(Dense::new(2).kernel_initializer(Initializer::Orthogonal(1.0)))
}

/// Visits of several lengths.
fn with_lengths() -> Functional {
    let inputs = [Input::new([6, 3]).named("visits"), Input::lengths(6).named("lengths")];
    Functional::many(inputs, |ctx, x| {
        let (visits, lengths) = (&x[0], &x[1]);
        let lstm = Lstm::new(4).return_sequences();
        let states = ctx.block("first", visits.graph(), |ctx| lstm.build_with_lengths(ctx, visits, lengths))?;
        let last = ctx.block("second", visits.graph(), |ctx| Gru::new(3).build_with_lengths(ctx, &states, lengths))?;
        Ok(vec![ctx.layer(&Dense::new(2), &last)?])
    })
}

fn attention() -> Functional {
    let inputs =
        [Input::new([5, 8]).named("x"), Input::new([4, 8]).named("memory"), Input::lengths(5).named("lengths")];
    Functional::many(inputs, |ctx, x| {
        let x0 = ctx.layer(&SinusoidalPositions::new().scaled(), &x[0])?;
        let x0 = ctx.layer(&LearnedPositions::new(7), &x0)?;
        let mask = AttentionMask::default().lengths(&x[2]);
        let a = ctx.block("attention", x0.graph(), |ctx| {
            MultiHeadAttention::new(2, 4).dropout(0.2).causal().build_with(ctx, &x0, &x0, &mask)
        })?;
        let b = ctx.block("encoder", x0.graph(), |ctx| {
            TransformerEncoderBlock::new(2, 12).dropout(0.1).build_with(ctx, &a, &mask)
        })?;
        let c = ctx.block("decoder", x0.graph(), |ctx| {
            TransformerDecoderBlock::new(2, 12).build_with(ctx, &b, &x[1], &AttentionMask::default())
        })?;
        let d = ctx.layer(&ClassToken, &c)?;
        let d = ctx.layer(&FirstInTime, &d)?;
        Ok(vec![ctx.layer(&Dense::new(3), &d)?])
    })
}

fn patches() -> Sequential {
    Sequential::new([1, 8, 8])
        .with(PatchEmbedding::new([4, 4], 6))
        .with(Permute::new([2, 1]))
        .with(GlobalAvgPool::new())
        .with(Dense::new(2))
}

/// Two inputs, two outputs; a layer with a normalisation and dropout that is built twice.
fn shared() -> Functional {
    let inputs = [Input::new([4]).named("a"), Input::new([4]).named("b")];
    Functional::many(inputs, |ctx, x| {
        let tower = Mlp::new([6], 5).dropout(0.3);
        let norm = BatchNorm::new();
        let [a, b] = [&x[0], &x[1]].map(|x| ctx.shared("tower", &tower, x).and_then(|y| ctx.shared("norm", &norm, &y)));
        let (a, b) = (a?, b?);
        let both = Var::concat(&[&a, &b], 1)?;
        let norms = ctx.layer(&Block::new().with(BatchNorm::new()).with(BatchNorm::new()), &both)?;
        Ok(vec![ctx.named("sign", &Dense::new(2), &norms)?, ctx.named("sum", &Dense::new(1), &a.sub(&b)?)?])
    })
}

/// Makes a network.
pub type Make = fn() -> Any;

/// Every network of the list, made anew by its function.
pub fn all() -> Vec<(&'static str, Make)> {
    vec![
        ("mlp", || Any::of(Sequential::new([5]).with(Mlp::new([7, 4], 3).activation(Tanh).dropout(0.2)))),
        ("small_cnn", || {
            Any::of(Sequential::new([1, 8, 8]).with(SmallCnn::new(3).widths([3, 4]).dense(6).dropout(0.3)))
        }),
        ("resnet18", || Any::of(Sequential::new([2, 16, 16]).with(ResNet18::new(3).width(2).dropout(0.2)))),
        ("resnet1d", || Any::of(Sequential::new([2, 24]).with(ResNet1d::new(3).width(3).blocks(3).kernel(3)))),
        ("unet2d", || Any::of(Sequential::new([1, 8, 12]).with(UNet2d::new(2).depth(2).width(2)))),
        ("unet3d", || Any::of(Sequential::new([1, 4, 4, 8]).with(UNet3d::new(1).depth(2).width(2).without_norm()))),
        ("lstm", || Any::of(Sequential::new([6, 3]).with(SequenceModel::lstm(4, 2).layers(2).dropout(0.2)))),
        ("gru", || {
            Any::of(Sequential::new(Input::tokens([6])).with(SequenceModel::gru(4, 2).tokens(5).bidirectional()))
        }),
        ("transformer", || Any::of(Sequential::new([5, 3]).with(TransformerEncoder::new(2, 8, 2, 3).feed_forward(12)))),
        ("convolutions", || Any::of(convolutions())),
        ("recurrent", || Any::of(recurrent())),
        ("with_lengths", || Any::of(with_lengths())),
        ("attention", || Any::of(attention())),
        ("patches", || Any::of(patches())),
        ("shared", || Any::of(shared())),
    ]
}
