//! Breast masses as a table, and the dense network that judges them.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use galen::data::formats::csv::Csv;
use galen::data::prepare::{Imputation, Numbers, Recipe};
use galen::data::{Fold, Split, Table};
use galen::nn::Penalty;
use galen::prelude::*;
use ndarray::{Array1, Array2, Axis};

/// The column that is to be predicted.
pub const TARGET: &str = "diagnosis";
/// How many parts cross-validation makes.
pub const FOLDS: usize = 10;

/// A table with its diagnoses.
pub struct Masses {
    pub table: Table,
    /// The class of every row.
    pub truth: Vec<u32>,
    /// The classes' names.
    pub names: Vec<String>,
}

/// The table of a file; without one the 569 masses that come with Galen.
pub fn read(path: Option<&Path>) -> Result<Masses> {
    let table = match path {
        Some(path) => Csv::new().read(path).with_context(|| format!("--data {}", path.display()))?,
        None => Csv::new().parse(include_bytes!("../data/wdbc.csv"), "wdbc.csv")?,
    };
    let (truth, names) = table.classes(TARGET)?;
    Ok(Masses { table, truth, names })
}

impl Masses {
    /// A network trained on these rows, and the features of all rows as it wants them. Means, deviations and what stands for missing
    /// values are those of the rows that it is trained on; the model carries them.
    pub fn train(&self, setup: &Setup, rows: &[usize], fit: &Fit) -> Result<(Model, Array2<f32>)> {
        let numbers = Numbers::new().impute(Imputation::Median);
        let preparation = Recipe::all_but([TARGET]).numbers(numbers).fit(&self.table, rows)?;
        let x = preparation.apply(&self.table)?;
        let network = Sequential::new([preparation.width()])
            .with(Dense::new(32).activation(Relu).kernel_regularizer(Penalty::l1_l2(1e-4, 1e-3)))
            .with(Dropout::new(0.2))
            .with(Dense::new(self.names.len()).activation(Softmax).kernel_regularizer(Penalty::l2(1e-3)));
        let loss = CategoricalCrossEntropy::new();
        let mut model = network.compile_on(setup, Adam::default(), loss, &[Metric::Accuracy])?;
        model.attach("preparation", &preparation)?;
        model.attach("classes", &self.names)?;
        let data = Dataset::new(x.clone(), Array1::from(self.truth.clone()))?.select(rows)?;
        let history = model.fit(&data, fit)?;
        ensure!(!history.interrupted, "the training was stopped; with --checkpoints the same command goes on");
        Ok((model, x))
    }

    /// The scores of all rows `[rows, classes]`, each from a network that was not trained on it. `fit` says how to train for a fold;
    /// `each` is told how many rows of a fold are judged right, and of how many.
    pub fn cross_validate(
        &self,
        setup: &Setup,
        seed: u64,
        fit: impl Fn(usize) -> Fit,
        mut each: impl FnMut(usize, usize, usize),
    ) -> Result<Array2<f32>> {
        let folds = Split::new(self.truth.len()).seed(seed).stratified(&self.truth)?.folds(FOLDS)?;
        let mut scores = Array2::zeros((self.truth.len(), self.names.len()));
        for (number, Fold { train, test }) in folds.iter().enumerate() {
            let (mut model, x) = self.train(setup, train, &fit(number + 1))?;
            let given = model.predict(x.select(Axis(0), test))?;
            for (row, sample) in given.outer_iter().zip(test) {
                row.iter().enumerate().for_each(|(class, score)| scores[[*sample, class]] = *score);
            }
            let right = test.iter().filter(|row| likeliest(&scores, **row) == self.truth[**row]).count();
            each(number + 1, right, test.len());
        }
        Ok(scores)
    }
}

/// The class with the highest score.
pub fn likeliest(scores: &Array2<f32>, row: usize) -> u32 {
    let row = scores.row(row);
    (0..row.len()).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap_or(0) as u32
}
