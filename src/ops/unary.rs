//! Functions of one number, element by element, and their gradients.

use bytemuck::{Pod, Zeroable};

use super::{arity, expect_dtype};
use crate::contract::{
    CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, grid, parallel_chunks, stem,
};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Var};
use crate::shape::{DType, TensorSpec};

/// Which function.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum UnaryFn {
    /// `−x`
    Neg,
    /// `eˣ`
    Exp,
    /// `ln x`
    Log,
    /// `√x`
    Sqrt,
    /// `x²`
    Square,
    /// `|x|`, with slope 0 at 0
    Abs,
    /// `max(x, 0)`, with slope 0 at 0; NaN stays NaN
    Relu,
    /// `1 / (1 + e⁻ˣ)`
    Sigmoid,
    /// `tanh x`
    Tanh,
    /// `c · x`
    Scale(f32),
    /// `x + c`
    Shift(f32),
}

impl UnaryFn {
    fn name(self) -> &'static str {
        match self {
            UnaryFn::Neg => "neg",
            UnaryFn::Exp => "exp",
            UnaryFn::Log => "log",
            UnaryFn::Sqrt => "sqrt",
            UnaryFn::Square => "square",
            UnaryFn::Abs => "abs",
            UnaryFn::Relu => "relu",
            UnaryFn::Sigmoid => "sigmoid",
            UnaryFn::Tanh => "tanh",
            UnaryFn::Scale(_) => "scale",
            UnaryFn::Shift(_) => "shift",
        }
    }

    /// The function's constant, `p.c` in WGSL.
    fn constant(self) -> f32 {
        match self {
            UnaryFn::Scale(c) | UnaryFn::Shift(c) => c,
            _ => 0.0,
        }
    }

    /// `f(x)` in WGSL. Exponents are clamped where the driver's `exp` or `tanh` may overflow into NaN.
    fn wgsl(self) -> &'static str {
        match self {
            UnaryFn::Neg => "-x",
            UnaryFn::Exp => "exp(x)",
            // Of a negative number WGSL lets a driver make what it likes.
            UnaryFn::Log => "select(log(x), not_a_number(x), x < 0.0)",
            UnaryFn::Sqrt => "select(sqrt(x), not_a_number(x), x < 0.0)",
            UnaryFn::Square => "x * x",
            UnaryFn::Abs => "abs(x)",
            // Not max(): that may drop a NaN, and a network that went bad must be seen to have gone bad.
            UnaryFn::Relu => "select(x, 0.0, x < 0.0)",
            UnaryFn::Sigmoid => "1.0 / (1.0 + exp(-clamp(x, -88.0, 88.0)))",
            UnaryFn::Tanh => "tanh(clamp(x, -15.0, 15.0))",
            UnaryFn::Scale(_) => "p.c * x",
            UnaryFn::Shift(_) => "x + p.c",
        }
    }

    /// `f′` in WGSL, from `x` and `y = f(x)`.
    fn wgsl_slope(self) -> &'static str {
        match self {
            UnaryFn::Neg => "-1.0",
            UnaryFn::Exp => "y",
            UnaryFn::Log => "1.0 / x",
            UnaryFn::Sqrt => "0.5 / y",
            UnaryFn::Square => "2.0 * x",
            UnaryFn::Abs => "sign(x)",
            UnaryFn::Relu => "select(0.0, 1.0, y > 0.0)",
            UnaryFn::Sigmoid => "y * (1.0 - y)",
            UnaryFn::Tanh => "1.0 - y * y",
            UnaryFn::Scale(_) => "p.c",
            UnaryFn::Shift(_) => "1.0",
        }
    }

    fn slope_needs_x(self) -> bool {
        matches!(self, UnaryFn::Log | UnaryFn::Square | UnaryFn::Abs)
    }

    fn value<T: Real>(self, x: T) -> T {
        let one = T::one();
        match self {
            UnaryFn::Neg => -x,
            UnaryFn::Exp => x.exp(),
            UnaryFn::Log => x.ln(),
            UnaryFn::Sqrt => x.sqrt(),
            UnaryFn::Square => x * x,
            UnaryFn::Abs => x.abs(),
            UnaryFn::Relu => {
                if x < T::zero() {
                    T::zero()
                } else {
                    x
                }
            }
            UnaryFn::Sigmoid => one / (one + (-x).exp()),
            UnaryFn::Tanh => x.tanh(),
            UnaryFn::Scale(c) => T::of(f64::from(c)) * x,
            UnaryFn::Shift(c) => x + T::of(f64::from(c)),
        }
    }

    fn slope<T: Real>(self, x: T, y: T) -> T {
        let one = T::one();
        match self {
            UnaryFn::Neg => -one,
            UnaryFn::Exp => y,
            UnaryFn::Log => one / x,
            UnaryFn::Sqrt => T::of(0.5) / y,
            UnaryFn::Square => x + x,
            UnaryFn::Abs if x == T::zero() => T::zero(),
            UnaryFn::Abs => x.signum(),
            UnaryFn::Relu if y > T::zero() => one,
            UnaryFn::Relu => T::zero(),
            UnaryFn::Sigmoid => y * (one - y),
            UnaryFn::Tanh => one - y * y,
            UnaryFn::Scale(c) => T::of(f64::from(c)),
            UnaryFn::Shift(_) => one,
        }
    }
}

