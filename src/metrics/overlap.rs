use ndarray::{ArrayView, Dimension};
use serde::Serialize;

use super::check;
use crate::error::{Error, Result};

/// The most classes that are counted: 384 MiB of counts.
const MOST_CLASSES: usize = 1 << 24;

/// How far two masks lie over each other, counted in pixels or voxels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Overlap {
    /// In both masks.
    pub both: usize,
    /// In the true mask.
    pub truth: usize,
    /// In the predicted mask.
    pub predicted: usize,
}

impl Overlap {
    /// Counts two masks of the same shape.
    ///
    /// # Errors
    /// [`Error::Shape`] where their shapes differ or they have no pixel.
    pub fn new<D: Dimension>(truth: ArrayView<bool, D>, predicted: ArrayView<bool, D>) -> Result<Self> {
        check::same_shape("overlap", &truth.raw_dim(), &predicted.raw_dim())?;
        let mut counts = Overlap::default();
        for (t, p) in truth.iter().zip(predicted.iter()) {
            counts.both += usize::from(*t && *p);
            counts.truth += usize::from(*t);
            counts.predicted += usize::from(*p);
        }
        Ok(counts)
    }

    /// Counts each of `classes` classes in two maps of classes of the same shape; the first is usually the background.
    ///
    /// # Errors
    /// [`Error::Shape`] where their shapes differ or they have no pixel; [`Error::Data`] where a class is `classes` or more, or there are
    /// more than 2²⁴.
    pub fn per_class<D: Dimension>(
        truth: ArrayView<u32, D>,
        predicted: ArrayView<u32, D>,
        classes: usize,
    ) -> Result<Vec<Self>> {
        check::same_shape("overlap", &truth.raw_dim(), &predicted.raw_dim())?;
        if classes > MOST_CLASSES {
            return Err(Error::data("classes", format!("at most {MOST_CLASSES} of them"), classes.to_string()));
        }
        let largest = truth.iter().chain(predicted.iter()).max().map_or(0, |c| *c as usize);
        if largest >= classes {
            return Err(Error::data("map of classes", format!("numbers below {classes}"), largest.to_string()));
        }
        // Of a large `classes` only those that occur are counted one by one.
        let mut counts = vec![Overlap::default(); largest + 1];
        for (t, p) in truth.iter().zip(predicted.iter()) {
            counts[*t as usize].truth += 1;
            counts[*p as usize].predicted += 1;
            counts[*t as usize].both += usize::from(t == p);
        }
        counts.resize(classes, Overlap::default());
        Ok(counts)
    }

    /// Dice's coefficient, `2 |A ∩ B| / (|A| + |B|)`. Two empty masks agree: 1. One empty mask: 0. Source: MedPy, `dc` (which says 0
    /// of two empty masks); scikit-learn, `f1_score`.
    pub fn dice(&self) -> f64 {
        let all = self.truth + self.predicted;
        if all == 0 { 1.0 } else { 2.0 * self.both as f64 / all as f64 }
    }

    /// Intersection over union, Jaccard's coefficient: `|A ∩ B| / |A ∪ B|`. Two empty masks agree: 1. One empty mask: 0. Source:
    /// MedPy, `jc`; scikit-learn, `jaccard_score`.
    pub fn iou(&self) -> f64 {
        let all = self.truth + self.predicted - self.both.min(self.truth);
        if all == 0 { 1.0 } else { self.both as f64 / all as f64 }
    }
}

/// Dice's coefficient of two masks: see [`Overlap::dice`].
///
/// ```
/// use galen::metrics::{dice, iou};
/// use ndarray::arr2;
///
/// let (truth, predicted) = (arr2(&[[true, true], [false, false]]), arr2(&[[true, false], [false, false]]));
/// assert_eq!(dice(truth.view(), predicted.view())?, 2.0 / 3.0);
/// assert_eq!(iou(truth.view(), predicted.view())?, 0.5);
/// # Ok::<(), galen::Error>(())
/// ```
///
/// # Errors
/// See [`Overlap::new`].
pub fn dice<D: Dimension>(truth: ArrayView<bool, D>, predicted: ArrayView<bool, D>) -> Result<f64> {
    Ok(Overlap::new(truth, predicted)?.dice())
}

/// Intersection over union of two masks: see [`Overlap::iou`].
///
/// # Errors
/// See [`Overlap::new`].
pub fn iou<D: Dimension>(truth: ArrayView<bool, D>, predicted: ArrayView<bool, D>) -> Result<f64> {
    Ok(Overlap::new(truth, predicted)?.iou())
}
