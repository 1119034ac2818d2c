use galen::ops::cross_entropy::{CrossEntropy, CrossEntropyGrad};

use super::{Bound, Row, Values};

/// Shapes of the scores, and the axis of the classes: a scalar loss, one class, both group sizes, columns that are not rows.
const SHAPES: [(&str, &[usize], usize); 11] = [
    ("one_sample", &[5], 0),
    ("one_class", &[3, 1], 1),
    ("classes", &[33, 10], 1),
    ("many_rows", &[70, 3], 1),
    ("group", &[3, 37], 1),
    ("wide_group", &[2, 600], 1),
    ("past_2048", &[2, 2_051], 1),
    ("parts", &[2, 16_390], 1),
    ("parts_of_columns", &[16_385, 3], 0),
    ("first_axis", &[40, 5], 0),
    ("image", &[2, 3, 5, 7], 1),
];

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, shape, axis) in SHAPES {
        for from_logits in [true, false] {
            let form = if from_logits { "logits" } else { "probabilities" };
            let scores = if from_logits { Values::Normal } else { Values::Uniform(0.05, 0.95) };
            let build = move |_: &galen::Graph, x: &[galen::Var]| {
                Ok(vec![x[0].cross_entropy(&x[1], axis as isize, from_logits)?])
            };
            // WGSL's log is only exact to 2⁻²¹ near 1, and a loss there is small.
            let bounds = |row: Row| row.bounds(Bound::Rounding(48.0), Bound::Rounding(48.0));
            let row = Row::new(&format!("{form}_index_{name}"), build).f32(shape, scores.clone());
            rows.push(bounds(row.u32(without(shape, axis), shape[axis] as u32)));
            let row = Row::new(&format!("{form}_soft_{name}"), build).f32(shape, scores);
            rows.push(bounds(row.constant(shape, Values::Uniform(0.0, 1.0))));
        }
    }
    // Some losses are near 0 and others near 600. The statistic is near 300, where half a unit is 256 times 2⁻²⁴.
    let large = Row::new("logits_large", |_, x| Ok(vec![x[0].cross_entropy(&x[1], 1, true)?]));
    rows.push(
        large
            .f32([9, 4], Values::Uniform(-300.0, 300.0))
            .u32([9], 4)
            .bounds(Bound::Rounding(4.0), Bound::Rounding(288.0)),
    );
    let after = Row::new("after_softmax", |_, x| Ok(vec![x[0].softmax(-1)?.cross_entropy(&x[1], -1, false)?]));
    rows.push(after.f32([6, 5], Values::Normal).u32([6], 5).bounds(Bound::Rounding(48.0), Bound::Rounding(48.0)));
    for from_logits in [true, false] {
        rows.push(out_of_range("out_of_range", &[40, 4], from_logits, 7));
        rows.push(out_of_range("out_of_range_group", &[5, 40], from_logits, 70));
        rows.push(out_of_range("out_of_range_parts", &[5, 16_400], from_logits, 40_000));
        rows.push(clipped(from_logits));
    }
    rows
}

fn without(shape: &[usize], axis: usize) -> Vec<usize> {
    let mut shape = shape.to_vec();
    shape.remove(axis);
    shape
}

/// Class indices that may not be classes: the loss is NaN there and the gradient 0.
fn out_of_range(name: &str, shape: &[usize], from_logits: bool, below: u32) -> Row {
    let name = format!("{}_{name}", if from_logits { "logits" } else { "probabilities" });
    Row::new(&name, move |graph, x| {
        let outputs = graph.push(CrossEntropy { axis: 1, from_logits }, &[&x[0], &x[1]])?;
        let grad = CrossEntropyGrad { axis: 1, from_logits };
        let dscores = graph.push1(grad, &[&x[0], &x[1], &outputs[1], &x[2]])?;
        Ok(vec![outputs[0].clone(), dscores])
    })
    .constant(shape, Values::Uniform(0.05, 0.95))
    .u32([shape[0]], below)
    .constant([shape[0]], Values::Normal)
    .bounds(Bound::Rounding(48.0), Bound::Exact)
}

/// Certainties, right and wrong, a NaN, which no clipping may hide, and where clipping begins, which has a slope.
fn clipped(from_logits: bool) -> Row {
    let scores = vec![0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 2.0, -1.0, 0.5, f32::NAN, 0.5, 0.5, 1e-7, 0.5, 0.5];
    let targets = vec![1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.5, 0.0, 0.5, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0];
    Row::new(if from_logits { "logits_odd" } else { "probabilities_clipped" }, move |graph, x| {
        let outputs = graph.push(CrossEntropy { axis: 1, from_logits }, &[&x[0], &x[1]])?;
        let grad = CrossEntropyGrad { axis: 1, from_logits };
        let dscores = graph.push1(grad, &[&x[0], &x[1], &outputs[1], &x[2]])?;
        Ok(vec![outputs[0].clone(), dscores])
    })
    .constant([5, 3], Values::Exactly(scores))
    .constant([5, 3], Values::Exactly(targets))
    .constant([5], Values::Normal)
    .bounds(Bound::Rounding(48.0), Bound::Exact)
    // 1 − 1e-7, to which a probability of 1 is clipped, is no number of f32.
    .bound_of(0, Bound::Unit(4.0))
}
