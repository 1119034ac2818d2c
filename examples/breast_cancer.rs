//! Is this breast mass malignant? A table, a dense network with L1 and L2 penalties, ten folds, and a report of what to expect.
//!
//! ```sh
//! cargo run --release --features full --example breast_cancer
//! cargo run --release --features full --example breast_cancer -- --data masses.csv --save masses.safetensors
//! ```
//!
//! Every mass is judged by a network that has not seen it: the folds are stratified, and means, deviations and missing values are
//! filled in from the training part of each fold alone. The model that is saved is trained on all masses, and carries its preparation.

mod common;
mod masses;
mod study;

use anyhow::Result;
use common::Defaults;
use galen::report::Report;
use masses::{FOLDS, TARGET};
use study::Study;

/// The diagnosis that the report calls positive.
const POSITIVE: &str = "M";

fn main() -> std::process::ExitCode {
    env_logger::init();
    common::report(run())
}

fn run() -> Result<()> {
    let study = Study::begin(
        "breast_cancer",
        &Defaults {
            about: "Tells malignant from benign breast masses by thirty numbers from their cell nuclei.",
            data: "a CSV file with a column \"diagnosis\" of M and B, and features in all others (without it: the 569 masses that come with Galen)",
            epochs: 60,
            batch_size: 32,
        },
    )?;
    let masses = masses::read(study.options.data.as_deref())?;
    let (rows, columns) = (masses.table.rows(), masses.table.names().len());
    study.say(format!("data    {rows} rows, {columns} columns; {TARGET}: {}", masses.names.join(", ")));

    let (setup, fit) = (study.setup(), study.options.fit()?);
    let fold_fit = |fold: usize| study.options.keep(fit.clone().verbose(false), &format!("fold-{fold}"));
    let scores = masses.cross_validate(&setup, study.options.seed, fold_fit, |fold, right, all| {
        study.say(format!("fold {fold:>2}/{FOLDS}  {right} of {all} right"));
    })?;
    let positive = masses.names.iter().find(|name| *name == POSITIVE).or(masses.names.last());
    let report = Report::classification("ten-fold cross-validation", &masses.truth, scores.view())
        .classes(masses.names.iter().map(String::as_str))
        .positive(positive.map_or(POSITIVE, String::as_str))
        .build()?;

    let all: Vec<usize> = (0..rows).collect();
    let (mut model, _) = masses.train(&setup, &all, &study.options.keep(fit.verbose(false), "all"))?;
    study.end(&report, &mut model)
}
