//! Layers, losses and models: sugar over the [graph](crate::graph). Everything here only pushes nodes; nothing runs.
//!
//! A [`Layer`] is parameters and a function from one tensor to another; a [`Network`] is what can be trained. [`Sequential`] and
//! [`Functional`] make networks of layers, [`Block`] makes a layer of layers. What a layer is handed is a [`BuildCtx`]: it names
//! parameters, and takes what is not a node: penalties, running statistics, the list of layers.

mod activation;
mod architecture;
mod attention;
mod context;
mod conv;
mod dense;
mod drawing;
mod embedding;
mod ending;
mod functional;
mod init;
mod layout;
mod losses;
pub mod models;
mod network;
mod norm;
mod pooling;
mod positions;
mod recurrent;
mod regularise;
mod sequential;
mod summary;
mod transformer;
mod weights;

use std::fmt;

use crate::error::Result;
use crate::graph::Var;

pub use crate::ops::resize::Interpolation;
pub use crate::optim::{Hold, MaxNorm, Penalty, Units};
pub use activation::{Activate, Activation, PRelu};
pub use architecture::Architecture;
pub use attention::MultiHeadAttention;
pub use context::{BuildCtx, Collected, StatisticUpdate};
pub use conv::{
    Conv, Conv1d, Conv2d, Conv3d, ConvTranspose, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d, DepthwiseConv,
    DepthwiseConv1d, DepthwiseConv2d, DepthwiseConv3d, SeparableConv, SeparableConv1d, SeparableConv2d,
};
pub use dense::{Dense, Flatten};
pub use drawing::Drawing;
pub use embedding::Embedding;
pub use ending::Ending;
pub use functional::Functional;
pub use init::Initializer;
pub use layout::{
    Cropping, Cropping1d, Cropping2d, Cropping3d, Permute, Reshape, UpSampling, UpSampling1d, UpSampling2d,
    UpSampling3d, ZeroPadding, ZeroPadding1d, ZeroPadding2d, ZeroPadding3d,
};
pub(crate) use losses::check_class_weights;
pub use losses::*;
pub use network::{Input, Network};
pub(crate) use network::{build, forward};
pub use norm::{BatchNorm, GroupNorm, InstanceNorm, LayerNorm};
pub use pooling::{
    AdaptiveAvgPool, AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveAvgPool3d, AdaptiveMaxPool, AdaptiveMaxPool1d,
    AdaptiveMaxPool2d, AdaptiveMaxPool3d, AvgPool, AvgPool1d, AvgPool2d, AvgPool3d, GlobalAvgPool, GlobalMaxPool,
    MaxPool, MaxPool1d, MaxPool2d, MaxPool3d,
};
pub use positions::{ClassToken, FirstInTime, LearnedPositions, MeanOverTime, SinusoidalPositions};
pub use recurrent::{Bidirectional, Gru, Lstm, Merge, Recurrent, SimpleRnn};
pub use regularise::{AlphaDropout, Dropout, GaussianDropout, GaussianNoise, SpatialDropout};
pub use sequential::{Block, Sequential};
pub use summary::{LayerSummary, Summary};
pub use transformer::{PatchEmbedding, TransformerDecoderBlock, TransformerEncoderBlock};
pub(crate) use weights::{Weights, weight_methods};

/// The arena that holds what training moves without training it: the running statistics of batch normalisation.
pub const STATISTICS: &str = "statistics";

/// What the graph is built for. Layers such as [`Dropout`] differ between the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Forward, backward and update.
    Train,
    /// Forward only.
    Infer,
}

/// A layer: parameters and a function from one tensor to another. Write your own by implementing this.
pub trait Layer: fmt::Debug + Send + Sync {
    /// What layers of this kind are called: `dense`; a model's second one is `dense_1`.
    fn kind(&self) -> &'static str;

    /// Pushes the layer's nodes. `x` has the batch as its first dimension.
    ///
    /// # Errors
    /// Where the layer cannot take such an input.
    fn build(&self, ctx: &BuildCtx, x: &Var) -> Result<Var>;
}
