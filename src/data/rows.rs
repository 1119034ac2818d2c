use std::fmt;

use crate::error::Result;
use crate::shape::{DType, TensorSpec};

/// Where the elements of one sample go, row-major.
#[derive(Debug)]
pub enum RowMut<'a> {
    /// Floats.
    F32(&'a mut [f32]),
    /// Unsigned integers.
    U32(&'a mut [u32]),
    /// Bytes.
    U8(&'a mut [u8]),
}

impl RowMut<'_> {
    /// The type of the elements.
    pub fn dtype(&self) -> DType {
        match self {
            RowMut::F32(_) => DType::F32,
            RowMut::U32(_) => DType::U32,
            RowMut::U8(_) => DType::U8,
        }
    }
}

/// Samples of one shape and type that are made when they are wanted: decoded from files, cut out of larger ones. Several threads ask
/// for samples at once, ahead of the device.
pub trait Rows: fmt::Debug + Send + Sync {
    /// How many samples there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Shape and type of one sample, without the batch.
    fn sample(&self) -> TensorSpec;

    /// Writes all elements of sample `index` to `row`, which has the type and the number of elements that [`Rows::sample`] says.
    ///
    /// # Errors
    /// Where the sample cannot be made, naming its file.
    fn read(&self, index: usize, row: RowMut<'_>) -> Result<()>;
}
