//! Neighbours in a line that are mixed: the passes of [`super::strips`] for rows of one element, whose tiles lie side by side in a line.
//! Vectors hold one element of as many tiles.

use super::Isa;
use super::lanes::{self, Lanes};
use super::strips::{Mix, each};

/// A line in each of some planes, in a slice.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// Where it begins.
    pub at: usize,
    /// Its elements.
    pub len: usize,
    /// How much further it begins in the next plane.
    pub plane: usize,
}

impl Line {
    fn lies_in(&self, len: usize, planes: usize) -> bool {
        self.at + (planes - 1) * self.plane + self.len <= len
    }
}

/// Rows in each of some planes, in a slice, which hold an element of every tile.
#[derive(Clone, Copy, Debug)]
pub struct Mixed {
    /// Where the first row begins.
    pub at: usize,
    /// How much further the next row begins.
    pub row: usize,
    /// How much further the rows of the next plane begin.
    pub plane: usize,
}

impl Mixed {
    /// Whether `rows` rows of `tiles` elements lie in a slice of `len`.
    fn lie_in(&self, len: usize, planes: usize, [rows, tiles]: [usize; 2]) -> bool {
        self.at + (planes - 1) * self.plane + (rows - 1) * self.row + tiles <= len
    }
}

/// The arguments of [`spread`], checked.
#[derive(Clone, Copy)]
pub(super) struct Spread {
    from: *const f32,
    line: Line,
    first: isize,
    to: *mut f32,
    rows: Mixed,
    /// Planes, and tiles in each.
    times: [usize; 2],
}

impl Spread {
    /// # Safety
    /// The bounds that [`spread`] checks, and the instructions of `S`.
    #[inline(always)]
    pub(super) unsafe fn run<S: Lanes, M: Mix<I, O>, const I: usize, const O: usize, const STEP: usize>(self, mix: M) {
        let [planes, tiles] = self.times;
        for plane in 0..planes {
            // SAFETY: see the function.
            unsafe {
                let line = self.from.add(self.line.at + plane * self.line.plane);
                let to = self.to.add(self.rows.at + plane * self.rows.plane);
                let mut tile = 0;
                while tile < tiles {
                    let at = self.first + (tile * STEP) as isize;
                    let inside = at >= 0 && at as usize + (I.div_ceil(STEP) - 1 + S::LANES) * STEP <= self.line.len;
                    let x = if inside {
                        elements::<S, I, STEP, true>(line, at, self.line.len)
                    } else {
                        elements::<S, I, STEP, false>(line, at, self.line.len)
                    };
                    let y = mix.mix::<S>(plane, x);
                    let (to, left) = (to.add(tile), tiles - tile);
                    each!(ROW < O, { store::<S>(to.add(ROW * self.rows.row), y[ROW], left) });
                    tile += S::LANES;
                }
            }
        }
    }
}

/// The `I` elements of as many tiles as there are lanes, `STEP` apart, from `at` on in a line of `len`; all of them `INSIDE` of it, or
/// some of them zeros.
///
/// # Safety
/// See [`Lanes`].
#[inline(always)]
unsafe fn elements<S: Lanes, const I: usize, const STEP: usize, const INSIDE: bool>(
    line: *const f32,
    at: isize,
    len: usize,
) -> [S::Vector; I] {
    // SAFETY: the caller's promise.
    unsafe {
        let mut x = [S::zero(); I];
        each!(GROUP < I, {
            if GROUP * STEP < I {
                let mut v = [S::zero(); STEP];
                each!(PART < STEP, {
                    let at = at + (GROUP * STEP + PART * S::LANES) as isize;
                    v[PART] = if INSIDE { S::load(line.offset(at)) } else { S::load_within(line, at, len) };
                });
                let v = apart::<S, STEP>(v);
                each!(PART < STEP, {
                    if GROUP * STEP + PART < I {
                        x[GROUP * STEP + PART] = v[PART];
                    }
                });
            }
        });
        x
    }
}

/// What lies side by side in `N` vectors, dealt out: every `N`-th element from the first, the second, ... on. The inverse of [`in_turn`].
///
/// # Safety
/// See [`Lanes`].
#[inline(always)]
unsafe fn apart<S: Lanes, const N: usize>(v: [S::Vector; N]) -> [S::Vector; N] {
    let mut dealt = v;
    // SAFETY: the caller's promise.
    unsafe {
        match N {
            2 => [dealt[0], dealt[1]] = S::apart(v[0], v[1]),
            4 => {
                let (low, high) = (S::apart(v[0], v[1]), S::apart(v[2], v[3]));
                [dealt[0], dealt[2]] = S::apart(low[0], high[0]);
                [dealt[1], dealt[3]] = S::apart(low[1], high[1]);
            }
            _ => panic!("tiles {N} elements apart"),
        }
    }
    dealt
}

/// The arguments of [`collect`], checked.
#[derive(Clone, Copy)]
pub(super) struct Collect {
    from: *const f32,
    rows: Mixed,
    to: *mut f32,
    line: Line,
    planes: usize,
}

