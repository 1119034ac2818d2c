//! Rows of a table by their indices (embeddings, class weights), and the gradient that adds rows back.
//!
//! `y[e] = table[ids[e]]`; `dtable[r] = Σ dy[e]` over all `e` with `ids[e] = r`, always in ascending `e`, so that a sum has one value.
//! An id that stands for padding gives a row of zeros, and its row of the table no gradient.
//!
//! The gradient costs `n · log² n` for sorting `n` ids, `rows · log n` for finding each row's, and `(rows + n) · width` for the sums:
//! never `rows · n`, so that a vocabulary may be large. On a GPU a row may have any number of ids: where there are many in all, sums of
//! whole parts of the sorted ids, and of as many of those, are made first, and a row adds up what of them lies within its ids.

use std::ops::Range;

use bytemuck::{Pod, Zeroable};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{arity, expect_dtype};
use crate::contract::{
    CpuCall, GROUP_SIZE, GpuTraits, Io, Kernel, Launch, Launches, MAX_ITERATIONS, OpDef, Real, Slot, grid,
    parallel_rows, stem, with_own_memory,
};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Var};
use crate::microkernel::sums::{RUN, pairwise};
use crate::shape::{DType, TensorSpec};

/// Rows of a table: table `f32` `[rows, ..]`, ids `u32` of any shape, y `f32` `[ids.., ..]`. An id that is not below `rows` gives a
/// row of NaN.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gather {
    /// This id gives a row of zeros, whatever the table holds.
    pub padding: Option<u32>,
}

/// The gradient with respect to the table `[rows, ..]`, from ids and `dy` `[ids.., ..]`. Ids out of range add nothing.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatherGrad {
    /// Rows of the table.
    pub rows: usize,
    /// As in the gathering: what this id adds is left out.
    pub padding: Option<u32>,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    n: u32,
    rows: u32,
    width: u32,
    run: u32,
    /// Always 0, which no compiler knows.
    zero: u32,
    padding: u32,
    pad: [u32; 2],
}

impl Params {
    fn new(n: usize, rows: usize, width: usize, padding: Option<u32>) -> Self {
        let (n, rows, width) = (n as u32, rows as u32, width as u32);
        Params { n, rows, width, run: 0, zero: 0, padding: padding.unwrap_or(0), pad: [0; 2] }
    }
}

/// Ids up to which every element of the gradient reads all of them; more are sorted first.
const LOOP: usize = 64;
/// Ids that are worth several threads, and elements of the table that are a task.
const MANY: usize = 1 << 14;
/// Ids that one workgroup sorts.
const SORTED: usize = 256;
/// Ids up to which one invocation may sum those of a row, however many they are.
const SERIAL: usize = MAX_ITERATIONS as usize;

/// How many sorted ids a part has where there are `n` ids in all; of more than [`SERIAL`] ids sums of parts are made first.
fn part_of(n: usize) -> usize {
    if n <= 1 << 28 { 256 } else { 1024 }
}

fn kernel(entry: &'static str, kind: &str, padding: Option<u32>) -> Kernel {
    Kernel::of::<Gather>(entry).define("KIND", kind).define("PADDING", u32::from(padding.is_some()))
}

/// Steps of a bisection of `n` places.
fn halvings(n: usize) -> u64 {
    u64::from(n.ilog2()) + 1
}

impl OpDef for Gather {
    stem!("gather");

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [table, ids] = arity("gather", inputs)?;
        expect_dtype("gather", table, DType::F32)?;
        expect_dtype("gather", ids, DType::U32)?;
        let Some((_, rest)) = table.shape.split_first() else {
            return Err(Error::shape("gather", "a table with at least one dimension", table.to_string()));
        };
        Ok(vec![TensorSpec::f32([&ids.shape, rest].concat())])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let (rows, n) = (io.inputs[0].shape[0], io.inputs[1].shape.elements());
        let width = io.inputs[0].shape.elements() / rows;
        let params = Params::new(n, rows, width, self.padding);
        Launch::new(kernel("gather", "gather", self.padding), &params, grid(n * width)).bind_all(io).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let rows = call.io.inputs[0].shape[0];
        let (table, ids) = (call.x[0].f(), call.x[1].u());
        let width = table.len() / rows;
        parallel_rows(call.y[0].f_mut(), width, |e, y| {
            let row = ids[e] as usize;
            if self.padding == Some(ids[e]) {
                y.fill(T::zero());
            } else if row < rows {
                y.copy_from_slice(&table[row * width..][..width]);
            } else {
                y.fill(T::nan());
            }
        });
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        let (table, ids) = (ctx.input(0), ctx.input(1));
        let grad = GatherGrad { rows: table.shape()[0], padding: self.padding };
        Ok(vec![ctx.wanted(0, || ctx.graph().push1(grad, &[ids, ctx.dy()?]))?, Grad::NotDifferentiable])
    }
}

