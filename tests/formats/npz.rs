use std::io::{Cursor, Write};
use std::path::Path;

use galen::data::Rows;
use galen::data::formats::npy::{NpyArray, NpyType};
use galen::data::formats::npz::{self, Npz};
use galen::{Error, Tensor};
use ndarray::{Array1, Array2, array};
use ndarray_npy::NpzReader;

use super::{Folder, data, decode, file, refused};

#[test]
fn every_type_that_numpy_writes_is_read_in_both_byte_orders() {
    let file = Npz::open(file("arrays.npz")).unwrap();
    let integers = |kind: &str, least: f64, most: f64, dtype: NpyType| {
        for order in ["little", "big"] {
            let read = file.array(&format!("{kind}_{order}")).unwrap();
            assert_eq!(read.dtype(), dtype);
            assert_eq!(
                read.to_f64().unwrap(),
                array![[least, 1.0, 2.0], [3.0, 4.0, most]].into_dyn(),
                "{kind} {order}"
            );
        }
    };
    integers("i1", -128.0, 127.0, NpyType::I8);
    integers("u1", 0.0, 255.0, NpyType::U8);
    integers("i2", -32768.0, 32767.0, NpyType::I16);
    integers("u2", 0.0, 65535.0, NpyType::U16);
    integers("i4", -2147483648.0, 2147483647.0, NpyType::I32);
    integers("u4", 0.0, 4294967295.0, NpyType::U32);
    integers("i8", i64::MIN as f64, i64::MAX as f64, NpyType::I64);
    integers("u8", 0.0, u64::MAX as f64, NpyType::U64);
    for (kind, dtype) in [("f2", NpyType::F16), ("f4", NpyType::F32), ("f8", NpyType::F64)] {
        for order in ["little", "big"] {
            let read = file.array(&format!("{kind}_{order}")).unwrap();
            assert_eq!(read.dtype(), dtype);
            let expected = array![[-1.5, 0.25, 2.0], [3.0, f64::INFINITY, 1000.0]].into_dyn();
            assert_eq!(read.to_f64().unwrap(), expected, "{kind} {order}");
        }
    }
    let decimal = file.array("u8_big").unwrap().to_strings().unwrap();
    assert_eq!(decimal[[1, 2]], "18446744073709551615");
    assert_eq!(file.array("bool").unwrap().to_u32().unwrap(), array![1, 0, 1].into_dyn());
    let fortran = file.array("fortran").unwrap().to_f32().unwrap();
    assert_eq!((fortran.shape(), fortran[[1, 0, 2]]), (&[2, 3, 4][..], 14.0));
    assert_eq!(file.array("scalar").unwrap().to_f64().unwrap()[[]], 7.5);
    assert_eq!(file.array("empty").unwrap().shape(), [0, 5]);
    let strings = |name: &str| file.array(name).unwrap().to_strings().unwrap().into_iter().collect::<Vec<_>>();
    assert_eq!(strings("text"), ["ECG 101", "", "Größe", "心"]);
    assert_eq!(strings("text_big"), ["ab", "c"]);
    assert_eq!(strings("bytes"), ["a1", "b22"]);
}

#[test]
fn only_arrays_are_listed_and_a_missing_one_is_named() {
    let read = Npz::open(file("readme.npz")).unwrap();
    assert_eq!(read.names(), ["deep/x"]);
    assert_eq!(read.array("deep/x").unwrap().to_u32().unwrap(), array![0, 1, 2].into_dyn());
    refused(read.array("x"), &["readme.npz", "an array \"x\"", "arrays deep/x"]);
    assert!(!format!("{read:?}").contains("readme"));
}

#[test]
fn stored_arrays_are_read_sample_by_sample() {
    let stored = Npz::open(file("stored.npz")).unwrap();
    let rows = stored.rows("x").unwrap().as_f32();
    assert_eq!(rows.len(), 4);
    assert_eq!(decode(rows.clone()).unwrap(), Tensor::from(stored.array("x").unwrap().to_f32().unwrap()));
    assert_eq!(decode(stored.rows("y").unwrap()).unwrap(), Tensor::u8([4], vec![0, 1, 1, 0]).unwrap());
    let deflated = Npz::open(file("arrays.npz")).unwrap();
    refused(deflated.rows("i2_little"), &["arrays.npz", "i2_little.npy", "deflated"]);
}

#[test]
fn deflated_arrays_fill_no_more_memory_than_they_may() {
    let folder = Folder::new();
    let path = folder.0.join("zeros.npz");
    npz::write(&path, [("x", NpyArray::from(&Array1::<f64>::zeros(1_000_000)))]).unwrap();
    let zeros = || Npz::open(&path).unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() < 20_000);
    refused(zeros().most_bytes(8_000_000).array("x"), &["x.npy", "8000000 bytes", "Npz::most_bytes", "8000128"]);
    assert_eq!(zeros().most_bytes(8_000_128).array("x").unwrap().len(), 1_000_000);
    // A list of the archive that claims fewer bytes than come: the size stands 24 bytes after the entry's mark.
    let mut lies = std::fs::read(&path).unwrap();
    let entry = lies.windows(4).rposition(|w| w == b"PK\x01\x02").unwrap();
    lies[entry + 24..entry + 28].copy_from_slice(&200_u32.to_le_bytes());
    refused(Npz::parse(lies, Path::new("lies.npz")).unwrap().array("x"), &["x.npy"]);
    // What is stored as it is takes the file's own size, and needs no limit.
    let stored = Npz::open(file("stored.npz")).unwrap().most_bytes(0);
    assert!(stored.array("x").is_ok());
}