impl Collect {
    /// # Safety
    /// The bounds that [`collect`] checks, and the instructions of `S`.
    #[inline(always)]
    pub(super) unsafe fn run<S: Lanes, M: Mix<I, O>, const I: usize, const O: usize>(self, mix: M) {
        for plane in 0..self.planes {
            // SAFETY: see the function.
            unsafe {
                let from = self.from.add(self.rows.at + plane * self.rows.plane);
                let to = self.to.add(self.line.at + plane * self.line.plane);
                let mut tile = 0;
                while tile * O < self.line.len {
                    let (from, to, left) = (from.add(tile), to.add(tile * O), self.line.len - tile * O);
                    let (tiles, mut x) = (left.div_ceil(O), [S::zero(); I]);
                    each!(ROW < I, {
                        let from = from.add(ROW * self.rows.row);
                        x[ROW] = if tiles >= S::LANES { S::load(from) } else { S::load_part(from, tiles) };
                    });
                    let y = in_turn::<S, O>(mix.mix::<S>(plane, x));
                    each!(PART < O, {
                        let before = PART * S::LANES;
                        store::<S>(to.wrapping_add(before), y[PART], left.saturating_sub(before));
                    });
                    tile += S::LANES;
                }
            }
        }
    }
}

/// Stores the first `n` lanes, or all where there are no more.
///
/// # Safety
/// See [`Lanes`].
#[inline(always)]
unsafe fn store<S: Lanes>(to: *mut f32, v: S::Vector, n: usize) {
    // SAFETY: the caller's promise.
    unsafe { if n >= S::LANES { S::store(to, v) } else { S::store_part(to, v, n) } }
}

/// The elements of all vectors in turn: the first of each, then the second ones.
///
/// # Safety
/// See [`Lanes`].
#[inline(always)]
unsafe fn in_turn<S: Lanes, const N: usize>(v: [S::Vector; N]) -> [S::Vector; N] {
    let mut turned = v;
    // SAFETY: the caller's promise.
    unsafe {
        match N {
            2 => [turned[0], turned[1]] = S::in_turn(v[0], v[1]),
            4 => {
                let (even, odd) = (S::in_turn(v[0], v[2]), S::in_turn(v[1], v[3]));
                [turned[0], turned[1]] = S::in_turn(even[0], odd[0]);
                [turned[2], turned[3]] = S::in_turn(even[1], odd[1]);
            }
            _ => panic!("tiles of {N} elements"),
        }
    }
    turned
}

/// In each of `planes` planes, `tiles` tiles of a line of `from` become an element each of `O` rows of `to`: tile `t` is elements
/// `first + STEP · t ..` of the line, `I` of them; what lies outside of it is zero.
///
/// # Panics
/// Where a line or a row does not lie in its slice.
#[inline]
pub fn spread<M: Mix<I, O>, const I: usize, const O: usize, const STEP: usize>(
    isa: Isa,
    mix: M,
    (from, line, first): (&[f32], Line, isize),
    (to, rows): (&mut [f32], Mixed),
    [planes, tiles]: [usize; 2],
) {
    if planes == 0 || tiles == 0 {
        return;
    }
    assert!(line.lies_in(from.len(), planes), "a line that is read does not lie in its slice");
    assert!(rows.lie_in(to.len(), planes, [O, tiles]), "a row that is written does not lie in its slice");
    let call = Spread { from: from.as_ptr(), line, first, to: to.as_mut_ptr(), rows, times: [planes, tiles] };
    // SAFETY: the bounds were checked, and `Isa` values that the processor has not are not made.
    unsafe {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => lanes::spread_avx512::<M, I, O, STEP>(mix, call),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => lanes::spread_avx2::<M, I, O, STEP>(mix, call),
            Isa::Portable => lanes::spread_portable::<M, I, O, STEP>(mix, call),
        }
    }
}

/// In each of `planes` planes, an element each of `I` rows of `from` becomes `O` elements side by side of a line of `to`; of the last ones
/// as many as the line has.
///
/// # Panics
/// Where a line or a row does not lie in its slice.
#[inline]
pub fn collect<M: Mix<I, O>, const I: usize, const O: usize>(
    isa: Isa,
    mix: M,
    (from, rows): (&[f32], Mixed),
    (to, line): (&mut [f32], Line),
    planes: usize,
) {
    if planes == 0 || line.len == 0 {
        return;
    }
    assert!(rows.lie_in(from.len(), planes, [I, line.len.div_ceil(O)]), "a row that is read does not lie in its slice");
    assert!(line.lies_in(to.len(), planes), "a line that is written does not lie in its slice");
    let call = Collect { from: from.as_ptr(), rows, to: to.as_mut_ptr(), line, planes };
    // SAFETY: as above.
    unsafe {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => lanes::collect_avx512(mix, call),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => lanes::collect_avx2(mix, call),
            Isa::Portable => lanes::collect_portable(mix, call),
        }
    }
}
