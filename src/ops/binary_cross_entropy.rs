//! Binary cross-entropy, element by element, from logits or from probabilities.
//!
//! From logits `x` and targets `t`: `max(x, 0) − x t + ln(1 + e^−|x|)`, which is `−t ln σ(x) − (1 − t) ln(1 − σ(x))` without overflow.
//! From probabilities `p`, clipped to `[ε, 1 − ε]` with `ε = 1e-7`: `−t ln p − (1 − t) ln(1 − p)`. Source: I. Goodfellow, Y. Bengio,
//! A. Courville, "Deep Learning" (2016), section 6.2.2.2; the constant is `keras.config.epsilon()`.
//!
//! The sigmoid before the probability form is rewritten into the logits form before a graph is differentiated.

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use super::{arity, expect_dtype};
use crate::contract::{CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, grid, parallel_chunks, stem};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Var};
use crate::shape::{DType, TensorSpec};

/// Loss per element. Inputs: scores and targets in `[0, 1]`, floats of one shape, which is that of the result.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BinaryCrossEntropy {
    /// Scores are logits, else probabilities.
    pub from_logits: bool,
}

/// The gradient with respect to the scores, from scores, targets and the loss's cotangent: `(σ(x) − t) dloss`, or
/// `(p − t) / (p (1 − p)) dloss`, 0 where `p` was clipped.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BinaryCrossEntropyGrad {
    /// Scores are logits, else probabilities.
    pub from_logits: bool,
}

/// Probabilities are clipped to this and to 1 less this.
const EPSILON: f64 = 1e-7;

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    n: u32,
}

fn check(op: &str, tensors: &[TensorSpec]) -> Result<()> {
    for spec in tensors {
        expect_dtype(op, spec, DType::F32)?;
        if spec.shape != tensors[0].shape {
            return Err(Error::shape(op, tensors[0].to_string(), spec.to_string()));
        }
    }
    Ok(())
}

fn launch(entry: &'static str, from_logits: bool, io: &Io) -> Launches {
    let n = io.inputs[0].shape.elements();
    let kernel = Kernel::of::<BinaryCrossEntropy>(entry).define("LOGITS", u32::from(from_logits));
    let kernel = kernel.define("GRAD", u32::from(io.inputs.len() == 3));
    Launch::new(kernel, &Params { n: n as u32 }, grid(n)).bind_all(io).into()
}

impl OpDef for BinaryCrossEntropy {
    stem!("binary_cross_entropy");

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [scores, _] = arity::<2>("binary_cross_entropy", inputs)?;
        check("binary_cross_entropy", inputs)?;
        Ok(vec![scores.clone()])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        launch("binary_cross_entropy", self.from_logits, io)
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let (scores, targets, loss) = (call.x[0].f(), call.x[1].f(), call.y[0].f_mut());
        let (low, half, zero, one) = (T::of(EPSILON), T::of(0.5), T::zero(), T::one());
        // Not max and clamp: a NaN must stay one.
        let of_logit = |x: T, t: T| (if x < zero { zero } else { x }) - x * t + (-x.abs()).exp().ln_1p();
        // The smaller of p and 1 − p is clipped, and the other one is what it leaves of 1: both keep their digits.
        let of_probability = |p: T, t: T| {
            let (small, of_small, of_large) = if p < half { (p, t, one - t) } else { (one - p, one - t, t) };
            let small = if small < low { low } else { small };
            -(of_small * small.ln() + of_large * (-small).ln_1p())
        };
        parallel_chunks(loss, |start, loss| {
            let pairs = loss.iter_mut().zip(scores[start..].iter().zip(&targets[start..]));
            if self.from_logits {
                pairs.for_each(|(loss, (x, t))| *loss = of_logit(*x, *t));
            } else {
                pairs.for_each(|(loss, (p, t))| *loss = of_probability(*p, *t));
            }
        });
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        let (scores, targets, dloss) = (ctx.input(0), ctx.input(1), ctx.dy()?);
        let grad = BinaryCrossEntropyGrad { from_logits: self.from_logits };
        let dscores = ctx.wanted(0, || ctx.graph().push1(grad, &[scores, targets, dloss]))?;
        let dtargets = ctx.wanted(1, || match self.from_logits {
            true => dloss.mul(scores)?.neg(),
            false => {
                let log = |p: &Var| p.clip(EPSILON as f32, 1.0)?.log();
                dloss.mul(&log(&scores.neg()?.shift(1.0)?)?.sub(&log(scores)?)?)
            }
        })?;
        Ok(vec![dscores, dtargets])
    }
}

impl OpDef for BinaryCrossEntropyGrad {
    stem!("binary_cross_entropy");

    fn name(&self) -> &str {
        "binary_cross_entropy_grad"
    }

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [scores, ..] = arity::<3>(self.name(), inputs)?;
        check(self.name(), inputs)?;
        Ok(vec![scores.clone()])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        launch("binary_cross_entropy_grad", self.from_logits, io)
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let (scores, targets, dloss) = (call.x[0].f(), call.x[1].f(), call.x[2].f());
        let (low, high, one) = (T::of(EPSILON), T::of(1.0 - EPSILON), T::one());
        let of_probability = |p: T, t: T| if p >= low && p <= high { (p - t) / (p * (one - p)) } else { T::zero() };
        parallel_chunks(call.y[0].f_mut(), |start, dscores| {
            let inputs = scores[start..].iter().zip(&targets[start..]).zip(&dloss[start..]);
            let all = dscores.iter_mut().zip(inputs);
            if self.from_logits {
                all.for_each(|(d, ((x, t), dl))| *d = (one / (one + (-*x).exp()) - *t) * *dl);
            } else {
                all.for_each(|(d, ((p, t), dl))| *d = of_probability(*p, *t) * *dl);
            }
        });
    }

    fn gradient(&self, _ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok(vec![Grad::Unsupported("second derivatives of binary cross-entropy"); 3])
    }
}

impl Var {
    /// The binary cross-entropy of each of these scores with its target, a float in `[0, 1]`; all of one shape.
    ///
    /// Scores are logits with `from_logits`, else probabilities, which are clipped to 1e-7 from 0 and from 1. Probabilities that come
    /// straight from [`Var::sigmoid`] are treated as the logits before it.
    ///
    /// # Errors
    /// Where shapes differ or elements are not floats.
    pub fn binary_cross_entropy(&self, targets: &Var, from_logits: bool) -> Result<Var> {
        self.graph.push1(BinaryCrossEntropy { from_logits }, &[self, targets])
    }
}
