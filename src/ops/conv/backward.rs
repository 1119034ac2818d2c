//! All gradients of a convolution in one op: on the processor, what comes from memory (`dy` above all) is then read once, image by image,
//! where three ops and the ReLU's gradient would read it once each.

use serde::{Deserialize, Serialize};

use super::{Conv, ConvGradW, ConvGradX, Sizes, direct, spatial};
use crate::contract::{CpuCall, GpuTraits, Io, Launches, OpDef, Real, Slot};
use crate::error::{Error, Result};
use crate::graph::{Grad, GradientCtx};
use crate::ops::reduce::{Reduce, ReduceFn};
use crate::ops::unary::{UnaryFn, UnaryGrad};
use crate::shape::{Shape, TensorSpec};

/// The gradients of [`Conv`] with respect to `w`, then to `x` and to the bias where they are wanted. Only [fusion](crate::graph) makes it,
/// of [`ConvGradX`], [`ConvGradW`], the sum that is the bias's gradient, and the gradient of a ReLU.
///
/// Inputs: `x`, `dy`; `w`, where `dx` is wanted; and with a ReLU `y`, its output. Outputs: `dw`, `dx`, `db`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvGrad {
    /// The convolution. Its `relu` says that one follows, which `dy` has to pass first: there is a fourth input then.
    pub conv: Conv,
    /// Slices, rows and columns of `w`.
    pub kernel: [usize; 3],
    /// Whether `dx` is wanted.
    pub input: bool,
    /// Whether `db` is wanted.
    pub bias: bool,
}

impl ConvGrad {
    /// Whether the op is faster than those that it stands for.
    pub(crate) fn pays(&self, inputs: &[TensorSpec]) -> bool {
        self.sizes(inputs).is_ok_and(|(s, _)| direct::fits(&s))
    }

    /// The sizes and the shape of `w`, all checked.
    fn sizes(&self, inputs: &[TensorSpec]) -> Result<(Sizes, Shape)> {
        let expected = 2 + usize::from(self.input) + usize::from(self.conv.relu);
        if inputs.len() != expected {
            return Err(Error::shape(self.name(), format!("{expected} tensors"), format!("{} tensors", inputs.len())));
        }
        let [x, dy] = [&inputs[0], &inputs[1]];
        // Extents and types as the gradient of the weights has them.
        let of_weights = ConvGradW { conv: self.conv.clone(), kernel: self.kernel };
        let w = of_weights.infer(&[x.clone(), dy.clone()])?.swap_remove(0);
        if self.input && inputs[2] != w {
            return Err(Error::shape(self.name(), format!("w {w}"), inputs[2].to_string()));
        }
        if self.conv.relu && inputs[expected - 1] != *dy {
            return Err(Error::shape(self.name(), format!("y {dy}"), inputs[expected - 1].to_string()));
        }
        Ok((self.conv.sizes(self.name(), &x.shape, &w.shape)?, w.shape))
    }

    fn known(&self, io: &Io) -> Sizes {
        self.conv.known(&io.inputs[0].shape, &io.outputs[0].shape)
    }

    /// The index of the input `y`.
    fn relu_input(&self) -> usize {
        2 + usize::from(self.input)
    }

    /// The index of the output `db`.
    fn bias_output(&self) -> usize {
        1 + usize::from(self.input)
    }

    /// The twin that is the truth: the gradients one after the other.
    fn plain<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let s = self.known(call.io);
        let (x, dy) = (call.x[0].f(), call.x[1].f());
        let masked = call.x.get(self.relu_input()).map(|y| {
            let mut masked = vec![T::zero(); dy.len()];
            UnaryFn::Relu.apply_slope([y.f(), y.f(), dy], &mut masked);
            masked
        });
        let dy = masked.as_deref().unwrap_or(dy);
        super::cpu::grad_w(&s, x, dy, call.y[0].f_mut(), call.scratch);
        if self.input {
            super::cpu::grad_x(&s, dy, call.x[2].f(), call.y[1].f_mut(), call.scratch);
        }
        if self.bias {
            let db = call.y[self.bias_output()].f_mut();
            db.fill(T::zero());
            for (plane, dy) in dy.chunks_exact(s.positions()).enumerate() {
                db[plane % s.c_out] += dy.iter().copied().sum::<T>();
            }
        }
    }
}

