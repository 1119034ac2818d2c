//! Convolution (cross-correlation, as every network library has it) over lines, images and volumes, with stride, padding, dilation
//! and groups, a fused bias and ReLU, and its two gradients; the gradient with respect to the input is transposed convolution.
//!
//! `y[n, o, oy, ox] = Σ w[o, i, r, s] · x[n, i, oy·stride + r·dilation − top, ox·stride + s·dilation − left]`, and alike with one or
//! three spatial axes, where output channels of a group see the input channels of that group only. Source: V. Dumoulin, F. Visin,
//! "A guide to convolution arithmetic for deep learning", 2016. All three are matrix products of a matrix that is gathered from
//! the image ("im2col"): K. Chellapilla, S. Puri, P. Simard, "High performance convolutional neural networks for document
//! processing", 2006.
//!
//! Inside there are always three axes: a line is a volume of one slice and one row.

mod backward;
mod cpu;
mod depthwise;
mod direct;
mod gpu;
mod norm;
mod options;
mod tiles;

use serde::{Deserialize, Serialize};

use super::{arity, expect_dtype};
use crate::contract::{CpuCall, GpuTraits, Io, Launches, OpDef, Real, Window, lift};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Var};
use crate::shape::{DType, Shape, TensorSpec};

pub use backward::ConvGrad;
pub use norm::ConvNorm;
pub use options::{Conv1dOptions, Conv2dOptions, Conv3dOptions, ConvOptions};
pub use options::{ConvTranspose1dOptions, ConvTranspose2dOptions, ConvTranspose3dOptions, ConvTransposeOptions};

/// `y = x ∗ w`, then `+ bias` where there is one, then `+ residual`, then ReLU where asked for. Inputs: `x`, `w`, the bias if any, the
/// residual if any.
///
/// Shapes: `x` `[batch, c_in, spatial..]`, `w` `[c_out, c_in / groups, kernel..]`, `bias` `[c_out]`, `residual` and `y` `[batch, c_out, out..]`
/// with one to three spatial axes. The fields are for slices, rows and columns; axes that the tensors do not have, the leading
/// ones, have stride and dilation 1 and no padding (see [`lift`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv {
    /// Steps between positions.
    pub stride: [usize; 3],
    /// Padding with zeros, before and after each axis.
    pub padding: [[usize; 2]; 3],
    /// Distance between neighbouring taps.
    pub dilation: [usize; 3],
    /// Groups of channels; `c_in` of them make it depthwise.
    pub groups: usize,
    /// ReLU after all of that. Only [fusion](crate::graph) sets it: there is no gradient then.
    pub relu: bool,
    /// Whether the last input is added to the result. Only [fusion](crate::graph) sets it, as it does `relu`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub residual: bool,
}

/// The gradient of [`Conv`] with respect to `x`, from `dy` and `w`; also known as transposed convolution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvGradX {
    /// The convolution, without ReLU and residual.
    pub conv: Conv,
    /// Slices, rows and columns of `x`, which `dy` and `w` do not tell where the stride leaves some over.
    pub input: [usize; 3],
}

/// The gradient of [`Conv`] with respect to `w`, from `x` and `dy`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvGradW {
    /// The convolution, without ReLU and residual.
    pub conv: Conv,
    /// Slices, rows and columns of `w`.
    pub kernel: [usize; 3],
}

/// The sizes of one convolution.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    batch: usize,
    c_in: usize,
    c_out: usize,
    groups: usize,
    /// Extents of `x` and `y`: slices, rows, columns.
    input: [usize; 3],
    output: [usize; 3],
    window: Window<3>,
}

impl Sizes {
    /// Input channels of a group.
    fn group_in(&self) -> usize {
        self.c_in / self.groups
    }

    /// Output channels of a group.
    fn group_out(&self) -> usize {
        self.c_out / self.groups
    }

    /// Elements of one channel of `x`.
    fn volume(&self) -> usize {
        self.input.iter().product()
    }

    /// Taps of the window in one channel.
    fn channel_taps(&self) -> usize {
        self.window.kernel.iter().product()
    }

    /// Weights of one output channel: the taps of the window in every input channel of the group.
    fn taps(&self) -> usize {
        self.group_in() * self.channel_taps()
    }

    /// Positions of the window.
    fn positions(&self) -> usize {
        self.output.iter().product()
    }

