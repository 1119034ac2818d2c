//! Tensors at the public border: ndarray's arrays, of the three element types that Galen knows.

use ndarray::{Array, ArrayD, Dimension, IxDyn};

use crate::error::{Error, Result};
use crate::host;
use crate::shape::{DType, Shape, TensorSpec};

/// A tensor in host memory.
#[derive(Clone, Debug, PartialEq)]
pub enum Tensor {
    /// Floats.
    F32(ArrayD<f32>),
    /// Unsigned integers: class indices, positions.
    U32(ArrayD<u32>),
    /// Bytes: images as they come from a file.
    U8(ArrayD<u8>),
}

/// The elements of a tensor, row-major, borrowed.
#[derive(Clone, Copy, Debug)]
pub enum Elements<'a> {
    /// Floats.
    F32(&'a [f32]),
    /// Unsigned integers.
    U32(&'a [u32]),
    /// Bytes.
    U8(&'a [u8]),
}

impl<'a> Elements<'a> {
    /// The type of the elements.
    pub fn dtype(self) -> DType {
        match self {
            Elements::F32(_) => DType::F32,
            Elements::U32(_) => DType::U32,
            Elements::U8(_) => DType::U8,
        }
    }

    /// How many there are.
    pub fn len(self) -> usize {
        match self {
            Elements::F32(x) => x.len(),
            Elements::U32(x) => x.len(),
            Elements::U8(x) => x.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Their bytes, as they lie in memory.
    pub fn bytes(self) -> &'a [u8] {
        match self {
            Elements::F32(x) => bytemuck::cast_slice(x),
            Elements::U32(x) => bytemuck::cast_slice(x),
            Elements::U8(x) => x,
        }
    }
}

impl Tensor {
    /// A tensor of floats from its elements, row-major.
    ///
    /// # Errors
    /// Where their number is not the shape's.
    pub fn f32(shape: impl Into<Shape>, elements: Vec<f32>) -> Result<Tensor> {
        from_vec(shape.into(), elements).map(Tensor::F32)
    }

    /// A tensor of unsigned integers from its elements, row-major.
    ///
    /// # Errors
    /// Where their number is not the shape's.
    pub fn u32(shape: impl Into<Shape>, elements: Vec<u32>) -> Result<Tensor> {
        from_vec(shape.into(), elements).map(Tensor::U32)
    }

    /// A tensor of bytes from its elements, row-major.
    ///
    /// # Errors
    /// Where their number is not the shape's.
    pub fn u8(shape: impl Into<Shape>, elements: Vec<u8>) -> Result<Tensor> {
        from_vec(shape.into(), elements).map(Tensor::U8)
    }

    /// Shape and type.
    pub fn spec(&self) -> TensorSpec {
        match self {
            Tensor::F32(x) => TensorSpec::new(x.shape(), DType::F32),
            Tensor::U32(x) => TensorSpec::new(x.shape(), DType::U32),
            Tensor::U8(x) => TensorSpec::new(x.shape(), DType::U8),
        }
    }

    /// Shape.
    pub fn shape(&self) -> &[usize] {
        match self {
            Tensor::F32(x) => x.shape(),
            Tensor::U32(x) => x.shape(),
            Tensor::U8(x) => x.shape(),
        }
    }

    /// Refuses, for `what`, an array that somebody put into a variant by hand and that is not row-major.
    pub(crate) fn expect_rows(&self, what: &str) -> Result<()> {
        if self.elements().len() == self.spec().shape.elements() {
            return Ok(());
        }
        Err(Error::usage(what, "its elements are not in row-major order; Tensor::from puts them there"))
    }

    /// The elements, row-major. Tensors made by `From` and by Galen are always in that layout; of an array in another layout that
    /// was put into a variant by hand, there are none.
    pub fn elements(&self) -> Elements<'_> {
        match self {
            Tensor::F32(x) => Elements::F32(x.as_slice().unwrap_or_default()),
            Tensor::U32(x) => Elements::U32(x.as_slice().unwrap_or_default()),
            Tensor::U8(x) => Elements::U8(x.as_slice().unwrap_or_default()),
        }
    }

    /// The array, where the elements are floats.
    ///
    /// # Errors
    /// [`Error::DType`] otherwise.
    pub fn into_f32(self) -> Result<ArrayD<f32>> {
        match self {
            Tensor::F32(x) => Ok(x),
            other => Err(Error::dtype("tensor", "f32", other.spec().to_string())),
        }
    }

    /// The rows of these numbers, along the first dimension, in this order.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    ///
    /// # Panics
    /// If a row does not exist, or the elements are not row-major.
    pub(crate) fn select(&self, rows: &[usize]) -> Result<Tensor> {
        let sample = self.shape().get(1..).unwrap_or_default();
        let shape: Vec<usize> = std::iter::once(rows.len()).chain(sample.iter().copied()).collect();
        let width = sample.iter().product();
        match self.elements() {
            Elements::F32(x) => Tensor::f32(shape, rows_of(x, width, rows)?),
            Elements::U32(x) => Tensor::u32(shape, rows_of(x, width, rows)?),
            Elements::U8(x) => Tensor::u8(shape, rows_of(x, width, rows)?),
        }
    }

    /// A copy, or [`Error::OutOfMemory`].
    pub(crate) fn copied(&self) -> Result<Tensor> {
        let shape = self.shape().to_vec();
        match self.elements() {
            Elements::F32(x) => Tensor::f32(shape, host::copied(x, "a copy of a tensor")?),
            Elements::U32(x) => Tensor::u32(shape, host::copied(x, "a copy of a tensor")?),
            Elements::U8(x) => Tensor::u8(shape, host::copied(x, "a copy of a tensor")?),
        }
    }

    /// The array, where the elements are unsigned integers.
    ///
    /// # Errors
    /// [`Error::DType`] otherwise.
    pub fn into_u32(self) -> Result<ArrayD<u32>> {
        match self {
            Tensor::U32(x) => Ok(x),
            other => Err(Error::dtype("tensor", "u32", other.spec().to_string())),
        }
    }
}

/// The index of the largest number, the first of equals; a NaN counts as the largest.
fn argmax(values: impl Iterator<Item = f32>) -> usize {
    let mut best = (0, f32::NEG_INFINITY);
    for (i, v) in values.enumerate() {
        if v > best.1 || (v.is_nan() && !best.1.is_nan()) {
            best = (i, v);
        }
    }
    best.0
}

/// The class that a row of outputs or one-hot targets names: its largest entry, or, where there is only one, whether it is above one
/// half. A NaN counts as the largest number. The device counts alike (`ops::accuracy`).
pub(crate) fn class_of(row: impl ExactSizeIterator<Item = f32>) -> u32 {
    if row.len() == 1 { row.map(|v| u32::from(v > 0.5 || v.is_nan())).sum() } else { argmax(row) as u32 }
}

/// Rows of `width` elements.
fn rows_of<T: Copy>(x: &[T], width: usize, rows: &[usize]) -> Result<Vec<T>> {
    let mut all = host::room(rows.len().saturating_mul(width), "samples")?;
    rows.iter().for_each(|row| all.extend_from_slice(&x[row * width..(row + 1) * width]));
    Ok(all)
}

fn from_vec<T>(shape: Shape, elements: Vec<T>) -> Result<ArrayD<T>> {
    let count = elements.len();
    ArrayD::from_shape_vec(IxDyn(&shape), elements)
        .map_err(|_| Error::shape("tensor", format!("{} elements for {shape}", shape.elements()), count.to_string()))
}

macro_rules! from_array {
    ($type:ty, $variant:ident) => {
        impl<D: Dimension> From<Array<$type, D>> for Tensor {
            fn from(array: Array<$type, D>) -> Tensor {
                let array = array.into_dyn();
                Tensor::$variant(if array.is_standard_layout() {
                    array
                } else {
                    array.as_standard_layout().into_owned()
                })
            }
        }
        impl<D: Dimension> From<&Array<$type, D>> for Tensor {
            fn from(array: &Array<$type, D>) -> Tensor {
                array.clone().into()
            }
        }
    };
}

from_array!(f32, F32);
from_array!(u32, U32);
from_array!(u8, U8);
