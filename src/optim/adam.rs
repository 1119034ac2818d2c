use super::{Optimizer, Schedule, UpdateCtx, by_rule};
use crate::error::Result;
use crate::graph::Graph;
use crate::ops::update::Rule;

/// Adam, in Keras's form and with Keras's defaults. Source: D. Kingma, J. Ba, ICLR 2015; the formulas stand with [`Rule::Adam`].
#[derive(Clone, Debug)]
pub struct Adam {
    rate: Schedule,
    beta1: f64,
    beta2: f64,
    epsilon: f64,
    amsgrad: bool,
}

impl Adam {
    /// Adam with this learning rate; β₁ 0.9, β₂ 0.999, ε 1e-7.
    pub fn new(learning_rate: impl Into<Schedule>) -> Self {
        Adam { rate: learning_rate.into(), beta1: 0.9, beta2: 0.999, epsilon: 1e-7, amsgrad: false }
    }

    /// The decay of the two moments.
    #[must_use]
    pub fn betas(self, beta1: f64, beta2: f64) -> Self {
        Adam { beta1, beta2, ..self }
    }

    /// What keeps the division from blowing up.
    #[must_use]
    pub fn epsilon(self, epsilon: f64) -> Self {
        Adam { epsilon, ..self }
    }

    /// Divides by the largest second moment so far. Source: S. Reddi et al., "On the convergence of Adam and beyond", ICLR 2018.
    #[must_use]
    pub fn amsgrad(self) -> Self {
        Adam { amsgrad: true, ..self }
    }

    fn rule(&self) -> Rule {
        Rule::Adam { beta1: self.beta1, beta2: self.beta2, epsilon: self.epsilon, amsgrad: self.amsgrad }
    }
}

impl Default for Adam {
    /// Learning rate 1e-3.
    fn default() -> Self {
        Adam::new(1e-3)
    }
}

impl Optimizer for Adam {
    by_rule!("adam");
}

/// [`Adam`] with decoupled weight decay `w`: `p −= p · w · lr` before every step. Sources: I. Loshchilov, F. Hutter, ICLR 2019; Keras 3,
/// `keras.optimizers.AdamW`.
///
/// Which parameters are not to decay is said with [`Tuned::exclude_from_weight_decay`](super::Tuned::exclude_from_weight_decay).
#[derive(Clone, Debug)]
pub struct AdamW {
    rate: Schedule,
    adam: Adam,
    decay: f32,
}

impl AdamW {
    /// AdamW with this learning rate; weight decay 0.004, β₁ 0.9, β₂ 0.999, ε 1e-7.
    pub fn new(learning_rate: impl Into<Schedule>) -> Self {
        AdamW { rate: learning_rate.into(), adam: Adam::default(), decay: 0.004 }
    }

    /// The weight decay.
    #[must_use]
    pub fn weight_decay(self, decay: f32) -> Self {
        AdamW { decay, ..self }
    }

    /// See [`Adam::betas`].
    #[must_use]
    pub fn betas(self, beta1: f64, beta2: f64) -> Self {
        AdamW { adam: self.adam.betas(beta1, beta2), ..self }
    }

    /// See [`Adam::epsilon`].
    #[must_use]
    pub fn epsilon(self, epsilon: f64) -> Self {
        AdamW { adam: self.adam.epsilon(epsilon), ..self }
    }

    /// See [`Adam::amsgrad`].
    #[must_use]
    pub fn amsgrad(self) -> Self {
        AdamW { adam: self.adam.amsgrad(), ..self }
    }

    fn rule(&self) -> Rule {
        self.adam.rule()
    }
}

impl Default for AdamW {
    /// Learning rate 1e-3.
    fn default() -> Self {
        AdamW::new(1e-3)
    }
}

impl Optimizer for AdamW {
    by_rule!("adamw");

    fn weight_decay(&self) -> f32 {
        self.decay
    }
}
