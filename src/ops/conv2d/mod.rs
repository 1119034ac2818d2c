//! Convolution (cross-correlation, as every network library has it) over images, with stride, padding, dilation and groups, a
//! fused bias and ReLU, and its two gradients.
//!
//! `y[n, o, oy, ox] = Σ w[o, i, r, s] · x[n, i, oy·stride + r·dilation − top, ox·stride + s·dilation − left]`, where output
//! channels of a group see the input channels of that group only. Source: V. Dumoulin, F. Visin, "A guide to convolution
//! arithmetic for deep learning", 2016. All three are matrix products of a matrix that is gathered from the image
//! ("im2col"): K. Chellapilla, S. Puri, P. Simard, "High performance convolutional neural networks for document processing", 2006.

mod cpu;
mod depthwise;
mod gpu;

use super::{arity, expect_dtype};
use crate::contract::{CpuCall, GpuTraits, Io, Launches, OpDef, Padding, Real, Window};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx, Var};
use crate::shape::{DType, TensorSpec};

/// `y = x ∗ w`, then `+ bias` where there is a third input, then ReLU where asked for.
///
/// Shapes: `x` `[batch, c_in, h, w]`, `w` `[c_out, c_in / groups, kh, kw]`, `bias` `[c_out]`, `y` `[batch, c_out, oh, ow]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conv2d {
    /// Steps between positions, along rows and columns.
    pub stride: [usize; 2],
    /// Padding with zeros: top and bottom, left and right.
    pub padding: [[usize; 2]; 2],
    /// Distance between neighbouring taps, along rows and columns.
    pub dilation: [usize; 2],
    /// Groups of channels; `c_in` of them make it depthwise.
    pub groups: usize,
    /// ReLU after convolution and bias. Only [fusion](crate::graph) sets it: the gradient is that of the unfused nodes.
    pub relu: bool,
}

/// The gradient of [`Conv2d`] with respect to `x`, from `dy` and `w`; also known as transposed convolution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conv2dGradX {
    /// The convolution; its `relu` is ignored.
    pub conv: Conv2d,
    /// Rows and columns of `x`, which `dy` and `w` do not tell where the stride leaves some over.
    pub input: [usize; 2],
}

/// The gradient of [`Conv2d`] with respect to `w`, from `x` and `dy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conv2dGradW {
    /// The convolution; its `relu` is ignored.
    pub conv: Conv2d,
    /// Rows and columns of `w`.
    pub kernel: [usize; 2],
}

/// The sizes of one convolution.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    batch: usize,
    c_in: usize,
    c_out: usize,
    groups: usize,
    h: usize,
    w: usize,
    oh: usize,
    ow: usize,
    window: Window<2>,
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

    /// Weights of one output channel: the taps of the window in every input channel of the group.
    fn taps(&self) -> usize {
        self.group_in() * self.window.kernel[0] * self.window.kernel[1]
    }

    /// Positions of the window.
    fn positions(&self) -> usize {
        self.oh * self.ow
    }
}

impl Conv2d {
    fn window(&self, kernel: [usize; 2]) -> Window<2> {
        Window { kernel, stride: self.stride, padding: self.padding, dilation: self.dilation }
    }

    /// The sizes, from the shapes of `x` and `w`; everything is checked.
    fn sizes(&self, op: &str, x: &[usize], w: &[usize]) -> Result<Sizes> {
        let (&[batch, c_in, h, width], &[c_out, group_in, kh, kw]) = (x, w) else {
            let expected = "x [batch, c_in, h, w] and w [c_out, c_in / groups, kh, kw]";
            return Err(Error::shape(op, expected, format!("{x:?} and {w:?}")));
        };
        let groups = self.groups;
        if groups == 0 || c_in % groups != 0 || c_out % groups != 0 {
            let expected = format!("a divisor of {c_in} input and {c_out} output channels");
            return Err(Error::parameter(op, "groups", expected, groups));
        }
        if group_in * groups != c_in {
            let expected = format!("w [{c_out}, {}, {kh}, {kw}] for x {x:?} in {groups} group(s)", c_in / groups);
            return Err(Error::shape(op, expected, format!("{w:?}")));
        }
        let window = self.window([kh, kw]);
        let [oh, ow] = window.output(op, [h, width])?;
        Ok(Sizes { batch, c_in, c_out, groups, h, w: width, oh, ow, window })
    }

