//! Sums whose error grows with the logarithm of their length: blocks in a few running sums, and the blocks in pairs.
//!
//! At most [`RUN`] numbers are added one after another, so that a sum of `n` is off by no more than `(RUN + log₂ n) · u · Σ |x|`, where
//! `u` is 2⁻²⁴ for `f32`. Where the halves begin depends on `n` alone: the number of threads changes no bit.
//!
//! Source: N. Higham, "The accuracy of floating point summation", SIAM Journal on Scientific Computing 14 (1993).

use std::ops::Range;

use super::wide_fn;
use crate::contract::{Real, with_own_memory};

/// Numbers that are added one after another, at most.
pub const RUN: usize = 64;
/// Running sums of a block, side by side.
pub const LANES: usize = 8;
/// Elements of a block.
pub const BLOCK: usize = RUN * LANES;
/// Numbers from which on halves are worth a thread of their own.
const APART: usize = 1 << 16;

/// The sums over `range`, in pairs of halves down to pieces of at most `piece`, which `sums` gives.
pub fn pairwise<T: Real, const N: usize>(
    range: Range<usize>,
    piece: usize,
    sums: &impl Fn(Range<usize>) -> [T; N],
) -> [T; N] {
    if range.len() <= piece {
        return sums(range);
    }
    let middle = range.start + (range.len() / 2).next_multiple_of(piece);
    added(pairwise(range.start..middle, piece, sums), pairwise(middle..range.end, piece, sums))
}

/// The same sums, to the bit, made on all cores where `range` is long.
pub fn shared<T: Real, const N: usize>(
    range: Range<usize>,
    piece: usize,
    sums: &(dyn Fn(Range<usize>) -> [T; N] + Sync),
) -> [T; N] {
    if range.len() * N <= APART || range.len() <= piece {
        return pairwise(range, piece, &sums);
    }
    let middle = range.start + (range.len() / 2).next_multiple_of(piece);
    let halves = rayon::join(|| shared(range.start..middle, piece, sums), || shared(middle..range.end, piece, sums));
    added(halves.0, halves.1)
}

fn added<T: Real, const N: usize>(mut left: [T; N], right: [T; N]) -> [T; N] {
    left.iter_mut().zip(right).for_each(|(left, right)| *left += right);
    left
}

/// The sums over `n` elements, whose blocks `sums` gives.
#[inline]
pub fn blocks<T: Real, const N: usize>(n: usize, sums: impl Fn(Range<usize>) -> [T; N]) -> [T; N] {
    pairwise(0..n, BLOCK, &sums)
}

/// `Σ x`
#[inline]
pub fn sum<T: Real>(x: &[T]) -> T {
    let [sum] = blocks(x.len(), |block| [sum_block(&x[block])]);
    sum
}

/// [`sum`] on all cores where `x` is long.
pub fn shared_sum<T: Real>(x: &[T]) -> T {
    let [sum] = shared(0..x.len(), BLOCK, &|block| [sum_block(&x[block])]);
    sum
}

/// `Σ x · y` over two slices of one length.
#[inline]
pub fn dot<T: Real>(x: &[T], y: &[T]) -> T {
    let [sum] = blocks(x.len(), |block| [dot_block(&x[block.clone()], &y[block])]);
    sum
}

/// `Σ f(i)` for `i` below `n`.
#[inline]
pub fn sum_of<T: Real>(n: usize, f: impl Fn(usize) -> T) -> T {
    let [sum] = pairwise(0..n, RUN, &|piece: Range<usize>| [piece.map(&f).sum::<T>()]);
    sum
}

/// Adds `x` to a sum, and what the sum loses of it through rounding to `lost`: for sums whose terms come in no order, each of which may
/// have any number of them. Together both have twice the digits, as `lost` stays below half a digit of `sum`. Source: D. Knuth, "The
/// Art of Computer Programming", volume 2, section 4.2.2, theorems B and C.
#[inline(always)]
pub fn add_exactly<T: Real>(sum: &mut T, lost: &mut T, x: T) {
    let whole = *sum + x;
    let added = whole - *sum;
    let rest = *lost + ((*sum - (whole - added)) + (x - added));
    *sum = whole + rest;
    *lost = rest - (*sum - whole);
}

