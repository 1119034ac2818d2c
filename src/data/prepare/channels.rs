use ndarray::{ArrayD, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::scale::Affine;
use crate::data::{RowMut, Rows};
use crate::error::{Error, Result};
use crate::shape::{DType, TensorSpec};
use crate::tensor::{Elements, Tensor};

/// Brings every channel of images, volumes or signals to mean 0 and standard deviation 1 over all samples to train on and all places in
/// them. Samples are `[c, ..]`; bytes count as 0 to 255.
///
/// A channel of equal numbers has nothing to be divided by; it is divided by 1, and [`ChannelStandardize::constant`] names it.
///
/// ```
/// use galen::Tensor;
/// use galen::data::prepare::ChannelStandardize;
///
/// let images = Tensor::u8([2, 1, 1, 2], vec![10, 20, 30, 40])?;
/// let channels = ChannelStandardize::fit(&images)?;
/// assert_eq!(channels.mean(), [25.0]);
/// // Of one channel, what `Dataset::scaled` wants for bytes that stay bytes:
/// let (scale, shift) = channels.scale_shift()[0];
/// assert!((25.0 * scale + shift).abs() < 1e-6);
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChannelStandardize {
    channels: Vec<Affine>,
}

/// Count, mean and sum of squared differences from it, of one channel.
#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    n: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    /// Twice over the numbers, so that nothing cancels.
    fn of(values: impl Iterator<Item = f64> + Clone) -> Moments {
        let (n, sum) = values.clone().fold((0.0, 0.0), |(n, sum), v| (n + 1.0, sum + v));
        let mean = sum / n;
        Moments { n, mean, squares: values.map(|v| (v - mean) * (v - mean)).sum() }
    }

    /// Source: T. Chan, G. Golub, R. LeVeque, "Algorithms for computing the sample variance", The American Statistician 37, 1983.
    fn merge(self, other: Moments) -> Moments {
        let n = self.n + other.n;
        let distance = other.mean - self.mean;
        let mean = self.mean + distance * other.n / n;
        Moments { n, mean, squares: self.squares + other.squares + distance * distance * self.n * other.n / n }
    }
}

impl ChannelStandardize {
    /// From samples `[n, c, ..]` of floats or bytes.
    ///
    /// # Errors
    /// [`Error::Data`] where there are no samples or no channels, or a float is NaN or infinite; [`Error::DType`] for `u32`.
    pub fn fit(samples: &Tensor) -> Result<ChannelStandardize> {
        samples.expect_rows("samples to standardise")?;
        let shape = samples.shape();
        if shape.len() < 2 || shape.contains(&0) {
            return Err(Error::data(
                "samples to standardise",
                "[n, c, ..] with at least one of each",
                format!("{shape:?}"),
            ));
        }
        let (n, c) = (shape[0], shape[1]);
        let size = shape[1..].iter().product::<usize>();
        let of = |i: usize| match samples.elements() {
            Elements::F32(x) => moments(i, c, &x[i * size..][..size], |v| f64::from(*v)),
            Elements::U8(x) => moments(i, c, &x[i * size..][..size], |v| f64::from(*v)),
            Elements::U32(_) => Err(Error::dtype("channel standardisation", "f32 or u8", "u32")),
        };
        merge(n, c, of)
    }

    /// From samples `[c, ..]` of floats or bytes that are made one after the other, several at once; of those in `which`.
    ///
    /// # Errors
    /// Where a sample cannot be made or does not exist; otherwise as [`ChannelStandardize::fit`].
    pub fn fit_rows(rows: &dyn Rows, which: &[usize]) -> Result<ChannelStandardize> {
        let TensorSpec { shape, dtype } = rows.sample();
        let size = shape.elements();
        if which.is_empty() || shape.is_empty() || size == 0 {
            let actual = format!("{} samples of {shape}", which.len());
            return Err(Error::data("samples to standardise", "at least one, [c, ..]", actual));
        }
        if let Some(bad) = which.iter().find(|i| **i >= rows.len()) {
            let expected = format!("numbers below {}", rows.len());
            return Err(Error::data("samples to standardise", expected, bad.to_string()));
        }
        let c = shape[0];
        let of = |i: usize| match dtype {
            DType::F32 => {
                let mut sample = vec![0.0; size];
                rows.read(which[i], RowMut::F32(&mut sample))?;
                moments(which[i], c, &sample, |v| f64::from(*v))
            }
            DType::U8 => {
                let mut sample = vec![0; size];
                rows.read(which[i], RowMut::U8(&mut sample))?;
                moments(which[i], c, &sample, |v| f64::from(*v))
            }
            DType::U32 => Err(Error::dtype("channel standardisation", "f32 or u8", "u32")),
        };
        merge(which.len(), c, of)
    }

