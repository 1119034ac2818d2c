//! NPY: an array that becomes other types and is written and read again as it was, or an error.
#![no_main]

use std::path::Path;

use galen::data::formats::npy;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(array) = npy::parse(bytes, Path::new("fuzz")) else { return };
    let _ = (array.to_f32(), array.to_f64(), array.to_u32(), array.to_strings());
    let written = array.to_bytes();
    let again = npy::parse(&written, Path::new("again")).expect("what was written is read");
    assert_eq!(again.shape(), array.shape());
    assert_eq!(again.to_bytes(), written);
    let _ = array.into_tensor();
});
