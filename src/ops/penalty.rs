//! Penalties on parameters, with factors of their own for every layer.
//!
//! Value: `y = l1 · |p| + l2 · p²`, whose sum is added to the loss. Gradient: `y = g + l1 · sign(p) + 2 · l2 · p`, with 0 as the sign
//! of 0. All of shape `[len]`: whole arenas. Source: Keras 3, `keras.regularizers.L1L2`.

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use super::arity;
use crate::contract::blocks::{BLOCK, Blocks, expect_arenas, expect_table};
use crate::contract::{CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, grid, parallel_rows, stem};
use crate::error::Result;
use crate::graph::{Grad, GradientCtx, Var};
use crate::shape::TensorSpec;

/// `y = l1 · |p| + l2 · p²`. Inputs: `p` `[len]`, and a [table](crate::contract::blocks) with `l1` and `l2` for every group. Output:
/// `y` `[len]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Penalty;

/// `y = g + l1 · sign(p) + 2 · l2 · p`. Inputs: `p`, `g` (both `[len]`), and the table of [`Penalty`]. Output: `y` `[len]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PenaltyGrad;

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    n4: u32,
    groups: u32,
}

fn params(io: &Io) -> Params {
    let (len, words) = (io.outputs[0].shape[0], io.inputs[io.inputs.len() - 1].shape[0]);
    Params { n4: (len / 4) as u32, groups: ((words - len / BLOCK) / 2) as u32 }
}

fn sign<T: Real>(x: T) -> T {
    if x > T::zero() {
        T::one()
    } else if x < T::zero() {
        -T::one()
    } else {
        x
    }
}

/// Runs `f(first element, l1, l2, block of y)` over all blocks.
fn each<T: Real>(y: &mut [T], table: &[u32], f: impl Fn(usize, T, T, &mut [T]) + Send + Sync) {
    let blocks = Blocks::of(table, y.len());
    parallel_rows(y, BLOCK, |block, y| {
        let [l1, l2] = blocks.settings(block).map(|factor| T::of(f64::from(factor)));
        f(block * BLOCK, l1, l2, y);
    });
}

impl OpDef for Penalty {
    stem!("penalty");

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [p, table] = arity("penalty", inputs)?;
        let len = expect_arenas("penalty", &inputs[..1])?;
        expect_table("penalty", table, len)?;
        Ok(vec![p.clone()])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let params = params(io);
        let kernel = Kernel::of::<Self>("penalty").define("GRADIENT", 0);
        Launch::new(kernel, &params, grid(params.n4 as usize)).bind_all(io).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let p = call.x[0].f();
        each(call.y[0].f_mut(), call.x[1].u(), |start, l1, l2, y| {
            y.iter_mut().zip(&p[start..]).for_each(|(y, p)| *y = l1 * p.abs() + l2 * *p * *p);
        });
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        let (p, table) = (ctx.input(0), ctx.input(1));
        let zero = ctx.graph().fill(p.shape(), 0.0)?;
        let dp = ctx.graph().push1(PenaltyGrad, &[p, &zero, table])?;
        Ok(vec![Grad::Of(ctx.dy()?.mul(&dp)?), Grad::NotDifferentiable])
    }
}

impl OpDef for PenaltyGrad {
    stem!("penalty");

    fn name(&self) -> &str {
        "penalty_grad"
    }

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [p, _, table] = arity("penalty_grad", inputs)?;
        let len = expect_arenas("penalty_grad", &inputs[..2])?;
        expect_table("penalty_grad", table, len)?;
        Ok(vec![p.clone()])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let params = params(io);
        let kernel = Kernel::of::<Self>("penalty_grad").define("GRADIENT", 1);
        Launch::new(kernel, &params, grid(params.n4 as usize)).bind_all(io).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let (p, g) = (call.x[0].f(), call.x[1].f());
        each(call.y[0].f_mut(), call.x[2].u(), |start, l1, l2, y| {
            let twice = l2 + l2;
            for ((y, p), g) in y.iter_mut().zip(&p[start..]).zip(&g[start..]) {
                *y = *g + l1 * sign(*p) + twice * *p;
            }
        });
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        let of_p =
            Grad::Unsupported("the gradient of a penalty's gradient with respect to the parameters is not known");
        Ok(vec![of_p, Grad::Of(ctx.dy()?.clone()), Grad::NotDifferentiable])
    }
}

impl Var {
    /// What these parameters (a whole arena) are penalised by, element by element: `l1 · |p| + l2 · p²`. `table` holds `l1` and `l2`
    /// of every [group](crate::contract::blocks).
    ///
    /// # Errors
    /// Where this is not a whole arena or `table` is not a table for it.
    pub fn penalty(&self, table: &Var) -> Result<Var> {
        self.graph.push1(Penalty, &[self, table])
    }

    /// These gradients (a whole arena) with those of the penalty on `parameters`: `g + l1 · sign(p) + 2 · l2 · p`. See
    /// [`Var::penalty`].
    ///
    /// # Errors
    /// Where the arenas differ or `table` is not a table for them.
    pub fn add_penalty_gradient(&self, parameters: &Var, table: &Var) -> Result<Var> {
        self.graph.push1(PenaltyGrad, &[parameters, self, table])
    }
}
