//! Cross-entropy of scores and targets along one axis, from logits or from probabilities.
//!
//! From logits `z` and targets `t`: `Σ t (lse − z)` with `lse = ln Σ eᶻ`; where the target is a class index, `lse − z[t]`.
//! From probabilities `p`: `−Σ t ln clip(p, ε, 1 − ε)` with `ε = 1e-7`, as Keras, but the probabilities are taken as they are:
//! Keras first divides them by their sum, which changes nothing after a softmax. Source: I. Goodfellow, Y. Bengio, A. Courville,
//! "Deep Learning" (2016), section 6.2.2; the constant is `keras.config.epsilon()`.
//!
//! `lse` is saved for the gradient `(eᶻ⁻ˡˢᵉ Σ t − t) · dloss`. Softmax before the probability form is rewritten into the logits
//! form before a graph is differentiated or planned; that is why both forms have the same outputs.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::softmax::{BLOCK, Columns, expect_axis};
use super::{arity, expect_dtype};
use crate::contract::{CpuCall, GpuTraits, Io, Kernel, Launches, OpDef, Real, View, parallel_rows, stem};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Var};
use crate::shape::{DType, TensorSpec, resolve_axis};

/// Loss per sample, and the statistic that its gradient needs (`lse` for logits, 0 for probabilities), both of the scores' shape
/// without `axis`.
///
/// Inputs: scores `[.., c, ..]`; targets `f32` of the same shape (one-hot or soft) or `u32` class indices of the shape without
/// `axis`. An index that is not below `c` gives a loss of NaN and a gradient of 0.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CrossEntropy {
    /// The axis of the classes.
    pub axis: usize,
    /// Scores are logits, else probabilities.
    pub from_logits: bool,
}

/// The gradient with respect to the scores, from scores, targets, statistic and the loss's cotangent.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CrossEntropyGrad {
    /// The axis of the classes.
    pub axis: usize,
    /// Scores are logits, else probabilities.
    pub from_logits: bool,
}

/// Probabilities are clipped to this and to 1 less this.
const EPSILON: f64 = 1e-7;

fn check(op: &str, axis: usize, scores: &TensorSpec, targets: &TensorSpec) -> Result<()> {
    expect_dtype(op, scores, DType::F32)?;
    expect_axis(op, axis, scores)?;
    let wanted = match targets.dtype {
        DType::F32 => scores.clone(),
        DType::U32 => TensorSpec::u32(scores.shape.without(axis)),
        DType::U8 => {
            return Err(Error::dtype(op, "f32 (shares) or u32 (class indices) as targets", targets.to_string()));
        }
    };
    if *targets != wanted {
        return Err(Error::shape(op, format!("targets {wanted} for scores {scores}"), targets.to_string()));
    }
    Ok(())
}

fn kernel(entry: &'static str, from_logits: bool, targets: DType) -> Kernel {
    let kernel = Kernel::of::<CrossEntropy>(entry).define("LOGITS", u32::from(from_logits));
    kernel.define("INDEX", u32::from(targets == DType::U32))
}

impl OpDef for CrossEntropy {
    stem!("cross_entropy");

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [scores, targets] = arity("cross_entropy", inputs)?;
        check("cross_entropy", self.axis, scores, targets)?;
        Ok(vec![TensorSpec::f32(scores.shape.without(self.axis)); 2])
    }

    fn gpu(&self, io: &Io, gpu: &GpuTraits) -> Launches {
        let kernel = kernel("cross_entropy", self.from_logits, io.inputs[1].dtype);
        Columns::new(&io.inputs[0].shape, self.axis).launch(kernel, io, gpu)
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let columns = Columns::new(&call.io.inputs[0].shape, self.axis);
        let (scores, targets) = (call.x[0].f(), &call.x[1]);
        let [loss, statistic] = &mut call.y[..] else { return };
        let (loss, statistic) = (loss.f_mut(), statistic.f_mut());
        let chunk = columns.chunk();
        let run = |(index, (loss, statistic)): (usize, (&mut [T], &mut [T]))| {
            let start = index * chunk;
            for (at, first, width) in columns.runs(start, loss.len()) {
                let (loss, statistic) = (&mut loss[at..at + width], &mut statistic[at..at + width]);
                let targets = match targets {
                    View::U(ids) => Targets::Index(&ids[start + at..]),
                    soft => Targets::Soft(&soft.f()[first..]),
                };
                if self.from_logits {
                    from_logits(columns, &scores[first..], targets, loss, statistic);
                } else {
                    from_probabilities(columns, &scores[first..], targets, loss);
                    statistic.fill(T::zero());
                }
            }
        };
        if columns.count <= chunk {
            return run((0, (loss, statistic)));
        }
        loss.par_chunks_mut(chunk).zip(statistic.par_chunks_mut(chunk)).enumerate().for_each(run);
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        if ctx.cotangent(1).is_some() {
            return Ok(vec![Grad::Unsupported("the saved statistic is not meant for use"); 2]);
        }
        let (scores, targets) = (ctx.input(0), ctx.input(1));
        let dscores = || {
            let grad = CrossEntropyGrad { axis: self.axis, from_logits: self.from_logits };
            ctx.graph().push1(grad, &[scores, targets, ctx.output(1), ctx.dy()?])
        };
        let dtargets = match targets.dtype() {
            DType::F32 => Grad::Unsupported("cross-entropy with respect to its targets"),
            _ => Grad::NotDifferentiable,
        };
        Ok(vec![ctx.wanted(0, dscores)?, dtargets])
    }
}

