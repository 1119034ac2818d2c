//! Softmax over the positions that may be attended to, its gradient, and attention made of it.
//!
//! `y_j = eˢˣʲ⁻ᵐ / Σ eˢˣ⁻ᵐ` over the allowed positions `j` of the last axis, with `m = max s·x` over them and the scale `s`; the other
//! positions are exactly 0, and so is a row in which no position is allowed. Scale, mask and softmax are one pass over memory.
//!
//! Positions are left out rather than moved to a large negative score: that gives the same numbers wherever a position is allowed,
//! whatever the size of the scores, and a row without any attends to nothing instead of to its padding.
//!
//! Attention is `softmax(q · kᵀ / √depth) · v`. Source: A. Vaswani et al., "Attention is all you need", NeurIPS 2017.

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use super::softmax::Columns;
use super::{arity, expect_dtype, indices};
use crate::contract::exact;
use crate::contract::{CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, parallel_rows, stem};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Var};
use crate::shape::{DType, TensorSpec};

/// `y = softmax(scale · x)` over the allowed positions of the last axis, 0 elsewhere. Inputs: `x` `[batch, .., query, key]`, then the
/// lengths and the mask where there are any.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaskedSoftmax {
    /// What the scores are multiplied with.
    #[serde(with = "exact")]
    pub scale: f32,
    /// Query `i` sees the keys `0..=i` only.
    pub causal: bool,
    /// There are lengths, `u32` `[batch]`: keys from there on are not seen.
    pub lengths: bool,
    /// There is a mask, `f32`, of as many dimensions as `x`, each as in `x` or 1: a key is seen where it is not 0.
    pub mask: bool,
}

/// `dx = scale · y (dy − Σ dy y)` from `y` and `dy` `[.., query, key]`. Where a position is masked `y` is 0, and so is `dx`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaskedSoftmaxGrad {
    /// As in the softmax.
    #[serde(with = "exact")]
    pub scale: f32,
    /// As in the softmax.
    pub causal: bool,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    dims: [u32; 8],
    steps: [u32; 8],
    columns: u32,
    c: u32,
    /// Always 1: a column is a row.
    inner: u32,
    /// Rows of one sample.
    rows: u32,
    queries: u32,
    step: u32,
    scale: f32,
    pad: u32,
}

/// Elements of a row that a lane keeps in registers; longer rows are read again.
const REGISTERS: usize = 8;

impl Params {
    fn new(x: &TensorSpec, mask: Option<&TensorSpec>, scale: f32) -> Self {
        let (lead, c) = (&x.shape[..x.shape.len() - 1], x.shape[x.shape.len() - 1]);
        let steps = mask.map_or(vec![0; x.shape.len()], |m| m.shape.broadcast_strides(&x.shape));
        let columns: usize = lead.iter().product();
        Params {
            dims: indices(lead, 1),
            steps: indices(&steps[..lead.len()], 0),
            columns: columns as u32,
            c: c as u32,
            inner: 1,
            rows: (columns / lead[0]) as u32,
            queries: queries(x) as u32,
            step: steps[lead.len()] as u32,
            scale,
            pad: 0,
        }
    }
}

/// Rows of one sample and head, among which `causal` counts.
fn queries(x: &TensorSpec) -> usize {
    if x.shape.len() > 2 { x.shape[x.shape.len() - 2] } else { 1 }
}

/// One dispatch over the rows of `x`: see [`Columns::cut`]. A workgroup's lanes keep what they read in registers where it fits.
fn launch(kernel: Kernel, params: &Params, io: &Io, gpu: &GpuTraits) -> Launches {
    let x = &io.inputs[0].shape;
    let cut = Columns::new(x, x.len() - 1).cut(gpu);
    let per_lane = (params.c as usize).div_ceil(cut.lanes).next_power_of_two();
    let registers = if cut.lanes > 1 && per_lane <= REGISTERS { per_lane } else { 0 };
    let kernel = kernel.define("LANES", cut.lanes).define("WIDTH", cut.width).define("REGISTERS", registers);
    Launch::new(kernel, params, cut.groups).bind_all(io).into()
}

