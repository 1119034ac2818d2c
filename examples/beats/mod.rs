//! Heartbeats: read from a file, or drawn.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Result, ensure};
use galen::contract::Threefry;
use galen::data::formats::npz::Npz;
use galen::prelude::*;
use ndarray::{Array1, Array2, Axis, Ix1, Ix2};

/// The classes, as the AAMI's recommendation EC57 calls them.
pub const CLASSES: [&str; 3] = ["N", "S", "V"];

/// Beats of several patients.
pub struct Beats {
    /// The signal around each beat `[n, samples]`, in units of the patient's own amplitude.
    pub x: Array2<f32>,
    /// The intervals to the beats before and after `[n, 2]`, as shares by which they differ from the patient's usual one.
    pub intervals: Array2<f32>,
    /// The classes.
    pub y: Vec<u32>,
    /// The patients.
    pub record: Vec<u32>,
}

impl Beats {
    /// Signals and intervals as two inputs, classes as targets.
    pub fn dataset(&self) -> galen::Result<Dataset> {
        let x = self.x.clone().insert_axis(Axis(1));
        Dataset::new(x, Array1::from(self.y.clone()))?.with_input(self.intervals.clone())
    }

    /// The patients of these beats.
    pub fn patients(&self, rows: &[usize]) -> BTreeSet<u32> {
        rows.iter().map(|row| self.record[*row]).collect()
    }
}

/// The beats of a file.
pub fn read(path: &Path) -> Result<Beats> {
    let file = Npz::open(path)?;
    let x = file.array("x")?.to_f32()?.into_dimensionality::<Ix2>()?;
    let column = |name: &str| -> Result<Array1<f32>> {
        let values = file.array(name)?.to_f32()?.into_dimensionality::<Ix1>()?;
        ensure!(values.len() == x.nrows(), "{name}: expected {} values, one per beat, got {}", x.nrows(), values.len());
        Ok(values)
    };
    // What is no class, such as -1 or an empty value, belongs to no beat that is used.
    let class = |v: &f32| if *v >= 0.0 && v.fract() == 0.0 { *v as u32 } else { u32::MAX };
    let y: Vec<u32> = column("y")?.iter().map(class).collect();
    let record: Vec<u32> = file.array("record")?.to_u32()?.into_iter().collect();
    ensure!(record.len() == x.nrows(), "record: expected {} values, one per beat, got {}", x.nrows(), record.len());
    let seconds = [column("rr_prev_s")?, column("rr_next_s")?];
    Ok(relative(x, &y, &record, seconds))
}

/// Amplitudes and intervals relative to the patient's own: electrodes lie differently on everyone, and what is early for one heart is
/// usual for another.
fn relative(x: Array2<f32>, y: &[u32], record: &[u32], seconds: [Array1<f32>; 2]) -> Beats {
    let mut own: BTreeMap<u32, (Vec<f32>, f64, usize)> = BTreeMap::new();
    for (i, patient) in record.iter().enumerate() {
        let (intervals, squares, samples) = own.entry(*patient).or_default();
        intervals.extend(Some(seconds[0][i]).filter(|s| s.is_finite()));
        *squares += x.row(i).iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
        *samples += x.ncols();
    }
    let usual: BTreeMap<u32, (f32, f32)> = own
        .into_iter()
        .map(|(patient, (mut intervals, squares, samples))| {
            intervals.sort_by(f32::total_cmp);
            let median = intervals.get(intervals.len() / 2).copied().unwrap_or(1.0);
            (patient, (median, (squares / samples as f64).sqrt().max(f64::MIN_POSITIVE) as f32))
        })
        .collect();
    let rows: Vec<usize> = (0..y.len()).filter(|i| (y[*i] as usize) < CLASSES.len()).collect();
    let interval = |(i, side): (usize, usize)| {
        let row = rows[i];
        let share = seconds[side][row] / usual[&record[row]].0;
        // The first and the last beat of a record have no neighbour.
        if share.is_finite() { share.clamp(0.0, 3.0) - 1.0 } else { 0.0 }
    };
    Beats {
        x: Array2::from_shape_fn((rows.len(), x.ncols()), |(i, t)| x[[rows[i], t]] / usual[&record[rows[i]]].1),
        intervals: Array2::from_shape_fn((rows.len(), 2), interval),
        y: rows.iter().map(|row| y[*row]).collect(),
        record: rows.iter().map(|row| record[*row]).collect(),
    }
}

/// Beats of sixteen invented patients at 180 samples per second, the R wave at sample 45.
pub fn drawn() -> Beats {
    const PATIENTS: u32 = 16;
    const EACH: usize = 150;
    const SAMPLES: usize = 128;
    let mut random = Threefry::new(7, 0);
    let (mut x, mut y, mut record) = (Array2::zeros((0, SAMPLES)), Vec::new(), Vec::new());
    let mut seconds = [Vec::new(), Vec::new()];
    for patient in 0..PATIENTS {
        let mut between = |low: f32, high: f32| low + (high - low) * random.uniform();
        let (usual, height, width, t_wave) =
            (between(0.6, 1.1), between(0.6, 1.6), between(2.5, 4.0), between(0.1, 0.35));
        for _ in 0..EACH {
            let kind = match between(0.0, 1.0) {
                v if v < 0.72 => 0,
                v if v < 0.85 => 1,
                _ => 2,
            };
            // A ventricular beat is early, wide and has no P wave; a supraventricular one is early and otherwise like its neighbours.
            let early = if kind == 0 { between(0.95, 1.05) } else { between(0.6, 0.85) };
            let (tall, wide, p_wave) = match kind {
                2 => (height * between(1.1, 1.6), width * between(2.5, 3.5), 0.0),
                1 => (height, width, 0.12 * between(-0.8, 0.6)),
                _ => (height, width, 0.12),
            };
            let noise: Vec<f32> = (0..SAMPLES).map(|_| 0.04 * between(-1.0, 1.0)).collect();
            let wave = |t: usize, centre: f32, width: f32| (-((t as f32 - centre) / width).powi(2) / 2.0).exp();
            let beat: Vec<f32> = (0..SAMPLES)
                .map(|t| {
                    let turned = if kind == 2 { -1.0 } else { 1.0 };
                    tall * wave(t, 45.0, wide) - 0.25 * tall * wave(t, 45.0 + 2.5 * wide, 0.8 * wide)
                        + p_wave * wave(t, 16.0, 5.0)
                        + turned * t_wave * wave(t, 95.0, 10.0)
                        + noise[t]
                })
                .collect();
            x.push_row(ndarray::ArrayView1::from(&beat)).expect("a row of as many samples");
            y.push(kind);
            record.push(patient + 1);
            seconds[0].push(usual * early);
            // After an early beat the heart pauses.
            seconds[1].push(usual * if kind == 0 { between(0.95, 1.05) } else { between(1.1, 1.4) });
        }
    }
    relative(x, &y, &record, seconds.map(Array1::from))
}
