//! What a CPU twin is handed: views into memory that the plan owns.

use std::cell::Cell;

use ndarray::NdFloat;
use rayon::prelude::*;
use smallvec::SmallVec;

use super::Io;

/// The number type of a CPU run: `f32` for work, `f64` for the truth that tests compare with.
pub trait Real: NdFloat + Default + std::iter::Sum + 'static {
    /// The nearest number of this type.
    fn of(x: f64) -> Self;
    /// This number as `f64`.
    fn f64(self) -> f64;
    /// The error function, `2/√π ∫₀ˣ e^(−t²) dt`.
    fn erf(self) -> Self;
    /// `1 − erf x`, with all digits of small results.
    fn erfc(self) -> Self;
    /// The numbers as `f32`, where they are: for kernels that know no other type.
    fn as_f32(_x: &[Self]) -> Option<&[f32]> {
        None
    }
    /// Like [`Real::as_f32`], to be changed.
    fn as_f32_mut(_x: &mut [Self]) -> Option<&mut [f32]> {
        None
    }
}

impl Real for f32 {
    fn of(x: f64) -> Self {
        x as f32
    }
    fn f64(self) -> f64 {
        f64::from(self)
    }
    fn erf(self) -> Self {
        libm::erff(self)
    }
    fn erfc(self) -> Self {
        libm::erfcf(self)
    }
    fn as_f32(x: &[f32]) -> Option<&[f32]> {
        Some(x)
    }
    fn as_f32_mut(x: &mut [f32]) -> Option<&mut [f32]> {
        Some(x)
    }
}

impl Real for f64 {
    fn of(x: f64) -> Self {
        x
    }
    fn f64(self) -> f64 {
        self
    }
    fn erf(self) -> Self {
        libm::erf(self)
    }
    fn erfc(self) -> Self {
        libm::erfc(self)
    }
}

