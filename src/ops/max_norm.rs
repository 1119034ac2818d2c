//! A largest norm for the weights of every unit, kept after each update.
//!
//! `w *= min(‖w‖, limit) / (1e-7 + ‖w‖)` for the vector `w` of every unit, in place in the arena of all parameters. Sources: N.
//! Srivastava et al., "Dropout", JMLR 15, 2014, section 5.1; Keras 3, `keras.constraints.MaxNorm`.

use std::ops::Range;

use bytemuck::{Pod, Zeroable};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::arity;
use super::reduce::sum_iterations;
use crate::contract::blocks::expect_arenas;
use crate::contract::clock::{expect_clock, update_of};
use crate::contract::{CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, Slot, fold, stem};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Var};
use crate::microkernel::sums::{RUN, pairwise};
use crate::shape::TensorSpec;

/// Limits norms, in place, in steps that make an update. Inputs: the parameters (f32 `[len]`, a whole arena), a table of units
/// (u32, see [`table`]), and the clock. No output.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaxNorm {
    /// Every so many steps make an update; at least 1.
    pub every: u32,
    /// Elements of the longest unit in the table: see [`longest`].
    pub longest: usize,
}

/// Units that lie at equal distances: those of a parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Units {
    /// The first element of the first unit.
    pub offset: usize,
    /// How many units there are.
    pub units: usize,
    /// From a unit to the next.
    pub unit_stride: usize,
    /// How many elements a unit has.
    pub elements: usize,
    /// From an element of a unit to the next.
    pub element_stride: usize,
    /// The largest norm; positive.
    pub limit: f32,
}

/// Units of a row of the table; a workgroup takes a row.
const PER_ROW: usize = 16;
/// Words of a row: offset, units, unit stride, elements, element stride, limit.
const ROW: usize = 6;
/// Keras's ε.
const EPSILON: f64 = 1e-7;
/// Invocations that share a unit.
const LANES: usize = 16;
/// Elements of a unit up to which a workgroup takes it whole.
const WHOLE: usize = 1 << 14;
/// Elements that a workgroup takes of a longer unit.
const PART: usize = 1 << 13;

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    n: u32,
    rows: u32,
    every: u32,
    epsilon: f32,
    /// Elements of a part of a unit, and parts.
    part: u32,
    parts: u32,
}

/// The table of units for [`MaxNorm`], for an arena of `len` elements.
///
/// # Errors
/// Where there are no units, some lie outside of the arena, or a limit is not a positive number.
pub fn table(len: usize, parameters: &[Units]) -> Result<Vec<u32>> {
    let mut words = Vec::new();
    for p in parameters {
        if !p.limit.is_finite() || p.limit <= 0.0 {
            return Err(Error::parameter("max_norm", "limit", "a positive number", p.limit));
        }
        let last = |count: usize, stride: usize| count.checked_sub(1).and_then(|n| n.checked_mul(stride));
        let end = last(p.units, p.unit_stride).zip(last(p.elements, p.element_stride));
        let end = end.and_then(|(a, b)| a.checked_add(b)?.checked_add(p.offset));
        if end.is_none_or(|end| end >= len || u32::try_from(end).is_err()) {
            return Err(Error::parameter("max_norm", "units", format!("within an arena of {len}"), format!("{p:?}")));
        }
        for first in (0..p.units).step_by(PER_ROW) {
            let (offset, units) = (p.offset + first * p.unit_stride, PER_ROW.min(p.units - first));
            let row = [offset, units, p.unit_stride, p.elements, p.element_stride];
            words.extend(row.map(|word| word as u32));
            words.push(p.limit.to_bits());
        }
    }
    if words.is_empty() {
        return Err(Error::usage("max_norm", "there are no units"));
    }
    Ok(words)
}

/// Elements of the longest unit in a [table].
pub fn longest(table: &[u32]) -> usize {
    table.chunks_exact(ROW).map(|row| row[3] as usize).max().unwrap_or(0)
}

/// A row of the table as the twin reads it.
struct Row {
    offset: usize,
    units: usize,
    unit_stride: usize,
    elements: usize,
    element_stride: usize,
    limit: f32,
}

impl Row {
    fn of(words: &[u32]) -> Row {
        let at = |i: usize| words[i] as usize;
        let limit = f32::from_bits(words[5]);
        let units = at(1).min(PER_ROW);
        Row { offset: at(0), units, unit_stride: at(2), elements: at(3), element_stride: at(4), limit }
    }

    /// Where an element of a unit lies.
    fn index(&self, unit: usize, element: usize) -> usize {
        self.offset + unit * self.unit_stride + element * self.element_stride
    }

    /// What each unit is to be multiplied by.
    fn factors<T: Real>(&self, w: &[T], factors: &mut [T]) {
        // Units of a dense layer lie side by side: their sums are made together, row by row.
        let sums = pairwise(0..self.elements, RUN, &|elements: Range<usize>| {
            let mut sums = [T::zero(); PER_ROW];
            for element in elements {
                for (unit, sum) in sums.iter_mut().enumerate().take(self.units) {
                    let x = w.get(self.index(unit, element)).copied().unwrap_or_default();
                    *sum += x * x;
                }
            }
            sums
        });
        factors.copy_from_slice(&sums);
        let (limit, epsilon) = (T::of(f64::from(self.limit)), T::of(EPSILON));
        for factor in factors {
            let norm = factor.sqrt();
            *factor = norm.min(limit) / (epsilon + norm);
        }
    }
}

