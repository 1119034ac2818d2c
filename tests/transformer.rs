//! Attention and what is built of it: the formula, what is hidden stays hidden, and a network of it learns what only it can learn.

mod common;

use galen::graph::PARAMETERS;
use galen::nn::{
    BuildCtx, ClassToken, Embedding, FirstInTime, Layer, LearnedPositions, MeanOverTime, MultiHeadAttention,
    PatchEmbedding, SinusoidalPositions, TransformerDecoderBlock, TransformerEncoderBlock,
};
use galen::ops::masked_softmax::AttentionMask;
use galen::prelude::*;
use galen::{Graph, Result, Session, Tensor, Var};
use ndarray::{Array1, Array2, ArrayD, Axis};

/// Normal numbers, the same for the same stream.
fn normal(shape: &[usize], stream: u32) -> ArrayD<f32> {
    let mut random = galen::contract::Threefry::new(7, stream);
    ArrayD::from_shape_simple_fn(shape, || random.normal())
}

/// What `build` makes of inputs with these values, in inference, and the session with its parameters.
fn run(
    device: &Device,
    inputs: &[Tensor],
    build: impl Fn(&BuildCtx, &[Var]) -> Result<Vec<Var>>,
) -> (Vec<ArrayD<f32>>, Session) {
    let (graph, mut session) = (Graph::new(), Session::new(device, 3, None));
    let names: Vec<String> = (0..inputs.len()).map(|i| format!("x{i}")).collect();
    let declare = |(name, x): (&String, &Tensor)| graph.input(name, x.shape(), x.spec().dtype).expect("an input");
    let vars: Vec<Var> = names.iter().zip(inputs).map(declare).collect();
    let outputs = build(&BuildCtx::inference(), &vars).expect("a network");
    let executable = session.compile(&graph, &outputs).expect("a plan");
    let given: Vec<(&str, &Tensor)> = names.iter().map(String::as_str).zip(inputs).collect();
    let outputs = session.run(&executable, &given).expect("a run");
    (outputs.into_iter().map(|y| y.into_f32().expect("floats")).collect(), session)
}

/// A dense layer of the session over the rows of `x`.
fn dense(session: &mut Session, name: &str, x: &Array2<f64>) -> Array2<f64> {
    let mut read = |slot: &str| {
        let tensor = session.state(PARAMETERS, &format!("{name}/{slot}")).expect("a parameter");
        tensor.into_f32().expect("floats").mapv(f64::from)
    };
    let kernel = read("kernel").into_dimensionality::<ndarray::Ix2>().expect("a matrix");
    x.dot(&kernel) + read("bias").into_dimensionality::<ndarray::Ix1>().expect("a vector")
}

