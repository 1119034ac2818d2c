//! Model files whose networks cost more than they look: refused before they are built, or built in the time that their size asks for.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use galen::interop::safetensors;
use galen::nn::{Architecture, Network};
use galen::prelude::*;
use galen::train::SavedModel;
use galen::{Result, Tensor};
use serde_json::{Value, json};

/// An input of four floats.
fn input() -> Value {
    json!({"name": "x", "shape": [4], "dtype": "f32", "limit": null})
}

/// A parameter or other state.
fn state(arena: &str, name: &str, shape: &[usize], init: Value) -> Value {
    json!({"arena": arena, "name": name, "spec": {"shape": shape, "dtype": "f32"}, "init": init})
}

/// A network that declares this state and does this.
fn network(states: Vec<Value>, items: Vec<Value>, output: usize) -> Value {
    let infer = json!({"items": items, "outputs": [output]});
    // In training the clock is a value too, and comes after the inputs.
    let train = json!({"items": [], "outputs": [0]});
    json!({"version": 1, "inputs": [input()], "states": states, "infer": infer, "train": train})
}

/// A parameter of one element, so that there is something to train.
fn one() -> Value {
    state("parameters", "w", &[1], json!({"constant": 1.0}))
}

/// `y = x · w`, as value 1.
fn scaled() -> Vec<Value> {
    vec![json!({"state": 0}), json!({"node": {"does": {"op": mul()}, "inputs": [0, {"state": 0}]}})]
}

/// A product, as the description of a network that has one says it.
fn mul() -> Value {
    #[derive(Debug)]
    struct Product;
    impl Network for Product {
        fn inputs(&self) -> Vec<Input> {
            vec![Input::new([4])]
        }
        fn build(&self, ctx: &galen::nn::BuildCtx, x: &[galen::Var]) -> Result<Vec<galen::Var>> {
            let w = ctx.parameter(x[0].graph(), "w", [1], galen::graph::Init::Constant(1.0))?;
            Ok(vec![x[0].mul(&w)?])
        }
    }
    let text = serde_json::to_value(Architecture::of(&Product).expect("plain data")).expect("JSON");
    let items = text["infer"]["items"].as_array().expect("items").clone();
    items.iter().find_map(|item| Some(item.get("node")?["does"]["op"].clone())).expect("a product")
}

/// A model's file with this network and these tensors.
fn file(folder: &Path, network: &str, tensors: &[(String, Tensor)]) -> PathBuf {
    let path = folder.join("model.safetensors");
    let about = [("format", "galen model 1"), ("galen", "0.1.0"), ("architecture", network)];
    safetensors::write(&path, tensors, &about).expect("a file");
    path
}

fn value(name: &str, shape: &[usize]) -> (String, Tensor) {
    (name.to_owned(), Tensor::f32(shape, vec![0.5; shape.iter().product()]).expect("a tensor"))
}

fn setup() -> Setup {
    Setup::on(&Device::cpu_with_threads(1).expect("a processor")).memory_budget(Some(1 << 30))
}

/// What opening says, in a moment.
fn refusal(network: &Value, tensors: &[(String, Tensor)]) -> String {
    refusal_of(&network.to_string(), tensors)
}

fn refusal_of(network: &str, tensors: &[(String, Tensor)]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let path = file(folder.path(), network, tensors);
    let begun = Instant::now();
    let read = SavedModel::read(&path).err();
    let message = Model::open(&path, &setup()).expect_err("a hostile file").to_string();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}: {message}", begun.elapsed());
    // What can be read is refused when it is built.
    read.map_or(message, |read| read.to_string())
}

/// The model of a file whose network is large and honest, in so many seconds.
fn opens(network: &Value, tensors: &[(String, Tensor)], seconds: u64) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = file(folder.path(), &network.to_string(), tensors);
    let begun = Instant::now();
    // Threads of programs have 2 MiB of stack; a test has no less.
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(move || {
        let mut model = Model::open(&path, &setup())?;
        model.predict(Tensor::f32([3, 4], vec![1.0; 12])?).map(|y| y.len())
    });
    let outputs = thread.expect("a thread").join().expect("no overflow").expect("an honest network");
    assert_eq!(outputs, 12);
    assert!(begun.elapsed() < Duration::from_secs(seconds), "{:?}", begun.elapsed());
}

