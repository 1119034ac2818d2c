//! Rows that are mixed on their way from one place to another: copied, finished with bias and ReLU, or transformed for products that
//! share work between neighbouring rows.

use super::Isa;
use super::lanes::{self, Lanes};

/// How `I` rows become `O` rows, element by element. What zeros become must be zero where the result is padded with zeros.
pub trait Mix<const I: usize, const O: usize>: Copy {
    /// The results of one element (or a vector of them) of every row.
    ///
    /// # Safety
    /// See [`Lanes`].
    unsafe fn mix<S: Lanes>(self, x: [S::Vector; I]) -> [S::Vector; O];
}

/// Nothing but moving.
#[derive(Clone, Copy, Debug)]
pub struct Same;

impl Mix<1, 1> for Same {
    #[inline(always)]
    unsafe fn mix<S: Lanes>(self, x: [S::Vector; 1]) -> [S::Vector; 1] {
        x
    }
}

/// A matrix that mixes `I` rows into `O`.
pub trait Matrix<const I: usize, const O: usize>: Copy {
    /// The factors of every result.
    const ROWS: [[f32; I]; O];
}

/// Mixing by a matrix.
#[derive(Clone, Copy, Debug)]
pub struct By<M>(pub M);

#[allow(clippy::needless_range_loop)]
impl<M: Matrix<I, O>, const I: usize, const O: usize> Mix<I, O> for By<M> {
    #[inline(always)]
    unsafe fn mix<S: Lanes>(self, x: [S::Vector; I]) -> [S::Vector; O] {
        // SAFETY: the caller's promise.
        unsafe {
            let mut y = [S::zero(); O];
            for o in 0..O {
                for i in 0..I {
                    let factor = M::ROWS[o][i];
                    if factor == 1.0 {
                        y[o] = S::add(y[o], x[i]);
                    } else if factor == -1.0 {
                        y[o] = S::sub(y[o], x[i]);
                    } else if factor != 0.0 {
                        y[o] = S::fma(S::splat(factor), x[i], y[o]);
                    }
                }
            }
            y
        }
    }
}

/// Bias, then ReLU where asked for, after `M`.
#[derive(Clone, Copy, Debug)]
pub struct Finished<M> {
    /// What comes first.
    pub after: M,
    /// What is added.
    pub bias: f32,
    /// Whether what is negative becomes zero.
    pub relu: bool,
}

impl<M: Mix<I, O>, const I: usize, const O: usize> Mix<I, O> for Finished<M> {
    #[inline(always)]
    unsafe fn mix<S: Lanes>(self, x: [S::Vector; I]) -> [S::Vector; O] {
        // SAFETY: the caller's promise.
        unsafe {
            let bias = S::splat(self.bias);
            let mut y = self.after.mix::<S>(x);
            for y in &mut y {
                *y = S::add(*y, bias);
                if self.relu {
                    *y = S::relu(*y);
                }
            }
            y
        }
    }
}

/// Where the rows of a pass are: in a slice, where each begins (or that it is zeros, or not wanted), and from one time to the next.
#[derive(Clone, Copy, Debug)]
pub struct Rows<const N: usize> {
    /// Where each row begins the first time.
    pub at: [Option<usize>; N],
    /// How much further it is each time.
    pub step: usize,
}

impl<const N: usize> Rows<N> {
    /// Whether `times` rows of `columns` elements lie in a slice of `len`.
    fn lie_in(&self, len: usize, columns: usize, times: usize) -> bool {
        let last = (times - 1) * self.step + columns;
        self.at.iter().flatten().all(|at| at + last <= len)
    }
}

/// A pass over rows, with pointers that were checked.
#[derive(Clone, Copy)]
pub(super) struct Strips<const I: usize, const O: usize> {
    from: *const f32,
    to: *mut f32,
    reads: Rows<I>,
    writes: Rows<O>,
    times: usize,
    /// Elements of a row, and up to where results are padded with zeros (and may be overwritten up to a vector's end).
    columns: usize,
    padded: usize,
}

