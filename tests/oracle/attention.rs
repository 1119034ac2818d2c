//! `attention.json`: embedding, positions and attention.

use galen::nn::{BuildCtx, Embedding, Layer, MultiHeadAttention, SinusoidalPositions};
use galen::ops::masked_softmax::{AttentionMask, AttentionOptions};
use galen::{Result, Var};

use super::case::{Given, y};
use super::common::rows::Bound;
use super::{DEVICE, TWIN};

pub fn outputs(op: &str, given: &Given<'_>) -> Result<Vec<(&'static str, Var)>> {
    let ctx = BuildCtx::inference();
    match op {
        "embedding" => {
            let [vocabulary, width] = [0, 1].map(|axis| given.var("table").shape()[axis]);
            Ok(y(Embedding::new(vocabulary, width).build(&ctx, given.var("ids"))?))
        }
        "sinusoidal_positions" => {
            let (time, width) = (given.whole("time"), given.whole("width"));
            let zeros = given.graph.fill([1, time, width], 0.0)?;
            Ok(y(SinusoidalPositions::new().build(&ctx, &zeros)?.reshape([time, width])?))
        }
        "attention" => {
            let (q, k, v) = (given.var("q"), given.var("k"), given.var("v"));
            let options = AttentionOptions::new().scale(given.number("scale") as f32).mask(mask(given)?);
            let y = q.scaled_dot_product_attention(k, v, &options)?;
            Ok(vec![("y", y), ("weights", q.attention_weights(k, &options)?)])
        }
        "multi_head_attention" => {
            let x = given.var("x");
            let layer = MultiHeadAttention::new(given.whole("heads"), given.whole("depth"))
                .value_depth(given.whole("value_depth"))
                .output_width(given.whole("output_width"));
            let layer = if given.flag("use_bias") { layer } else { layer.without_bias() };
            Ok(y(layer.build_with(&ctx, x, given.find("memory").unwrap_or(x), &mask(given)?)?))
        }
        _ => panic!("the test does not know the op \"{op}\""),
    }
}

/// `query_kernel` is `query/kernel` here, and Keras's kernels of three dimensions have the same numbers in the same order.
pub fn parameter(op: &str, input: &str) -> Option<String> {
    match (op, input) {
        ("embedding", "table") => Some("embeddings".into()),
        ("multi_head_attention", name) => name.split_once('_').map(|(part, kind)| format!("{part}/{kind}")),
        _ => None,
    }
}

/// Waves are made on the host, as `f32`. Gradients of many heads pass six products and a softmax of scores that are not small.
pub fn bounds(op: &str) -> [Bound; 2] {
    match op {
        "sinusoidal_positions" => [DEVICE, DEVICE],
        "multi_head_attention" => [TWIN, Bound::Scale(64.0)],
        _ => [TWIN, DEVICE],
    }
}

fn mask(given: &Given<'_>) -> Result<AttentionMask> {
    let mut mask = AttentionMask::new();
    if given.flag("causal") {
        mask = mask.causal();
    }
    if let Some(lengths) = given.find("lengths") {
        mask = mask.lengths(lengths);
    }
    if let Some(seen) = given.find("mask") {
        mask = mask.mask(&seen.to_f32()?);
    }
    Ok(mask)
}
