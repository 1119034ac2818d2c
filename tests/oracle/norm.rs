//! `norm.json`: layers that normalise.

use galen::nn::{BatchNorm, BuildCtx, GroupNorm, InstanceNorm, Layer, LayerNorm, Mode};
use galen::prelude::*;
use galen::{Result, Var};
use ndarray::Array2;
use serde_json::Value;

use super::case::{self, Given, Rules, y};
use super::common::rows::Bound;
use super::common::{compare, floats};
use super::{Runner, field, number, numbers, tensor};

/// For running statistics: 0.99 is known to half a unit in its last place, which is fifty times as much of 1 − 0.99.
const RUNNING: Bound = Bound::Scale(64.0);

pub fn check(op: &str, case: &Value, runner: Runner<'_>) -> std::result::Result<(), String> {
    match op {
        "batch_norm_running" => running(case, runner),
        _ => {
            let rules = Rules { parameter: |_, input| own(input), ..Rules::of(outputs) };
            case::check(op, case, runner, rules)
        }
    }
}

/// What the layers call their parameters.
fn own(input: &str) -> Option<String> {
    ["gamma", "beta"].contains(&input).then(|| input.into())
}

fn outputs(op: &str, given: &Given<'_>) -> Result<Vec<(&'static str, Var)>> {
    let (x, epsilon) = (given.var("x"), given.number("epsilon"));
    let train = BuildCtx::new(Mode::Train, None, Vec::new());
    let found = match op {
        "batch_norm" => {
            let y = batch_norm(given).build(&train, x)?;
            let of = |name: &str| {
                let moved = train.collected().statistics;
                moved.iter().find(|s| s.slot == name).map(|s| s.value.clone()).unwrap_or_else(|| panic!("no {name}"))
            };
            return Ok(vec![("y", y), ("mean", of("moving_mean")), ("variance", of("moving_variance"))]);
        }
        "batch_norm_inference" => {
            let (mean, variance) = (given.var("mean"), given.var("variance"));
            let affine = |name: &str, neutral: f32| match given.find(name) {
                Some(found) => Ok(found.clone()),
                None => given.graph.fill(mean.shape(), neutral),
            };
            x.batch_norm_with(&affine("gamma", 1.0)?, &affine("beta", 0.0)?, mean, variance, epsilon)
        }
        "layer_norm" => {
            let (axes, rank) = (given.wholes("axes"), x.shape().len());
            assert_eq!(*axes, *Vec::from_iter(rank - axes.len()..rank), "the last axes");
            LayerNorm::new().axes(axes.len()).epsilon(epsilon).build(&train, x)
        }
        "group_norm" => GroupNorm::new(given.whole("groups")).epsilon(epsilon).build(&train, x),
        "instance_norm" => InstanceNorm::new().epsilon(epsilon).build(&train, x),
        _ => panic!("the test does not know the op \"{op}\""),
    };
    Ok(y(found?))
}

fn batch_norm(given: &Given<'_>) -> BatchNorm {
    let mut layer = BatchNorm::new().epsilon(given.number("epsilon"));
    if !given.flag("scale") {
        layer = layer.without_scale();
    }
    if given.flag("center") { layer } else { layer.without_center() }
}

/// The running statistics after each of some batches in training. There is no training in f64: for the twin the CPU trains.
fn running(case: &Value, runner: Runner<'_>) -> std::result::Result<(), String> {
    let device = match runner {
        Runner::Twin => Device::cpu().map_err(|e| e.to_string())?,
        Runner::On(device) => device.clone(),
    };
    let moved = follow(case, &device).map_err(|e| e.to_string())?;
    for (name, moved) in ["mean", "variance"].iter().zip(moved) {
        let expected = numbers(field(field(case, "outputs"), name));
        compare(&moved, &expected, RUNNING, None).map_err(|e| format!("{name}: {e}"))?;
    }
    Ok(())
}

fn follow(case: &Value, device: &Device) -> Result<[Vec<f64>; 2]> {
    let attr = |name: &str| number(field(field(case, "attrs"), name));
    let xs = tensor(field(field(case, "inputs"), "xs")).into_f32()?;
    let shape = xs.shape().to_vec();
    let layer = BatchNorm::new().momentum(attr("momentum") as f32).epsilon(attr("epsilon"));
    let network = Sequential::new(shape[2..].to_vec()).with(layer).with(Flatten).with(Dense::new(1));
    let mut model = network.compile_on(&Setup::on(device), Sgd::new(0.01), MeanSquaredError::new(), &[])?;
    let mut moved = [Vec::new(), Vec::new()];
    for batch in xs.outer_iter() {
        let data = Dataset::new(batch.to_owned(), Array2::<f32>::zeros((shape[1], 1)))?;
        model.fit(&data, &Fit::new().epochs(1).batch_size(shape[1]).verbose(false))?;
        for (moved, name) in moved.iter_mut().zip(["batch_norm/moving_mean", "batch_norm/moving_variance"]) {
            moved.extend(floats(&model.parameter(name)?));
        }
    }
    Ok(moved)
}