/// Two sequences of 3 queries and 5 keys, 2 heads of depth 4 with values of 3, lengths and a mask, against the formula written out.
#[test]
fn several_heads_compute_the_formula() {
    let (q, v) = (normal(&[2, 3, 6], 1), normal(&[2, 5, 7], 2));
    let (lengths, mask) = ([4u32, 5], Array2::from_shape_fn((2, 5), |(b, j)| f32::from(b + j != 2)));
    let layer = MultiHeadAttention::new(2, 4)
        .value_depth(3)
        .output_width(8)
        .bias_initializer(galen::nn::Initializer::Uniform(-1.0, 1.0));
    for device in common::devices() {
        let inputs =
            [Tensor::from(q.clone()), v.clone().into(), Array1::from(lengths.to_vec()).into(), mask.clone().into()];
        let (outputs, mut session) = run(&device, &inputs, |ctx, x| {
            let mask = AttentionMask::new().lengths(&x[2]).mask(&x[3]);
            let (y, weights) = layer.build_with_weights(ctx, &x[0], &x[1], &mask)?;
            Ok(vec![y, weights])
        });
        for b in 0..2 {
            let rows =
                |x: &ArrayD<f32>| x.index_axis(Axis(0), b).mapv(f64::from).into_dimensionality().expect("a matrix");
            let (query, value) = (rows(&q), rows(&v));
            let qs = dense(&mut session, "query", &query);
            let (ks, vs) = (dense(&mut session, "key", &value), dense(&mut session, "value", &value));
            let mut together = Array2::zeros((3, 6));
            for h in 0..2 {
                for i in 0..3 {
                    let shown: Vec<usize> =
                        (0..5).filter(|&j| j < lengths[b] as usize && mask[[b, j]] != 0.0).collect();
                    let score = |j: usize| (0..4).map(|d| qs[[i, 4 * h + d]] * ks[[j, 4 * h + d]]).sum::<f64>() / 2.0;
                    let all: f64 = shown.iter().map(|&j| score(j).exp()).sum();
                    for j in 0..5 {
                        let weight = if shown.contains(&j) { score(j).exp() / all } else { 0.0 };
                        let found = f64::from(outputs[1][[b, h, i, j]]);
                        assert!(
                            (found - weight).abs() < 1e-5,
                            "{device}: weight {b} {h} {i} {j}: {found}, expected {weight}"
                        );
                        (0..3).for_each(|d| together[[i, 3 * h + d]] += weight * vs[[j, 3 * h + d]]);
                    }
                }
            }
            for ((i, d), expected) in dense(&mut session, "output", &together).indexed_iter() {
                let found = f64::from(outputs[0][[b, i, d]]);
                assert!((found - expected).abs() < 1e-5, "{device}: {b} {i} {d}: {found}, expected {expected}");
            }
        }
    }
}

/// What stands in padding, or in the future, changes no bit of what must not see it.
#[test]
fn what_is_hidden_is_not_seen() {
    let layer = MultiHeadAttention::new(2, 4);
    let x = normal(&[2, 5, 8], 3);
    let mut other = x.clone();
    other.slice_axis_mut(Axis(1), ndarray::Slice::from(3..)).fill(100.0);
    for device in common::devices() {
        let lengths = Tensor::from(Array1::from(vec![3u32, 3]));
        let hidden = |x: &ArrayD<f32>| {
            let (y, _) = run(&device, &[x.clone().into(), lengths.clone()], |ctx, x| {
                let mask = AttentionMask::new().lengths(&x[1]);
                let y = layer.build_with(ctx, &x[0], &x[0], &mask)?;
                Ok(vec![MeanOverTime.build_with(&y, &mask)?])
            });
            y[0].clone()
        };
        assert_eq!(hidden(&x), hidden(&other), "{device}: padding");
        let past = |x: &ArrayD<f32>| {
            let causal = layer.clone().causal();
            let (y, _) = run(&device, &[x.clone().into()], |ctx, x| Ok(vec![causal.build(ctx, &x[0])?]));
            y[0].slice_axis(Axis(1), ndarray::Slice::from(..3)).to_owned()
        };
        assert_eq!(past(&x), past(&other), "{device}: the future");
    }
}

#[test]
fn positions_and_means_are_what_they_say() {
    let x = normal(&[2, 3, 5], 4);
    for device in common::devices() {
        let (y, mut session) = run(&device, &[x.clone().into()], |ctx, x| {
            Ok(vec![
                ctx.layer(&SinusoidalPositions::new(), &x[0])?,
                ctx.layer(&SinusoidalPositions::new().scaled(), &x[0])?,
                ctx.layer(&LearnedPositions::new(4), &x[0])?,
                ctx.layer(&ClassToken, &x[0])?,
                ctx.layer(&FirstInTime, &x[0])?,
                ctx.layer(&MeanOverTime, &x[0])?,
                MeanOverTime.build_with(&x[0], &AttentionMask::new())?,
            ])
        });
        let learned =
            session.state(PARAMETERS, "learned_positions/positions").expect("positions").into_f32().expect("floats");
        let close = |found: f32, expected: f64, what: &str| {
            assert!((f64::from(found) - expected).abs() < 1e-5, "{device}: {what}: {found}, expected {expected}");
        };
        for ((b, t, d), &v) in x.view().into_dimensionality::<ndarray::Ix3>().expect("three axes").indexed_iter() {
            let angle = t as f64 / 10000f64.powf([0.0, 0.0, 0.4, 0.4, 0.8][d]);
            let wave = if d % 2 == 0 { angle.sin() } else { angle.cos() };
            let v = f64::from(v);
            close(y[0][[b, t, d]], v + wave, "waves");
            close(y[1][[b, t, d]], v * 5f64.sqrt() + wave, "waves over scaled vectors");
            close(y[2][[b, t, d]], v + f64::from(learned[[t, d]]), "learned positions");
            close(y[3][[b, t + 1, d]], v, "a class token before them");
            close(y[3][[b, 0, d]], 0.0, "a class token");
            let mean = (0..3).map(|t| f64::from(x[[b, t, d]])).sum::<f64>() / 3.0;
            close(y[5][[b, d]], mean, "a mean");
            close(y[6][[b, d]], mean, "a mean by weights");
            if t == 0 {
                close(y[4][[b, d]], v, "the first");
            }
        }
    }
}

