use std::fmt;

use super::history::EpochRecord;
use super::model::Model;
use crate::error::{Error, Result};
use crate::tensor::Tensor;

/// What a callback sees at the beginning of a training.
#[derive(Debug)]
pub struct Begin<'a> {
    /// The names of the values that every epoch's record will have.
    pub names: &'a [String],
    /// The model. A training that goes on from a checkpoint has not taken over its parameters yet.
    pub model: &'a mut Model,
}

impl Begin<'_> {
    /// Refuses a watched value that no epoch will have.
    ///
    /// # Errors
    /// Then; the error lists those that there will be.
    pub fn expect(&self, name: &str) -> Result<()> {
        expect(self.names, name)
    }
}

/// Refuses a name that is not among these.
pub(super) fn expect(names: &[String], name: &str) -> Result<()> {
    match names.iter().any(|have| have == name) {
        true => Ok(()),
        false => Err(Error::parameter("fit", "watched value", format!("one of {}", names.join(", ")), name)),
    }
}

/// What a callback sees at the end of an epoch.
#[derive(Debug)]
pub struct Epoch<'a> {
    /// All epochs of this training so far, those before it was resumed included; the last is the one that ended.
    pub epochs: &'a [EpochRecord],
    /// The model, with the parameters after the epoch.
    pub model: &'a mut Model,
}

impl Epoch<'_> {
    /// The value called `name` in the epoch that ended: see [`EpochRecord::value`].
    ///
    /// # Errors
    /// Where the epoch has no such value; the error lists those that it has.
    pub fn value(&self, name: &str) -> Result<f64> {
        let Some(record) = self.epochs.last() else { return Err(Error::usage("a callback", "no epoch has ended yet")) };
        expect(&record.names(), name)?;
        Ok(record.value(name).unwrap_or(f64::NAN))
    }
}

/// What a callback must remember when a training is stopped and resumed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    /// Numbers and words.
    pub values: serde_json::Value,
    /// Tensors, by name.
    pub tensors: Vec<(String, Tensor)>,
}

/// What is done after every epoch of a training. Write your own by implementing this:
///
/// ```
/// use galen::train::{Callback, Epoch};
/// use galen::{Result, prelude::*};
///
/// /// Stops when the training loss is small enough.
/// #[derive(Debug)]
/// struct GoodEnough(f64);
///
/// impl Callback for GoodEnough {
///     fn name(&self) -> &str {
///         "good_enough"
///     }
///
///     fn epoch_end(&mut self, epoch: Epoch<'_>) -> Result<Option<String>> {
///         let loss = epoch.value("loss")?;
///         Ok((loss < self.0).then(|| format!("a loss of {loss} is good enough")))
///     }
/// }
///
/// let options = Fit::new().epochs(100).callback(GoodEnough(0.1));
/// ```
pub trait Callback: fmt::Debug + Send {
    /// Its name, under which checkpoints keep its memory.
    fn name(&self) -> &str;

    /// A training begins: whatever an earlier one left is forgotten.
    ///
    /// # Errors
    /// Settings that make no sense; then nothing is trained.
    fn begin(&mut self, _begin: Begin<'_>) -> Result<()> {
        Ok(())
    }

    /// An epoch has ended. Gives the reason, where the training should stop now.
    ///
    /// Every callback is called after every epoch, and every reason to stop counts, also where another callback fails: the order of
    /// callbacks changes the order of their notes and nothing else.
    ///
    /// # Errors
    /// Whatever should end the training with an error. An [`Error::Io`] is noted, and the training goes on: a full disk may have room
    /// again later. If the last epoch's output could not be written either, `fit` returns the error at the end.
    fn epoch_end(&mut self, epoch: Epoch<'_>) -> Result<Option<String>>;

    /// The training has ended, by itself or because it was stopped.
    ///
    /// # Errors
    /// Whatever the caller of `fit` should know.
    fn end(&mut self, _model: &mut Model) -> Result<()> {
        Ok(())
    }

    /// What a checkpoint must keep of it.
    fn memory(&self) -> Memory {
        Memory::default()
    }

    /// Takes back what a checkpoint kept, after [`Callback::begin`].
    ///
    /// # Errors
    /// Where it is not what [`Callback::memory`] gave.
    fn remember(&mut self, _memory: Memory) -> Result<()> {
        Ok(())
    }
}