impl OpDef for ConvGrad {
    const STEM: &'static str = "conv";
    const SHADER: &'static str = Conv::SHADER;

    fn name(&self) -> &str {
        "conv_grad"
    }

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let (s, w) = self.sizes(inputs)?;
        let dx = self.input.then(|| inputs[0].clone());
        let db = self.bias.then(|| TensorSpec::f32([s.c_out]));
        Ok([Some(TensorSpec::f32(w)), dx, db].into_iter().flatten().collect())
    }

    /// The kernels of the ops that it stands for, one after the other.
    fn gpu(&self, io: &Io, gpu: &GpuTraits) -> Launches {
        let (x, dy, w) = (&io.inputs[0], &io.inputs[1], &io.outputs[0]);
        let mut all = Launches::default();
        let mut from = Slot::Input(1);
        if self.conv.relu {
            from = all.temp(dy.clone());
            let mask = UnaryGrad { function: UnaryFn::Relu };
            let io = Io { inputs: vec![dy.clone(); 3], outputs: vec![dy.clone()] };
            let y = Slot::Input(self.relu_input());
            all.append(mask.gpu(&io, gpu), &[y, y, Slot::Input(1)], &[from]);
        }
        let conv = self.conv.plain();
        let grad_w = ConvGradW { conv: conv.clone(), kernel: self.kernel };
        let sub = Io { inputs: vec![x.clone(), dy.clone()], outputs: vec![w.clone()] };
        all.append(grad_w.gpu(&sub, gpu), &[Slot::Input(0), from], &[Slot::Output(0)]);
        if self.input {
            let grad_x = ConvGradX { conv, input: spatial(&x.shape) };
            let sub = Io { inputs: vec![dy.clone(), w.clone()], outputs: vec![x.clone()] };
            all.append(grad_x.gpu(&sub, gpu), &[from, Slot::Input(2)], &[Slot::Output(1)]);
        }
        if self.bias {
            let axes = (0..dy.shape.len()).filter(|axis| *axis != 1).collect();
            let sum = Reduce { function: ReduceFn::Sum, axes };
            let index = self.bias_output();
            let sub = Io { inputs: vec![dy.clone()], outputs: vec![io.outputs[index].clone()] };
            all.append(sum.gpu(&sub, gpu), &[from], &[Slot::Output(index)]);
        }
        all
    }

    fn cpu<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let s = self.known(call.io);
        if !direct::fits(&s) {
            return self.plain(call);
        }
        let input = |i: usize| call.x.get(i).and_then(|x| T::as_f32(x.f()));
        let (Some(x), Some(dy), Some(scratch)) = (input(0), input(1), T::as_f32_mut(call.scratch)) else {
            return self.plain(call);
        };
        let w = if self.input { input(2) } else { None };
        let y = if self.conv.relu { input(self.relu_input()) } else { None };
        let mut outputs = call.y.iter_mut().map(|y| T::as_f32_mut(y.f_mut()));
        let Some(dw) = outputs.next().flatten() else { return };
        let dx = if self.input { outputs.next().flatten() } else { None };
        let db = if self.bias { outputs.next().flatten() } else { None };
        direct::backward(&s, direct::Source { x, dy, y }, direct::Wanted { dw, dx: w.zip(dx), db }, scratch);
    }

    fn scratch(&self, io: &Io) -> usize {
        let s = self.known(io);
        let plain = super::cpu::grad_x_scratch(&s).max(super::cpu::grad_w_scratch(&s));
        if direct::fits(&s) { plain.max(direct::backward_scratch(&s, self.input)) } else { plain }
    }

    fn flops(&self, io: &Io) -> u64 {
        self.known(io).flops() * (1 + u64::from(self.input))
    }

    fn gradient(&self, _ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok(vec![
            Grad::Unsupported("gradients are taken before they are fused");
            self.relu_input() + usize::from(self.conv.relu)
        ])
    }
}
