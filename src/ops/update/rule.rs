//! The rules by which optimizers change a parameter `p` with gradient `g` and learning rate `lr` in update `t`, counted from 1.

use serde::{Deserialize, Serialize};

use crate::contract::exact;
use crate::error::{Error, Result};

/// A rule with its numbers. All are Keras 3's, formula by formula.
///
/// The numbers are `f64` because kernels want `1 − β`: of 0.999 as `f32` that would be wrong in the fifth digit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Rule {
    /// Plain: `p −= lr · g`. With momentum `u`: `v = u · v − lr · g`, then `p += v`, or Nesterov's `p += u · v − lr · g`.
    /// State: `velocity`, where the momentum is not 0. Sources: I. Sutskever et al., ICML 2013; `keras.optimizers.SGD`.
    Sgd {
        /// How much of the velocity is kept, in [0, 1]; with 0 there is no velocity.
        #[serde(with = "exact")]
        momentum: f64,
        /// Nesterov's form of momentum.
        nesterov: bool,
    },
    /// `m += (1 − β₁)(g − m)`, `v += (1 − β₂)(g² − v)`, `p −= α · m / (√v + ε)` with `α = lr · √(1 − β₂ᵗ) / (1 − β₁ᵗ)`; with AMSGrad
    /// the largest `v` so far stands in its place. State: `m`, `v`, and `v_hat` with AMSGrad. Sources: D. Kingma, J. Ba, ICLR 2015,
    /// end of section 2; S. Reddi et al., ICLR 2018; `keras.optimizers.Adam`.
    Adam {
        /// How much of the first moment is kept, in [0, 1).
        #[serde(with = "exact")]
        beta1: f64,
        /// How much of the second moment is kept, in [0, 1).
        #[serde(with = "exact")]
        beta2: f64,
        /// What is added to `√v`; positive.
        #[serde(with = "exact")]
        epsilon: f64,
        /// Divides by the largest second moment so far.
        amsgrad: bool,
    },
    /// Adam with Nesterov's momentum: moments as there; with `uₜ = β₁(1 − ½ · 0.96ᵗ)` and `Uₜ = u₁ ⋯ uₜ`,
    /// `p −= lr · (uₜ₊₁ · m / (1 − Uₜ₊₁) + (1 − uₜ) · g / (1 − Uₜ)) / (√(v / (1 − β₂ᵗ)) + ε)`. State: `m`, `v`.
    /// Sources: T. Dozat, "Incorporating Nesterov momentum into Adam", 2016; `keras.optimizers.Nadam`.
    Nadam {
        /// How much of the first moment is kept, in [0, 1).
        #[serde(with = "exact")]
        beta1: f64,
        /// How much of the second moment is kept, in [0, 1).
        #[serde(with = "exact")]
        beta2: f64,
        /// What is added to the root; positive.
        #[serde(with = "exact")]
        epsilon: f64,
    },
    /// `v += (1 − ρ)(g² − v)`, `s = lr · g / √(v + ε)`, `p −= s`. Centered: `a += (1 − ρ)(g − a)`, and `v − a²` (at least 0) in place
    /// of `v` in `s`. With momentum `u`: `b = u · b + s`, `p −= b`. State: `velocity`, `momentum` where it is not 0, `average` where
    /// centered. Sources: T. Tieleman, G. Hinton, Coursera lecture 6.5, 2012; A. Graves, arXiv 1308.0850, 2013 (centered);
    /// `keras.optimizers.RMSprop`.
    RmsProp {
        /// How much of the averages is kept, in [0, 1).
        #[serde(with = "exact")]
        rho: f64,
        /// How much of the last step is kept, in [0, 1].
        #[serde(with = "exact")]
        momentum: f64,
        /// What is added below the root; positive.
        #[serde(with = "exact")]
        epsilon: f64,
        /// Divides by the gradients' standard deviation in place of their root mean square.
        centered: bool,
    },
    /// `a += g²`, `p −= lr · g / √(a + ε)`. State: `accumulator`, which begins at `initial`. Sources: J. Duchi et al., JMLR 12, 2011;
    /// `keras.optimizers.Adagrad`.
    Adagrad {
        /// Where the sum of squares begins; not negative.
        #[serde(with = "exact")]
        initial: f64,
        /// What is added below the root; positive.
        #[serde(with = "exact")]
        epsilon: f64,
    },
}

