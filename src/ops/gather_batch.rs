//! The rows of the data that make up the step's batch.

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use super::{arity, expect_dtype};
use crate::contract::clock::{expect_clock, expect_schedule, step_of_epoch};
use crate::contract::exact;
use crate::contract::{CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, grid, parallel_rows, stem};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Var};
use crate::shape::{DType, TensorSpec};

/// `y[i] = data[order[k · full_batch + i]]` for step `k` of the epoch. Inputs: data `[rows, ..]`, the clock, the schedule, and the
/// order of the epoch's samples, u32 `[samples]`; output `[batch, ..]`.
///
/// Bytes and floats become floats, `x · scale + shift`; u32 stays u32. What lies beyond the end of the order or of the data is
/// read at the end.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatherBatch {
    /// Rows of this batch.
    pub batch: usize,
    /// Rows of the batches before it: only an epoch's last batch is smaller.
    pub full_batch: usize,
    /// The factor; 1 for u32.
    #[serde(with = "exact")]
    pub scale: f32,
    /// What is added; 0 for u32.
    #[serde(with = "exact")]
    pub shift: f32,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    n: u32,
    row_len: u32,
    full_batch: u32,
    order_len: u32,
    rows: u32,
    steps: u32,
    scale: f32,
    shift: f32,
}

impl GatherBatch {
    fn affine(&self) -> bool {
        (self.scale, self.shift) != (1.0, 0.0)
    }
}

impl OpDef for GatherBatch {
    stem!("gather_batch");

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let op = "gather_batch";
        let [data, clock, schedule, order] = arity(op, inputs)?;
        if data.shape.is_empty() || u32::try_from(data.shape.elements()).is_err() {
            return Err(Error::shape(op, "data [rows, ..] of less than 2³² elements", data.to_string()));
        }
        expect_clock(op, clock)?;
        expect_schedule(op, schedule)?;
        expect_dtype(op, order, DType::U32)?;
        if order.shape.len() != 1 {
            return Err(Error::shape(op, "an order u32[samples]", order.to_string()));
        }
        if self.batch == 0 || self.batch > self.full_batch || self.batch > order.shape[0] {
            let expected = format!("in 1..={} (the full batch, the samples)", self.full_batch.min(order.shape[0]));
            return Err(Error::parameter(op, "batch", expected, self.batch));
        }
        if !self.scale.is_finite() || !self.shift.is_finite() {
            return Err(Error::parameter(op, "scale and shift", "finite", format!("{}, {}", self.scale, self.shift)));
        }
        if data.dtype == DType::U32 && self.affine() {
            let actual = format!("{}, {}", self.scale, self.shift);
            return Err(Error::parameter(op, "scale and shift", "1 and 0 for u32 data", actual));
        }
        let mut shape = data.shape.to_vec();
        shape[0] = self.batch;
        let dtype = if data.dtype == DType::U32 { DType::U32 } else { DType::F32 };
        Ok(vec![TensorSpec::new(shape, dtype)])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let (data, n) = (&io.inputs[0], io.outputs[0].shape.elements());
        let params = Params {
            n: n as u32,
            row_len: (n / self.batch) as u32,
            full_batch: self.full_batch as u32,
            order_len: io.inputs[3].shape[0] as u32,
            rows: data.shape[0] as u32,
            steps: (io.inputs[2].shape.elements() - 1) as u32,
            scale: self.scale,
            shift: self.shift,
        };
        let kernel = Kernel::of::<Self>("gather_batch")
            .define("BYTES", u32::from(data.dtype == DType::U8))
            .define("AFFINE", u32::from(data.dtype == DType::U8 || self.affine()));
        Launch::new(kernel, &params, grid(n)).bind_all(io).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let data = &call.io.inputs[0];
        let (rows, row_len) = (data.shape[0], data.shape[1..].iter().product::<usize>());
        let order = call.x[3].u();
        let start = step_of_epoch(call.x[1].u(), call.x[2].u()) * self.full_batch;
        let from = |i: usize| (order[(start + i).min(order.len() - 1)] as usize).min(rows - 1) * row_len;
        let (scale, shift) = (T::of(f64::from(self.scale)), T::of(f64::from(self.shift)));
        match data.dtype {
            DType::U32 => {
                let x = call.x[0].u();
                parallel_rows(call.y[0].u_mut(), row_len, |i, y| y.copy_from_slice(&x[from(i)..][..row_len]));
            }
            DType::F32 => {
                let x = call.x[0].f();
                parallel_rows(call.y[0].f_mut(), row_len, |i, y| {
                    let x = &x[from(i)..][..row_len];
                    if self.affine() {
                        y.iter_mut().zip(x).for_each(|(y, x)| *y = *x * scale + shift);
                    } else {
                        y.copy_from_slice(x);
                    }
                });
            }
            DType::U8 => {
                let x = call.x[0].b();
                parallel_rows(call.y[0].f_mut(), row_len, |i, y| {
                    let x = &x[from(i)..][..row_len];
                    y.iter_mut().zip(x).for_each(|(y, x)| *y = T::of(f64::from(*x)) * scale + shift);
                });
            }
        }
    }

    fn gradient(&self, _ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok(vec![Grad::NotDifferentiable; 4])
    }
}

impl Var {
    /// The step's batch, `[batch, ..]`, out of this data, `[rows, ..]`: see [`GatherBatch`]. It has no gradient.
    ///
    /// # Errors
    /// Where the batch is larger than a full one or than the order, or u32 data is to be scaled.
    pub fn gather_batch(&self, op: GatherBatch, clock: &Var, schedule: &Var, order: &Var) -> Result<Var> {
        self.graph.push1(op, &[self, clock, schedule, order])
    }
}
