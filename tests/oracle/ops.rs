//! Single ops: outputs, and gradients of `Σ y · cotangent`.

use galen::contract::Padding;
use galen::ops::conv::{ConvOptions, ConvTransposeOptions};
use galen::ops::max_pool::PoolOptions;
use galen::{Graph, Result, Var};
use serde_json::Value;

use super::common::rows::Bound;
use super::common::{Case, compare, floats};
use super::{DEVICE, Runner, TWIN, field, flag, list, number, numbers, object, tensor, text, whole};

/// What the names of gradients begin with.
const GRADIENT: &str = "gradient of ";
/// For gradients of the `_large` cases on a device, in units of [`largest_term`]: logits of 80 known to half a unit in the last place
/// give probabilities that are off by 4e-6 of themselves, and where one probability is nearly 1 the gradient is what cancellation left.
const LARGE: Bound = Bound::Terms(2.0);

/// The largest input times the largest cotangent.
fn largest_term(case: &Case) -> f64 {
    let largest = |cotangent: bool| {
        let feeds = case.feeds.iter().filter(|(name, _)| (name == "cotangent") == cotangent);
        feeds.flat_map(|(_, tensor)| floats(tensor)).fold(0.0f64, |m, v| m.max(v.abs()))
    };
    largest(false) * largest(true)
}

/// Builds the case's graph, runs it and compares outputs and gradients.
pub fn check(op: &str, case: &Value, runner: Runner<'_>) -> std::result::Result<(), String> {
    let large = text(field(case, "name")).ends_with("_large");
    let (case, expected) = build(op, case).map_err(|e| e.to_string())?;
    let actual = match runner {
        Runner::Twin => case.truth(false),
        Runner::On(device) => case.run(device).map(|found| found.iter().map(floats).collect()),
    }
    .map_err(|e| e.to_string())?;
    for (i, (what, expected)) in expected.iter().enumerate() {
        let shape = list(field(expected, "shape"), whole);
        if *case.fetch[i].shape() != *shape {
            return Err(format!("{what}: shape {}, expected {shape:?}", case.fetch[i].shape()));
        }
        let expected_numbers = numbers(expected);
        let magnitude = vec![largest_term(&case); expected_numbers.len()];
        let bound = match runner {
            _ if text(field(expected, "dtype")) == "i32" => Bound::Exact,
            Runner::Twin => TWIN,
            Runner::On(_) if large && what.starts_with(GRADIENT) => LARGE,
            Runner::On(_) => DEVICE,
        };
        compare(&actual[i], &expected_numbers, bound, Some(&magnitude)).map_err(|e| format!("{what}: {e}"))?;
    }
    Ok(())
}

/// The graph, and for each fetched tensor its name and what TensorFlow computed.
fn build<'a>(op: &str, case: &'a Value) -> Result<(Case, Vec<(String, &'a Value)>)> {
    let graph = Graph::new();
    let (mut feeds, mut inputs) = (Vec::new(), Vec::new());
    for (name, array) in object(field(case, "inputs")) {
        let tensor = tensor(array);
        let spec = tensor.spec();
        inputs.push((name.as_str(), graph.input(name, spec.shape, spec.dtype)?));
        feeds.push((name.clone(), tensor));
    }
    let mut fetch = outputs(op, field(case, "attrs"), &inputs)?;
    let stored = field(case, "outputs");
    let mut expected: Vec<(String, &Value)> =
        ["y", "positions"].iter().take(fetch.len()).map(|name| (name.to_string(), field(stored, name))).collect();
    assert_eq!(expected.len(), object(stored).count(), "outputs of {op}");

    let gradients: Vec<_> = object(field(case, "gradients")).collect();
    if !gradients.is_empty() {
        let cotangent = tensor(field(case, "cotangent"));
        let dy = graph.input("cotangent", cotangent.spec().shape, cotangent.spec().dtype)?;
        feeds.push(("cotangent".into(), cotangent));
        let wrt: Vec<Var> = gradients.iter().map(|(name, _)| input(&inputs, name).clone()).collect();
        fetch.extend(graph.gradients_from(&[(fetch[0].clone(), dy)], &wrt)?);
        expected.extend(gradients.iter().map(|(name, array)| (format!("{GRADIENT}{name}"), *array)));
    }
    Ok((Case { graph, fetch, bounds: Vec::new(), feeds }, expected))
}

fn input<'v>(inputs: &'v [(&str, Var)], name: &str) -> &'v Var {
    let found = inputs.iter().find(|(have, _)| *have == name);
    &found.unwrap_or_else(|| panic!("no input \"{name}\"")).1
}