impl Rule {
    /// The rule's name: `adam`.
    pub fn name(&self) -> &'static str {
        match self {
            Rule::Sgd { .. } => "sgd",
            Rule::Adam { .. } => "adam",
            Rule::Nadam { .. } => "nadam",
            Rule::RmsProp { .. } => "rmsprop",
            Rule::Adagrad { .. } => "adagrad",
        }
    }

    /// What the rule remembers of every parameter, with the number that it begins at, in the order in which [`Update`](super::Update)
    /// takes it.
    pub fn states(&self) -> Vec<(&'static str, f32)> {
        match *self {
            Rule::Sgd { momentum: 0.0, .. } => vec![],
            Rule::Sgd { .. } => vec![("velocity", 0.0)],
            Rule::Adam { amsgrad: true, .. } => vec![("m", 0.0), ("v", 0.0), ("v_hat", 0.0)],
            Rule::Adam { .. } | Rule::Nadam { .. } => vec![("m", 0.0), ("v", 0.0)],
            Rule::RmsProp { momentum, centered, .. } => {
                let all = [("velocity", true), ("momentum", momentum != 0.0), ("average", centered)];
                all.iter().filter(|(_, there)| *there).map(|(name, _)| (*name, 0.0)).collect()
            }
            Rule::Adagrad { initial, .. } => vec![("accumulator", initial as f32)],
        }
    }

    /// Refuses numbers that make no sense, in the name of `owner`.
    ///
    /// # Errors
    /// Where a share is not in its range, or ε is not a positive number within the range of `f32`.
    pub fn check(&self, owner: &str) -> Result<()> {
        let refuse = |what: &str, expected: &str, actual: f64| Err(Error::parameter(owner, what, expected, actual));
        let (shares, momentum, epsilon) = match *self {
            Rule::Sgd { momentum, .. } => ([("", 0.0); 2], momentum, None),
            Rule::Adam { beta1, beta2, epsilon, .. } | Rule::Nadam { beta1, beta2, epsilon } => {
                ([("beta1", beta1), ("beta2", beta2)], 0.0, Some(epsilon))
            }
            Rule::RmsProp { rho, momentum, epsilon, .. } => ([("rho", rho), ("", 0.0)], momentum, Some(epsilon)),
            Rule::Adagrad { initial, epsilon } => {
                if !(initial as f32).is_finite() || initial < 0.0 {
                    return refuse("initial accumulator", "a number not below 0", initial);
                }
                ([("", 0.0); 2], 0.0, Some(epsilon))
            }
        };
        if let Some((what, share)) = shares.iter().find(|(_, share)| !(0.0..1.0).contains(share)) {
            return refuse(what, "in [0, 1)", *share);
        }
        if !(0.0..=1.0).contains(&momentum) {
            return refuse("momentum", "in [0, 1]", momentum);
        }
        if let Some(epsilon) = epsilon.filter(|e| !(*e as f32).is_normal() || *e < 0.0) {
            return refuse("epsilon", "a positive number within the range of f32", epsilon);
        }
        Ok(())
    }
}

/// How many products Nadam's kernel is given: `0.96⁵¹¹` is below what an `f32` near 1 can show.
pub(super) const PRODUCTS: usize = 512;

/// `(1 − ½ · 0.96¹) ⋯ (1 − ½ · 0.96ᵗ)` for t = 0, 1, ..: what Nadam's `Uₜ` is beside `β₁ᵗ`.
pub(super) fn products() -> impl Iterator<Item = f64> {
    (0..PRODUCTS as i32).scan(1.0, |product, t| {
        *product *= if t == 0 { 1.0 } else { 1.0 - 0.5 * 0.96f64.powi(t) };
        Some(*product)
    })
}
