//! An op of one's own: softsign, `y = x / (1 + |x|)`, with its WGSL kernel, its CPU twin and its gradient, inside a network.
//!
//! ```sh
//! cargo run --release --example custom_op -- gpu
//! ```

use std::sync::Arc;

use galen::contract::{CpuCall, CustomOp, GpuTraits, Io, Kernel, Launch, Launches, Real, grid};
use galen::graph::{Grad, GradientCtx};
use galen::nn::{BuildCtx, Layer};
use galen::prelude::*;
use galen::{Error, Result, TensorSpec, Var};
use ndarray::Array2;

/// Both kernels. `grid` and `linear_id` belong together: one invocation per element.
const WGSL: &str = r#"
#include "index"

struct Params { n: u32 }

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
#if GRAD
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(${GROUP})
fn softsign_grad(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_id(gid, groups);
    if (i < p.n) {
        let d = 1.0 + abs(x[i]);
        dx[i] = dy[i] / (d * d);
    }
}
#else
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(${GROUP})
fn softsign(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = linear_id(gid, groups);
    if (i < p.n) {
        y[i] = x[i] / (1.0 + abs(x[i]));
    }
}
#end
"#;

/// `y = x / (1 + |x|)`, or with `grad` its gradient `dx = dy / (1 + |x|)²` from `x` and `dy`.
#[derive(Debug)]
struct Softsign {
    grad: bool,
}

impl Softsign {
    /// One body for both number types.
    fn twin<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let (x, one) = (call.x[0].f(), T::one());
        for (i, y) in call.y[0].f_mut().iter_mut().enumerate() {
            let d = one + x[i].abs();
            *y = if self.grad { call.x[1].f()[i] / (d * d) } else { x[i] / d };
        }
    }
}

impl CustomOp for Softsign {
    fn name(&self) -> &str {
        if self.grad { "softsign_grad" } else { "softsign" }
    }

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        let wanted = 1 + usize::from(self.grad);
        if inputs.len() != wanted || inputs.iter().any(|spec| *spec != inputs[0]) {
            return Err(Error::shape(self.name(), format!("{wanted} tensors of one shape"), format!("{inputs:?}")));
        }
        Ok(vec![inputs[0].clone()])
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let n = io.inputs[0].shape.elements();
        let kernel = Kernel::custom("softsign", WGSL, self.name()).define("GRAD", u32::from(self.grad));
        Launch::new(kernel, &(n as u32), grid(n)).bind_all(io).into()
    }

    fn cpu_f32(&self, call: CpuCall<'_, f32>) {
        self.twin(call);
    }

    fn cpu_f64(&self, call: CpuCall<'_, f64>) {
        self.twin(call);
    }

    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
        if self.grad {
            return Ok(vec![Grad::Unsupported("second derivatives of softsign"); 2]);
        }
        let dx = ctx.graph().custom(Arc::new(Softsign { grad: true }), &[ctx.input(0), ctx.dy()?])?;
        Ok(vec![Grad::Of(dx[0].clone())])
    }
}

/// The same as a layer.
#[derive(Debug)]
struct SoftsignLayer;

impl Layer for SoftsignLayer {
    fn kind(&self) -> &'static str {
        "softsign"
    }

    fn build(&self, _ctx: &BuildCtx, x: &Var) -> Result<Var> {
        Ok(x.graph().custom(Arc::new(Softsign { grad: false }), &[x])?.swap_remove(0))
    }
}

fn main() -> anyhow::Result<()> {
    let device = Device::named(&std::env::args().nth(1).unwrap_or_else(|| "auto".into()))?;
    // A curve to learn: one wave of a sine.
    let x = Array2::from_shape_fn((256, 1), |(i, _)| i as f32 / 128.0 - 1.0);
    let y = x.mapv(|x| (3.0 * x).sin());
    let network = Sequential::new([1]).with(Dense::new(24)).with(SoftsignLayer).with(Dense::new(1));
    let mut model = network.compile_on(&Setup::on(&device), Adam::new(0.02), MeanSquaredError::new(), &[])?;
    let history = model.fit(&Dataset::new(x, y)?, &Fit::new().epochs(60).verbose(false))?;
    let losses = history.losses();
    println!("{device}: mean squared error {:.4} after 1 epoch, {:.4} after {}", losses[0], losses[59], losses.len());
    Ok(())
}
