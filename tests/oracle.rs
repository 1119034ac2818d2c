//! Numbers that Galen did not compute (see `oracle/README.md`): single ops with their gradients, layers, losses, optimizers step by step,
//! and two whole trainings, on the f64 twin, on the CPU and on the GPU.

#[path = "oracle/attention.rs"]
mod attention;
#[path = "oracle/case.rs"]
mod case;
mod common;
#[path = "oracle/conv.rs"]
mod conv;
#[path = "oracle/elementwise.rs"]
mod elementwise;
#[path = "oracle/losses.rs"]
mod losses;
#[path = "oracle/norm.rs"]
mod norm;
#[path = "oracle/ops.rs"]
mod ops;
#[path = "oracle/optimizers.rs"]
mod optimizers;
#[path = "oracle/recurrent.rs"]
mod recurrent;
#[path = "oracle/training.rs"]
mod training;
#[path = "oracle/updates.rs"]
mod updates;

use case::Rules;
use common::UNIT;
use common::rows::Bound;
use galen::{Device, Tensor};
use serde_json::Value;

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

/// Compares one case, whose op is given first.
type Check = fn(&str, &Value, Runner<'_>) -> std::result::Result<(), String>;

/// A file of cases.
struct Family {
    file: &'static str,
    json: &'static str,
    cases: usize,
    check: Check,
    /// What the names of cases begin with that Galen defines otherwise or does not have, and why.
    not_ours: &'static [(&'static str, &'static str)],
}

const FAMILIES: [Family; 10] = [
    Family {
        file: "ops.json",
        json: include_str!("oracle/ops.json"),
        cases: 191,
        check: |op, given, runner| match optimizers::OPS.contains(&op) {
            true => optimizers::check(op, given, runner),
            false => case::check(op, given, runner, Rules::of(ops::outputs)),
        },
        not_ours: &[
            ("cross_entropy_probs_one_hot=", KERAS_NORMALIZES),
            ("cross_entropy_probs_soft=", KERAS_NORMALIZES),
            ("cross_entropy_probs_clipped=", KERAS_NORMALIZES),
            ("cross_entropy_probs_unnormalized=", KERAS_NORMALIZES),
        ],
    },
    Family {
        file: "conv.json",
        json: include_str!("oracle/conv.json"),
        cases: 56,
        check: |op, given, runner| case::check(op, given, runner, Rules::of(conv::outputs)),
        not_ours: &[],
    },
    Family {
        file: "pool.json",
        json: include_str!("oracle/pool.json"),
        cases: 77,
        check: |op, given, runner| case::check(op, given, runner, Rules::of(conv::outputs)),
        not_ours: &[],
    },
    Family {
        file: "elementwise.json",
        json: include_str!("oracle/elementwise.json"),
        cases: 66,
        check: |op, given, runner| case::check(op, given, runner, Rules::of(elementwise::outputs)),
        not_ours: &[("relu6_at_the_ends", "Galen's clip has slope 1 at its ends")],
    },
    Family {
        file: "norm.json",
        json: include_str!("oracle/norm.json"),
        cases: 38,
        check: norm::check,
        not_ours: &[("rms_norm", "Galen has none"), ("l2_normalize", "Galen has none")],
    },
    Family {
        file: "recurrent.json",
        json: include_str!("oracle/recurrent.json"),
        cases: 52,
        check: |op, given, runner| {
            let rules = Rules { parameter: recurrent::parameter, ..Rules::of(recurrent::outputs) };
            case::check(op, given, runner, rules)
        },
        not_ours: &[
            ("gru_reset_before", RESET_AFTER),
            ("bidirectional_gru_reset_before", RESET_AFTER),
            ("simple_rnn_lengths_zero_output", REPEATS),
            ("lstm_lengths_zero_output", REPEATS),
            ("gru_lengths_zero_output", REPEATS),
            ("bidirectional_simple_rnn_lengths", REPEATS),
            ("bidirectional_lstm_lengths", REPEATS),
            ("bidirectional_gru_lengths", REPEATS),
        ],
    },
    Family {
        file: "attention.json",
        json: include_str!("oracle/attention.json"),
        cases: 27,
        check: |op, given, runner| {
            let rules =
                Rules { parameter: attention::parameter, bounds: attention::bounds, ..Rules::of(attention::outputs) };
            case::check(op, given, runner, rules)
        },
        not_ours: &[],
    },
    Family {
        file: "losses.json",
        json: include_str!("oracle/losses.json"),
        cases: 156,
        check: |op, given, runner| case::check(op, given, runner, Rules::of(losses::outputs)),
        not_ours: &[
            ("loss_categorical_crossentropy_probs", KERAS_NORMALIZES),
            ("loss_sparse_categorical_crossentropy_probs", KERAS_NORMALIZES),
            ("loss_categorical_focal_probs", KERAS_NORMALIZES),
            ("loss_binary_crossentropy_probs_clipped_high", "1 − 1e-7 is 1 − 2⁻²³ in f32, which Galen's bound is"),
            ("loss_mse_sum=", "Keras sums means over the last axis, Galen elements"),
            ("loss_mse_image_mean_with_sample_weight", "Keras divides values of many pixels by the weights of samples"),
        ],
    },
    Family {
        file: "regions.json",
        json: include_str!("oracle/regions.json"),
        cases: 41,
        check: |op, given, runner| {
            case::check(op, given, runner, Rules { bounds: losses::bounds, ..Rules::of(losses::outputs) })
        },
        not_ours: &[
            ("loss_dice=", "Galen gives a value per sample"),
            ("loss_tversky_0", "Galen gives a value per sample"),
        ],
    },
    Family {
        file: "optimizers.json",
        json: include_str!("oracle/optimizers.json"),
        cases: 69,
        check: updates::check,
        not_ours: &[(
            "optimizer_adam_accumulation_ema",
            "Keras's moving average follows at every step, Galen's at every update",
        )],
    },
];

/// Keras divides probabilities by their sum first, gradient included. Galen takes them as they are.
const KERAS_NORMALIZES: &str = "Keras divides probabilities by their sum";

/// Keras's form and cuDNN's; with the other one a step cannot be one product.
const RESET_AFTER: &str = "Galen's reset gate comes after the product";

/// What stands beyond a sample's length is a copy of its last state.
const REPEATS: &str = "a step beyond the length repeats the state, where Keras was told to give 0";

/// Whether a case is what `pattern` says: its name begins with it, or is it where it ends with `=`.
fn is_named(name: &str, pattern: &str) -> bool {
    pattern.strip_suffix('=').map_or_else(|| name.starts_with(pattern), |whole| name == whole)
}

fn check_family(name: &str, runner: Runner<'_>) {
    let family = FAMILIES.iter().find(|f| f.file == format!("{name}.json")).unwrap_or_else(|| panic!("no {name}"));
    let file: Value = serde_json::from_str(family.json).expect(family.file);
    let cases = list(field(&file, "cases"), Value::clone);
    assert_eq!(cases.len(), family.cases, "cases in {}", family.file);
    let names: Vec<&str> = cases.iter().map(|case| text(field(case, "name"))).collect();
    for (pattern, _) in family.not_ours {
        assert!(names.iter().any(|name| is_named(name, pattern)), "no case is named {pattern}");
    }
    let (mut checked, mut failures) = (0, Vec::new());
    for case in &cases {
        let (name, op) = (text(field(case, "name")), text(field(case, "op")));
        if let Some((_, why)) = family.not_ours.iter().find(|(pattern, _)| is_named(name, pattern)) {
            println!("SKIPPED {name}: {why}");
            continue;
        }
        checked += 1;
        if let Err(e) = (family.check)(op, case, runner) {
            failures.push(format!("{name}: {e}"));
        }
    }
    assert!(failures.is_empty(), "{} of {checked} cases:\n{}", failures.len(), failures.join("\n"));
    println!("{}: {checked} of {} cases agree", family.file, cases.len());
}

macro_rules! families {
    ($($family:ident: $twin:ident, $cpu:ident, $gpu:ident;)*) => {$(
        #[test]
        fn $twin() {
            check_family(stringify!($family), Runner::Twin);
        }

        #[test]
        fn $cpu() {
            check_family(stringify!($family), Runner::On(&Device::cpu().expect("a thread pool")));
        }

        #[test]
        fn $gpu() {
            if let Some(gpu) = common::gpu() {
                check_family(stringify!($family), Runner::On(gpu));
            }
        }
    )*};
}

families! {
    ops: ops_on_the_f64_twin, ops_on_the_cpu, ops_on_the_gpu;
    conv: conv_on_the_f64_twin, conv_on_the_cpu, conv_on_the_gpu;
    pool: pool_on_the_f64_twin, pool_on_the_cpu, pool_on_the_gpu;
    elementwise: elementwise_on_the_f64_twin, elementwise_on_the_cpu, elementwise_on_the_gpu;
    norm: norm_on_the_f64_twin, norm_on_the_cpu, norm_on_the_gpu;
    recurrent: recurrent_on_the_f64_twin, recurrent_on_the_cpu, recurrent_on_the_gpu;
    attention: attention_on_the_f64_twin, attention_on_the_cpu, attention_on_the_gpu;
    losses: losses_on_the_f64_twin, losses_on_the_cpu, losses_on_the_gpu;
    regions: regions_on_the_f64_twin, regions_on_the_cpu, regions_on_the_gpu;
    optimizers: optimizers_on_the_f64_twin, optimizers_on_the_cpu, optimizers_on_the_gpu;
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