#[test]
fn padding_has_neither_vector_nor_gradient_and_an_unknown_token_is_no_number() {
    let tokens = Array2::from_shape_vec((2, 3), vec![1u32, 0, 2, 0, 0, 4]).expect("tokens");
    let embedding = Embedding::new(4, 3).padding(0);
    for device in common::devices() {
        // As the device has them: an unknown token that the host gives is refused before the run.
        let (y, mut session) = run(&device, &[Array1::<f32>::zeros(1).into()], |ctx, x| {
            let graph = x[0].graph();
            let tokens = common::rows::words(graph, "tokens", tokens.as_slice().expect("in order"))?.reshape([2, 3])?;
            let y = ctx.layer(&embedding, &tokens)?;
            let table = graph.slot(PARAMETERS, "embedding/embeddings").expect("the table");
            let gradient = graph.gradients(&y.sum_all()?, &[table])?.swap_remove(0);
            Ok(vec![y, embedding.mask(&tokens)?, gradient, x[0].clone()])
        });
        let table = session.state(PARAMETERS, "embedding/embeddings").expect("the table").into_f32().expect("floats");
        for ((b, t), &token) in tokens.indexed_iter() {
            for d in 0..3 {
                let found = y[0][[b, t, d]];
                match token {
                    0 => assert_eq!(found, 0.0),
                    4 => assert!(found.is_nan()),
                    token => assert_eq!(found, table[[token as usize, d]]),
                }
            }
        }
        // An unknown token is no number in the mask either.
        assert_eq!(y[1].iter().take(5).copied().collect::<Vec<_>>(), [1.0, 0.0, 1.0, 0.0, 0.0]);
        let expected = [0.0, 1.0, 1.0, 0.0].map(|g| [g; 3]).concat();
        assert_eq!(y[2].iter().copied().collect::<Vec<_>>(), expected, "{device}");
    }
}

