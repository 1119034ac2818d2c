//! Functions of two numbers, element by element, with NumPy's broadcasting, and the op that broadcasts one tensor.

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use super::{arity, expect_dtype, indices};
use crate::contract::{
    CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, grid, parallel_chunks, parallel_rows, stem,
};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Var};
use crate::microkernel::wide_fn;
use crate::shape::{DType, Shape, TensorSpec};

/// Which function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
    /// `aᵇ`; of a negative `a` only where `b` is whole.
    Pow,
    /// 1 where `a > b`, else 0.
    Greater,
    /// 1 where `a ≥ b`, else 0.
    GreaterEqual,
    /// 1 where `a < b`, else 0.
    Less,
    /// 1 where `a ≤ b`, else 0.
    LessEqual,
    /// 1 where `a = b`, else 0.
    Equal,
    /// 1 where `a ≠ b`, else 0.
    NotEqual,
}

impl BinaryFn {
    pub(crate) fn name(self) -> &'static str {
        match self {
            BinaryFn::Add => "add",
            BinaryFn::Sub => "sub",
            BinaryFn::Mul => "mul",
            BinaryFn::Div => "div",
            BinaryFn::Maximum => "maximum",
            BinaryFn::Minimum => "minimum",
            BinaryFn::Pow => "pow",
            BinaryFn::Greater => "greater",
            BinaryFn::GreaterEqual => "greater_equal",
            BinaryFn::Less => "less",
            BinaryFn::LessEqual => "less_equal",
            BinaryFn::Equal => "equal",
            BinaryFn::NotEqual => "not_equal",
        }
    }

    pub(super) fn wgsl(self) -> &'static str {
        match self {
            BinaryFn::Add => "a + b",
            BinaryFn::Sub => "a - b",
            BinaryFn::Mul => "a * b",
            BinaryFn::Div => "a / b",
            BinaryFn::Maximum => "select(a, b, b > a)",
            BinaryFn::Minimum => "select(a, b, b < a)",
            BinaryFn::Pow => "select(power(a, b), not_a_number(a), is_nan_bits(a) || is_nan_bits(b))",
            BinaryFn::Greater => "select(0.0, 1.0, a > b)",
            BinaryFn::GreaterEqual => "select(0.0, 1.0, a >= b)",
            BinaryFn::Less => "select(0.0, 1.0, a < b)",
            BinaryFn::LessEqual => "select(0.0, 1.0, a <= b)",
            BinaryFn::Equal => "select(0.0, 1.0, a == b)",
            BinaryFn::NotEqual => "select(1.0, 0.0, a == b)",
        }
    }

    /// `y = f(a, b)`, for slices of one length. One arm per function, so that the inner loop knows it.
    pub(super) fn apply<T: Real>(self, a: &[T], b: &[T], y: &mut [T]) {
        apply(self, a, b, y);
    }

    fn is_comparison(self) -> bool {
        use BinaryFn::{Equal, Greater, GreaterEqual, Less, LessEqual, NotEqual};
        matches!(self, Greater | GreaterEqual | Less | LessEqual | Equal | NotEqual)
    }

    #[inline(always)]
    fn value<T: Real>(self, a: T, b: T) -> T {
        let truth = |t: bool| if t { T::one() } else { T::zero() };
        match self {
            BinaryFn::Add => a + b,
            BinaryFn::Sub => a - b,
            BinaryFn::Mul => a * b,
            BinaryFn::Div => a / b,
            BinaryFn::Maximum => {
                if b > a {
                    b
                } else {
                    a
                }
            }
            BinaryFn::Minimum => {
                if b < a {
                    b
                } else {
                    a
                }
            }
            BinaryFn::Pow if a.is_nan() || b.is_nan() => T::nan(),
            BinaryFn::Pow => a.powf(b),
            BinaryFn::Greater => truth(a > b),
            BinaryFn::GreaterEqual => truth(a >= b),
            BinaryFn::Less => truth(a < b),
            BinaryFn::LessEqual => truth(a <= b),
            BinaryFn::Equal => truth(a == b),
            BinaryFn::NotEqual => truth(a != b),
        }
    }
}

