use std::fmt;
use std::path::{Path, PathBuf};

use super::dtype::{NpyType, Stored};
use super::header::{Header, Refusal};
use super::narrow;
use super::values::{Number, half, little};
use crate::data::formats::storage::Storage;
use crate::data::{RowMut, Rows};
use crate::error::{Error, Result};
use crate::shape::{DType, TensorSpec};

/// The samples of an NPY file, each read when it is wanted: the first dimension counts them. What is on disk may be larger than
/// memory.
#[derive(Clone)]
pub struct NpyRows {
    storage: Storage,
    /// Where the first element lies.
    start: u64,
    stored: Stored,
    count: usize,
    sample: TensorSpec,
    path: PathBuf,
}

/// The array in an NPY file as samples that stay on disk until they are wanted. As [`into_tensor`](super::NpyArray::into_tensor) has
/// it, `uint8` and `bool` give bytes, floats give `f32`, all other integers `u32`; [`NpyRows::as_f32`] gives floats of any.
///
/// Nothing is mapped into memory: each sample is one read at its position.
///
/// # Errors
/// [`Error::Io`] where the file cannot be read; [`Error::Format`] where it is not NPY, has no dimensions, holds strings or pickled
/// objects, has no elements, is in Fortran's order (a sample would lie scattered over the file), or is shorter or longer than its header says.
pub fn rows(path: impl AsRef<Path>) -> Result<NpyRows> {
    let path = path.as_ref();
    let storage = Storage::open(path)?;
    let length = storage.length();
    rows_at(storage, 0, length, path)
}

/// Like [`rows`], of an NPY file that lies in `storage` from `at` on.
pub(crate) fn rows_at(storage: Storage, at: u64, length: u64, path: &Path) -> Result<NpyRows> {
    let mut reader = storage.reader();
    let found = std::io::Seek::seek(&mut reader, std::io::SeekFrom::Start(at)).map_err(Refusal::Io).and_then(|_| {
        let mut reader = std::io::BufReader::new(std::io::Read::take(reader, length));
        let header = Header::read(&mut reader)?;
        let sample = sample(&header, length)?;
        Ok((header, sample))
    });
    let (header, (count, sample)) = found.map_err(|refusal| refusal.at(path))?;
    Ok(NpyRows { storage, start: at + header.length, stored: header.stored, count, sample, path: path.to_owned() })
}

/// How many samples there are and what each is, where header and length agree.
fn sample(header: &Header, length: u64) -> Result<(usize, TensorSpec), Refusal> {
    let Some((count, shape)) = header.shape.split_first() else {
        return Err(Refusal::new("samples along the first dimension", "one number without dimensions"));
    };
    let dtype = match header.stored.dtype {
        NpyType::Bool | NpyType::U8 => DType::U8,
        NpyType::F16 | NpyType::F32 | NpyType::F64 => DType::F32,
        NpyType::Text => return Err(Refusal::new("numbers", "strings; read the array as a whole")),
        _ => DType::U32,
    };
    // Of vectors both orders are the same.
    if header.fortran && header.shape.iter().filter(|d| **d > 1).count() > 1 {
        let actual = "Fortran's order; save numpy.ascontiguousarray(array), or read the array as a whole";
        return Err(Refusal::new("samples one after the other (C's order)", actual));
    }
    // Any number of samples without elements could be claimed, and of no samples any size.
    if header.shape.contains(&0) {
        return Err(Refusal::new("at least one sample, with elements", format!("{:?}", header.shape)));
    }
    let (_, bytes) = header.extent()?;
    let there = length.saturating_sub(header.length);
    if bytes != there {
        let expected = format!("{bytes} bytes of elements for {:?}", header.shape);
        return Err(Refusal::new(expected, format!("{there} bytes")));
    }
    Ok((*count, TensorSpec::new(shape, dtype)))
}

impl NpyRows {
    /// The same samples as floats, whatever type the file has.
    #[must_use]
    pub fn as_f32(mut self) -> NpyRows {
        self.sample.dtype = DType::F32;
        self
    }