#[test]
fn a_plain_network_of_this_kind_is_opened() {
    opens(&network(vec![one()], scaled(), 1), &[value("w", &[1])], 20);
}

#[test]
fn state_that_no_network_has_is_refused() {
    for (arena, init) in [
        ("x", json!({"orthogonal": 1.0})),
        ("x", json!({"normal": [0.0, 1.0]})),
        ("constant [30000, 30000] of 1", json!({"orthogonal": 1.0})),
        ("gradients", json!({"constant": 0.0})),
        ("train order", json!({"constant": 0.0})),
    ] {
        let states = vec![one(), state(arena, "o", &[30_000, 30_000], init)];
        let mut items = scaled();
        items.push(json!({"state": 1}));
        let message = refusal(&network(states, items, 1), &[value("w", &[1])]);
        assert!(message.contains("parameters, statistics and constants with their values are allowed"), "{message}");
    }
}

#[test]
fn initial_values_are_not_made_where_values_follow() {
    // Hours of orthogonalization, and none of it is wanted.
    let n = 1500;
    let wide = state("parameters", "o", &[n, n], json!({"orthogonal": 1.0}));
    let mut items = scaled();
    items.push(json!({"state": 1}));
    let tensors = [value("w", &[1]), value("o", &[n, n])];
    let large = network(vec![one(), wide], items.clone(), 1);
    opens(&large, &tensors, 5);
    // Where none follow, the work has a limit.
    let endless = state("parameters", "o", &[30_000, 30_000], json!({"orthogonal": 1.0}));
    let message = refusal(&network(vec![one(), endless], items, 1), &[value("w", &[1])]);
    assert!(message.contains("orthogonal initial values"), "{message}");
}

#[test]
fn elements_that_the_file_does_not_hold_are_refused() {
    for init in [json!({"normal": [0.0, 1.0]}), json!({"constant": 1.0})] {
        let states = vec![one(), state("parameters", "o", &[1_000_000_000], init.clone())];
        let mut items = scaled();
        items.push(json!({"state": 1}));
        let message = refusal(&network(states, items.clone(), 1), &[value("w", &[1])]);
        assert!(message.contains("1 missing (o)"), "{message}");
        let states = vec![one(), state("parameters", "o", &[1 << 20, 1 << 20, 1 << 20], init)];
        let message = refusal(&network(states, items, 1), &[value("w", &[1])]);
        assert!(message.contains("elements"), "{message}");
    }
    let constant = state("constant [1073741824] of 1", "all", &[1 << 30], json!({"constant": 1.0}));
    let mut items = scaled();
    items.push(json!({"state": 1}));
    items.push(json!({"node": {"does": {"op": mul()}, "inputs": [1, {"state": 1}]}}));
    let message = refusal(&network(vec![one(), constant], items, 2), &[value("w", &[1])]);
    assert!(message.contains("4294967296") || message.contains("multiply") || message.contains("mul"), "{message}");
}

#[test]
fn names_and_depths_have_an_end() {
    let long = "n".repeat(1 << 20);
    let message = refusal(
        &network(
            vec![one()],
            vec![json!({"layer": {"name": long, "kind": "dense", "items": scaled(), "output": 1}})],
            1,
        ),
        &[value("w", &[1])],
    );
    assert!(message.contains("1048576 bytes in a name"), "{message}");
    let message = refusal(&network(vec![state("parameters", &long, &[1], json!({"constant": 0.0}))], scaled(), 1), &[]);
    assert!(message.contains("1048576 bytes in a name"), "{message}");
    // A path of many names is one too.
    let mut items = scaled();
    for _ in 0..30 {
        items = vec![json!({"layer": {"name": "n".repeat(200), "kind": "block", "items": items, "output": null}})];
    }
    let message = refusal(&network(vec![one()], items, 1), &[value("w", &[1])]);
    assert!(message.contains("name of a layer with those around it") || message.contains("recursion"), "{message}");
    let whole = network(vec![one()], vec![json!("HERE")], 1).to_string();
    let layer = r#"{"layer":{"name":"n","kind":"block","output":null,"items":["#;
    let deep = format!("{}{}", layer.repeat(100_000), "]}}".repeat(100_000));
    let message = refusal_of(&whole.replace("\"HERE\"", &deep), &[value("w", &[1])]);
    assert!(message.contains("recursion limit") || message.contains("layers within layers"), "{message}");
    let message = refusal(
        &network(
            vec![one()],
            vec![json!({"layer": {"name": "a\u{1b}[2J", "kind": "dense", "items": scaled(), "output": 1}})],
            1,
        ),
        &[value("w", &[1])],
    );
    assert!(message.contains("control characters"), "{message}");
}