/// `y = f(x)`, element by element, for floats of any shape.
#[derive(Clone, Debug)]
pub struct Unary {
    /// The function.
    pub function: UnaryFn,
}

/// `dx = dy · f′(x)` from the inputs `x`, `y = f(x)` and `dy`.
#[derive(Clone, Debug)]
pub struct UnaryGrad {
    /// The function whose gradient it is.
    pub function: UnaryFn,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    n: u32,
    c: f32,
}

impl OpDef for Unary {
    stem!("unary");

    fn name(&self) -> &str {
        self.function.name()
    }

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [x] = arity(self.name(), inputs)?;
        expect_dtype(self.name(), x, DType::F32)?;
        Ok(vec![x.clone()])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let n = io.inputs[0].shape.elements();
        let kernel = Kernel::of::<Self>("unary").define("F", self.function.wgsl());
        Launch::new(kernel, &Params { n: n as u32, c: self.function.constant() }, grid(n)).bind_all(io).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let (f, x) = (self.function, call.x[0].f());
        parallel_chunks(call.y[0].f_mut(), |start, y| {
            for (y, x) in y.iter_mut().zip(&x[start..]) {
                *y = f.value(*x);
            }
        });
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        let grad = UnaryGrad { function: self.function };
        // Where the slope is a function of y alone, x need not be kept for it (and may be fused away).
        let x = if self.function.slope_needs_x() { ctx.input(0) } else { ctx.output(0) };
        let dx = ctx.graph().push1(grad, &[x, ctx.output(0), ctx.dy()?])?;
        Ok(vec![Grad::Of(dx)])
    }
}

impl OpDef for UnaryGrad {
    stem!("unary");

    fn name(&self) -> &str {
        "unary_grad"
    }

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [x, y, dy] = arity(self.name(), inputs)?;
        expect_dtype(self.name(), x, DType::F32)?;
        if x != y || x != dy {
            return Err(Error::shape(self.name(), format!("three times {x}"), format!("{x}, {y}, {dy}")));
        }
        Ok(vec![x.clone()])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let n = io.inputs[0].shape.elements();
        let kernel = Kernel::of::<Self>("unary_grad").define("GRAD", 1).define("SLOPE", self.function.wgsl_slope());
        Launch::new(kernel, &Params { n: n as u32, c: self.function.constant() }, grid(n)).bind_all(io).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let (f, x, y, dy) = (self.function, call.x[0].f(), call.x[1].f(), call.x[2].f());
        parallel_chunks(call.y[0].f_mut(), |start, dx| {
            for (i, dx) in dx.iter_mut().enumerate() {
                let i = start + i;
                *dx = dy[i] * f.slope(x[i], y[i]);
            }
        });
    }

    fn gradient(&self, _ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok(vec![Grad::Unsupported("second derivatives of element-wise functions"); 3])
    }
}

macro_rules! methods {
    ($($(#[$doc:meta])* $method:ident: $function:ident;)*) => {
        impl Var {
            $($(#[$doc])*
            ///
            /// # Errors
            /// Where the elements are not floats.
            pub fn $method(&self) -> Result<Var> {
                self.graph.push1(Unary { function: UnaryFn::$function }, &[self])
            })*
        }
    };
}

methods! {
    /// `−x`
    neg: Neg;
    /// `eˣ`
    exp: Exp;
    /// Natural logarithm.
    log: Log;
    /// `√x`
    sqrt: Sqrt;
    /// `x²`
    square: Square;
    /// `|x|`, with slope 0 at 0.
    abs: Abs;
    /// `max(x, 0)`, with slope 0 at 0.
    relu: Relu;
    /// `1 / (1 + e⁻ˣ)`
    sigmoid: Sigmoid;
    /// Hyperbolic tangent.
    tanh: Tanh;
}

impl Var {
    /// `c · x`
    ///
    /// # Errors
    /// Where the elements are not floats.
    pub fn scale(&self, c: f32) -> Result<Var> {
        self.graph.push1(Unary { function: UnaryFn::Scale(c) }, &[self])
    }

    /// `x + c`
    ///
    /// # Errors
    /// Where the elements are not floats.
    pub fn shift(&self, c: f32) -> Result<Var> {
        self.graph.push1(Unary { function: UnaryFn::Shift(c) }, &[self])
    }
}