impl MaskedSoftmax {
    /// The lengths and the mask, as indices of inputs.
    fn places(&self) -> (Option<usize>, Option<usize>) {
        (self.lengths.then_some(1), self.mask.then_some(1 + usize::from(self.lengths)))
    }
}

/// What both ops ask of scores: floats with a sample's axis, a key's, and for a causal mask a query's between them.
fn expect_scores(op: &str, x: &TensorSpec, scale: f32, causal: bool) -> Result<()> {
    expect_dtype(op, x, DType::F32)?;
    if x.shape.len() < if causal { 3 } else { 2 } {
        let expected = if causal { "[batch, .., query, key] for a causal mask" } else { "[batch, .., key]" };
        return Err(Error::shape(op, expected, x.to_string()));
    }
    if !scale.is_finite() {
        return Err(Error::parameter(op, "scale", "finite", scale));
    }
    Ok(())
}

impl OpDef for MaskedSoftmax {
    stem!("masked_softmax");

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let count = 1 + usize::from(self.lengths) + usize::from(self.mask);
        if inputs.len() != count {
            return Err(Error::shape(Self::STEM, format!("{count} tensors"), format!("{} tensors", inputs.len())));
        }
        let x = &inputs[0];
        expect_scores(Self::STEM, x, self.scale, self.causal)?;
        let (lengths, mask) = self.places();
        if let Some(lengths) = lengths.map(|i| &inputs[i]) {
            expect_dtype(Self::STEM, lengths, DType::U32)?;
            if *lengths.shape != x.shape[..1] {
                let expected = format!("lengths [{}], one for every sample of {x}", x.shape[0]);
                return Err(Error::shape(Self::STEM, expected, lengths.to_string()));
            }
        }
        if let Some(mask) = mask.map(|i| &inputs[i]) {
            expect_dtype(Self::STEM, mask, DType::F32)?;
            // As many dimensions as the scores: [batch, key] must not be taken for [query, key] where the two are equal.
            let fits =
                mask.shape.len() == x.shape.len() && mask.shape.iter().zip(&*x.shape).all(|(m, x)| m == x || *m == 1);
            if !fits {
                let expected = format!("a mask of {} dimensions, each as in {} or 1", x.shape.len(), x.shape);
                return Err(Error::shape(Self::STEM, expected, mask.to_string()));
            }
        }
        Ok(vec![x.clone()])
    }

    fn gpu(&self, io: &Io, gpu: &GpuTraits) -> Launches {
        let x = &io.inputs[0];
        let params = Params::new(x, self.places().1.map(|i| &io.inputs[i]), self.scale);
        let kernel = Kernel::of::<Self>("masked_softmax")
            .define("CAUSAL", u32::from(self.causal))
            .define("LENGTHS", u32::from(self.lengths))
            .define("MASK", u32::from(self.mask))
            .define("RANK", x.shape.len() - 1);
        launch(kernel, &params, io, gpu)
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let (spec, (lengths, mask)) = (&call.io.inputs[0], self.places());
        let p = Params::new(spec, mask.map(|i| &call.io.inputs[i]), self.scale);
        let (x, lengths, mask) = (call.x[0].f(), lengths.map(|i| call.x[i].u()), mask.map(|i| call.x[i].f()));
        let (c, queries, scale) = (p.c as usize, p.queries as usize, T::of(f64::from(self.scale)));
        let rank = spec.shape.len() - 1;
        parallel_rows(call.y[0].f_mut(), c, |row, y| {
            let mut end = if self.causal { c.min(row % queries + 1) } else { c };
            if let Some(lengths) = lengths {
                end = end.min(lengths[row / p.rows as usize] as usize);
            }
            let (y, hidden) = y.split_at_mut(end);
            hidden.fill(T::zero());
            let x = &x[row * c..][..end];
            let Some(mask) = mask else {
                return softmax_of(x, y, scale, |_| true);
            };
            let (mut rest, mut first) = (row, 0);
            for axis in (0..rank).rev() {
                first += rest % p.dims[axis] as usize * p.steps[axis] as usize;
                rest /= p.dims[axis] as usize;
            }
            softmax_of(x, y, scale, |j| mask[first + j * p.step as usize] != T::zero());
        });
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        let grad = MaskedSoftmaxGrad { scale: self.scale, causal: self.causal };
        let mut grads = vec![Grad::NotDifferentiable; ctx.inputs()];
        grads[0] = ctx.wanted(0, || ctx.graph().push1(grad, &[ctx.output(0), ctx.dy()?]))?;
        Ok(grads)
    }
}

