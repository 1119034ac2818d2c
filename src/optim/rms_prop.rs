use super::{Optimizer, Schedule, UpdateCtx, by_rule};
use crate::error::Result;
use crate::graph::Graph;
use crate::ops::update::Rule;

/// RMSprop, in Keras's form and with Keras's defaults. Source: T. Tieleman, G. Hinton, 2012; the formulas stand with
/// [`Rule::RmsProp`].
#[derive(Clone, Debug)]
pub struct RmsProp {
    rate: Schedule,
    rho: f64,
    momentum: f64,
    epsilon: f64,
    centered: bool,
}

impl RmsProp {
    /// RMSprop with this learning rate; ρ 0.9, no momentum, ε 1e-7, not centered.
    pub fn new(learning_rate: impl Into<Schedule>) -> Self {
        RmsProp { rate: learning_rate.into(), rho: 0.9, momentum: 0.0, epsilon: 1e-7, centered: false }
    }

    /// How much of the gradients' averages is kept.
    #[must_use]
    pub fn rho(self, rho: f64) -> Self {
        RmsProp { rho, ..self }
    }

    /// Keeps this share of the last step.
    #[must_use]
    pub fn momentum(self, momentum: f64) -> Self {
        RmsProp { momentum, ..self }
    }

    /// What keeps the division from blowing up.
    #[must_use]
    pub fn epsilon(self, epsilon: f64) -> Self {
        RmsProp { epsilon, ..self }
    }

    /// Divides by the gradients' standard deviation in place of their root mean square.
    #[must_use]
    pub fn centered(self) -> Self {
        RmsProp { centered: true, ..self }
    }

    fn rule(&self) -> Rule {
        Rule::RmsProp { rho: self.rho, momentum: self.momentum, epsilon: self.epsilon, centered: self.centered }
    }
}

impl Default for RmsProp {
    /// Learning rate 1e-3.
    fn default() -> Self {
        RmsProp::new(1e-3)
    }
}

impl Optimizer for RmsProp {
    by_rule!("rmsprop");
}