/// Runs `each` with what adds a number to one of `sums`, none of which loses more than a few digits, however many it is given.
pub fn scatter<T: Real>(sums: &mut [T], each: impl FnOnce(&mut dyn FnMut(usize, T))) {
    if T::as_f32(sums).is_none() {
        // The truth has digits enough.
        return each(&mut |at, x| sums[at] += x);
    }
    with_own_memory(sums.len(), |lost| {
        lost.fill(0.0);
        each(&mut |at, x| {
            let mut rest = T::of(f64::from(lost[at]));
            add_exactly(&mut sums[at], &mut rest, x);
            lost[at] = rest.f64() as f32;
        });
        sums.iter_mut().zip(lost).for_each(|(sum, lost)| *sum += T::of(f64::from(*lost)));
    });
}

/// The running sums of a block, halves first.
#[inline(always)]
pub fn tree<T: Real>(s: [T; LANES]) -> T {
    ((s[0] + s[4]) + (s[1] + s[5])) + ((s[2] + s[6]) + (s[3] + s[7]))
}

wide_fn! {
    fn sum_block<T: Real>(x: &[T]) -> T {
        let mut sums = [T::zero(); LANES];
        let (whole, rest) = x.as_chunks::<LANES>();
        for x in whole {
            for lane in 0..LANES {
                sums[lane] += x[lane];
            }
        }
        sums.iter_mut().zip(rest).for_each(|(sum, x)| *sum += *x);
        tree(sums)
    }
}

wide_fn! {
    fn dot_block<T: Real>(x: &[T], y: &[T]) -> T {
        let mut sums = [T::zero(); LANES];
        let (whole, rest) = (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
        for (x, y) in whole.0.iter().zip(rest.0) {
            for lane in 0..LANES {
                sums[lane] += x[lane] * y[lane];
            }
        }
        sums.iter_mut().zip(whole.1.iter().zip(rest.1)).for_each(|(sum, (x, y))| *sum += *x * *y);
        tree(sums)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Off by at most the module's bound, from the sum in `f64`.
    fn expect_near(sum: f32, terms: impl Iterator<Item = f64>, n: usize) {
        let (exact, size) = terms.fold((0.0, 0.0), |(exact, size), x| (exact + x, size + x.abs()));
        let bound = (RUN as f64 + (n.max(2) as f64).log2()) * f64::from(f32::EPSILON) / 2.0 * size;
        assert!((f64::from(sum) - exact).abs() <= bound, "{n}: {sum} for {exact}, allowed is {bound}");
    }

    #[test]
    fn sums_stay_within_their_bound() {
        let mut random = crate::contract::Threefry::new(5, 1);
        for n in [0, 1, 7, 8, 63, 64, 65, 511, 512, 513, 1023, 1025, 70_001, 3_000_000] {
            let tenths = vec![0.1f32; n];
            let mixed: Vec<f32> = (0..n).map(|_| random.normal()).collect();
            for x in [&tenths, &mixed] {
                expect_near(sum(x), x.iter().map(|x| f64::from(*x)), n);
                expect_near(sum_of(n, |i| x[i]), x.iter().map(|x| f64::from(*x)), n);
                expect_near(dot(x, &tenths), x.iter().map(|x| f64::from(*x) * f64::from(0.1f32)), n);
            }
        }
    }

    #[test]
    fn what_a_sum_loses_is_kept() {
        let (mut sum, mut lost) = (1.0f32, 0.0);
        (0..4_000_000).for_each(|_| add_exactly(&mut sum, &mut lost, 1e-8));
        assert!((f64::from(sum) + f64::from(lost) - 1.04).abs() < 1e-9, "{sum} and {lost}");
        let (mut sum, mut lost) = (0.0f32, 0.0);
        (0..4_000_000).for_each(|_| add_exactly(&mut sum, &mut lost, 0.1));
        expect_near(sum + lost, std::iter::repeat_n(f64::from(0.1f32), 4_000_000), 2);
    }

    #[test]
    fn the_number_of_threads_changes_no_bit() {
        let x: Vec<f32> = (0..1_000_003u64).map(|i| ((i * 7919) % 1009) as f32 * 0.013 - 5.0).collect();
        let of = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            pool.install(|| shared_sum(&x)).to_bits()
        };
        assert_eq!(of(1), sum(&x).to_bits());
        assert_eq!(of(1), of(2));
        assert_eq!(of(1), of(5));
    }
}
