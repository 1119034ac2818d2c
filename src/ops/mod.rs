//! Every op, one stem each: `src/ops/<stem>.rs` holds contract, twin, launch and gradient, `shaders/<stem>.wgsl` its kernels,
//! `tests/common/rows/<stem>.rs` its test rows, and the list below its line.

mod passes;
mod recurrent;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::contract::{CpuCall, CustomOp, GpuTraits, Io, Launches, OpDef, Real};
use crate::error::Result;
use crate::graph::{Grad, GradientCtx};
use crate::shape::{DType, TensorSpec};

macro_rules! registry {
    ($($module:ident: $($variant:ident),+;)*) => {
        $(#[doc = concat!("The op(s) of `shaders/", stringify!($module), ".wgsl`.")] pub mod $module;)*
        $($(use $module::$variant;)+)*

        /// Any op: one of Galen's, or a user's.
        ///
        /// An op of Galen is data that can be written to a file; a user's is code, and cannot.
        #[derive(Clone, Debug, Serialize, Deserialize)]
        #[allow(missing_docs)]
        pub enum Op {
            $($($variant($variant),)+)*
            /// An op that lives in user code.
            #[serde(skip)]
            Custom(Arc<dyn CustomOp>),
        }

        $($(impl From<$variant> for Op {
            fn from(op: $variant) -> Op {
                Op::$variant(op)
            }
        })+)*

        /// The stems of all ops, in the order of the registry.
        pub const STEMS: &[&str] = &[$(stringify!($module)),*];

        /// The shader text of every stem.
        pub const SHADERS: &[(&str, &str)] = &[$((stringify!($module), include_str!(concat!("../../shaders/", stringify!($module), ".wgsl")))),*];

        impl Op {
            /// What a launch list and an error call this op.
            pub fn name(&self) -> &str {
                match self { $($(Op::$variant(op) => op.name(),)+)* Op::Custom(op) => op.name() }
            }

            /// The stem that the op belongs to; the name of a custom op.
            pub fn stem(&self) -> &str {
                match self { $($(Op::$variant(_) => <$variant as OpDef>::STEM,)+)* Op::Custom(op) => op.name() }
            }

            /// See [`OpDef::infer`].
            ///
            /// # Errors
            /// See there.
            pub fn infer(&self, inputs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
                match self { $($(Op::$variant(op) => op.infer(inputs),)+)* Op::Custom(op) => op.infer(inputs) }
            }

            /// See [`OpDef::gpu`].
            pub fn gpu(&self, io: &Io, gpu: &GpuTraits) -> Launches {
                match self { $($(Op::$variant(op) => op.gpu(io, gpu),)+)* Op::Custom(op) => op.gpu(io, gpu) }
            }

            /// See [`OpDef::cpu`].
            pub fn cpu<T: Twin>(&self, call: CpuCall<'_, T>) {
                match self { $($(Op::$variant(op) => op.cpu(call),)+)* Op::Custom(op) => T::custom(op.as_ref(), call) }
            }

            /// See [`OpDef::scratch`].
            pub fn scratch(&self, io: &Io) -> usize {
                match self { $($(Op::$variant(op) => op.scratch(io),)+)* Op::Custom(op) => op.scratch(io) }
            }

            /// See [`OpDef::flops`].
            pub fn flops(&self, io: &Io) -> u64 {
                match self { $($(Op::$variant(op) => op.flops(io),)+)* Op::Custom(op) => op.flops(io) }
            }

            /// See [`OpDef::gradient`].
            ///
            /// # Errors
            /// See there.
            pub fn gradient(&self, ctx: &GradientCtx) -> Result<Vec<Grad>> {
                match self { $($(Op::$variant(op) => op.gradient(ctx),)+)* Op::Custom(op) => op.gradient(ctx) }
            }

            /// See [`OpDef::writes`].
            pub fn writes(&self) -> &'static [usize] {
                match self { $($(Op::$variant(op) => op.writes(),)+)* Op::Custom(_) => &[] }
            }
        }
    };
}

