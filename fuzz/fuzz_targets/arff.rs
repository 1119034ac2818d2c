//! ARFF: a table or an error.
#![no_main]

use galen::data::formats::arff;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = arff::parse(bytes, "fuzz");
});
