//! Sizes far beyond the rows' for the stems that slide windows, multiply, gather and recur.

use super::loops::Huge;

/// Stems whose launches do not say yet how long their loops are.
pub const PENDING: &[&str] = &[
    "adaptive_avg_pool",
    "adaptive_max_pool",
    "avg_pool",
    "blur",
    "conv",
    "gather",
    "gru",
    "lstm",
    "matmul",
    "max_pool",
    "resize",
    "rnn",
    "signal",
    "transpose",
    "update",
    "warp",
];

/// The sizes.
pub fn table() -> Vec<Huge> {
    Vec::new()
}
