//! Targets, brought into the form that predictions ask for.

use crate::error::{Error, Result};
use crate::graph::Var;
use crate::shape::{DType, Shape};
use crate::tensor::Tensor;

/// Targets of floats in the shape of the predictions. One value per sample may come as `[n]` or as `[n, 1]`.
pub(crate) fn like(op: &str, y: &Var, targets: &Var) -> Result<Var> {
    if targets.dtype() != DType::F32 {
        return Err(Error::dtype(op, "f32", targets.spec().to_string()));
    }
    let targets = with_ones(&y.shape(), targets)?;
    if y.shape() != targets.shape() {
        return Err(Error::shape(op, y.shape().to_string(), targets.shape().to_string()));
    }
    Ok(targets)
}

/// Like [`like`], for labels: whole numbers count as floats, and an axis of one channel may be left out of images.
pub(crate) fn labels_like(op: &str, y: &Var, labels: &Var) -> Result<Var> {
    like(op, y, &with_channel(y, labels)?.to_f32()?)
}

/// `[batch, ..]` as `[batch, 1, ..]`, where the predictions are so.
pub(crate) fn with_channel(y: &Var, labels: &Var) -> Result<Var> {
    match (&*y.shape(), &*labels.shape()) {
        ([n, 1, space @ ..], [m, rest @ ..]) if n == m && space == rest => labels.reshape(y.shape()),
        _ => Ok(labels.clone()),
    }
}

/// `[n]` as `[n, 1]` or the other way round, where `shape` is so.
fn with_ones(shape: &Shape, targets: &Var) -> Result<Var> {
    match (&**shape, &*targets.shape()) {
        ([n, 1], [m]) if n == m => targets.reshape([*n, 1]),
        ([n], [m, 1]) if n == m => targets.reshape([*n]),
        _ => Ok(targets.clone()),
    }
}

/// Targets of scores whose classes lie along `axis`: class indices `u32` in the scores' shape without it (or with an extent of 1
/// there), or shares `f32` in the scores' shape.
pub(crate) fn classes(op: &str, y: &Var, targets: &Var, axis: usize) -> Result<Var> {
    let (scores, spec) = (y.shape(), targets.spec());
    let index = scores.without(axis);
    match spec.dtype {
        DType::F32 if spec.shape == scores => Ok(targets.clone()),
        DType::U32 if spec.shape == index => Ok(targets.clone()),
        DType::U32
            if spec.shape.len() == scores.len() && spec.shape[axis] == 1 && spec.shape.without(axis) == index =>
        {
            targets.reshape(index)
        }
        DType::U8 => Err(Error::dtype(op, "f32 (shares) or u32 (class indices) as targets", spec.to_string())),
        dtype => {
            let expected = if dtype == DType::F32 { format!("f32{scores}") } else { format!("u32{index}") };
            Err(Error::shape(op, format!("targets {expected} for scores {}", y.spec()), spec.to_string()))
        }
    }
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

/// The weight of each sample's (or pixel's) true class, from what [`classes`] gave: NaN where the label is no class, `Σ t w` for shares.
pub(crate) fn class_weights(op: &str, targets: &Var, axis: usize, classes: usize, weights: &[f32]) -> Result<Var> {
    if weights.len() != classes {
        return Err(Error::parameter(op, "class weights", format!("{classes} of them"), weights.len()));
    }
    weights.iter().try_for_each(|w| check_not_negative(op, "class weights", *w))?;
    let table = targets.graph().constant([classes], weights)?;
    if targets.dtype() == DType::U32 {
        return table.gather(targets);
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
