//! Optimizers: how gradients change parameters. The whole update stays on the device, in one dispatch for all parameters.

mod adam;
mod sgd;

use std::fmt;

use crate::error::Result;
use crate::graph::{Graph, Var};

pub use adam::Adam;
pub use sgd::Sgd;

/// What an optimizer is handed: everything already lies on the device, flat.
#[derive(Clone, Debug)]
pub struct UpdateCtx {
    /// All parameters, side by side; state.
    pub parameters: Var,
    /// All gradients, in the same layout.
    pub gradients: Var,
    /// The step counter; see [`crate::contract::clock`].
    pub clock: Var,
    /// The epoch's learning rates; see [`crate::contract::clock`].
    pub schedule: Var,
}

/// An optimizer. Write your own by implementing this: push the nodes that change `ctx.parameters` in place.
pub trait Optimizer: fmt::Debug + Send {
    /// Its name, as it stands in logs.
    fn name(&self) -> &'static str;

    /// The learning rate of step `step` (counted from 0 over the whole training).
    fn learning_rate(&self, step: usize) -> f32;

    /// Checks the settings and pushes the update.
    ///
    /// # Errors
    /// Where a setting makes no sense.
    fn build(&self, graph: &Graph, ctx: &UpdateCtx) -> Result<()>;
}

/// A learning rate must be a positive number.
fn check_rate(optimizer: &str, rate: f32) -> Result<()> {
    if rate.is_finite() && rate > 0.0 {
        return Ok(());
    }
    Err(crate::Error::parameter(optimizer, "learning rate", "a positive number", rate))
}
