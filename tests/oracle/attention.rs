//! `attention.json`: embedding and attention.

use galen::ops::masked_softmax::{AttentionMask, AttentionOptions};
use galen::{Result, Var};

use super::case::{Given, y};

pub fn outputs(op: &str, given: &Given<'_>) -> Result<Vec<(&'static str, Var)>> {
    match op {
        "embedding" => Ok(y(given.var("table").gather(given.var("ids"))?)),
        "attention" => {
            let (q, k, v) = (given.var("q"), given.var("k"), given.var("v"));
            let options = AttentionOptions::new().scale(given.number("scale") as f32).mask(mask(given)?);
            let y = q.scaled_dot_product_attention(k, v, &options)?;
            Ok(vec![("y", y), ("weights", q.attention_weights(k, &options)?)])
        }
        _ => panic!("the test does not know the op \"{op}\""),
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