impl OpDef for MaxNorm {
    stem!("max_norm");

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        if self.every == 0 {
            return Err(Error::parameter("max_norm", "steps per update", "at least 1", self.every));
        }
        let [_, table, clock] = arity("max_norm", inputs)?;
        expect_arenas("max_norm", &inputs[..1])?;
        let words = table.shape.elements();
        if *table != TensorSpec::u32([words]) || !words.is_multiple_of(ROW) {
            return Err(Error::shape("max_norm", format!("a table of units, u32[{ROW} * rows]"), table.to_string()));
        }
        if self.longest == 0 {
            return Err(Error::parameter("max_norm", "longest unit", "at least one element", self.longest));
        }
        expect_clock("max_norm", clock)?;
        Ok(vec![])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let (n, rows) = (io.inputs[0].shape[0], io.inputs[1].shape[0] / ROW);
        let parts = if self.longest <= WHOLE { 1 } else { self.longest.div_ceil(PART) };
        let params = Params {
            n: n as u32,
            rows: rows as u32,
            every: self.every,
            epsilon: EPSILON as f32,
            part: PART as u32,
            parts: parts as u32,
        };
        let kernel = |entry, stage: &str| Kernel::of::<Self>(entry).define("STAGE", stage);
        let (tree, per_lane) = (sum_iterations(0, LANES), |elements: usize| elements.div_ceil(LANES) as u64);
        if parts == 1 {
            let launch = Launch::new(kernel("max_norm", "whole"), &params, fold(rows)).bind_in_place(io, self.writes());
            return launch.iterations(2 * per_lane(self.longest) + tree).into();
        }
        let mut launches = Launches::default();
        let sums = launches.temp(TensorSpec::f32([rows, parts, PER_ROW]));
        let factors = launches.temp(TensorSpec::f32([rows, PER_ROW]));
        let of_sums = Launch::new(kernel("max_norm_sums", "sums"), &params, fold(rows * parts));
        let of_factors = Launch::new(kernel("max_norm_factors", "factors"), &params, fold(rows));
        let of_scale = Launch::new(kernel("max_norm_scale", "scale"), &params, fold(rows * parts));
        let rest = |launch: Launch| launch.read(Slot::Input(1)).read(Slot::Input(2));
        launches.list = vec![
            rest(of_sums.read(Slot::Input(0))).write(sums).iterations(per_lane(PART) + tree),
            rest(of_factors.read(sums)).write(factors).iterations(per_lane(parts) + tree),
            rest(of_scale.write(Slot::Input(0))).read(factors).iterations(per_lane(PART)),
        ];
        launches
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let [w, table, clock] = &mut call.x[..] else { unreachable!("the shape rule lets three tensors pass") };
        if update_of(clock.u(), self.every).is_none() {
            return;
        }
        let (w, rows) = (w.f_mut(), table.u());
        let read: &[T] = w;
        let rows_of = |(i, factors): (usize, &mut [T])| Row::of(&rows[i * ROW..]).factors(read, factors);
        // The scratch is that of the largest op of the plan.
        let scratch = &mut call.scratch[..rows.len() / ROW * PER_ROW];
        scratch.par_chunks_mut(PER_ROW).enumerate().for_each(rows_of);
        for (row, factors) in rows.chunks_exact(ROW).zip(scratch.chunks_exact(PER_ROW)) {
            let row = Row::of(row);
            // Below the limit a factor is 1 up to ε: mostly there is nothing to write.
            if factors[..row.units].iter().all(|f| *f == T::one()) {
                continue;
            }
            for element in 0..row.elements {
                for (unit, factor) in factors.iter().enumerate().take(row.units) {
                    if let Some(x) = w.get_mut(row.index(unit, element)) {
                        *x *= *factor;
                    }
                }
            }
        }
    }

    fn scratch(&self, io: &Io) -> usize {
        io.inputs[1].shape.elements() / ROW * PER_ROW
    }

    fn gradient(&self, _ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok(vec![Grad::NotDifferentiable; 3])
    }

    fn writes(&self) -> &'static [usize] {
        &[0]
    }
}

impl Var {
    /// Limits the norms of units of these parameters (a whole arena); `table` is a [table] of them, whose [longest] unit has `longest`
    /// elements.
    ///
    /// # Errors
    /// Where this is not a whole arena, `table` is not a table, or `every` or `longest` is 0.
    pub fn max_norm(&self, table: &Var, longest: usize, clock: &Var, every: u32) -> Result<()> {
        self.graph.push(MaxNorm { every, longest }, &[self, table, clock]).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_outside_of_the_arena_and_senseless_limits_are_refused() {
        let good = Units { offset: 64, units: 33, unit_stride: 1, elements: 3, element_stride: 33, limit: 2.0 };
        let words = table(192, &[good]).expect("a table");
        assert_eq!((words.len(), longest(&words)), (3 * ROW, 3));
        for bad in [
            Units { limit: 0.0, ..good },
            Units { limit: f32::NAN, ..good },
            Units { offset: 94, ..good },
            Units { units: 0, ..good },
            Units { elements: usize::MAX, ..good },
        ] {
            let error = table(192, &[bad]).expect_err("units that cannot be").to_string();
            assert!(error.contains("max_norm"), "{error}");
        }
        assert!(table(192, &[]).is_err());
    }
}
