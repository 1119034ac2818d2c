//! Host memory of one element type, and the views into it that twins are handed.

use crate::contract::{Real, View};
use crate::error::{Error, Result};
use crate::graph::Region;
use crate::host;
use crate::shape::DType;
use crate::tensor::{Elements, Tensor};

/// What a copy of a device's memory is for.
const READ: &str = "what is read from the device";

/// A buffer. Floats are held as `T`.
#[derive(Debug)]
pub enum HostBuffer<T> {
    /// Floats.
    F(Vec<T>),
    /// Unsigned integers.
    U(Vec<u32>),
    /// Bytes.
    B(Vec<u8>),
}

impl<T> Default for HostBuffer<T> {
    fn default() -> Self {
        HostBuffer::F(Vec::new())
    }
}

impl<T: Real> HostBuffer<T> {
    pub(super) fn zeros(dtype: DType, len: usize) -> Result<Self> {
        let mut buffer = match dtype {
            DType::F32 => HostBuffer::F(Vec::new()),
            DType::U32 => HostBuffer::U(Vec::new()),
            DType::U8 => HostBuffer::B(Vec::new()),
        };
        buffer.grow(len)?;
        Ok(buffer)
    }

    pub(super) fn dtype(&self) -> DType {
        match self {
            HostBuffer::F(_) => DType::F32,
            HostBuffer::U(_) => DType::U32,
            HostBuffer::B(_) => DType::U8,
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            HostBuffer::F(x) => x.len(),
            HostBuffer::U(x) => x.len(),
            HostBuffer::B(x) => x.len(),
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        match self {
            HostBuffer::F(x) => (x.len() * size_of::<T>()) as u64,
            HostBuffer::U(x) => x.len() as u64 * 4,
            HostBuffer::B(x) => x.len() as u64,
        }
    }

    /// Makes the buffer at least `len` elements long; what is new is zero.
    pub(super) fn grow(&mut self, len: usize) -> Result<()> {
        match self {
            HostBuffer::F(x) => grow(x, len, T::zero()),
            HostBuffer::U(x) => grow(x, len, 0),
            HostBuffer::B(x) => grow(x, len, 0),
        }
    }

    pub(super) fn poison(&mut self) {
        match self {
            HostBuffer::F(x) => x.fill(T::nan()),
            HostBuffer::U(x) => x.fill(u32::MAX),
            HostBuffer::B(x) => x.fill(u8::MAX),
        }
    }

    pub(super) fn view(&self, region: &Region) -> View<'_, T> {
        let range = region.offset..region.offset + region.spec.shape.elements();
        match self {
            HostBuffer::F(x) => View::F(&x[range]),
            HostBuffer::U(x) => View::U(&x[range]),
            HostBuffer::B(x) => View::B(&x[range]),
        }
    }

    pub(super) fn view_mut(&mut self, region: &Region) -> View<'_, T> {
        let range = region.offset..region.offset + region.spec.shape.elements();
        match self {
            HostBuffer::F(x) => View::FMut(&mut x[range]),
            HostBuffer::U(x) => View::UMut(&mut x[range]),
            HostBuffer::B(x) => View::B(&x[range]),
        }
    }

    pub(super) fn write(&mut self, offset: usize, elements: Elements<'_>) -> Result<()> {
        let (have, range) = (self.len(), offset..offset + elements.len());
        if range.end > have || elements.dtype() != self.dtype() {
            let expected = format!("at most {} elements of {}", have.saturating_sub(offset), self.dtype());
            return Err(Error::shape("write", expected, format!("{} of {}", elements.len(), elements.dtype())));
        }
        match (self, elements) {
            (HostBuffer::F(to), Elements::F32(from)) => {
                to[range].iter_mut().zip(from).for_each(|(t, f)| *t = T::of(f64::from(*f)));
            }
            (HostBuffer::U(to), Elements::U32(from)) => to[range].copy_from_slice(from),
            (HostBuffer::B(to), Elements::U8(from)) => to[range].copy_from_slice(from),
            _ => {}
        }
        Ok(())
    }

    pub(super) fn read(&self, region: &Region) -> Result<Tensor> {
        let (have, range) = (self.len(), region.offset..region.offset + region.spec.shape.elements());
        if range.end > have {
            return Err(Error::shape("read", format!("at most {have} elements"), range.end.to_string()));
        }
        let shape = region.spec.shape.clone();
        match self {
            HostBuffer::F(x) => Tensor::f32(shape, host::collected(x[range].iter().map(|v| v.f64() as f32), READ)?),
            HostBuffer::U(x) => Tensor::u32(shape, host::copied(&x[range], READ)?),
            HostBuffer::B(x) => Tensor::u8(shape, host::copied(&x[range], READ)?),
        }
    }
}

/// Makes `x` at least `len` elements long, or says that there is no memory for it.
pub(super) fn grow<E: Clone>(x: &mut Vec<E>, len: usize, fill: E) -> Result<()> {
    if x.len() >= len {
        return Ok(());
    }
    host::reserve(x, len - x.len(), "state, activations and scratch memory").map_err(|e| match e {
        // Here the host's memory is the device's.
        Error::OutOfMemory { what, .. } => Error::OutOfMemory { device: "cpu".into(), what },
        other => other,
    })?;
    x.resize(len, fill);
    Ok(())
}