/// The softmax of `scale · x` over the positions that are `seen`.
#[inline(always)]
fn softmax_of<T: Real>(x: &[T], y: &mut [T], scale: T, seen: impl Fn(usize) -> bool) {
    let mut m = T::min_value();
    for (j, x) in x.iter().enumerate() {
        let v = scale * *x;
        // A NaN stays, so that a network that went bad is seen to have gone bad.
        m = if seen(j) && (v > m || v.is_nan()) { v } else { m };
    }
    let mut s = T::zero();
    for (j, (y, x)) in y.iter_mut().zip(x).enumerate() {
        *y = if seen(j) { (scale * *x - m).exp() } else { T::zero() };
        s += *y;
    }
    for (j, y) in y.iter_mut().enumerate() {
        *y = if seen(j) { *y / s } else { T::zero() };
    }
}

impl OpDef for MaskedSoftmaxGrad {
    stem!("masked_softmax");

    fn name(&self) -> &str {
        "masked_softmax_grad"
    }

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [y, dy] = arity(self.name(), inputs)?;
        expect_scores(self.name(), y, self.scale, self.causal)?;
        if y != dy {
            return Err(Error::shape(self.name(), format!("twice {y}"), format!("{y}, {dy}")));
        }
        Ok(vec![y.clone()])
    }

    fn gpu(&self, io: &Io, gpu: &GpuTraits) -> Launches {
        let params = Params::new(&io.inputs[0], None, self.scale);
        // Lengths and mask are told by the zeros of y.
        let kernel = Kernel::of::<Self>("masked_softmax_grad")
            .define("GRAD", 1)
            .define("CAUSAL", u32::from(self.causal))
            .define("LENGTHS", 0)
            .define("MASK", 0);
        launch(kernel, &params, io, gpu)
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let spec = &call.io.inputs[0];
        let (c, queries, scale) = (spec.shape[spec.shape.len() - 1], queries(spec), T::of(f64::from(self.scale)));
        let (y, dy) = (call.x[0].f(), call.x[1].f());
        parallel_rows(call.y[0].f_mut(), c, |row, dx| {
            let (dx, hidden) = dx.split_at_mut(if self.causal { c.min(row % queries + 1) } else { c });
            hidden.fill(T::zero());
            let (y, dy) = (&y[row * c..][..dx.len()], &dy[row * c..][..dx.len()]);
            let s = y.iter().zip(dy).map(|(y, dy)| *y * *dy).sum::<T>();
            dx.iter_mut().zip(y).zip(dy).for_each(|((dx, y), dy)| *dx = scale * (*y * (*dy - s)));
        });
    }

    fn gradient(&self, _ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok(vec![Grad::Unsupported("second derivatives of softmax"); 2])
    }
}

/// Which keys a query may attend to; all of them by default, else those that every condition allows.
#[derive(Clone, Debug, Default)]
pub struct AttentionMask {
    causal: bool,
    lengths: Option<Var>,
    mask: Option<Var>,
}

impl AttentionMask {
    /// Every query sees every key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Query `i` sees the keys `0..=i` only: no look into the future.
    #[must_use]
    pub fn causal(self) -> Self {
        AttentionMask { causal: true, ..self }
    }

    /// Of sample `b` only the first `lengths[b]` keys are seen; `lengths` is `u32` `[batch]`. Longer than the keys means all.
    #[must_use]
    pub fn lengths(self, lengths: &Var) -> Self {
        AttentionMask { lengths: Some(lengths.clone()), ..self }
    }

    /// Keys are seen where `mask` is not 0: `f32`, with as many dimensions as the scores (`[batch, heads, query, key]`), each as there
    /// or 1.
    #[must_use]
    pub fn mask(self, mask: &Var) -> Self {
        AttentionMask { mask: Some(mask.clone()), ..self }
    }
}

