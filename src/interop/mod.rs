//! Tensors to and from files of other formats.

pub mod safetensors;
