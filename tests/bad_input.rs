//! What is wrong is said, by name, with what was expected and what came; nothing panics and nothing is lost.

#[path = "bad_input/attention.rs"]
mod attention;
mod common;
#[path = "bad_input/conv.rs"]
mod conv;
#[path = "bad_input/elements.rs"]
mod elements;
#[path = "bad_input/losses.rs"]
mod losses;
#[path = "bad_input/norm.rs"]
mod norm;
#[path = "bad_input/pool.rs"]
mod pool;
#[path = "bad_input/recurrent.rs"]
mod recurrent;

use galen::contract::{CpuCall, CustomOp, GpuTraits, Io, Launches};
use galen::data::Dataset;
use galen::graph::{Grad, GradientCtx, Init};
use galen::nn::Network;
use galen::prelude::*;
use galen::{DType, Error, Graph, Session, Tensor};
use ndarray::{Array1, Array2, Array4};

fn cpu() -> Device {
    Device::cpu_with_threads(1).expect("a thread")
}

fn images(n: usize, side: usize) -> Array4<f32> {
    Array4::from_elem((n, 1, side, side), 0.5)
}

fn classes(n: usize, classes: u32) -> Array1<u32> {
    (0..n as u32).map(|i| i % classes).collect()
}

fn model(device: &Device) -> Model {
    let network = Sequential::new([1, 6, 6])
        .with(Conv2d::new(2, [3, 3]).activation(Relu))
        .with(Flatten)
        .with(Dense::new(3).activation(Softmax));
    let loss = CategoricalCrossEntropy::new();
    network.compile_on(&Setup::on(device), Adam::default(), loss, &[Metric::Accuracy]).expect("a model")
}

/// The error's text holds every one of `parts`.
fn says<T: std::fmt::Debug>(result: galen::Result<T>, parts: &[&str]) {
    let text = result.expect_err("this must be refused").to_string();
    for part in parts {
        assert!(text.contains(part), "\"{text}\" does not say \"{part}\"");
    }
}

#[test]
fn shapes_that_do_not_match_name_op_layer_and_both_shapes() {
    let graph = Graph::new();
    let a = graph.input("a", [2, 3], DType::F32).expect("an input");
    let b = graph.input("b", [4, 5], DType::F32).expect("an input");
    says(a.matmul(&b), &["matmul", "[2, 3]", "[4, 5]"]);
    says(a.add(&b), &["add", "[2, 3]", "[4, 5]"]);
    // A bias is an input of the product, where somebody gives it one without fusion.
    let (c, bias) = (graph.input("c", [3, 5], DType::F32), graph.input("bias", [5], DType::F32));
    let (c, bias) = (c.expect("an input"), bias.expect("an input"));
    let product = galen::ops::matmul::Matmul { transpose_a: false, transpose_b: false, relu: false };
    graph.push1(product.clone(), &[&a, &c, &bias]).expect("a bias for each column");
    says(graph.push1(product.clone(), &[&a, &c, &c]), &["matmul", "a bias [5]", "[3, 5]"]);
    says(graph.push1(product, &[&a, &c, &bias, &bias]), &["matmul", "a bias [5]"]);
    says(a.reshape([7]), &["reshape", "6 elements", "[7]"]);
    says(graph.input("a", [1], DType::F32), &["\"a\""]);
    says(Graph::new().input("z", [0, 2], DType::F32), &["at least one element", "[0, 2]"]);
    says(Graph::new().push1(galen::ops::copy::Copy, &[&a]), &["another graph"]);
    let network = Sequential::new([1, 5, 5]).with(Conv2d::new(4, [7, 7]));
    says(network.summary(), &["layer \"conv2d\""]);
    let network =
        Sequential::new([1, 5, 5]).with(Dense::new(3)).with(MaxPool2d::new([2, 2])).with(MaxPool2d::new([9, 9]));
    says(network.summary(), &["layer \"max_pool2d_1\""]);
    says(Sequential::new([4]).with(MaxPool2d::new([2, 2])).summary(), &["layer \"max_pool2d\"", "[1, 4]"]);
    says(Sequential::new([3, 8, 8]).with(Conv2d::new(4, [3, 3]).groups(2)).summary(), &["conv2d", "groups", "3", "2"]);
    says(Sequential::new([1, 8, 8]).with(Conv2d::new(4, [3, 3]).stride([0, 1])).summary(), &["conv2d", "stride"]);
    says(Sequential::new([4]).with(Dropout::new(1.0)).summary(), &["dropout", "[0, 1)"]);
}

