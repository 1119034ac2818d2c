//! Labels that a loss leaves out: every metric, table and weight leaves them out too, whatever the batch size and the order of samples; and
//! the forms of targets that a loss takes, which its metrics take as well.

mod common;
#[path = "labels/forms.rs"]
mod forms;
#[path = "labels/left_out.rs"]
mod left_out;
#[path = "labels/refusals.rs"]
mod refusals;

use galen::graph::Init;
use galen::nn::{BuildCtx, Layer, Losses};
use galen::prelude::*;
use galen::{Result, Var};

/// Every metric.
const METRICS: [Metric; 11] = [
    Metric::Accuracy,
    Metric::TopK(2),
    Metric::Precision,
    Metric::Recall,
    Metric::Specificity,
    Metric::F1,
    Metric::Dice,
    Metric::Iou,
    Metric::MeanSquaredError,
    Metric::MeanAbsoluteError,
    Metric::Auc,
];

/// Gives its input, and has one parameter, 0, so that there is something to train.
#[derive(Clone, Debug)]
struct Identity;

impl Layer for Identity {
    fn kind(&self) -> &'static str {
        "identity"
    }

    fn build(&self, ctx: &BuildCtx, x: &Var) -> Result<Var> {
        x.add(&ctx.parameter(x.graph(), "zero", [1], Init::Constant(0.0))?)
    }
}

/// A model whose outputs are its inputs, samples of `shape`.
fn echo(device: &Device, shape: &[usize], losses: impl Into<Losses>, metrics: &[Metric]) -> Result<Model> {
    let setup = Setup::on(device);
    // A rate that changes nothing.
    Sequential::new(shape).with(Identity).compile_on(&setup, Sgd::new(1e-30), losses, metrics)
}

/// The error's text holds every one of `parts`.
fn says<T: std::fmt::Debug>(result: Result<T>, parts: &[&str]) {
    let text = result.expect_err("this must be refused").to_string();
    for part in parts {
        assert!(text.contains(part), "\"{text}\" does not say \"{part}\"");
    }
}
