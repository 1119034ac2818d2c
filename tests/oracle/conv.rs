//! `conv.json` and `pool.json`: convolutions, pooling and resizing over one to three axes.

use galen::contract::Padding;
use galen::ops::conv::{ConvOptions, ConvTransposeOptions};
use galen::ops::max_pool::PoolOptions;
use galen::ops::resize::Interpolation;
use galen::{Result, Var};

use super::case::{Given, y};

pub fn outputs(op: &str, given: &Given<'_>) -> Result<Vec<(&'static str, Var)>> {
    let (x, w) = (given.var("x"), || given.var("w"));
    let found = match op {
        "conv1d" => x.conv1d(w(), &conv(given)),
        "conv3d" => x.conv3d(w(), &conv(given)),
        "conv_transpose1d" => x.conv_transpose1d(w(), &conv_transpose(given)),
        "conv_transpose2d" => x.conv_transpose2d(w(), &conv_transpose(given)),
        "conv_transpose3d" => x.conv_transpose3d(w(), &conv_transpose(given)),
        "separable_conv1d" => {
            let every = x.conv1d(given.var("depthwise"), &depthwise(given, x))?;
            every.conv1d(given.var("pointwise"), &ConvOptions::new())
        }
        "separable_conv2d" => {
            let every = x.conv2d(given.var("depthwise"), &depthwise(given, x))?;
            every.conv2d(given.var("pointwise"), &ConvOptions::new())
        }
        "max_pool1d" => return max_pool::<1>(given),
        "max_pool3d" => return max_pool::<3>(given),
        "avg_pool1d" => x.avg_pool1d(pool(given), given.flag("count_include_pad")),
        "avg_pool2d" => x.avg_pool2d(pool(given), given.flag("count_include_pad")),
        "avg_pool3d" => x.avg_pool3d(pool(given), given.flag("count_include_pad")),
        "adaptive_avg_pool" => x.adaptive_avg_pool(&given.wholes("output")),
        "adaptive_max_pool" => x.adaptive_max_pool(&given.wholes("output")),
        "resize" => x.resize(&given.wholes("output"), interpolation(given)),
        _ => panic!("the test does not know the op \"{op}\""),
    };
    Ok(y(found?))
}

fn max_pool<const N: usize>(given: &Given<'_>) -> Result<Vec<(&'static str, Var)>> {
    let (y, positions) = given.var("x").max_pool_with_positions::<N>(pool(given))?;
    Ok(vec![("y", y), ("positions", positions)])
}

fn interpolation(given: &Given<'_>) -> Interpolation {
    match given.text("mode") {
        "nearest" => match given.text("rounding") {
            "floor" => Interpolation::Nearest,
            "half_pixel" => Interpolation::NearestExact,
            other => panic!("nearest by {other}"),
        },
        "linear" if given.flag("align_corners") => Interpolation::LinearAlignCorners,
        "linear" => Interpolation::Linear,
        other => panic!("resizing by {other}"),
    }
}

/// `SAME` is left to Galen's own rule: TensorFlow was told no numbers either.
fn padding<const N: usize>(given: &Given<'_>) -> Padding<N> {
    if given.flag("same") {
        return Padding::Same;
    }
    let pads = given.wholes("pads");
    let pairs: Vec<[usize; 2]> = pads.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect();
    Padding::Explicit(pairs.try_into().unwrap_or_else(|v| panic!("pads: {v:?}")))
}

fn ungrouped<const N: usize>(given: &Given<'_>) -> ConvOptions<N> {
    ConvOptions::new().stride(given.each("stride")).dilation(given.each("dilation")).padding(padding(given))
}

pub fn conv<const N: usize>(given: &Given<'_>) -> ConvOptions<N> {
    ungrouped(given).groups(given.whole("groups"))
}

fn depthwise<const N: usize>(given: &Given<'_>, x: &Var) -> ConvOptions<N> {
    ungrouped(given).groups(x.shape()[1])
}

fn conv_transpose<const N: usize>(given: &Given<'_>) -> ConvTransposeOptions<N> {
    let options = ConvTransposeOptions::new()
        .stride(given.each("stride"))
        .dilation(given.each("dilation"))
        .padding(padding(given))
        .groups(given.whole("groups"));
    // What SAME adds is again left to the rule.
    if given.flag("same") { options } else { options.output_padding(given.each("output_padding")) }
}

pub fn pool<const N: usize>(given: &Given<'_>) -> PoolOptions<N> {
    PoolOptions::new(given.each("kernel")).stride(given.each("stride")).padding(padding(given))
}
