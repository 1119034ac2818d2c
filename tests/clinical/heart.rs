//! Heartbeats: normal, supraventricular, ventricular.

use std::time::Instant;

use anyhow::Result;
use galen::nn::models::ResNet1d;
use galen::optim::CosineDecay;
use galen::prelude::*;
use galen::train::ConfusionTable;
use galen::{Tensor, Var};
use ndarray::Axis;

use super::data;

/// The patients that the network never sees.
const HELD_OUT: [u32; 5] = [114, 119, 203, 209, 223];

/// The mean over the classes of the harmonic mean of precision and sensitivity.
fn macro_f1(table: &ConfusionTable) -> f64 {
    let counts = &table.counts;
    let f1 = |class: usize| {
        let hits = counts[class][class] as f64;
        let given: usize = counts.iter().map(|row| row[class]).sum();
        let there: usize = counts[class].iter().sum();
        if hits == 0.0 { 0.0 } else { 2.0 * hits / (given + there) as f64 }
    };
    (0..counts.len()).map(f1).sum::<f64>() / counts.len() as f64
}

/// MIT-BIH DS1, split by patient, with the intervals to the beats before and after as a second input. The majority alone gives 0.32.
#[test]
#[ignore = "minutes; tests/train runs it"]
fn resnet_tells_arrhythmias_of_patients_it_has_not_seen() -> Result<()> {
    let Some(folder) = data::folder() else { return Ok(()) };
    let start = Instant::now();
    let beats = data::beats(&folder)?;
    let n = beats.y.len();
    let held_out: Vec<bool> = beats.record.iter().map(|r| HELD_OUT.contains(r)).collect();
    let rows = |test: bool| (0..n).filter(|i| held_out[*i] == test).collect::<Vec<_>>();
    // Nine of ten beats are normal: one in four of those is enough.
    let train: Vec<usize> = rows(false).into_iter().filter(|i| beats.y[*i] != 0 || i % 4 == 0).collect();
    let test = rows(true);
    let (x, rr) = (Tensor::f32([n, 1, 128], beats.x.clone())?, Tensor::f32([n, 2], beats.rr.clone())?);
    let all = Dataset::new(x, Tensor::u32([n], beats.y.clone())?)?.with_input(rr)?;
    let (train, test) = (all.select(&train)?, all.select(&test)?);

    let inputs = [Input::new([1, 128]).named("ecg"), Input::new([2]).named("intervals")];
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
    super::clears("MIT-BIH, macro F1", macro_f1(&table), 0.60, start);
    Ok(())
}
