//! Optimizers: the parameters after each of ten steps with given gradients.

use galen::engine::Reference;
use galen::graph::{Init, PARAMETERS};
use galen::optim::{Adam, Optimizer, Sgd, UpdateCtx};
use galen::{DType, Graph, Result, Session, Tensor};
use serde_json::Value;

use super::common::rows;
use super::common::{compare, floats};
use super::{DEVICE, Runner, TWIN, field, flag, list, number, numbers};

/// The ops that are optimizers.
pub const OPS: [&str; 4] = ["sgd", "sgd_momentum", "sgd_nesterov", "adam"];

/// Runs all steps and compares the parameters after each.
pub fn check(op: &str, case: &Value, runner: Runner<'_>) -> std::result::Result<(), String> {
    let actual = steps(op, case, runner).map_err(|e| e.to_string())?;
    let expected = numbers(field(field(case, "outputs"), "params"));
    let bound = match runner {
        Runner::Twin => TWIN,
        Runner::On(_) => DEVICE,
    };
    let width = expected.len() / actual.len();
    for (step, (actual, expected)) in actual.iter().zip(expected.chunks(width)).enumerate() {
        compare(actual, expected, bound, None).map_err(|e| format!("step {step}: {e}"))?;
    }
    Ok(())
}

fn optimizer(op: &str, attrs: &Value) -> Box<dyn Optimizer> {
    let attr = |name: &str| number(field(attrs, name));
    if op == "adam" {
        return Box::new(Adam::default().betas(attr("beta1"), attr("beta2")).epsilon(attr("epsilon")));
    }
    let sgd = Sgd::default().momentum(attr("momentum"));
    Box::new(if flag(field(attrs, "nesterov")) { sgd.nesterov() } else { sgd })
}

/// The parameters after each step. Rates come from the schedule, as in training.
fn steps(op: &str, case: &Value, runner: Runner<'_>) -> Result<Vec<Vec<f64>>> {
    let (attrs, inputs) = (field(case, "attrs"), field(case, "inputs"));
    let rates = list(field(attrs, "learning_rates"), |v| number(v) as f32);
    let begin: Vec<f32> = numbers(field(inputs, "param")).iter().map(|v| *v as f32).collect();
    let width = begin.len();

    let graph = Graph::new();
    let after = graph.parameter("p", [width], Init::Values(begin.into()))?;
    let parameters = graph.whole(PARAMETERS)?;
    let gradients = graph.input("gradients", parameters.shape(), DType::F32)?;
    let (clock, schedule) = (rows::clock_at(&graph, 0)?, rows::schedule(&graph, 0, &rates)?);
    let ctx = UpdateCtx::new(parameters.clone(), gradients, clock.clone(), schedule)?;
    optimizer(op, attrs).build(&graph, &ctx)?;
    graph.tick(&clock)?;

    // Slots are padded; the gradient of the padding is 0.
    let gradients = numbers(field(inputs, "grads"));
    let gradients = gradients.chunks(width).map(|row| {
        let mut padded: Vec<f32> = row.iter().map(|v| *v as f32).collect();
        padded.resize(parameters.shape().elements(), 0.0);
        Tensor::f32(parameters.shape(), padded)
    });
    assert_eq!(gradients.len(), rates.len(), "steps of {op}");
    match runner {
        Runner::Twin => {
            let mut reference = Reference::new(&graph, &[after], 1)?;
            let mut step = |gradient: Tensor| {
                reference.set("gradients", gradient.elements())?;
                reference.run();
                Ok(reference.outputs()?.swap_remove(0))
            };
            gradients.map(|gradient| step(gradient?)).collect()
        }
        Runner::On(device) => {
            let mut session = Session::new(device, 1, None);
            let executable = session.compile(&graph, &[after])?;
            let mut step = |gradient: Tensor| Ok(floats(&session.run(&executable, &[("gradients", &gradient)])?[0]));
            gradients.map(|gradient| step(gradient?)).collect()
        }
    }
}
