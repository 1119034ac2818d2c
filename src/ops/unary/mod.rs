//! Functions of one number, element by element, and their gradients.

mod function;

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use super::{arity, expect_dtype};
use crate::contract::{CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, grid, parallel_chunks};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Var};
use crate::microkernel::wide_fn;
use crate::shape::{DType, TensorSpec};

pub use function::UnaryFn;

/// `y = f(x)`, element by element, for floats of any shape.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unary {
    /// The function.
    pub function: UnaryFn,
}

/// `dx = dy · f′(x)` from the inputs `x`, `y = f(x)` and `dy`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnaryGrad {
    /// The function whose gradient it is.
    pub function: UnaryFn,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    n: u32,
    c: f32,
    d: f32,
}

impl Params {
    fn new(n: usize, function: UnaryFn) -> Self {
        let [c, d] = function.constants();
        Params { n: n as u32, c, d }
    }
}

/// An entry point of the shader, for one function.
fn kernel(entry: &'static str, function: UnaryFn) -> Kernel {
    Kernel::of::<Unary>(entry).define("MATH", u32::from(function.needs_math()))
}

/// Evaluates `$run` with `$f` for the function, one arm for each of the cheap ones, so that their inner loops know them.
macro_rules! each_function {
    ($function:expr, $f:ident => $run:expr) => {
        each_function!($function, $f => $run; Neg, Square, Abs, Sqrt, Relu, Relu6, Softsign, HardSigmoid, HardSilu; LeakyRelu, Scale, Shift)
    };
    ($function:expr, $f:ident => $run:expr; $($plain:ident),*; $($constant:ident),*) => {
        match $function {
            $(UnaryFn::$plain => { let $f = UnaryFn::$plain; $run })*
            $(UnaryFn::$constant(c) => { let $f = UnaryFn::$constant(c); $run })*
            UnaryFn::Clip(low, high) => { let $f = UnaryFn::Clip(low, high); $run }
            $f => $run,
        }
    };
}

impl UnaryFn {
    /// `y = f(x)`, for slices of one length.
    pub(super) fn apply<T: Real>(self, x: &[T], y: &mut [T]) {
        apply(self, x, y);
    }

    /// `dx = dy · f′(x)` from `x`, `y` and `dy`, for slices of one length.
    pub(crate) fn apply_slope<T: Real>(self, slices: [&[T]; 3], dx: &mut [T]) {
        apply_slope(self, slices, dx);
    }
}

/// What a ReLU lets through of `dy` where it gave `y`.
#[inline(always)]
pub(crate) fn passed<T: Real>(dy: T, y: T) -> T {
    dy * if y > T::zero() { T::one() } else { T::zero() }
}

wide_fn! {
    fn apply<T: Real>(function: UnaryFn, x: &[T], y: &mut [T]) {
        each_function!(function, f => y.iter_mut().zip(x).for_each(|(y, x)| *y = f.value(*x)));
    }
}

wide_fn! {
    fn apply_slope<T: Real>(function: UnaryFn, slices: [&[T]; 3], dx: &mut [T]) {
        let [x, y, dy] = slices;
        each_function!(function, f => for (((dx, x), y), dy) in dx.iter_mut().zip(x).zip(y).zip(dy) {
            *dx = *dy * f.slope(*x, *y);
        });
    }
}

impl OpDef for Unary {
    const STEM: &'static str = "unary";
    const SHADER: &'static str = include_str!("../../../shaders/unary.wgsl");

    fn name(&self) -> &str {
        self.function.name()
    }

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [x] = arity(self.name(), inputs)?;
        expect_dtype(self.name(), x, DType::F32)?;
        self.function.check()?;
        Ok(vec![x.clone()])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let n = io.inputs[0].shape.elements();
        let kernel = kernel("unary", self.function).define("F", self.function.wgsl());
        Launch::new(kernel, &Params::new(n, self.function), grid(n)).bind_all(io).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let (x, y) = (call.x[0].f(), call.y[0].f_mut());
        parallel_chunks(y, |start, y| self.function.apply(&x[start..][..y.len()], y));
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        if self.function == UnaryFn::Sign {
            return Ok(vec![Grad::NotDifferentiable]);
        }
        let grad = UnaryGrad { function: self.function };
        // Where the slope is a function of y alone, x need not be kept for it (and may be fused away).
        let x = if self.function.slope_needs_x() { ctx.input(0) } else { ctx.output(0) };
        let dx = ctx.graph().push1(grad, &[x, ctx.output(0), ctx.dy()?])?;
        Ok(vec![Grad::Of(dx)])
    }
}