/// `y = f(a, b)`, for floats whose shapes broadcast.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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

/// How tensors are walked to give one that they broadcast to: neighbouring dimensions that all of them walk alike are merged.
pub(super) struct Walk<const N: usize> {
    /// The merged extents; at least one.
    pub(super) dims: Vec<usize>,
    /// The strides of each tensor, 0 where it is broadcast; along the last merged dimension 0 or 1.
    pub(super) strides: [Vec<usize>; N],
}

impl<const N: usize> Walk<N> {
    pub(super) fn new(tensors: [&Shape; N], y: &Shape) -> Self {
        let own = tensors.map(|shape| shape.broadcast_strides(y));
        let mut walk = Walk { dims: Vec::new(), strides: std::array::from_fn(|_| Vec::new()) };
        for axis in (0..y.len()).filter(|&axis| y[axis] != 1) {
            let d = y[axis];
            let alike = |(walked, own): (&Vec<usize>, &Vec<usize>)| walked.last() == Some(&(own[axis] * d));
            let merged = !walk.dims.is_empty() && walk.strides.iter().zip(&own).all(alike);
            match walk.dims.last_mut() {
                Some(last) if merged => *last *= d,
                _ => walk.dims.push(d),
            }
            for (walked, own) in walk.strides.iter_mut().zip(&own) {
                walked.truncate(walk.dims.len() - 1);
                walked.push(own[axis]);
            }
        }
        if walk.dims.is_empty() {
            walk.dims.push(1);
            walk.strides.iter_mut().for_each(|strides| strides.push(0));
        }
        walk
    }

    /// Where row `index` of the last merged dimension begins in each tensor.
    #[inline]
    pub(super) fn row(&self, index: usize) -> [usize; N] {
        let (mut rest, mut starts) = (index, [0; N]);
        for axis in (0..self.dims.len() - 1).rev() {
            let at = rest % self.dims[axis];
            rest /= self.dims[axis];
            for (start, strides) in starts.iter_mut().zip(&self.strides) {
                *start += at * strides[axis];
            }
        }
        starts
    }

    /// The elements of a row, and each tensor's stride in it.
    pub(super) fn last(&self) -> (usize, [usize; N]) {
        let last = self.dims.len() - 1;
        (self.dims[last], self.strides.each_ref().map(|strides| strides[last]))
    }

    /// Whether no tensor is broadcast.
    pub(super) fn is_flat(&self) -> bool {
        self.dims.len() == 1 && self.last().1 == [1; N]
    }
}

