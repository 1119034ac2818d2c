//! Is this heartbeat normal? Beats from people whom the network has never seen: a one-dimensional residual network with the intervals
//! to the neighbouring beats as a second input, and what it finds and what its alarms are worth, patient by patient.
//!
//! ```sh
//! cargo run --release --features full --example ecg_arrhythmia
//! cargo run --release --features full --example ecg_arrhythmia -- --data mitbih_beats_ds1.npz
//! ```
//!
//! `--data` is an NPZ file with `x` `[n, samples]`, `y` (0 normal, 1 supraventricular, 2 ventricular; others are left out), `record` (the
//! patient, whose beats come in the order of time), `rr_prev_s` and `rr_next_s` (seconds to the beats before and after). Without it the
//! program draws beats of invented patients, which shows how it works and says nothing about medicine.

mod beats;
mod common;
mod study;

use anyhow::{Context, Result};
use beats::{Beats, CLASSES, INTERVALS};
use common::Defaults;
use galen::Var;
use galen::augment::SignalAugment;
use galen::data::{Fold, Split};
use galen::nn::models::ResNet1d;
use galen::optim::CosineDecay;
use galen::prelude::*;
use galen::report::Report;
use galen::train::ConfusionTable;
use ndarray::{Array2, Axis};
use study::Study;

fn main() -> std::process::ExitCode {
    env_logger::init();
    common::report(run())
}

fn run() -> Result<()> {
    let study = Study::begin(
        "ecg_arrhythmia",
        &Defaults {
            about: "Tells normal, supraventricular and ventricular heartbeats of patients it has not seen.",
            data: "an NPZ file of beats with their records (without it: beats that the program draws)",
            epochs: 6,
            batch_size: 64,
        },
    )?;
    let beats = match &study.options.data {
        Some(path) => beats::read(path).with_context(|| format!("--data {}", path.display()))?,
        None => beats::drawn(),
    };
    let Fold { train, test } = split(&beats, study.options.seed)?;
    let all = beats.dataset()?;
    let (training, testing) = (all.select(&train)?, all.select(&test)?);
    let patients = |rows: &[usize]| beats.patients(rows).len();
    study.say(format!(
        "data    {} beats of {} patients to train on, {} beats of {} others to test",
        train.len(),
        patients(&train),
        test.len(),
        patients(&test)
    ));

    let samples = beats.x.ncols();
    let inputs = [Input::new([1, samples]).named("ecg"), Input::new([INTERVALS]).named("intervals")];
    let network = Functional::many(inputs, |ctx, x| {
        let wave = ctx.layer(&ResNet1d::new(CLASSES.len()).width(16).blocks(4).dropout(0.2).features(), &x[0])?;
        let both = Var::concat(&[&wave, &x[1].scale(4.0)?], 1)?;
        let both = ctx.layer(&Dense::new(32).activation(Relu), &both)?;
        let both = ctx.layer(&Dropout::new(0.3), &both)?;
        Ok(vec![ctx.named("classes", &Dense::new(CLASSES.len()).activation(Softmax), &both)?])
    });
    let rate = CosineDecay::new(1e-3, study.options.epochs * training.len().div_ceil(study.options.batch_size));
    let loss = CategoricalCrossEntropy::new().class_weights([1.0, 2.0, 1.0]);
    let mut model = network.compile_on(&study.setup(), Adam::new(rate), loss, &[Metric::Accuracy])?;
    model.attach("classes", &CLASSES)?;
    // Electrodes are moved and breathing moves the baseline; the shape of a beat stays.
    let augment = SignalAugment::new().scale(0.9, 1.1).jitter(0.02).baseline_wander(0.1, 180.0);
    let fit = study.options.keep(study.options.fit()?, "").augment(augment);
    let history = model.fit(&training, &fit)?;

    let scores = model.predict_dataset(&testing)?.into_dimensionality::<ndarray::Ix2>()?;
    let truth = testing.classes().unwrap_or_default();
    let records: Vec<u32> = test.iter().map(|row| beats.record[*row]).collect();
    let patients = by_patient(&truth, &scores, &records)?;
    study.say(format!("\n{patients}"));
    let path = study.options.out(study.name)?.join("patients.txt");
    galen::file::replace(&path, format!("{patients}\n").as_bytes(), galen::file::Access::Private)?;
    let report = Report::classification("patients not seen", &truth, scores.view()).classes(CLASSES);
    let report = report.groups(&records).resamples(500).history(&history).build()?;
    study.end(&report, &mut model)
}

/// Patients to test on, a quarter of them, and the others to train on: of their normal beats, which are most, a part.
fn split(beats: &Beats, seed: u64) -> Result<Fold> {
    let fold = Split::new(beats.y.len()).seed(seed).stratified(&beats.y)?.grouped(&beats.record)?.holdout(0.25)?;
    // Up to three times as many normal beats as there are others.
    let others = fold.train.iter().filter(|row| beats.y[**row] != 0).count();
    let every = (fold.train.len() - others).div_ceil((3 * others).max(1)).max(1);
    let mut seen = 0;
    let keep = |row: &usize| {
        seen += usize::from(beats.y[*row] == 0);
        beats.y[*row] != 0 || seen % every == 0
    };
    let train = fold.train.into_iter().filter(keep).collect();
    Ok(Fold { train, test: fold.test })
}

/// For every patient and class: beats, the share of them that was found, and the share of alarms that were right.
fn by_patient(truth: &[u32], scores: &Array2<f32>, records: &[u32]) -> Result<String> {
    let given: Vec<u32> = scores
        .axis_iter(Axis(0))
        .map(|row| (0..row.len()).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap_or(0) as u32)
        .collect();
    let mut patients = records.to_vec();
    patients.sort_unstable();
    patients.dedup();
    let mut text = format!("{:<8}", "patient");
    for class in CLASSES {
        text += &format!("  {:^28}", format!("{class}: beats, found, right"));
    }
    for patient in patients {
        let own = |values: &[u32]| -> Vec<u32> {
            values.iter().zip(records).filter(|(_, record)| **record == patient).map(|(value, _)| *value).collect()
        };
        let counts = ConfusionTable::new(&own(truth), &own(&given))?.counts;
        text += &format!("\n{patient:<8}");
        for class in 0..CLASSES.len() {
            let there: usize = counts.get(class).map_or(0, |row| row.iter().sum());
            let called: usize = counts.iter().map(|row| row.get(class).copied().unwrap_or(0)).sum();
            let hits = counts.get(class).and_then(|row| row.get(class)).copied().unwrap_or(0);
            let share = |whole: usize| match whole {
                0 => "-".to_owned(),
                whole => format!("{:.0} %", 100.0 * hits as f64 / whole as f64),
            };
            text += &format!("  {there:>9} {:>8} {:>8} ", share(there), share(called));
        }
    }
    Ok(text)
}
