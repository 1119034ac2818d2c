//! Numbers that Galen did not compute (see `oracle/README.md`): single ops with their gradients, optimizers step by step, and two
//! whole trainings, on the f64 twin, on the CPU and on the GPU.

mod common;
#[path = "oracle/ops.rs"]
mod ops;
#[path = "oracle/optimizers.rs"]
mod optimizers;
#[path = "oracle/training.rs"]
mod training;
#[path = "oracle/updates.rs"]
mod updates;

use common::UNIT;
use common::rows::Bound;
use galen::{Device, Tensor};
use serde_json::Value;

/// Cases in `ops.json`.
const CASES: usize = 191;
/// Cases of Keras's cross-entropy that divides the probabilities by their sum first, gradient included. Galen's takes them as they are.
const NOT_OURS: [&str; 4] = [
    "cross_entropy_probs_one_hot",
    "cross_entropy_probs_soft",
    "cross_entropy_probs_clipped",
    "cross_entropy_probs_unnormalized",
];
/// How far the f64 twin may be from TensorFlow, of a tensor's largest element. The file has nine digits, so that half of this is its
/// rounding.
const TWIN: Bound = Bound::Scale(1e-8 / UNIT);
/// How far a device may be, in halves of a unit in the last place of a tensor's largest element.
const DEVICE: Bound = Bound::Scale(16.0);

/// What runs the cases.
#[derive(Clone, Copy)]
enum Runner<'a> {
    Twin,
    On(&'a Device),
}

/// An object's field, which must be there.
fn field<'a>(object: &'a Value, name: &str) -> &'a Value {
    object.get(name).unwrap_or_else(|| panic!("no \"{name}\" in {object}"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is not a text"))
}

fn flag(value: &Value) -> bool {
    value.as_bool().unwrap_or_else(|| panic!("{value} is not a truth value"))
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is not a number"))
}

fn whole(value: &Value) -> usize {
    value.as_u64().unwrap_or_else(|| panic!("{value} is not a whole number")) as usize
}

fn list<T>(value: &Value, element: impl Fn(&Value) -> T) -> Vec<T> {
    value.as_array().unwrap_or_else(|| panic!("{value} is not a list")).iter().map(element).collect()
}

fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().unwrap_or_else(|| panic!("{value} is not an object")).iter()
}

/// The elements of a stored array.
fn numbers(array: &Value) -> Vec<f64> {
    list(field(array, "data"), number)
}

/// A stored array; its `i32` are indices, `u32` here.
fn tensor(array: &Value) -> Tensor {
    let shape = list(field(array, "shape"), whole);
    let made = match text(field(array, "dtype")) {
        "f32" => Tensor::f32(shape, numbers(array).iter().map(|v| *v as f32).collect()),
        "i32" => Tensor::u32(shape, list(field(array, "data"), |v| whole(v) as u32)),
        other => panic!("arrays of {other}"),
    };
    made.unwrap_or_else(|e| panic!("{e}"))
}

fn check_ops(runner: Runner<'_>) {
    let file: Value = serde_json::from_str(include_str!("oracle/ops.json")).expect("ops.json");
    let cases = list(field(&file, "cases"), Value::clone);
    assert_eq!(cases.len(), CASES, "cases in ops.json");
    let (mut checked, mut skipped, mut failures) = (0, Vec::new(), Vec::new());
    for case in &cases {
        let (name, op) = (text(field(case, "name")), text(field(case, "op")));
        if NOT_OURS.contains(&name) {
            skipped.push(name);
            continue;
        }
        let result = if optimizers::OPS.contains(&op) {
            optimizers::check(op, case, runner)
        } else {
            ops::check(op, case, runner)
        };
        checked += 1;
        if let Err(e) = result {
            failures.push(format!("{name}: {e}"));
        }
    }
    assert!(failures.is_empty(), "{} of {checked} cases:\n{}", failures.len(), failures.join("\n"));
    assert_eq!(skipped, NOT_OURS, "cases that are not ours");
    assert_eq!(checked, CASES - NOT_OURS.len(), "cases checked");
    println!("{checked} cases agree; SKIPPED, another definition: {}", skipped.join(", "));
}

#[test]
fn the_f64_twin_agrees_with_tensorflow() {
    check_ops(Runner::Twin);
}

#[test]
fn the_cpu_agrees_with_tensorflow() {
    check_ops(Runner::On(&Device::cpu().expect("a thread pool")));
}

#[test]
fn the_gpu_agrees_with_tensorflow() {
    if let Some(gpu) = common::gpu() {
        check_ops(Runner::On(gpu));
    }
}

#[test]
fn updates_of_the_f64_twin_are_those_of_keras() {
    updates::check_all(Runner::Twin);
}

#[test]
fn updates_on_the_cpu_are_those_of_keras() {
    updates::check_all(Runner::On(&Device::cpu().expect("a thread pool")));
}

#[test]
fn updates_on_the_gpu_are_those_of_keras() {
    if let Some(gpu) = common::gpu() {
        updates::check_all(Runner::On(gpu));
    }
}

#[test]
fn training_on_the_cpu_goes_as_in_keras() {
    training::check(&Device::cpu().expect("a thread pool"));
}

#[test]
fn training_on_the_gpu_goes_as_in_keras() {
    if let Some(gpu) = common::gpu() {
        training::check(gpu);
    }
}
