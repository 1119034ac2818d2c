//! The public data sets of the folder `GALEN_DATA`, as the trainings want them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use galen::data::formats::images::{ImageOptions, Masks, image_mask_folders};
use galen::data::formats::npz::Npz;
use galen::data::{Dataset, Rows, Source};
use galen::{Elements, Tensor};

/// Nuclei in microscopy: grey images `[n, 1, 256, 256]` in 0..1 with the nuclei bright, and masks `[n, 1, 256, 256]`, in the order of
/// the files' names.
pub fn nuclei(folder: &Path) -> Result<(Vec<f32>, Vec<f32>, usize)> {
    let root = folder.join("seg_nuclei_dsb2018");
    let pairs =
        image_mask_folders(root.join("images"), root.join("labels"), &ImageOptions::new().rgb(), &Masks::above(0))?;
    let size: usize = pairs.masks().sample().shape.iter().product();
    let count = pairs.len();
    ensure!(size == 256 * 256, "{}", pairs.masks().sample());
    let colours = Source::rows(pairs.images().clone()).to_tensor()?;
    let Elements::U8(colours) = colours.elements() else { bail!("8 bits per channel") };
    let mut images = Vec::new();
    for image in colours.chunks_exact(3 * size) {
        let channel = |c: usize, i: usize| f32::from(image[c * size + i]);
        let grey: Vec<f32> =
            (0..size).map(|i| (channel(0, i) + channel(1, i) + channel(2, i)) / (255.0 * 3.0)).collect();
        // Stained tissue is dark on light, fluorescence bright on dark: one of the two is turned around.
        let mean = grey.iter().sum::<f32>() / grey.len() as f32;
        images.extend(grey.iter().map(|v| if mean > 0.5 { 1.0 - v } else { *v }));
    }
    let (masks, _) = Source::rows(pairs.masks().clone()).to_tensor()?.into_f32()?.into_raw_vec_and_offset();
    Ok((images, masks, count))
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
    let file = Npz::open(folder.join("medmnist/breastmnist.npz"))?;
    let part = |name: &str| -> Result<Dataset> {
        let images = file.array(&format!("{name}_images"))?.into_tensor()?;
        let labels = file.array(&format!("{name}_labels"))?.to_u32()?;
        let Elements::U8(pixels) = images.elements() else { bail!("{}", images.spec()) };
        let n = labels.len();
        // The file's 1 means: not malignant.
        let malignant = labels.iter().map(|l| u32::from(*l == 0)).collect();
        Ok(Dataset::scaled(
            Tensor::u8([n, 1, 28, 28], pixels.to_vec())?,
            Tensor::u32([n], malignant)?,
            1.0 / 127.5,
            -1.0,
        )?)
    };
    Ok([part("train")?, part("val")?, part("test")?])
}
