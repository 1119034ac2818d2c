//! Pooling, resizing, and the layers that change a sample's layout.

use galen::contract::{OpDef, Padding, Window};
use galen::nn::*;
use galen::ops::adaptive_avg_pool::{AdaptiveAvgPool as AdaptiveAvg, AdaptiveAvgPoolGrad};
use galen::ops::adaptive_max_pool::AdaptiveMaxPoolGrad;
use galen::ops::avg_pool::AvgPoolGrad;
use galen::ops::max_pool::{MaxPool as MaxPoolOp, MaxPoolGrad, PoolOptions};
use galen::ops::resize::{Resize, ResizeGrad};
use galen::{DType, Graph, TensorSpec, Var};

use super::says;

/// An input of this shape, named after it.
fn input(graph: &Graph, shape: &[usize]) -> Var {
    graph.input(&format!("{shape:?}"), shape, DType::F32).expect("an input")
}

/// The outputs of a model of this layer alone.
fn alone(sample: &[usize], layer: impl Layer + 'static) -> galen::Result<Summary> {
    Sequential::new(sample).with(layer).summary()
}

#[test]
fn windows_that_do_not_fit_are_refused() {
    let graph = Graph::new();
    let new = |shape: &[usize]| input(&graph, shape);
    let (line, image, volume) = (new(&[2, 3, 5]), new(&[2, 3, 5, 6]), new(&[2, 3, 4, 5, 6]));
    let (o1, o2, o3) = (PoolOptions::new([2]), PoolOptions::new([2, 2]), PoolOptions::new([2, 2, 2]));
    // Ranks.
    says(line.max_pool2d(o2), &["max_pool", "2 spatial axes", "[2, 3, 5]"]);
    says(image.max_pool1d(o1), &["max_pool", "one spatial axis", "[2, 3, 5, 6]"]);
    says(image.avg_pool3d(o3, true), &["avg_pool", "3 spatial axes", "[2, 3, 5, 6]"]);
    says(new(&[2, 3]).avg_pool1d(o1, true), &["avg_pool", "spatial axes", "[2, 3]"]);
    // Windows.
    says(line.max_pool1d(PoolOptions::new([6])), &["max_pool", "columns", "at most 5", "6"]);
    says(image.avg_pool2d(PoolOptions::new([6, 2]), false), &["avg_pool", "rows", "at most 5", "6"]);
    let padded = PoolOptions::new([7, 2, 2]).padding(Padding::around(1));
    says(volume.max_pool3d(padded), &["max_pool", "slices", "at most 6", "7"]);
    says(image.max_pool2d(PoolOptions::new([0, 2])), &["max_pool", "kernel", "[0, 2]"]);
    says(image.max_pool2d(o2.stride([1, 0])), &["max_pool", "stride", "[1, 0]"]);
    says(line.avg_pool1d(o1.stride([usize::MAX]), false), &["avg_pool", "stride"]);
    says(image.avg_pool2d(o2.padding(Padding::around(2)), false), &["avg_pool", "padding", "[2, 2]"]);
    says(line.max_pool1d(o1.padding(Padding::Explicit([[0, usize::MAX]]))), &["max_pool", "padded columns"]);
    // Element types.
    let ids = graph.input("ids", [2, 3, 5], DType::U32).expect("an input");
    says(ids.max_pool1d(o1), &["max_pool", "f32", "u32"]);
}

#[test]
fn pools_put_together_by_hand_are_checked_too() {
    let window = Window { kernel: [1, 2, 2], stride: [1, 2, 2], padding: [[0; 2]; 3], dilation: [1; 3] };
    let (y, positions) = (TensorSpec::f32([2, 3, 2, 3]), TensorSpec::u32([2, 3, 2, 3]));
    let grad = |input| MaxPoolGrad { window, input };
    grad([1, 4, 6]).infer(&[positions.clone(), y.clone()]).expect("shapes that fit");
    says(grad([1, 4, 8]).infer(&[positions.clone(), y.clone()]), &["max_pool_grad", "[2, 3, 2, 4]", "[2, 3, 2, 3]"]);
    says(grad([1, 4, 6]).infer(&[y.clone(), y.clone()]), &["max_pool_grad", "u32"]);
    says(grad([1, 4, 6]).infer(&[positions.clone(), TensorSpec::f32([2, 3])]), &["max_pool_grad", "spatial axes"]);
    let mean = AvgPoolGrad { window, count_include_pad: true, input: [1, 9, 6] };
    says(mean.infer(std::slice::from_ref(&y)), &["avg_pool_grad", "[2, 3, 4, 3]"]);
    // A window over rows where there are none.
    let op = MaxPoolOp { window: Window { padding: [[0; 2], [1, 0], [0; 2]], ..window } };
    says(op.infer(&[TensorSpec::f32([2, 3, 6])]), &["max_pool", "axes that", "[2, 3, 6]"]);
    // Gradients of what goes to a given size.
    let input = vec![4];
    says(
        ResizeGrad { input, interpolation: Interpolation::Linear }.infer(std::slice::from_ref(&y)),
        &["resize_grad", "[4]"],
    );
    says(
        AdaptiveAvgPoolGrad { input: vec![0, 4] }.infer(std::slice::from_ref(&y)),
        &["adaptive_avg_pool_grad", "[0, 4]"],
    );
    let other = TensorSpec::u32([2, 3, 2, 2]);
    says(AdaptiveMaxPoolGrad { input: vec![4, 4] }.infer(&[other, y]), &["adaptive_max_pool_grad", "[2, 3, 2, 2]"]);
}