registry! {
    accumulate: Accumulate;
    accuracy: CorrectCount;
    adaptive_avg_pool: AdaptiveAvgPool, AdaptiveAvgPoolGrad;
    adaptive_max_pool: AdaptiveMaxPool, AdaptiveMaxPoolGrad;
    argmax: Argmax;
    avg_pool: AvgPool, AvgPoolGrad;
    batch_norm: BatchNorm, BatchNormInfer, BatchNormGrad;
    binary: Binary;
    binary_cross_entropy: BinaryCrossEntropy, BinaryCrossEntropyGrad;
    blur: Blur;
    cast: Cast;
    chain: Chain;
    check_finite: CheckFinite;
    clip_norm: ClipGradients;
    colour: Colour;
    concat: Concat;
    conv: Conv, ConvGradX, ConvGradW, ConvGrad, ConvNorm;
    copy: Copy;
    cross_entropy: CrossEntropy, CrossEntropyGrad;
    cutout: Cutout;
    dropout: Dropout;
    ema: Ema;
    fill: Fill;
    gather: Gather, GatherGrad;
    gather_batch: GatherBatch;
    group_norm: GroupNorm, GroupNormGrad, GroupNormGradAffine;
    gru: Gru, GruGrad;
    lstm: Lstm, LstmGrad;
    masked_softmax: MaskedSoftmax, MaskedSoftmaxGrad;
    matmul: Matmul;
    max_norm: MaxNorm;
    max_pool: MaxPool, MaxPoolGrad;
    moving_average: MovingAverage;
    mutate: Mutate;
    one_hot: OneHot;
    pad: Pad;
    penalty: Penalty, PenaltyGrad;
    random: Random, RandomPerSample;
    record: Record;
    reduce: Reduce, Expand;
    resize: Resize, ResizeGrad;
    rnn: Rnn, RnnGrad;
    select: Select;
    signal: Signal;
    slice: Slice;
    softmax: Softmax, SoftmaxGrad;
    tick: Tick;
    transpose: Transpose;
    unary: Unary, UnaryGrad;
    update: Update;
    warp: Warp, WarpMap, WarpBoxes;
}

/// The number types in which every twin can run, custom ones included.
pub trait Twin: Real {
    /// Calls a custom op's twin of this type.
    fn custom(op: &dyn CustomOp, call: CpuCall<'_, Self>);
}

impl Twin for f32 {
    fn custom(op: &dyn CustomOp, call: CpuCall<'_, f32>) {
        op.cpu_f32(call);
    }
}

impl Twin for f64 {
    fn custom(op: &dyn CustomOp, call: CpuCall<'_, f64>) {
        op.cpu_f64(call);
    }
}

/// How many inputs an op takes, checked.
pub(crate) fn arity<'a, const N: usize>(op: &str, inputs: &'a [TensorSpec]) -> Result<&'a [TensorSpec; N]> {
    inputs.try_into().map_err(|_| crate::Error::shape(op, format!("{N} tensors"), format!("{} tensors", inputs.len())))
}

/// Refuses any element type but `wanted`.
pub(crate) fn expect_dtype(op: &str, spec: &TensorSpec, wanted: DType) -> Result<()> {
    if spec.dtype == wanted { Ok(()) } else { Err(crate::Error::dtype(op, wanted.to_string(), spec.to_string())) }
}

/// The spatial extents of floats `[batch, channels, ..]` with one to three of them.
pub(crate) fn spatial<'a>(op: &str, x: &'a TensorSpec) -> Result<&'a [usize]> {
    expect_dtype(op, x, DType::F32)?;
    match &*x.shape {
        [_, _, spatial @ ..] if (1..=3).contains(&spatial.len()) => Ok(spatial),
        _ => Err(crate::Error::shape(op, "[batch, channels, ..] with one to three spatial axes", x.to_string())),
    }
}

/// Depth, rows and columns of a tensor with one to three spatial axes; those that it has not are 1.
pub(crate) fn volume(x: &TensorSpec) -> [usize; 3] {
    let spatial = x.shape.get(2..).unwrap_or_default();
    std::array::from_fn(|axis| (axis + spatial.len()).checked_sub(3).map_or(1, |own| spatial[own]))
}

/// Up to eight indices as a uniform struct holds them: two `vec4<u32>`. Missing ones are `fill`.
pub(crate) fn indices(values: &[usize], fill: u32) -> [u32; 8] {
    let mut out = [fill; 8];
    for (o, v) in out.iter_mut().zip(values) {
        *o = *v as u32;
    }
    out
}