impl AttentionMask {
    /// The same for scores `[batch, heads, query, key]`: a mask `[batch, key]` or `[batch, query, key]` is that of every head.
    pub(crate) fn over_heads(mut self) -> Result<Self> {
        if let Some(mask) = &self.mask {
            self.mask = Some(match *mask.shape() {
                [batch, key] => mask.reshape([batch, 1, 1, key])?,
                [batch, query, key] => mask.reshape([batch, 1, query, key])?,
                _ => mask.clone(),
            });
        }
        Ok(self)
    }
}

/// How [`Var::scaled_dot_product_attention`] attends.
#[derive(Clone, Debug, Default)]
pub struct AttentionOptions {
    mask: AttentionMask,
    scale: Option<f32>,
    dropout: Option<(f32, u32, Var)>,
}

impl AttentionOptions {
    /// All keys are seen, scores are divided by `√depth`, and no weight is dropped.
    pub fn new() -> Self {
        Self::default()
    }

    /// Which keys are seen.
    #[must_use]
    pub fn mask(self, mask: AttentionMask) -> Self {
        AttentionOptions { mask, ..self }
    }

    /// Scores are multiplied by this instead of `1 / √depth`.
    #[must_use]
    pub fn scale(self, scale: f32) -> Self {
        AttentionOptions { scale: Some(scale), ..self }
    }

    /// Weights are set to 0 with probability `rate`, the others scaled up: see [`Var::dropout`].
    #[must_use]
    pub fn dropout(self, rate: f32, stream: u32, clock: &Var) -> Self {
        AttentionOptions { dropout: Some((rate, stream, clock.clone())), ..self }
    }
}

impl Var {
    /// `softmax(scale · x)` over the keys that `mask` allows, for scores `[batch, .., query, key]` (or `[batch, key]`): the same shape,
    /// exactly 0 where a key is not seen. A query that sees no key gets zeros.
    ///
    /// # Errors
    /// Where these are no such scores, the mask does not fit them, or `scale` is not finite.
    pub fn masked_softmax(&self, scale: f32, mask: &AttentionMask) -> Result<Var> {
        let op =
            MaskedSoftmax { scale, causal: mask.causal, lengths: mask.lengths.is_some(), mask: mask.mask.is_some() };
        let inputs: Vec<&Var> = [self].into_iter().chain(&mask.lengths).chain(&mask.mask).collect();
        self.graph.push1(op, &inputs)
    }

    /// The attention weights of these queries `[batch, .., query, depth]` over `keys` `[batch, .., key, depth]`:
    /// `softmax(q · kᵀ / √depth)` `[batch, .., query, key]`. Every row sums to 1, or to 0 where no key is seen. Nothing is dropped.
    ///
    /// # Errors
    /// Where the shapes do not fit each other or the mask does not fit them.
    pub fn attention_weights(&self, keys: &Var, options: &AttentionOptions) -> Result<Var> {
        const OP: &str = "scaled_dot_product_attention";
        let (q, k) = (self.shape(), keys.shape());
        if q.len() < 3 || k.len() != q.len() || k.last() != q.last() {
            let expected = "queries [batch, .., query, depth] and keys [batch, .., key, depth]";
            return Err(Error::shape(OP, expected, format!("{q} and {k}")).in_layer(&self.graph.layer()));
        }
        let depth = q[q.len() - 1] as f64;
        let scale = options.scale.unwrap_or((1.0 / depth.sqrt()) as f32);
        self.matmul_with(keys, false, true)?.masked_softmax(scale, &options.mask)
    }

    /// Attention: for these queries `[batch, heads, query, depth]`, keys `[batch, heads, key, depth]` and values
    /// `[batch, heads, key, width]` it gives `softmax(q · kᵀ / √depth) · v`, `[batch, heads, query, width]`. There may be any number of
    /// dimensions before the last two; where keys and values have 1 there, all queries share them. A query that sees no key
    /// gets zeros.
    ///
    /// # Errors
    /// Where the shapes do not fit each other, the mask does not fit them, or the dropout rate is not in 0..1.
    pub fn scaled_dot_product_attention(&self, keys: &Var, values: &Var, options: &AttentionOptions) -> Result<Var> {
        let mut weights = self.attention_weights(keys, options)?;
        if let Some((rate, stream, clock)) = &options.dropout {
            weights = weights.dropout(*rate, *stream, clock)?;
        }
        weights.matmul(values)
    }
}