#[test]
fn what_is_written_is_read_again_here_and_by_another_reader() {
    let folder = Folder::new();
    let (path, again) = (folder.0.join("a.npz"), folder.0.join("b.npz"));
    let score = Array2::from_shape_fn((300, 7), |(i, j)| (i as f64 * 0.37 + j as f64).sin());
    let label = Array1::from_shape_fn(300, |i| i as u32 % 5);
    let arrays = || [("score", NpyArray::from(&score)), ("label", NpyArray::from(&label))];
    npz::write(&path, arrays()).unwrap();
    npz::write(&again, arrays()).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), std::fs::read(&again).unwrap(), "the same arrays give the same bytes");
    let read = Npz::open(&path).unwrap();
    assert_eq!(read.names(), ["score", "label"]);
    assert_eq!(read.array("score").unwrap(), NpyArray::from(&score));
    let mut peer = NpzReader::new(std::fs::File::open(&path).unwrap()).unwrap();
    assert_eq!(peer.by_name::<ndarray::OwnedRepr<f64>, ndarray::Ix2>("score").unwrap(), score);
    assert_eq!(peer.by_name::<ndarray::OwnedRepr<u32>, ndarray::Ix1>("label").unwrap(), label);
    refused(npz::write(&path, [("x", array![1_u8].into()), ("x", array![2_u8].into())]), &["npz::write", "x.npy"]);
    assert_eq!(Npz::open(&path).unwrap().names(), ["score", "label"], "the refused file replaced nothing");
}

/// What comes of all arrays in these bytes.
fn all(bytes: &[u8]) -> galen::Result<Vec<NpyArray>> {
    let file = Npz::parse(bytes, Path::new("file.npz"))?;
    file.names().iter().map(|name| file.array(name)).collect()
}

#[test]
fn every_truncation_is_refused() {
    for name in ["stored.npz", "readme.npz"] {
        let whole = std::fs::read(file(name)).unwrap();
        all(&whole).unwrap();
        for length in 0..whole.len() {
            let error = all(&whole[..length]).unwrap_err();
            assert!(matches!(error, Error::Format { .. }), "{length}: {error:?}");
        }
    }
}

#[test]
fn every_damaged_byte_of_an_array_is_seen() {
    for name in ["stored.npz", "arrays.npz"] {
        let whole = std::fs::read(file(name)).unwrap();
        let right = all(&whole).unwrap();
        let mut wrong = 0;
        for at in (0..whole.len()).step_by(3) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            // Times and permissions of entries may be damaged without harm; never an element.
            match all(&damaged) {
                Ok(arrays) => assert!(arrays.len() < right.len() || arrays == right, "byte {at}"),
                Err(_) => wrong += 1,
            }
        }
        assert!(wrong > whole.len() / 12, "{wrong}");
    }
}

#[test]
fn an_entry_that_lies_about_its_array_is_refused() {
    let entry = |content: &[u8], method: zip::CompressionMethod| {
        let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        archive.start_file("x.npy", options).unwrap();
        archive.write_all(content).unwrap();
        archive.finish().unwrap().into_inner()
    };
    let whole = std::fs::read(file("v1.npy")).unwrap();
    for method in [zip::CompressionMethod::Stored, zip::CompressionMethod::Deflated] {
        assert_eq!(all(&entry(&whole, method)).unwrap().len(), 1);
        let cut = all(&entry(&whole[..whole.len() - 1], method));
        refused(cut, &["file.npz", "x.npy", "expected 12 bytes of elements for [2, 3], got 11 bytes, then the end"]);
        // An entry that unpacks to far more than its header claims is read no further than the claim.
        let bomb = [whole.clone(), vec![0; 50_000_000]].concat();
        refused(all(&entry(&bomb, method)), &["x.npy", "more bytes after them"]);
    }
    refused(Npz::open(file("v1.npy")), &["v1.npy", "a whole ZIP archive"]);
    assert!(matches!(Npz::open(file("none.npz")), Err(Error::Io { .. })));
}

#[test]
fn the_published_sets_are_what_numpy_reads() {
    let Some(data) = data("the_published_sets_are_what_numpy_reads") else { return };
    // numpy 2: shape, and the sum in int64 or float64, of each array.
    let sum = |file: &Npz, name: &str, shape: &[usize]| {
        let array = file.array(name).unwrap();
        assert_eq!(array.shape(), shape, "{name}");
        array.to_f64().unwrap().iter().filter(|v| !v.is_nan()).sum::<f64>()
    };
    let beats = Npz::open(data.join("ecg_mitbih/mitbih_beats_ds1.npz")).unwrap();
    assert_eq!(beats.names(), ["x", "y", "record", "symbol", "r_sample", "rr_prev_s", "rr_next_s"]);
    assert_eq!(sum(&beats, "x", &[51002, 128]), -510350655.0);
    assert_eq!(sum(&beats, "y", &[51002]), 9794.0);
    assert_eq!(sum(&beats, "record", &[51002]), 8322583.0);
    assert_eq!(sum(&beats, "r_sample", &[51002]), 16531257394.0);
    assert!((sum(&beats, "rr_prev_s", &[51002]) - 39694.35000425577).abs() < 1e-6);
    assert_eq!(beats.array("record").unwrap().to_strings().unwrap()[[0]], "101");
    let breast = Npz::open(data.join("medmnist/breastmnist.npz")).unwrap();
    assert_eq!(sum(&breast, "train_images", &[546, 28, 28]), 35757482.0);
    assert_eq!(sum(&breast, "test_labels", &[156, 1]), 114.0);
    let ecg = Npz::open(data.join("ptbxl_metric_golden/ptbxl_exp0_test.npz")).unwrap();
    assert_eq!(sum(&ecg, "y_true", &[2203, 71]), 6107.0);
    assert!((sum(&ecg, "y_score", &[2203, 71]) - 7488.117294031396).abs() < 1e-6);
}