#[test]
fn settings_that_make_no_sense_are_refused_at_build() {
    let data = Dataset::new(images(8, 6), classes(8, 3)).expect("data");
    let mut model = model(&cpu());
    says(model.fit(&data, &Fit::new().batch_size(0)), &["batch size", "at least 1"]);
    says(model.fit(&data, &Fit::new().epochs(0)), &["epochs", "at least 1"]);
    says(model.fit(&data, &Fit::new().validation_split(1.5)), &["validation split"]);
    for rate in [-1.0, 0.0, f32::NAN] {
        let network = Sequential::new([2]).with(Dense::new(1));
        let model = network.compile_on(&Setup::on(&cpu()), Adam::new(rate), MeanSquaredError::new(), &[]);
        says(model, &["adam", "learning rate", "positive"]);
    }
}

#[test]
fn data_that_cannot_be_trained_on_is_refused() {
    says(Dataset::new(Array2::<f32>::zeros((0, 3)), Array1::<u32>::zeros(0)), &["features", "at least one sample"]);
    says(Dataset::new(images(4, 6), classes(5, 3)), &["targets", "4", "5"]);
    let mut bad = images(4, 6);
    bad[[2, 0, 1, 1]] = f32::NAN;
    says(Dataset::new(bad, classes(4, 3)), &["features", "finite", "sample 2"]);
    let mut model = model(&cpu());
    let wrong_size = Dataset::new(images(4, 5), classes(4, 3)).expect("data");
    says(model.fit(&wrong_size, &Fit::new()), &["[1, 6, 6]", "1, 5, 5]"]);
    says(model.predict(images(4, 5)), &["[1, 6, 6]", "[4, 1, 5, 5]"]);
    let unknown_class = Dataset::new(images(4, 6), classes(4, 4)).expect("data");
    says(model.fit(&unknown_class, &Fit::new()), &["0 to 2", "3 in sample 3"]);
    says(model.evaluate(&unknown_class), &["0 to 2"]);
    let one_hot = Dataset::new(images(4, 6), Array2::<f32>::zeros((4, 2))).expect("data");
    says(model.fit(&one_hot, &Fit::new()), &["crossentropy", "3", "2"]);
    // Nothing was lost: it trains.
    let good = Dataset::new(images(4, 6), classes(4, 3)).expect("data");
    model.fit(&good, &Fit::new().verbose(false)).expect("a training");
}

#[test]
fn a_device_that_is_not_there_is_said_with_those_that_are() {
    says(Device::named("no such adapter"), &["no such adapter", "cpu"]);
}

#[test]
fn a_plan_over_the_budget_names_node_need_and_limit() {
    for device in std::iter::once(cpu()).chain(common::gpu().cloned()) {
        let network =
            Sequential::new([1, 6, 6]).with(Flatten).with(Dense::new(2000)).with(Dense::new(3).activation(Softmax));
        let setup = Setup::on(&device).memory_budget(Some(10_000));
        let loss = CategoricalCrossEntropy::new();
        let result = network.compile_on(&setup, Adam::default(), loss, &[]);
        match result {
            Err(Error::Limit { needed, allowed: 10_000, unit: "bytes", .. }) => assert!(needed > 10_000),
            other => panic!("{device}: {other:?}"),
        }
    }
}

#[test]
fn inputs_of_a_run_are_checked_by_name() {
    let graph = Graph::new();
    let x = graph.input("x", [2], DType::F32).expect("an input");
    let y = x.neg().expect("a node");
    let mut session = Session::new(&cpu(), 0, None);
    let run = session.compile(&graph, &[y]).expect("a plan");
    let (right, wrong) = (Tensor::from(Array1::<f32>::zeros(2)), Tensor::from(Array1::<f32>::zeros(3)));
    says(session.run(&run, &[]), &["\"x\"", "not given"]);
    says(session.run(&run, &[("q", &right)]), &["\"q\""]);
    says(session.run(&run, &[("x", &wrong)]), &["\"x\"", "[2]", "[3]"]);
    says(session.run(&run, &[("x", &Array1::<u32>::zeros(2).into())]), &["f32[2]", "u32[2]"]);
    session.run(&run, &[("x", &right)]).expect("a run");
}

