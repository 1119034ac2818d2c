//! Embeddings and attention.

use galen::nn::{
    BuildCtx, ClassToken, Embedding, FirstInTime, Input, LearnedPositions, MeanOverTime, MultiHeadAttention, Network,
    PatchEmbedding, Penalty, Sequential, SinusoidalPositions, TransformerDecoderBlock, TransformerEncoderBlock,
};
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

#[test]
fn layers_of_sequences_refuse_what_is_no_sequence() {
    let image = || Sequential::new([1, 8, 8]);
    says(
        image().with(SinusoidalPositions::new()).summary(),
        &["layer \"sinusoidal_positions\"", "[batch, time, width]"],
    );
    says(image().with(LearnedPositions::new(4)).summary(), &["learned_positions", "[1, 1, 8, 8]"]);
    says(image().with(ClassToken).summary(), &["class_token", "[batch, time, width]"]);
    says(image().with(FirstInTime).summary(), &["first_in_time", "[batch, time, width]"]);
    says(image().with(MeanOverTime).summary(), &["mean_over_time", "[batch, time, width]"]);
    says(image().with(MultiHeadAttention::new(2, 2)).summary(), &["multi_head_attention", "[batch, time, width]"]);
    says(image().with(TransformerEncoderBlock::new(2, 2)).summary(), &["transformer_encoder_block", "[1, 1, 8, 8]"]);
    let tokens = Sequential::new(Input::tokens([4, 8])).with(SinusoidalPositions::new());
    says(tokens.summary(), &["sinusoidal_positions", "f32", "u32[1, 4, 8]"]);
    says(
        Sequential::new([5, 4]).with(LearnedPositions::new(4)).summary(),
        &["learned_positions", "max_time", "5", "4"],
    );
    says(Sequential::new([5, 4]).with(PatchEmbedding::new([2, 2], 4)).summary(), &["conv2d", "[1, 5, 4]"]);
    says(image().with(PatchEmbedding::new([9, 9], 4)).summary(), &["patch_embedding"]);
    says(image().with(PatchEmbedding::new([0, 2], 4)).summary(), &["patch_embedding"]);
}

#[test]
fn embeddings_refuse_what_is_no_token_and_no_table() {
    let tokens = || Sequential::new(Input::tokens([5]));
    says(
        Sequential::new([5]).with(Embedding::new(9, 4)).summary(),
        &["layer \"embedding\"", "Input::tokens", "f32[1, 5]"],
    );
    says(tokens().with(Embedding::new(0, 4)).summary(), &["embedding", "vocabulary", "at least 1"]);
    says(tokens().with(Embedding::new(9, 0)).summary(), &["embedding", "width", "at least 1"]);
    says(
        tokens().with(Embedding::new(9, 4).padding(9)).summary(),
        &["embedding", "padding", "below the vocabulary of 9", "9"],
    );
    says(tokens().with(Embedding::new(usize::MAX, usize::MAX)).summary(), &["embedding", "elements"]);
    says(tokens().with(Embedding::new(9, 4).regularizer(Penalty::l1(-1.0))).summary(), &["embeddings", "l1"]);
    let graph = Graph::new();
    let (ids, floats) = (input(&graph, "ids", &[2, 5], DType::U32), input(&graph, "floats", &[2, 5], DType::F32));
    says(Embedding::new(9, 4).mask(&ids), &["embedding", "Embedding::padding"]);
    says(Embedding::new(9, 4).padding(0).mask(&floats), &["embedding", "u32", "f32[2, 5]"]);
}

#[test]
fn heads_and_sequences_that_do_not_fit_are_refused() {
    let sequence = || Sequential::new([5, 6]);
    says(sequence().with(MultiHeadAttention::new(0, 2)).summary(), &["multi_head_attention", "heads", "at least 1"]);
    says(sequence().with(MultiHeadAttention::new(2, 0)).summary(), &["multi_head_attention", "depth", "at least 1"]);
    let layer = MultiHeadAttention::new(2, 3);
    says(sequence().with(layer.clone().value_depth(0)).summary(), &["multi_head_attention", "value_depth"]);
    says(sequence().with(layer.clone().output_width(0)).summary(), &["multi_head_attention/output", "units"]);
    says(sequence().with(layer.clone().dropout(1.0)).summary(), &["multi_head_attention", "dropout", "[0, 1)", "1"]);
    says(sequence().with(layer.clone().dropout(f32::NAN)).summary(), &["multi_head_attention", "dropout", "NaN"]);
    says(sequence().with(MultiHeadAttention::new(usize::MAX, 3)).summary(), &["multi_head_attention", "elements"]);
    let block = TransformerEncoderBlock::new;
    says(
        sequence().with(block(4, 8)).summary(),
        &["transformer_encoder_block", "heads", "divisor of the width 6", "4"],
    );
    says(sequence().with(block(0, 8)).summary(), &["transformer_encoder_block", "heads", "0"]);
    says(sequence().with(block(2, 0)).summary(), &["transformer_encoder_block", "hidden", "at least 1"]);
    says(sequence().with(block(2, 8).dropout(1.5)).summary(), &["transformer_encoder_block", "dropout", "1.5"]);
    says(sequence().with(block(2, 8).epsilon(0.0)).summary(), &["transformer_encoder_block", "epsilon"]);

    let (graph, ctx) = (Graph::new(), BuildCtx::inference());
    let x = input(&graph, "x", &[2, 5, 6], DType::F32);
    let other = input(&graph, "other", &[3, 5, 6], DType::F32);
    let mask = input(&graph, "mask", &[2, 4], DType::F32);
    let none = AttentionMask::new();
    says(layer.build_with(&ctx, &x, &other, &none), &["multi_head_attention", "[2, key, width]", "f32[3, 5, 6]"]);
    says(
        layer.build_with(&ctx, &x, &x, &none.clone().mask(&mask)),
        &["masked_softmax", "[2, 2, 5, 5]", "[2, 1, 1, 4]"],
    );
    says(MeanOverTime.build_with(&x, &none.clone().causal()), &["masked_softmax", "causal"]);
    says(MeanOverTime.build_with(&x, &none.clone().mask(&mask)), &["masked_softmax", "[2, 5]", "[2, 4]"]);
    let decoder = TransformerDecoderBlock::new(4, 8);
    says(decoder.build_with(&ctx, &x, &x, &none), &["transformer_decoder_block", "heads", "divisor of the width 6"]);
}
