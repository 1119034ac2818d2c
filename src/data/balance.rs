//! Data with more of one class than of another: weights for the loss, and samples drawn more or less often.
//!
//! Only the data to train on is balanced. Validation and test keep the share of each class that patients have.

use crate::contract::{Threefry, stream_of};
use crate::error::{Error, Result};
use crate::nn::check_class_weights;

/// How many samples each class has; the last class is the highest number that occurs.
///
/// # Errors
/// [`Error::Data`] where there are no samples, or a number is higher than the number of samples (which no class index is).
pub fn class_counts(classes: &[u32]) -> Result<Vec<usize>> {
    let Some(most) = classes.iter().copied().max() else {
        return Err(Error::data("classes", "at least one sample", "none"));
    };
    if most as usize >= classes.len() {
        return Err(Error::data("classes", format!("class numbers below {}", classes.len()), most.to_string()));
    }
    let mut counts = vec![0; most as usize + 1];
    classes.iter().for_each(|class| counts[*class as usize] += 1);
    Ok(counts)
}

/// Weights by which every class counts the same: `n / (k · n_c)`, as scikit-learn's `compute_class_weight("balanced")`. Their mean over
/// the samples is 1.
///
/// # Errors
/// [`Error::Data`] where a class has no samples.
pub fn balanced_weights(counts: &[usize]) -> Result<Vec<f32>> {
    check(counts)?;
    let n: usize = counts.iter().sum();
    Ok(counts.iter().map(|count| (n as f64 / (counts.len() as f64 * *count as f64)) as f32).collect())
}

/// Weights by the effective number of samples, `(1 − β) / (1 − β^n_c)`, scaled so that their mean over the classes is 1. The closer `beta`
/// is to 1 (0.999, 0.9999), the closer they come to balanced weights; 0 weighs all classes the same. Source: Y. Cui, M. Jia, T. Lin, Y. Song,
/// S. Belongie, "Class-balanced loss based on effective number of samples", CVPR 2019.
///
/// # Errors
/// [`Error::Data`] where a class has no samples; [`Error::Parameter`] where `beta` is not in [0, 1).
pub fn effective_number_weights(counts: &[usize], beta: f64) -> Result<Vec<f32>> {
    check(counts)?;
    if !(0.0..1.0).contains(&beta) {
        return Err(Error::parameter("effective number of samples", "beta", "in [0, 1)", beta));
    }
    // 1 − β^n without cancellation.
    let of = |count: &usize| if beta == 0.0 { 1.0 } else { (1.0 - beta) / -(*count as f64 * beta.ln()).exp_m1() };
    let weights: Vec<f64> = counts.iter().map(of).collect();
    let scale = counts.len() as f64 / weights.iter().sum::<f64>();
    Ok(weights.iter().map(|weight| (weight * scale) as f32).collect())
}

/// Each sample's weight: its class's. For [`Dataset::with_weights`](super::Dataset::with_weights).
///
/// # Errors
/// [`Error::Data`] where a class has no weight; [`Error::Parameter`] where a weight is not a positive number.
pub fn sample_weights(classes: &[u32], weights: &[f32]) -> Result<Vec<f32>> {
    check_class_weights("sample weights", weights)?;
    let of = |(sample, class): (usize, &u32)| {
        weights.get(*class as usize).copied().ok_or_else(|| {
            let expected = format!("classes below {}, one for each weight", weights.len());
            Error::data("classes", expected, format!("{class} in sample {sample}"))
        })
    };
    classes.iter().enumerate().map(of).collect()
}

/// Samples by which every class has as many as the largest: all of them, and of smaller classes some more than once, each nearly as
/// often as the others. In random order; for [`Dataset::select`](super::Dataset::select). Only for data to train on, after the split: a
/// sample that is on both sides makes any test worthless.
///
/// # Errors
/// [`Error::Data`] where there are no samples, or a class below the highest has none.
pub fn oversample(classes: &[u32], seed: u64) -> Result<Vec<usize>> {
    draw(classes, seed, "oversample", |counts| counts.iter().copied().max().unwrap_or_default())
}

/// Samples by which every class has as few as the smallest, drawn at random, none more than once. In random order; for
/// [`Dataset::select`](super::Dataset::select). Only for data to train on.
///
/// # Errors
/// [`Error::Data`] where there are no samples, or a class below the highest has none.
pub fn undersample(classes: &[u32], seed: u64) -> Result<Vec<usize>> {
    draw(classes, seed, "undersample", |counts| counts.iter().copied().min().unwrap_or_default())
}

/// As many samples of each class as `target` says, each class gone through in a random order until it has given enough.
fn draw(classes: &[u32], seed: u64, stream: &str, target: impl Fn(&[usize]) -> usize) -> Result<Vec<usize>> {
    if u32::try_from(classes.len()).is_err() {
        return Err(Error::data(stream, format!("at most {} samples", u32::MAX), classes.len().to_string()));
    }
    let counts = class_counts(classes)?;
    check(&counts)?;
    let target = target(&counts);
    let mut random = Threefry::new(seed, stream_of(stream));
    let mut members = vec![Vec::new(); counts.len()];
    for sample in random.permutation(classes.len()).into_iter().map(|sample| sample as usize) {
        members[classes[sample] as usize].push(sample);
    }
    let drawn: Vec<usize> = members.iter().flat_map(|class| class.iter().copied().cycle().take(target)).collect();
    if u32::try_from(drawn.len()).is_err() {
        return Err(Error::data(stream, format!("at most {} samples in the end", u32::MAX), drawn.len().to_string()));
    }
    Ok(random.permutation(drawn.len()).into_iter().map(|i| drawn[i as usize]).collect())
}

fn check(counts: &[usize]) -> Result<()> {
    if counts.is_empty() {
        return Err(Error::data("class counts", "at least one class", "none"));
    }
    match counts.iter().position(|count| *count == 0) {
        Some(class) => Err(Error::data("class counts", "samples of every class", format!("none of class {class}"))),
        None => Ok(()),
    }
}
