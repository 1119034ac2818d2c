//! Rows that are mixed on their way from one place to another: copied, finished with bias and ReLU, or transformed for products that
//! share work between neighbouring rows.

use super::Isa;
use super::lanes::{self, Lanes};

/// How `I` rows become `O` rows, element by element. What zeros become must be zero where the result is padded with zeros.
pub trait Mix<const I: usize, const O: usize>: Copy {
    /// The results of one element (or a vector of them) of every row, the first times for `plane` 0.
    ///
    /// # Safety
    /// See [`Lanes`].
    unsafe fn mix<S: Lanes>(self, plane: usize, x: [S::Vector; I]) -> [S::Vector; O];
}

/// Nothing but moving.
#[derive(Clone, Copy, Debug)]
pub struct Same;

impl Mix<1, 1> for Same {
    #[inline(always)]
    unsafe fn mix<S: Lanes>(self, _plane: usize, x: [S::Vector; 1]) -> [S::Vector; 1] {
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

/// The statements for every `i` below `n`, which is 6 at most, each with an `i` that is a constant: of loops the compiler unrolls only those
/// that it thinks are short.
macro_rules! each {
    ($i:ident < $n:ident, $body:block) => {
        const { assert!($n <= 6, "more statements than are written here") };
        each!(@ $i, $n, $body, 0 1 2 3 4 5)
    };
    (@ $i:ident, $n:ident, $body:block, $($value:literal)*) => {
        $({
            const $i: usize = $value;
            if $i < $n $body
        })*
    };
}
pub(super) use each;

/// Of every row of a matrix: whether the next one is its mirror image.
struct Mirrored<M, const I: usize, const O: usize>(M);

impl<M: Matrix<I, O>, const I: usize, const O: usize> Mirrored<M, I, O> {
    const ROWS: [bool; O] = mirrored(&M::ROWS);
}

impl<M: Matrix<I, O>, const I: usize, const O: usize> Mix<I, O> for By<M> {
    #[inline(always)]
    unsafe fn mix<S: Lanes>(self, _plane: usize, x: [S::Vector; I]) -> [S::Vector; O] {
        // SAFETY: the caller's promise.
        unsafe {
            let mut y = [S::zero(); O];
            each!(ROW < O, {
                if Mirrored::<M, I, O>::ROWS[ROW] {
                    // Points `p` and `-p`: what is even in them is the same, what is odd has the other sign.
                    let (mut even, mut odd) = (S::zero(), S::zero());
                    each!(COLUMN < I, {
                        let sum = if COLUMN.is_multiple_of(2) { &mut even } else { &mut odd };
                        *sum = add::<S>(*sum, M::ROWS[ROW][COLUMN], x[COLUMN]);
                    });
                    (y[ROW], y[ROW + 1]) = (S::add(even, odd), S::sub(even, odd));
                } else if ROW.checked_sub(1).is_none_or(|before| !Mirrored::<M, I, O>::ROWS[before]) {
                    each!(COLUMN < I, { y[ROW] = add::<S>(y[ROW], M::ROWS[ROW][COLUMN], x[COLUMN]) });
                }
            });
            y
        }
    }
}

/// Of every row: whether it and the next one differ in the signs of their odd elements alone, and have of both kinds.
const fn mirrored<const I: usize, const O: usize>(rows: &[[f32; I]; O]) -> [bool; O] {
    let (mut result, mut o) = ([false; O], 0);
    while o + 1 < O {
        let (mut same, mut kinds, mut i) = (true, [false; 2], 0);
        while i < I {
            let (a, b) = (rows[o][i], rows[o + 1][i]);
            same &= b == (if i % 2 == 0 { a } else { -a });
            kinds[i % 2] |= a != 0.0;
            i += 1;
        }
        result[o] = same && kinds[0] && kinds[1];
        o += 1;
    }
    result
}

/// `sum + factor · x`, for a factor that the compiler knows.
///
/// # Safety
/// See [`Lanes`].
#[inline(always)]
unsafe fn add<S: Lanes>(sum: S::Vector, factor: f32, x: S::Vector) -> S::Vector {
    // SAFETY: the caller's promise.
    unsafe {
        if factor == 1.0 {
            S::add(sum, x)
        } else if factor == -1.0 {
            S::sub(sum, x)
        } else if factor == 0.0 {
            sum
        } else {
            S::fma(S::splat(factor), x, sum)
        }
    }
}

/// Bias, then ReLU where asked for, after `M`.
#[derive(Clone, Copy, Debug)]
pub struct Finished<'a, M> {
    /// What comes first.
    pub after: M,
    /// What is added to each plane, where anything is.
    pub bias: Option<&'a [f32]>,
    /// Whether what is negative becomes zero.
    pub relu: bool,
}

impl<M: Mix<I, O>, const I: usize, const O: usize> Mix<I, O> for Finished<'_, M> {
    #[inline(always)]
    unsafe fn mix<S: Lanes>(self, plane: usize, x: [S::Vector; I]) -> [S::Vector; O] {
        // SAFETY: the caller's promise.
        unsafe {
            let bias = S::splat(self.bias.map_or(0.0, |bias| bias[plane]));
            let mut y = self.after.mix::<S>(plane, x);
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

/// Where the rows of a pass are: in a slice, where each begins (or that it is zeros, or not wanted), and how much further from one time
/// to the next, and from plane to plane.
#[derive(Clone, Copy, Debug)]
pub struct Rows<const N: usize> {
    /// Where each row begins the first time.
    pub at: [Option<usize>; N],
    /// How much further it is each time.
    pub step: usize,
    /// How much further it is in the next plane.
    pub plane: usize,
}

impl<const N: usize> Rows<N> {
    /// Whether `times` rows of `columns` elements in each of `planes` planes lie in a slice of `len`.
    fn lie_in(&self, len: usize, columns: usize, [planes, times]: [usize; 2]) -> bool {
        let last = (planes - 1) * self.plane + (times - 1) * self.step + columns;
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
    /// Planes, and times in each.
    times: [usize; 2],
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
            let mut first = [std::ptr::null(); I];
            let mut first_to = [std::ptr::null_mut(); O];
            for i in 0..I {
                first[i] = self.reads.at[i].map_or(first[i], |at| self.from.add(at));
            }
            for o in 0..O {
                first_to[o] = self.writes.at[o].map_or(first_to[o], |at| self.to.add(at));
            }
            let whole = self.reads.at.iter().all(Option::is_some) && self.writes.at.iter().all(Option::is_some);
            let (read, write) = (self.reads.step, self.writes.step);
            for plane in 0..self.times[0] {
                let (mut from, mut to) = (first, first_to);
                if whole {
                    advance(&mut from, &mut to, plane * self.reads.plane, plane * self.writes.plane);
                    for _ in 0..self.times[1] {
                        self.row::<S, M, true>(mix, plane, from, to);
                        advance(&mut from, &mut to, read, write);
                    }
                } else {
                    advance_there(&mut from, &mut to, plane * self.reads.plane, plane * self.writes.plane);
                    for _ in 0..self.times[1] {
                        self.row::<S, M, false>(mix, plane, from, to);
                        advance_there(&mut from, &mut to, read, write);
                    }
                }
            }
        }
    }

    /// One time; `WHOLE` where every row is there.
    ///
    /// # Safety
    /// See [`Strips::run`].
    #[inline(always)]
    unsafe fn row<S: Lanes, M: Mix<I, O>, const WHOLE: bool>(
        &self,
        mix: M,
        plane: usize,
        from: [*const f32; I],
        to: [*mut f32; O],
    ) {
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
                let y = mix.mix::<S>(plane, x);
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
                let y = mix.mix::<S>(plane, x);
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

/// Moves all pointers on.
#[inline(always)]
fn advance<const I: usize, const O: usize>(
    from: &mut [*const f32; I],
    to: &mut [*mut f32; O],
    read: usize,
    write: usize,
) {
    for from in from {
        *from = from.wrapping_add(read);
    }
    for to in to {
        *to = to.wrapping_add(write);
    }
}

/// Moves all pointers on that are there.
#[inline(always)]
fn advance_there<const I: usize, const O: usize>(
    from: &mut [*const f32; I],
    to: &mut [*mut f32; O],
    read: usize,
    write: usize,
) {
    for from in from {
        *from = if from.is_null() { *from } else { from.wrapping_add(read) };
    }
    for to in to {
        *to = if to.is_null() { *to } else { to.wrapping_add(write) };
    }
}

/// In each of `times[0]` planes, `times[1]` times, `I` rows of `columns` elements of `from` become `O` rows of `to`. Where `padded` is more
/// than `columns`, zeros follow up to there, and up to a vector more.
///
/// # Panics
/// Where a row does not lie in its slice.
#[inline]
pub fn pass<M: Mix<I, O>, const I: usize, const O: usize>(
    isa: Isa,
    mix: M,
    (from, reads): (&[f32], Rows<I>),
    (to, writes): (&mut [f32], Rows<O>),
    times: [usize; 2],
    [columns, padded]: [usize; 2],
) {
    if times.contains(&0) {
        return;
    }
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

/// Fills `len` elements in each of `planes` planes of `to` with zeros; the first begin at `at`, the others `apart`.
pub fn clear(isa: Isa, to: &mut [f32], at: usize, len: usize, planes: usize, apart: usize) {
    let reads = Rows { at: [None], step: 0, plane: 0 };
    let writes = Rows { at: [Some(at)], step: 0, plane: apart };
    pass(isa, Same, (&[], reads), (to, writes), [planes, 1], [len; 2]);
}
