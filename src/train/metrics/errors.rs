//! Metrics of values: how far outputs lie from them.

use super::judged::{Judged, Measure};
use super::share;
use crate::error::Result;
use crate::graph::Var;
use crate::shape::Shape;

/// The mean over all elements of a function of the error `y − t`.
pub(super) struct MeanError {
    pub(super) of: fn(&Var) -> Result<Var>,
}

impl Measure for MeanError {
    fn columns(&self) -> usize {
        1
    }

    fn sums(&self, batch: &Judged) -> Result<Vec<Var>> {
        let error = batch.y.sub(&batch.numbers()?)?;
        let decisions = batch.decisions() as f32;
        let Some(mask) = &batch.mask else {
            return Ok(vec![(self.of)(&error)?.mean_all()?.scale(decisions)?]);
        };
        let zero = batch.y.graph().fill(Shape::default(), 0.0)?;
        let mask = match batch.axis {
            Some(axis) => {
                let mut kept = batch.y.shape().to_vec();
                kept[axis] = 1;
                mask.reshape(kept)?
            }
            None => mask.clone(),
        };
        // A decision between classes has as many errors as there are classes.
        let each = decisions / batch.y.shape().elements() as f32;
        Ok(vec![(self.of)(&mask.select(&error, &zero)?)?.sum_all()?.scale(each)?])
    }

    fn value(&self, sums: &[f64], decisions: f64) -> f64 {
        share(sums[0], decisions, 0.0)
    }
}
