//! Gaussian blur along one axis, each sample with a width of its own: `y[i] = Σⱼ w[j] · x[i + j] / Σⱼ w[j]`, `w[j] = e^(−j² / 2σ²)`,
//! `|j| ≤ ⌊4σ + ½⌋`, the image mirrored beyond its edges (`b a | a b c | c b`). Source: `scipy.ndimage.gaussian_filter1d` with its defaults.

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use super::{arity, expect_dtype};
use crate::contract::{CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, grid, parallel_rows, stem};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Var};
use crate::shape::{DType, TensorSpec, resolve_axis};

/// The widest blur: every pixel is a sum of eight times as many, and one.
const MAX_SIGMA: f32 = 100.0;

/// Blurs along one axis. Inputs: floats `[batch, .., len, ..]`, and uniform numbers in [0, 1), floats `[batch, 1]`, that choose each
/// sample's σ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blur {
    /// The axis, behind the first.
    pub axis: usize,
    /// The smallest and the largest standard deviation, in pixels. Below ⅛ a sample stays as it is.
    pub sigma: [f32; 2],
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    sigma: [f32; 2],
    n: u32,
    planes: u32,
    len: u32,
    inner: u32,
    pad: [u32; 2],
}

impl Blur {
    /// Refuses settings that make no sense.
    ///
    /// # Errors
    /// [`Error::Parameter`], naming the setting.
    pub fn check(&self) -> Result<()> {
        let [low, high] = self.sigma;
        if low >= 0.0 && low <= high && high <= MAX_SIGMA {
            return Ok(());
        }
        let expected = format!("two widths from 0 to {MAX_SIGMA}, the smaller first");
        Err(Error::parameter("blur", "sigma", expected, format!("{low} to {high}")))
    }
}

impl OpDef for Blur {
    stem!("blur");

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [x, u] = arity("blur", inputs)?;
        self.check()?;
        expect_dtype("blur", x, DType::F32)?;
        if !(1..x.shape.len()).contains(&self.axis) {
            return Err(Error::parameter("blur", "axis", format!("an axis of {x} behind the first"), self.axis));
        }
        let expected = TensorSpec::f32([x.shape[0], 1]);
        if *u != expected {
            return Err(Error::shape("blur", format!("uniform numbers {expected}"), u.to_string()));
        }
        // Kernels count elements in 32 bits.
        if x.shape.elements() >= 1 << 31 || x.shape[self.axis] >= 1 << 28 {
            return Err(Error::shape("blur", "fewer than 2³¹ elements, 2²⁸ of them along the axis", x.to_string()));
        }
        Ok(vec![x.clone()])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let shape = &io.inputs[0].shape;
        let (outer, len, inner) = shape.around(self.axis);
        let params = Params {
            sigma: self.sigma,
            n: shape.elements() as u32,
            planes: (outer / shape[0]) as u32,
            len: len as u32,
            inner: inner as u32,
            pad: [0; 2],
        };
        let radius = (4.0 * self.sigma[1] + 0.5).ceil() as u64;
        let launch = Launch::new(Kernel::of::<Self>("blur"), &params, grid(shape.elements()));
        launch.iterations(2 * radius + 1).bind_all(io).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let shape = &call.io.inputs[0].shape;
        let (outer, len, inner) = shape.around(self.axis);
        let planes = outer / shape[0];
        let (x, draws) = (call.x[0].f(), call.x[1].f());
        let of = |x: f32| T::of(f64::from(x));
        let [low, high] = self.sigma.map(of);
        // Each sample's weights, of one side.
        let weights = |u: &T| {
            let sigma = low + (high - low) * *u;
            let radius = (T::of(4.0) * sigma + T::of(0.5)).floor().f64() as i64;
            let weight = |j: i64| (T::of(-0.5) / (sigma * sigma) * T::of((j * j) as f64)).exp();
            if radius == 0 { vec![T::one()] } else { (0..=radius).map(weight).collect() }
        };
        let weights: Vec<Vec<T>> = draws.iter().map(weights).collect();
        let mirrored = |i: i64| {
            let (at, len) = (i.rem_euclid(2 * len as i64), len as i64);
            (if at >= len { 2 * len - 1 - at } else { at }) as usize
        };
        parallel_rows(call.y[0].f_mut(), len * inner, |plane, y| {
            let x = &x[plane * len * inner..][..len * inner];
            let weights = &weights[plane / planes];
            if weights.len() == 1 {
                return y.copy_from_slice(x);
            }
            let radius = weights.len() as i64 - 1;
            for (at, y) in y.chunks_exact_mut(inner).enumerate() {
                y.fill(T::zero());
                let mut total = T::zero();
                for j in -radius..=radius {
                    let i = at as i64 + j;
                    let i = if (0..len as i64).contains(&i) { i as usize } else { mirrored(i) };
                    let w = weights[j.unsigned_abs() as usize];
                    y.iter_mut().zip(&x[i * inner..][..inner]).for_each(|(y, x)| *y += w * *x);
                    total += w;
                }
                y.iter_mut().for_each(|y| *y /= total);
            }
        });
    }

    fn gradient(&self, _ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok(vec![Grad::NotDifferentiable; 2])
    }
}

impl Var {
    /// Blurred along `axis` (a negative one counts from the end), each sample with a standard deviation between the two of `sigma` that
    /// its number of `draws`, uniform, `[batch, 1]`, chooses: see [`Blur`]. It has no gradient.
    ///
    /// # Errors
    /// Where a setting makes no sense or a shape does not fit.
    pub fn blur(&self, axis: isize, sigma: [f32; 2], draws: &Var) -> Result<Var> {
        let axis = resolve_axis("blur", axis, self.shape().len())?;
        self.graph.push1(Blur { axis, sigma }, &[self, draws])
    }
}