impl OpDef for UnaryGrad {
    const STEM: &'static str = "unary";
    const SHADER: &'static str = Unary::SHADER;

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
        let kernel = kernel("unary_grad", self.function).define("GRAD", 1).define("SLOPE", self.function.wgsl_slope());
        let kernel = kernel.define("READS_X", u32::from(self.function.slope_needs_x()));
        Launch::new(kernel, &Params::new(n, self.function), grid(n)).bind_all(io).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let (x, y, dy, dx) = (call.x[0].f(), call.x[1].f(), call.x[2].f(), call.y[0].f_mut());
        parallel_chunks(dx, |start, dx| {
            let part = start..start + dx.len();
            self.function.apply_slope([&x[part.clone()], &y[part.clone()], &dy[part]], dx);
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
    /// `eˣ − 1`, with all digits of small `x`.
    expm1: Expm1;
    /// Natural logarithm.
    log: Log;
    /// `ln (1 + x)`, with all digits of small `x`.
    log1p: Log1p;
    /// `√x`
    sqrt: Sqrt;
    /// `1 / √x`
    rsqrt: Rsqrt;
    /// `x²`
    square: Square;
    /// `1 / x`
    reciprocal: Reciprocal;
    /// `|x|`, with slope 0 at 0.
    abs: Abs;
    /// −1 where `x < 0`, 0 where it is 0, 1 where `x > 0`; has no gradient.
    sign: Sign;
    /// Sine of an angle in radians. On a GPU it is as exact as one unit in the last place of `x`.
    sin: Sin;
    /// Cosine of an angle in radians. On a GPU it is as exact as one unit in the last place of `x`.
    cos: Cos;
    /// The error function `2/√π ∫₀ˣ e^(−t²) dt`.
    erf: Erf;
    /// `max(x, 0)`, with slope 0 at 0.
    relu: Relu;
    /// `min(max(x, 0), 6)`, with slope 0 at both ends, as in TensorFlow. Source: A. Howard et al., "MobileNets", arXiv 1704.04861.
    relu6: Relu6;
    /// `λ x` where it is positive, else `λ α (eˣ − 1)` with `λ = 1.0507` and `α = 1.6733`. Source: G. Klambauer et al.,
    /// "Self-normalizing neural networks", NeurIPS 2017.
    selu: Selu;
    /// `x Φ(x)` with the normal distribution's `Φ`. Source: D. Hendrycks, K. Gimpel, "Gaussian error linear units (GELUs)", arXiv
    /// 1606.08415.
    gelu: Gelu;
    /// `x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2`, the approximation of [`Var::gelu`] from the same paper.
    gelu_tanh: GeluTanh;
    /// `x / (1 + e⁻ˣ)`, also called swish. Source: P. Ramachandran, B. Zoph, Q. Le, "Searching for activation functions", arXiv
    /// 1710.05941.
    silu: Silu;
    /// `x` times [`Var::hard_sigmoid`], also called hard swish. Source: A. Howard et al., "Searching for MobileNetV3", ICCV 2019.
    hard_silu: HardSilu;
    /// `x tanh(ln (1 + eˣ))`. Source: D. Misra, "Mish: a self regularized non-monotonic activation function", BMVC 2020.
    mish: Mish;
    /// `ln (1 + eˣ)`, for any `x` without overflow.
    softplus: Softplus;
    /// `x / (1 + |x|)`
    softsign: Softsign;
    /// `1 / (1 + e⁻ˣ)`
    sigmoid: Sigmoid;
    /// `x/6 + 1/2`, held between 0 and 1: the form of Keras 3.
    hard_sigmoid: HardSigmoid;
    /// Hyperbolic tangent.
    tanh: Tanh;
}

impl Var {
    fn unary(&self, function: UnaryFn) -> Result<Var> {
        self.graph.push1(Unary { function }, &[self])
    }

    /// `c · x`
    ///
    /// # Errors
    /// Where the elements are not floats.
    pub fn scale(&self, c: f32) -> Result<Var> {
        self.unary(UnaryFn::Scale(c))
    }

    /// `x + c`
    ///
    /// # Errors
    /// Where the elements are not floats.
    pub fn shift(&self, c: f32) -> Result<Var> {
        self.unary(UnaryFn::Shift(c))
    }

    /// `xᶜ`. Of a negative `x` it is NaN unless `c` is a whole number; `x⁰` is 1.
    ///
    /// # Errors
    /// Where the elements are not floats or `c` is not finite.
    pub fn powf(&self, c: f32) -> Result<Var> {
        self.unary(UnaryFn::Powf(c))
    }

    /// `min(max(x, low), high)`. As in TensorFlow the slope is 1 from `low` to `high`, both included, and 0 outside.
    ///
    /// # Errors
    /// Where the elements are not floats, a bound is not finite, or `low > high`.
    pub fn clip(&self, low: f32, high: f32) -> Result<Var> {
        self.unary(UnaryFn::Clip(low, high))
    }

    /// `x` where it is positive, else `alpha · x`, with slope `alpha` at 0. Source: A. Maas, A. Hannun, A. Ng, "Rectifier nonlinearities
    /// improve neural network acoustic models", ICML 2013.
    ///
    /// # Errors
    /// Where the elements are not floats or `alpha` is not finite.
    pub fn leaky_relu(&self, alpha: f32) -> Result<Var> {
        self.unary(UnaryFn::LeakyRelu(alpha))
    }

    /// `x` where it is positive, else `alpha (eˣ − 1)`. Source: D. Clevert, T. Unterthiner, S. Hochreiter, "Fast and accurate deep
    /// network learning by exponential linear units (ELUs)", ICLR 2016.
    ///
    /// # Errors
    /// Where the elements are not floats or `alpha` is not finite.
    pub fn elu(&self, alpha: f32) -> Result<Var> {
        self.unary(UnaryFn::Elu(alpha))
    }

    /// `x` where it is positive, else `alpha · x` with a trained `alpha` whose shape broadcasts with that of `x`. Source: K. He et al.,
    /// "Delving deep into rectifiers", ICCV 2015.
    ///
    /// # Errors
    /// Where the elements are not floats, or the shapes do not broadcast to that of `x`.
    pub fn prelu(&self, alpha: &Var) -> Result<Var> {
        if self.shape().broadcast(&alpha.shape()) != Some(self.shape()) {
            let expected = format!("an alpha that broadcasts to {}", self.shape());
            return Err(Error::shape("prelu", expected, alpha.shape().to_string()));
        }
        self.relu()?.sub(&alpha.mul(&self.neg()?.relu()?)?)
    }
}
