//! One of two numbers, element by element, with NumPy's broadcasting: `y = a` where `cond` is not 0, else `b`.
//!
//! The number that is not taken leaves no trace, in the gradient neither, even where it is not finite. Source: `numpy.where`.

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use super::binary::Walk;
use super::{arity, expect_dtype, indices};
use crate::contract::{
    CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, grid, parallel_chunks, parallel_rows, stem,
};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Var};
use crate::shape::{DType, Shape, TensorSpec};

/// `y = a` where `cond` is not 0, else `b`. Inputs: `cond`, `a`, `b`, floats whose shapes broadcast. A NaN is not 0.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Select;

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    dims: [u32; 8],
    cond_strides: [u32; 8],
    a_strides: [u32; 8],
    b_strides: [u32; 8],
    n: u32,
    rank: u32,
    pad: [u32; 2],
}

fn walk(io: &Io) -> Walk<3> {
    let [cond, a, b] = [0, 1, 2].map(|i| &io.inputs[i].shape);
    Walk::new([cond, a, b], &io.outputs[0].shape)
}

impl OpDef for Select {
    stem!("select");

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [cond, a, b] = arity("select", inputs)?;
        for spec in [cond, a, b] {
            expect_dtype("select", spec, DType::F32)?;
        }
        let shape = cond.shape.broadcast(&a.shape).and_then(|shape| shape.broadcast(&b.shape)).ok_or_else(|| {
            let actual = format!("{}, {} and {}", cond.shape, a.shape, b.shape);
            Error::shape("select", "three shapes that broadcast", actual)
        })?;
        Ok(vec![TensorSpec::f32(shape)])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let (walk, n) = (walk(io), io.outputs[0].shape.elements());
        let [cond, a, b] = walk.strides.each_ref().map(|strides| indices(strides, 0));
        let params = Params {
            dims: indices(&walk.dims, 1),
            cond_strides: cond,
            a_strides: a,
            b_strides: b,
            n: n as u32,
            rank: walk.dims.len() as u32,
            pad: [0; 2],
        };
        let kernel = Kernel::of::<Self>("select_side").define("RANK", walk.dims.len());
        Launch::new(kernel, &params, grid(n)).bind_all(io).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let walk = walk(call.io);
        let (cond, a, b, y) = (call.x[0].f(), call.x[1].f(), call.x[2].f(), call.y[0].f_mut());
        let choose = |c: T, a: T, b: T| if c != T::zero() { a } else { b };
        if walk.is_flat() {
            return parallel_chunks(y, |start, y| {
                let sources = cond[start..].iter().zip(&a[start..]).zip(&b[start..]);
                y.iter_mut().zip(sources).for_each(|(y, ((c, a), b))| *y = choose(*c, *a, *b));
            });
        }
        let (width, [sc, sa, sb]) = walk.last();
        parallel_rows(y, width, |index, y| {
            let [ic, ia, ib] = walk.row(index);
            for (k, y) in y.iter_mut().enumerate() {
                *y = choose(cond[ic + k * sc], a[ia + k * sa], b[ib + k * sb]);
            }
        });
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        let (cond, dy) = (ctx.input(0), ctx.dy()?);
        let zero = || ctx.graph().fill(Shape::default(), 0.0);
        let da = || cond.select(dy, &zero()?)?.sum_to(&ctx.input(1).shape());
        let db = || cond.select(&zero()?, dy)?.sum_to(&ctx.input(2).shape());
        Ok(vec![Grad::NotDifferentiable, ctx.wanted(1, da)?, ctx.wanted(2, db)?])
    }
}

impl Var {
    /// `a` where this condition is not 0, else `b`, with NumPy's broadcasting of all three. Conditions come from comparisons such as
    /// [`Var::greater`]; they have no gradient. The side that is not taken may hold anything, even NaN.
    ///
    /// # Errors
    /// Where the shapes do not broadcast or the elements are not floats.
    pub fn select(&self, a: &Var, b: &Var) -> Result<Var> {
        self.graph.push1(Select, &[self, a, b])
    }
}
