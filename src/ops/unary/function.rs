//! The functions: name, constants, WGSL and twin of each and of its slope.

use serde::{Deserialize, Serialize};

use crate::contract::Real;
use crate::contract::exact;
use crate::error::{Error, Result};

/// Which function.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum UnaryFn {
    /// `−x`
    Neg,
    /// `eˣ`
    Exp,
    /// `eˣ − 1`, with all digits of small `x`
    Expm1,
    /// `ln x`
    Log,
    /// `ln (1 + x)`, with all digits of small `x`
    Log1p,
    /// `√x`
    Sqrt,
    /// `1 / √x`
    Rsqrt,
    /// `x²`
    Square,
    /// `1 / x`
    Reciprocal,
    /// `xᶜ`; of a negative `x` only where `c` is whole
    Powf(#[serde(with = "exact")] f32),
    /// `|x|`, with slope 0 at 0
    Abs,
    /// −1, 0 or 1; has no gradient
    Sign,
    /// `min(max(x, low), high)`, with slope 1 from `low` to `high`, both included
    Clip(#[serde(with = "exact")] f32, #[serde(with = "exact")] f32),
    /// `sin x`; on a GPU as exact as one unit in the last place of `x`
    Sin,
    /// `cos x`; on a GPU as exact as one unit in the last place of `x`
    Cos,
    /// The error function `2/√π ∫₀ˣ e^(−t²) dt`
    Erf,
    /// `max(x, 0)`, with slope 0 at 0; NaN stays NaN
    Relu,
    /// `min(max(x, 0), 6)`, with slope 0 at both ends
    Relu6,
    /// `x` where it is positive, else `α x`, with slope `α` at 0. Source: A. Maas, A. Hannun, A. Ng, ICML 2013.
    LeakyRelu(#[serde(with = "exact")] f32),
    /// `x` where it is positive, else `α (eˣ − 1)`. Source: D. Clevert, T. Unterthiner, S. Hochreiter, ICLR 2016.
    Elu(#[serde(with = "exact")] f32),
    /// `λ x` where it is positive, else `λ α (eˣ − 1)`, with the constants that keep mean 0 and variance 1. Source: G. Klambauer et al.,
    /// "Self-normalizing neural networks", NeurIPS 2017.
    Selu,
    /// `x Φ(x)`, with the normal distribution's `Φ`. Source: D. Hendrycks, K. Gimpel, arXiv 1606.08415.
    Gelu,
    /// `x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2`: the same paper's approximation.
    GeluTanh,
    /// `x / (1 + e⁻ˣ)`, also called swish. Source: P. Ramachandran, B. Zoph, Q. Le, arXiv 1710.05941.
    Silu,
    /// `x (x/6 + 1/2)`, the factor held between 0 and 1. Source: A. Howard et al., "Searching for MobileNetV3", ICCV 2019.
    HardSilu,
    /// `x tanh(ln (1 + eˣ))`. Source: D. Misra, BMVC 2020.
    Mish,
    /// `ln (1 + eˣ)`
    Softplus,
    /// `x / (1 + |x|)`
    Softsign,
    /// `1 / (1 + e⁻ˣ)`
    Sigmoid,
    /// `x/6 + 1/2`, held between 0 and 1, with slope 0 where it is held: the form of Keras 3.
    HardSigmoid,
    /// `tanh x`
    Tanh,
    /// `c · x`
    Scale(#[serde(with = "exact")] f32),
    /// `x + c`
    Shift(#[serde(with = "exact")] f32),
}

/// `λ` of [`UnaryFn::Selu`].
const SELU_SCALE: f64 = 1.050_700_987_355_480_5;
/// `λ α` of [`UnaryFn::Selu`].
const SELU_DEPTH: f64 = 1.758_099_340_847_376_6;
/// `2 √(2/π)`: the tanh form of GELU is `x σ(GELU_SCALE (x + GELU_CUBIC x³))`.
const GELU_SCALE: f64 = 1.595_769_121_605_730_7;
const GELU_CUBIC: f64 = 0.044_715;

impl UnaryFn {
    pub(super) fn name(self) -> &'static str {
        match self {
            UnaryFn::Neg => "neg",
            UnaryFn::Exp => "exp",
            UnaryFn::Expm1 => "expm1",
            UnaryFn::Log => "log",
            UnaryFn::Log1p => "log1p",
            UnaryFn::Sqrt => "sqrt",
            UnaryFn::Rsqrt => "rsqrt",
            UnaryFn::Square => "square",
            UnaryFn::Reciprocal => "reciprocal",
            UnaryFn::Powf(_) => "powf",
            UnaryFn::Abs => "abs",
            UnaryFn::Sign => "sign",
            UnaryFn::Clip(..) => "clip",
            UnaryFn::Sin => "sin",
            UnaryFn::Cos => "cos",
            UnaryFn::Erf => "erf",
            UnaryFn::Relu => "relu",
            UnaryFn::Relu6 => "relu6",
            UnaryFn::LeakyRelu(_) => "leaky_relu",
            UnaryFn::Elu(_) => "elu",
            UnaryFn::Selu => "selu",
            UnaryFn::Gelu => "gelu",
            UnaryFn::GeluTanh => "gelu_tanh",
            UnaryFn::Silu => "silu",
            UnaryFn::HardSilu => "hard_silu",
            UnaryFn::Mish => "mish",
            UnaryFn::Softplus => "softplus",
            UnaryFn::Softsign => "softsign",
            UnaryFn::Sigmoid => "sigmoid",
            UnaryFn::HardSigmoid => "hard_sigmoid",
            UnaryFn::Tanh => "tanh",
            UnaryFn::Scale(_) => "scale",
            UnaryFn::Shift(_) => "shift",
        }
    }

    /// The function's constants, `p.c` and `p.d` in WGSL.
    pub(in crate::ops) fn constants(self) -> [f32; 2] {
        match self {
            UnaryFn::Clip(low, high) => [low, high],
            UnaryFn::Powf(c) | UnaryFn::LeakyRelu(c) | UnaryFn::Elu(c) | UnaryFn::Scale(c) | UnaryFn::Shift(c) => {
                [c, 0.0]
            }
            _ => [0.0; 2],
        }
    }

    /// Refuses constants that make no sense.
    pub(in crate::ops) fn check(self) -> Result<()> {
        let (what, expected) = match self {
            UnaryFn::Clip(low, high) if low.is_finite() && high.is_finite() && low <= high => return Ok(()),
            UnaryFn::Clip(low, high) => {
                let expected = "finite, and low at most high";
                return Err(Error::parameter("clip", "low and high", expected, format!("{low} and {high}")));
            }
            UnaryFn::Powf(c) if !c.is_finite() => ("exponent", "finite"),
            UnaryFn::LeakyRelu(c) | UnaryFn::Elu(c) if !c.is_finite() => ("alpha", "finite"),
            _ => return Ok(()),
        };
        Err(Error::parameter(self.name(), what, expected, self.constants()[0]))
    }

    /// `f(x)` in WGSL. Exponents are clamped where the driver's `exp` or `tanh` may overflow into NaN, and so is what is multiplied
    /// with a share that is 0 there.
    pub(in crate::ops) fn wgsl(self) -> &'static str {
        match self {
            UnaryFn::Neg => "-x",
            UnaryFn::Exp => "exp(x)",
            UnaryFn::Expm1 => "exp_m1(x)",
            // Of a negative number WGSL lets a driver make what it likes.
            UnaryFn::Log => "select(log(x), not_a_number(x), x < 0.0)",
            UnaryFn::Log1p => "ln_1p(x)",
            UnaryFn::Sqrt => "select(sqrt(x), not_a_number(x), x < 0.0)",
            UnaryFn::Rsqrt => "select(inverseSqrt(x), not_a_number(x), x < 0.0)",
            UnaryFn::Square => "x * x",
            UnaryFn::Reciprocal => "1.0 / x",
            UnaryFn::Powf(_) => "power(x, p.c)",
            UnaryFn::Abs => "abs(x)",
            UnaryFn::Sign => "sign(x)",
            UnaryFn::Clip(..) => "clamp(x, p.c, p.d)",
            UnaryFn::Sin => "sine(x, 0u)",
            UnaryFn::Cos => "sine(x, 1u)",
            UnaryFn::Erf => "erf(x)",
            // Not max(): that may drop a NaN, and a network that went bad must be seen to have gone bad.
            UnaryFn::Relu => "select(x, 0.0, x < 0.0)",
            UnaryFn::Relu6 => "clamp(x, 0.0, 6.0)",
            UnaryFn::LeakyRelu(_) => "select(p.c * x, x, x > 0.0)",
            UnaryFn::Elu(_) => "select(p.c * exp_m1(min(x, 0.0)), x, x > 0.0)",
            UnaryFn::Selu => "select(1.7580993408 * exp_m1(min(x, 0.0)), 1.0507009874 * x, x > 0.0)",
            UnaryFn::Gelu => "max(x, -20.0) * normal_cdf(clamp(x, -20.0, 20.0))",
            UnaryFn::GeluTanh => "max(x, -20.0) * gelu_share(clamp(x, -20.0, 20.0))",
            UnaryFn::Silu => "max(x, -88.0) * logistic(x)",
            UnaryFn::HardSilu => "x * clamp(x / 6.0 + 0.5, 0.0, 1.0)",
            UnaryFn::Mish => "max(x, -88.0) * mish_share(clamp(x, -88.0, 20.0))",
            UnaryFn::Softplus => "max(x, 0.0) + ln_1p(exp(-min(abs(x), 88.0)))",
            UnaryFn::Softsign => "x / (1.0 + abs(x))",
            UnaryFn::Sigmoid => "1.0 / (1.0 + exp(-clamp(x, -88.0, 88.0)))",
            UnaryFn::HardSigmoid => "clamp(x / 6.0 + 0.5, 0.0, 1.0)",
            UnaryFn::Tanh => "tanh(clamp(x, -15.0, 15.0))",
            UnaryFn::Scale(_) => "p.c * x",
            UnaryFn::Shift(_) => "x + p.c",
        }
    }

    /// `f′` in WGSL, from `x` and `y = f(x)`; `x` is `y` too unless [`UnaryFn::slope_needs_x`].
    pub(in crate::ops) fn wgsl_slope(self) -> &'static str {
        match self {
            UnaryFn::Neg => "-1.0",
            UnaryFn::Exp => "y",
            UnaryFn::Expm1 => "y + 1.0",
            UnaryFn::Log => "1.0 / x",
            UnaryFn::Log1p => "1.0 / (1.0 + x)",
            UnaryFn::Sqrt => "0.5 / y",
            UnaryFn::Rsqrt => "-0.5 * y * y * y",
            UnaryFn::Square => "2.0 * x",
            UnaryFn::Reciprocal => "-y * y",
            UnaryFn::Powf(_) => "select(p.c * power(x, p.c - 1.0), 0.0, p.c == 0.0)",
            UnaryFn::Abs => "sign(x)",
            UnaryFn::Sign => "0.0",
            UnaryFn::Clip(..) => "select(0.0, 1.0, x >= p.c && x <= p.d)",
            UnaryFn::Sin => "sine(x, 1u)",
            UnaryFn::Cos => "sine(x, 2u)",
            UnaryFn::Erf => "1.1283791671 * exp(-min(x * x, 88.0))",
            UnaryFn::Relu => "select(0.0, 1.0, y > 0.0)",
            UnaryFn::Relu6 => "select(0.0, 1.0, y > 0.0 && y < 6.0)",
            UnaryFn::LeakyRelu(_) => "select(p.c, 1.0, x > 0.0)",
            UnaryFn::Elu(_) => "select(y + p.c, 1.0, x > 0.0)",
            UnaryFn::Selu => "select(y + 1.7580993408, 1.0507009874, y > 0.0)",
            UnaryFn::Gelu => "gelu_slope(clamp(x, -20.0, 20.0))",
            UnaryFn::GeluTanh => "gelu_tanh_slope(clamp(x, -20.0, 20.0))",
            UnaryFn::Silu => "silu_slope(clamp(x, -88.0, 88.0))",
            UnaryFn::HardSilu => "select(select(x / 3.0 + 0.5, 0.0, x <= -3.0), 1.0, x >= 3.0)",
            UnaryFn::Mish => "mish_slope(clamp(x, -88.0, 20.0))",
            UnaryFn::Softplus => "-exp_m1(-y)",
            UnaryFn::Softsign => "(1.0 - abs(y)) * (1.0 - abs(y))",
            UnaryFn::Sigmoid => "y * (1.0 - y)",
            UnaryFn::HardSigmoid => "select(0.0, 0.16666667, y > 0.0 && y < 1.0)",
            UnaryFn::Tanh => "1.0 - y * y",
            UnaryFn::Scale(_) => "p.c",
            UnaryFn::Shift(_) => "1.0",
        }
    }

    /// Whether the WGSL of the function or of its slope calls what `shared/math.wgsl` and the stem's shader add to WGSL.
    pub(in crate::ops) fn needs_math(self) -> bool {
        matches!(
            self,
            UnaryFn::Expm1
                | UnaryFn::Log1p
                | UnaryFn::Powf(_)
                | UnaryFn::Sin
                | UnaryFn::Cos
                | UnaryFn::Erf
                | UnaryFn::Elu(_)
                | UnaryFn::Selu
                | UnaryFn::Gelu
                | UnaryFn::GeluTanh
                | UnaryFn::Silu
                | UnaryFn::Mish
                | UnaryFn::Softplus
        )
    }

    /// Whether the slope cannot be told from `y` alone, so that `x` must be kept for it.
    pub(super) fn slope_needs_x(self) -> bool {
        match self {
            // Where alpha is negative the sign of y does not tell that of x.
            UnaryFn::LeakyRelu(alpha) | UnaryFn::Elu(alpha) => alpha < 0.0,
            UnaryFn::Log
            | UnaryFn::Log1p
            | UnaryFn::Square
            | UnaryFn::Powf(_)
            | UnaryFn::Abs
            | UnaryFn::Clip(..)
            | UnaryFn::Sin
            | UnaryFn::Cos
            | UnaryFn::Erf
            | UnaryFn::Gelu
            | UnaryFn::GeluTanh
            | UnaryFn::Silu
            | UnaryFn::HardSilu
            | UnaryFn::Mish => true,
            _ => false,
        }
    }

    /// `f(x)`
    #[inline(always)]
    pub(super) fn value<T: Real>(self, x: T) -> T {
        let (zero, one, of) = (T::zero(), T::one(), |c: f32| T::of(f64::from(c)));
        match self {
            UnaryFn::Neg => -x,
            UnaryFn::Exp => x.exp(),
            UnaryFn::Expm1 => x.exp_m1(),
            UnaryFn::Log => x.ln(),
            UnaryFn::Log1p => x.ln_1p(),
            UnaryFn::Sqrt => x.sqrt(),
            UnaryFn::Rsqrt => one / x.sqrt(),
            UnaryFn::Square => x * x,
            UnaryFn::Reciprocal => one / x,
            UnaryFn::Powf(_) if x.is_nan() => x,
            UnaryFn::Powf(c) => x.powf(of(c)),
            UnaryFn::Abs => x.abs(),
            UnaryFn::Sign if x == zero => zero,
            UnaryFn::Sign => x.signum(),
            UnaryFn::Clip(low, _) if x < of(low) => of(low),
            UnaryFn::Clip(_, high) if x > of(high) => of(high),
            UnaryFn::Clip(..) => x,
            UnaryFn::Sin => x.sin(),
            UnaryFn::Cos => x.cos(),
            UnaryFn::Erf => x.erf(),
            UnaryFn::Relu => {
                if x < zero {
                    zero
                } else {
                    x
                }
            }
            UnaryFn::Relu6 if x > T::of(6.0) => T::of(6.0),
            UnaryFn::Relu6 => {
                if x < zero {
                    zero
                } else {
                    x
                }
            }
            UnaryFn::LeakyRelu(alpha) => {
                if x > zero {
                    x
                } else {
                    of(alpha) * x
                }
            }
            UnaryFn::Elu(_) if x > zero => x,
            UnaryFn::Elu(alpha) => of(alpha) * x.exp_m1(),
            UnaryFn::Selu if x > zero => T::of(SELU_SCALE) * x,
            UnaryFn::Selu => T::of(SELU_DEPTH) * x.exp_m1(),
            UnaryFn::Gelu => x * normal_cdf(x),
            UnaryFn::GeluTanh => x * gelu_share(x),
            UnaryFn::Silu => x * logistic(x),
            UnaryFn::Softplus => (if x < zero { zero } else { x }) + (-x.abs()).exp().ln_1p(),
            UnaryFn::Softsign => x / (one + x.abs()),
            UnaryFn::Sigmoid => logistic(x),
            UnaryFn::HardSigmoid => hard_sigmoid(x),
            UnaryFn::HardSilu => x * hard_sigmoid(x),
            UnaryFn::Mish => x * mish_share(x),
            UnaryFn::Tanh => x.tanh(),
            UnaryFn::Scale(c) => of(c) * x,
            UnaryFn::Shift(c) => x + of(c),
        }
    }

    /// `f′(x)`, where `y = f(x)`; `x` may be `y` unless [`UnaryFn::slope_needs_x`].
    #[inline(always)]
    pub(super) fn slope<T: Real>(self, x: T, y: T) -> T {
        let (zero, one, half, of) = (T::zero(), T::one(), T::of(0.5), |c: f32| T::of(f64::from(c)));
        let within = |holds: bool| if holds { one } else { zero };
        match self {
            UnaryFn::Neg => -one,
            UnaryFn::Exp => y,
            UnaryFn::Expm1 => y + one,
            UnaryFn::Log => one / x,
            UnaryFn::Log1p => one / (one + x),
            UnaryFn::Sqrt => half / y,
            UnaryFn::Rsqrt => -half * y * y * y,
            UnaryFn::Square => x + x,
            UnaryFn::Reciprocal => -y * y,
            UnaryFn::Powf(0.0) => zero,
            UnaryFn::Powf(c) => of(c) * x.powf(of(c) - one),
            UnaryFn::Abs if x == zero => zero,
            UnaryFn::Abs => x.signum(),
            UnaryFn::Sign => zero,
            UnaryFn::Clip(low, high) => within(x >= of(low) && x <= of(high)),
            UnaryFn::Sin => x.cos(),
            UnaryFn::Cos => -x.sin(),
            UnaryFn::Erf => T::of(std::f64::consts::FRAC_2_SQRT_PI) * (-x * x).exp(),
            UnaryFn::Relu6 => within(y > zero && y < T::of(6.0)),
            UnaryFn::Relu => within(y > zero),
            UnaryFn::LeakyRelu(alpha) => {
                if x > zero {
                    one
                } else {
                    of(alpha)
                }
            }
            UnaryFn::Elu(alpha) => {
                if x > zero {
                    one
                } else {
                    y + of(alpha)
                }
            }
            UnaryFn::Selu => {
                if y > zero {
                    T::of(SELU_SCALE)
                } else {
                    y + T::of(SELU_DEPTH)
                }
            }
            UnaryFn::Gelu => {
                let density = (-half * x * x).exp() * T::of(1.0 / (2.0 * std::f64::consts::PI).sqrt());
                normal_cdf(x) + x * density
            }
            UnaryFn::GeluTanh => {
                // From |x| = 20 on the share is 0 or 1, and squares could overflow.
                let (s, x) = (gelu_share(x), x.max(T::of(-20.0)).min(T::of(20.0)));
                s + x * s * (one - s) * T::of(GELU_SCALE) * (one + T::of(3.0 * GELU_CUBIC) * x * x)
            }
            UnaryFn::Silu => {
                let s = logistic(x);
                s * (one + x * (one - s))
            }
            UnaryFn::HardSilu if x <= T::of(-3.0) => zero,
            UnaryFn::HardSilu if x >= T::of(3.0) => one,
            UnaryFn::HardSilu => x / T::of(3.0) + half,
            UnaryFn::Mish => {
                // From 20 on the share is 1, and its slope 0.
                let (w, x) = (mish_share(x), x.min(T::of(20.0)));
                w + x * (one - w * w) * logistic(x)
            }
            UnaryFn::Softplus => -(-y).exp_m1(),
            UnaryFn::Softsign => (one - y.abs()) * (one - y.abs()),
            UnaryFn::Sigmoid => y * (one - y),
            UnaryFn::HardSigmoid => within(y > zero && y < one) / T::of(6.0),
            UnaryFn::Tanh => one - y * y,
            UnaryFn::Scale(c) => of(c),
            UnaryFn::Shift(_) => one,
        }
    }
}

#[inline(always)]
fn logistic<T: Real>(x: T) -> T {
    T::one() / (T::one() + (-x).exp())
}

#[inline(always)]
fn hard_sigmoid<T: Real>(x: T) -> T {
    let y = x / T::of(6.0) + T::of(0.5);
    if y < T::zero() {
        T::zero()
    } else if y > T::one() {
        T::one()
    } else {
        y
    }
}

/// `tanh(ln (1 + eˣ)) = n / (n + 2)` with `n = eˣ (eˣ + 2)`.
#[inline(always)]
fn mish_share<T: Real>(x: T) -> T {
    // Not min: a NaN must stay one. From 20 on the share is 1.
    let e = if x > T::of(20.0) { T::of(20.0) } else { x }.exp();
    let n = e * (e + T::of(2.0));
    n / (n + T::of(2.0))
}

/// The normal distribution's share below `x`.
#[inline(always)]
fn normal_cdf<T: Real>(x: T) -> T {
    T::of(0.5) * (-x * T::of(std::f64::consts::FRAC_1_SQRT_2)).erfc()
}

/// The approximation of [`normal_cdf`] that GELU's tanh form uses.
#[inline(always)]
fn gelu_share<T: Real>(x: T) -> T {
    logistic(T::of(GELU_SCALE) * (x + T::of(GELU_CUBIC) * x * x * x))
}
