//! Embeddings and attention.

use galen::ops::masked_softmax::{AttentionMask, AttentionOptions, MaskedSoftmax, MaskedSoftmaxGrad};
use galen::{DType, Graph, Var};

use super::says;

fn input(graph: &Graph, name: &str, shape: &[usize], dtype: DType) -> Var {
    graph.input(name, shape, dtype).expect("an input")
}

#[test]
fn masks_that_do_not_fit_their_scores_are_refused() {
    let graph = Graph::new();
    let x = input(&graph, "x", &[2, 3, 4, 5], DType::F32);
    let flat = input(&graph, "flat", &[7], DType::F32);
    let rows = input(&graph, "rows", &[2, 5], DType::F32);
    let ids = input(&graph, "ids", &[2], DType::U32);
    let many = input(&graph, "many", &[3], DType::U32);
    let wrong = input(&graph, "wrong", &[2, 3, 4, 4], DType::F32);
    let whole = input(&graph, "whole", &[2, 3, 4, 5], DType::U32);
    let none = AttentionMask::new;
    says(flat.masked_softmax(1.0, &none()), &["masked_softmax", "[batch, .., key]", "[7]"]);
    says(rows.masked_softmax(1.0, &none().causal()), &["masked_softmax", "causal", "[2, 5]"]);
    says(ids.masked_softmax(1.0, &none()), &["masked_softmax", "f32", "u32[2]"]);
    says(x.masked_softmax(f32::NAN, &none()), &["masked_softmax", "scale", "finite", "NaN"]);
    says(x.masked_softmax(1.0, &none().lengths(&many)), &["masked_softmax", "lengths [2]", "[3]"]);
    says(x.masked_softmax(1.0, &none().lengths(&flat)), &["masked_softmax", "u32", "f32[7]"]);
    says(x.masked_softmax(1.0, &none().mask(&wrong)), &["masked_softmax", "mask", "[2, 3, 4, 5]", "[2, 3, 4, 4]"]);
    says(x.masked_softmax(1.0, &none().mask(&rows)), &["masked_softmax", "4 dimensions", "[2, 5]"]);
    says(x.masked_softmax(1.0, &none().mask(&whole)), &["masked_softmax", "f32", "u32[2, 3, 4, 5]"]);
    let op = MaskedSoftmax { scale: 1.0, causal: false, lengths: true, mask: false };
    says(graph.push1(op, &[&x]), &["masked_softmax", "2 tensors", "1 tensors"]);
    let op = MaskedSoftmaxGrad { scale: 1.0, causal: true };
    says(graph.push1(op.clone(), &[&x, &wrong]), &["masked_softmax_grad", "[2, 3, 4, 5]", "[2, 3, 4, 4]"]);
    says(graph.push1(op, &[&rows, &rows]), &["masked_softmax_grad", "causal", "[2, 5]"]);
    let sum = x.masked_softmax(1.0, &none().mask(&x)).and_then(|y| y.sum_all()).expect("a sum");
    let mask = input(&graph, "mask", &[2, 3, 4, 5], DType::F32);
    says(graph.gradients(&sum, &[mask]), &["does not depend"]);
}

#[test]
fn queries_keys_and_values_that_do_not_fit_are_refused() {
    let graph = Graph::new();
    let f32 = |name: &str, shape: &[usize]| input(&graph, name, shape, DType::F32);
    let q = f32("q", &[2, 3, 4, 8]);
    let (narrow, flat) = (f32("narrow", &[2, 3, 5, 7]), f32("flat", &[2, 8]));
    let (keys, values, heads) = (f32("k", &[2, 3, 5, 8]), f32("v", &[2, 3, 6, 8]), f32("heads", &[2, 2, 5, 8]));
    let options = AttentionOptions::new();
    let attend = |q: &Var, k: &Var, v: &Var, options: &AttentionOptions| q.scaled_dot_product_attention(k, v, options);
    const OP: &str = "scaled_dot_product_attention";
    says(attend(&q, &narrow, &narrow, &options), &[OP, "[2, 3, 4, 8]", "[2, 3, 5, 7]"]);
    says(attend(&flat, &flat, &flat, &options), &[OP, "[batch, .., query, depth]", "[2, 8]"]);
    says(attend(&q, &keys, &values, &options), &["matmul", "[2, 3, 4, 5]", "[2, 3, 6, 8]"]);
    says(attend(&q, &heads, &heads, &options), &["matmul", "[2, 3, 4, 8]", "[2, 2, 5, 8]"]);
    let clock = input(&graph, "clock", &[8], DType::U32);
    says(attend(&q, &keys, &keys, &options.clone().dropout(1.0, 0, &clock)), &["dropout", "rate", "1"]);
    says(attend(&q, &keys, &keys, &options.dropout(0.5, 0, &q)), &["dropout", "clock", "[2, 3, 4, 8]"]);
}

#[test]
fn a_table_without_rows_or_with_other_ids_is_refused() {
    let graph = Graph::new();
    let table = input(&graph, "table", &[6, 3], DType::F32);
    let floats = input(&graph, "floats", &[2, 4], DType::F32);
    let deep = input(&graph, "deep", &[1, 1, 1, 1, 1, 2], DType::U32);
    says(table.gather(&floats), &["gather", "u32", "f32[2, 4]"]);
    says(table.gather_padded(&deep, Some(0)), &["gather", "at most 6 dimensions"]);
}
