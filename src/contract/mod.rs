//! What an op owes the rest of Galen: a shape rule, a GPU launch, a CPU twin and a gradient.
//!
//! [`OpDef`] is implemented once per op, in `src/ops/<stem>.rs`. [`CustomOp`] is its object-safe form: the door for ops that
//! live in user code.

pub mod blocks;
pub mod clock;
pub(crate) mod exact;
mod host;
mod launch;
mod random;
mod template;
mod window;

use std::fmt;

use crate::error::Result;
use crate::graph::{Grad, GradientCtx};
use crate::shape::TensorSpec;

pub use host::{
    CpuCall, Real, View, parallel_all, parallel_chunks, parallel_outputs, parallel_row_pairs, parallel_rows,
    parallel_together, with_own_memory,
};
pub use launch::{
    Access, Binding, GpuTraits, Kernel, Launch, Launches, MAX_ITERATIONS, SOFTWARE_ITERATIONS, Slot, Source, fold, grid,
};
pub(crate) use random::StreamKey;
pub use random::{Threefry, stream_of};
pub use template::{GROUP_SIZE, expand};
pub use window::{Padding, Window, lift};

/// The specs of an op's inputs and outputs, in op order.
#[derive(Clone, Debug)]
pub struct Io {
    /// The inputs.
    pub inputs: Vec<TensorSpec>,
    /// The outputs, as [`OpDef::infer`] gave them.
    pub outputs: Vec<TensorSpec>,
}

/// One op: its contract with the graph, the GPU and the CPU.
pub trait OpDef: Clone + fmt::Debug {
    /// The name that file, shader and test rows share.
    const STEM: &'static str;
    /// The text of `shaders/<STEM>.wgsl`.
    const SHADER: &'static str;

    /// What a launch list and an error call this op.
    fn name(&self) -> &str {
        Self::STEM
    }

    /// Checks the inputs and tells the outputs' shapes and types.
    ///
    /// # Errors
    /// Shape, type or parameter errors that say what was expected and what came.
    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>>;

    /// The dispatches that compute this op, as plain data.
    fn gpu(&self, io: &Io, gpu: &GpuTraits) -> Launches;

    /// The CPU twin: the same function, in `f32` (the fallback) or `f64` (the truth for tests).
    fn cpu<T: Real>(&self, call: CpuCall<'_, T>);

    /// Elements of scratch memory that [`OpDef::cpu`] wants in [`CpuCall::scratch`]. Its content is undefined.
    fn scratch(&self, _io: &Io) -> usize {
        0
    }

    /// Floating-point operations of the formula, a multiplication and an addition counted as two; 0 where nobody counts them, as for
    /// everything but products.
    fn flops(&self, _io: &Io) -> u64 {
        0
    }

    /// The gradient for every input, in input order.
    ///
    /// # Errors
    /// What the ops that make up the gradient say of their inputs.
    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>>;

    /// The fields that only [fusion](crate::graph) sets, and this op has set: its gradient is refused, because gradients are those of
    /// the ops that were fused.
    fn fused(&self) -> Option<&'static str> {
        None
    }

    /// Indices of inputs that this op changes in place. They must be state, and the op is never removed as dead.
    fn writes(&self) -> &'static [usize] {
        &[]
    }
}

/// Gives an [`OpDef`] its stem and its shader's text.
macro_rules! stem {
    ($stem:literal) => {
        const STEM: &'static str = $stem;
        const SHADER: &'static str = include_str!(concat!("../../shaders/", $stem, ".wgsl"));
    };
}
pub(crate) use stem;

/// An op that lives in user code: WGSL, twin and gradient. See [`OpDef`] for what the methods owe.
///
/// Its WGSL is built with all of wgpu's run-time checks, unlike Galen's own, which is built as trusted.
///
/// Loops must be short: Mesa's llvmpipe, on which Galen runs where there is no graphics card but a GPU is asked for, ends all loops of an
/// invocation after [`SOFTWARE_ITERATIONS`] iterations, silently, and on a graphics card a long loop is slow. Share long sums among
/// invocations and passes, and say with [`Launch::iterations`] how many iterations an invocation takes at most. A plan with a launch that
/// says more than [`SOFTWARE_ITERATIONS`] is refused on a software adapter ([`Error::Limit`](crate::Error::Limit)); a kernel that has loops
/// and says nothing is warned of in the log there.
pub trait CustomOp: fmt::Debug + Send + Sync {
    /// What a launch list and an error call this op.
    fn name(&self) -> &str;

    /// Checks the inputs and tells the outputs' shapes and types.
    ///
    /// # Errors
    /// Shape, type or parameter errors that say what was expected and what came.
    fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>>;

    /// The dispatches that compute this op; their kernels come from [`Kernel::custom`].
    fn gpu(&self, io: &Io, gpu: &GpuTraits) -> Launches;

    /// The CPU twin in `f32`.
    fn cpu_f32(&self, call: CpuCall<'_, f32>);

    /// The CPU twin in `f64`. One generic function usually serves both.
    fn cpu_f64(&self, call: CpuCall<'_, f64>);

    /// Elements of scratch memory that the twins want.
    fn scratch(&self, _io: &Io) -> usize {
        0
    }

    /// Floating-point operations of the formula, a multiplication and an addition counted as two; 0 where nobody counts them, as for
    /// everything but products.
    fn flops(&self, _io: &Io) -> u64 {
        0
    }

    /// The gradient for every input, in input order.
    ///
    /// # Errors
    /// What the ops that make up the gradient say of their inputs.
    fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>>;
}
