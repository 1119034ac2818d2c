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
mod study;

use anyhow::{Context, Result};
use common::Defaults;
use galen::data::formats::csv;
use galen::data::prepare::Recipe;
use galen::data::{Fold, Split, Table};
use galen::nn::Penalty;
use galen::prelude::*;
use galen::report::Report;
use ndarray::Array2;
use study::Study;

/// The column that is to be predicted, and the value of it that the report calls positive.
const TARGET: &str = "diagnosis";
const POSITIVE: &str = "M";
const FOLDS: usize = 10;

fn main() -> std::process::ExitCode {
    env_logger::init();
    common::report(run())
}

fn run() -> Result<()> {
    let study = Study::begin(
        "breast_cancer",
        &Defaults {
            about: "Tells malignant from benign breast masses by thirty numbers from their cell nuclei.",
            data: "a CSV file with numbers and a column \"diagnosis\" of M and B (without it: the 569 masses that come with Galen)",
            epochs: 60,
            batch_size: 32,
        },
    )?;
    let table = match &study.options.data {
        Some(path) => csv::Csv::new().read(path).with_context(|| format!("--data {}", path.display()))?,
        None => csv::Csv::new().parse(include_bytes!("data/wdbc.csv"), "wdbc.csv")?,
    };
    let (truth, names) = table.classes(TARGET)?;
    study.say(format!(
        "data    {} rows, {} columns; {TARGET}: {}",
        table.rows(),
        table.names().len(),
        names.join(", ")
    ));

    let folds = Split::new(truth.len()).seed(study.options.seed).stratified(&truth)?.folds(FOLDS)?;
    let fit = study.options.fit()?;
    let mut scores = Array2::zeros((truth.len(), names.len()));
    for (number, fold) in folds.iter().enumerate() {
        let part = format!("fold-{}", number + 1);
        let (mut model, x) =
            train(&study, &table, &truth, names.len(), fold, study.options.keep(fit.clone().verbose(false), &part))?;
        let given = model.predict(x.select(ndarray::Axis(0), &fold.test))?;
        for (row, sample) in given.outer_iter().zip(&fold.test) {
            row.iter().enumerate().for_each(|(class, score)| scores[[*sample, class]] = *score);
        }
        let right = fold.test.iter().filter(|i| likeliest(&scores, **i) == truth[**i]).count();
        study.say(format!("fold {:>2}/{FOLDS}  {right} of {} right", number + 1, fold.test.len()));
    }
    let report = Report::classification("ten-fold cross-validation", &truth, scores.view())
        .classes(names.iter().map(String::as_str))
        .positive(if names.iter().any(|name| name == POSITIVE) { POSITIVE } else { &names[names.len() - 1] })
        .build()?;

    let all: Vec<usize> = (0..truth.len()).collect();
    let everything = Fold { train: all.clone(), test: all };
    let (mut model, _) =
        train(&study, &table, &truth, names.len(), &everything, study.options.keep(fit.verbose(false), "all"))?;
    study.end(&report, &mut model)
}

/// A network trained on the training part of a fold, and the features of all rows as it wants them.
fn train(
    study: &Study,
    table: &Table,
    truth: &[u32],
    classes: usize,
    fold: &Fold,
    fit: Fit,
) -> Result<(Model, Array2<f32>)> {
    let preparation = Recipe::all_but([TARGET]).fit(table, &fold.train)?;
    let x = preparation.apply(table)?;
    let network = Sequential::new([preparation.width()])
        .with(Dense::new(32).activation(Relu).kernel_regularizer(Penalty::l1_l2(1e-4, 1e-3)))
        .with(Dropout::new(0.2))
        .with(Dense::new(classes).activation(Softmax).kernel_regularizer(Penalty::l2(1e-3)));
    let mut model =
        network.compile_on(&study.setup(), Adam::default(), CategoricalCrossEntropy::new(), &[Metric::Accuracy])?;
    model.attach("preparation", &preparation)?;
    let data = Dataset::new(x.clone(), ndarray::Array1::from(truth.to_vec()))?.select(&fold.train)?;
    model.fit(&data, &fit)?;
    Ok((model, x))
}

fn likeliest(scores: &Array2<f32>, sample: usize) -> u32 {
    let row = scores.row(sample);
    (0..row.len()).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap_or(0) as u32
}
