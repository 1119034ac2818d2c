//! Values against formulas written out, one sample at a time.

use galen::engine::Reference;
use galen::nn::*;
use galen::{Graph, Tensor};

/// The loss's values for predictions `y` and targets `t`, in f64.
pub fn values(loss: &dyn Loss, y: (&[usize], &[f32]), t: Tensor) -> Vec<f64> {
    let run = || -> galen::Result<Vec<f64>> {
        let graph = Graph::new();
        let (shape, spec) = (y.0.to_vec(), t.spec());
        let (input, targets) = (graph.input("y", shape, galen::DType::F32)?, graph.input("t", spec.shape, spec.dtype)?);
        let values = loss.values(&input, &targets)?;
        let mut reference = Reference::new(&graph, &[values], 1)?;
        reference.set("y", Tensor::f32(y.0, y.1.to_vec())?.elements())?;
        reference.set("t", t.elements())?;
        reference.run();
        Ok(reference.outputs()?.swap_remove(0))
    };
    run().unwrap_or_else(|e| panic!("{}: {e}", loss.name()))
}

fn floats(shape: &[usize], t: &[f32]) -> Tensor {
    Tensor::f32(shape, t.to_vec()).expect("a tensor")
}

fn index(shape: &[usize], t: &[u32]) -> Tensor {
    Tensor::u32(shape, t.to_vec()).expect("a tensor")
}

