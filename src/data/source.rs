use std::fmt;
use std::sync::Arc;
use std::thread;

use flate2::Crc;

use super::rows::{RowMut, Rows};
use crate::error::{Error, Result, caught};
use crate::host;
use crate::shape::{DType, Shape, TensorSpec};
use crate::tensor::{Elements, Tensor};

/// One tensor of a dataset, `[n, ..]`: in memory, or made sample by sample when a batch wants it.
#[derive(Clone)]
pub enum Source {
    /// In memory.
    Memory(Tensor),
    /// Made when they are wanted.
    Lazy(Lazy),
}

/// Samples that are made when they are wanted, and which of them are meant.
#[derive(Clone)]
pub struct Lazy {
    rows: Arc<dyn Rows>,
    /// The numbers of the samples; all of them, in order, where it is missing.
    picked: Option<Arc<[usize]>>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.tensor().is_some() { "in memory" } else { "made when wanted" };
        write!(f, "{} {place}", self.spec())
    }
}

impl fmt::Debug for Lazy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {:?}", self.len(), self.rows)
    }
}

impl Lazy {
    fn len(&self) -> usize {
        self.picked.as_ref().map_or(self.rows.len(), |picked| picked.len())
    }

    fn number(&self, i: usize) -> usize {
        self.picked.as_ref().map_or(i, |picked| picked[i])
    }
}

impl<T: Into<Tensor>> From<T> for Source {
    fn from(tensor: T) -> Source {
        Source::Memory(tensor.into())
    }
}

impl Source {
    /// Samples that are made when they are wanted.
    pub fn rows(rows: impl Rows + 'static) -> Source {
        Source::Lazy(Lazy { rows: Arc::new(rows), picked: None })
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        match self {
            Source::Memory(tensor) => tensor.shape().first().copied().unwrap_or(0),
            Source::Lazy(lazy) => lazy.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Shape and type of all samples together, `[n, ..]`.
    pub fn spec(&self) -> TensorSpec {
        match self {
            Source::Memory(tensor) => tensor.spec(),
            Source::Lazy(lazy) => {
                let sample = lazy.rows.sample();
                let shape: Vec<usize> = std::iter::once(lazy.len()).chain(sample.shape.iter().copied()).collect();
                TensorSpec::new(shape, sample.dtype)
            }
        }
    }

    /// Shape and type of one sample.
    pub fn sample(&self) -> TensorSpec {
        let spec = self.spec();
        TensorSpec::new(Shape::from(spec.shape.get(1..).unwrap_or_default()), spec.dtype)
    }

    /// The tensor, where it is in memory.
    pub fn tensor(&self) -> Option<&Tensor> {
        match self {
            Source::Memory(tensor) => Some(tensor),
            Source::Lazy(_) => None,
        }
    }

    /// All samples as one tensor.
    ///
    /// # Errors
    /// Those of [`Source::read`].
    pub fn to_tensor(&self) -> Result<Tensor> {
        match self {
            Source::Memory(tensor) => tensor.copied(),
            Source::Lazy(_) => self.read(&(0..self.len()).collect::<Vec<_>>()),
        }
    }

    /// The samples of these numbers, in this order, as one tensor `[samples, ..]`. Samples that have to be made are made by several
    /// threads.
    ///
    /// # Errors
    /// [`Error::Data`] where a sample does not exist, or one that had to be made holds an infinity; what the maker says.
    pub fn read(&self, samples: &[usize]) -> Result<Tensor> {
        self.read_as("samples", samples, f32::is_infinite)
    }

    /// Like [`Source::read`]; `what` is what an error calls them, and `bad` says which floats are refused in samples that had to be made.
    pub(crate) fn read_as(&self, what: &str, samples: &[usize], bad: fn(f32) -> bool) -> Result<Tensor> {
        if let Some(bad) = samples.iter().find(|i| **i >= self.len()) {
            return Err(Error::data(what, format!("numbers below {}", self.len()), bad.to_string()));
        }
        match self {
            Source::Memory(tensor) => tensor.select(samples),
            Source::Lazy(lazy) => lazy.read(what, samples, bad),
        }
    }

    /// Adds the elements, or the numbers of the samples that are meant, to a checksum.
    pub(crate) fn add_to(&self, crc: &mut Crc) {
        match self {
            Source::Memory(tensor) => crc.update(tensor.elements().bytes()),
            Source::Lazy(lazy) => (0..lazy.len()).for_each(|i| crc.update(&(lazy.number(i) as u64).to_le_bytes())),
        }
    }

    /// The samples of these numbers, in this order, as a source of their own.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub(crate) fn select(&self, samples: &[usize]) -> Result<Source> {
        match self {
            Source::Memory(tensor) => tensor.select(samples).map(Source::Memory),
            Source::Lazy(lazy) => {
                let picked = samples.iter().map(|i| lazy.number(*i)).collect();
                Ok(Source::Lazy(Lazy { picked: Some(picked), ..lazy.clone() }))
            }
        }
    }
}

impl Lazy {
    fn read(&self, what: &str, samples: &[usize], bad: fn(f32) -> bool) -> Result<Tensor> {
        let sample = self.rows.sample();
        let width = sample.shape.elements();
        let shape: Vec<usize> = std::iter::once(samples.len()).chain(sample.shape.iter().copied()).collect();
        let ids: Vec<usize> = samples.iter().map(|i| self.number(*i)).collect();
        match sample.dtype {
            DType::F32 => {
                let x = self.fill(&ids, width, |x| RowMut::F32(x))?;
                if let Some(i) = x.iter().position(|v| bad(*v)) {
                    return Err(not_finite(what, x[i], ids[i / width]));
                }
                Tensor::f32(shape, x)
            }
            DType::U32 => Tensor::u32(shape, self.fill(&ids, width, |x| RowMut::U32(x))?),
            DType::U8 => Tensor::u8(shape, self.fill(&ids, width, |x| RowMut::U8(x))?),
        }
    }

