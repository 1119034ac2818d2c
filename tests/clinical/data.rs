//! The public data sets of the folder `GALEN_DATA`, as the trainings want them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use galen::Tensor;
use galen::data::Dataset;
use ndarray::{Array1, Array2, Array3, Ix1, Ix2, Ix3};
use ndarray_npy::NpzReader;

/// The folder with the data. Without it a training says that it was skipped.
pub fn folder() -> Option<PathBuf> {
    let found = std::env::var_os("GALEN_DATA").map(PathBuf::from).filter(|p| p.is_dir());
    if found.is_none() {
        eprintln!("SKIPPED: GALEN_DATA names no folder");
    }
    found
}

fn npz(path: &Path) -> Result<NpzReader<File>> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    Ok(NpzReader::new(file)?)
}

/// The pixels of a PNG, 16 bits each where the file has 16, and its width, height and channels.
fn png(path: &Path) -> Result<(Vec<u16>, [usize; 3])> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    let mut reader = png::Decoder::new(BufReader::new(file)).read_info()?;
    let mut bytes = vec![0; reader.output_buffer_size().context("an image of a known size")?];
    let info = reader.next_frame(&mut bytes)?;
    let size = [info.width as usize, info.height as usize, info.color_type.samples()];
    let pixels = match info.bit_depth {
        png::BitDepth::Sixteen => bytes.chunks_exact(2).map(|b| u16::from_be_bytes([b[0], b[1]])).collect(),
        _ => bytes.iter().map(|b| u16::from(*b)).collect(),
    };
    Ok((pixels, size))
}

/// Nuclei in microscopy: grey images `[n, 1, 256, 256]` in 0..1 with the nuclei bright, and masks `[n, 1, 256, 256]`, in the order of
/// the files' names.
pub fn nuclei(folder: &Path) -> Result<(Vec<f32>, Vec<f32>, usize)> {
    let root = folder.join("seg_nuclei_dsb2018");
    let mut names: Vec<_> =
        std::fs::read_dir(root.join("images"))?.map(|e| Ok(e?.file_name())).collect::<Result<_>>()?;
    names.sort();
    let (mut images, mut masks) = (Vec::new(), Vec::new());
    for name in &names {
        let (pixels, [w, h, channels]) = png(&root.join("images").join(name))?;
        let (labels, mask_size) = png(&root.join("labels").join(name))?;
        ensure!([w, h] == [256, 256] && mask_size == [256, 256, 1], "{}: {w}x{h}", name.display());
        let grey: Vec<f32> = pixels
            .chunks_exact(channels)
            .map(|p| p[..channels.min(3)].iter().map(|v| f32::from(*v)).sum::<f32>() / (255.0 * channels.min(3) as f32))
            .collect();
        // Stained tissue is dark on light, fluorescence bright on dark: one of the two is turned around.
        let mean = grey.iter().sum::<f32>() / grey.len() as f32;
        images.extend(grey.iter().map(|v| if mean > 0.5 { 1.0 - v } else { *v }));
        masks.extend(labels.iter().map(|v| f32::from(u8::from(*v > 0))));
    }
    Ok((images, masks, names.len()))
}

/// Heartbeats of the classes N, S, V: signals `[n, 1, 128]` in units of the record's own amplitude, the intervals before and after
/// `[n, 2]` as deviations from the record's median, classes, records.
pub struct Beats {
    pub x: Vec<f32>,
    pub rr: Vec<f32>,
    pub y: Vec<u32>,
    pub record: Vec<u16>,
}

/// Reads the heartbeats of MIT-BIH's DS1.
pub fn beats(folder: &Path) -> Result<Beats> {
    let mut npz = npz(&folder.join("ecg_mitbih/mitbih_beats_ds1.npz"))?;
    let x: Array2<i16> = npz.by_name::<_, Ix2>("x")?;
    let y: Array1<u8> = npz.by_name::<_, Ix1>("y")?;
    let record: Array1<u16> = npz.by_name::<_, Ix1>("record")?;
    let prev: Array1<f32> = npz.by_name::<_, Ix1>("rr_prev_s")?;
    let next: Array1<f32> = npz.by_name::<_, Ix1>("rr_next_s")?;
    // A record's own median interval: what is early for one patient is usual for another.
    let mut own: BTreeMap<u16, Vec<f32>> = BTreeMap::new();
    for (r, rr) in record.iter().zip(&prev).filter(|(_, rr)| rr.is_finite()) {
        own.entry(*r).or_default().push(*rr);
    }
    let median: BTreeMap<u16, f32> = own
        .into_iter()
        .map(|(r, mut v)| {
            v.sort_by(f32::total_cmp);
            (r, v[v.len() / 2])
        })
        .collect();
    // And its own amplitude: electrodes lie differently on everyone.
    let mut squares: BTreeMap<u16, (f64, usize)> = BTreeMap::new();
    for (r, beat) in record.iter().zip(x.rows()) {
        let sum = squares.entry(*r).or_default();
        sum.0 += beat.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
        sum.1 += beat.len();
    }
    let amplitude: BTreeMap<u16, f32> =
        squares.into_iter().map(|(r, (sum, n))| (r, (sum / n as f64).sqrt().max(1.0) as f32)).collect();
    let mut out = Beats { x: Vec::new(), rr: Vec::new(), y: Vec::new(), record: Vec::new() };
    for i in (0..y.len()).filter(|i| y[*i] <= 2) {
        let usual = median[&record[i]];
        let relative = |rr: f32| if rr.is_finite() { (rr / usual).clamp(0.0, 3.0) - 1.0 } else { 0.0 };
        out.x.extend(x.row(i).iter().map(|v| f32::from(*v) / amplitude[&record[i]]));
        out.rr.extend([relative(prev[i]), relative(next[i])]);
        out.y.push(u32::from(y[i]));
        out.record.push(record[i]);
    }
    Ok(out)
}