#[test]
fn a_lost_device_is_an_error_and_not_a_hang() {
    let Some(gpu) = common::gpu() else { return };
    let gpu = Device::named(&gpu.name()).expect("the adapter again");
    let mut model = model(&gpu);
    let data = Dataset::new(images(8, 6), classes(8, 3)).expect("data");
    model.fit(&data, &Fit::new().verbose(false)).expect("a training");
    gpu.destroy();
    match model.fit(&data, &Fit::new().verbose(false)) {
        Err(Error::DeviceLost { device, .. }) => assert_eq!(device, gpu.name()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn gradients_that_do_not_exist_are_refused() {
    let graph = Graph::new();
    let x = graph.input("x", [2, 3], DType::F32).expect("an input");
    let z = graph.input("z", [2, 3], DType::F32).expect("an input");
    let loss = x.square().and_then(|y| y.sum_all()).expect("a loss");
    says(graph.gradients(&x, std::slice::from_ref(&x)), &["one element"]);
    says(graph.gradients(&loss, std::slice::from_ref(&z)), &["does not depend"]);
}

#[test]
fn shapes_beyond_any_memory_are_refused() {
    let graph = Graph::new();
    let huge = usize::MAX / 2;
    says(graph.input("x", [huge, 3], DType::F32), &["input \"x\"", "elements"]);
    says(graph.input("x", [huge, 0], DType::F32), &["at least one element"]);
    says(graph.input("x", [2; 7], DType::F32), &["at most 6 dimensions"]);
    says(graph.parameter("w", [huge, huge], Init::Constant(0.0)), &["state \"w\"", "elements"]);
    says(graph.fill([huge, huge], 0.0), &["fill", "elements"]);
    let x = graph.input("x", [2], DType::F32).expect("an input");
    says(x.reshape([huge, huge]), &["reshape"]);
    says(x.broadcast_to([huge, huge, 2]), &["elements"]);
    says(Sequential::new([huge, huge]).with(Flatten).summary(), &["elements"]);
    says(Sequential::new([4]).with(Dense::new(huge)).with(Dense::new(huge)).summary(), &["dense", "elements"]);
    says(Sequential::new([1, 8, 8]).with(Conv2d::new(huge, [huge, huge])).summary(), &["conv2d"]);
}

#[test]
fn an_executable_runs_only_where_it_was_made_and_with_the_state_it_was_made_for() {
    for device in std::iter::once(cpu()).chain(common::gpu().cloned()) {
        let graph = Graph::new();
        let w = graph.parameter("w", [3], Init::Constant(2.0)).expect("a parameter");
        let y = w.neg().expect("a node");
        let (mut one, mut other) = (Session::new(&device, 0, None), Session::new(&device, 0, None));
        let run = one.compile(&graph, std::slice::from_ref(&y)).expect("a plan");
        says(other.run(&run, &[]), &["another session"]);
        assert_eq!(one.run_some(&run, 0).expect("nothing to do"), 0);
        one.run(&run, &[]).expect("a run");
        one.forget("parameters");
        says(one.run(&run, &[]), &["parameters", "dropped"]);
        let again = one.compile(&graph, &[y]).expect("a plan");
        says(one.run(&run, &[]), &["parameters", "dropped"]);
        one.run(&again, &[]).expect("a run");
        // A read beyond the end is refused, and those after it are not.
        says(one.read_state("parameters", 64, galen::TensorSpec::f32([64])), &["read", "at most"]);
        one.state("parameters", "w").expect("the parameter");
    }
}

#[test]
fn arrays_in_another_order_are_not_taken_for_empty_ones() {
    let turned = || Tensor::F32(Array2::<f32>::zeros((3, 2)).reversed_axes().into_dyn());
    says(Dataset::new(turned(), classes(2, 2)), &["features", "row-major"]);
    let graph = Graph::new();
    let x = graph.input("x", [2, 3], DType::F32).expect("an input");
    let mut session = Session::new(&cpu(), 0, None);
    let run = session.compile(&graph, &[x.neg().expect("a node")]).expect("a plan");
    says(session.run(&run, &[("x", &turned())]), &["\"x\"", "row-major"]);
}

/// `y = x`, with a gradient that somebody got wrong.
#[derive(Debug)]
struct Wrong(fn(&GradientCtx) -> galen::Result<Vec<Grad>>);

impl CustomOp for Wrong {
    fn name(&self) -> &str {
        "wrong"
    }
    fn infer(&self, inputs: &[galen::TensorSpec]) -> galen::Result<Vec<galen::TensorSpec>> {
        Ok(inputs.to_vec())
    }
    fn gpu(&self, _: &Io, _: &GpuTraits) -> Launches {
        Launches::default()
    }
    fn cpu_f32(&self, _: CpuCall<'_, f32>) {}
    fn cpu_f64(&self, _: CpuCall<'_, f64>) {}
    fn gradient(&self, ctx: &GradientCtx) -> galen::Result<Vec<Grad>> {
        (self.0)(ctx)
    }
}

#[test]
fn a_gradient_that_is_missing_or_misshapen_is_never_taken_for_zero() {
    let ask = |gradient| {
        let graph = Graph::new();
        let x = graph.input("x", [2, 3], DType::F32)?;
        let y = graph.custom(std::sync::Arc::new(Wrong(gradient)), &[&x])?.swap_remove(0);
        graph.gradients(&y.sum_all()?, &[x])
    };
    says(ask(|_| Ok(vec![])), &["wrong", "0 of them for 1"]);
    says(ask(|_| Ok(vec![Grad::NotWanted])), &["wrong", "wanted"]);
    says(ask(|ctx| Ok(vec![Grad::Of(ctx.dy()?.sum(&[0], false)?)])), &["wrong", "f32[2, 3]", "f32[3]"]);
    // A penalty on all parameters at once is a part of the gradient of each, and cannot be followed.
    let graph = Graph::new();
    let w = graph.parameter("w", [3], Init::Constant(1.0)).expect("a parameter");
    let all = graph.whole("parameters").and_then(|p| p.square()).and_then(|p| p.sum_all()).expect("a penalty");
    let loss = w.sum_all().and_then(|y| y.add(&all)).expect("a loss");
    says(graph.gradients(&loss, std::slice::from_ref(&w)), &["parameters", "whole"]);
    // An arena is packed once, with floats.
    graph.pack("parameters", "packed", &[Some(w.clone())]).expect("a pack");
    says(graph.pack("parameters", "packed", &[Some(w)]), &["\"packed\"", "already"]);
    let ids = graph.input("ids", [3], DType::U32).expect("an input");
    says(graph.pack("parameters", "ids", &[Some(ids)]), &["f32", "u32"]);
}

#[test]
fn memory_that_is_not_there_is_an_error() {
    let graph = Graph::new();
    let x = graph.input("x", [1 << 20, 1 << 20], DType::F32).expect("an input");
    let y = x.neg().expect("a node");
    let mut session = Session::new(&cpu(), 0, Some(u64::MAX));
    match session.compile(&graph, &[y]) {
        Err(Error::OutOfMemory { device, .. }) => assert_eq!(device, "cpu"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_input_stays_for_the_next_run() {
    let graph = Graph::new();
    let x = graph.input("x", [4], DType::F32).expect("an input");
    let y = x.neg().and_then(|y| y.exp()).and_then(|y| y.sqrt()).expect("nodes");
    for device in std::iter::once(cpu()).chain(common::gpu().cloned()) {
        let mut session = Session::new(&device, 0, None);
        let run = session.compile(&graph, std::slice::from_ref(&y)).expect("a plan");
        let given = Tensor::from(Array1::from(vec![0.5f32, 1.0, 2.0, 3.0]));
        let once = session.run(&run, &[("x", &given)]).expect("a run");
        session.run_steps(&run, 3).expect("runs");
        assert_eq!(once, session.outputs(&run).expect("outputs"), "{device}");
    }
}

#[test]
fn one_value_per_sample_may_come_flat() {
    let network = Sequential::new([2]).with(Dense::new(1));
    let mut model =
        network.compile_on(&Setup::on(&cpu()), Sgd::default(), MeanSquaredError::new(), &[]).expect("a model");
    let flat = Dataset::new(Array2::<f32>::zeros((6, 2)), Array1::<f32>::ones(6)).expect("data");
    let column = Dataset::new(Array2::<f32>::zeros((6, 2)), Array2::<f32>::ones((6, 1))).expect("data");
    assert_eq!(model.evaluate(&flat).expect("a loss"), model.evaluate(&column).expect("a loss"));
    let wrong = Dataset::new(Array2::<f32>::zeros((6, 2)), Array2::<f32>::ones((6, 2))).expect("data");
    says(model.evaluate(&wrong), &["mse", "[6, 1]", "[6, 2]"]);
}