    /// The elements of the samples `ids`. Threads of their own make them, not those that compute on the processor: those are busy.
    fn fill<T: Clone + Default + Send>(
        &self,
        ids: &[usize],
        width: usize,
        row: fn(&mut [T]) -> RowMut<'_>,
    ) -> Result<Vec<T>> {
        let mut all =
            host::filled(ids.len().saturating_mul(width), T::default(), "samples that are made when they are wanted")?;
        let cores = thread::available_parallelism().map_or(1, |n| n.get());
        let each = ids.len().div_ceil(cores).max(1);
        let rows = &self.rows;
        let some = |ids: &[usize], part: &mut [T]| {
            let mut pairs = ids.iter().zip(part.chunks_mut(width.max(1)));
            let panicked = |id: &usize, panic| {
                Error::data(format!("sample {id}"), "one that can be made", format!("a panic: {panic}"))
            };
            pairs.try_for_each(|(id, x)| {
                caught(|| rows.read(*id, row(x))).unwrap_or_else(|panic| Err(panicked(id, panic)))
            })
        };
        let parts = all.chunks_mut((each * width).max(1)).zip(ids.chunks(each));
        thread::scope(|scope| {
            let threads: Vec<_> = parts.map(|(part, ids)| scope.spawn(move || some(ids, part))).collect();
            // The first error in the order of the samples, whichever thread met one first.
            threads.into_iter().try_for_each(|thread| match thread.join() {
                Ok(result) => result,
                Err(_) => Err(Error::usage("samples that are made when they are wanted", "their maker panicked")),
            })
        })?;
        Ok(all)
    }
}

/// Refuses floats that are NaN or infinite, naming the sample; samples that are yet to be made are checked when they are.
pub(super) fn all_finite(what: &str, source: &Source) -> Result<()> {
    none_is(|v| !v.is_finite(), what, source)
}

/// Refuses floats that are infinite, naming the sample, like [`all_finite`]. A NaN may mark a missing label.
pub(super) fn none_infinite(what: &str, source: &Source) -> Result<()> {
    none_is(f32::is_infinite, what, source)
}

fn none_is(bad: impl Fn(f32) -> bool, what: &str, source: &Source) -> Result<()> {
    let Some(Elements::F32(x)) = source.tensor().map(Tensor::elements) else { return Ok(()) };
    match x.iter().position(|v| bad(*v)) {
        Some(i) => Err(not_finite(what, x[i], i / (x.len() / source.len().max(1)).max(1))),
        None => Ok(()),
    }
}

fn not_finite(what: &str, value: f32, sample: usize) -> Error {
    Error::data(what, "finite numbers", format!("{value} in sample {sample}"))
}