/// The outputs of op `op` with the stored attributes. An op that is not listed here fails the test.
fn outputs(op: &str, attrs: &Value, inputs: &[(&str, Var)]) -> Result<Vec<Var>> {
    let input = |name: &str| input(inputs, name);
    let attr = |name: &str| field(attrs, name);
    let axis = || number(attr("axis")) as isize;
    let axes = || list(attr("axes"), |v| number(v) as isize);
    let keep = || flag(attr("keepdims"));
    let (x, a, b) = (|| input("x"), || input("a"), || input("b"));
    let y = match op {
        "conv1d" => x().conv1d(input("w"), &conv(attrs)),
        "conv2d" => x().conv2d(input("w"), &conv(attrs)),
        "conv3d" => x().conv3d(input("w"), &conv(attrs)),
        "conv_transpose1d" => x().conv_transpose1d(input("w"), &conv_transpose(attrs)),
        "conv_transpose2d" => x().conv_transpose2d(input("w"), &conv_transpose(attrs)),
        "conv_transpose3d" => x().conv_transpose3d(input("w"), &conv_transpose(attrs)),
        "max_pool2d" => {
            let (y, positions) = x().max_pool2d_with_positions(pool(attrs))?;
            return Ok(vec![y, positions]);
        }
        "avg_pool2d" => x().avg_pool2d(pool(attrs), flag(attr("count_include_pad"))),
        "softmax" => x().softmax(axis()),
        "log_softmax" => x().log_softmax(axis()),
        "cross_entropy_logits" => input("logits").cross_entropy(input("targets"), -1, true),
        "cross_entropy_probs" => {
            assert!(!flag(attr("normalize")) && number(attr("epsilon")) == 1e-7, "not Galen's definition: {attrs}");
            input("probs").cross_entropy(input("targets"), -1, false)
        }
        "mse" => {
            let squares = input("pred").sub(input("target"))?.square()?;
            match text(attr("reduction")) {
                "last_axis" => squares.mean(&[-1], false),
                "all" => squares.mean_all(),
                other => panic!("mse reduced over {other}"),
            }
        }
        "matmul" => a().matmul_with(b(), flag(attr("transpose_a")), flag(attr("transpose_b"))),
        "add" => a().add(b()),
        "sub" => a().sub(b()),
        "mul" => a().mul(b()),
        "div" => a().div(b()),
        "maximum" => a().maximum(b()),
        "minimum" => a().minimum(b()),
        "neg" => x().neg(),
        "exp" => x().exp(),
        "log" => x().log(),
        "sqrt" => x().sqrt(),
        "square" => x().square(),
        "abs" => x().abs(),
        "sigmoid" => x().sigmoid(),
        "tanh" => x().tanh(),
        "relu" => x().relu(),
        "sum" => x().sum(&axes(), keep()),
        "mean" => x().mean(&axes(), keep()),
        "max" => x().max(&axes(), keep()),
        "argmax" => x().argmax(axis()),
        "gather" => {
            assert_eq!(axis(), 0, "gather takes rows");
            input("table").gather(input("ids"))
        }
        "concat" => {
            // x0, x1, ..: the file's objects are read in the order of their names.
            let parts: Vec<&Var> = inputs.iter().map(|(_, x)| x).collect();
            Var::concat(&parts, axis())
        }
        "pad" => {
            let around = list(attr("pads"), |pair| (whole(&pair[0]), whole(&pair[1])));
            x().pad(&around, number(attr("value")) as f32)
        }
        "slice" => {
            let (begin, size) = (list(attr("begin"), whole), list(attr("size"), whole));
            let ranges: Vec<(usize, usize)> = begin.iter().zip(size).map(|(b, size)| (*b, b + size)).collect();
            x().slice(&ranges)
        }
        "transpose" => x().transpose(&list(attr("perm"), whole)),
        _ => panic!("the test does not know the op \"{op}\""),
    };
    Ok(vec![y?])
}

/// One number for each spatial axis.
fn each<const N: usize>(attrs: &Value, name: &str) -> [usize; N] {
    list(field(attrs, name), whole).try_into().unwrap_or_else(|v| panic!("{name}: {v:?}"))
}

/// `SAME` is left to Galen's own rule: TensorFlow was told no numbers either.
fn padding<const N: usize>(attrs: &Value) -> Padding<N> {
    if flag(field(attrs, "same")) {
        return Padding::Same;
    }
    let pads = list(field(attrs, "pads"), whole);
    let pairs: Vec<[usize; 2]> = pads.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect();
    Padding::Explicit(pairs.try_into().unwrap_or_else(|v| panic!("pads: {v:?}")))
}

fn conv<const N: usize>(attrs: &Value) -> ConvOptions<N> {
    ConvOptions::new()
        .stride(each(attrs, "stride"))
        .dilation(each(attrs, "dilation"))
        .padding(padding(attrs))
        .groups(whole(field(attrs, "groups")))
}

fn conv_transpose<const N: usize>(attrs: &Value) -> ConvTransposeOptions<N> {
    let options = ConvTransposeOptions::new()
        .stride(each(attrs, "stride"))
        .dilation(each(attrs, "dilation"))
        .padding(padding(attrs))
        .groups(whole(field(attrs, "groups")));
    // What SAME adds is again left to the rule.
    if flag(field(attrs, "same")) { options } else { options.output_padding(each(attrs, "output_padding")) }
}

fn pool<const N: usize>(attrs: &Value) -> PoolOptions<N> {
    PoolOptions::new(each(attrs, "kernel")).stride(each(attrs, "stride")).padding(padding(attrs))
}