impl OpDef for GatherGrad {
    stem!("gather");

    fn name(&self) -> &str {
        "gather_grad"
    }

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [ids, dy] = arity(self.name(), inputs)?;
        expect_dtype(self.name(), ids, DType::U32)?;
        expect_dtype(self.name(), dy, DType::F32)?;
        if self.rows == 0 {
            return Err(Error::parameter(self.name(), "rows", "at least 1", 0));
        }
        let Some(rest) = dy.shape.strip_prefix(&*ids.shape) else {
            return Err(Error::shape(
                self.name(),
                format!("a gradient whose shape begins with {}", ids.shape),
                dy.to_string(),
            ));
        };
        Ok(vec![TensorSpec::f32([&[self.rows], rest].concat())])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let (n, out) = (io.inputs[0].shape.elements(), io.outputs[0].shape.elements());
        let width = out / self.rows;
        let params = Params::new(n, self.rows, width, self.padding);
        if n <= LOOP {
            let kernel = kernel("gather_grad_loop", "loop", self.padding);
            return Launch::new(kernel, &params, grid(out)).iterations(n as u64).bind_all(io).into();
        }
        let blocks = grid(n.div_ceil(SORTED) * GROUP_SIZE);
        let sort =
            Launch::new(kernel("gather_grad_block", "block", None), &params, blocks).iterations(n.min(SORTED) as u64);
        let mut list = vec![sort.read(Slot::Input(0)).write(Slot::Temp(1))];
        let (mut run, mut sorted, mut other) = (SORTED, 1, 2);
        while run < n {
            let merge =
                Launch::new(kernel("gather_grad_merge", "merge", None), &Params { run: run as u32, ..params }, grid(n));
            let merge = merge.iterations(halvings(run.min(n)));
            list.push(merge.read(Slot::Input(0)).read(Slot::Temp(sorted)).write(Slot::Temp(other)));
            (run, sorted, other) = (run * 2, other, sorted);
        }
        let start = Launch::new(kernel("gather_grad_start", "start", None), &params, grid(self.rows + 1));
        list.push(start.iterations(halvings(n)).read(Slot::Input(0)).read(Slot::Temp(sorted)).write(Slot::Temp(0)));
        // One block needs no merge and so no second order.
        let mut temps = vec![TensorSpec::u32([n]); if n > SORTED { 3 } else { 2 }];
        temps[0] = TensorSpec::u32([self.rows + 1]);
        let (mut all, long) = (Launches { list, temps }, n > SERIAL);
        let sum = Launch::new(
            kernel("gather_grad_sum", "sum", self.padding).define("LONG", u32::from(long)).define("PART", part_of(n)),
            &params,
            grid(out),
        );
        let mut sum = sum.read(Slot::Input(1)).read(Slot::Temp(sorted)).read(Slot::Temp(0)).iterations(n as u64);
        if long {
            let (mut from, mut left, each) = (Slot::Input(1), n, part_of(n));
            for ordered in [true, false] {
                let parts = left.div_ceil(each);
                let to = all.temp(TensorSpec::f32([parts, width]));
                let kernel =
                    kernel("gather_grad_part", "part", None).define("PART", each).define("ORDERED", u32::from(ordered));
                let part = Launch::new(kernel, &Params { n: left as u32, ..params }, grid(parts * width)).read(from);
                let part = if ordered { part.read(Slot::Temp(sorted)) } else { part };
                all.list.push(part.iterations(each.min(left) as u64).write(to));
                sum = sum.read(to);
                (from, left) = (to, parts);
            }
            // Before and behind whole parts, and before and behind whole parts of those.
            sum = sum.iterations((4 * (each - 1) + left) as u64);
        }
        all.list.push(sum.write(Slot::Output(0)));
        all
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let (ids, dy, dtable) = (call.x[0].u(), call.x[1].f(), call.y[0].f_mut());
        let width = dtable.len() / self.rows;
        // Ids and their places, sorted: every row finds its own side by side, in their order.
        with_own_memory(2 * ids.len(), |memory| {
            let sorted: &mut [u64] = bytemuck::cast_slice_mut(memory);
            let pairs = ids.iter().zip(0u64..).map(|(id, e)| u64::from(*id) << 32 | e);
            sorted.iter_mut().zip(pairs).for_each(|(sorted, pair)| *sorted = pair);
            if ids.len() > MANY {
                sorted.par_sort_unstable()
            } else {
                sorted.sort_unstable()
            }
            let sorted = &*sorted;
            let from = |row: usize| sorted.partition_point(|pair| (pair >> 32) < row as u64);
            let rows = (MANY / width).max(1);
            let task = |(index, part): (usize, &mut [T])| {
                part.fill(T::zero());
                let (first, mut at) = (index * rows, from(index * rows));
                let end = from(first + part.len() / width);
                while at < end {
                    let id = (sorted[at] >> 32) as u32;
                    let count = sorted[at..end].iter().take_while(|pair| (**pair >> 32) as u32 == id).count();
                    if self.padding != Some(id) {
                        let to = &mut part[(id as usize - first) * width..][..width];
                        add_rows(&sorted[at..at + count], dy, to);
                    }
                    at += count;
                }
            };
            if self.rows <= rows {
                return task((0, dtable));
            }
            dtable.par_chunks_mut(rows * width).enumerate().for_each(task);
        });
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        let (ids, ddtable) = (ctx.input(0), ctx.dy()?);
        Ok(vec![Grad::NotDifferentiable, ctx.wanted(1, || ddtable.gather_padded(ids, self.padding))?])
    }
}