    /// Operations of the convolution, and of either of its gradients; taps in the padding count.
    fn flops(&self) -> u64 {
        2 * (self.batch * self.c_out * self.positions() * self.taps()) as u64
    }
}

/// Two leading extents and the last `rank` of three spatial ones.
fn tensor(lead: [usize; 2], spatial: [usize; 3], rank: usize) -> Shape {
    lead.into_iter().chain(spatial.into_iter().skip(3usize.saturating_sub(rank))).collect::<Vec<_>>().into()
}

/// The leading two extents of a tensor, its spatial ones lifted to three, and how many of these it has.
fn extents(shape: &[usize]) -> Option<([usize; 2], [usize; 3], usize)> {
    match *shape {
        [a, b, w] => Some(([a, b], lift([w], 1), 1)),
        [a, b, h, w] => Some(([a, b], lift([h, w], 1), 2)),
        [a, b, d, h, w] => Some(([a, b], [d, h, w], 3)),
        _ => None,
    }
}

impl Conv {
    /// The sizes, from the shapes of `x` and `w`; everything is checked.
    fn sizes(&self, op: &str, x: &[usize], w: &[usize]) -> Result<Sizes> {
        let (Some(([batch, c_in], input, rank)), Some(([c_out, group_in], kernel, w_rank))) = (extents(x), extents(w))
        else {
            let expected = "x [batch, c_in, spatial..] and w [c_out, c_in / groups, kernel..] with 1 to 3 spatial axes";
            return Err(Error::shape(op, expected, format!("{x:?} and {w:?}")));
        };
        if rank != w_rank {
            let expected = format!("a kernel with {rank} spatial axes for x {x:?}");
            return Err(Error::shape(op, expected, format!("{w:?}")));
        }
        let missing = 0..3 - rank;
        if missing.clone().any(|i| self.stride[i] != 1 || self.dilation[i] != 1 || self.padding[i] != [0; 2]) {
            let expected = format!("1 (padding: 0) along the axes that x {x:?} does not have");
            let actual = format!("{:?}, {:?} and {:?}", self.stride, self.dilation, self.padding);
            return Err(Error::parameter(op, "stride, dilation and padding", expected, actual));
        }
        let groups = self.groups;
        if groups == 0 || c_in % groups != 0 || c_out % groups != 0 {
            let expected = format!("a divisor of {c_in} input and {c_out} output channels");
            return Err(Error::parameter(op, "groups", expected, groups));
        }
        if group_in != c_in / groups {
            let expected = tensor([c_out, c_in / groups], kernel, rank);
            let expected = format!("w {expected} for x {x:?} in {groups} group(s)");
            return Err(Error::shape(op, expected, format!("{w:?}")));
        }
        let window = Window { kernel, stride: self.stride, padding: self.padding, dilation: self.dilation };
        let output = window.output(op, input)?;
        Ok(Sizes { batch, c_in, c_out, groups, input, output, window })
    }

    /// The same without what fusion adds, but for the bias, which is an input alone.
    pub(crate) fn plain(&self) -> Conv {
        Conv { relu: false, residual: false, ..self.clone() }
    }

    /// Refuses what only fusion adds.
    fn expect_plain(&self, op: &str) -> Result<()> {
        match self.fused() {
            None => Ok(()),
            Some(fused) => Err(Error::parameter(op, "conv", "a convolution without ReLU and residual", fused)),
        }
    }

    /// The index of the bias among so many inputs.
    fn bias(&self, inputs: usize) -> Option<usize> {
        (inputs > 2 + usize::from(self.residual)).then_some(2)
    }

    /// The sizes of shapes that were checked before.
    fn known(&self, x: &[usize], w: &[usize]) -> Sizes {
        match self.sizes("conv", x, w) {
            Ok(sizes) => sizes,
            Err(e) => panic!("a convolution that its shape rule should have refused: {e}"),
        }
    }
}

fn check_dtypes(op: &str, inputs: &[TensorSpec]) -> Result<()> {
    inputs.iter().try_for_each(|spec| expect_dtype(op, spec, DType::F32))
}

/// Refuses a `dy` that is not the convolution's output.
fn check_dy(op: &str, s: &Sizes, rank: usize, dy: &TensorSpec) -> Result<()> {
    let expected = tensor([s.batch, s.c_out], s.output, rank);
    if dy.shape == expected { Ok(()) } else { Err(Error::shape(op, format!("dy {expected}"), dy.to_string())) }
}

