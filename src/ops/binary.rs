//! Functions of two numbers, element by element, with NumPy's broadcasting, and the op that broadcasts one tensor.

use bytemuck::{Pod, Zeroable};

use super::{arity, expect_dtype, indices};
use crate::contract::{CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, grid, stem};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Var};
use crate::shape::{DType, Shape, TensorSpec};

/// Which function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryFn {
    /// `a + b`
    Add,
    /// `a − b`
    Sub,
    /// `a · b`
    Mul,
    /// `a / b`
    Div,
    /// The larger one; where they are equal, `a`.
    Maximum,
    /// The smaller one; where they are equal, `a`.
    Minimum,
    /// 1 where `a ≥ b`, else 0.
    GreaterEqual,
    /// 1 where `a = b`, else 0.
    Equal,
}

impl BinaryFn {
    fn name(self) -> &'static str {
        match self {
            BinaryFn::Add => "add",
            BinaryFn::Sub => "sub",
            BinaryFn::Mul => "mul",
            BinaryFn::Div => "div",
            BinaryFn::Maximum => "maximum",
            BinaryFn::Minimum => "minimum",
            BinaryFn::GreaterEqual => "greater_equal",
            BinaryFn::Equal => "equal",
        }
    }

    fn wgsl(self) -> &'static str {
        match self {
            BinaryFn::Add => "a + b",
            BinaryFn::Sub => "a - b",
            BinaryFn::Mul => "a * b",
            BinaryFn::Div => "a / b",
            BinaryFn::Maximum => "select(a, b, b > a)",
            BinaryFn::Minimum => "select(a, b, b < a)",
            BinaryFn::GreaterEqual => "select(0.0, 1.0, a >= b)",
            BinaryFn::Equal => "select(0.0, 1.0, a == b)",
        }
    }

    #[inline(always)]
    fn value<T: Real>(self, a: T, b: T) -> T {
        let truth = |t: bool| if t { T::one() } else { T::zero() };
        match self {
            BinaryFn::Add => a + b,
            BinaryFn::Sub => a - b,
            BinaryFn::Mul => a * b,
            BinaryFn::Div => a / b,
            BinaryFn::Maximum => if b > a { b } else { a },
            BinaryFn::Minimum => if b < a { b } else { a },
            BinaryFn::GreaterEqual => truth(a >= b),
            BinaryFn::Equal => truth(a == b),
        }
    }
}

/// `y = f(a, b)`, for floats whose shapes broadcast.
#[derive(Clone, Debug)]
pub struct Binary {
    /// The function.
    pub function: BinaryFn,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    dims: [u32; 8],
    a_strides: [u32; 8],
    b_strides: [u32; 8],
    n: u32,
    rank: u32,
    pad: [u32; 2],
}

/// How two tensors are walked to give a third: neighbouring dimensions that both tensors walk alike are merged.
struct Walk {
    dims: Vec<usize>,
    a: Vec<usize>,
    b: Vec<usize>,
}

impl Walk {
    fn new(a: &Shape, b: &Shape, y: &Shape) -> Self {
        let (sa, sb) = (a.broadcast_strides(y), b.broadcast_strides(y));
        let mut walk = Walk { dims: Vec::new(), a: Vec::new(), b: Vec::new() };
        for axis in (0..y.len()).filter(|&axis| y[axis] != 1) {
            let d = y[axis];
            match (walk.dims.last_mut(), walk.a.last_mut(), walk.b.last_mut()) {
                (Some(dims), Some(wa), Some(wb)) if *wa == sa[axis] * d && *wb == sb[axis] * d => {
                    (*dims, *wa, *wb) = (*dims * d, sa[axis], sb[axis]);
                }
                _ => {
                    walk.dims.push(d);
                    walk.a.push(sa[axis]);
                    walk.b.push(sb[axis]);
                }
            }
        }
        if walk.dims.is_empty() {
            (walk.dims, walk.a, walk.b) = (vec![1], vec![0], vec![0]);
        }
        walk
    }

    fn params(&self) -> Params {
        Params {
            dims: indices(&self.dims, 1),
            a_strides: indices(&self.a, 0),
            b_strides: indices(&self.b, 0),
            n: self.dims.iter().product::<usize>() as u32,
            rank: self.dims.len() as u32,
            pad: [0; 2],
        }
    }
}

impl OpDef for Binary {
    stem!("binary");

