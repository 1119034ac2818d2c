//! How many samples are classified right: the sum behind the accuracy of an epoch.

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use super::argmax::larger;
use super::{arity, expect_dtype};
use crate::contract::{CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, View, stem};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Var};
use crate::shape::{DType, TensorSpec};

/// The number of rows whose predicted class is the target's, `u32` `[1]`.
///
/// Inputs: predictions `f32` `[.., c]` with the classes last; targets `u32` `[..]` or `f32` `[.., c]`. The class of a row is the
/// position of its first largest element; where `c` is 1 it is 1 above one half and 0 else. A NaN counts as the largest number.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CorrectCount;

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    rows: u32,
    c: u32,
}

impl OpDef for CorrectCount {
    stem!("accuracy");

    fn name(&self) -> &str {
        "correct_count"
    }

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [predictions, targets] = arity(self.name(), inputs)?;
        expect_dtype(self.name(), predictions, DType::F32)?;
        let Some((_, rows)) = predictions.shape.split_last() else {
            return Err(Error::shape(self.name(), "predictions with at least one dimension", predictions.to_string()));
        };
        let index = TensorSpec::u32(rows);
        if targets != predictions && *targets != index {
            return Err(Error::shape(self.name(), format!("targets {index} or {predictions}"), targets.to_string()));
        }
        Ok(vec![TensorSpec::u32([1])])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let Params { rows, c } = sizes(io);
        let kernel = Kernel::of::<Self>("accuracy")
            .define("INDEX", u32::from(io.inputs[1].dtype == DType::U32))
            .define("BINARY", u32::from(c == 1));
        Launch::new(kernel, &Params { rows, c }, [1, 1, 1]).bind_all(io).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let c = sizes(call.io).c as usize;
        let (half, targets) = (T::of(0.5), &call.x[1]);
        let class = |row: &[T]| match row {
            [one] => usize::from(larger(*one, half)),
            _ => (1..c).fold(0, |best, j| if larger(row[j], row[best]) { j } else { best }),
        };
        let right = |(row, x): &(usize, &[T])| match targets {
            View::U(ids) => class(x) == ids[*row] as usize,
            one_hot => class(x) == class(&one_hot.f()[row * c..][..c]),
        };
        let count = call.x[0].f().chunks_exact(c).enumerate().filter(right).count();
        call.y[0].u_mut()[0] = count as u32;
    }

    fn gradient(&self, _ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok(vec![Grad::NotDifferentiable; 2])
    }
}

fn sizes(io: &Io) -> Params {
    let shape = &io.inputs[0].shape;
    let c = shape[shape.len() - 1];
    Params { rows: (shape.elements() / c) as u32, c: c as u32 }
}

impl Var {
    /// How many rows of these predictions `[.., c]` are right, as `u32` `[1]`: those whose first largest element is where the
    /// target's is (targets `f32` `[.., c]`) or at the target (targets `u32` `[..]`). With `c = 1` the class is whether the number
    /// is above one half. Has no gradient.
    ///
    /// # Errors
    /// Where shapes or element types do not fit.
    pub fn correct_count(&self, targets: &Var) -> Result<Var> {
        self.graph.push1(CorrectCount, &[self, targets])
    }
}