/// Refuses extents for axes that tensors of `rank` spatial axes do not have.
fn check_lead(op: &str, what: &str, extents: [usize; 3], rank: usize) -> Result<()> {
    if extents[..3 - rank].iter().all(|extent| *extent == 1) {
        return Ok(());
    }
    Err(Error::parameter(op, what, format!("1 along all but the last {rank}"), format!("{extents:?}")))
}

impl OpDef for Conv {
    const STEM: &'static str = "conv";
    const SHADER: &'static str = include_str!("../../../shaders/conv.wgsl");

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [x, w] = arity("conv", &inputs[..inputs.len().min(2)])?;
        check_dtypes("conv", inputs)?;
        let s = self.sizes("conv", &x.shape, &w.shape)?;
        let y = TensorSpec::f32(tensor([s.batch, s.c_out], s.output, x.shape.len() - 2));
        let mut others = &inputs[2..];
        if self.residual {
            let Some((_, before)) = others.split_last().filter(|(residual, _)| **residual == y) else {
                return Err(Error::shape("conv", format!("a residual {y} as the last input"), format!("{others:?}")));
            };
            others = before;
        }
        if let Some(bias) = others.first()
            && (*bias.shape != [s.c_out] || others.len() > 1)
        {
            return Err(Error::shape("conv", format!("a bias [{}]", s.c_out), bias.to_string()));
        }
        Ok(vec![y])
    }

    fn gpu(&self, io: &Io, gpu: &GpuTraits) -> Launches {
        let s = self.known(&io.inputs[0].shape, &io.inputs[1].shape);
        let (bias, residual) = (self.bias(io.inputs.len()).is_some(), self.residual);
        gpu::launches(gpu::Kind::Forward { bias, residual, relu: self.relu, moments: false }, &s, io, gpu)
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let s = self.known(&call.io.inputs[0].shape, &call.io.inputs[1].shape);
        let (x, w, bias) = (call.x[0].f(), call.x[1].f(), self.bias(call.x.len()).map(|i| call.x[i].f()));
        let residual = if self.residual { call.x.last().map(|r| r.f()) } else { None };
        cpu::forward(&s, x, w, cpu::Epilogue { bias, residual, relu: self.relu }, call.y[0].f_mut(), call.scratch);
    }

    fn scratch(&self, io: &Io) -> usize {
        cpu::forward_scratch(&self.known(&io.inputs[0].shape, &io.inputs[1].shape))
    }

    fn flops(&self, io: &Io) -> u64 {
        self.known(&io.inputs[0].shape, &io.inputs[1].shape).flops()
    }

    fn fused(&self) -> Option<&'static str> {
        if self.relu { Some("`relu`") } else { self.residual.then_some("`residual`") }
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        let (x, w, dy) = (ctx.input(0), ctx.input(1), ctx.dy()?);
        let mut grads = vec![ctx.wanted(0, || grad_x(self, dy, w, x))?, ctx.wanted(1, || grad_w(self, x, dy, w))?];
        if let Some(bias) = self.bias(ctx.inputs()) {
            grads.push(ctx.wanted(bias, || dy.sum(&[0, 2, 3, 4][..dy.shape().len() - 1], false))?);
        }
        Ok(grads)
    }
}

/// The spatial extents of a tensor that the shape rule let through.
fn spatial(shape: &[usize]) -> [usize; 3] {
    extents(shape).map_or([1; 3], |(_, spatial, _)| spatial)
}

/// Pushes the gradient with respect to `x`, of which only the shape is used.
fn grad_x(conv: &Conv, dy: &Var, w: &Var, x: &Var) -> Result<Var> {
    dy.graph().push1(ConvGradX { conv: conv.clone(), input: spatial(&x.shape()) }, &[dy, w])
}

/// Pushes the gradient with respect to `w`, of which only the shape is used.
fn grad_w(conv: &Conv, x: &Var, dy: &Var, w: &Var) -> Result<Var> {
    x.graph().push1(ConvGradW { conv: conv.clone(), kernel: spatial(&w.shape()) }, &[x, dy])
}

impl OpDef for ConvGradX {
    const STEM: &'static str = "conv";
    const SHADER: &'static str = Conv::SHADER;