    fn from(channels: &[Moments]) -> ChannelStandardize {
        let variance = |m: &Moments| m.squares / m.n;
        // What rounding alone can make of equal numbers.
        let is_constant = |m: &Moments| variance(m) <= (m.mean * f64::EPSILON * 16.0).powi(2);
        let affine = |m: &Moments| {
            let constant = is_constant(m);
            Affine { center: m.mean, scale: if constant { 1.0 } else { variance(m).sqrt() }, constant }
        };
        ChannelStandardize { channels: channels.iter().map(affine).collect() }
    }

    /// Samples `[n, c, ..]` as floats, standardised.
    ///
    /// # Errors
    /// [`Error::Data`] where there are not as many channels as in the fitted samples; [`Error::DType`] for `u32`.
    pub fn apply(&self, samples: &Tensor) -> Result<Tensor> {
        let mut x: ArrayD<f32> = match samples {
            Tensor::F32(x) => x.clone(),
            Tensor::U8(x) => x.mapv(f32::from),
            Tensor::U32(_) => return Err(Error::dtype("channel standardisation", "f32 or u8", "u32")),
        };
        if x.ndim() < 2 || x.len_of(Axis(1)) != self.channels.len() {
            let expected = format!("[n, {}, ..], as when it was fitted", self.channels.len());
            return Err(Error::data("samples to standardise", expected, format!("{:?}", x.shape())));
        }
        for (affine, mut channel) in self.channels.iter().zip(x.axis_iter_mut(Axis(1))) {
            // In f64: the difference of two large numbers can be small.
            channel.mapv_inplace(|v| affine.apply(f64::from(v)) as f32);
        }
        Ok(x.into())
    }

    /// Each channel's mean.
    pub fn mean(&self) -> Vec<f64> {
        self.channels.iter().map(|channel| channel.center).collect()
    }

    /// What each channel is divided by: its standard deviation (n in its denominator), or 1.
    pub fn std(&self) -> Vec<f64> {
        self.channels.iter().map(|channel| channel.scale).collect()
    }

    /// The channels that are divided by 1 because all their numbers were the same.
    pub fn constant(&self) -> Vec<usize> {
        (0..self.channels.len()).filter(|i| self.channels[*i].constant).collect()
    }

    /// For each channel `(scale, shift)`, so that `x · scale + shift` is standardised.
    pub fn scale_shift(&self) -> Vec<(f32, f32)> {
        self.channels.iter().map(scale_shift).collect()
    }

    /// One `(scale, shift)` by which all channels together have mean 0 and standard deviation 1, for
    /// [`Dataset::scaled`](crate::data::Dataset::scaled), which takes one pair.
    pub fn pooled_scale_shift(&self) -> (f32, f32) {
        let variance = |channel: &Affine| if channel.constant { 0.0 } else { channel.scale.powi(2) };
        // Every channel has the same number of places.
        let each = self.channels.iter().map(|c| Moments { n: 1.0, mean: c.center, squares: variance(c) });
        let all = ChannelStandardize::from(&[each.fold(Moments::default(), Moments::merge)]);
        all.channels.first().map_or((1.0, 0.0), scale_shift)
    }
}

fn scale_shift(channel: &Affine) -> (f32, f32) {
    ((1.0 / channel.scale) as f32, (-channel.center / channel.scale) as f32)
}

/// The moments of a sample's channels.
fn moments<T>(sample: usize, channels: usize, elements: &[T], number: impl Fn(&T) -> f64) -> Result<Vec<Moments>> {
    let of = |channel: &[T]| Moments::of(channel.iter().map(&number));
    let found: Vec<Moments> = elements.chunks(elements.len() / channels).map(of).collect();
    match found.iter().position(|m| !m.mean.is_finite() || !m.squares.is_finite()) {
        Some(channel) => {
            let actual = format!("NaN or infinity in sample {sample}, channel {channel}");
            Err(Error::data("samples to standardise", "finite numbers", actual))
        }
        None => Ok(found),
    }
}

/// All samples' moments, made by several threads and merged in the samples' order, so that the result does not depend on the threads.
fn merge(
    n: usize,
    channels: usize,
    of: impl Fn(usize) -> Result<Vec<Moments>> + Sync + Send,
) -> Result<ChannelStandardize> {
    let each: Vec<Vec<Moments>> = (0..n).into_par_iter().map(of).collect::<Result<_>>()?;
    let mut all = vec![Moments::default(); channels];
    for sample in each {
        all.iter_mut().zip(sample).for_each(|(all, m)| *all = all.merge(m));
    }
    Ok(ChannelStandardize::from(&all))
}
