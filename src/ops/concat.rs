//! Tensors one behind another along an axis.

use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::transpose::expect_words;
use crate::contract::{
    CpuCall, GpuTraits, Io, Kernel, Launch, Launches, OpDef, Real, Slot, View, grid, parallel_rows, stem,
};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Graph, Var};
use crate::shape::{DType, TensorSpec, resolve_axis};

/// `y = x₀, x₁, ..` one behind another along `axis`, for `f32` and `u32`.
///
/// Shapes: equal but for `axis`, along which `y` has the sum of the inputs' extents.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Concat {
    /// The axis.
    pub axis: usize,
}

/// Inputs of one launch: with the output they are the eight storage buffers that WebGPU guarantees.
const PER_LAUNCH: usize = 7;

/// Every tensor is seen as rows: what lies before the axis counts them, the rest is their width.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Params {
    widths: [u32; 8],
    /// Elements that the launch copies.
    n: u32,
    /// Width of its inputs together.
    width: u32,
    /// Width of `y`.
    row: u32,
    /// Where in a row of `y` the launch's part starts.
    start: u32,
}

impl Concat {
    fn width(&self, x: &TensorSpec) -> usize {
        x.shape[self.axis..].iter().product()
    }

    fn rows<E: Copy + Send + Sync>(&self, parts: &[(&[E], usize)], y: &mut [E]) {
        parallel_rows(y, parts.iter().map(|(_, width)| width).sum(), |row, mut y| {
            for (x, width) in parts {
                let (part, rest) = y.split_at_mut(*width);
                part.copy_from_slice(&x[row * width..][..*width]);
                y = rest;
            }
        });
    }
}

impl OpDef for Concat {
    stem!("concat");

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let (first, rest) = inputs.split_first().ok_or_else(|| Error::shape(Self::STEM, "tensors", "none"))?;
        expect_words(Self::STEM, first)?;
        if self.axis >= first.shape.len() {
            return Err(Error::parameter(Self::STEM, "axis", format!("an axis of {first}"), self.axis));
        }
        let mut extent = first.shape[self.axis];
        for x in rest {
            if x.dtype != first.dtype {
                return Err(Error::dtype(Self::STEM, first.dtype.to_string(), x.to_string()));
            }
            if x.shape.len() != first.shape.len() || x.shape.without(self.axis) != first.shape.without(self.axis) {
                let expected = format!("{first} in all but axis {}", self.axis);
                return Err(Error::shape(Self::STEM, expected, x.to_string()));
            }
            extent += x.shape[self.axis];
        }
        let mut shape = first.shape.to_vec();
        shape[self.axis] = extent;
        Ok(vec![TensorSpec::new(shape, first.dtype)])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let row = self.width(&io.outputs[0]);
        let rows = io.outputs[0].shape.elements() / row;
        let mut launches = Launches::default();
        let mut start = 0;
        for (chunk, inputs) in io.inputs.chunks(PER_LAUNCH).enumerate() {
            let widths: SmallVec<[usize; PER_LAUNCH]> = inputs.iter().map(|x| self.width(x)).collect();
            let width: usize = widths.iter().sum();
            let params = Params {
                widths: super::indices(&widths, 0),
                n: (rows * width) as u32,
                width: width as u32,
                row: row as u32,
                start: start as u32,
            };
            let kernel = Kernel::of::<Self>("concat").define("PARTS", inputs.len());
            let mut launch = Launch::new(kernel, &params, grid(rows * width));
            for i in 0..inputs.len() {
                launch = launch.read(Slot::Input(chunk * PER_LAUNCH + i));
            }
            launches.list.push(launch.write(Slot::Output(0)));
            start += width;
        }
        launches
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        fn parts<'a, T, E>(
            op: &Concat,
            io: &Io,
            x: &'a [View<'_, T>],
            read: fn(&'a View<'_, T>) -> &'a [E],
        ) -> SmallVec<[(&'a [E], usize); 8]> {
            x.iter().zip(&io.inputs).map(|(x, spec)| (read(x), op.width(spec))).collect()
        }
        match call.io.outputs[0].dtype {
            DType::U32 => self.rows(&parts(self, call.io, &call.x, |x| x.u()), call.y[0].u_mut()),
            _ => self.rows(&parts(self, call.io, &call.x, |x| x.f()), call.y[0].f_mut()),
        }
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        let dy = ctx.dy()?;
        let whole: Vec<(usize, usize)> = dy.shape().iter().map(|extent| (0, *extent)).collect();
        let mut start = 0;
        let part = |i| {
            let end = start + ctx.input(i).shape()[self.axis];
            let mut ranges = whole.clone();
            ranges[self.axis] = (start, end);
            start = end;
            ctx.wanted(i, || dy.slice(&ranges))
        };
        (0..ctx.inputs()).map(part).collect()
    }
}

impl Graph {
    /// The tensors one behind another along `axis` (negative ones count from the end). For `f32` and `u32`.
    ///
    /// # Errors
    /// Where there are none, there is no such axis, the shapes differ along another one, or types differ or are bytes.
    pub fn concat(&self, parts: &[&Var], axis: isize) -> Result<Var> {
        let rank = parts.first().map_or(0, |x| x.shape().len());
        if parts.is_empty() {
            return Err(Error::shape(Concat::STEM, "at least one tensor", "none"));
        }
        self.push1(Concat { axis: resolve_axis(Concat::STEM, axis, rank)? }, parts)
    }
}

impl Var {
    /// The tensors one behind another along `axis`; see [`Graph::concat`].
    ///
    /// # Errors
    /// See there.
    pub fn concat(parts: &[&Var], axis: isize) -> Result<Var> {
        let first = parts.first().ok_or_else(|| Error::shape(Concat::STEM, "at least one tensor", "none"))?;
        first.graph.concat(parts, axis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_inputs_take_several_launches_that_together_write_everything() {
        let inputs: Vec<TensorSpec> = (1..=15).map(|i| TensorSpec::f32([4, i, 3])).collect();
        let op = Concat { axis: 1 };
        let io = Io { outputs: op.infer(&inputs).unwrap(), inputs };
        let launches = op.gpu(&io, &GpuTraits { software: false }).list;
        assert_eq!(launches.iter().map(|l| l.bindings.len()).collect::<Vec<_>>(), [8, 8, 2]);
        let params: Vec<Params> = launches.iter().map(|l| bytemuck::pod_read_unaligned(&l.params)).collect();
        assert_eq!(params.iter().map(|p| p.n as usize).sum::<usize>(), io.outputs[0].shape.elements());
        assert_eq!(params[2].start + params[2].width, params[2].row);
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let infer = |specs: &[TensorSpec], axis| Concat { axis }.infer(specs);
        let x = TensorSpec::f32([2, 3]);
        assert!(infer(&[], 0).is_err());
        assert!(infer(std::slice::from_ref(&x), 2).is_err());
        assert!(infer(&[x.clone(), TensorSpec::f32([2, 4])], 0).is_err());
        assert!(infer(&[x.clone(), TensorSpec::f32([2])], 0).is_err());
        assert!(infer(&[x.clone(), TensorSpec::u32([2, 3])], 0).is_err());
        assert_eq!(*infer(&[x, TensorSpec::f32([2, 4])], 1).unwrap()[0].shape, [2, 7]);
    }
}
