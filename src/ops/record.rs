//! A number per step, kept on the device until the host asks: losses and sums of metrics.

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use super::{arity, expect_dtype};
use crate::contract::clock::{FAULT, STEP, expect_clock, expect_schedule, step_of_epoch};
use crate::contract::{CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, stem};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Var};
use crate::shape::{DType, TensorSpec};

/// `ring[(k mod rows) · columns + column] = bits of value`, in place, for step `k` of the epoch. Inputs: the ring, u32 with
/// `rows · columns` elements, the clock, the schedule, and `value`, one element, f32 or u32. No output.
///
/// The step in which something was not finite is recorded too; nothing is after it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Which column of the ring.
    pub column: usize,
    /// How many columns the ring has.
    pub columns: usize,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    column: u32,
    columns: u32,
    rows: u32,
    steps: u32,
}

impl OpDef for Record {
    stem!("record");

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [ring, clock, schedule, value] = arity("record", inputs)?;
        if self.column >= self.columns {
            return Err(Error::parameter("record", "column", format!("below {}", self.columns), self.column));
        }
        expect_dtype("record", ring, DType::U32)?;
        if !ring.shape.elements().is_multiple_of(self.columns) {
            return Err(Error::shape("record", format!("a ring with rows of {}", self.columns), ring.to_string()));
        }
        expect_clock("record", clock)?;
        expect_schedule("record", schedule)?;
        if value.dtype == DType::U8 {
            return Err(Error::dtype("record", "f32 or u32", value.to_string()));
        }
        if value.shape.elements() != 1 {
            return Err(Error::shape("record", "a value with one element", value.to_string()));
        }
        Ok(vec![])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let params = Params {
            column: self.column as u32,
            columns: self.columns as u32,
            rows: (io.inputs[0].shape.elements() / self.columns) as u32,
            steps: (io.inputs[2].shape.elements() - 1) as u32,
        };
        Launch::new(Kernel::of::<Self>("record"), &params, [1, 1, 1]).bind_in_place(io, self.writes()).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let bits = match call.io.inputs[3].dtype {
            DType::F32 => (call.x[3].f()[0].f64() as f32).to_bits(),
            _ => call.x[3].u()[0],
        };
        let clock = call.x[1].u();
        if clock[FAULT] != 0 && clock[FAULT] != clock[STEP].wrapping_add(1) {
            return;
        }
        let k = step_of_epoch(clock, call.x[2].u());
        let ring = call.x[0].u_mut();
        ring[k % (ring.len() / self.columns) * self.columns + self.column] = bits;
    }

    fn gradient(&self, _ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok(vec![Grad::NotDifferentiable; 4])
    }

    fn writes(&self) -> &'static [usize] {
        &[0]
    }
}

impl Var {
    /// Writes this number (one element, f32 or u32) into `column` of the ring's row that belongs to the step. The ring is u32
    /// state of `rows · columns` elements; floats are there as their bits.
    ///
    /// # Errors
    /// Where there is no such column, the ring is no whole number of rows, or this tensor is not one number.
    pub fn record(&self, ring: &Var, column: usize, columns: usize, clock: &Var, schedule: &Var) -> Result<()> {
        self.graph.push(Record { column, columns }, &[ring, clock, schedule, self]).map(drop)
    }
}
