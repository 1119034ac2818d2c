//! Heartbeats: normal, supraventricular, ventricular.

use std::time::Instant;

use anyhow::Result;
use galen::Var;
use galen::metrics::Average;
use galen::nn::models::ResNet1d;
use galen::optim::CosineDecay;
use galen::prelude::*;
use galen::train::ConfusionTable;
use ndarray::Axis;

use super::{beats, skip};

/// The patients that the network never sees.
const HELD_OUT: [u32; 5] = [114, 119, 203, 209, 223];

/// MIT-BIH DS1, split by patient, with the intervals to the beats before and after as a second input. The majority alone gives 0.32.
#[test]
#[ignore = "minutes; tests/train runs it"]
fn resnet_tells_arrhythmias_of_patients_it_has_not_seen() -> Result<()> {
    let Some(folder) = skip::data("resnet_tells_arrhythmias_of_patients_it_has_not_seen", ".") else { return Ok(()) };
    let start = Instant::now();
    let beats = beats::read(&folder.join("ecg_mitbih/mitbih_beats_ds1.npz"))?;
    let n = beats.y.len();
    let held_out: Vec<bool> = beats.record.iter().map(|r| HELD_OUT.contains(r)).collect();
    let rows = |test: bool| (0..n).filter(|i| held_out[*i] == test).collect::<Vec<_>>();
    // Nine of ten beats are normal: one in four of those is enough.
    let train: Vec<usize> = rows(false).into_iter().filter(|i| beats.y[*i] != 0 || i % 4 == 0).collect();
    let test = rows(true);
    let all = beats.dataset()?;
    let (train, test) = (all.select(&train)?, all.select(&test)?);

    let inputs = [Input::new([1, 128]).named("ecg"), Input::new([beats::INTERVALS]).named("intervals")];
    let network = Functional::many(inputs, |ctx, x| {
        let wave = ctx.layer(&ResNet1d::new(3).width(16).blocks(4).dropout(0.2).features(), &x[0])?;
        let both = Var::concat(&[&wave, &x[1].scale(4.0)?], 1)?;
        let both = ctx.layer(&Dense::new(32).activation(Relu), &both)?;
        Ok(vec![ctx.named("classes", &Dense::new(3), &ctx.layer(&Dropout::new(0.3), &both)?)?])
    });
    let (epochs, batch) = (6, 64);
    let rate = CosineDecay::new(1e-3, epochs * train.len().div_ceil(batch));
    let loss = CategoricalCrossEntropy::new().from_logits().class_weights([1.0, 2.0, 1.0]);
    let mut model = network.compile_on(&super::setup(0)?, Adam::new(rate), loss, &[Metric::Accuracy])?;
    model.fit(&train, &Fit::new().epochs(epochs).batch_size(batch))?;
    let logits = model.predict_dataset(&test)?;
    let given: Vec<u32> = logits
        .axis_iter(Axis(0))
        .map(|row| (0..3).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap_or(0) as u32)
        .collect();
    let table = ConfusionTable::new(&test.classes().unwrap_or_default(), &given)?;
    println!("{table}");
    super::clears("MIT-BIH, macro F1", table.f1(Average::Macro), 0.60, start);
    Ok(())
}
