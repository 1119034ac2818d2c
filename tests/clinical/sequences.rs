//! Sequences: promoters in DNA, glucose an hour ahead.

use std::time::Instant;

use anyhow::Result;
use galen::Tensor;
use galen::contract::Threefry;
use galen::nn::models::SequenceModel;
use galen::nn::{Bidirectional, Embedding, LearnedPositions, Lstm, TransformerEncoderBlock};
use galen::optim::CosineDecay;
use galen::prelude::*;
use ndarray::Axis;

use super::data::{self, AHEAD, PAST};
use super::skip;

/// Copies of each training sequence, and the share of bases that is replaced by a random one in each: 85 sequences are few, and a
/// promoter with some other bases is a promoter still.
const COPIES: usize = 5;
const MUTATED: f32 = 0.1;

/// The samples `rows` of sequences `x`, each with mutated copies.
fn with_mutants(x: &[u32], y: &[u32], rows: &[usize], seed: u64) -> Result<Dataset> {
    let mut random = Threefry::new(seed, 3);
    let (mut bases, mut classes) = (Vec::new(), Vec::new());
    for copy in 0..COPIES {
        for row in rows {
            let own = x[row * 57..(row + 1) * 57].iter();
            bases.extend(own.map(|b| if copy > 0 && random.uniform() < MUTATED { random.below(4) } else { *b }));
            classes.push(y[*row]);
        }
    }
    let n = classes.len();
    Ok(Dataset::new(Tensor::u32([n, 57], bases)?, Tensor::u32([n], classes)?)?)
}

/// The accuracy on the held-out fifths of the 106 sequences, each with a model of its own.
fn promoters(what: &str, epochs: usize, rate: f32, sequences: impl Fn() -> Block) -> Result<()> {
    let Some(folder) = skip::data(what, ".") else { return Ok(()) };
    let start = Instant::now();
    let (x, y) = data::promoters(&folder)?;
    let n = y.len();
    let all = Dataset::new(Tensor::u32([n, 57], x.clone())?, Tensor::u32([n], y.clone())?)?;
    // Each class is dealt out by itself, so that every fifth has as many promoters.
    let order = Threefry::new(1, 1).permutation(n);
    let mut fold = vec![0; n];
    for class in 0..2 {
        let of_class = order.iter().map(|i| *i as usize).filter(|i| y[*i] == class);
        of_class.enumerate().for_each(|(at, i)| fold[i] = at % 5);
    }
    let mut hits = 0;
    for held_out in 0..5 {
        let rows = |out: bool| (0..n).filter(|i| (fold[*i] == held_out) == out).collect::<Vec<_>>();
        let (train, test) = (with_mutants(&x, &y, &rows(false), held_out as u64)?, all.select(&rows(true))?);
        // The sequences are aligned at the start of transcription: where something stands matters, so all states are read.
        let network = Sequential::new(Input::tokens([57]).below(4)).with(Embedding::new(4, 32));
        let network = network.named("sequences", sequences()).with(Dropout::new(0.5)).with(Flatten).with(Dense::new(2));
        let optimizer = Tuned::new(AdamW::new(rate)).weight_decay(0.1).clip_norm(1.0);
        let loss = CategoricalCrossEntropy::new().from_logits();
        let mut model = network.compile_on(&super::setup(held_out as u64)?, optimizer, loss, &[Metric::Accuracy])?;
        model.fit(&train, &Fit::new().epochs(epochs).batch_size(32).verbose(false))?;
        let accuracy = model.evaluate(&test)?.accuracy();
        println!("fold {held_out}: {accuracy:.4}");
        hits += (accuracy * test.len() as f64).round() as usize;
    }
    super::clears(what, hits as f64 / n as f64, 0.85, start);
    Ok(())
}

#[test]
#[ignore = "minutes; tests/train runs it"]
fn lstm_finds_promoters() -> Result<()> {
    promoters("promoters, LSTM, 5-fold accuracy", 15, 2e-3, || {
        Block::new().with(Bidirectional::new(Lstm::new(16).return_sequences()))
    })
}

#[test]
#[ignore = "minutes; tests/train runs it"]
fn transformer_finds_promoters() -> Result<()> {
    promoters("promoters, Transformer, 5-fold accuracy", 15, 1e-3, || {
        Block::new().with(LearnedPositions::new(57)).with(TransformerEncoderBlock::new(4, 64).dropout(0.2))
    })
}

/// The gain, in percent, in root mean square error over saying that glucose stays as it is, for people the network has not seen.
#[test]
#[ignore = "minutes; tests/train runs it"]
fn gru_forecasts_glucose_an_hour_ahead() -> Result<()> {
    let Some(folder) = skip::data("gru_forecasts_glucose_an_hour_ahead", ".") else { return Ok(()) };
    let start = Instant::now();
    let windows = data::glucose(&folder, 4)?;
    let n = windows.future.len();
    let last = |i: usize| windows.past[(i + 1) * PAST - 1];
    // What is learned is the change, in units of 30 mg/dl; what is seen is the past, and where it stands.
    let mut x = Vec::with_capacity(n * PAST * 2);
    for i in 0..n {
        for reading in &windows.past[i * PAST..(i + 1) * PAST] {
            x.extend([(reading - last(i)) / 30.0, (reading - 110.0) / 40.0]);
        }
    }
    let y: Vec<f32> = (0..n).map(|i| (windows.future[i] - last(i)) / 30.0).collect();
    let all = Dataset::new(Tensor::f32([n, PAST, 2], x)?, Tensor::f32([n, 1], y)?)?;
    let rows = |test: bool| (0..n).filter(|i| windows.person[*i].is_multiple_of(5) == test).collect::<Vec<_>>();
    let (train, test) = (rows(false), rows(true));

    let (epochs, batch) = (12, 64);
    let network = Sequential::new([PAST, 2]).with(SequenceModel::gru(32, 1));
    let rate = CosineDecay::new(3e-3, epochs * train.len().div_ceil(batch));
    let mut model = network.compile_on(&super::setup(0)?, Adam::new(rate), MeanSquaredError::new(), &[])?;
    model.fit(&all.select(&train)?, &Fit::new().epochs(epochs).batch_size(batch))?;
    let change = model.predict_dataset(&all.select(&test)?)?;
    let mut errors = [0.0; 2];
    for (i, change) in test.iter().zip(change.axis_iter(Axis(0))) {
        let truth = f64::from(windows.future[*i]);
        errors[0] += (f64::from(last(*i)) - truth).powi(2);
        errors[1] += (f64::from(last(*i)) + 30.0 * f64::from(change[0]) - truth).powi(2);
    }
    let [persistence, gru] = errors.map(|e| (e / test.len() as f64).sqrt());
    println!("{} minutes ahead, {} windows: persistence {persistence:.2} mg/dl, GRU {gru:.2}", AHEAD * 5, test.len());
    super::clears("glucose, percent below persistence", 100.0 * (1.0 - gru / persistence), 3.0, start);
    Ok(())
}