    fn name(&self) -> &str {
        self.function.name()
    }

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [a, b] = arity(self.name(), inputs)?;
        expect_dtype(self.name(), a, DType::F32)?;
        expect_dtype(self.name(), b, DType::F32)?;
        let shape = a.shape.broadcast(&b.shape).ok_or_else(|| {
            Error::shape(self.name(), format!("a shape that broadcasts with {}", a.shape), b.shape.to_string())
        })?;
        Ok(vec![TensorSpec::f32(shape)])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let walk = Walk::new(&io.inputs[0].shape, &io.inputs[1].shape, &io.outputs[0].shape);
        let kernel = Kernel::of::<Self>("binary").define("F", self.function.wgsl()).define("RANK", walk.dims.len());
        Launch::new(kernel, &walk.params(), grid(io.outputs[0].shape.elements())).bind_all(io).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let walk = Walk::new(&call.io.inputs[0].shape, &call.io.inputs[1].shape, &call.io.outputs[0].shape);
        let (a, b, y) = (call.x[0].f(), call.x[1].f(), call.y[0].f_mut());
        // One arm per function, so that the inner loop knows it.
        match self.function {
            BinaryFn::Add => rows(&walk, a, b, y, |a, b| a + b),
            BinaryFn::Sub => rows(&walk, a, b, y, |a, b| a - b),
            BinaryFn::Mul => rows(&walk, a, b, y, |a, b| a * b),
            f => rows(&walk, a, b, y, |a, b| f.value(a, b)),
        }
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        let (a, b, y, dy) = (ctx.input(0), ctx.input(1), ctx.output(0), ctx.dy()?);
        let (sa, sb) = (a.shape(), b.shape());
        let grad_a = || match self.function {
            BinaryFn::Add | BinaryFn::Sub => dy.sum_to(&sa),
            BinaryFn::Mul => dy.mul(b)?.sum_to(&sa),
            BinaryFn::Div => dy.div(b)?.sum_to(&sa),
            BinaryFn::Maximum => dy.mul(&a.greater_equal(b)?)?.sum_to(&sa),
            _ => dy.mul(&b.greater_equal(a)?)?.sum_to(&sa),
        };
        let grad_b = || match self.function {
            BinaryFn::Add => dy.sum_to(&sb),
            BinaryFn::Sub => dy.neg()?.sum_to(&sb),
            BinaryFn::Mul => dy.mul(a)?.sum_to(&sb),
            BinaryFn::Div => dy.mul(y)?.div(b)?.neg()?.sum_to(&sb),
            BinaryFn::Maximum => dy.sub(&dy.mul(&a.greater_equal(b)?)?)?.sum_to(&sb),
            _ => dy.sub(&dy.mul(&b.greater_equal(a)?)?)?.sum_to(&sb),
        };
        if matches!(self.function, BinaryFn::GreaterEqual | BinaryFn::Equal) {
            return Ok(vec![Grad::NotDifferentiable, Grad::NotDifferentiable]);
        }
        Ok(vec![ctx.wanted(0, grad_a)?, ctx.wanted(1, grad_b)?])
    }
}

/// Runs `f` over the output, one row of the last merged dimension at a time.
fn rows<T: Real>(walk: &Walk, a: &[T], b: &[T], y: &mut [T], f: impl Fn(T, T) -> T + Send + Sync) {
    let last = walk.dims.len() - 1;
    let (width, sa, sb) = (walk.dims[last], walk.a[last], walk.b[last]);
    let row = |index: usize, y: &mut [T]| {
        let (mut rest, mut ia, mut ib) = (index, 0, 0);
        for axis in (0..last).rev() {
            let at = rest % walk.dims[axis];
            rest /= walk.dims[axis];
            ia += at * walk.a[axis];
            ib += at * walk.b[axis];
        }
        match (sa, sb) {
            (0, 0) => y.fill(f(a[ia], b[ib])),
            (0, _) => y.iter_mut().zip(&b[ib..]).for_each(|(y, b)| *y = f(a[ia], *b)),
            (_, 0) => y.iter_mut().zip(&a[ia..]).for_each(|(y, a)| *y = f(*a, b[ib])),
            _ => y.iter_mut().zip(&a[ia..]).zip(&b[ib..]).for_each(|((y, a), b)| *y = f(*a, *b)),
        }
    };
    if walk.dims.len() == 1 && (sa, sb) == (1, 1) {
        return crate::contract::parallel_chunks(y, |start, y| {
            y.iter_mut().zip(&a[start..]).zip(&b[start..]).for_each(|((y, a), b)| *y = f(*a, *b));
        });
    }
    crate::contract::parallel_rows(y, width, row);
}

macro_rules! methods {
    ($($(#[$doc:meta])* $method:ident: $function:ident;)*) => {
        impl Var {
            $($(#[$doc])*
            ///
            /// # Errors
            /// Where the shapes do not broadcast.
            pub fn $method(&self, other: &Var) -> Result<Var> {
                self.graph.push1(Binary { function: BinaryFn::$function }, &[self, other])
            })*
        }
    };
}

methods! {
    /// `a + b`, with NumPy's broadcasting.
    add: Add;
    /// `a − b`, with NumPy's broadcasting.
    sub: Sub;
    /// `a · b`, element by element, with NumPy's broadcasting.
    mul: Mul;
    /// `a / b`, with NumPy's broadcasting.
    div: Div;
    /// The larger of two, with NumPy's broadcasting. Where they are equal the gradient goes to the first.
    maximum: Maximum;
    /// The smaller of two, with NumPy's broadcasting. Where they are equal the gradient goes to the first.
    minimum: Minimum;
    /// 1 where `a ≥ b`, else 0; has no gradient.
    greater_equal: GreaterEqual;
    /// 1 where `a = b`, else 0; has no gradient.
    equal: Equal;
}