/// The targets of a run of columns, from its first one on.
#[derive(Clone, Copy)]
enum Targets<'a, T> {
    Index(&'a [u32]),
    Soft(&'a [T]),
}

/// A run of at most [`BLOCK`] columns; `z` starts at the first one's first element.
fn from_logits<T: Real>(columns: Columns, z: &[T], targets: Targets<'_, T>, loss: &mut [T], statistic: &mut [T]) {
    let Columns { c, inner, .. } = columns;
    let (mut maxima, mut sums) = ([T::zero(); BLOCK], [T::zero(); BLOCK]);
    let (m, log_s) = (&mut maxima[..loss.len()], &mut sums[..loss.len()]);
    m.copy_from_slice(&z[..m.len()]);
    for j in 1..c {
        m.iter_mut().zip(&z[j * inner..]).for_each(|(m, z)| *m = if *z > *m { *z } else { *m });
    }
    for j in 0..c {
        log_s.iter_mut().zip(&z[j * inner..]).zip(&*m).for_each(|((s, z), m)| *s += (*z - *m).exp());
    }
    log_s.iter_mut().for_each(|s| *s = s.ln());
    statistic.iter_mut().zip(&*m).zip(&*log_s).for_each(|((lse, m), log_s)| *lse = *m + *log_s);
    match targets {
        Targets::Index(ids) => {
            for (i, loss) in loss.iter_mut().enumerate() {
                let t = ids[i] as usize;
                *loss = if t < c { log_s[i] - (z[t * inner + i] - m[i]) } else { T::nan() };
            }
        }
        Targets::Soft(t) => {
            loss.fill(T::zero());
            for j in 0..c {
                let (z, t) = (&z[j * inner..], &t[j * inner..]);
                for (i, loss) in loss.iter_mut().enumerate() {
                    *loss += t[i] * (log_s[i] - (z[i] - m[i]));
                }
            }
        }
    }
}

fn from_probabilities<T: Real>(columns: Columns, p: &[T], targets: Targets<'_, T>, loss: &mut [T]) {
    let Columns { c, inner, .. } = columns;
    let (low, high) = (T::of(EPSILON), T::of(1.0 - EPSILON));
    // Not clamp's order of comparisons: a NaN must stay one.
    let surprise = |p: T| {
        -(if p < low {
            low
        } else if p > high {
            high
        } else {
            p
        })
        .ln()
    };
    match targets {
        Targets::Index(ids) => {
            for (i, loss) in loss.iter_mut().enumerate() {
                let t = ids[i] as usize;
                *loss = if t < c { surprise(p[t * inner + i]) } else { T::nan() };
            }
        }
        Targets::Soft(t) => {
            loss.fill(T::zero());
            for j in 0..c {
                let (p, t) = (&p[j * inner..], &t[j * inner..]);
                loss.iter_mut().zip(p).zip(t).for_each(|((loss, p), t)| *loss += *t * surprise(*p));
            }
        }
    }
}

impl OpDef for CrossEntropyGrad {
    stem!("cross_entropy");

    fn name(&self) -> &str {
        "cross_entropy_grad"
    }

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [scores, targets, statistic, dloss] = arity(self.name(), inputs)?;
        check(self.name(), self.axis, scores, targets)?;
        let wanted = TensorSpec::f32(scores.shape.without(self.axis));
        if *statistic != wanted || *dloss != wanted {
            return Err(Error::shape(self.name(), format!("twice {wanted}"), format!("{statistic}, {dloss}")));
        }
        Ok(vec![scores.clone()])
    }

    fn gpu(&self, io: &Io, gpu: &GpuTraits) -> Launches {
        let kernel = kernel("cross_entropy_grad", self.from_logits, io.inputs[1].dtype).define("GRAD", 1);
        Columns::new(&io.inputs[0].shape, self.axis).launch(kernel, io, gpu)
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let columns = Columns::new(&call.io.inputs[0].shape, self.axis);
        let Columns { count, c, inner } = columns;
        let (scores, targets, statistic, dloss) = (call.x[0].f(), &call.x[1], call.x[2].f(), call.x[3].f());
        let (low, high, zero, one) = (T::of(EPSILON), T::of(1.0 - EPSILON), T::zero(), T::one());
        let from_logits = self.from_logits;
        // From the element's index, its column, its target and the sum of the column's targets.
        let slope = |at: usize, column: usize, t: T, all: T| {
            let score = scores[at];
            let d = match from_logits {
                true => (score - statistic[column]).exp() * all - t,
                false if score >= low && score <= high => -t / score,
                false => zero,
            };
            d * dloss[column]
        };
        let all = &mut call.scratch[..count];
        if let (View::F(t), true) = (targets, from_logits) {
            columns.each(all, |first, all| {
                all.fill(zero);
                for j in 0..c {
                    all.iter_mut().zip(&t[first + j * inner..]).for_each(|(all, t)| *all += *t);
                }
            });
        } else {
            all.fill(one);
        }
        // A row of the gradient is one column where its elements are neighbours, else class `row % c` of `inner` columns.
        parallel_rows(call.y[0].f_mut(), if inner == 1 { c } else { inner }, |row, d| {
            let width = d.len();
            for (k, d) in d.iter_mut().enumerate() {
                let (column, j) = if inner == 1 { (row, k) } else { (row / c * inner + k, row % c) };
                let at = row * width + k;
                *d = match targets {
                    View::U(ids) if ids[column] as usize >= c => zero,
                    View::U(ids) => slope(at, column, if ids[column] as usize == j { one } else { zero }, one),
                    soft => slope(at, column, soft.f()[at], all[column]),
                };
            }
        });
    }

    fn scratch(&self, io: &Io) -> usize {
        Columns::new(&io.inputs[0].shape, self.axis).count
    }

    fn gradient(&self, _ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok(vec![Grad::Unsupported("second derivatives of cross-entropy"); 4])
    }
}

