//! Safetensors: named tensors or an error.
#![no_main]

use std::path::Path;

use galen::interop::safetensors::Archive;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = Archive::from_bytes(Path::new("fuzz"), bytes);
});
