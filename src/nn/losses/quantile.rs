use super::targets::like;
use super::{Judgement, Loss};
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::shape::Shape;

/// The pinball loss `max(τ e, (τ − 1) e)` with `e = t − y`: it is smallest where `y` is the τ-quantile of `t`, so that two of them give
/// a range that the truth lies in with known probability. Source: R. Koenker, G. Bassett, "Regression quantiles", Econometrica 46 (1978).
///
/// With one quantile targets have the predictions' shape. With several, predictions are `[batch, .., quantiles]` and targets `[batch, ..]`
/// (or `[batch, .., 1]`); each quantile is compared with the same target.
#[derive(Clone, Debug)]
pub struct Quantile {
    quantiles: Vec<f32>,
}

impl Quantile {
    /// One quantile, between 0 and 1: 0.5 is the median.
    pub fn new(quantile: f32) -> Self {
        Quantile { quantiles: vec![quantile] }
    }

    /// Several quantiles, in the order of the predictions' last axis.
    pub fn many(quantiles: impl Into<Vec<f32>>) -> Self {
        Quantile { quantiles: quantiles.into() }
    }
}

impl Loss for Quantile {
    fn name(&self) -> &'static str {
        "quantile"
    }

    fn values(&self, y: &Var, targets: &Var) -> Result<Var> {
        if self.quantiles.is_empty() {
            return Err(Error::parameter("quantile", "quantiles", "at least one", "none"));
        }
        if let Some(bad) = self.quantiles.iter().find(|q| !(**q > 0.0 && **q < 1.0)) {
            return Err(Error::parameter("quantile", "quantiles", "between 0 and 1", bad));
        }
        if let [quantile] = self.quantiles[..] {
            let e = like("quantile", y, targets)?.sub(y)?;
            return e.scale(quantile)?.add(&e.neg()?.relu()?);
        }
        let (shape, n) = (y.shape(), self.quantiles.len());
        if shape.last() != Some(&n) || shape.len() < 2 {
            return Err(Error::shape("quantile", format!("predictions [batch, .., {n}]"), shape.to_string()));
        }
        let e = column(y, targets)?.sub(y)?;
        e.mul(&y.graph().constant([n], self.quantiles.clone())?)?.add(&e.neg()?.relu()?)
    }

    fn judgement(&self, _shape: &Shape) -> Judgement {
        Judgement::elements(false)
    }

    fn labels(&self, y: &Var, targets: &Var) -> Result<Var> {
        match self.quantiles.len() {
            1 => like("quantile", y, targets),
            _ => column(y, targets)?.broadcast_to(y.shape()),
        }
    }
}

/// Targets `[batch, ..]` as `[batch, .., 1]`, for predictions `[batch, .., quantiles]`.
fn column(y: &Var, targets: &Var) -> Result<Var> {
    let shape = y.shape();
    let mut column = shape.to_vec();
    column[shape.len() - 1] = 1;
    let rest = shape.without(shape.len() - 1);
    let targets = if targets.shape() == rest { targets.reshape(column.clone())? } else { targets.clone() };
    if *targets.shape() != *column || targets.dtype() != y.dtype() {
        return Err(Error::shape("quantile", format!("targets f32{rest}"), targets.spec().to_string()));
    }
    Ok(targets)
}
