//! Brightness, contrast and gamma of images, each sample's its own, in one pass:
//!
//! - brightness: `x + d`, `d` uniform within ± `brightness · (high − low)`;
//! - contrast: `m + f · (x − m)`, `m` the mean of the channel, `f` uniform between two factors;
//! - gamma: `low + (high − low) · ((x − low) / (high − low))ᵍ`, `g` uniform between two exponents, of what is brought into the range first.
//!
//! Sources: Keras, `RandomBrightness` and `RandomContrast`; F. Isensee et al., "nnU-Net", Nature Methods 18 (2021), for gamma.

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use super::{arity, expect_dtype};
use crate::contract::{
    CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, exact, grid, parallel_rows, stem,
};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Var};
use crate::shape::{DType, TensorSpec};

/// Changes brightness, contrast and gamma. Inputs: images, floats `[batch, channels, ..]`; uniform numbers in [0, 1), floats
/// `[batch, 3]`, one for each change; and, where the contrast changes, the mean of every channel, floats `[batch, channels]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Colour {
    /// The largest change of brightness either way, as a share of the range.
    #[serde(with = "exact")]
    pub brightness: f32,
    /// The smallest and the largest factor of contrast; both 1 leave it as it is.
    pub contrast: [f32; 2],
    /// The smallest and the largest exponent; both 1 leave the image as it is.
    pub gamma: [f32; 2],
    /// Black and white.
    pub range: [f32; 2],
    /// Whether the result is cut off at the ends of the range.
    pub clip: bool,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    contrast: [f32; 2],
    gamma: [f32; 2],
    range: [f32; 2],
    n: u32,
    inner: u32,
    channels: u32,
    brightness: f32,
    pad: [u32; 2],
}

impl Colour {
    /// Whether the contrast changes, so that the means are needed.
    pub fn has_contrast(&self) -> bool {
        self.contrast != [1.0; 2]
    }

    fn has_gamma(&self) -> bool {
        self.gamma != [1.0; 2]
    }

    /// Refuses settings that make no sense.
    ///
    /// # Errors
    /// [`Error::Parameter`], naming the setting.
    pub fn check(&self) -> Result<()> {
        let refuse = |what, expected, actual: String| Err(Error::parameter("colour", what, expected, actual));
        if !(0.0..=1.0).contains(&self.brightness) {
            return refuse("brightness", "a share of the range, 0 to 1", self.brightness.to_string());
        }
        for (what, [low, high], least) in [("contrast", self.contrast, 0.0), ("gamma", self.gamma, 0.01)] {
            if !(low >= least && low <= high && high <= 100.0) {
                return refuse(what, "two factors up to 100, the smaller first", format!("{low} to {high}"));
            }
        }
        let [low, high] = self.range;
        if !(low < high && (high - low).is_finite()) {
            return refuse("range", "black below white", format!("{low} to {high}"));
        }
        Ok(())
    }
}

impl OpDef for Colour {
    stem!("colour");

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        self.check()?;
        let (x, u) = match (inputs, self.has_contrast()) {
            ([x, u], false) => (x, u),
            ([x, u, mean], true) => {
                let expected = TensorSpec::f32(x.shape.get(..2).unwrap_or_default());
                if *mean != expected {
                    return Err(Error::shape("colour", format!("means {expected}"), mean.to_string()));
                }
                (x, u)
            }
            (_, contrast) if contrast => return arity::<3>("colour", inputs).map(|_| Vec::new()),
            _ => return arity::<2>("colour", inputs).map(|_| Vec::new()),
        };
        expect_dtype("colour", x, DType::F32)?;
        if x.shape.len() < 3 || x.shape.elements() >= 1 << 31 {
            return Err(Error::shape("colour", "images [batch, channels, ..]", x.to_string()));
        }
        let expected = TensorSpec::f32([x.shape[0], 3]);
        if *u != expected {
            return Err(Error::shape("colour", format!("uniform numbers {expected}"), u.to_string()));
        }
        Ok(vec![x.clone()])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let x = &io.inputs[0].shape;
        let n = x.elements();
        let params = Params {
            contrast: self.contrast,
            gamma: self.gamma,
            range: self.range,
            n: n as u32,
            inner: (n / x[0] / x[1]) as u32,
            channels: x[1] as u32,
            brightness: self.brightness,
            pad: [0; 2],
        };
        let kernel = Kernel::of::<Self>("colour")
            .define("CONTRAST", u32::from(self.has_contrast()))
            .define("GAMMA", u32::from(self.has_gamma()))
            .define("CLIP", u32::from(self.clip));
        Launch::new(kernel, &params, grid(n)).bind_all(io).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let shape = &call.io.inputs[0].shape;
        let (channels, inner) = (shape[1], shape.elements() / shape[0] / shape[1]);
        let of = |x: f32| T::of(f64::from(x));
        let (x, draws, one) = (call.x[0].f(), call.x[1].f(), T::one());
        let mean = if self.has_contrast() { Some(call.x[2].f()) } else { None };
        let [low, high] = self.range.map(of);
        let between = |[a, b]: [f32; 2], u: T| of(a) + (of(b) - of(a)) * u;
        parallel_rows(call.y[0].f_mut(), inner, |plane, y| {
            let u = &draws[plane / channels * 3..][..3];
            let d = (T::of(2.0) * u[0] - one) * of(self.brightness) * (high - low);
            let (f, g) = (between(self.contrast, u[1]), between(self.gamma, u[2]));
            for (y, x) in y.iter_mut().zip(&x[plane * inner..]) {
                let mut v = *x + d;
                // A factor of 1 leaves every bit as it is.
                if let Some(mean) = mean.filter(|_| f != one) {
                    let m = mean[plane] + d;
                    v = m + f * (v - m);
                }
                if self.has_gamma() && g != one {
                    v = low + (high - low) * ((v - low) / (high - low)).max(T::zero()).min(one).powf(g);
                }
                *y = if self.clip { v.max(low).min(high) } else { v };
            }
        });
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok(vec![Grad::NotDifferentiable; ctx.inputs()])
    }
}

impl Var {
    /// The images `[batch, channels, ..]` in other brightness, contrast and gamma, chosen by uniform numbers `[batch, 3]`: see [`Colour`].
    /// It has no gradient.
    ///
    /// # Errors
    /// Where a setting makes no sense or a shape does not fit.
    pub fn colour(&self, settings: &Colour, draws: &Var) -> Result<Var> {
        if !settings.has_contrast() {
            return self.graph.push1(settings.clone(), &[self, draws]);
        }
        let axes: Vec<isize> = (2..self.shape().len() as isize).collect();
        self.graph.push1(settings.clone(), &[self, draws, &self.mean(&axes, false)?])
    }
}
