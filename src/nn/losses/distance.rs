use super::targets::{like, present};
use super::{Judgement, Loss};
use crate::error::Result;
use crate::graph::Var;
use crate::shape::{Shape, resolve_axis};

/// The cosine of the angle between prediction and target along an axis, negative: −1 where they point the same way. Squared lengths
/// below 1e-12 count as that, as in Keras. One value per sample, in the predictions' shape without the axis.
///
/// Targets are `f32` in the predictions' shape.
#[derive(Clone, Debug)]
pub struct CosineSimilarity {
    axis: isize,
    missing: Option<f32>,
}

impl Default for CosineSimilarity {
    fn default() -> Self {
        CosineSimilarity { axis: -1, missing: None }
    }
}

impl CosineSimilarity {
    /// Along the last axis.
    pub fn new() -> Self {
        Self::default()
    }

    /// The axis of the vectors; it counts from the end where it is negative.
    #[must_use]
    pub fn axis(self, axis: isize) -> Self {
        CosineSimilarity { axis, ..self }
    }

    /// Targets of this value (NaN, say) are missing: the cosine is that of the other elements. A sample without any counts for nothing.
    #[must_use]
    pub fn missing(self, marker: f32) -> Self {
        CosineSimilarity { missing: Some(marker), ..self }
    }
}

impl Loss for CosineSimilarity {
    fn name(&self) -> &'static str {
        "cosine_similarity"
    }

    fn judgement(&self, shape: &Shape) -> Judgement {
        // Targets are missing one by one, so they are judged one by one.
        if self.missing.is_none() && shape.len() == 2 { Judgement::classes(-1) } else { Judgement::elements(false) }
    }

    fn mask(&self, y: &Var, targets: &Var) -> Result<Option<Var>> {
        let marker = self.missing.map(|marker| present(&like(self.name(), y, targets)?, marker));
        marker.transpose()
    }

    fn counts(&self, y: &Var, targets: &Var) -> Result<Option<Var>> {
        let axis = resolve_axis(self.name(), self.axis, y.shape().len())? as isize;
        self.mask(y, targets)?.map(|mask| mask.max(&[axis], false)).transpose()
    }

    fn values(&self, y: &Var, targets: &Var) -> Result<Var> {
        let (mut y, mut t) = (y.clone(), like("cosine_similarity", y, targets)?);
        if let Some(mask) = self.mask(&y, targets)? {
            let zero = y.graph().fill(Shape::default(), 0.0)?;
            (y, t) = (mask.select(&y, &zero)?, mask.select(&t, &zero)?);
        }
        let (y, t) = (&y, &t);
        let axis = resolve_axis("cosine_similarity", self.axis, y.shape().len())? as isize;
        // In units of the largest element no square overflows or vanishes. Below 2e-6 that is the unit: a length of 1e-6 has the square
        // ¼ then, and where it is larger the sum of squares is at least 1.
        let scaled = |x: &Var| x.div(&x.abs()?.max(&[axis], true)?.clip(2e-6, f32::MAX)?);
        let per_length = |x: &Var| x.square()?.sum(&[axis], false)?.clip(0.25, f32::MAX)?.rsqrt();
        let (y, t) = (&scaled(y)?, &scaled(t)?);
        y.mul(t)?.sum(&[axis], false)?.mul(&per_length(y)?)?.mul(&per_length(t)?)?.neg()
    }
}
