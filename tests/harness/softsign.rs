//! An op that lives in user code, whole and with faults: `softsign(x) = x / (1 + |x|)`, <https://www.tensorflow.org/api_docs/python/tf/nn/softsign>.

use std::sync::Arc;

use galen::contract::{CpuCall, CustomOp, GpuTraits, Io, Kernel, Launch, Launches, Real, grid, parallel_chunks};
use galen::graph::{Grad, GradientCtx};
use galen::nn::{BuildCtx, Layer};
use galen::{DType, Error, Result, TensorSpec, Var};

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    None,
    /// The kernel is wrong in one element.
    OneElement,
    /// The kernel leaves one element unwritten.
    OneUnwritten,
    /// Neither kernel nor twin write anything.
    Unwritten,
    /// The kernel has its operands swapped.
    Swapped,
    /// The kernel does not compile.
    Broken,
    /// The gradient is zero, in kernel and twin alike.
    ZeroGradient,
    /// The gradient lacks a square, in kernel and twin alike.
    WrongGradient,
}

/// `y = x / (1 + |x|)` of floats of any shape.
#[derive(Debug)]
pub struct Softsign(pub Fault);

/// `dx = dy / (1 + |x|)²` from `x` and `dy`.
#[derive(Debug)]
struct SoftsignGrad(Fault);

const HEAD: &str = "
struct Params { n: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
#include \"index\"
";

fn forward(fault: Fault) -> String {
    let write = match fault {
        Fault::OneElement => "y[i] = x[i] / (1.0 + abs(x[i])) + select(0.0, 0.001, i == 70u);",
        Fault::OneUnwritten => "if (i != 70u) { y[i] = x[i] / (1.0 + abs(x[i])); }",
        Fault::Unwritten => "if (p.n == 0u) { y[i] = x[i]; }",
        Fault::Swapped => "y[i] = (1.0 + abs(x[i])) / x[i];",
        Fault::Broken => "y[i] = nobody_knows(x[i]);",
        _ => "y[i] = x[i] / (1.0 + abs(x[i]));",
    };
    format!(
        "{HEAD}
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(${{GROUP}})
fn softsign(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {{
    let i = linear_id(gid, groups);
    if (i < p.n) {{ {write} }}
}}"
    )
}

fn backward(fault: Fault) -> String {
    let slope = match fault {
        Fault::ZeroGradient => "0.0 * d",
        Fault::WrongGradient => "1.0 / d",
        _ => "1.0 / (d * d)",
    };
    format!(
        "{HEAD}
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;
@compute @workgroup_size(${{GROUP}})
fn softsign_grad(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {{
    let i = linear_id(gid, groups);
    if (i < p.n) {{
        let d = 1.0 + abs(x[i]);
        dx[i] = dy[i] * ({slope});
    }}
}}"
    )
}

fn launch(io: &Io, name: &str, wgsl: String) -> Launches {
    let n = io.inputs[0].shape.elements();
    Launch::new(Kernel::custom(name, wgsl, name), &(n as u32), grid(n)).bind_all(io).into()
}

impl Softsign {
    fn twin<T: Real>(&self, mut call: CpuCall<'_, T>) {
        if self.0 == Fault::Unwritten {
            return;
        }
        let x = call.x[0].f();
        parallel_chunks(call.y[0].f_mut(), |start, y| {
            y.iter_mut().zip(&x[start..]).for_each(|(y, x)| *y = *x / (T::one() + x.abs()));
        });
    }
}

impl CustomOp for Softsign {
    fn name(&self) -> &str {
        "softsign"
    }

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        match inputs {
            [x] if x.dtype == DType::F32 => Ok(vec![x.clone()]),
            other => Err(Error::dtype("softsign", "one tensor of f32", format!("{other:?}"))),
        }
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        launch(io, "softsign", forward(self.0))
    }

    fn cpu_f32(&self, call: CpuCall<'_, f32>) {
        self.twin(call);
    }

    fn cpu_f64(&self, call: CpuCall<'_, f64>) {
        self.twin(call);
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        let dx = ctx.graph().custom(Arc::new(SoftsignGrad(self.0)), &[ctx.input(0), ctx.dy()?])?;
        Ok(vec![Grad::Of(dx[0].clone())])
    }
}

impl SoftsignGrad {
    fn twin<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let (fault, x, dy) = (self.0, call.x[0].f(), call.x[1].f());
        let slope = |d: T| match fault {
            Fault::ZeroGradient => T::zero(),
            Fault::WrongGradient => T::one() / d,
            _ => T::one() / (d * d),
        };
        parallel_chunks(call.y[0].f_mut(), |start, dx| {
            for (i, dx) in dx.iter_mut().enumerate() {
                *dx = dy[start + i] * slope(T::one() + x[start + i].abs());
            }
        });
    }
}

impl CustomOp for SoftsignGrad {
    fn name(&self) -> &str {
        "softsign_grad"
    }

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        match inputs {
            [x, dy] if x == dy => Ok(vec![x.clone()]),
            other => Err(Error::shape("softsign_grad", "two tensors alike", format!("{other:?}"))),
        }
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        launch(io, "softsign_grad", backward(self.0))
    }

    fn cpu_f32(&self, call: CpuCall<'_, f32>) {
        self.twin(call);
    }

    fn cpu_f64(&self, call: CpuCall<'_, f64>) {
        self.twin(call);
    }

    fn gradient(&self, _ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok(vec![Grad::Unsupported("second derivatives of softsign"); 2])
    }
}

/// The op of `x`.
pub fn softsign(x: &Var, fault: Fault) -> Result<Vec<Var>> {
    x.graph().custom(Arc::new(Softsign(fault)), &[x])
}

/// A layer that applies it.
#[derive(Debug)]
pub struct Activation;

impl Layer for Activation {
    fn kind(&self) -> &'static str {
        "softsign"
    }

    fn build(&self, _ctx: &BuildCtx, x: &Var) -> Result<Var> {
        Ok(softsign(x, Fault::None)?[0].clone())
    }
}
