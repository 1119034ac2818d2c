//! Neighbours in a line that are mixed: the passes of [`super::strips`] for rows of one element, whose tiles lie side by side in a line.
//! Vectors hold one element of as many tiles.

use super::Isa;
use super::lanes::{self, Lanes};
use super::strips::{Mix, Rows};

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

/// Elements of a row that begin at `at` in the first plane, for checking.
fn rows_lie_in<const N: usize>(rows: &Rows<N>, len: usize, planes: usize, columns: usize) -> bool {
    rows.at.iter().flatten().all(|at| at + (planes - 1) * rows.plane + columns <= len)
}

/// The arguments of [`spread`], checked.
#[derive(Clone, Copy)]
pub(super) struct Spread<const O: usize> {
    from: *const f32,
    line: Line,
    first: isize,
    to: *mut f32,
    writes: Rows<O>,
    /// Planes, and tiles in each.
    times: [usize; 2],
}

impl<const O: usize> Spread<O> {
    /// # Safety
    /// The bounds that [`spread`] checks, and the instructions of `S`.
    #[inline(always)]
    pub(super) unsafe fn run<S: Lanes, M: Mix<I, O>, const I: usize, const STEP: usize>(self, mix: M) {
        let [planes, tiles] = self.times;
        for plane in 0..planes {
            // SAFETY: see the function.
            unsafe {
                let line = self.from.add(self.line.at + plane * self.line.plane);
                let to = self.to.add(plane * self.writes.plane);
                let mut tile = 0;
                while tile < tiles {
                    let at = self.first + (tile * STEP) as isize;
                    let inside = at >= 0 && at as usize + I - 1 + STEP * S::LANES <= self.line.len;
                    let mut x = [S::zero(); I];
                    for (i, x) in x.iter_mut().enumerate() {
                        let mut v = [S::zero(); STEP];
                        for (s, v) in v.iter_mut().enumerate() {
                            let at = at + (i + s * S::LANES) as isize;
                            *v =
                                if inside { S::load(line.offset(at)) } else { S::load_within(line, at, self.line.len) };
                        }
                        *x = every::<S, STEP>(v);
                    }
                    let y = mix.mix::<S>(plane, x);
                    for (at, y) in self.writes.at.iter().zip(y) {
                        let Some(at) = at else { continue };
                        if tile + S::LANES <= tiles {
                            S::store(to.add(at + tile), y);
                        } else {
                            S::store_part(to.add(at + tile), y, tiles - tile);
                        }
                    }
                    tile += S::LANES;
                }
            }
        }
    }
}

/// Every `STEP`-th element of as many vectors, from the first one on.
///
/// # Safety
/// See [`Lanes`].
#[inline(always)]
unsafe fn every<S: Lanes, const STEP: usize>(v: [S::Vector; STEP]) -> S::Vector {
    // SAFETY: the caller's promise.
    unsafe {
        match STEP {
            1 => v[0],
            2 => S::evens(v[0], v[1]),
            4 => S::evens(S::evens(v[0], v[1]), S::evens(v[2], v[3])),
            _ => panic!("tiles {STEP} elements apart"),
        }
    }
}

/// The arguments of [`collect`], checked.
#[derive(Clone, Copy)]
pub(super) struct Collect<const I: usize> {
    from: *const f32,
    reads: Rows<I>,
    to: *mut f32,
    line: Line,
    planes: usize,
}

impl<const I: usize> Collect<I> {
    /// # Safety
    /// The bounds that [`collect`] checks, and the instructions of `S`.
    #[inline(always)]
    pub(super) unsafe fn run<S: Lanes, M: Mix<I, O>, const O: usize>(self, mix: M) {
        for plane in 0..self.planes {
            // SAFETY: see the function.
            unsafe {
                let from = self.from.add(plane * self.reads.plane);
                let to = self.to.add(self.line.at + plane * self.line.plane);
                let mut tile = 0;
                while tile * O < self.line.len {
                    let left = self.line.len - tile * O;
                    let mut x = [S::zero(); I];
                    for (at, x) in self.reads.at.iter().zip(&mut x) {
                        let Some(at) = at else { continue };
                        let from = from.add(at + tile);
                        *x = if left.div_ceil(O) >= S::LANES {
                            S::load(from)
                        } else {
                            S::load_part(from, left.div_ceil(O))
                        };
                    }
                    let y = in_turn::<S, O>(mix.mix::<S>(plane, x));
                    for (i, y) in y.into_iter().enumerate() {
                        let (to, left) = (to.add(tile * O + i * S::LANES), left.saturating_sub(i * S::LANES));
                        if left >= S::LANES {
                            S::store(to, y);
                        } else if left > 0 {
                            S::store_part(to, y, left);
                        }
                    }
                    tile += S::LANES;
                }
            }
        }
    }
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
            1 => {}
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
    (to, writes): (&mut [f32], Rows<O>),
    [planes, tiles]: [usize; 2],
) {
    if planes == 0 || tiles == 0 {
        return;
    }
    assert!(line.lies_in(from.len(), planes), "a line that is read does not lie in its slice");
    assert!(rows_lie_in(&writes, to.len(), planes, tiles), "a row that is written does not lie in its slice");
    let call = Spread { from: from.as_ptr(), line, first, to: to.as_mut_ptr(), writes, times: [planes, tiles] };
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
    (from, reads): (&[f32], Rows<I>),
    (to, line): (&mut [f32], Line),
    planes: usize,
) {
    if planes == 0 || line.len == 0 {
        return;
    }
    assert!(
        rows_lie_in(&reads, from.len(), planes, line.len.div_ceil(O)),
        "a row that is read does not lie in its slice"
    );
    assert!(line.lies_in(to.len(), planes), "a line that is written does not lie in its slice");
    let call = Collect { from: from.as_ptr(), reads, to: to.as_mut_ptr(), line, planes };
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