    /// The sizes of shapes that were checked before.
    fn known(&self, x: &[usize], w: &[usize]) -> Sizes {
        match self.sizes("conv2d", x, w) {
            Ok(sizes) => sizes,
            Err(e) => panic!("a convolution that its shape rule should have refused: {e}"),
        }
    }
}

fn check_dtypes(op: &str, inputs: &[TensorSpec]) -> Result<()> {
    inputs.iter().try_for_each(|spec| expect_dtype(op, spec, DType::F32))
}

/// Refuses a `dy` that is not the convolution's output.
fn check_dy(op: &str, s: &Sizes, dy: &TensorSpec) -> Result<()> {
    let expected = [s.batch, s.c_out, s.oh, s.ow];
    if *dy.shape == expected { Ok(()) } else { Err(Error::shape(op, format!("dy {expected:?}"), dy.to_string())) }
}

impl OpDef for Conv2d {
    const STEM: &'static str = "conv2d";
    const SHADER: &'static str = include_str!("../../../shaders/conv2d.wgsl");

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [x, w] = arity("conv2d", &inputs[..inputs.len().min(2)])?;
        check_dtypes("conv2d", inputs)?;
        let s = self.sizes("conv2d", &x.shape, &w.shape)?;
        if let Some(bias) = inputs.get(2)
            && (*bias.shape != [s.c_out] || inputs.len() > 3)
        {
            return Err(Error::shape("conv2d", format!("a bias [{}]", s.c_out), bias.to_string()));
        }
        Ok(vec![TensorSpec::f32([s.batch, s.c_out, s.oh, s.ow])])
    }

    fn gpu(&self, io: &Io, gpu: &GpuTraits) -> Launches {
        let s = self.known(&io.inputs[0].shape, &io.inputs[1].shape);
        gpu::launches(gpu::Kind::Forward { bias: io.inputs.len() == 3, relu: self.relu }, &s, io, gpu)
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let s = self.known(&call.io.inputs[0].shape, &call.io.inputs[1].shape);
        let (x, w, bias) = (call.x[0].f(), call.x[1].f(), call.x.get(2).map(|b| b.f()));
        cpu::forward(&s, x, w, cpu::Epilogue { bias, relu: self.relu }, call.y[0].f_mut(), call.scratch);
    }

    fn scratch(&self, io: &Io) -> usize {
        cpu::forward_scratch(&self.known(&io.inputs[0].shape, &io.inputs[1].shape))
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        let (x, w, dy) = (ctx.input(0), ctx.input(1), ctx.dy()?);
        let mut grads = vec![ctx.wanted(0, || grad_x(self, dy, w, x))?, ctx.wanted(1, || grad_w(self, x, dy, w))?];
        if ctx.inputs() == 3 {
            grads.push(ctx.wanted(2, || dy.sum(&[0, 2, 3], false))?);
        }
        Ok(grads)
    }
}

/// Pushes the gradient with respect to `x`, of which only the shape is used.
fn grad_x(conv: &Conv2d, dy: &Var, w: &Var, x: &Var) -> Result<Var> {
    let shape = x.shape();
    dy.graph().push1(Conv2dGradX { conv: conv.clone(), input: [shape[2], shape[3]] }, &[dy, w])
}

/// Pushes the gradient with respect to `w`, of which only the shape is used.
fn grad_w(conv: &Conv2d, x: &Var, dy: &Var, w: &Var) -> Result<Var> {
    let shape = w.shape();
    x.graph().push1(Conv2dGradW { conv: conv.clone(), kernel: [shape[2], shape[3]] }, &[x, dy])
}

impl Conv2dGradX {
    /// The shape of `x`; `dy` and `w` have four dimensions.
    fn x_shape(&self, dy: &[usize], w: &[usize]) -> [usize; 4] {
        [dy[0], w[1].saturating_mul(self.conv.groups), self.input[0], self.input[1]]
    }
}

impl OpDef for Conv2dGradX {
    const STEM: &'static str = "conv2d";
    const SHADER: &'static str = Conv2d::SHADER;

    fn name(&self) -> &str {
        "conv2d_grad_x"
    }

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [dy, w] = arity(self.name(), inputs)?;
        check_dtypes(self.name(), inputs)?;
        if dy.shape.len() != 4 || w.shape.len() != 4 {
            let expected = "dy [batch, c_out, oh, ow] and w [c_out, c_in / groups, kh, kw]";
            return Err(Error::shape(self.name(), expected, format!("{dy} and {w}")));
        }
        let x = self.x_shape(&dy.shape, &w.shape);
        let s = self.conv.sizes(self.name(), &x, &w.shape)?;
        check_dy(self.name(), &s, dy)?;
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

