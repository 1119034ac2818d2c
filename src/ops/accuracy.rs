//! How many samples are classified right: the sum behind the accuracy of an epoch.

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use super::argmax::{Argmax, larger};
use super::reduce::sum_iterations;
use super::{arity, expect_dtype};
use crate::contract::{CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, Slot, View, fold, stem};
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
    /// Rows that a workgroup takes, and workgroups.
    part: u32,
    parts: u32,
}

/// Invocations of a workgroup.
const LANES: usize = 256;
/// Rows that an invocation looks at, one after another, where they have few classes.
const PER_LANE: usize = 16;
/// Classes up to which one invocation finds the class of a row alone.
const LONG: usize = 2048;

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

    fn gpu(&self, io: &Io, gpu: &GpuTraits) -> Launches {
        let (rows, c) = sizes(io);
        let mut launches = Launches::default();
        let index = io.inputs[1].dtype == DType::U32;
        let (mut predictions, mut targets) = (Slot::Input(0), Slot::Input(1));
        // The classes of long rows are found first, by as many invocations as that takes.
        let long = c > LONG;
        if long {
            let mut classes = |slot: Slot| {
                let io = Io { inputs: vec![TensorSpec::f32([rows, c])], outputs: vec![TensorSpec::u32([rows])] };
                let ids = launches.temp(TensorSpec::u32([rows]));
                launches.append(Argmax { axis: 1 }.gpu(&io, gpu), &[slot], &[ids]);
                ids
            };
            predictions = classes(predictions);
            targets = if index { targets } else { classes(targets) };
        }
        // Rows that an invocation looks at, and the loops of each.
        let per_lane = (LONG / c).clamp(1, PER_LANE).min(rows.div_ceil(LANES));
        let of_row = if long || c == 1 { 0 } else { c * (2 - usize::from(index)) };
        let parts = rows.div_ceil(LANES * per_lane);
        let kernel = |entry| {
            Kernel::of::<Self>(entry)
                .define("IDS", u32::from(long))
                .define("INDEX", u32::from(index || long))
                .define("BINARY", u32::from(c == 1))
        };
        let params = Params { rows: rows as u32, c: c as u32, part: (LANES * per_lane) as u32, parts: parts as u32 };
        let counts = if parts == 1 { Slot::Output(0) } else { launches.temp(TensorSpec::u32([parts])) };
        let count = Launch::new(kernel("accuracy").define("STAGE", "count"), &params, fold(parts));
        let tree = sum_iterations(0, LANES);
        let count = count.read(predictions).read(targets).write(counts);
        launches.list.push(count.iterations((per_lane * (1 + of_row)) as u64 + tree));
        if parts > 1 {
            let sum = Launch::new(kernel("accuracy_sum").define("STAGE", "sum"), &params, [1, 1, 1]);
            let sum = sum.read(counts).write(Slot::Output(0));
            launches.list.push(sum.iterations(sum_iterations(parts, LANES)));
        }
        launches
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let (_, c) = sizes(call.io);
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

/// Rows, and classes.
fn sizes(io: &Io) -> (usize, usize) {
    let shape = &io.inputs[0].shape;
    let c = shape[shape.len() - 1];
    (shape.elements() / c, c)
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
