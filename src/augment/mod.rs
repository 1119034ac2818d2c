//! Augmentation: every sample changed anew in every epoch of a training, on the device, as a part of the step.
//!
//! What happens to a sample is a function of the model's seed, the epoch's number and the sample's number in the dataset, and of nothing
//! else: not of the batch that it is in, its size, the order of samples, or whether the data is streamed. Numbers are drawn by counters
//! (see [`ops::random`](crate::ops::random)), so that a training is repeatable to the bit. Evaluations and predictions never change
//! their data.
//!
//! ```
//! use galen::augment::{Augment, Fill};
//! use galen::prelude::*;
//!
//! let augment = Augment::new().flip_horizontal().rotate(15.0).zoom(0.9, 1.1).contrast(0.8, 1.2).fill(Fill::Reflect);
//! let options = Fit::new().epochs(30).augment(augment);
//! ```
//!
//! Write your own by implementing [`Augmentation`].

mod images;
mod sequences;
mod signals;

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::contract::stream_of;
use crate::error::{Error, Result};
use crate::graph::{Graph, Var};
use crate::ops::random::Distribution;
use crate::shape::Shape;

pub use crate::ops::warp::Fill;
pub use images::Augment;
pub use sequences::SequenceAugment;
pub use signals::SignalAugment;

/// Something that changes the samples of a training step. Its `Debug` text must show all of its settings: where the texts are the same,
/// the steps of an earlier training are used again.
///
/// ```
/// use galen::augment::{AugmentCtx, Augmentation};
/// use galen::{Result, Var};
///
/// /// Features scaled by up to a tenth, each sample's by another factor.
/// #[derive(Debug)]
/// struct Rescale;
///
/// impl Augmentation for Rescale {
///     fn build(&self, ctx: &AugmentCtx, inputs: &[Var], targets: &[Var]) -> Result<(Vec<Var>, Vec<Var>)> {
///         let factor = ctx.uniform("rescale", [1])?.scale(0.2)?.shift(0.9)?;
///         Ok((vec![inputs[0].mul(&factor)?], targets.to_vec()))
///     }
/// }
/// ```
pub trait Augmentation: fmt::Debug + Send + Sync {
    /// Refuses settings that make no sense, whatever the data.
    ///
    /// # Errors
    /// [`Error::Parameter`], naming the setting.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Pushes the nodes that change a batch: its inputs, `[batch, ..]` each, and its targets. As many must come back, in the same
    /// shapes and types.
    ///
    /// # Errors
    /// Where the data is not such that it can be changed so.
    fn build(&self, ctx: &AugmentCtx, inputs: &[Var], targets: &[Var]) -> Result<(Vec<Var>, Vec<Var>)>;
}

/// Where an [`Augmentation`] gets its random numbers from.
#[derive(Debug)]
pub struct AugmentCtx {
    clock: Var,
    epoch: Var,
    samples: Var,
    /// How often numbers of each name were asked for.
    streams: RefCell<HashMap<String, usize>>,
}

impl AugmentCtx {
    /// Numbers for the samples that `samples` names, u32 `[batch]`, in the epoch `epoch`, u32 `[1]`, with the seed of `clock`.
    pub fn new(clock: &Var, epoch: &Var, samples: &Var) -> AugmentCtx {
        AugmentCtx { clock: clock.clone(), epoch: epoch.clone(), samples: samples.clone(), streams: RefCell::default() }
    }

    /// The graph that is being built.
    pub fn graph(&self) -> &Graph {
        self.clock.graph()
    }

    /// Samples of the batch.
    pub fn batch(&self) -> usize {
        self.samples.shape()[0]
    }

    /// Uniform numbers in [0, 1), `[batch, shape..]`: a sample's own in this epoch. `what` tells them from others; asked for a second time
    /// under the same name, they are others too.
    ///
    /// # Errors
    /// Where the shape has no elements or too many dimensions.
    pub fn uniform(&self, what: &str, shape: impl Into<Shape>) -> Result<Var> {
        self.random(Distribution::Uniform, what, shape.into())
    }

    /// Standard normal numbers; see [`AugmentCtx::uniform`].
    ///
    /// # Errors
    /// See there.
    pub fn normal(&self, what: &str, shape: impl Into<Shape>) -> Result<Var> {
        self.random(Distribution::Normal, what, shape.into())
    }

    fn random(&self, distribution: Distribution, what: &str, shape: Shape) -> Result<Var> {
        let count = {
            let mut streams = self.streams.borrow_mut();
            let count = streams.entry(what.to_owned()).or_default();
            *count += 1;
            *count
        };
        let stream = stream_of(&format!("augment/{what}#{count}"));
        self.graph().random_per_sample(shape, distribution, stream, &self.clock, &self.epoch, &self.samples)
    }
}

/// A batch changed by all of `augmentations`, one after the other.
pub(crate) fn build(
    augmentations: &[Arc<dyn Augmentation>],
    ctx: &AugmentCtx,
    inputs: Vec<Var>,
    targets: Vec<Var>,
) -> Result<(Vec<Var>, Vec<Var>)> {
    let specs = |vars: &[Var]| vars.iter().map(Var::spec).collect::<Vec<_>>();
    let mut batch = (inputs, targets);
    for augmentation in augmentations {
        let (inputs, targets) = ctx.graph().in_layer("augment", || augmentation.build(ctx, &batch.0, &batch.1))?;
        for (what, have, made) in [("inputs", &batch.0, &inputs), ("targets", &batch.1, &targets)] {
            let (have, made) = (specs(have), specs(made));
            if have != made {
                let what = format!("augmented {what}");
                return Err(Error::shape(what, format!("{have:?}, as they were"), format!("{made:?}")));
            }
        }
        batch = (inputs, targets);
    }
    Ok(batch)
}

/// Whether both change samples alike.
pub(crate) fn are_same(a: &[Arc<dyn Augmentation>], b: &[Arc<dyn Augmentation>]) -> bool {
    let same = |(a, b): (&Arc<dyn Augmentation>, &Arc<dyn Augmentation>)| {
        Arc::ptr_eq(a, b) || format!("{a:?}") == format!("{b:?}")
    };
    a.len() == b.len() && a.iter().zip(b).all(same)
}

/// The `index`-th of a batch's inputs.
fn input(inputs: &[Var], index: usize) -> Result<&Var> {
    inputs.get(index).ok_or_else(|| {
        let expected = format!("below {}, the number of inputs", inputs.len());
        Error::parameter("augment", "input", expected, index)
    })
}