    fn name(&self) -> &str {
        "conv_grad_x"
    }

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [dy, w] = arity(self.name(), inputs)?;
        self.conv.expect_plain(self.name())?;
        check_dtypes(self.name(), inputs)?;
        let (Some(([batch, _], _, rank)), Some(([_, group_in], ..))) = (extents(&dy.shape), extents(&w.shape)) else {
            let expected = "dy [batch, c_out, out..] and w [c_out, c_in / groups, kernel..] with 1 to 3 spatial axes";
            return Err(Error::shape(self.name(), expected, format!("{dy} and {w}")));
        };
        check_lead(self.name(), "input", self.input, rank)?;
        let x = tensor([batch, group_in.saturating_mul(self.conv.groups)], self.input, rank);
        let s = self.conv.sizes(self.name(), &x, &w.shape)?;
        check_dy(self.name(), &s, rank, dy)?;
        Ok(vec![TensorSpec::f32(x)])
    }

    fn gpu(&self, io: &Io, gpu: &GpuTraits) -> Launches {
        let s = self.conv.known(&io.outputs[0].shape, &io.inputs[1].shape);
        gpu::launches(gpu::Kind::GradX, &s, io, gpu)
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let s = self.conv.known(&call.io.outputs[0].shape, &call.io.inputs[1].shape);
        cpu::grad_x(&s, call.x[0].f(), call.x[1].f(), call.y[0].f_mut(), call.scratch);
    }

    fn scratch(&self, io: &Io) -> usize {
        cpu::grad_x_scratch(&self.conv.known(&io.outputs[0].shape, &io.inputs[1].shape))
    }

    fn flops(&self, io: &Io) -> u64 {
        self.conv.known(&io.outputs[0].shape, &io.inputs[1].shape).flops()
    }

    /// The op is linear in both of its inputs, so its gradients are convolutions again.
    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        let (dy, w, ddx) = (ctx.input(0), ctx.input(1), ctx.dy()?);
        let conv = self.conv.plain();
        Ok(vec![
            ctx.wanted(0, || ddx.graph().push1(conv.clone(), &[ddx, w]))?,
            ctx.wanted(1, || grad_w(&conv, ddx, dy, w))?,
        ])
    }
}

impl OpDef for ConvGradW {
    const STEM: &'static str = "conv";
    const SHADER: &'static str = Conv::SHADER;

    fn name(&self) -> &str {
        "conv_grad_w"
    }

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [x, dy] = arity(self.name(), inputs)?;
        self.conv.expect_plain(self.name())?;
        check_dtypes(self.name(), inputs)?;
        let (Some(([_, c_in], _, rank)), Some(([_, c_out], ..))) = (extents(&x.shape), extents(&dy.shape)) else {
            let expected = "x [batch, c_in, spatial..] and dy [batch, c_out, out..] with 1 to 3 spatial axes";
            return Err(Error::shape(self.name(), expected, format!("{x} and {dy}")));
        };
        check_lead(self.name(), "kernel", self.kernel, rank)?;
        let w = tensor([c_out, c_in / self.conv.groups.max(1)], self.kernel, rank);
        let s = self.conv.sizes(self.name(), &x.shape, &w)?;
        check_dy(self.name(), &s, rank, dy)?;
        Ok(vec![TensorSpec::f32(w)])
    }

    fn gpu(&self, io: &Io, gpu: &GpuTraits) -> Launches {
        let s = self.conv.known(&io.inputs[0].shape, &io.outputs[0].shape);
        gpu::launches(gpu::Kind::GradW, &s, io, gpu)
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let s = self.conv.known(&call.io.inputs[0].shape, &call.io.outputs[0].shape);
        cpu::grad_w(&s, call.x[0].f(), call.x[1].f(), call.y[0].f_mut(), call.scratch);
    }

    fn scratch(&self, io: &Io) -> usize {
        cpu::grad_w_scratch(&self.conv.known(&io.inputs[0].shape, &io.outputs[0].shape))
    }

    fn flops(&self, io: &Io) -> u64 {
        self.conv.known(&io.inputs[0].shape, &io.outputs[0].shape).flops()
    }

    /// The op is linear in both of its inputs, so its gradients are convolutions again.
    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        let (x, dy, ddw) = (ctx.input(0), ctx.input(1), ctx.dy()?);
        let conv = self.conv.plain();
        Ok(vec![
            ctx.wanted(0, || grad_x(&conv, dy, ddw, x))?,
            ctx.wanted(1, || x.graph().push1(conv.clone(), &[x, ddw]))?,
        ])
    }
}

#[cfg(test)]
mod fast_tests;
#[cfg(test)]
mod tests;