/// The sums of the rows of `dy` at these places, the low words of `sorted`; `sums` are zeros.
fn add_rows<T: Real>(sorted: &[u64], dy: &[T], sums: &mut [T]) {
    const TOGETHER: usize = 64;
    let width = sums.len();
    let row = |pair: &u64| &dy[(*pair as u32 as usize) * width..][..width];
    if sorted.len() <= RUN {
        return sorted.iter().for_each(|pair| sums.iter_mut().zip(row(pair)).for_each(|(sum, dy)| *sum += *dy));
    }
    for (block, sums) in sums.chunks_mut(TOGETHER).enumerate() {
        let all = pairwise(0..sorted.len(), RUN, &|piece: Range<usize>| {
            let mut all = [T::zero(); TOGETHER];
            for pair in &sorted[piece] {
                all.iter_mut().zip(&row(pair)[block * TOGETHER..]).for_each(|(sum, dy)| *sum += *dy);
            }
            all
        });
        sums.copy_from_slice(&all[..sums.len()]);
    }
}

impl Var {
    /// The rows of this table `[rows, ..]` at `ids` (`u32`, any shape): `[ids.., ..]`. An id out of range is refused before a run where
    /// it comes straight from an input ([`Session::run`](crate::Session::run)); else its row is NaN, which [`Var::check_finite`]
    /// latches as a fault of the step.
    ///
    /// # Errors
    /// Where an element type does not fit, or the result has too many dimensions.
    pub fn gather(&self, ids: &Var) -> Result<Var> {
        self.gather_padded(ids, None)
    }

    /// Like [`Var::gather`], but the id `padding` gives a row of zeros, and its row of the table no gradient.
    ///
    /// # Errors
    /// See [`Var::gather`].
    pub fn gather_padded(&self, ids: &Var, padding: Option<u32>) -> Result<Var> {
        self.graph.push1(Gather { padding }, &[self, ids])
    }
}