#[test]
fn many_reshapes_overflow_no_stack() {
    let mut items = scaled();
    // Shapes as a network that reshapes writes them.
    let shapes = reshapes();
    for i in 0..150_000 {
        items.push(json!({"node": {"does": {"reshape": shapes[i % 2]}, "inputs": [i + 1]}}));
    }
    opens(&network(vec![one()], items, 150_001), &[value("w", &[1])], 60);
}

/// `[batch, 2, 2]` and `[batch, 4]`, as the description of a network writes them.
fn reshapes() -> [Value; 2] {
    #[derive(Debug)]
    struct There;
    impl Network for There {
        fn inputs(&self) -> Vec<Input> {
            vec![Input::new([4])]
        }
        fn build(&self, _: &galen::nn::BuildCtx, x: &[galen::Var]) -> Result<Vec<galen::Var>> {
            let batch = x[0].shape()[0];
            Ok(vec![x[0].reshape([batch, 2, 2])?.reshape([batch, 4])?])
        }
    }
    let text = serde_json::to_value(Architecture::of(&There).expect("plain data")).expect("JSON");
    let items = text["infer"]["items"].as_array().expect("items").clone();
    [0, 1].map(|i| items[i]["node"]["does"]["reshape"].clone())
}

#[test]
fn an_op_that_changes_state_is_refused() {
    let op = json!({"tick": {}});
    let items = vec![json!({"state": 0}), json!({"node": {"does": {"op": op}, "inputs": [{"state": 0}]}})];
    let message = refusal(&network(vec![one()], items, 0), &[value("w", &[1])]);
    assert!(message.contains("an architecture"), "{message}");
}

#[test]
fn many_parameters_and_layers_cost_what_they_weigh() {
    let count = 50_000;
    let (mut states, mut items, mut tensors) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..count {
        let name = format!("layer_{i}/w");
        states.push(state("parameters", &name, &[1], json!({"constant": 1.0})));
        let node = json!({"node": {"does": {"op": mul_once()}, "inputs": [i, {"state": i}]}});
        let layer = format!("layer_{i}");
        items.push(json!({"layer": {"name": layer, "kind": "scale", "items": [{"state": i}, node], "output": i + 1}}));
        tensors.push((name, Tensor::f32([1], vec![1.0]).expect("a tensor")));
    }
    opens(&network(states, items, count), &tensors, 60);
}

/// [`mul`], found once.
fn mul_once() -> Value {
    static MUL: std::sync::OnceLock<Value> = std::sync::OnceLock::new();
    MUL.get_or_init(mul).clone()
}

#[test]
fn many_constants_cost_what_they_weigh() {
    let count = 50_000;
    let mut states = vec![one()];
    let mut items = scaled();
    for i in 1..=count {
        states.push(state(&format!("constant [1] of {i}"), "all", &[1], json!({"constant": 1.0})));
        items.push(json!({"node": {"does": {"op": mul_once()}, "inputs": [i, {"state": i}]}}));
    }
    opens(&network(states, items, count + 1), &[value("w", &[1])], 60);
}

