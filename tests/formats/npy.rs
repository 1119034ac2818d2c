use std::path::Path;
use std::time::Instant;

use galen::data::formats::npy::{self, NpyArray, NpyType};
use galen::data::{RowMut, Rows};
use galen::{DType, Error, Tensor, TensorSpec};
use ndarray::{Array2, ArrayD, IxDyn, ShapeBuilder, array};
use ndarray_npy::{ReadNpyExt, WriteNpyExt};

use super::{Folder, decode, file, refused};

/// The bytes of an NPY file with this dictionary.
fn npy(dictionary: &str, elements: &[u8]) -> Vec<u8> {
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend((dictionary.len() as u16).to_le_bytes());
    out.extend(dictionary.as_bytes());
    out.extend(elements);
    out
}

fn described(descr: &str, shape: &str, elements: &[u8]) -> Vec<u8> {
    npy(&format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n"), elements)
}

fn parse(bytes: &[u8]) -> galen::Result<NpyArray> {
    npy::parse(bytes, Path::new("file.npy"))
}

#[test]
fn all_versions_are_read() {
    for version in ["v1.npy", "v2.npy", "v3.npy"] {
        let read = npy::read(file(version)).unwrap();
        assert_eq!((read.shape(), read.dtype(), read.len()), (&[2, 3][..], NpyType::U16, 6));
        assert_eq!(read.to_u32().unwrap(), array![[0, 1, 2], [3, 4, 5]].into_dyn());
    }
}

#[test]
fn tensors_have_the_types_that_training_wants() {
    let spec = |bytes: &[u8]| parse(bytes).unwrap().into_tensor().unwrap().spec();
    assert_eq!(spec(&described("|u1", "(2,)", &[7, 255])), TensorSpec::new([2], DType::U8));
    assert_eq!(spec(&described("|b1", "(2,)", &[0, 1])), TensorSpec::new([2], DType::U8));
    assert_eq!(spec(&described("<i8", "(1,)", &[9, 0, 0, 0, 0, 0, 0, 0])), TensorSpec::new([1], DType::U32));
    assert_eq!(spec(&described("<f8", "()", &1.5_f64.to_le_bytes())), TensorSpec::new([0; 0], DType::F32));
    assert_eq!(spec(&described("<f2", "(1,)", &[0, 0x3c])), TensorSpec::new([1], DType::F32));
}

#[test]
fn numbers_that_do_not_fit_are_named_with_their_place() {
    let signal = parse(&described("<i2", "(1, 2)", &[5, 0, 0xfe, 0xff])).unwrap();
    assert_eq!(signal.to_f32().unwrap(), array![[5.0, -2.0]].into_dyn());
    assert_eq!(signal.to_f64().unwrap(), array![[5.0, -2.0]].into_dyn());
    refused(signal.into_tensor(), &["file.npy", "whole numbers from 0", "-2 at [0, 1]"]);
    let large = NpyArray::from(array![1.0, 1e39]);
    refused(large.to_f32(), &["within the range of f32", "at [1]"]);
    assert_eq!(large.to_f64().unwrap()[[1]], 1e39);
    assert_eq!(NpyArray::from(array![f64::INFINITY]).to_f32().unwrap()[[0]], f32::INFINITY);
    refused(NpyArray::from(array![1.5]).to_u32(), &["1.5 at [0]"]);
    assert_eq!(NpyArray::from(array![3.0]).to_u32().unwrap()[[0]], 3);
    refused(NpyArray::from(array!["a".to_owned()]).to_f32(), &["numbers", "strings"]);
    refused(NpyArray::from(array![0.5]).to_strings(), &["strings or integers", "float64"]);
}

#[test]
fn what_is_written_is_read_again_here_and_by_another_reader() {
    let folder = Folder::new();
    let path = folder.0.join("x.npy");
    macro_rules! round {
        ($array:expr, $type:ty) => {{
            let array: Array2<$type> = $array;
            npy::write(&path, &array).unwrap();
            assert_eq!(npy::read(&path).unwrap(), NpyArray::from(&array));
            let peer = Array2::<$type>::read_npy(std::fs::File::open(&path).unwrap()).unwrap();
            assert_eq!(peer, array);
            // And what the peer writes is read here, in both orders.
            for array in [array.clone(), array.t().to_owned(), array.reversed_axes()] {
                let mut bytes = Vec::new();
                array.write_npy(&mut bytes).unwrap();
                assert_eq!(parse(&bytes).unwrap(), NpyArray::from(array));
            }
        }};
    }
    round!(array![[true, false, true]], bool);
    round!(array![[i8::MIN, 0], [1, i8::MAX]], i8);
    round!(array![[1, 2, 3], [4, 5, u8::MAX]], u8);
    round!(array![[i16::MIN], [i16::MAX]], i16);
    round!(array![[0, u16::MAX]], u16);
    round!(array![[i32::MIN, i32::MAX]], i32);
    round!(array![[1, u32::MAX]], u32);
    round!(array![[i64::MIN, i64::MAX]], i64);
    round!(array![[0, u64::MAX]], u64);
    round!(array![[-0.0, 1.5e-40], [f32::MAX, f32::NEG_INFINITY]], f32);
    round!(array![[5e-324, 1.0], [f64::MAX, -3.0]], f64);
    round!(Array2::zeros((0, 4)), f32);
    let words = array!["N", "Größe", "", "\u{1f489}"].mapv(str::to_owned);
    npy::write(&path, &words).unwrap();
    assert_eq!(npy::read(&path).unwrap().to_strings().unwrap(), words.into_dyn());
    npy::write(&path, Tensor::u32([2], vec![1, 2]).unwrap()).unwrap();
    assert_eq!(npy::read(&path).unwrap().dtype(), NpyType::U32);
}

#[test]
fn fortran_order_is_turned_around() {
    let read = npy::read(file("fortran.npy")).unwrap();
    assert_eq!(read.to_f32().unwrap(), array![[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]].into_dyn());
    let Tensor::F32(tensor) = read.into_tensor().unwrap() else { panic!("not floats") };
    assert!(tensor.is_standard_layout());
}

#[test]
fn every_truncation_is_refused() {
    for name in ["v1.npy", "v2.npy", "fortran.npy"] {
        let whole = std::fs::read(file(name)).unwrap();
        for length in 0..whole.len() {
            let error = parse(&whole[..length]).unwrap_err();
            assert!(matches!(error, Error::Format { .. }), "{length}: {error:?}");
        }
        let mut longer = whole.clone();
        longer.push(0);
        refused(parse(&longer), &["file.npy", "bytes of elements for [2, 3]", "more bytes after them"]);
    }
    let whole = std::fs::read(file("v1.npy")).unwrap();
    refused(parse(&whole[..whole.len() - 5]), &["expected 12 bytes of elements for [2, 3], got 7 bytes, then the end"]);
    refused(parse(&whole[..100]), &["a header of 118 bytes", "90 bytes"]);
}

#[test]
fn a_header_claims_and_gets_nothing() {
    let start = Instant::now();
    let claims = |descr: &str, shape: &str| parse(&described(descr, shape, &[1, 2, 3]));
    refused(claims("<f4", "(1099511627776,)"), &["4398046511104 bytes", "got 3 bytes, then the end"]);
    refused(claims("|u1", "(1048576, 1048576)"), &["1099511627776 bytes"]);
    refused(claims("<U1000000000", "(1000,)"), &["4000000000000 bytes"]);
    refused(claims("|u1", "(18446744073709551615, 18446744073709551615)"), &["can be addressed"]);
    refused(claims("|u1", "(18446744073709551615, 18446744073709551615, 0)"), &["can be addressed"]);
    refused(
        claims("<U0", "(1099511627776,)"),
        &["'<U0'", "numbers, booleans or strings"].map(|w| w.trim_matches('\'')),
    );
    refused(claims("|u1", &format!("({})", "2, ".repeat(65))), &["at most 64 dimensions"]);
    let mut longest = b"\x93NUMPY\x02\x00".to_vec();
    longest.extend(u32::MAX.to_le_bytes());
    refused(parse(&longest), &["a header of at most 65536 bytes", "4294967295"]);
    assert!(start.elapsed().as_secs_f64() < 1.0, "something was allocated");
    // Dimensions may be large where one is zero, as NumPy has it.
    assert_eq!(parse(&described("<f4", "(0, 1099511627776)", &[])).unwrap().shape(), [0, 1 << 40]);
}

#[test]
fn what_is_no_array_of_numbers_is_refused_with_the_way_out() {
    refused(npy::read(file("objects.npy")), &["objects.npy", "pickled Python objects", "astype('float32')"]);
    refused(npy::read(file("records.npy")), &["records.npy", "a record array", "numpy.savez"]);
    refused(npy::read(file("complex.npy")), &["complex numbers (<c8)", "array.real"]);
    refused(npy::read(file("stored.npz")), &["a ZIP archive, as NPZ files are"]);
    refused(parse(b"\x80\x04\x95 a pickle"), &["a Python pickle", "numpy.save"]);
    refused(parse(b"\x93NUMPY\x04\x00"), &["version 1.0, 2.0 or 3.0", "version 4.0"]);
    refused(parse(&described("<U1", "(1,)", &[0, 0, 0x11, 0])), &["strings in UTF-32"]);
    refused(parse(&described("|S2", "(1,)", &[0xff, 0xfe])), &["strings in UTF-8"]);
    assert!(matches!(npy::read(file("no.npy")), Err(Error::Io { .. })));
    assert!(matches!(npy::read(file("")), Err(Error::Io { .. })));
}

#[test]
fn samples_are_read_where_they_lie() {
    let rows = npy::rows(file("samples.npy")).unwrap();
    assert_eq!((rows.len(), rows.sample(), rows.dtype()), (5, TensorSpec::new([3, 4], DType::F32), NpyType::F64));
    let whole = npy::read(file("samples.npy")).unwrap().to_f32().unwrap();
    let mut one = [0.0; 12];
    rows.read(3, RowMut::F32(&mut one)).unwrap();
    assert_eq!(one.to_vec(), whole.iter().skip(36).take(12).copied().collect::<Vec<_>>());
    assert_eq!(decode(rows.clone()).unwrap(), Tensor::from(whole));
    // What a caller of rows could do wrong.
    refused(rows.read(5, RowMut::F32(&mut one)), &["below 5", "sample 5"]);
    refused(rows.read(0, RowMut::F32(&mut one[1..])), &["f32[11]"]);
    refused(rows.read(0, RowMut::U32(&mut [0; 12])), &["u32[12]"]);
    assert!(!format!("{rows:?}").contains("samples.npy"), "a path in what may be logged");
}

#[test]
fn samples_of_every_type_are_those_of_the_whole_array() {
    let folder = Folder::new();
    macro_rules! same {
        ($type:ty, $values:expr, $dtype:ident) => {{
            let array = ArrayD::<$type>::from_shape_vec(IxDyn(&[2, 2]), $values.to_vec()).unwrap();
            let path = folder.0.join(concat!(stringify!($type), ".npy"));
            npy::write(&path, &array).unwrap();
            let (rows, whole) = (npy::rows(&path).unwrap(), npy::read(&path).unwrap());
            assert_eq!(rows.sample().dtype, DType::$dtype);
            assert_eq!(decode(rows.clone().as_f32()).unwrap(), Tensor::from(whole.to_f32().unwrap()));
            assert_eq!(decode(rows.clone()).unwrap(), whole.into_tensor().unwrap());
        }};
    }
    same!(bool, [true, false, true, true], U8);
    same!(u8, [0, 1, 2, 255], U8);
    same!(i8, [0, 1, 2, 127], U32);
    same!(i16, [0, 1, 2, i16::MAX], U32);
    same!(u16, [0, 1, 2, u16::MAX], U32);
    same!(i32, [0, 1, 2, i32::MAX], U32);
    same!(u32, [0, 1, 2, u32::MAX], U32);
    same!(i64, [0, 1, 2, 4294967295], U32);
    same!(u64, [0, 1, 2, 4294967295], U32);
    same!(f32, [0.0, -1.0, 2.5, f32::MIN_POSITIVE], F32);
    same!(f64, [0.0, -1.0, 2.5, 1e-300], F32);
    let path = folder.0.join("negative.npy");
    npy::write(&path, array![[1_i16], [-1]]).unwrap();
    refused(decode(npy::rows(&path).unwrap()), &["negative.npy", "within the range of u32", "-1 in sample 1"]);
}

#[test]
fn files_that_cannot_be_read_sample_by_sample_are_refused_at_once() {
    let folder = Folder::new();
    refused(npy::rows(file("fortran.npy")), &["fortran.npy", "numpy.ascontiguousarray"]);
    refused(npy::rows(folder.put("one.npy", &described("<f4", "()", &[0; 4]))), &["one.npy", "without dimensions"]);
    refused(npy::rows(folder.put("text.npy", &described("<U1", "(1,)", &[0; 4]))), &["text.npy", "strings"]);
    refused(
        npy::rows(folder.put("short.npy", &described("<f4", "(2, 2)", &[0; 15]))),
        &["short.npy", "16 bytes", "15"],
    );
    refused(npy::rows(folder.put("long.npy", &described("<f4", "(2, 2)", &[0; 17]))), &["long.npy", "16 bytes", "17"]);
    let vector = npy("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 1)}", &[0; 8]);
    assert_eq!(npy::rows(folder.put("vector.npy", &vector)).unwrap().len(), 2);
    // Of no samples, which need no bytes, any size could be claimed.
    for shape in ["(0, 1000000000)", "(0,)", "(3, 0)"] {
        let path = folder.put("none.npy", &described("<f4", shape, &[]));
        refused(npy::rows(path), &["none.npy", "at least one sample, with elements"]);
    }
    // Cut after it was opened.
    let path = folder.put("cut.npy", &described("|u1", "(4,)", &[1, 2, 3, 4]));
    let rows = npy::rows(&path).unwrap();
    std::fs::write(&path, described("|u1", "(4,)", &[1, 2, 3])).unwrap();
    refused(rows.read(3, RowMut::U8(&mut [0])), &["cut.npy"]);
}

#[test]
fn an_order_put_in_by_hand_is_written_as_what_it_means() {
    let array = Array2::from_shape_vec((2, 3).f(), vec![1_u8, 4, 2, 5, 3, 6]).unwrap();
    let folder = Folder::new();
    let path = folder.0.join("x.npy");
    npy::write(&path, Tensor::U8(array.into_dyn())).unwrap();
    assert_eq!(npy::read(&path).unwrap(), NpyArray::from(array![[1_u8, 2, 3], [4, 5, 6]]));
}
