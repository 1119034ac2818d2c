//! Exponential moving averages, in place: running statistics, and averages of weights.
//!
//! `a = k · a + (1 − k) · v` with one share `k` per block of 64 elements, so that one dispatch serves a whole arena whose slots
//! keep different shares. Shapes: `a`, `v` `[len]`, `k` `[len / 64]`. Sources: S. Ioffe, C. Szegedy, "Batch normalization", ICML 2015,
//! section 3.1; B. Polyak, A. Juditsky, "Acceleration of stochastic approximation by averaging", SIAM J. Control Optim. 30 (1992).

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use super::arity;
use crate::contract::clock::{FAULT, expect_clock};
use crate::contract::{CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, grid, parallel_chunks, stem};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, SLOT_ALIGN, Var};
use crate::shape::TensorSpec;

/// One step of the averages, in place, unless the clock shows a fault. Inputs: the averages (state, f32 `[len]`, a whole arena), the
/// values (f32 `[len]`), for each block of [`SLOT_ALIGN`] elements the bits of the `f32` share that is kept (u32 `[len / 64]`), the clock.
/// No output.
///
/// Where the share is exactly 1 the average keeps its bits, whatever the value is. The shares should be in 0..=1; nothing
/// checks them, because they lie on the device.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MovingAverage;

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    n4: u32,
}

impl OpDef for MovingAverage {
    stem!("moving_average");

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [average, value, keep, clock] = arity("moving_average", inputs)?;
        let len = average.shape.elements();
        if *average != TensorSpec::f32([len]) || !len.is_multiple_of(SLOT_ALIGN) || value != average {
            let expected = format!("twice f32[len], len a multiple of {SLOT_ALIGN}, whole arenas of the same layout");
            return Err(Error::shape("moving_average", expected, format!("{average}, {value}")));
        }
        let shares = TensorSpec::u32([len / SLOT_ALIGN]);
        if *keep != shares {
            return Err(Error::shape("moving_average", format!("kept shares {shares}"), keep.to_string()));
        }
        expect_clock("moving_average", clock)?;
        Ok(vec![])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let n4 = io.inputs[0].shape[0] / 4;
        let launch = Launch::new(Kernel::of::<Self>("moving_average"), &Params { n4: n4 as u32 }, grid(n4));
        launch.bind_in_place(io, self.writes()).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let [average, value, keep, clock] = &mut call.x[..] else {
            unreachable!("the shape rule lets four tensors pass")
        };
        if clock.u()[FAULT] != 0 {
            return;
        }
        let (value, keep) = (value.f(), keep.u());
        // Chunks are whole blocks.
        parallel_chunks(average.f_mut(), |start, average| {
            let blocks = average.chunks_mut(SLOT_ALIGN).zip(value[start..].chunks(SLOT_ALIGN));
            for ((average, value), keep) in blocks.zip(&keep[start / SLOT_ALIGN..]) {
                let kept = f32::from_bits(*keep);
                if kept == 1.0 {
                    continue;
                }
                let kept = T::of(f64::from(kept));
                average.iter_mut().zip(value).for_each(|(a, v)| *a = kept * *a + (T::one() - kept) * *v);
            }
        });
    }

    fn gradient(&self, _ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok(vec![Grad::NotDifferentiable; 4])
    }

    fn writes(&self) -> &'static [usize] {
        &[0]
    }
}

impl Var {
    /// Moves these averages (a whole arena, f32 `[len]`) towards `value` (`[len]`): `keep · average + (1 − keep) · value`, unless the
    /// clock shows a fault. `keep` (u32 `[len / 64]`) holds the bits of an `f32` for every 64 elements; where it is 1 nothing changes.
    ///
    /// # Errors
    /// Where this is not state, is no whole arena, or shapes or element types do not fit.
    pub fn moving_average(&self, value: &Var, keep: &Var, clock: &Var) -> Result<()> {
        self.graph.push(MovingAverage, &[self, value, keep, clock]).map(drop)
    }
}
