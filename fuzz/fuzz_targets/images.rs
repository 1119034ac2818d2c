//! PNG, JPEG and TIFF as images and as masks: pixels or an error. The last byte, which decoders do not need, chooses the options.
#![no_main]

use std::path::Path;

use galen::data::formats::images::{self, ImageOptions, Masks};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let choice = bytes.last().copied().unwrap_or(0);
    let mut options = ImageOptions::new().most_bytes(64 << 20);
    options = match choice & 3 {
        0 => options,
        1 => options.grey(),
        2 => options.rgb(),
        _ => options.floats(),
    };
    options = match choice >> 2 & 3 {
        0 | 1 => options,
        2 => options.resize(5, 7),
        _ => options.crop_pad(5, 7),
    };
    options = match choice >> 6 {
        0 => options,
        1 => options.as_stored(),
        _ => options.upright(),
    };
    let masks = match choice >> 4 & 3 {
        0 => Masks::binary(),
        1 => Masks::above(127),
        2 => Masks::classes([(0, 0), (255, 1)]),
        _ => Masks::indices(3),
    };
    let _ = images::parse(bytes, Path::new("fuzz"), &options);
    let _ = images::parse_mask(bytes, Path::new("fuzz"), &options, &masks);
});
