//! What only fusion may set has no gradient; indices out of range are refused before a run or latched in it.

mod common;

use std::collections::BTreeSet;

use galen::contract::clock;
use galen::graph::Init;
use galen::ops::Op;
use galen::shape::DType;
use galen::{Device, Error, Graph, Plan, Session, Tensor, TensorSpec, Var};

/// The fields that only fusion sets.
const FUSED: [&str; 2] = ["relu", "residual"];

/// This op with a field set that is not; none where it has no such field.
fn with(op: &Op, field: &str) -> Option<Op> {
    fn set(value: &mut serde_json::Value, field: &str) -> bool {
        match value {
            serde_json::Value::Object(fields) => {
                if fields.contains_key("relu") || fields.contains_key("groups") && fields.contains_key("dilation") {
                    fields.insert(field.to_owned(), true.into());
                    return true;
                }
                fields.values_mut().any(|value| set(value, field))
            }
            _ => false,
        }
    }
    let mut json = serde_json::to_value(op).ok()?;
    // A field that is not set may not be written.
    let named = json.as_object_mut()?;
    let fields = named.values_mut().next()?;
    if !set(fields, field) {
        fields.as_object_mut()?.insert(field.to_owned(), true.into());
    }
    serde_json::from_value(json).ok()
}

/// Every op of every row, and of its gradient, with each field that only fusion sets: as a node it is refused, or its gradient is.
#[test]
fn no_fused_op_has_a_gradient() {
    let mut met = BTreeSet::new();
    for row in common::rows::all() {
        let case = common::build(&row).expect("a case");
        for step in Plan::new(&case.graph, &case.fetch, None).expect("a plan").steps {
            // The ReLU of a recurrence is an activation that anybody may choose.
            if ["rnn", "lstm", "gru"].contains(&step.op.stem()) {
                continue;
            }
            for field in FUSED {
                let Some(op) = with(&step.op, field) else { continue };
                if let Some(fault) = gradient_of(&op, &step.io.inputs, field) {
                    panic!("{}/{}: {} with {field}: {fault}", row.stem, row.name, op.name());
                }
                met.insert((format!("{op:?}").split([' ', '(']).next().unwrap_or_default().to_owned(), field));
            }
        }
    }
    for (op, field) in [("Matmul", "relu"), ("Conv", "relu"), ("Conv", "residual"), ("BatchNorm", "relu")] {
        assert!(met.contains(&(op.to_owned(), field)), "{op} with {field} was not met: {met:?}");
    }
    for op in ["BatchNormInfer", "BatchNormGrad", "ConvGradX", "ConvGradW"] {
        assert!(met.contains(&(op.to_owned(), "relu")), "{op} was not met: {met:?}");
    }
    // A field that only fusion sets says so where it is declared, and each of those is among the fields here.
    let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ops")];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("a text");
            for part in text.split("Only [fusion](crate::graph) sets it").skip(1) {
                let field = part.split("pub ").nth(1).and_then(|rest| rest.split(':').next()).unwrap_or_default();
                assert!(FUSED.contains(&field), "{}: {field}", path.display());
            }
        }
    }
}

/// What is wrong: the op is accepted with inputs of these shapes (and a residual or the result of its ReLU as another one), and so is its
/// gradient.
fn gradient_of(op: &Op, inputs: &[TensorSpec], field: &str) -> Option<String> {
    let graph = Graph::new();
    let mut specs = inputs.to_vec();
    match graph_takes(op, &specs) {
        true => {}
        false if field == "residual" || op.name() == "batch_norm_grad" => {
            let like = if field == "residual" { plain_output(op, inputs)? } else { inputs[0].clone() };
            specs.push(like);
        }
        false => return None,
    }
    let vars: Vec<Var> = specs
        .iter()
        .enumerate()
        .map(|(i, spec)| graph.input(&format!("x{i}"), spec.shape.clone(), spec.dtype).expect("an input"))
        .collect();
    let inputs: Vec<&Var> = vars.iter().collect();
    let pushed = match op.clone() {
        Op::Matmul(op) => graph.push(op, &inputs),
        Op::Conv(op) => graph.push(op, &inputs),
        Op::ConvGradX(op) => graph.push(op, &inputs),
        Op::ConvGradW(op) => graph.push(op, &inputs),
        Op::ConvGrad(op) => graph.push(op, &inputs),
        Op::ConvNorm(op) => graph.push(op, &inputs),
        Op::BatchNorm(op) => graph.push(op, &inputs),
        Op::BatchNormInfer(op) => graph.push(op, &inputs),
        Op::BatchNormGrad(op) => graph.push(op, &inputs),
        other => panic!("{} has a field that only fusion sets: push it here", other.name()),
    };
    let outputs = pushed.ok()?;
    let floats: Vec<Var> = vars.iter().filter(|v| v.dtype() == DType::F32).cloned().collect();
    let loss = outputs.first()?.sum_all().ok()?;
    match graph.gradients(&loss, &floats) {
        Ok(_) => Some("it has a gradient".into()),
        Err(Error::Gradient { .. }) => None,
        Err(other) => Some(other.to_string()),
    }
}

fn graph_takes(op: &Op, inputs: &[TensorSpec]) -> bool {
    op.infer(inputs).is_ok()
}

