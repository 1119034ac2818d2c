use super::form::{Form, Taken, form_methods};
use super::targets::like;
use super::{Judgement, Loss};
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::nn::Ending;
use crate::shape::{Shape, resolve_axis};

/// `Σ t ln(t / p)` along an axis: how much the distribution `p` misses of `t`. Both are clipped to `[1e-7, 1]`, as in Keras. One value per
/// sample, in the predictions' shape without the axis. Source: S. Kullback, R. Leibler, "On information and sufficiency", Annals of
/// Mathematical Statistics 22 (1951).
///
/// Targets are `f32` in the predictions' shape. Predictions are probabilities where the network ends in softmax, and
/// logits where it ends without an activation: see [`Form`].
#[derive(Clone, Debug)]
pub struct KullbackLeibler {
    axis: isize,
    form: Form,
}

impl Default for KullbackLeibler {
    fn default() -> Self {
        KullbackLeibler { axis: -1, form: Form::Auto }
    }
}

impl KullbackLeibler {
    /// Of probabilities or logits, as the network's end says, along the last axis.
    pub fn new() -> Self {
        Self::default()
    }

    form_methods!("softmax");

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

    fn takes(&self, y: &Var) -> Result<Taken> {
        self.form.taken(self.name(), y, self.judgement(&y.shape()))
    }

    fn judgement(&self, _shape: &Shape) -> Judgement {
        Judgement::classes(self.axis)
    }

    fn values(&self, y: &Var, targets: &Var) -> Result<Var> {
        let axis = resolve_axis("kl_divergence", self.axis, y.shape().len())? as isize;
        let t = like("kl_divergence", y, targets)?.clip(1e-7, 1.0)?;
        let from_logits = self.takes(y)?.is_logits();
        let log_p = if from_logits { y.log_softmax(axis)? } else { y.clip(1e-7, 1.0)?.log()? };
        t.mul(&t.log()?.sub(&log_p)?)?.sum(&[axis], false)
    }
}

/// `y − t ln(y + 1e-7)`, element by element: counts `t` of mean `y`, as in Keras. With [`log_input`](Self::log_input) the predictions are
/// `ln y`, and the loss is `eʸ − t y`; a network that ends in exp, softplus or ReLU, which gives no logarithms below 0, is an error then.
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

    fn takes(&self, y: &Var) -> Result<Taken> {
        match Ending::of(y) {
            ending @ (Ending::NotNegative(_) | Ending::Sigmoid | Ending::Softmax { .. }) if self.log_input => {
                let reason = format!(
                    "it takes logarithms of means, which may be below 0 (the network ends in {ending}): end it without, or drop log_input()"
                );
                Err(Error::usage("poisson", reason))
            }
            _ => Ok(Taken::VALUES),
        }
    }

    fn values(&self, y: &Var, targets: &Var) -> Result<Var> {
        self.takes(y)?;
        let t = like("poisson", y, targets)?;
        if self.log_input { y.exp()?.sub(&t.mul(y)?) } else { y.sub(&t.mul(&y.shift(1e-7)?.log()?)?) }
    }
}