/// E. coli promoters: bases `[106, 57]` as 0 to 3, and whether each is a promoter.
pub fn promoters(folder: &Path) -> Result<(Vec<u32>, Vec<u32>)> {
    let path = folder.join("genomics/ecoli_promoters_106/promoters.data");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for line in text.lines().filter(|l| !l.trim().is_empty()) {
        let fields: Vec<&str> = line.split(',').collect();
        ensure!(fields.len() == 3 && fields[2].trim().len() == 57, "not a promoter: {line}");
        y.push(u32::from(fields[0].trim() == "+"));
        for base in fields[2].trim().chars() {
            x.push("acgt".find(base).with_context(|| format!("not a base: {base}"))? as u32);
        }
    }
    Ok((x, y))
}

/// A window of glucose readings: one and a half hours, and the reading one hour later, in mg/dl.
pub struct Windows {
    pub past: Vec<f32>,
    pub future: Vec<f32>,
    pub person: Vec<usize>,
}

/// Readings of a window's past, and how many later its future lies; every five minutes.
pub const PAST: usize = 18;
pub const AHEAD: usize = 12;

/// Glucose of 208 people (Colas 2019): windows without gaps, one every `stride` readings.
pub fn glucose(folder: &Path, stride: usize) -> Result<Windows> {
    let path = folder.join("cgm/colas2019.csv.gz");
    let mut text = String::new();
    let file = File::open(&path).with_context(|| path.display().to_string())?;
    flate2::read::GzDecoder::new(file).read_to_string(&mut text)?;
    let mut people: BTreeMap<usize, Vec<(i64, f32)>> = BTreeMap::new();
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').map(|f| f.trim_matches('"')).collect();
        let Ok(value) = fields[2].parse::<f32>() else { continue };
        people.entry(fields[0].parse()?).or_default().push((minutes(fields[1])?, value));
    }
    let mut out = Windows { past: Vec::new(), future: Vec::new(), person: Vec::new() };
    for (person, readings) in &people {
        for w in readings.windows(PAST + AHEAD).step_by(stride) {
            let end = w[w.len() - 1];
            if end.0 - w[0].0 == 5 * (w.len() as i64 - 1) && w.windows(2).all(|p| p[1].0 - p[0].0 == 5) {
                out.past.extend(w[..PAST].iter().map(|r| r.1));
                out.future.push(end.1);
                out.person.push(*person);
            }
        }
    }
    Ok(out)
}

/// Minutes since the month's beginning, of `2012-01-01 00:05:00`. Windows that cross a month's end are lost, and no harm done.
fn minutes(time: &str) -> Result<i64> {
    let number = |range: std::ops::Range<usize>| -> Result<i64> {
        Ok(time.get(range).with_context(|| format!("not a time: {time}"))?.parse()?)
    };
    Ok((number(5..7)? * 31 + number(8..10)?) * 1440 + number(11..13)? * 60 + number(14..16)?)
}

/// BreastMNIST: the training, validation and test images `[n, 1, 28, 28]` with 1 for malignant.
pub fn breast(folder: &Path) -> Result<[Dataset; 3]> {
    let mut npz = npz(&folder.join("medmnist/breastmnist.npz"))?;
    let mut part = |name: &str| -> Result<Dataset> {
        let images: Array3<u8> = npz.by_name::<_, Ix3>(&format!("{name}_images"))?;
        let labels: Array2<u8> = npz.by_name::<_, Ix2>(&format!("{name}_labels"))?;
        let n = images.shape()[0];
        let (pixels, _) = images.into_raw_vec_and_offset();
        // The file's 1 means: not malignant.
        let malignant = labels.iter().map(|l| u32::from(*l == 0)).collect();
        Ok(Dataset::scaled(Tensor::u8([n, 1, 28, 28], pixels)?, Tensor::u32([n], malignant)?, 1.0 / 127.5, -1.0)?)
    };
    Ok([part("train")?, part("val")?, part("test")?])
}
