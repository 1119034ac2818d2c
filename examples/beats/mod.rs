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

/// How many numbers tell of the intervals to a beat's neighbours.
pub const INTERVALS: usize = 6;

/// Beats of several patients, those of each in the order of time.
pub struct Beats {
    /// The signal around each beat `[n, samples]`, in units of the patient's own amplitude.
    pub x: Array2<f32>,
    /// The intervals to the beats before and after `[n, 6]`: in seconds from 0.8, relative to the record's mean, relative to the mean of ten.
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

/// The longest interval, in seconds: what is longer is a gap in the recording.
const LONGEST: f32 = 3.0;
/// A usual interval, in seconds, so that inputs lie around 0.
const USUAL: f32 = 0.8;

/// Amplitudes relative to the patient's own, since electrodes lie differently on everyone; and the intervals before and after each beat:
/// in seconds, by what share they differ from the record's mean, and from the mean of the ten around the beat. The median of a record
/// would be the wrong measure where most beats are ectopic: it is then the interval of those. Source: P. de Chazal, M. O'Dwyer,
/// R. Reilly, "Automatic classification of heartbeats using ECG morphology and heartbeat interval features", IEEE TBME 51, 2004.
fn relative(x: Array2<f32>, y: &[u32], record: &[u32], seconds: [Array1<f32>; 2]) -> Beats {
    // The first and the last beat of a record have no neighbour.
    let length = |s: f32| (s.is_finite() && s > 0.0).then_some(s.min(LONGEST));
    let mut own: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (row, patient) in record.iter().enumerate() {
        own.entry(*patient).or_default().push(row);
    }
    let mut intervals = Array2::zeros((record.len(), INTERVALS));
    let mut amplitude: BTreeMap<u32, f32> = BTreeMap::new();
    for (patient, rows) in &own {
        let squares: f64 = rows.iter().flat_map(|row| x.row(*row)).map(|v| f64::from(*v).powi(2)).sum();
        let samples = (rows.len() * x.ncols()) as f64;
        amplitude.insert(*patient, (squares / samples).sqrt().max(f64::MIN_POSITIVE) as f32);
        let mean = |rows: &[usize], otherwise: f32| {
            let (sum, n) =
                rows.iter().filter_map(|row| length(seconds[0][*row])).fold((0.0, 0), |(s, n), v| (s + v, n + 1));
            if n == 0 { otherwise } else { sum / n as f32 }
        };
        let all = mean(rows, 1.0);
        for (at, row) in rows.iter().enumerate() {
            let local = mean(&rows[at.saturating_sub(4)..(at + 6).min(rows.len())], all);
            for side in 0..2 {
                let own = length(seconds[side][*row]).unwrap_or(all);
                for (kind, value) in [own - USUAL, own / all - 1.0, own / local - 1.0].into_iter().enumerate() {
                    intervals[[*row, 2 * kind + side]] = value;
                }
            }
        }
    }
    let rows: Vec<usize> = (0..y.len()).filter(|i| (y[*i] as usize) < CLASSES.len()).collect();
    Beats {
        x: Array2::from_shape_fn((rows.len(), x.ncols()), |(i, t)| x[[rows[i], t]] / amplitude[&record[rows[i]]]),
        intervals: intervals.select(Axis(0), &rows),
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
