use super::{Optimizer, Schedule, UpdateCtx, by_rule};
use crate::error::Result;
use crate::graph::Graph;
use crate::ops::update::Rule;

/// Adam with Nesterov's momentum, in Keras's form and with Keras's defaults. Source: T. Dozat, 2016; the formulas stand with
/// [`Rule::Nadam`].
#[derive(Clone, Debug)]
pub struct Nadam {
    rate: Schedule,
    beta1: f64,
    beta2: f64,
    epsilon: f64,
}

impl Nadam {
    /// Nadam with this learning rate; β₁ 0.9, β₂ 0.999, ε 1e-7.
    pub fn new(learning_rate: impl Into<Schedule>) -> Self {
        Nadam { rate: learning_rate.into(), beta1: 0.9, beta2: 0.999, epsilon: 1e-7 }
    }

    /// The decay of the two moments.
    #[must_use]
    pub fn betas(self, beta1: f64, beta2: f64) -> Self {
        Nadam { beta1, beta2, ..self }
    }

    /// What keeps the division from blowing up.
    #[must_use]
    pub fn epsilon(self, epsilon: f64) -> Self {
        Nadam { epsilon, ..self }
    }

    fn rule(&self) -> Rule {
        Rule::Nadam { beta1: self.beta1, beta2: self.beta2, epsilon: self.epsilon }
    }
}

impl Default for Nadam {
    /// Learning rate 1e-3.
    fn default() -> Self {
        Nadam::new(1e-3)
    }
}

impl Optimizer for Nadam {
    by_rule!("nadam");
}