impl Walk<2> {
    fn params(&self) -> Params {
        Params {
            dims: indices(&self.dims, 1),
            a_strides: indices(&self.strides[0], 0),
            b_strides: indices(&self.strides[1], 0),
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
        let walk = Walk::new([&io.inputs[0].shape, &io.inputs[1].shape], &io.outputs[0].shape);
        let kernel = Kernel::of::<Self>("binary").define("F", self.function.wgsl()).define("RANK", walk.dims.len());
        let kernel = kernel.define("MATH", u32::from(self.function == BinaryFn::Pow));
        Launch::new(kernel, &walk.params(), grid(io.outputs[0].shape.elements())).bind_all(io).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let walk = Walk::new([&call.io.inputs[0].shape, &call.io.inputs[1].shape], &call.io.outputs[0].shape);
        let (a, b, y) = (call.x[0].f(), call.x[1].f(), call.y[0].f_mut());
        if walk.is_flat() {
            return parallel_chunks(y, |start, y| self.function.apply(&a[start..], &b[start..], y));
        }
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
        let zero = || ctx.graph().fill(Shape::default(), 0.0);
        let grad_a = || match self.function {
            BinaryFn::Add | BinaryFn::Sub => dy.sum_to(&sa),
            BinaryFn::Mul => dy.mul(b)?.sum_to(&sa),
            BinaryFn::Div => dy.div(b)?.sum_to(&sa),
            // Where b is 0 the power below may be infinite.
            BinaryFn::Pow => b.select(&dy.mul(b)?.mul(&a.pow(&b.shift(-1.0)?)?)?, &zero()?)?.sum_to(&sa),
            BinaryFn::Maximum => dy.mul(&a.greater_equal(b)?)?.sum_to(&sa),
            _ => dy.mul(&b.greater_equal(a)?)?.sum_to(&sa),
        };
        let grad_b = || match self.function {
            BinaryFn::Add => dy.sum_to(&sb),
            BinaryFn::Sub => dy.neg()?.sum_to(&sb),
            BinaryFn::Mul => dy.mul(a)?.sum_to(&sb),
            BinaryFn::Div => dy.mul(y)?.div(b)?.neg()?.sum_to(&sb),
            BinaryFn::Pow => a.greater(&zero()?)?.select(&dy.mul(y)?.mul(&a.log()?)?, &zero()?)?.sum_to(&sb),
            BinaryFn::Maximum => dy.sub(&dy.mul(&a.greater_equal(b)?)?)?.sum_to(&sb),
            _ => dy.sub(&dy.mul(&b.greater_equal(a)?)?)?.sum_to(&sb),
        };
        if self.function.is_comparison() {
            return Ok(vec![Grad::NotDifferentiable, Grad::NotDifferentiable]);
        }
        Ok(vec![ctx.wanted(0, grad_a)?, ctx.wanted(1, grad_b)?])
    }
}

wide_fn! {
    fn apply<T: Real>(function: BinaryFn, a: &[T], b: &[T], y: &mut [T]) {
        match function {
            BinaryFn::Add => zipped(a, b, y, |a, b| a + b),
            BinaryFn::Sub => zipped(a, b, y, |a, b| a - b),
            BinaryFn::Mul => zipped(a, b, y, |a, b| a * b),
            f => zipped(a, b, y, |a, b| f.value(a, b)),
        }
    }
}

#[inline(always)]
fn zipped<T: Copy>(a: &[T], b: &[T], y: &mut [T], f: impl Fn(T, T) -> T) {
    y.iter_mut().zip(a).zip(b).for_each(|((y, a), b)| *y = f(*a, *b));
}

/// Runs `f` over the output, one row of the last merged dimension at a time.
fn rows<T: Real>(walk: &Walk<2>, a: &[T], b: &[T], y: &mut [T], f: impl Fn(T, T) -> T + Send + Sync) {
    let (width, strides) = walk.last();
    let row = |index: usize, y: &mut [T]| {
        let [ia, ib] = walk.row(index);
        match strides {
            [0, 0] => y.fill(f(a[ia], b[ib])),
            [0, _] => y.iter_mut().zip(&b[ib..]).for_each(|(y, b)| *y = f(a[ia], *b)),
            [_, 0] => y.iter_mut().zip(&a[ia..]).for_each(|(y, a)| *y = f(*a, b[ib])),
            _ => y.iter_mut().zip(&a[ia..]).zip(&b[ib..]).for_each(|((y, a), b)| *y = f(*a, *b)),
        }
    };
    parallel_rows(y, width, row);
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
    /// `aᵇ`, with NumPy's broadcasting. Of a negative `a` it is NaN unless `b` is a whole number; `a⁰` is 1. The gradient with
    /// respect to `b` is taken as 0 where `a` is not positive, as TensorFlow does.
    pow: Pow;
    /// 1 where `a > b`, else 0; has no gradient.
    greater: Greater;
    /// 1 where `a ≥ b`, else 0; has no gradient.
    greater_equal: GreaterEqual;
    /// 1 where `a < b`, else 0; has no gradient.
    less: Less;
    /// 1 where `a ≤ b`, else 0; has no gradient.
    less_equal: LessEqual;
    /// 1 where `a = b`, else 0; has no gradient.
    equal: Equal;
    /// 1 where `a ≠ b`, else 0; has no gradient.
    not_equal: NotEqual;
}
