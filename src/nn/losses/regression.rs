use super::{Loss, like};
use crate::error::Result;
use crate::graph::Var;

/// `(y − t)²`, element by element.
#[derive(Clone, Debug, Default)]
pub struct MeanSquaredError;

impl MeanSquaredError {
    /// The loss; it has no settings.
    pub fn new() -> Self {
        MeanSquaredError
    }
}

impl Loss for MeanSquaredError {
    fn name(&self) -> &'static str {
        "mse"
    }

    fn values(&self, y: &Var, targets: &Var) -> Result<Var> {
        y.sub(&like("mse", y, targets)?)?.square()
    }
}
