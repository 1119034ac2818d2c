//! Targets, brought into the form that predictions ask for.

use crate::error::{Error, Result};
use crate::graph::Var;
use crate::shape::{DType, Shape};
use crate::tensor::Tensor;

/// Targets of floats in the predictions' shape, with or without its extents of 1: `[n]` for `[n, 1]`, `[n, h, w]` for `[n, 1, h, w]`.
pub(crate) fn like(op: &str, y: &Var, targets: &Var) -> Result<Var> {
    if targets.dtype() != DType::F32 {
        return Err(Error::dtype(op, "f32", targets.spec().to_string()));
    }
    let shape = y.shape();
    shaped(targets, &shape)?.ok_or_else(|| Error::shape(op, shape.to_string(), targets.shape().to_string()))
}

/// Like [`like`], for labels: whole numbers count as floats.
pub(crate) fn labels_like(op: &str, y: &Var, labels: &Var) -> Result<Var> {
    like(op, y, &labels.to_f32()?)
}

/// `x` in `shape`, where both differ in extents of 1 alone (the batch comes first in both).
pub(crate) fn shaped(x: &Var, shape: &Shape) -> Result<Option<Var>> {
    let extents = |shape: &[usize]| shape.iter().copied().filter(|extent| *extent != 1).collect::<Vec<_>>();
    let have = x.shape();
    if have == *shape {
        return Ok(Some(x.clone()));
    }
    match (&*have, &**shape) {
        ([n, have @ ..], [m, want @ ..]) if n == m && extents(have) == extents(want) => {
            x.reshape(shape.clone()).map(Some)
        }
        _ => Ok(None),
    }
}

/// Targets of scores whose classes lie along `axis`: class indices `u32` in the scores' shape without it, or shares `f32` in the scores'
/// shape; with or without extents of 1.
pub(crate) fn classes(op: &str, y: &Var, targets: &Var, axis: usize) -> Result<Var> {
    let (scores, spec) = (y.shape(), targets.spec());
    let index = scores.without(axis);
    let (fitting, expected) = match spec.dtype {
        DType::F32 => (shaped(targets, &scores)?, format!("f32{scores}")),
        DType::U32 => (shaped(targets, &index)?, format!("u32{index}")),
        DType::U8 => {
            return Err(Error::dtype(op, "f32 (shares) or u32 (class indices) as targets", spec.to_string()));
        }
    };
    fitting.ok_or_else(|| Error::shape(op, format!("targets {expected} for scores {}", y.spec()), spec.to_string()))
}

/// [`classes`] as shares, with the wrong classes given a share too: `(1 − smoothing) t + smoothing / c`.
pub(crate) fn shares(targets: &Var, axis: usize, classes: usize, smoothing: f32) -> Result<Var> {
    let (all, off) = (1.0 - smoothing, smoothing / classes as f32);
    match targets.dtype() {
        DType::U32 => targets.one_hot_with(classes, axis as isize, all + off, off),
        _ if smoothing == 0.0 => Ok(targets.clone()),
        _ => targets.scale(all)?.shift(off),
    }
}

/// The weight of each sample's (or pixel's) true class, from what [`classes`] gave: `Σ t w` for shares, 0 for the label that is ignored,
/// NaN for others that are no class.
pub(crate) fn class_weights(
    op: &str,
    targets: &Var,
    axis: usize,
    classes: usize,
    weights: &[f32],
    ignored: Option<u32>,
) -> Result<Var> {
    if weights.len() != classes {
        return Err(Error::parameter(op, "class weights", format!("{classes} of them"), weights.len()));
    }
    super::check_class_weights(op, weights)?;
    let table = targets.graph().constant([classes], weights)?;
    if targets.dtype() == DType::U32 {
        return table.gather_padded(targets, ignored);
    }
    let mut column = vec![1; targets.shape().len()];
    column[axis] = classes;
    targets.mul(&table.reshape(column)?)?.sum(&[axis as isize], false)
}

/// 1 where the label is another than `ignored`, else 0; None where none is ignored.
pub(crate) fn counted(op: &str, labels: &Var, ignored: Option<u32>) -> Result<Option<Var>> {
    let Some(ignored) = ignored else { return Ok(None) };
    if labels.dtype() != DType::U32 {
        return Err(Error::dtype(op, "u32 (class indices), of which one can be ignored", labels.spec().to_string()));
    }
    if ignored >= 1 << 24 {
        return Err(Error::parameter(op, "ignored label", "below 2²⁴", ignored));
    }
    let ignored = labels.graph().fill(Shape::default(), ignored as f32)?;
    labels.to_f32()?.not_equal(&ignored).map(Some)
}

/// 1 where a label is another than `marker`, which may be NaN, else 0.
pub(crate) fn present(labels: &Var, marker: f32) -> Result<Var> {
    if marker.is_nan() {
        return labels.is_nan()?.neg()?.shift(1.0);
    }
    labels.not_equal(&labels.graph().fill(Shape::default(), marker)?)
}

/// Whether `label` is the marker of a missing label; NaN marks NaN.
pub(crate) fn is_marker(label: f32, marker: f32) -> bool {
    label == marker || (label.is_nan() && marker.is_nan())
}

/// Refuses a label smoothing outside of 0..1.
pub(crate) fn check_smoothing(op: &str, smoothing: f32) -> Result<()> {
    if (0.0..1.0).contains(&smoothing) {
        return Ok(());
    }
    Err(Error::parameter(op, "label smoothing", "in [0, 1)", smoothing))
}

/// Refuses what is not a finite number of at least 0.
pub(crate) fn check_not_negative(op: &str, what: &str, value: f32) -> Result<()> {
    if value.is_finite() && value >= 0.0 {
        return Ok(());
    }
    Err(Error::parameter(op, what, "a number not below 0", value))
}

/// Refuses what is not a finite number above 0.
pub(crate) fn check_positive(op: &str, what: &str, value: f32) -> Result<()> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(Error::parameter(op, what, "a positive number", value))
}

/// Refuses class indices that a network with `classes` outputs cannot give, except `ignored`.
pub(crate) fn check_classes(targets: &Tensor, classes: usize, ignored: Option<u32>) -> Result<()> {
    let Tensor::U32(labels) = targets else { return Ok(()) };
    match labels.iter().position(|l| *l as usize >= classes && Some(*l) != ignored) {
        Some(i) => {
            let expected = format!("classes 0 to {} (the network has {classes} outputs)", classes.saturating_sub(1));
            let label = labels.iter().nth(i).copied().unwrap_or_default();
            Err(Error::data("targets", expected, format!("{label} in sample {}", sample(targets, i))))
        }
        None => Ok(()),
    }
}

/// Refuses targets that are not as `holds` wants them.
pub(crate) fn check_values(targets: &Tensor, expected: &str, holds: impl Fn(f32) -> bool) -> Result<()> {
    let found = match targets {
        Tensor::F32(x) => x.iter().copied().enumerate().find(|(_, v)| !holds(*v)),
        Tensor::U32(x) => x.iter().map(|v| *v as f32).enumerate().find(|(_, v)| !holds(*v)),
        Tensor::U8(x) => x.iter().map(|v| f32::from(*v)).enumerate().find(|(_, v)| !holds(*v)),
    };
    match found {
        Some((i, value)) => Err(Error::data("targets", expected, format!("{value} in sample {}", sample(targets, i)))),
        None => Ok(()),
    }
}

/// The sample that element `i` belongs to.
fn sample(targets: &Tensor, i: usize) -> usize {
    let shape = targets.spec().shape;
    i / (shape.elements() / shape.first().copied().unwrap_or(1).max(1)).max(1)
}
