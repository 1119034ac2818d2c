use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

use super::expect_map;
use crate::contract::{CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, grid, parallel_rows};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx};
use crate::ops::{arity, expect_dtype};
use crate::shape::{DType, TensorSpec};

/// Boxes carried along with images that are resampled by a map: the smallest upright box around the four corners, cut off at the
/// image's edges. Inputs: boxes, floats `[batch, n, 4]`, as `(left, top, right, bottom)` in pixels, where the first pixel reaches from 0
/// to 1; and the maps of [`Warp`](super::Warp). A box that is empty (padding) stays as it is; one that leaves the image becomes empty.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WarpBoxes {
    /// Columns and rows of the images.
    pub size: [usize; 2],
}

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    size: [f32; 2],
    n: u32,
    per_sample: u32,
}

impl OpDef for WarpBoxes {
    const STEM: &'static str = "warp";
    const SHADER: &'static str = include_str!("../../../shaders/warp.wgsl");

    fn name(&self) -> &str {
        "warp_boxes"
    }

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [boxes, map] = arity("warp_boxes", inputs)?;
        expect_dtype("warp_boxes", boxes, DType::F32)?;
        let [batch, _, 4] = *boxes.shape else {
            return Err(Error::shape("warp_boxes", "boxes [batch, n, 4]", boxes.to_string()));
        };
        expect_map("warp_boxes", map, batch)?;
        Ok(vec![boxes.clone()])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let boxes = &io.inputs[0].shape;
        let size = self.size.map(|s| s as f32);
        let (n, per_sample) = (boxes[0] * boxes[1], boxes[1] as u32);
        let params = Params { size, n: n as u32, per_sample };
        let kernel = Kernel::of::<Self>("warp_boxes").define("KIND", "boxes");
        Launch::new(kernel, &params, grid(n)).bind_all(io).into()
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let per_sample = call.io.inputs[0].shape[1];
        let (boxes, maps) = (call.x[0].f(), call.x[1].f());
        let [columns, rows] = self.size.map(|s| T::of(s as f64));
        let half = T::of(0.5);
        parallel_rows(call.y[0].f_mut(), 4, |i, y| {
            let b = &boxes[4 * i..][..4];
            y.copy_from_slice(b);
            if !(b[0] < b[2] && b[1] < b[3]) {
                return;
            }
            let m = &maps[i / per_sample * 6..][..6];
            let size = m[0] * m[4] - m[1] * m[3];
            let (low, high) = ([T::infinity(); 2], [T::neg_infinity(); 2]);
            let corners = [(b[0], b[1]), (b[2], b[1]), (b[0], b[3]), (b[2], b[3])];
            let (low, high) = corners.into_iter().fold((low, high), |(low, high), (x, y)| {
                let (x, y) = (x - half * columns - m[2], y - half * rows - m[5]);
                let to = [(m[4] * x - m[1] * y) / size, (m[0] * y - m[3] * x) / size];
                ([low[0].min(to[0]), low[1].min(to[1])], [high[0].max(to[0]), high[1].max(to[1])])
            });
            for (y, (to, end)) in
                y.iter_mut().zip([(low[0], columns), (low[1], rows), (high[0], columns), (high[1], rows)])
            {
                *y = (to + half * end).max(T::zero()).min(end);
            }
        });
    }

    fn gradient(&self, _ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok(vec![Grad::NotDifferentiable; 2])
    }
}
