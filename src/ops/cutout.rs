//! Cutout: a rectangle around a random pixel is set to one value in all channels; beyond the edges it is cut off. Source: T. DeVries,
//! G. Taylor, "Improved regularization of convolutional neural networks with cutout", arXiv 1708.04552 (2017).

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use super::{arity, expect_dtype};
use crate::contract::{
    CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, exact, grid, parallel_rows, stem,
};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Var};
use crate::shape::{DType, TensorSpec};

/// Sets a rectangle of some samples to one value. Inputs: images, floats `[batch, channels, h, w]`, and uniform numbers in [0, 1), floats
/// `[batch, 3]`: whether, around which row, and around which column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cutout {
    /// Rows and columns of the rectangle.
    pub size: [usize; 2],
    /// The share of samples that have one.
    #[serde(with = "exact")]
    pub probability: f32,
    /// What it holds.
    #[serde(with = "exact")]
    pub fill: f32,
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    n: u32,
    channels: u32,
    height: u32,
    width: u32,
    rows: u32,
    columns: u32,
    probability: f32,
    fill: f32,
}

impl Cutout {
    /// Refuses settings that make no sense.
    ///
    /// # Errors
    /// [`Error::Parameter`], naming the setting.
    pub fn check(&self) -> Result<()> {
        if self.size.iter().any(|s| !(1..1 << 28).contains(s)) {
            return Err(Error::parameter("cutout", "size", "at least 1", format!("{:?}", self.size)));
        }
        if !(0.0..=1.0).contains(&self.probability) {
            return Err(Error::parameter("cutout", "probability", "0 to 1", self.probability));
        }
        if !self.fill.is_finite() {
            return Err(Error::parameter("cutout", "fill", "finite", self.fill));
        }
        Ok(())
    }
}

impl OpDef for Cutout {
    stem!("cutout");

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [x, u] = arity("cutout", inputs)?;
        self.check()?;
        expect_dtype("cutout", x, DType::F32)?;
        let [batch, _, height, width] = *x.shape else {
            return Err(Error::shape("cutout", "images [batch, channels, h, w]", x.to_string()));
        };
        // Kernels count elements in 32 bits.
        if x.shape.elements() >= 1 << 31 || height.max(width) >= 1 << 28 {
            return Err(Error::shape("cutout", "fewer than 2³¹ elements, 2²⁸ of them along an axis", x.to_string()));
        }
        let expected = TensorSpec::f32([batch, 3]);
        if *u != expected {
            return Err(Error::shape("cutout", format!("uniform numbers {expected}"), u.to_string()));
        }
        Ok(vec![x.clone()])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let x = &io.inputs[0].shape;
        let params = Params {
            n: x.elements() as u32,
            channels: x[1] as u32,
            height: x[2] as u32,
            width: x[3] as u32,
            rows: self.size[0] as u32,
            columns: self.size[1] as u32,
            probability: self.probability,
            fill: self.fill,
        };
        Launch::new(Kernel::of::<Self>("cutout"), &params, grid(x.elements())).bind_all(io).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let shape = &call.io.inputs[0].shape;
        let (channels, height, width) = (shape[1], shape[2], shape[3]);
        let (x, draws) = (call.x[0].f(), call.x[1].f());
        // The first of the places around the one that is chosen, and the one behind the last.
        let around = |u: T, len: usize, extent: usize| {
            let centre = ((u * T::of(len as f64)).f64() as i64).min(len as i64 - 1);
            let start = centre - extent as i64 / 2;
            let inside = |i: i64| i.clamp(0, len as i64) as usize;
            inside(start)..inside(start + extent as i64)
        };
        let (probability, fill) = (T::of(f64::from(self.probability)), T::of(f64::from(self.fill)));
        parallel_rows(call.y[0].f_mut(), width, |row, y| {
            y.copy_from_slice(&x[row * width..][..width]);
            let u = &draws[row / height / channels * 3..][..3];
            if u[0] < probability && around(u[1], height, self.size[0]).contains(&(row % height)) {
                y[around(u[2], width, self.size[1])].fill(fill);
            }
        });
    }

    fn gradient(&self, _ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok(vec![Grad::NotDifferentiable; 2])
    }
}

impl Var {
    /// The images `[batch, channels, h, w]` with a rectangle cut out of some, as uniform numbers `[batch, 3]` choose: see [`Cutout`].
    /// It has no gradient.
    ///
    /// # Errors
    /// Where a setting makes no sense or a shape does not fit.
    pub fn cutout(&self, settings: &Cutout, draws: &Var) -> Result<Var> {
        self.graph.push1(settings.clone(), &[self, draws])
    }
}