/// The output of the same op without a residual.
fn plain_output(op: &Op, inputs: &[TensorSpec]) -> Option<TensorSpec> {
    let mut json = serde_json::to_value(op).ok()?;
    json.as_object_mut()?.values_mut().next()?.as_object_mut()?.remove("residual");
    let plain: Op = serde_json::from_value(json).ok()?;
    plain.infer(inputs).ok()?.into_iter().next()
}

fn device() -> Device {
    Device::cpu_with_threads(1).expect("a thread")
}

/// On the processor, and on a GPU where there is one.
fn devices() -> Vec<Device> {
    std::iter::once(device()).chain(common::own_gpu()).collect()
}

#[test]
fn indices_of_an_input_are_looked_at_before_the_run() {
    for device in devices() {
        let graph = Graph::new();
        let table = graph.input("table", [5, 2], DType::F32).expect("an input");
        let ids = graph.input("ids", [2, 3], DType::U32).expect("an input");
        let letters = graph.input("letters", [4], DType::U32).expect("an input");
        let labels = graph.input("labels", [4], DType::U32).expect("an input");
        let fetch = graph
            .in_layer("embedding", || table.gather_padded(&ids.reshape([6])?, Some(9)))
            .and_then(|rows| Ok(vec![rows, letters.one_hot(4)?, labels.one_hot_with(4, -1, 1.0, 0.0)?]))
            .expect("nodes");
        let mut session = Session::new(&device, 0, None);
        let executable = session.compile(&graph, &fetch).expect("a plan");
        let mut run = |ids: [u32; 6], letters: [u32; 4]| {
            let table = Tensor::f32([5, 2], (0..10).map(|i| i as f32).collect()).expect("a table");
            let ids = Tensor::u32([2, 3], ids.to_vec()).expect("ids");
            let letters = Tensor::u32([4], letters.to_vec()).expect("letters");
            let labels = Tensor::u32([4], vec![0, 255, 4, 3]).expect("labels");
            let given = [("table", &table), ("ids", &ids), ("letters", &letters), ("labels", &labels)];
            session.run(&executable, &given)
        };
        let results = run([0, 1, 4, 9, 2, 3], [0, 3, 1, 2]).expect("a run");
        let rows = results[0].clone().into_f32().expect("floats");
        assert_eq!(rows.iter().copied().collect::<Vec<_>>(), [0., 1., 2., 3., 8., 9., 0., 0., 4., 5., 6., 7.]);
        // Labels that are to be ignored are given as such.
        let hot = results[2].clone().into_f32().expect("floats");
        assert_eq!(hot.iter().sum::<f32>(), 2.0);
        for (ids, letters, parts) in [
            ([0, 1, 5, 9, 2, 3], [0, 3, 1, 2], ["input \"ids\"", "below 5", "embedding", "5 at element 2"]),
            ([0, 1, 4, 9, 2, u32::MAX], [0; 4], ["input \"ids\"", "gather", "below 5", "4294967295 at element 5"]),
            ([0; 6], [0, 3, 4, 2], ["input \"letters\"", "one_hot", "below 4", "4 at element 2"]),
        ] {
            let message = run(ids, letters).expect_err("out of range").to_string();
            assert!(parts.iter().all(|part| message.contains(part)), "{message}");
        }
    }
}

/// Indices that the device computes: what they give is not finite, the step's watch latches it, and a run op by op names the node.
#[test]
fn indices_that_are_computed_latch_a_fault() {
    for (device, hot) in devices().iter().flat_map(|device| [(device, false), (device, true)]) {
        let graph = Graph::new();
        let words = |words: Vec<u32>| Init::Words(words.into());
        let spec = TensorSpec::u32([clock::LEN]);
        let clock = graph.state("clock", "clock", spec.clone(), words(clock::clock(6, 1).to_vec())).expect("a clock");
        let x = graph.input("x", [3, 6], DType::F32).expect("an input");
        let table = graph.parameter("table", [4, 2], Init::Constant(0.5)).expect("a table");
        let loss = graph.in_layer("lookup", || {
            let ids = x.argmax(-1)?;
            if hot { ids.one_hot(4)? } else { table.gather(&ids)? }.mean_all()
        });
        loss.and_then(|loss| loss.check_finite(&clock)).expect("nodes");
        let mut session = Session::new(device, 0, None);
        let executable = session.compile(&graph, &[]).expect("a plan");
        let mut fault = |ids: [usize; 3]| {
            let of = |i: usize| if ids[i / 6] == i % 6 { 1.0 } else { 0.0 };
            let x = Tensor::f32([3, 6], (0..18).map(of).collect()).expect("numbers");
            session.run(&executable, &[("x", &x)]).expect("a run");
            let Tensor::U32(words) = session.read_state("clock", 0, spec.clone()).expect("words") else { panic!() };
            let first = session.first_not_finite(&executable).expect("a run");
            (words[clock::FAULT], first)
        };
        assert_eq!(fault([0, 1, 3]), (0, None));
        let name = if hot { "one_hot" } else { "gather" };
        let (latched, first) = fault([0, 4, 3]);
        assert_eq!(latched, 7, "{device}");
        assert!(first.as_deref().is_some_and(|first| first.contains("lookup") && first.contains(name)), "{first:?}");
    }
}

#[test]
fn more_threads_than_make_sense_are_refused() {
    let message = Device::cpu_with_threads(200_000).expect_err("too many").to_string();
    assert!(message.contains("threads") && message.contains("200000"), "{message}");
}
