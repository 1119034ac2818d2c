//! Element-wise ops: constants that make no sense, shapes that do not broadcast, types that do not fit.

use galen::{DType, Graph, Var};

use super::common::rows::clock_at;
use super::says;

fn inputs(graph: &Graph) -> [Var; 3] {
    let input = |name: &str, shape: &[usize], dtype| graph.input(name, shape, dtype).expect("an input");
    [input("x", &[2, 3], DType::F32), input("y", &[4, 5], DType::F32), input("ids", &[2, 3], DType::U32)]
}

#[test]
fn constants_that_make_no_sense_are_refused() {
    let [x, ..] = inputs(&Graph::new());
    let nan = f32::NAN;
    says(x.clip(1.0, -1.0), &["clip", "low at most high", "1 and -1"]);
    says(x.clip(nan, 1.0), &["clip", "finite", "NaN and 1"]);
    says(x.clip(0.0, f32::INFINITY), &["clip", "finite", "inf"]);
    says(x.leaky_relu(nan), &["leaky_relu", "alpha", "finite", "NaN"]);
    says(x.elu(f32::INFINITY), &["elu", "alpha", "finite", "inf"]);
    says(x.powf(nan), &["powf", "exponent", "finite", "NaN"]);
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let graph = Graph::new();
    let [x, y, _] = inputs(&graph);
    says(x.pow(&y), &["pow", "[2, 3]", "[4, 5]"]);
    says(x.not_equal(&y), &["not_equal", "[2, 3]", "[4, 5]"]);
    says(x.prelu(&y), &["prelu", "[2, 3]", "[4, 5]"]);
    // An alpha that would make the result larger.
    let wide = graph.input("wide", [7, 2, 3], DType::F32).expect("an input");
    says(x.prelu(&wide), &["prelu", "broadcasts to [2, 3]", "[7, 2, 3]"]);
    says(x.select(&x, &y), &["select", "[2, 3], [2, 3] and [4, 5]"]);
    says(x.binary_cross_entropy(&y, true), &["binary_cross_entropy", "f32[2, 3]", "f32[4, 5]"]);
    let clock = clock_at(&graph, 0).expect("a clock");
    says(x.dropout_channels(0.5, 0, 1, &clock), &["dropout", "channels", "behind the first", "0"]);
    says(x.dropout_channels(0.5, 2, 1, &clock), &["dropout", "axis", "2"]);
    says(x.dropout_channels(1.0, 1, 1, &clock), &["dropout", "rate", "1"]);
}

#[test]
fn types_that_do_not_fit_are_refused() {
    let [x, _, ids] = inputs(&Graph::new());
    says(ids.gelu(), &["gelu", "f32", "u32[2, 3]"]);
    says(ids.clip(0.0, 1.0), &["clip", "f32", "u32[2, 3]"]);
    says(x.less(&ids), &["less", "f32", "u32[2, 3]"]);
    says(ids.select(&x, &x), &["select", "f32", "u32[2, 3]"]);
    says(x.select(&x, &ids), &["select", "f32", "u32[2, 3]"]);
    says(x.binary_cross_entropy(&ids, false), &["binary_cross_entropy", "f32", "u32[2, 3]"]);
    says(x.one_hot(3), &["one_hot", "u32", "f32[2, 3]"]);
    says(x.graph().push1(galen::ops::cast::Cast, &[&x]), &["cast", "u32 or u8", "f32[2, 3]"]);
}

#[test]
fn one_hot_rows_need_a_depth_and_an_axis() {
    let [_, _, ids] = inputs(&Graph::new());
    says(ids.one_hot(0), &["one_hot", "depth", "0"]);
    says(ids.one_hot(usize::MAX), &["one_hot", "depth"]);
    says(ids.one_hot_with(3, 3, 1.0, 0.0), &["one_hot", "axis", "-3..3", "3"]);
}

/// What has no gradient says so where it alone would carry one.
#[test]
fn comparisons_and_signs_have_no_gradient() {
    let graph = Graph::new();
    let [x, ..] = inputs(&graph);
    let sign = x.sign().and_then(|y| y.sum_all()).expect("a loss");
    says(graph.gradients(&sign, std::slice::from_ref(&x)), &["does not depend"]);
    let mask = x.greater(&x.neg().expect("a node")).and_then(|y| y.sum_all()).expect("a loss");
    says(graph.gradients(&mask, std::slice::from_ref(&x)), &["does not depend"]);
    let twice = x.silu().and_then(|y| y.sum_all()).expect("a loss");
    let slope = graph.gradients(&twice, std::slice::from_ref(&x)).expect("a gradient").swap_remove(0);
    let loss = slope.sum_all().expect("a loss");
    says(graph.gradients(&loss, std::slice::from_ref(&x)), &["unary_grad", "second derivatives"]);
}