/// A tensor in host memory, row-major, shared or exclusive. `F32` tensors hold `T`.
#[derive(Debug)]
pub enum View<'a, T> {
    /// Floats to read.
    F(&'a [T]),
    /// Unsigned integers to read.
    U(&'a [u32]),
    /// Bytes to read.
    B(&'a [u8]),
    /// Floats to write.
    FMut(&'a mut [T]),
    /// Unsigned integers to write.
    UMut(&'a mut [u32]),
}

impl<T> View<'_, T> {
    /// The floats.
    ///
    /// # Panics
    /// If the tensor holds something else: the op's shape rule should have refused it.
    pub fn f(&self) -> &[T] {
        match self {
            View::F(x) => x,
            View::FMut(x) => x,
            _ => panic!("a twin asked for floats where the plan has integers"),
        }
    }

    /// The unsigned integers.
    ///
    /// # Panics
    /// If the tensor holds something else.
    pub fn u(&self) -> &[u32] {
        match self {
            View::U(x) => x,
            View::UMut(x) => x,
            _ => panic!("a twin asked for u32 where the plan has another type"),
        }
    }

    /// The bytes.
    ///
    /// # Panics
    /// If the tensor holds something else.
    pub fn b(&self) -> &[u8] {
        match self {
            View::B(x) => x,
            _ => panic!("a twin asked for bytes where the plan has another type"),
        }
    }

    /// The floats, to be written.
    ///
    /// # Panics
    /// If the tensor holds something else or is only to be read.
    pub fn f_mut(&mut self) -> &mut [T] {
        match self {
            View::FMut(x) => x,
            _ => panic!("a twin asked to write floats where the plan does not let it"),
        }
    }

    /// The unsigned integers, to be written.
    ///
    /// # Panics
    /// If the tensor holds something else or is only to be read.
    pub fn u_mut(&mut self) -> &mut [u32] {
        match self {
            View::UMut(x) => x,
            _ => panic!("a twin asked to write u32 where the plan does not let it"),
        }
    }
}

/// One call of a CPU twin. Outputs hold garbage (NaN in tests) and must be written whole.
#[derive(Debug)]
pub struct CpuCall<'a, T> {
    /// Shapes and types of inputs and outputs.
    pub io: &'a Io,
    /// The inputs, in op order; those that the op declares to write are exclusive.
    pub x: SmallVec<[View<'a, T>; 8]>,
    /// The outputs, in op order.
    pub y: SmallVec<[View<'a, T>; 2]>,
    /// As many elements as [`super::OpDef::scratch`] asked for.
    pub scratch: &'a mut [T],
}

thread_local! {
    /// Memory that nobody uses now.
    static OWN_MEMORY: Cell<Vec<Vec<f32>>> = const { Cell::new(Vec::new()) };
}

/// Elements of a line of the caches.
const LINE: usize = 16;

/// Runs `work` with `len` elements of memory that the thread keeps from one call to the next, so that they stay near. Their content is
/// undefined. The first one begins a line of the caches: a vector at a multiple of its length does not reach into the next line.
///
/// While `work` waits for other threads its own may be given other work, which gets other memory.
pub fn with_own_memory<R>(len: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
    let mut kept = OWN_MEMORY.take();
    let mut memory = kept.pop().unwrap_or_default();
    OWN_MEMORY.set(kept);
    if memory.len() < len + LINE {
        memory.resize(len + LINE, 0.0);
    }
    let first = memory.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE);
    let result = work(&mut memory[first..][..len]);
    let mut kept = OWN_MEMORY.take();
    kept.push(memory);
    OWN_MEMORY.set(kept);
    result
}

/// Work below this many elements is not worth waking another thread.
const SERIAL: usize = 1 << 14;

/// Runs `f(start, chunk)` over `out` in chunks of a fixed size, on all cores where that pays. The chunks depend on the length
/// alone, so the number of threads changes no bit.
pub fn parallel_chunks<T: Send>(out: &mut [T], f: impl Fn(usize, &mut [T]) + Send + Sync) {
    if out.len() <= SERIAL {
        return f(0, out);
    }
    out.par_chunks_mut(SERIAL).enumerate().for_each(|(i, chunk)| f(i * SERIAL, chunk));
}

/// Whether `f` holds for every chunk of `x`, asked on all cores where that pays.
pub fn parallel_all<T: Sync>(x: &[T], f: impl Fn(&[T]) -> bool + Send + Sync) -> bool {
    if x.len() <= SERIAL { f(x) } else { x.par_chunks(SERIAL).all(f) }
}

/// Like [`parallel_chunks`], over several slices of the same length at once: `f(start, chunks)`.
pub fn parallel_together<T: Send, const N: usize>(out: [&mut [T]; N], f: impl Fn(usize, [&mut [T]; N]) + Send + Sync) {
    halve(0, out, &f);
}

fn halve<T: Send, const N: usize>(start: usize, out: [&mut [T]; N], f: &(impl Fn(usize, [&mut [T]; N]) + Sync)) {
    let len = out.first().map_or(0, |o| o.len());
    if len <= SERIAL {
        return f(start, out);
    }
    let middle = (len / 2).next_multiple_of(SERIAL);
    let mut halves = out.map(|o| o.split_at_mut(middle));
    let right = halves.each_mut().map(|h| std::mem::take(&mut h.1));
    let left = halves.map(|h| h.0);
    rayon::join(|| halve(start, left, f), || halve(start + middle, right, f));
}

/// Runs `f(index, row)` over the rows of `out`, each `width` long, on all cores where that pays. `out` is a whole number of rows.
pub fn parallel_rows<T: Send>(out: &mut [T], width: usize, f: impl Fn(usize, &mut [T]) + Send + Sync) {
    let per_chunk = (SERIAL / width).max(1);
    let run = |chunk: usize, rows: &mut [T]| {
        for (i, row) in rows.chunks_exact_mut(width).enumerate() {
            f(chunk * per_chunk + i, row);
        }
    };
    if out.len() <= SERIAL {
        return out.chunks_mut(per_chunk * width).enumerate().for_each(|(i, rows)| run(i, rows));
    }
    out.par_chunks_mut(per_chunk * width).enumerate().for_each(|(i, rows)| run(i, rows));
}

/// Runs `f(index, element)` over elements that cost about `work` reads each, on all cores where that pays.
pub fn parallel_outputs<T: Send>(out: &mut [T], work: usize, f: impl Fn(usize, &mut T) + Send + Sync) {
    if out.len().saturating_mul(work) <= SERIAL {
        return out.iter_mut().enumerate().for_each(|(i, o)| f(i, o));
    }
    let chunk = (SERIAL / work.max(1)).max(1);
    out.par_chunks_mut(chunk).enumerate().for_each(|(c, out)| {
        out.iter_mut().enumerate().for_each(|(i, o)| f(c * chunk + i, o));
    });
}

/// Runs `f(index, row of a, row of b)` over the rows of two tensors with as many of them, on all cores where that pays: for ops that
/// give two outputs at once. See [`parallel_rows`].
pub fn parallel_row_pairs<A: Send, B: Send>(
    a: &mut [A],
    b: &mut [B],
    width: usize,
    width_b: usize,
    f: impl Fn(usize, &mut [A], &mut [B]) + Send + Sync,
) {
    let per_chunk = (SERIAL / width.max(width_b)).max(1);
    let run = |chunk: usize, a: &mut [A], b: &mut [B]| {
        let rows = a.chunks_exact_mut(width).zip(b.chunks_exact_mut(width_b)).enumerate();
        rows.for_each(|(i, (a, b))| f(chunk * per_chunk + i, a, b));
    };
    if a.len().max(b.len()) <= SERIAL {
        return run(0, a, b);
    }
    let pairs = a.par_chunks_mut(per_chunk * width).zip(b.par_chunks_mut(per_chunk * width_b));
    pairs.enumerate().for_each(|(i, (a, b))| run(i, a, b));
}

#[cfg(test)]
mod tests {
    use super::with_own_memory;

    #[test]
    fn own_memory_begins_a_line_of_the_caches() {
        for len in [0, 1, 17, 5000, 1 << 18] {
            with_own_memory(len, |outer| {
                outer.fill(1.0);
                with_own_memory(len, |inner| {
                    inner.fill(2.0);
                    assert!(
                        [&*outer, &*inner]
                            .iter()
                            .all(|memory| memory.as_ptr().align_offset(64) == 0 && memory.len() == len)
                    );
                });
                assert!(outer.iter().all(|x| *x == 1.0), "work within work has memory of its own");
            });
        }
    }
}
