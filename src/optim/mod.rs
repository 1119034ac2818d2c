//! Optimizers: how gradients change parameters. The whole update stays on the device, in a number of dispatches that does not depend
//! on how many layers there are.
//!
//! An [`Optimizer`] is a rule and a [`Schedule`] of learning rates. [`Tuned`] adds what all rules have in common: clipped and
//! accumulated gradients, frozen layers, groups with settings of their own, weight decay, a moving average of the parameters.

mod adagrad;
mod adam;
mod holds;
mod nadam;
mod plateau;
mod rms_prop;
mod schedule;
mod sgd;
mod tuned;

use std::fmt;

use crate::contract::blocks::{self, BLOCK};
use crate::error::Result;
use crate::graph::{Graph, Init, PARAMETERS, Var};
use crate::ops::update::{Rule, Update};
use crate::shape::TensorSpec;

pub use adagrad::Adagrad;
pub use adam::{Adam, AdamW};
pub use holds::{Hold, MaxNorm, Penalty, Units};
pub use nadam::Nadam;
pub use plateau::Plateau;
pub use rms_prop::RmsProp;
pub use schedule::{
    CosineDecay, CosineDecayRestarts, ExponentialDecay, OneCycle, PiecewiseConstant, PolynomialDecay, Schedule,
    StepDecay, WarmUp,
};
pub use sgd::Sgd;
pub(crate) use tuned::is_within;
pub use tuned::{GroupOptions, Tuned};

/// The arena that holds the moving average of the parameters, in their layout; NaN before the first update.
pub const EMA: &str = "ema";
/// The arena that holds the gradients of a step.
pub const GRADIENTS: &str = "gradients";
/// The arena that holds the mean gradient of the steps that have not made an update yet.
pub const ACCUMULATED: &str = "accumulated gradients";
/// The arena that holds what the steps in [`ACCUMULATED`] count together.
pub const SHARES: &str = "accumulated shares";
/// The arenas that hold settings of parameters. A session writes them once: forget them (and [`GRADIENTS`]) where the settings change.
pub const TABLES: [&str; 3] = ["groups", "penalties", "norms"];

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
    /// For every group of parameters the factor of the learning rate (0 where frozen) and the weight decay; see
    /// [`crate::contract::blocks`].
    pub groups: Var,
    /// Every so many steps make an update.
    pub every: u32,
}

impl UpdateCtx {
    /// An update in every step, with the same learning rate and without weight decay for all parameters.
    ///
    /// # Errors
    /// Where the graph has groups already.
    pub fn new(parameters: Var, gradients: Var, clock: Var, schedule: Var) -> Result<UpdateCtx> {
        let graph = parameters.graph().clone();
        let blocks = vec![0; parameters.shape().elements() / BLOCK];
        let groups = words(&graph, TABLES[0], blocks::table(&[[1.0, 0.0]], &blocks))?;
        Ok(UpdateCtx { parameters, gradients, clock, schedule, groups, every: 1 })
    }

    /// Pushes one step of `rule`, with the state that it wants.
    ///
    /// # Errors
    /// Where the rule's numbers make no sense.
    pub fn apply(&self, rule: Rule) -> Result<()> {
        let graph = self.parameters.graph();
        let state = |(name, begin)| graph.mirror(PARAMETERS, &format!("{}.{name}", rule.name()), begin);
        let states = rule.states().into_iter().map(state).collect::<Result<Vec<Var>>>()?;
        let states: Vec<&Var> = states.iter().collect();
        let op = Update { rule, every: self.every };
        self.parameters.update(op, &states, &self.gradients, &self.clock, &self.schedule, &self.groups)
    }
}

/// State of exactly these words, alone in an arena of its own name.
fn words(graph: &Graph, name: &str, words: Vec<u32>) -> Result<Var> {
    graph.state(name, name, TensorSpec::u32([words.len()]), Init::Words(words.into()))
}

/// An optimizer. Write your own by implementing this: push the nodes that change `ctx.parameters` in place.
///
/// What cannot be undone must be left to [`UpdateCtx::apply`] or to ops that know of the clock's fault, of frozen groups and of steps
/// that make no update:
///
/// ```
/// use galen::optim::{Optimizer, Schedule, UpdateCtx};
/// use galen::ops::update::Rule;
/// use galen::{Graph, Result};
///
/// /// Steps along the signs of the gradients, all of the same length.
/// #[derive(Debug)]
/// struct SignDescent(Schedule);
///
/// impl Optimizer for SignDescent {
///     fn name(&self) -> &'static str {
///         "sign_descent"
///     }
///     fn learning_rate(&self, step: usize) -> f32 {
///         self.0.at(step)
///     }
///     fn check(&self) -> Result<()> {
///         self.0.check(self.name())
///     }
///     fn build(&self, _graph: &Graph, ctx: &UpdateCtx) -> Result<()> {
///         let size = ctx.gradients.abs()?;
///         let tiny = ctx.gradients.graph().fill([1], 1e-30)?;
///         let gradients = ctx.gradients.div(&size.add(&tiny)?)?;
///         let ctx = UpdateCtx { gradients, ..ctx.clone() };
///         ctx.apply(Rule::Sgd { momentum: 0.0, nesterov: false })
///     }
/// }
/// # assert_eq!(SignDescent(0.5.into()).learning_rate(3), 0.5);
/// ```
pub trait Optimizer: fmt::Debug + Send {
    /// Its name, as it stands in logs.
    fn name(&self) -> &'static str;

    /// The learning rate of update `step` (counted from 0 over the whole training).
    fn learning_rate(&self, step: usize) -> f32;

    /// By which share of itself, times the learning rate, a parameter shrinks before every step. It comes back in the groups of
    /// [`UpdateCtx`].
    fn weight_decay(&self) -> f32 {
        0.0
    }

    /// Refuses settings that make no sense, before anything is built.
    ///
    /// # Errors
    /// With the name of the optimizer and of the setting.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Pushes the update.
    ///
    /// # Errors
    /// Where a setting makes no sense.
    fn build(&self, graph: &Graph, ctx: &UpdateCtx) -> Result<()>;
}

impl<O: Optimizer + ?Sized> Optimizer for Box<O> {
    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn learning_rate(&self, step: usize) -> f32 {
        (**self).learning_rate(step)
    }

    fn weight_decay(&self) -> f32 {
        (**self).weight_decay()
    }

    fn check(&self) -> Result<()> {
        (**self).check()
    }

    fn build(&self, graph: &Graph, ctx: &UpdateCtx) -> Result<()> {
        (**self).build(graph, ctx)
    }
}

/// [`Optimizer`] for a struct with a schedule `rate` and a method `rule`.
macro_rules! by_rule {
    ($name:literal) => {
        fn name(&self) -> &'static str {
            $name
        }

        fn learning_rate(&self, step: usize) -> f32 {
            self.rate.at(step)
        }

        fn check(&self) -> Result<()> {
            self.rate.check($name)?;
            self.rule().check($name)
        }

        fn build(&self, _graph: &Graph, ctx: &UpdateCtx) -> Result<()> {
            ctx.apply(self.rule())
        }
    };
}
use by_rule;
