//! NPZ: every array decoded, and read sample by sample, or an error.
#![no_main]

use std::path::Path;

use galen::DType;
use galen::data::formats::npz::Npz;
use galen::data::{RowMut, Rows};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = Npz::parse(bytes, Path::new("fuzz")) else { return };
    for name in file.names() {
        let _ = file.array(name);
        let Ok(rows) = file.rows(name) else { continue };
        let sample = rows.sample();
        let elements = sample.shape.elements();
        assert!(elements <= bytes.len(), "samples larger than the file");
        for index in 0..rows.len().min(4) {
            let _ = match sample.dtype {
                DType::F32 => rows.read(index, RowMut::F32(&mut vec![0.0; elements])),
                DType::U32 => rows.read(index, RowMut::U32(&mut vec![0; elements])),
                DType::U8 => rows.read(index, RowMut::U8(&mut vec![0; elements])),
            };
        }
    }
});