// Loops over arrays, not `map` and its like: those are not always inlined, and vectors would pass through memory.
#[allow(clippy::needless_range_loop)]
impl<const I: usize, const O: usize> Strips<I, O> {
    /// # Safety
    /// The bounds that [`pass`] checks, and the instructions of `S`.
    #[inline(always)]
    pub(super) unsafe fn run<S: Lanes, M: Mix<I, O>>(self, mix: M) {
        // SAFETY: see the function. A row that is not there has the pointer null, which is never followed.
        unsafe {
            let mut from = [std::ptr::null(); I];
            let mut to = [std::ptr::null_mut(); O];
            for i in 0..I {
                from[i] = self.reads.at[i].map_or(from[i], |at| self.from.add(at));
            }
            for o in 0..O {
                to[o] = self.writes.at[o].map_or(to[o], |at| self.to.add(at));
            }
            let whole = self.reads.at.iter().all(Option::is_some) && self.writes.at.iter().all(Option::is_some);
            for _ in 0..self.times {
                if whole {
                    self.row::<S, M, true>(mix, from, to);
                } else {
                    self.row::<S, M, false>(mix, from, to);
                }
                for i in 0..I {
                    from[i] = from[i].wrapping_add(self.reads.step);
                }
                for o in 0..O {
                    to[o] = to[o].wrapping_add(self.writes.step);
                }
            }
        }
    }

    /// One time; `WHOLE` where every row is there (else it is the only time).
    ///
    /// # Safety
    /// See [`Strips::run`].
    #[inline(always)]
    unsafe fn row<S: Lanes, M: Mix<I, O>, const WHOLE: bool>(&self, mix: M, from: [*const f32; I], to: [*mut f32; O]) {
        let (columns, padded) = (self.columns, self.padded);
        // SAFETY: see the function.
        unsafe {
            let mut at = 0;
            while at + S::LANES <= columns {
                let mut x = [S::zero(); I];
                for i in 0..I {
                    if WHOLE || !from[i].is_null() {
                        x[i] = S::load(from[i].add(at));
                    }
                }
                let y = mix.mix::<S>(x);
                for o in 0..O {
                    if WHOLE || !to[o].is_null() {
                        S::store(to[o].add(at), y[o]);
                    }
                }
                at += S::LANES;
            }
            if at < columns {
                let rest = columns - at;
                let mut x = [S::zero(); I];
                for i in 0..I {
                    if WHOLE || !from[i].is_null() {
                        x[i] = S::load_part(from[i].add(at), rest);
                    }
                }
                let y = mix.mix::<S>(x);
                for o in 0..O {
                    if WHOLE || !to[o].is_null() {
                        if padded > columns {
                            S::store(to[o].add(at), y[o]);
                        } else {
                            S::store_part(to[o].add(at), y[o], rest);
                        }
                    }
                }
                at += S::LANES;
            }
            while at < padded {
                for o in 0..O {
                    if WHOLE || !to[o].is_null() {
                        S::store(to[o].add(at), S::zero());
                    }
                }
                at += S::LANES;
            }
        }
    }
}

/// `times` times, `I` rows of `columns` elements of `from` become `O` rows of `to`. Where `padded` is more than `columns`, zeros follow up to
/// there, and up to a vector more.
///
/// # Panics
/// Where a row does not lie in its slice.
#[inline]
pub fn pass<M: Mix<I, O>, const I: usize, const O: usize>(
    isa: Isa,
    mix: M,
    (from, reads): (&[f32], Rows<I>),
    (to, writes): (&mut [f32], Rows<O>),
    times: usize,
    [columns, padded]: [usize; 2],
) {
    if times == 0 {
        return;
    }
    debug_assert!(times == 1 || reads.at.iter().all(Option::is_some) && writes.at.iter().all(Option::is_some));
    let reach = if padded > columns { padded.next_multiple_of(isa.lanes()) } else { columns };
    assert!(reads.lie_in(from.len(), columns, times), "a row that is read does not lie in its slice");
    assert!(writes.lie_in(to.len(), reach, times), "a row that is written does not lie in its slice");
    let call = Strips { from: from.as_ptr(), to: to.as_mut_ptr(), reads, writes, times, columns, padded };
    // SAFETY: the bounds were checked, and `Isa` values that the processor has not are not made.
    unsafe {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => lanes::strips_avx512(mix, call),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => lanes::strips_avx2(mix, call),
            Isa::Portable => lanes::strips_portable(mix, call),
        }
    }
}
