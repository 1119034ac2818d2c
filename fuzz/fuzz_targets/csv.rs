//! CSV: a table or an error. The last byte chooses the options.
#![no_main]

use galen::data::formats::csv::{Csv, Extra};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, text)) = bytes.split_last() else { return };
    let options = match choice & 15 {
        0 => Csv::new(),
        1 => Csv::new().header(false),
        2 => Csv::new().delimiter(b';').decimal_comma(),
        3 => Csv::new().spaces(),
        4 => Csv::new().quote(None),
        5 => Csv::new().latin1(),
        6 => Csv::new().comment(b'#'),
        7 => Csv::new().missing(["?", "NA"]),
        8 => Csv::new().spaces().comment(b'#'),
        9 => Csv::new().thousands(b','),
        10 => Csv::new().delimiter(b';').decimal_comma().thousands(b'.'),
        11 => Csv::new().extra(Extra::Index),
        12 => Csv::new().extra(Extra::DropFirst),
        13 => Csv::new().extra(Extra::DropLast),
        14 => Csv::new().header(false).names(["a", "b"]).extra(Extra::DropLast),
        _ => Csv::new().also_missing(["?"]).comment(b'#').quote(Some(b'\'')),
    };
    let _ = options.parse(text, "fuzz");
});