/// Every layer that slides, pads, resizes or repeats something.
fn layers() -> Vec<(&'static str, Architecture)> {
    use galen::nn::{
        AvgPool1d, AvgPool2d, Conv1d, Conv3d, ConvTranspose2d, DepthwiseConv2d, Gru, Interpolation, LayerNorm,
        MaxPool1d, MaxPool3d, MultiHeadAttention, UpSampling2d, ZeroPadding2d,
    };
    let of = |network: Sequential| Architecture::of(&network).expect("plain data");
    let image = || Sequential::new([2, 6, 6]);
    vec![
        ("conv1d", of(Sequential::new([2, 9]).with(Conv1d::new(2, [3])))),
        ("conv2d", of(image().with(Conv2d::new(2, [3, 3])))),
        ("conv2d same", of(image().with(Conv2d::new(2, [3, 3]).padding(Padding::Same)))),
        ("conv3d", of(Sequential::new([1, 4, 4, 4]).with(Conv3d::new(2, [2, 2, 2])))),
        ("transposed", of(image().with(ConvTranspose2d::new(2, [3, 3])))),
        ("depthwise", of(image().with(DepthwiseConv2d::new([3, 3])))),
        ("max_pool1d", of(Sequential::new([2, 9]).with(Conv1d::new(2, [1])).with(MaxPool1d::new([2])))),
        ("max_pool2d", of(image().with(Conv2d::new(2, [1, 1])).with(MaxPool2d::new([2, 2])))),
        (
            "max_pool3d",
            of(Sequential::new([1, 4, 4, 4]).with(Conv3d::new(1, [1, 1, 1])).with(MaxPool3d::new([2, 2, 2]))),
        ),
        ("avg_pool1d", of(Sequential::new([2, 9]).with(Conv1d::new(2, [1])).with(AvgPool1d::new([2])))),
        ("avg_pool2d", of(image().with(Conv2d::new(2, [1, 1])).with(AvgPool2d::new([2, 2])))),
        ("pad", of(image().with(Conv2d::new(2, [1, 1])).with(ZeroPadding2d::new([[1, 1], [1, 1]])))),
        (
            "resize",
            of(image()
                .with(Conv2d::new(2, [1, 1]))
                .with(UpSampling2d::new([2, 2]).interpolation(Interpolation::Linear))),
        ),
        ("norm", of(Sequential::new([4, 6]).with(LayerNorm::new()).with(Dense::new(2)))),
        ("gru", of(Sequential::new([4, 6]).with(Gru::new(3)).with(Dropout::new(0.1)))),
        ("attention", of(Sequential::new([4, 6]).with(MultiHeadAttention::new(2, 3)))),
    ]
}

/// Paths to every number of the description's program.
fn numbers(json: &Value, here: &str, out: &mut Vec<String>) {
    match json {
        Value::Number(_) => out.push(here.to_owned()),
        Value::Array(list) => list.iter().enumerate().for_each(|(i, v)| numbers(v, &format!("{here}/{i}"), out)),
        Value::Object(map) => {
            map.iter()
                .for_each(|(k, v)| numbers(v, &format!("{here}/{}", k.replace('~', "~0").replace('/', "~1")), out));
        }
        _ => {}
    }
}

#[test]
fn no_number_of_a_network_costs_more_than_it_should() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut tried, mut slowest) = (0, (Duration::ZERO, String::new()));
    for (name, architecture) in layers() {
        let whole = serde_json::to_value(&architecture).expect("JSON");
        let tensors: Vec<(String, Tensor)> = whole["states"]
            .as_array()
            .expect("states")
            .iter()
            .map(|state| {
                let shape = state["spec"]["shape"].as_array().expect("a shape");
                let shape: Vec<usize> = shape.iter().map(|n| n.as_u64().expect("a number") as usize).collect();
                value(state["name"].as_str().expect("a name"), &shape)
            })
            .collect();
        let input = architecture.inputs()[0].shape.to_vec();
        let x = || {
            let shape: Vec<usize> = std::iter::once(2).chain(input.iter().copied()).collect();
            let n = shape.iter().product();
            Tensor::f32(shape, vec![0.5; n]).expect("a tensor")
        };
        let mut places = Vec::new();
        numbers(&whole["infer"], "/infer", &mut places);
        for place in places {
            for number in [json!(65_535), json!(1 << 20)] {
                let mut json = whole.clone();
                *json.pointer_mut(&place).expect("a place") = number.clone();
                let path = file(folder.path(), &json.to_string(), &tensors);
                let begun = Instant::now();
                let _ = Model::open(&path, &setup()).and_then(|mut model| model.predict(x()).map(drop));
                tried += 1;
                slowest = slowest.max((begun.elapsed(), format!("{name}: {place} = {number}")));
            }
        }
    }
    println!("{tried} numbers, the slowest {slowest:?}");
    assert!(slowest.0 < Duration::from_secs(20), "{slowest:?}");
}