/// What a decoder makes of the past does not depend on the future, and nothing on what is hidden of the memory. Both blocks follow their
/// formula: without attention's and dense layers' kernels only norms are left.
#[test]
fn blocks_keep_to_their_formula() {
    let (x, memory) = (normal(&[2, 5, 4], 8), normal(&[2, 6, 3], 9));
    let mut later = x.clone();
    later.slice_axis_mut(Axis(1), ndarray::Slice::from(3..)).fill(9.0);
    let mut hidden = memory.clone();
    hidden.slice_axis_mut(Axis(1), ndarray::Slice::from(2..)).fill(9.0);
    let zeros = galen::nn::Initializer::Constant(0.0);
    for device in common::devices() {
        let decode = |x: &ArrayD<f32>, memory: &ArrayD<f32>, pre_norm: bool| {
            let block = TransformerDecoderBlock::new(2, 8);
            let block = if pre_norm { block.pre_norm() } else { block };
            let lengths = Tensor::from(Array1::from(vec![2u32, 2]));
            let (y, _) = run(&device, &[x.clone().into(), memory.clone().into(), lengths], |ctx, x| {
                Ok(vec![block.build_with(ctx, &x[0], &x[1], &AttentionMask::new().lengths(&x[2]))?])
            });
            y[0].slice_axis(Axis(1), ndarray::Slice::from(..3)).to_owned()
        };
        for pre_norm in [false, true] {
            assert_eq!(decode(&x, &memory, pre_norm), decode(&later, &hidden, pre_norm), "{device}");
        }
        let (y, _) = run(&device, &[x.clone().into()], |ctx, x| {
            let block = TransformerEncoderBlock::new(2, 8).kernel_initializer(zeros);
            let patches = PatchEmbedding::new([2, 2], 3);
            let image = x[0].reshape([2, 1, 5, 4])?;
            Ok(vec![
                ctx.named("first", &block.clone().pre_norm(), &x[0])?,
                ctx.named("last", &block, &x[0])?,
                ctx.layer(&patches, &image)?,
            ])
        });
        assert_eq!(y[0], x, "{device}: nothing is added");
        for (found, row) in y[1].rows().into_iter().zip(x.rows()) {
            // Normalised twice; the second time changes it by epsilon only.
            let row = row.mapv(f64::from);
            let mean = row.sum() / 4.0;
            let variance = row.mapv(|v| (v - mean) * (v - mean)).sum() / 4.0;
            for (found, v) in found.iter().zip(&row) {
                let expected = (v - mean) / (variance + 1e-5).sqrt();
                assert!((f64::from(*found) - expected).abs() < 1e-3, "{device}: {found}, expected {expected}");
            }
        }
        assert_eq!(y[2].shape(), [2, 4, 3]);
    }
}

/// Sequences of 4 to 8 tokens, padded with 0, in which 1 and 2 stand once each; the class is whether 1 comes first. A bag of tokens does not
/// know.
fn sequences(n: usize, stream: u32) -> Dataset {
    let mut random = galen::contract::Threefry::new(5, stream);
    let (mut tokens, mut classes) = (Array2::<u32>::zeros((n, 8)), Array1::<u32>::zeros(n));
    for i in 0..n {
        let length = 4 + random.below(5);
        (0..length as usize).for_each(|t| tokens[[i, t]] = 3 + random.below(5));
        let first = random.below(length);
        let second = (first + 1 + random.below(length - 1)) % length;
        (tokens[[i, first as usize]], tokens[[i, second as usize]]) = (1, 2);
        classes[i] = u32::from(first < second);
    }
    Dataset::new(tokens, classes).expect("good data")
}

fn classifier(pre_norm: bool) -> Functional {
    Functional::new(Input::tokens([8]), move |ctx, tokens| {
        let embedding = Embedding::new(8, 16).padding(0);
        let mask = AttentionMask::new().mask(&embedding.mask(tokens)?);
        let x = ctx.layer(&embedding, tokens)?;
        let x = if pre_norm {
            ctx.layer(&SinusoidalPositions::new().scaled(), &x)?
        } else {
            ctx.layer(&LearnedPositions::new(8), &x)?
        };
        let block = TransformerEncoderBlock::new(2, 32).dropout(0.05);
        let block = if pre_norm { block.pre_norm() } else { block };
        let x = ctx.block("encoder", x.graph(), |ctx| block.build_with(ctx, &x, &mask))?;
        ctx.layer(&Dense::new(2).activation(Softmax), &MeanOverTime.build_with(&x, &mask)?)
    })
}

#[test]
fn a_transformer_learns_the_order_of_tokens() {
    for device in common::devices() {
        for pre_norm in [false, true] {
            let loss = CategoricalCrossEntropy::new();
            let setup = Setup::on(&device).seed(2);
            let network = classifier(pre_norm);
            let mut model = network.compile_on(&setup, Adam::new(0.01), loss, &[Metric::Accuracy]).expect("a model");
            let options = Fit::new().epochs(9).batch_size(32).verbose(false);
            let history = model.fit(&sequences(512, 1), &options).expect("a training");
            let accuracy = model.evaluate(&sequences(200, 2)).expect("numbers").accuracy();
            assert!(accuracy > 0.95, "{device}, norms first {pre_norm}: {accuracy}, {:?}", history.losses());
        }
    }
}
