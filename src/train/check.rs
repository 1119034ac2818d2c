//! What data a model takes.

use super::labels::check_missing;
use super::model::Definition;
use crate::data::{Dataset, Source};
use crate::error::{Error, Result};
use crate::nn::Input;
use crate::shape::{DType, TensorSpec};
use crate::tensor::Tensor;

impl Definition {
    /// Refuses data that the network cannot take, or whose targets its losses cannot; and any, where the model was opened from a file
    /// to predict only. Samples that are yet to be made are looked at by
    /// [`Definition::check_samples`] when they are.
    pub(super) fn check(&self, data: &Dataset) -> Result<()> {
        if self.losses.is_empty() {
            let reason = "it has no loss and no optimizer: SavedModel::read(path)?.compile_on(..) gives one with both";
            return Err(Error::usage("a model opened from a file", reason));
        }
        self.check_specs(&data.inputs().map(Source::spec).collect::<Vec<_>>())?;
        if data.outputs().len() != self.outputs.len() {
            let expected = format!("{} tensors of them, one for each output", self.outputs.len());
            return Err(Error::data("targets", expected, data.outputs().len().to_string()));
        }
        self.check_inputs(data.inputs().map(Source::tensor))?;
        self.check_targets(data.outputs().map(Source::tensor))
    }

    /// Refuses samples, one tensor `[n, ..]` per input and target, that the network or its losses cannot take.
    pub(super) fn check_samples(&self, samples: &[Tensor]) -> Result<()> {
        let inputs = self.network.inputs().len();
        self.check_inputs(samples.iter().map(Some))?;
        self.check_targets(samples.iter().skip(inputs).map(Some))
    }

    /// Refuses inputs `[n, ..]` whose shapes or types the network cannot take.
    pub(super) fn check_specs(&self, given: &[TensorSpec]) -> Result<()> {
        let expected = self.network.inputs();
        if given.len() != expected.len() {
            let names: Vec<String> = expected.iter().enumerate().map(|(i, input)| input.label(i)).collect();
            let expected = format!("{} of them ({})", expected.len(), names.join(", "));
            return Err(Error::data("model inputs", expected, given.len().to_string()));
        }
        for (i, (have, want)) in given.iter().zip(&expected).enumerate() {
            let what = what(&expected, i);
            if have.shape.get(1..) != Some(&*want.shape) {
                let expected = format!("[n, ..] with samples of {}", want.shape);
                return Err(Error::shape(what, expected, have.shape.to_string()));
            }
            // Bytes become floats when a batch is gathered.
            let fits = if want.dtype == DType::U32 { have.dtype == DType::U32 } else { have.dtype != DType::U32 };
            if !fits {
                let expected = if want.dtype == DType::U32 { "u32" } else { "f32 or u8" };
                return Err(Error::dtype(what, expected, have.to_string()));
            }
        }
        Ok(())
    }

    /// Refuses values that an input cannot take; what is not in memory is passed over.
    pub(super) fn check_inputs<'a>(&self, given: impl Iterator<Item = Option<&'a Tensor>>) -> Result<()> {
        let expected = self.network.inputs();
        for (i, (tensor, want)) in given.zip(&expected).enumerate() {
            tensor.map_or(Ok(()), |tensor| want.check(&what(&expected, i), tensor))?;
        }
        Ok(())
    }

    /// Refuses targets that a loss cannot take; what is not in memory is passed over.
    fn check_targets<'a>(&self, given: impl Iterator<Item = Option<&'a Tensor>>) -> Result<()> {
        for ((loss, _), (targets, output)) in self.losses.iter().zip(given.zip(&self.outputs)) {
            let Some(targets) = targets else { continue };
            check_missing(loss, output, targets)?;
            loss.check(targets, output)?;
        }
        Ok(())
    }
}

/// What an error calls the `i`-th input.
fn what(expected: &[Input], i: usize) -> String {
    if expected.len() == 1 { "model input".to_owned() } else { format!("model input {}", expected[i].label(i)) }
}