impl Var {
    /// The cross-entropy of these scores with `targets` along `axis` (a negative one counts from the end): one loss per sample, of
    /// the scores' shape without `axis`. Take the mean of it to train.
    ///
    /// `targets` are `f32` of the scores' shape (one-hot or soft labels) or `u32` class indices of the shape without `axis`.
    /// Scores are logits with `from_logits`, else probabilities, which are clipped to 1e-7 from 0 and from 1 but not divided by
    /// their sum. Probabilities that come straight from [`Var::softmax`] along the same axis are treated as the logits before it.
    /// A class index out of range gives a loss of NaN.
    ///
    /// # Errors
    /// Where there is no such axis, or shapes or element types do not fit.
    pub fn cross_entropy(&self, targets: &Var, axis: isize, from_logits: bool) -> Result<Var> {
        let axis = resolve_axis("cross_entropy", axis, self.shape().len())?;
        Ok(self.graph.push(CrossEntropy { axis, from_logits }, &[self, targets])?.swap_remove(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Graph;

    #[test]
    fn targets_that_do_not_fit_are_refused() -> Result<()> {
        let graph = Graph::new();
        let scores = graph.input("scores", [4, 3], DType::F32)?;
        let refuse = |name: &str, shape: &[usize], dtype, part: &str| -> Result<()> {
            let targets = graph.input(name, shape, dtype)?;
            let message = match scores.cross_entropy(&targets, -1, true) {
                Ok(loss) => format!("accepted: {loss:?}"),
                Err(e) => e.to_string(),
            };
            assert!(message.contains(part), "{message}");
            Ok(())
        };
        refuse("index_column", &[4, 1], DType::U32, "expected targets u32[4] for scores f32[4, 3], got u32[4, 1]")?;
        refuse("one_class", &[4], DType::F32, "expected targets f32[4, 3] for scores f32[4, 3], got f32[4]")?;
        refuse("bytes", &[4, 3], DType::U8, "expected elements of type f32 (shares) or u32 (class indices)")?;
        let index = graph.input("index", [4], DType::U32)?;
        assert!(scores.cross_entropy(&index, 2, true).is_err());
        Ok(())
    }
}
