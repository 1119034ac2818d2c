use super::{Optimizer, Schedule, UpdateCtx, by_rule};
use crate::error::Result;
use crate::graph::Graph;
use crate::ops::update::Rule;

/// Gradient descent, with momentum and Nesterov's form where asked for. Source: I. Sutskever et al., ICML 2013; the formulas are
/// Keras's and stand with [`Rule::Sgd`].
#[derive(Clone, Debug)]
pub struct Sgd {
    rate: Schedule,
    momentum: f64,
    nesterov: bool,
}

impl Sgd {
    /// Plain gradient descent with this learning rate.
    pub fn new(learning_rate: impl Into<Schedule>) -> Self {
        Sgd { rate: learning_rate.into(), momentum: 0.0, nesterov: false }
    }

    /// Keeps this share of the last step.
    #[must_use]
    pub fn momentum(self, momentum: f64) -> Self {
        Sgd { momentum, ..self }
    }

    /// Looks ahead along the momentum.
    #[must_use]
    pub fn nesterov(self) -> Self {
        Sgd { nesterov: true, ..self }
    }

    fn rule(&self) -> Rule {
        Rule::Sgd { momentum: self.momentum, nesterov: self.nesterov }
    }
}

impl Default for Sgd {
    /// Learning rate 0.01, no momentum.
    fn default() -> Self {
        Sgd::new(0.01)
    }
}

impl Optimizer for Sgd {
    by_rule!("sgd");
}
