//! The position of the largest element along one axis.

use serde::{Deserialize, Serialize};

use super::softmax::{BLOCK, Columns, expect_axis};
use super::{arity, expect_dtype};
use crate::contract::{CpuCall, GpuTraits, Io, Kernel, Launches, OpDef, Real, Slot, stem};
use crate::error::Result;
use crate::graph::{Grad, GradientCtx, Var};
use crate::shape::{DType, TensorSpec, resolve_axis};

/// `y = min { j : x[j] = max x }` along `axis`, which vanishes: floats in, `u32` out. A NaN counts as the largest number, as in
/// NumPy.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Argmax {
    /// The axis.
    pub axis: usize,
}

/// Whether `a` is larger than `b` where NaN is the largest number.
pub(crate) fn larger<T: Real>(a: T, b: T) -> bool {
    a > b || (a.is_nan() && !b.is_nan())
}

impl OpDef for Argmax {
    stem!("argmax");

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [x] = arity("argmax", inputs)?;
        expect_dtype("argmax", x, DType::F32)?;
        expect_axis("argmax", self.axis, x)?;
        Ok(vec![TensorSpec::u32(x.shape.without(self.axis))])
    }

    fn gpu(&self, io: &Io, gpu: &GpuTraits) -> Launches {
        let columns = Columns::new(&io.inputs[0].shape, self.axis);
        if !columns.are_long() {
            return columns.launch(Kernel::of::<Self>("argmax"), io, gpu, [1, 1]);
        }
        let mut launches = Launches::default();
        let best = launches.temp(TensorSpec { dtype: DType::U32, ..columns.of_parts(2) });
        let parts = columns.over_parts(Kernel::of::<Self>("argmax_parts"), "parts", &columns.params(), [1, 1]);
        let merge = columns.over_merged(Kernel::of::<Self>("argmax_merge"), [1, 1]);
        launches.list.push(parts.read(Slot::Input(0)).write(best));
        launches.list.push(merge.read(best).write(Slot::Output(0)));
        launches
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let columns = Columns::new(&call.io.inputs[0].shape, self.axis);
        let x = call.x[0].f();
        columns.each(call.y[0].u_mut(), |first, y| {
            let mut best = [T::zero(); BLOCK];
            let best = &mut best[..y.len()];
            best.copy_from_slice(&x[first..][..y.len()]);
            y.fill(0);
            for j in 1..columns.c {
                for ((y, best), x) in y.iter_mut().zip(&mut *best).zip(&x[first + j * columns.inner..]) {
                    if larger(*x, *best) {
                        (*y, *best) = (j as u32, *x);
                    }
                }
            }
        });
    }

    fn gradient(&self, _ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok(vec![Grad::NotDifferentiable])
    }
}

impl Var {
    /// The position of the first largest element along `axis` (a negative one counts from the end), which vanishes from the shape.
    /// A NaN counts as the largest number. Has no gradient.
    ///
    /// # Errors
    /// Where there is no such axis or the elements are not floats.
    pub fn argmax(&self, axis: isize) -> Result<Var> {
        let axis = resolve_axis("argmax", axis, self.shape().len())?;
        self.graph.push1(Argmax { axis }, &[self])
    }
}
