//! What data a model takes.

use super::labels::check_missing;
use super::model::Definition;
use super::preparation::Preparation;
use crate::data::{Dataset, Source};
use crate::error::{Error, Result};
use crate::nn::Input;
use crate::shape::{DType, Shape, TensorSpec};
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
        self.check_columns(data)?;
        if data.outputs().len() != self.outputs.len() {
            let expected = format!("{} tensors of them, one for each output", self.outputs.len());
            return Err(Error::data("targets", expected, data.outputs().len().to_string()));
        }
        if let Some(Tensor::F32(weights)) = data.weights()
            && weights.iter().all(|weight| *weight == 0.0)
        {
            return Err(Error::data("sample weights", "at least one above 0", "0 for every sample"));
        }
        self.check_tokens(data.inputs().map(Source::tensor), 0)?;
        self.check_targets(data.outputs().map(Source::tensor))
    }

    /// Refuses a dataset whose inputs the network cannot take, or whose bytes are scaled in another way than those of the training.
    pub(super) fn check_columns(&self, data: &Dataset) -> Result<()> {
        self.check_specs(&data.inputs().map(Source::spec).collect::<Vec<_>>())?;
        Preparation::of(data).try_for_each(|(i, scaling)| self.preparation.expect(i, &self.what(i), scaling))
    }

    /// Takes the bytes of a dataset as scaled so from now on.
    pub(super) fn learn(&mut self, data: &Dataset) -> Result<()> {
        Preparation::of(data).try_for_each(|(i, scaling)| {
            let what = self.what(i);
            self.preparation.learn(i, &what, scaling)
        })
    }

    /// Refuses the samples `ids`, one tensor `[n, ..]` per input and target, that the network or its losses cannot take.
    pub(super) fn check_samples(&self, ids: &[u32], samples: &[Tensor]) -> Result<()> {
        let inputs = self.network.inputs().len();
        let checked = self.check_tokens(samples.iter().take(inputs).map(Some), 0);
        let checked = checked.and_then(|()| self.check_targets(samples.iter().skip(inputs).map(Some)));
        checked.map_err(|e| renumbered(e, ids))
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

    /// Refuses inputs that are not finite, and tokens that the network does not know. The samples are those from `first` on.
    pub(super) fn check_inputs(&self, given: &[Tensor], first: usize) -> Result<()> {
        for (i, tensor) in given.iter().enumerate() {
            if let Tensor::F32(x) = tensor
                && let Some((at, value)) = x.iter().enumerate().find(|(_, value)| !value.is_finite())
            {
                let sample = first + at / (x.len() / x.shape()[0].max(1)).max(1);
                return Err(Error::data(self.what(i), "finite numbers", format!("{value} in sample {sample}")));
            }
        }
        self.check_tokens(given.iter().map(Some), first)
    }

    /// Refuses tokens that the network does not know; what is not in memory is passed over. The samples are those from `first` on.
    fn check_tokens<'a>(&self, given: impl Iterator<Item = Option<&'a Tensor>>, first: usize) -> Result<()> {
        let mut given = given.enumerate();
        given.try_for_each(|(i, tensor)| {
            tensor.map_or(Ok(()), |tensor| self.tokens.check(i, &self.what(i), first, tensor))
        })
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

    /// What an error calls the `i`-th input.
    pub(super) fn what(&self, i: usize) -> String {
        what(&self.network.inputs(), i)
    }

    /// How many classes there are, where the first output says it: several outputs for as many, or one for two.
    pub(super) fn classes(&self) -> Option<usize> {
        let shape: Vec<usize> = std::iter::once(1).chain(self.outputs[0].iter().copied()).collect();
        match self.judgement().axis(&shape) {
            Some(axis) => Some(shape[axis]),
            None => (Shape::from(shape).elements() == 1).then_some(2),
        }
    }
}

/// The same error with the sample's number in the dataset, of which `ids` are looked at.
fn renumbered(error: Error, ids: &[u32]) -> Error {
    const SAMPLE: &str = " in sample ";
    let Error::Data { what, expected, actual } = error else { return error };
    let found = actual.rsplit_once(SAMPLE).and_then(|(value, at)| Some((value, ids.get(at.parse::<usize>().ok()?)?)));
    let actual = found.map(|(value, id)| format!("{value}{SAMPLE}{id}")).unwrap_or(actual);
    Error::Data { what, expected, actual }
}

/// What an error calls the `i`-th input.
fn what(expected: &[Input], i: usize) -> String {
    if expected.len() == 1 { "model input".to_owned() } else { format!("model input {}", expected[i].label(i)) }
}