    /// The type of the elements in the file.
    pub fn dtype(&self) -> NpyType {
        self.stored.dtype
    }

    /// Fills `row` with numbers of the file's type `T`, each made by `one`.
    fn fill<T: Number, U>(
        &self,
        index: usize,
        bytes: &[u8],
        row: &mut [U],
        parse: impl Fn(&[u8]) -> T,
        one: impl Fn(T) -> Option<U>,
    ) -> Result<()> {
        for (to, from) in row.iter_mut().zip(bytes.chunks_exact(self.stored.bytes)) {
            let number = parse(from);
            *to = one(number).ok_or_else(|| Error::Format {
                path: self.path.clone(),
                expected: format!("numbers within the range of {}", self.sample.dtype),
                actual: format!("{number} in sample {index}"),
            })?;
        }
        Ok(())
    }
}

impl Rows for NpyRows {
    fn len(&self) -> usize {
        self.count
    }

    fn sample(&self) -> TensorSpec {
        self.sample.clone()
    }

    fn read(&self, index: usize, row: RowMut<'_>) -> Result<()> {
        let elements = self.sample.shape.elements();
        let (length, dtype) = match &row {
            RowMut::F32(row) => (row.len(), DType::F32),
            RowMut::U32(row) => (row.len(), DType::U32),
            RowMut::U8(row) => (row.len(), DType::U8),
        };
        if index >= self.count || length != elements || dtype != self.sample.dtype {
            let expected = format!("a sample below {} as {}", self.count, self.sample);
            return Err(Error::usage(
                "NpyRows",
                format!("expected {expected}, got sample {index} as {dtype}[{length}]"),
            ));
        }
        let size = elements * self.stored.bytes;
        let at = self.start + index as u64 * size as u64;
        let io = |e| Refusal::Io(e).at(&self.path);
        let row = match row {
            RowMut::U8(row) if self.stored.dtype == NpyType::U8 => {
                return self.storage.read_exact_at(row, at).map_err(io);
            }
            row => row,
        };
        let mut bytes = vec![0; size];
        self.storage.read_exact_at(&mut bytes, at).map_err(io)?;
        let big = self.stored.big_endian;
        macro_rules! fill {
            ($parse:expr) => {
                match row {
                    RowMut::F32(row) => self.fill(index, &bytes, row, $parse, narrow),
                    RowMut::U32(row) => self.fill(index, &bytes, row, $parse, Number::to_u32),
                    RowMut::U8(row) => {
                        self.fill(index, &bytes, row, $parse, |v| v.to_u32().and_then(|v| u8::try_from(v).ok()))
                    }
                }
            };
        }
        match self.stored.dtype {
            NpyType::Bool => fill!(|b| b != [0]),
            NpyType::I8 => fill!(|b| i8::from_le_bytes(little(b, big))),
            NpyType::U8 => fill!(|b| u8::from_le_bytes(little(b, big))),
            NpyType::I16 => fill!(|b| i16::from_le_bytes(little(b, big))),
            NpyType::U16 => fill!(|b| u16::from_le_bytes(little(b, big))),
            NpyType::I32 => fill!(|b| i32::from_le_bytes(little(b, big))),
            NpyType::U32 => fill!(|b| u32::from_le_bytes(little(b, big))),
            NpyType::I64 => fill!(|b| i64::from_le_bytes(little(b, big))),
            NpyType::U64 => fill!(|b| u64::from_le_bytes(little(b, big))),
            NpyType::F16 => fill!(|b| half(u16::from_le_bytes(little(b, big)))),
            NpyType::F32 => fill!(|b| f32::from_le_bytes(little(b, big))),
            NpyType::F64 => fill!(|b| f64::from_le_bytes(little(b, big))),
            NpyType::Text => Err(Error::usage("NpyRows", "strings are no samples")),
        }
    }
}

/// Without the path: what is logged of a data set names no file.
impl fmt::Debug for NpyRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} samples {} of {}", self.count, self.sample, self.stored.dtype)
    }
}
