use crate::error::Result;
use crate::graph::Var;

/// What is counted on the device while a model trains or is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// The share of samples whose largest output is the target's class.
    Accuracy,
}

impl Metric {
    /// Its name, as it stands in logs.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Accuracy => "accuracy",
        }
    }

    /// Pushes the node that counts a batch's hits: `u32[1]`.
    ///
    /// # Errors
    /// Where predictions and targets do not fit each other.
    pub(super) fn build(self, y: &Var, targets: &Var) -> Result<Var> {
        match self {
            Metric::Accuracy => y.correct_count(targets),
        }
    }
}
