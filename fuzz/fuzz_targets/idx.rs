//! IDX, gzipped or not: an array or an error.
#![no_main]

use std::path::Path;

use galen::data::formats::idx;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = idx::parse(bytes, Path::new("fuzz"));
});