#[test]
fn sizes_that_make_no_sense_are_refused() {
    let graph = Graph::new();
    let new = |shape: &[usize]| input(&graph, shape);
    let (line, image) = (new(&[2, 3, 5]), new(&[2, 3, 5, 6]));
    says(line.resize_nearest(&[0]), &["resize", "the size", "[0]"]);
    says(line.resize_linear(&[4, 4]), &["resize", "axis of f32[2, 3, 5]", "[4, 4]"]);
    says(image.resize_linear(&[4]), &["resize", "axis of f32[2, 3, 5, 6]", "[4]"]);
    says(image.resize_nearest(&[1 << 30, 1]), &["resize", "the size"]);
    says(image.resize_nearest(&[usize::MAX, usize::MAX]), &["resize", "the size"]);
    says(new(&[2, 3]).resize_nearest(&[]), &["resize", "spatial axes", "[2, 3]"]);
    says(new(&[1, 1, 1, 1, 1, 2]).resize_linear(&[1; 4]), &["resize", "one to three spatial axes"]);
    says(image.adaptive_avg_pool(&[0, 1]), &["adaptive_avg_pool", "the size", "[0, 1]"]);
    says(image.adaptive_avg_pool(&[1]), &["adaptive_avg_pool", "axis of f32[2, 3, 5, 6]", "[1]"]);
    says(image.adaptive_max_pool(&[1, 1, 1]), &["adaptive_max_pool", "axis of f32[2, 3, 5, 6]", "[1, 1, 1]"]);
    says(new(&[4]).adaptive_avg_pool(&[]), &["adaptive_avg_pool", "spatial axes", "[4]"]);
    let ids = graph.input("ids", [2, 3, 5], DType::U32).expect("an input");
    says(ids.resize_nearest(&[10]), &["resize", "f32", "u32"]);
    // What is as large as anything can be is only too large for memory.
    let huge = (1 << 30) - 1;
    let resize = Resize { output: vec![huge], interpolation: Interpolation::Linear };
    resize.infer(&[TensorSpec::f32([1, 1, 3])]).expect("a size below the limit");
    AdaptiveAvg { output: vec![huge] }.infer(&[TensorSpec::f32([1, 1, 3])]).expect("a size below the limit");
}

#[test]
fn layers_name_themselves_and_what_they_were_given() {
    says(alone(&[3, 5], MaxPool2d::new([2, 2])), &["layer \"max_pool2d\"", "[1, 3, 5]"]);
    says(alone(&[3, 5], AvgPool1d::new([6])), &["layer \"avg_pool1d\"", "at most 5"]);
    says(alone(&[3, 5, 5], AdaptiveAvgPool3d::new([1, 2, 2])), &["layer \"adaptive_avg_pool3d\"", "[1, 3, 5, 5]"]);
    says(alone(&[3, 5], AdaptiveMaxPool1d::new([0])), &["layer \"adaptive_max_pool1d\"", "[0]"]);
    says(alone(&[3], GlobalAvgPool::new()), &["global_avg_pool", "spatial axes", "[1, 3]"]);
    says(alone(&[3], GlobalMaxPool::new()), &["global_max_pool", "spatial axes", "[1, 3]"]);
    says(alone(&[3, 5], UpSampling1d::new([0])), &["up_sampling1d", "factor", "[0]"]);
    says(alone(&[3, 5], UpSampling1d::new([usize::MAX])), &["up_sampling1d", "the size"]);
    says(alone(&[3, 5], UpSampling2d::new([2, 2])), &["up_sampling2d", "2 spatial axes", "[1, 3, 5]"]);
    says(alone(&[3, 5], ZeroPadding2d::around(1)), &["zero_padding2d", "2 spatial axes", "[1, 3, 5]"]);
    says(alone(&[3, 5], ZeroPadding1d::new([[1, usize::MAX]])), &["zero_padding1d", "2³²"]);
    says(alone(&[3, 5], Cropping1d::new([[3, 2]])), &["cropping1d", "cropping", "[5]", "[[3, 2]]"]);
    says(alone(&[3, 5], Cropping1d::new([[1, usize::MAX]])), &["cropping1d", "cropping"]);
    says(alone(&[3, 5], Cropping3d::around(1)), &["cropping3d", "3 spatial axes", "[1, 3, 5]"]);
    says(alone(&[3, 5], Reshape::new([4, 4])), &["reshape", "15 elements", "[4, 4]"]);
    says(alone(&[3, 5], Reshape::new([Reshape::REST, 4])), &["reshape", "15 elements", "[REST, 4]"]);
    says(alone(&[3, 5], Reshape::new([Reshape::REST, 0])), &["reshape", "15 elements", "[REST, 0]"]);
    says(alone(&[3, 5], Reshape::new([Reshape::REST; 2])), &["reshape", "at most one REST"]);
    says(alone(&[3, 5], Reshape::new([1 << 63, 2, 15])), &["reshape", "15 elements"]);
    says(alone(&[6], Reshape::new([1, 1, 1, 1, 1, 6])), &["reshape", "at most 6 dimensions"]);
    for axes in [&[1][..], &[0, 1], &[1, 3], &[2, 2], &[1, 2, 3]] {
        says(alone(&[3, 5], Permute::new(axes)), &["permute", "1..3", &format!("{axes:?}")]);
    }
}
