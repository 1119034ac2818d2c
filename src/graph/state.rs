use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::contract::exact;
use crate::shape::{DType, TensorSpec};

/// How a state slot begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Init {
    /// All elements are this.
    Constant(#[serde(with = "exact")] f32),
    /// Uniform between the two bounds.
    Uniform(#[serde(with = "exact")] f32, #[serde(with = "exact")] f32),
    /// Normal with this mean and standard deviation.
    Normal(#[serde(with = "exact")] f32, #[serde(with = "exact")] f32),
    /// Normal with this mean and standard deviation, drawn again where it lies more than two of them off.
    TruncatedNormal(#[serde(with = "exact")] f32, #[serde(with = "exact")] f32),
    /// As a matrix of its first extent by all others: orthonormal rows, or columns where there are fewer of those, times this.
    Orthogonal(#[serde(with = "exact")] f32),
    /// Exactly these numbers, row-major.
    Values(#[serde(with = "exact::table")] Arc<[f32]>),
    /// Exactly these words, row-major; only for `u32` slots, where they are the numbers.
    Words(#[serde(with = "exact::table")] Arc<[u32]>),
}

/// A named piece of state.
#[derive(Clone, Debug, PartialEq)]
pub struct SlotSpec {
    /// Its name, unique in the arena.
    pub name: String,
    /// Its shape and type.
    pub spec: TensorSpec,
    /// Where it starts in the arena, in elements.
    pub offset: usize,
    /// How it begins.
    pub init: Init,
}

/// State that stays on the device from step to step: slots of one type, side by side in one buffer.
#[derive(Clone, Debug, PartialEq)]
pub struct ArenaSpec {
    /// Its name. Plans of one session that name the same arena share it.
    pub name: String,
    /// The type of its elements.
    pub dtype: DType,
    /// Its slots, in the order of their offsets.
    pub slots: Vec<SlotSpec>,
    /// Elements, padding between slots included.
    pub len: usize,
}

impl ArenaSpec {
    /// Bytes of the buffer.
    pub fn bytes(&self) -> u64 {
        self.dtype.bytes(self.len)
    }
}
