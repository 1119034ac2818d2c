//! Targets on the host, as the losses take them: which labels count, and in which form.

use ndarray::{ArrayD, Axis};

use super::metrics::{Judged, Labels};
use super::model::Definition;
use super::options::Fit;
use crate::data::Dataset;
use crate::engine::{Device, Executable, Session};
use crate::error::{Error, Result};
use crate::graph::{Graph, Var};
use crate::nn::{Loss, check_class_weights};
use crate::shape::{DType, Shape};
use crate::tensor::{Elements, Tensor};

/// Samples of which labels are brought into their form at a time.
const BATCH: usize = 256;

impl Definition {
    /// The targets `[n, ..]` of the first output as the first loss takes them.
    ///
    /// # Errors
    /// Where the loss cannot take them.
    pub(super) fn labels(&self, targets: &Tensor) -> Result<Labels> {
        let (loss, _) = self.losses.iter().next().ok_or_else(|| Error::usage("labels", "the model has no loss"))?;
        labels(loss, &self.outputs[0], targets)
    }

    /// The data to train on, weighted, and the data to validate on.
    ///
    /// # Errors
    /// Those of [`Fit::split`]; class weights that do not fit the classes.
    pub(super) fn parts(&self, data: &Dataset, options: &Fit) -> Result<(Dataset, Option<Dataset>)> {
        let (train, validation) = options.split(data)?;
        Ok((self.weighted(train, &options.class_weights)?, validation))
    }

    /// The data with the weights of its classes. A sample whose label does not count needs none.
    fn weighted(&self, data: Dataset, class_weights: &[f32]) -> Result<Dataset> {
        if class_weights.is_empty() {
            return Ok(data);
        }
        check_class_weights("fit", class_weights)?;
        if let Some(classes) = self.classes().filter(|classes| *classes != class_weights.len()) {
            let expected = format!("{classes}, one for each class of the network");
            return Err(Error::data("class weights", expected, class_weights.len().to_string()));
        }
        let unfit = |actual: String| Error::data("targets", "one class for each sample, or one-hot rows", actual);
        let targets = data.targets().tensor().ok_or_else(|| unfit(format!("{:?}", data.targets())))?;
        let labels = self.labels(targets)?;
        let classes = exclusive(&labels, data.len()).map_err(unfit)?;
        let own = data.weights().map(|weights| weights.elements());
        let own = |sample: usize| if let Some(Elements::F32(w)) = own { w[sample] } else { 1.0 };
        let mut weights: Vec<f32> = (0..data.len()).map(own).collect();
        for (sample, class) in classes {
            let weight = class_weights.get(class as usize).ok_or_else(|| {
                let expected = format!("one for each class, class {class} included");
                Error::data("class weights", expected, class_weights.len().to_string())
            })?;
            weights[sample] *= weight;
        }
        data.with_weights(weights)
    }
}

/// The class of every sample whose label counts, with the sample's number; or what the targets are instead.
fn exclusive(labels: &Labels, samples: usize) -> Result<Vec<(usize, u32)>, String> {
    let spec = labels.values.spec();
    match (&labels.values, labels.axis) {
        (Tensor::F32(rows), Some(_)) if rows.ndim() == 2 => {
            let one_hot = |row: &[f32]| {
                row.iter().all(|v| *v == 0.0 || *v == 1.0) && row.iter().filter(|v| **v == 1.0).count() == 1
            };
            if let Some(bad) = rows.rows().into_iter().position(|row| !one_hot(&row.to_vec())) {
                return Err(format!("another row in sample {bad}"));
            }
        }
        (Tensor::F32(column), None) if column.len() == samples => {
            let labels = column.iter().enumerate().filter(|(i, _)| labels.counts(*i));
            let class = |(i, label): (usize, &f32)| match *label {
                0.0 => Ok((i, 0)),
                1.0 => Ok((i, 1)),
                other => Err(format!("{other} in sample {i}")),
            };
            return labels.map(class).collect();
        }
        (Tensor::U32(classes), Some(_)) if classes.len() == samples => {}
        _ => return Err(spec.to_string()),
    }
    labels.classes().ok_or_else(|| spec.to_string())
}

/// Targets `[n, ..]` of an output of shape `output` per sample, as `loss` takes them. The loss says it in the same words as in a step, as
/// nodes of a graph, which run on the processor.
fn labels(loss: &dyn Loss, output: &Shape, targets: &Tensor) -> Result<Labels> {
    let n = targets.shape().first().copied().unwrap_or(0);
    let batched = |n: usize, sample: &[usize]| Shape::from([&[n], sample].concat());
    let one = batched(1, output);
    let axis = loss.judgement(&one).axis(&one);
    let mut session = Session::new(&Device::cpu()?, 0, None);
    let (mut values, mut masks) = (Vec::new(), Vec::new());
    let mut executable: Option<(usize, Executable)> = None;
    for start in (0..n).step_by(BATCH) {
        let samples: Vec<usize> = (start..n.min(start + BATCH)).collect();
        let part = targets.select(&samples)?;
        if executable.as_ref().is_none_or(|(size, _)| *size != samples.len()) {
            let graph = Graph::new();
            let y = graph.input("y", batched(samples.len(), output), DType::F32)?;
            let t = graph.input("t", part.spec().shape, part.spec().dtype)?;
            let judged = Judged::new(loss, &y, &t)?;
            let fetch: Vec<Var> = std::iter::once(judged.labels).chain(judged.mask).collect();
            executable = Some((samples.len(), session.compile(&graph, &fetch)?));
        }
        let Some((_, executable)) = &executable else { continue };
        let mut outputs = session.run(executable, &[("t", &part)])?.into_iter();
        values.extend(outputs.next());
        masks.extend(outputs.next().map(Tensor::into_f32).transpose()?);
    }
    let mask = masks.iter().flat_map(|mask| mask.iter().map(|counts| *counts != 0.0)).collect::<Vec<_>>();
    Ok(Labels { values: joined(values)?, mask: (!masks.is_empty()).then_some(mask), axis })
}

/// Refuses a target that is NaN and counts for the loss all the same.
pub(super) fn check_missing(loss: &dyn Loss, output: &Shape, targets: &Tensor) -> Result<()> {
    let Elements::F32(values) = targets.elements() else { return Ok(()) };
    let Some(first) = values.iter().position(|t| t.is_nan()) else { return Ok(()) };
    let element = match labels(loss, output, targets).map(|labels| labels.values) {
        Ok(Tensor::F32(labels)) => match labels.iter().position(|label| label.is_nan()) {
            Some(i) => i * targets.shape()[0] / labels.len().max(1),
            None => return Ok(()),
        },
        _ => first * targets.shape()[0] / values.len().max(1),
    };
    let expected = "finite numbers; a NaN is a missing label only where the loss is told so, by missing(f32::NAN)";
    Err(Error::data("targets", expected, format!("NaN in sample {element}")))
}

/// Tensors of one type, one after another.
fn joined(parts: Vec<Tensor>) -> Result<Tensor> {
    fn rows<T: Clone>(parts: &[ArrayD<T>]) -> Result<ArrayD<T>> {
        let views: Vec<_> = parts.iter().map(|part| part.view()).collect();
        ndarray::concatenate(Axis(0), &views).map_err(|e| Error::usage("labels", e.to_string()))
    }
    let (mut floats, mut indices) = (Vec::new(), Vec::new());
    for part in parts {
        match part {
            Tensor::U32(part) => indices.push(part),
            other => floats.push(other.into_f32()?),
        }
    }
    if floats.is_empty() { Ok(rows(&indices)?.into()) } else { Ok(rows(&floats)?.into()) }
}
