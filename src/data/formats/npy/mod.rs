//! NPY, NumPy's format for one array, as `numpy.save` writes it: a header with element type, order and shape, then the elements.
//!
//! Source: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>, versions 1.0 to 3.0. Booleans, integers of 8 to
//! 64 bits, floats of 16 to 64 bits and strings are read, little- and big-endian, in C's order and in Fortran's; pickled objects never.
//!
//! ```
//! use galen::data::formats::npy;
//! use ndarray::array;
//!
//! let path = std::env::temp_dir().join("galen-doc-ages.npy");
//! npy::write(&path, array![61.5_f64, 48.0, 73.25])?;
//! let ages = npy::read(&path)?;
//! assert_eq!((ages.shape(), ages.dtype()), (&[3][..], npy::NpyType::F64));
//! assert_eq!(ages.to_f32()?[[2]], 73.25);
//! # std::fs::remove_file(path).unwrap();
//! # Ok::<(), galen::Error>(())
//! ```

mod dtype;
mod header;
mod rows;
mod values;

use std::fmt;
use std::io::{self, BufReader, Read};
use std::path::Path;

use ndarray::{Array, ArrayD, Dimension};

use crate::data::formats::storage::Storage;
use crate::error::{Error, Result};
use crate::file::{self, Access};
use crate::tensor::Tensor;

pub use dtype::NpyType;
use header::Refusal;
pub(crate) use rows::rows_at;
pub use rows::{NpyRows, rows};
use values::{Number, Values, each};

/// An array as its file holds it. Make what you need of it: [`into_tensor`](NpyArray::into_tensor), [`to_f32`](NpyArray::to_f32),
/// [`to_u32`](NpyArray::to_u32), [`to_strings`](NpyArray::to_strings).
#[derive(Clone)]
pub struct NpyArray {
    values: Values,
    dtype: NpyType,
    /// What errors call it.
    name: String,
}

/// The array in an NPY file.
///
/// # Errors
/// [`Error::Io`] where the file cannot be read; [`Error::Format`] where it is not NPY, its elements are of no type that is read here
/// (pickled objects, records, complex numbers), or it is shorter or longer than its header says.
pub fn read(path: impl AsRef<Path>) -> Result<NpyArray> {
    let path = path.as_ref();
    decode(&mut BufReader::with_capacity(1 << 16, Storage::open(path)?.reader()), path)
}

/// The array in the bytes of an NPY file; `name` is what errors call it.
///
/// # Errors
/// As [`read`].
pub fn parse(mut bytes: &[u8], name: &Path) -> Result<NpyArray> {
    decode(&mut bytes, name)
}

/// Writes an array as an NPY file that `numpy.load` reads: little-endian, in C's order. A file of that name is replaced only when
/// the new one is whole and on disk.
///
/// # Errors
/// [`Error::Io`] where the file cannot be written.
pub fn write(path: impl AsRef<Path>, array: impl Into<NpyArray>) -> Result<()> {
    file::replace(path.as_ref(), &array.into().to_bytes(), Access::Shared)
}

/// The array that `reader` gives up to its end.
pub(crate) fn decode(reader: &mut impl Read, name: &Path) -> Result<NpyArray> {
    let whole =
        header::Header::read(reader).and_then(|header| Ok((values::read(reader, &header)?, header.stored.dtype)));
    let (values, dtype) = whole.map_err(|refusal| refusal.at(name))?;
    Ok(NpyArray { values, dtype, name: name.display().to_string() })
}

impl Refusal {
    /// As an error about the file `path`.
    fn at(self, path: &Path) -> Error {
        match self {
            Refusal::Format { expected, actual } => Error::Format { path: path.to_owned(), expected, actual },
            // A compressed stream reports damage as one of these; all others come from the system.
            Refusal::Io(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof
                ) =>
            {
                Error::Format { path: path.to_owned(), expected: "undamaged content".to_owned(), actual: e.to_string() }
            }
            Refusal::Io(reason) => Error::Io { path: path.to_owned(), reason },
        }
    }
}

impl NpyArray {
    /// The type of the elements in the file.
    pub fn dtype(&self) -> NpyType {
        self.dtype
    }