    /// The op is linear in both of its inputs, so its gradients are convolutions again.
    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        let (dy, w, ddx) = (ctx.input(0), ctx.input(1), ctx.dy()?);
        let conv = Conv2d { relu: false, ..self.conv.clone() };
        Ok(vec![
            ctx.wanted(0, || ddx.graph().push1(conv.clone(), &[ddx, w]))?,
            ctx.wanted(1, || grad_w(&conv, ddx, dy, w))?,
        ])
    }
}

impl Conv2dGradW {
    /// The shape of `w`; `x` and `dy` have four dimensions.
    fn w_shape(&self, x: &[usize], dy: &[usize]) -> [usize; 4] {
        [dy[1], x[1] / self.conv.groups.max(1), self.kernel[0], self.kernel[1]]
    }
}

impl OpDef for Conv2dGradW {
    const STEM: &'static str = "conv2d";
    const SHADER: &'static str = Conv2d::SHADER;

    fn name(&self) -> &str {
        "conv2d_grad_w"
    }

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let [x, dy] = arity(self.name(), inputs)?;
        check_dtypes(self.name(), inputs)?;
        if x.shape.len() != 4 || dy.shape.len() != 4 {
            let expected = "x [batch, c_in, h, w] and dy [batch, c_out, oh, ow]";
            return Err(Error::shape(self.name(), expected, format!("{x} and {dy}")));
        }
        let w = self.w_shape(&x.shape, &dy.shape);
        let s = self.conv.sizes(self.name(), &x.shape, &w)?;
        check_dy(self.name(), &s, dy)?;
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

    /// The op is linear in both of its inputs, so its gradients are convolutions again.
    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        let (x, dy, ddw) = (ctx.input(0), ctx.input(1), ctx.dy()?);
        let conv = Conv2d { relu: false, ..self.conv.clone() };
        Ok(vec![
            ctx.wanted(0, || grad_x(&conv, dy, ddw, x))?,
            ctx.wanted(1, || x.graph().push1(conv.clone(), &[x, ddw]))?,
        ])
    }
}

/// How [`Var::conv2d`] slides its window. The default moves one step at a time over an image without padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2dOptions {
    /// Steps between positions, along rows and columns.
    pub stride: [usize; 2],
    /// Padding with zeros.
    pub padding: Padding<2>,
    /// Distance between neighbouring taps, along rows and columns.
    pub dilation: [usize; 2],
    /// Groups of channels; as many as there are input channels make it depthwise.
    pub groups: usize,
}

impl Default for Conv2dOptions {
    fn default() -> Self {
        Conv2dOptions { stride: [1; 2], padding: Padding::Valid, dilation: [1; 2], groups: 1 }
    }
}

impl Conv2dOptions {
    /// Stride 1, no padding, no dilation, one group.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with this stride.
    #[must_use]
    pub fn stride(self, stride: [usize; 2]) -> Self {
        Conv2dOptions { stride, ..self }
    }

    /// The same with this padding.
    #[must_use]
    pub fn padding(self, padding: Padding<2>) -> Self {
        Conv2dOptions { padding, ..self }
    }

    /// The same with this dilation.
    #[must_use]
    pub fn dilation(self, dilation: [usize; 2]) -> Self {
        Conv2dOptions { dilation, ..self }
    }

    /// The same with this many groups.
    #[must_use]
    pub fn groups(self, groups: usize) -> Self {
        Conv2dOptions { groups, ..self }
    }
}

impl Var {
    /// The convolution of images `[batch, c_in, h, w]` with weights `w` `[c_out, c_in / groups, kh, kw]`:
    /// `[batch, c_out, oh, ow]`. See [`Conv2d`].
    ///
    /// # Errors
    /// Where the ranks or the channels do not fit, a stride, dilation or group count is zero, or the window is larger than the
    /// padded image.
    pub fn conv2d(&self, w: &Var, options: &Conv2dOptions) -> Result<Var> {
        let Conv2dOptions { stride, padding, dilation, groups } = *options;
        let (x, k) = (self.shape(), w.shape());
        let padding = match (&x[..], &k[..]) {
            (&[_, _, h, width], &[_, _, kh, kw]) => {
                padding.resolve("conv2d", [h, width], [kh, kw], stride, dilation)?
            }
            // The shape rule refuses these, with the layer's name.
            _ => [[0; 2]; 2],
        };
        self.graph.push1(Conv2d { stride, padding, dilation, groups, relu: false }, &[self, w])
    }
}
