//! Shapes, element types, strides and broadcasting: index arithmetic that every layer above shares.

use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Most dimensions that a tensor may have. Kernels carry index arrays of this length in their parameters.
pub const MAX_RANK: usize = 6;

/// Tensors have fewer elements than this: more than any memory holds, and few enough that no arithmetic on sizes overflows.
const MAX_ELEMENTS: usize = 1 << 48;

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DType {
    /// 32-bit float: features, parameters, activations.
    #[serde(rename = "f32")]
    F32,
    /// 32-bit unsigned integer: class indices, positions, counters.
    #[serde(rename = "u32")]
    U32,
    /// Byte: images as they come from a file. On a GPU four of them share a word.
    #[serde(rename = "u8")]
    U8,
}

impl DType {
    /// Bytes that `elements` of this type take in a buffer (whole 32-bit words).
    pub fn bytes(self, elements: usize) -> u64 {
        match self {
            DType::F32 | DType::U32 => elements as u64 * 4,
            DType::U8 => (elements as u64).div_ceil(4) * 4,
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DType::F32 => "f32",
            DType::U32 => "u32",
            DType::U8 => "u8",
        })
    }
}

/// The extents of a tensor, outermost first, row-major. A scalar has none.
#[derive(Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Shape(Vec<usize>);

impl Shape {
    /// The number of elements; 1 for a scalar, and `usize::MAX` where there are more than that.
    pub fn elements(&self) -> usize {
        if self.0.contains(&0) { 0 } else { self.0.iter().fold(1, |n, d| n.saturating_mul(*d)) }
    }

    /// Row-major strides in elements.
    pub fn strides(&self) -> Vec<usize> {
        let mut strides = vec![1; self.len()];
        for axis in (1..self.len()).rev() {
            strides[axis - 1] = strides[axis] * self[axis];
        }
        strides
    }

    /// Strides for reading a tensor of this shape as if it had shape `to`: zero along broadcast axes.
    /// `to` must be a broadcast of `self`.
    pub fn broadcast_strides(&self, to: &Shape) -> Vec<usize> {
        let lead = to.len() - self.len();
        let own = self.strides();
        (0..to.len())
            .map(|axis| match axis.checked_sub(lead) {
                Some(a) if self[a] != 1 => own[a],
                _ => 0,
            })
            .collect()
    }

    /// The shape that NumPy's broadcasting gives two shapes, or `None` where they do not broadcast.
    pub fn broadcast(&self, other: &Shape) -> Option<Shape> {
        let rank = self.len().max(other.len());
        let at = |s: &Shape, axis: usize| (axis + s.len()).checked_sub(rank).map_or(1, |a| s[a]);
        (0..rank)
            .map(|axis| match (at(self, axis), at(other, axis)) {
                (a, b) if a == b => Some(a),
                (1, b) => Some(b),
                (a, 1) => Some(a),
                _ => None,
            })
            .collect::<Option<Vec<_>>>()
            .map(Shape)
    }

    /// The shape split around `axis`: the product of the extents before it, its own, and the product of those after it.
    pub fn around(&self, axis: usize) -> (usize, usize, usize) {
        (self[..axis].iter().product(), self[axis], self[axis + 1..].iter().product())
    }

    /// This shape without its extent along `axis`.
    pub fn without(&self, axis: usize) -> Shape {
        let mut v = self.0.clone();
        v.remove(axis);
        Shape(v)
    }
}

impl Deref for Shape {
    type Target = [usize];
    fn deref(&self) -> &[usize] {
        &self.0
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(v: [usize; N]) -> Self {
        Shape(v.to_vec())
    }
}

impl From<Vec<usize>> for Shape {
    fn from(v: Vec<usize>) -> Self {
        Shape(v)
    }
}

impl From<&[usize]> for Shape {
    fn from(v: &[usize]) -> Self {
        Shape(v.to_vec())
    }
}

impl From<&Shape> for Shape {
    fn from(s: &Shape) -> Self {
        s.clone()
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// What is known of a tensor before it is computed: its shape and the type of its elements.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TensorSpec {
    /// The extents.
    pub shape: Shape,
    /// The type of the elements.
    pub dtype: DType,
}

impl TensorSpec {
    /// A tensor of `dtype` and `shape`.
    pub fn new(shape: impl Into<Shape>, dtype: DType) -> Self {
        TensorSpec { shape: shape.into(), dtype }
    }

    /// A tensor of floats.
    pub fn f32(shape: impl Into<Shape>) -> Self {
        TensorSpec::new(shape, DType::F32)
    }

    /// A tensor of unsigned integers.
    pub fn u32(shape: impl Into<Shape>) -> Self {
        TensorSpec::new(shape, DType::U32)
    }

    /// Refuses, for `what`, a tensor without elements, with too many dimensions, or too large to be counted.
    ///
    /// # Errors
    /// [`Error::Shape`].
    pub(crate) fn check(&self, what: &str) -> Result<()> {
        let (rank, elements) = (self.shape.len(), self.shape.elements());
        if rank > MAX_RANK {
            return Err(Error::shape(what, format!("at most {MAX_RANK} dimensions"), self.to_string()));
        }
        if elements == 0 || elements >= MAX_ELEMENTS {
            let expected = if elements == 0 { "at least one element" } else { "fewer than 2⁴⁸ elements" };
            return Err(Error::shape(what, expected, self.to_string()));
        }
        Ok(())
    }

    /// Bytes that the tensor takes in a buffer.
    pub fn bytes(&self) -> u64 {
        self.dtype.bytes(self.shape.elements())
    }
}

impl fmt::Display for TensorSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.dtype, self.shape)
    }
}

/// `axis`, or where it is negative the axis counted from the end, checked against `rank`.
///
/// # Errors
/// [`Error::Parameter`] naming `op` where there is no such axis.
pub fn resolve_axis(op: &str, axis: isize, rank: usize) -> Result<usize> {
    let resolved = if axis < 0 { axis + rank as isize } else { axis };
    if resolved < 0 || resolved >= rank as isize {
        return Err(Error::parameter(op, "axis", format!("in -{rank}..{rank}"), axis));
    }
    Ok(resolved as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcasting_follows_numpy() {
        let b = |a: &[usize], c: &[usize]| Shape::from(a).broadcast(&Shape::from(c)).map(|s| s.to_vec());
        assert_eq!(b(&[3, 1], &[1, 4]), Some(vec![3, 4]));
        assert_eq!(b(&[5], &[2, 5]), Some(vec![2, 5]));
        assert_eq!(b(&[], &[2, 5]), Some(vec![2, 5]));
        assert_eq!(b(&[3], &[4]), None);
        assert_eq!(Shape::from([3, 1]).broadcast_strides(&Shape::from([2, 3, 4])), vec![0, 1, 0]);
    }

    #[test]
    fn axes_count_from_the_end_too() {
        assert_eq!(resolve_axis("sum", -1, 3).unwrap(), 2);
        assert!(resolve_axis("sum", 3, 3).is_err());
        assert!(resolve_axis("sum", -4, 3).is_err());
    }
}
