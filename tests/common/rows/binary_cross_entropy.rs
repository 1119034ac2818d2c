use galen::ops::binary_cross_entropy::{BinaryCrossEntropy, BinaryCrossEntropyGrad};

use super::{Bound, Row, Values};

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for from_logits in [true, false] {
        let form = if from_logits { "logits" } else { "probabilities" };
        let scores = if from_logits { Values::Normal } else { Values::Uniform(0.02, 0.98) };
        let build = move |_: &galen::Graph, x: &[galen::Var]| Ok(vec![x[0].binary_cross_entropy(&x[1], from_logits)?]);
        for (name, shape) in [("one", vec![1]), ("odd", vec![3, 5, 7]), ("long", vec![33, 700])] {
            let row = Row::new(&format!("{form}_{name}"), build).f32(shape.clone(), scores.clone());
            // The targets' gradient too: soft labels may come from a network.
            rows.push(row.f32(shape, Values::Uniform(0.0, 1.0)).bounds(Bound::Ulps(48.0), Bound::Rounding(48.0)));
        }
        let row = Row::new(&format!("{form}_hard"), build).f32([5, 13], scores);
        rows.push(row.constant([5, 13], Values::Whole(2)).bounds(Bound::Ulps(48.0), Bound::Rounding(48.0)));
        rows.push(odd(from_logits));
    }
    let large = Row::new("logits_large", |_, x| Ok(vec![x[0].binary_cross_entropy(&x[1], true)?]));
    let large = large.f32([9, 4], Values::Uniform(-300.0, 300.0)).constant([9, 4], Values::Whole(2));
    rows.push(large.bounds(Bound::Rounding(4.0), Bound::Unit(4.0)));
    let after = Row::new("after_sigmoid", |_, x| Ok(vec![x[0].sigmoid()?.binary_cross_entropy(&x[1], false)?]));
    let after = after.f32([6, 5], Values::Uniform(-40.0, 40.0)).constant([6, 5], Values::Whole(2));
    rows.push(after.bounds(Bound::Rounding(4.0), Bound::Unit(4.0)));
    rows
}

/// Certainties, right and wrong, beyond any exponent, and a NaN, which no clipping may hide.
fn odd(from_logits: bool) -> Row {
    let scores = match from_logits {
        true => vec![0.0, 1e30, -1e30, 1e30, -1e30, -100.0, 100.0, f32::NAN, 0.0],
        // The last is where clipping begins, which has the slope of what is not clipped.
        false => vec![0.0, 1.0, 0.0, 1.0, 2.0, -1.0, 0.5, f32::NAN, 1e-7],
    };
    Row::new(if from_logits { "logits_odd" } else { "probabilities_clipped" }, move |graph, x| {
        let loss = graph.push1(BinaryCrossEntropy { from_logits }, &[&x[0], &x[1]])?;
        Ok(vec![loss, graph.push1(BinaryCrossEntropyGrad { from_logits }, &[&x[0], &x[1], &x[2]])?])
    })
    .constant([9], Values::Exactly(scores))
    .constant([9], Values::Exactly(vec![0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 0.5, 1.0, 1.0]))
    .constant([9], Values::Normal)
    .bounds(Bound::Ulps(48.0), Bound::Exact)
}
