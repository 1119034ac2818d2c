//! Parameters to and from files of other formats.

mod safetensors;
