//! CSV: a table or an error. The last byte chooses the options.
#![no_main]

use galen::data::formats::csv::Csv;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, text)) = bytes.split_last() else { return };
    let options = match choice & 7 {
        0 => Csv::new(),
        1 => Csv::new().header(false),
        2 => Csv::new().delimiter(b';').decimal_comma(),
        3 => Csv::new().spaces(),
        4 => Csv::new().quote(None),
        5 => Csv::new().latin1(),
        6 => Csv::new().comment(b'#'),
        _ => Csv::new().missing(["?", "NA"]),
    };
    let _ = options.parse(text, "fuzz");
});
