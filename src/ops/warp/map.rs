use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use crate::contract::exact;

use crate::contract::{CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, grid, parallel_rows};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx};
use crate::ops::{arity, expect_dtype};
use crate::shape::{DType, TensorSpec};

/// Uniform numbers that choose a map.
pub const DRAWS: usize = 8;

/// How an image is flipped, sheared, turned, magnified and shifted, in this order, about its centre; from uniform numbers in [0, 1),
/// floats `[batch, 8]`, to the maps of [`Warp`](super::Warp), `[batch, 6]`.
///
/// The numbers choose in this order: flip of the columns, of the rows (below ½ means yes), quarter turns, angle, shift of columns, of
/// rows, magnification, shear. A quarter turn is exact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WarpMap {
    /// Columns and rows of the images: shifts are shares of them.
    pub size: [usize; 2],
    /// Whether columns, and whether rows, are put in reverse for half of the samples.
    pub flip: [bool; 2],
    /// Whether each of the four quarter turns is as likely.
    pub quarter_turns: bool,
    /// The largest angle either way, in degrees.
    #[serde(with = "exact")]
    pub rotation: f32,
    /// The largest shift of columns and of rows either way, as shares of the image.
    pub shift: [f32; 2],
    /// The smallest and the largest magnification; above 1 the image becomes larger.
    pub zoom: [f32; 2],
    /// The largest angle by which upright lines lean either way, in degrees.
    #[serde(with = "exact")]
    pub shear: f32,
}

impl WarpMap {
    /// The map that changes nothing, for images of so many columns and rows.
    pub fn identity(size: [usize; 2]) -> WarpMap {
        WarpMap {
            size,
            flip: [false; 2],
            quarter_turns: false,
            rotation: 0.0,
            shift: [0.0; 2],
            zoom: [1.0; 2],
            shear: 0.0,
        }
    }

    /// Refuses settings that make no sense.
    ///
    /// # Errors
    /// [`Error::Parameter`], naming the setting.
    pub fn check(&self) -> Result<()> {
        let refuse = |what, expected, actual: String| Err(Error::parameter("warp", what, expected, actual));
        if !(0.0..=180.0).contains(&self.rotation) {
            return refuse("rotation", "0 to 180 degrees", self.rotation.to_string());
        }
        if !(0.0..=60.0).contains(&self.shear) {
            return refuse("shear", "0 to 60 degrees", self.shear.to_string());
        }
        if !self.shift.iter().all(|s| (0.0..=1.0).contains(s)) {
            return refuse("shift", "a share of the image, 0 to 1", format!("{:?}", self.shift));
        }
        let [low, high] = self.zoom;
        if !(low >= 0.01 && high <= 100.0 && low <= high) {
            return refuse("zoom", "from 0.01 to 100, the smaller factor first", format!("{low} to {high}"));
        }
        if self.quarter_turns && self.size[0] != self.size[1] {
            let size = format!("{} columns and {} rows", self.size[0], self.size[1]);
            return refuse("quarter turns", "of images as wide as high", size);
        }
        Ok(())
    }
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    flip: [u32; 2],
    size: [f32; 2],
    shift: [f32; 2],
    zoom: [f32; 2],
    n: u32,
    quarters: u32,
    rotation: f32,
    shear: f32,
}

impl OpDef for WarpMap {
    const STEM: &'static str = "warp";
    const SHADER: &'static str = include_str!("../../../shaders/warp.wgsl");

    fn name(&self) -> &str {
        "warp_map"
    }

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [u] = arity("warp_map", inputs)?;
        expect_dtype("warp_map", u, DType::F32)?;
        self.check()?;
        match *u.shape {
            [batch, DRAWS] => Ok(vec![TensorSpec::f32([batch, 6])]),
            _ => Err(Error::shape("warp_map", format!("uniform numbers [batch, {DRAWS}]"), u.to_string())),
        }
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let n = io.inputs[0].shape[0];
        let params = Params {
            flip: self.flip.map(u32::from),
            size: self.size.map(|s| s as f32),
            shift: self.shift,
            zoom: self.zoom,
            n: n as u32,
            quarters: u32::from(self.quarter_turns),
            rotation: self.rotation,
            shear: self.shear,
        };
        let kernel = Kernel::of::<Self>("warp_map").define("KIND", "map").define("DRAWS", DRAWS);
        Launch::new(kernel, &params, grid(n)).bind_all(io).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let draws = call.x[0].f();
        let of = |x: f32| T::of(f64::from(x));
        let one = T::one();
        // From -1 to 1.
        let either = |u: T| T::of(2.0) * u - one;
        let sign = |on: bool, u: T| if on && u < T::of(0.5) { -one } else { one };
        parallel_rows(call.y[0].f_mut(), 6, |sample, map| {
            let u = &draws[sample * DRAWS..][..DRAWS];
            let (flip_x, flip_y) = (sign(self.flip[0], u[0]), sign(self.flip[1], u[1]));
            // Whole quarters are taken out while the angle is in degrees, so that they turn the image exactly.
            let degrees = either(u[3]) * of(self.rotation);
            let whole = (degrees / T::of(90.0)).round();
            let rest = (degrees - T::of(90.0) * whole).to_radians();
            let turns = if self.quarter_turns { (T::of(4.0) * u[2]).floor() } else { T::zero() };
            let (s, c) = match ((whole + turns).f64() as i64).rem_euclid(4) {
                0 => (rest.sin(), rest.cos()),
                1 => (rest.cos(), -rest.sin()),
                2 => (-rest.sin(), -rest.cos()),
                _ => (-rest.cos(), rest.sin()),
            };
            let shift = [0, 1].map(|i| either(u[4 + i]) * of(self.shift[i]) * T::of(self.size[i] as f64));
            let zoom = of(self.zoom[0]) + (of(self.zoom[1]) - of(self.zoom[0])) * u[6];
            let k = (either(u[7]) * of(self.shear)).to_radians().tan();
            let rows = [[flip_x * (c - k * s), flip_x * (-s - k * c)], [flip_y * s, flip_y * c]];
            for (row, map) in rows.iter().zip(map.chunks_exact_mut(3)) {
                let [a, b] = row.map(|m| m / zoom);
                map.copy_from_slice(&[a, b, -(a * shift[0] + b * shift[1])]);
            }
        });
    }

    fn gradient(&self, _ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok(vec![Grad::NotDifferentiable])
    }
}
