use super::targets::like;
use super::{Judgement, Loss};
use crate::error::Result;
use crate::graph::Var;
use crate::shape::{Shape, resolve_axis};

/// `Σ t ln(t / p)` along an axis: how much the distribution `p` misses of `t`. Both are clipped to `[1e-7, 1]`, as in Keras. One value per
/// sample, in the predictions' shape without the axis. Source: S. Kullback, R. Leibler, "On information and sufficiency", Annals of
/// Mathematical Statistics 22 (1951).
///
/// Targets are `f32` in the predictions' shape. Predictions are probabilities, or logits with [`from_logits`](Self::from_logits).
#[derive(Clone, Debug)]
pub struct KullbackLeibler {
    axis: isize,
    from_logits: bool,
}

impl Default for KullbackLeibler {
    fn default() -> Self {
        KullbackLeibler { axis: -1, from_logits: false }
    }
}

impl KullbackLeibler {
    /// Of probabilities, along the last axis.
    pub fn new() -> Self {
        Self::default()
    }

    /// Of logits: the network ends without softmax.
    #[must_use]
    pub fn from_logits(self) -> Self {
        KullbackLeibler { from_logits: true, ..self }
    }

    /// The axis along which probabilities sum to 1; it counts from the end where it is negative.
    #[must_use]
    pub fn axis(self, axis: isize) -> Self {
        KullbackLeibler { axis, ..self }
    }
}

impl Loss for KullbackLeibler {
    fn name(&self) -> &'static str {
        "kl_divergence"
    }

    fn judgement(&self, _shape: &Shape) -> Judgement {
        Judgement::classes(self.axis)
    }

    fn values(&self, y: &Var, targets: &Var) -> Result<Var> {
        let axis = resolve_axis("kl_divergence", self.axis, y.shape().len())? as isize;
        let t = like("kl_divergence", y, targets)?.clip(1e-7, 1.0)?;
        let log_p = if self.from_logits { y.log_softmax(axis)? } else { y.clip(1e-7, 1.0)?.log()? };
        t.mul(&t.log()?.sub(&log_p)?)?.sum(&[axis], false)
    }
}

/// `y − t ln(y + 1e-7)`, element by element: counts `t` of mean `y`, as in Keras. With [`log_input`](Self::log_input) the predictions are
/// `ln y`, and the loss is `eʸ − t y`.
///
/// Targets are `f32` in the predictions' shape; one value per sample may come as `[n]` or as `[n, 1]`.
#[derive(Clone, Debug, Default)]
pub struct Poisson {
    log_input: bool,
}

impl Poisson {
    /// Of means, which must not be below 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// Of the logarithms of means.
    #[must_use]
    pub fn log_input(self) -> Self {
        Poisson { log_input: true }
    }
}

impl Loss for Poisson {
    fn name(&self) -> &'static str {
        "poisson"
    }

    fn values(&self, y: &Var, targets: &Var) -> Result<Var> {
        let t = like("poisson", y, targets)?;
        if self.log_input { y.exp()?.sub(&t.mul(y)?) } else { y.sub(&t.mul(&y.shift(1e-7)?.log()?)?) }
    }
}
