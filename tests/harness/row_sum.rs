//! An op in user code whose kernel has a loop, and a launch that says how long it is: truly or not.

use std::sync::Arc;

use galen::contract::{CpuCall, CustomOp, GpuTraits, Io, Kernel, Launch, Launches, Real, grid, parallel_chunks};
use galen::graph::{Grad, GradientCtx};
use galen::{DType, Error, Result, TensorSpec, Var};

/// `y = Σ x` over the last axis of `[rows, c]`, one invocation per row.
#[derive(Debug)]
pub struct RowSum {
    /// What the launch says of its loop.
    pub iterations: u64,
}

const WGSL: &str = "
struct Params { rows: u32, c: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
#include \"index\"

@compute @workgroup_size(${GROUP})
fn row_sum(@builtin(global_invocation_id) gid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let row = linear_id(gid, groups);
    if (row >= p.rows) {
        return;
    }
    var sum = 0.0;
    for (var j = 0u; j < p.c; j++) {
        sum += x[row * p.c + j];
    }
    y[row] = sum;
}
";

impl RowSum {
    fn twin<T: Real>(&self, mut call: CpuCall<'_, T>) {
        let (x, c) = (call.x[0].f(), call.io.inputs[0].shape[1]);
        parallel_chunks(call.y[0].f_mut(), |start, y| {
            let rows = x[start * c..].chunks_exact(c);
            y.iter_mut().zip(rows).for_each(|(y, row)| *y = row.iter().copied().sum());
        });
    }
}

impl CustomOp for RowSum {
    fn name(&self) -> &str {
        "row_sum"
    }

    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
        match inputs {
            [x] if x.dtype == DType::F32 && x.shape.len() == 2 => Ok(vec![TensorSpec::f32([x.shape[0]])]),
            other => Err(Error::dtype("row_sum", "one tensor of f32 [rows, c]", format!("{other:?}"))),
        }
    }

    fn gpu(&self, io: &Io, _gpu: &GpuTraits) -> Launches {
        let shape = &io.inputs[0].shape;
        let params = [shape[0] as u32, shape[1] as u32];
        let launch = Launch::new(Kernel::custom("row_sum", WGSL, "row_sum"), &params, grid(shape[0]));
        launch.bind_all(io).iterations(self.iterations).into()
    }

    fn cpu_f32(&self, call: CpuCall<'_, f32>) {
        self.twin(call);
    }

    fn cpu_f64(&self, call: CpuCall<'_, f64>) {
        self.twin(call);
    }

    fn gradient(&self, _ctx: &GradientCtx) -> Result<Vec<Grad>> {
        Ok(vec![Grad::Unsupported("the gradient of this sum")])
    }
}

/// The op of `x`.
pub fn row_sum(x: &Var, iterations: u64) -> Result<Vec<Var>> {
    x.graph().custom(Arc::new(RowSum { iterations }), &[x])
}
