use super::{Optimizer, Schedule, UpdateCtx, by_rule};
use crate::error::Result;
use crate::graph::Graph;
use crate::ops::update::Rule;

/// Adagrad, in Keras's form and with Keras's defaults. Source: J. Duchi et al., JMLR 12, 2011; the formulas stand with
/// [`Rule::Adagrad`].
#[derive(Clone, Debug)]
pub struct Adagrad {
    rate: Schedule,
    initial: f64,
    epsilon: f64,
}

impl Adagrad {
    /// Adagrad with this learning rate; the sum of squares begins at 0.1, ε 1e-7.
    pub fn new(learning_rate: impl Into<Schedule>) -> Self {
        Adagrad { rate: learning_rate.into(), initial: 0.1, epsilon: 1e-7 }
    }

    /// Where the sum of squares begins.
    #[must_use]
    pub fn initial_accumulator(self, value: f64) -> Self {
        Adagrad { initial: value, ..self }
    }

    /// What keeps the division from blowing up.
    #[must_use]
    pub fn epsilon(self, epsilon: f64) -> Self {
        Adagrad { epsilon, ..self }
    }

    fn rule(&self) -> Rule {
        Rule::Adagrad { initial: self.initial, epsilon: self.epsilon }
    }
}

impl Default for Adagrad {
    /// Learning rate 1e-3.
    fn default() -> Self {
        Adagrad::new(1e-3)
    }
}

impl Optimizer for Adagrad {
    by_rule!("adagrad");
}
