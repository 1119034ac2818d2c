use super::Loss;
use super::targets::like;
use crate::error::Result;
use crate::graph::Var;
use crate::shape::resolve_axis;

/// The cosine of the angle between prediction and target along an axis, negative: −1 where they point the same way. Squared lengths
/// below 1e-12 count as that, as in Keras. One value per sample, in the predictions' shape without the axis.
///
/// Targets are `f32` in the predictions' shape.
#[derive(Clone, Debug)]
pub struct CosineSimilarity {
    axis: isize,
}

impl Default for CosineSimilarity {
    fn default() -> Self {
        CosineSimilarity { axis: -1 }
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
        CosineSimilarity { axis }
    }
}

impl Loss for CosineSimilarity {
    fn name(&self) -> &'static str {
        "cosine_similarity"
    }

    fn values(&self, y: &Var, targets: &Var) -> Result<Var> {
        let t = &like("cosine_similarity", y, targets)?;
        let axis = resolve_axis("cosine_similarity", self.axis, y.shape().len())? as isize;
        // In units of the largest element no square overflows or vanishes. Below 2e-6 that is the unit: a length of 1e-6 has the square
        // ¼ then, and where it is larger the sum of squares is at least 1.
        let scaled = |x: &Var| x.div(&x.abs()?.max(&[axis], true)?.clip(2e-6, f32::MAX)?);
        let per_length = |x: &Var| x.square()?.sum(&[axis], false)?.clip(0.25, f32::MAX)?.rsqrt();
        let (y, t) = (&scaled(y)?, &scaled(t)?);
        y.mul(t)?.sum(&[axis], false)?.mul(&per_length(y)?)?.mul(&per_length(t)?)?.neg()
    }
}
