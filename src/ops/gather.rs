//! Rows of a table by their indices (embeddings, class weights), and the gradient that adds rows back.
//!
//! `y[e] = table[ids[e]]`; `dtable[r] = Σ dy[e]` over all `e` with `ids[e] = r`, always in ascending `e`, so that a sum has one value.

use bytemuck::{Pod, Zeroable};
use rayon::prelude::*;

use super::{arity, expect_dtype};
use crate::contract::{
    CpuCall, GROUP_SIZE, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, Slot, grid, parallel_rows, stem,
};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Var};
use crate::shape::{DType, TensorSpec};

/// Rows of a table: table `f32` `[rows, ..]`, ids `u32` of any shape, y `f32` `[ids.., ..]`. An id that is not below `rows` gives a
/// row of NaN.
#[derive(Clone, Debug)]
pub struct Gather;

/// The gradient with respect to the table `[rows, ..]`, from ids and `dy` `[ids.., ..]`. Ids out of range add nothing.
#[derive(Clone, Debug)]
pub struct GatherGrad {
    /// Rows of the table.
    pub rows: usize,
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
}

/// Ids up to which every element of the gradient reads all of them; more are sorted first.
const LOOP: usize = 64;
/// Ids that one workgroup sorts.
const SORTED: usize = 256;

fn kernel(entry: &'static str, kind: &str) -> Kernel {
    Kernel::of::<Gather>(entry).define("KIND", kind)
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
        let params = Params { n: n as u32, rows: rows as u32, width: width as u32, run: 0, zero: 0 };
        Launch::new(kernel("gather", "gather"), &params, grid(n * width)).bind_all(io).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let rows = call.io.inputs[0].shape[0];
        let (table, ids) = (call.x[0].f(), call.x[1].u());
        let width = table.len() / rows;
        parallel_rows(call.y[0].f_mut(), width, |e, y| {
            let row = ids[e] as usize;
            if row < rows {
                y.copy_from_slice(&table[row * width..][..width]);
            } else {
                y.fill(T::nan());
            }
        });
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        let (table, ids) = (ctx.input(0), ctx.input(1));
        let dtable = || ctx.graph().push1(GatherGrad { rows: table.shape()[0] }, &[ids, ctx.dy()?]);
        Ok(vec![ctx.wanted(0, dtable)?, Grad::NotDifferentiable])
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
            return Err(Error::shape(self.name(), format!("a gradient whose shape begins with {}", ids.shape), dy.to_string()));
        };
        Ok(vec![TensorSpec::f32([&[self.rows], rest].concat())])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let (n, out) = (io.inputs[0].shape.elements(), io.outputs[0].shape.elements());
        let width = out / self.rows;
        let params =
            |run: usize| Params { n: n as u32, rows: self.rows as u32, width: width as u32, run: run as u32, zero: 0 };
        if n <= LOOP {
            return Launch::new(kernel("gather_grad_loop", "loop"), &params(0), grid(out)).bind_all(io).into();
        }
        let blocks = grid(n.div_ceil(SORTED) * GROUP_SIZE);
        let sort = Launch::new(kernel("gather_grad_block", "block"), &params(0), blocks);
        let mut list = vec![sort.read(Slot::Input(0)).write(Slot::Temp(0))];
        let (mut run, mut sorted) = (SORTED, 0);
        while run < n {
            let merge = Launch::new(kernel("gather_grad_merge", "merge"), &params(run), grid(n));
            list.push(merge.read(Slot::Input(0)).read(Slot::Temp(sorted)).write(Slot::Temp(1 - sorted)));
            (run, sorted) = (run * 2, 1 - sorted);
        }
        let sum = Launch::new(kernel("gather_grad_sum", "sum"), &params(0), grid(out));
        list.push(sum.read(Slot::Input(0)).read(Slot::Input(1)).read(Slot::Temp(sorted)).write(Slot::Output(0)));
        // One block needs no merge and so no second order.
        Launches { list, temps: vec![TensorSpec::u32([n]); if n > SORTED { 2 } else { 1 }] }
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let (ids, dy, dtable) = (call.x[0].u(), call.x[1].f(), call.y[0].f_mut());
        let width = dtable.len() / self.rows;
        // Every task goes through all ids and takes those of its own rows, in order. At most 16 tasks: the ids are read 16 times.
        let rows = self.rows.div_ceil(16).max((1usize << 14).div_ceil(width));
        let add = |(index, part): (usize, &mut [T])| {
            part.fill(T::zero());
            let first = index * rows;
            let own = first..first + part.len() / width;
            for (e, id) in ids.iter().enumerate().filter(|(_, id)| own.contains(&(**id as usize))) {
                let to = (*id as usize - first) * width;
                part[to..to + width].iter_mut().zip(&dy[e * width..]).for_each(|(to, dy)| *to += *dy);
            }
        };
        if self.rows <= rows {
            return add((0, dtable));
        }
        dtable.par_chunks_mut(rows * width).enumerate().for_each(add);
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        let (ids, ddtable) = (ctx.input(0), ctx.dy()?);
        Ok(vec![Grad::NotDifferentiable, ctx.wanted(1, || ddtable.gather(ids))?])
    }
}

impl Var {
    /// The rows of this table `[rows, ..]` at `ids` (`u32`, any shape): `[ids.., ..]`. An id out of range gives a row of NaN.
    ///
    /// # Errors
    /// Where an element type does not fit, or the result has too many dimensions.
    pub fn gather(&self, ids: &Var) -> Result<Var> {
        self.graph.push1(Gather, &[self, ids])
    }
}