    /// The extents, outermost first.
    pub fn shape(&self) -> &[usize] {
        each!(&self.values, array => array.shape(), array => array.shape())
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        each!(&self.values, array => array.len(), array => array.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// As a tensor: `uint8` stays bytes, `bool` becomes bytes of 0 and 1, floats become `f32` (rounded), and all other integers
    /// become `u32`, as class indices and tokens are.
    ///
    /// # Errors
    /// [`Error::Data`] where an integer is below 0 or above 4,294,967,295 (signals want [`NpyArray::to_f32`]), a float is too large
    /// for `f32`, or the elements are strings.
    pub fn into_tensor(self) -> Result<Tensor> {
        match self.values {
            Values::U8(array) => Ok(array.into()),
            Values::U32(array) => Ok(array.into()),
            Values::F32(array) => Ok(array.into()),
            Values::Bool(array) => Ok(array.mapv(u8::from).into()),
            Values::F64(_) => Ok(self.to_f32()?.into()),
            _ => Ok(self.to_u32()?.into()),
        }
    }

    /// As floats. Numbers that `f32` does not have are rounded to the nearest: whole numbers are exact up to 16,777,216.
    ///
    /// # Errors
    /// [`Error::Data`] where a number is too large for `f32`, or the elements are strings.
    pub fn to_f32(&self) -> Result<ArrayD<f32>> {
        each!(&self.values, array => self.convert(array, "numbers within the range of f32", narrow), _ => Err(self.strings()))
    }

    /// As floats of double precision. Whole numbers are exact up to 2⁵³.
    ///
    /// # Errors
    /// [`Error::Data`] where the elements are strings.
    pub fn to_f64(&self) -> Result<ArrayD<f64>> {
        each!(&self.values, array => Ok(array.mapv(Number::to_f64)), _ => Err(self.strings()))
    }

    /// As unsigned integers: class indices, tokens. Floats that are whole numbers count as integers.
    ///
    /// # Errors
    /// [`Error::Data`] where a number is not whole, below 0 or above 4,294,967,295, or the elements are strings.
    pub fn to_u32(&self) -> Result<ArrayD<u32>> {
        let expected = "whole numbers from 0 to 4294967295";
        each!(&self.values, array => self.convert(array, expected, Number::to_u32), _ => Err(self.strings()))
    }

    /// As strings, without the zeros that NumPy fills them up with; integers in decimal, so that both kinds of patient numbers can
    /// group samples.
    ///
    /// # Errors
    /// [`Error::Data`] where the elements are floats or booleans.
    pub fn to_strings(&self) -> Result<ArrayD<String>> {
        if let Values::Bool(_) | Values::F32(_) | Values::F64(_) = self.values {
            return Err(Error::data(&self.name, "strings or integers", self.dtype.to_string()));
        }
        Ok(each!(&self.values, array => array.map(ToString::to_string), array => array.clone()))
    }

    fn convert<T: Number, U>(
        &self,
        from: &ArrayD<T>,
        expected: &str,
        one: impl Fn(T) -> Option<U>,
    ) -> Result<ArrayD<U>> {
        let converted: Option<Vec<U>> = from.iter().map(|v| one(*v)).collect();
        if let Some(array) = converted.and_then(|v| ArrayD::from_shape_vec(from.raw_dim(), v).ok()) {
            return Ok(array);
        }
        let bad = from.indexed_iter().find(|(_, v)| one(**v).is_none());
        let actual = bad.map(|(at, v)| format!("{v} at {:?}", ndarray::Dimension::slice(&at))).unwrap_or_default();
        Err(Error::data(&self.name, expected, actual))
    }

    fn strings(&self) -> Error {
        Error::data(&self.name, "numbers", "strings; to_strings gives them")
    }

    /// The bytes of the NPY file that [`write()`] writes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let (descr, elements) = values::bytes(&self.values);
        let mut out = header::write(&descr, self.shape());
        out.extend(elements);
        out
    }
}

/// A float of single precision; none where it would become infinite.
fn narrow<T: Number>(v: T) -> Option<f32> {
    let narrow = v.to_f32();
    (narrow.is_finite() || !v.to_f64().is_finite()).then_some(narrow)
}

/// Arrays of the same type, shape and elements are equal.
impl PartialEq for NpyArray {
    fn eq(&self, other: &Self) -> bool {
        (self.dtype, &self.values) == (other.dtype, &other.values)
    }
}

impl fmt::Debug for NpyArray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?}", self.dtype, self.shape())
    }
}

macro_rules! from_array {
    ($($type:ty, $variant:ident, $dtype:ident;)*) => {$(
        impl<D: Dimension> From<Array<$type, D>> for NpyArray {
            fn from(array: Array<$type, D>) -> NpyArray {
                let array = array.into_dyn();
                // Elements are written in the order in which they lie.
                let array = if array.is_standard_layout() { array } else { array.as_standard_layout().into_owned() };
                NpyArray { values: Values::$variant(array), dtype: NpyType::$dtype, name: "array".to_owned() }
            }
        }
        impl<D: Dimension> From<&Array<$type, D>> for NpyArray {
            fn from(array: &Array<$type, D>) -> NpyArray {
                array.clone().into()
            }
        }
    )*};
}

from_array! {
    bool, Bool, Bool;
    i8, I8, I8;
    u8, U8, U8;
    i16, I16, I16;
    u16, U16, U16;
    i32, I32, I32;
    u32, U32, U32;
    i64, I64, I64;
    u64, U64, U64;
    f32, F32, F32;
    f64, F64, F64;
    String, Text, Text;
}

impl From<Tensor> for NpyArray {
    fn from(tensor: Tensor) -> NpyArray {
        match tensor {
            Tensor::F32(array) => array.into(),
            Tensor::U32(array) => array.into(),
            Tensor::U8(array) => array.into(),
        }
    }
}

impl From<&Tensor> for NpyArray {
    fn from(tensor: &Tensor) -> NpyArray {
        tensor.clone().into()
    }
}