fn near(found: &[f64], expected: &[f64]) {
    let close = found.len() == expected.len()
        && found.iter().zip(expected).all(|(a, b)| (a - b).abs() <= 2e-7 * b.abs().max(1.0));
    assert!(close, "{found:?}, expected {expected:?}");
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

#[test]
fn errors_and_their_pieces() {
    let (y, t) = ([0.5f32, -1.0, 3.0, 0.25], [0.25f32, 1.0, 0.5, 0.25]);
    let pairs = || y.iter().zip(&t).map(|(y, t)| (f64::from(*y), f64::from(*t)));
    let expect = |loss: &dyn Loss, f: &dyn Fn(f64, f64) -> f64| {
        near(&values(loss, (&[2, 2], &y), floats(&[2, 2], &t)), &pairs().map(|(y, t)| f(y, t)).collect::<Vec<_>>());
    };
    expect(&MeanAbsoluteError::new(), &|y, t| (y - t).abs());
    expect(&Huber::new(0.75), &|y, t| {
        let e = (y - t).abs();
        if e <= 0.75 { 0.5 * e * e } else { 0.75 * e - 0.5 * 0.75 * 0.75 }
    });
    expect(&LogCosh::new(), &|y, t| (y - t).cosh().ln());
    expect(&Quantile::new(0.2), &|y, t| (0.2f32 as f64 * (t - y)).max((0.2f32 as f64 - 1.0) * (t - y)));
    expect(&MeanAbsolutePercentageError::new(), &|y, t| 100.0 * (t - y).abs() / t);
    expect(&Poisson::new().log_input(), &|y, t| y.exp() - t * y);
    // Far from the target a hyperbolic cosine would overflow.
    near(&values(&LogCosh::new(), (&[1], &[2000.0]), floats(&[1], &[-1000.0])), &[3000.0 - std::f64::consts::LN_2]);
}

#[test]
fn several_quantiles_share_a_target() {
    let y = [1.0f32, 2.0, 4.0, -1.0, 0.0, 0.5];
    let expected: Vec<f64> = (0..6)
        .map(|i| {
            let (tau, t) = ([0.25, 0.5, 0.75][i % 3], [2.5, -0.5][i / 3]);
            let e = t - f64::from(y[i]);
            f64::max(tau * e, (tau - 1.0) * e)
        })
        .collect();
    let loss = Quantile::many([0.25, 0.5, 0.75]);
    near(&values(&loss, (&[2, 3], &y), floats(&[2], &[2.5, -0.5])), &expected);
    near(&values(&loss, (&[2, 3], &y), floats(&[2, 1], &[2.5, -0.5])), &expected);
}

#[test]
fn positives_count_more_and_missing_labels_nothing() {
    let (y, t) = ([0.5f32, -1.5, 2.0, 0.0], [1.0f32, 0.0, 0.5, -1.0]);
    let loss = BinaryCrossEntropy::new().from_logits().positive_weight(4.0).missing(-1.0);
    let expected: Vec<f64> = y
        .iter()
        .zip(&t)
        .map(|(y, t)| {
            let (p, t) = (sigmoid(f64::from(*y)), f64::from(*t));
            if t < 0.0 { 0.0 } else { -4.0 * t * p.ln() - (1.0 - t) * (1.0 - p).ln() }
        })
        .collect();
    near(&values(&loss, (&[2, 2], &y), floats(&[2, 2], &t)), &expected);
    // Probabilities give the same, and labels may be whole numbers, or lie in a column.
    let p: Vec<f32> = y.iter().map(|y| sigmoid(f64::from(*y)) as f32).collect();
    let loss = BinaryCrossEntropy::new();
    let column = values(&loss, (&[4, 1], &p), index(&[4], &[1, 0, 1, 0]));
    near(&column, &values(&loss, (&[4, 1], &p), floats(&[4, 1], &[1.0, 0.0, 1.0, 0.0])));
}

/// Class indices and one-hot rows mean the same, with smoothing, weights and labels that are ignored.
#[test]
fn classes_are_told_in_two_ways() {
    let y = [0.2f32, 0.5, 0.3, 0.7, 0.1, 0.2, 0.4, 0.4, 0.2];
    let one_hot = floats(&[3, 3], &[0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
    for loss in [
        CategoricalCrossEntropy::new(),
        CategoricalCrossEntropy::new().label_smoothing(0.3),
        CategoricalCrossEntropy::new().class_weights([1.0, 2.0, 0.5]).label_smoothing(0.1),
    ] {
        let expected = values(&loss, (&[3, 3], &y), one_hot.clone());
        near(&values(&loss, (&[3, 3], &y), index(&[3], &[1, 0, 2])), &expected);
        near(&values(&loss, (&[3, 3], &y), index(&[3, 1], &[1, 0, 2])), &expected);
        let ignoring = loss.ignore_index(9);
        near(&values(&ignoring, (&[3, 3], &y), index(&[3], &[1, 9, 2])), &[expected[0], 0.0, expected[2]]);
    }
    let loss = CategoricalCrossEntropy::new().class_weights([1.0, 2.0, 0.5]);
    let ln = |p: f32| f64::from(p).ln();
    near(&values(&loss, (&[3, 3], &y), one_hot), &[-2.0 * ln(0.5), -ln(0.7), -0.5 * ln(0.2)]);
}

#[test]
fn focal_losses_count_easy_cases_less() {
    let (y, t) = ([0.9f32, 0.2, 0.6, 0.5], [1.0f32, 0.0, 0.0, 1.0]);
    let expected: Vec<f64> = y
        .iter()
        .zip(&t)
        .map(|(p, t)| {
            let (p, alpha) = if *t == 1.0 { (f64::from(*p), 0.25) } else { (1.0 - f64::from(*p), 0.75) };
            -alpha * (1.0 - p).powi(3) * p.ln()
        })
        .collect();
    near(&values(&BinaryFocal::new().gamma(3.0).alpha(0.25), (&[4], &y), floats(&[4], &t)), &expected);
    let y = [0.2f32, 0.8, 0.6, 0.4];
    let found = values(&CategoricalFocal::new().class_weights([1.0, 3.0]), (&[2, 2], &y), index(&[2], &[1, 0]));
    near(&found, &[-3.0 * 0.04 * f64::from(0.8f32).ln(), -0.16 * f64::from(0.6f32).ln()]);
    let plain = values(&CategoricalCrossEntropy::new(), (&[2, 2], &y), index(&[2], &[1, 0]));
    near(&values(&CategoricalFocal::new().gamma(0.0), (&[2, 2], &y), index(&[2], &[1, 0])), &plain);
}

/// Two classes on 1×4 images: sums over space, channel by channel.
#[test]
fn overlap_is_counted_per_sample_and_channel() {
    let p = [0.9f32, 0.8, 0.3, 0.1, 0.1, 0.2, 0.7, 0.9];
    let labels = index(&[1, 1, 4], &[0, 1, 1, 1]);
    let t = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 1.0, 1.0]];
    let sums = |c: usize| {
        let p = |i: usize| f64::from(p[4 * c + i]);
        let sum = |f: &dyn Fn(usize) -> f64| (0..4).map(f).sum::<f64>();
        (sum(&|i| p(i) * t[c][i]), sum(&p), sum(&|i| t[c][i]), sum(&|i| p(i) * p(i)))
    };
    let expect = |loss: &dyn Loss, f: &dyn Fn((f64, f64, f64, f64)) -> f64| {
        near(&values(loss, (&[1, 2, 1, 4], &p), labels.clone()), &[f(sums(0)), f(sums(1))]);
    };
    expect(&Dice::new(), &|(i, p, t, _)| 1.0 - (2.0 * i + 1.0) / (p + t + 1.0));
    expect(&Dice::new().squared().smooth(0.5), &|(i, _, t, pp)| 1.0 - (2.0 * i + 0.5) / (pp + t + 0.5));
    expect(&Jaccard::new(), &|(i, p, t, _)| 1.0 - (i + 1.0) / (p + t - i + 1.0));
    let tversky = |(i, p, t, _): (f64, f64, f64, f64)| 1.0 - (i + 1.0) / (i + 0.25 * (p - i) + 0.75 * (t - i) + 1.0);
    expect(&Tversky::new(0.25, 0.75), &tversky);
    expect(&Tversky::new(0.5, 0.5).smooth(0.5), &|(i, p, t, _)| 1.0 - (2.0 * i + 1.0) / (p + t + 1.0));
    let background = values(&Dice::new().without_background(), (&[1, 2, 1, 4], &p), labels.clone());
    near(&background, &values(&Dice::new(), (&[1, 2, 1, 4], &p), labels.clone())[1..]);
    // What is ignored is as if it were not there.
    let kept = [0.9f32, 0.3, 0.1, 0.1, 0.7, 0.9];
    let expected = values(&Dice::new(), (&[1, 2, 1, 3], &kept), index(&[1, 1, 3], &[0, 1, 1]));
    let with_hole = index(&[1, 1, 4], &[0, 255, 1, 1]);
    near(&values(&Dice::new().ignore_index(255), (&[1, 2, 1, 4], &p), with_hole.clone()), &expected);
    let expected = values(&DiceCrossEntropy::new(), (&[1, 2, 1, 3], &kept), index(&[1, 1, 3], &[0, 1, 1]));
    near(&values(&DiceCrossEntropy::new().ignore_index(255), (&[1, 2, 1, 4], &p), with_hole), &expected);
    // Both parts.
    let dice = values(&Dice::new(), (&[1, 2, 1, 4], &p), labels.clone());
    let pixels = values(&CategoricalCrossEntropy::new().axis(1), (&[1, 2, 1, 4], &p), labels.clone());
    let expected = 0.5 * (dice[0] + dice[1]) / 2.0 + 2.0 * pixels.iter().sum::<f64>() / 4.0;
    near(&values(&DiceCrossEntropy::new().parts(0.5, 2.0), (&[1, 2, 1, 4], &p), labels), &[expected]);
}

/// One channel: labels with and without the channel's axis, of any type; an empty region that is not found costs nothing.
#[test]
fn regions_of_one_channel() {
    let p = [0.9f32, 0.8, 0.3, 0.1, 0.0, 0.0, 0.0, 0.0];
    let labels = [1u32, 1, 0, 0, 0, 0, 0, 0];
    let loss = Dice::new();
    let found = values(&loss, (&[2, 1, 2, 2], &p), index(&[2, 2, 2], &labels));
    near(
        &found,
        &[1.0 - (2.0 * f64::from(0.9f32 + 0.8) + 1.0) / (2.0 + f64::from(0.9f32 + 0.8 + 0.3 + 0.1) + 1.0), 0.0],
    );
    let as_floats: Vec<f32> = labels.iter().map(|l| *l as f32).collect();
    near(&values(&loss, (&[2, 1, 2, 2], &p), floats(&[2, 1, 2, 2], &as_floats)), &found);
    let bytes = Tensor::u8([2, 1, 2, 2], labels.iter().map(|l| *l as u8).collect()).expect("a tensor");
    near(&values(&loss, (&[2, 1, 2, 2], &p), bytes), &found);
    near(&values(&loss, (&[2, 4], &p), floats(&[2, 4], &as_floats)), &found);
}
