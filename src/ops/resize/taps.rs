//! Which elements are read along an axis, with which weights; and rows of the CPU twin.

use super::Interpolation;
use crate::contract::Real;

/// An axis of `input` elements that becomes one of `output`; `a / b` is the ratio of their distances in lowest terms.
#[derive(Clone, Copy, Debug)]
pub(in crate::ops) struct Axis {
    pub input: usize,
    pub output: usize,
    pub a: u64,
    pub b: u64,
}

impl Axis {
    pub fn new(input: usize, output: usize) -> Self {
        Self::of(input, output, input, output)
    }

    /// Where the first element falls on the first, and the last on the last.
    pub fn between_corners(input: usize, output: usize) -> Self {
        if output == 1 { Self::of(input, output, 0, 1) } else { Self::of(input, output, input - 1, output - 1) }
    }

    fn of(input: usize, output: usize, a: usize, b: usize) -> Self {
        let (mut divisor, mut rest) = (a, b);
        while rest != 0 {
            (divisor, rest) = (rest, divisor % rest);
        }
        Axis { input, output, a: (a / divisor) as u64, b: (b / divisor) as u64 }
    }

    /// Products of positions and of `a` or `b` do not fit 32 bits.
    pub fn is_wide(&self) -> bool {
        (2 * self.input.max(self.output) as u64 + 2) * self.a.max(self.b) > u64::from(u32::MAX)
    }
}

/// What an element of `y` reads along an axis: `x[low]`, weighed by `near`, and where `far` is not 0, `x[low + 1]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tap<T> {
    pub low: usize,
    pub near: T,
    pub far: T,
}

impl<T: Real> Tap<T> {
    /// What is read, and its weight.
    pub fn parts(self) -> impl Iterator<Item = (usize, T)> {
        let count = if self.far == T::zero() { 1 } else { 2 };
        [(self.low, self.near), (self.low + 1, self.far)].into_iter().take(count)
    }

    /// The value between elements of `x`. One without weight is not read, so that an infinity in it makes no NaN.
    #[inline(always)]
    fn read(self, x: &[T]) -> T {
        if self.far == T::zero() { x[self.low] } else { self.near * x[self.low] + self.far * x[self.low + 1] }
    }
}

impl Interpolation {
    /// A position lies between elements, or picks one.
    pub(super) fn is_linear(self) -> bool {
        matches!(self, Interpolation::Linear | Interpolation::LinearAlignCorners)
    }

    /// What `y[o]` reads along an axis.
    pub(super) fn tap<T: Real>(self, axis: &Axis, o: usize) -> Tap<T> {
        let walk = Walk::new(self, axis);
        let at = walk.first + o as u64 * walk.step;
        walk.tap(at / walk.unit, at % walk.unit)
    }

    /// What every element along an axis of `y` reads, from the first on.
    pub(super) fn taps<T: Real>(self, axis: Axis) -> impl Iterator<Item = Tap<T>> {
        let walk = Walk::new(self, &axis);
        let (mut whole, mut part) = (walk.first / walk.unit, walk.first % walk.unit);
        let (add_whole, add_part) = (walk.step / walk.unit, walk.step % walk.unit);
        (0..axis.output).map(move |_| {
            let tap = walk.tap(whole, part);
            (whole, part) = (whole + add_whole, part + add_part);
            if part >= walk.unit {
                (whole, part) = (whole + 1, part - walk.unit);
            }
            tap
        })
    }
}

/// The positions of the elements of `y` along an axis, counted in parts of an element of `x`.
struct Walk<T> {
    /// How many parts one element of `x` has.
    unit: u64,
    /// The first position.
    first: u64,
    /// From one position to the next.
    step: u64,
    /// By how many parts all of them are too large.
    shift: u64,
    /// The last element of `x`.
    last: usize,
    linear: bool,
    scale: T,
}

impl<T: Real> Walk<T> {
    fn new(how: Interpolation, axis: &Axis) -> Self {
        let [unit, first, step, shift] = match how {
            Interpolation::Nearest | Interpolation::LinearAlignCorners => [axis.b, 0, axis.a, 0],
            Interpolation::NearestExact => [2 * axis.b, axis.a, 2 * axis.a, 0],
            Interpolation::Linear => [2 * axis.b, axis.a, 2 * axis.a, axis.b],
        };
        let scale = T::of(1.0 / unit as f64);
        Walk { unit, first, step, shift, last: axis.input - 1, linear: how.is_linear(), scale }
    }

    /// The tap at whole elements and parts of one.
    #[inline(always)]
    fn tap(&self, whole: u64, part: u64) -> Tap<T> {
        let (low, part) = match part.checked_sub(self.shift) {
            Some(part) => (whole as usize, part),
            None if whole > 0 => (whole as usize - 1, part + self.unit - self.shift),
            None => (0, 0),
        };
        if !self.linear || part == 0 || low >= self.last {
            return Tap { low, near: T::one(), far: T::zero() };
        }
        let share = |parts: u64| T::of(parts as f64) * self.scale;
        Tap { low, near: share(self.unit - part), far: share(part) }
    }
}

/// Elements of a row of `x` that lie on the stack while they are worked on.
const BLOCK: usize = 256;

/// A row of `y` from the row of `x` that its nearest elements lie in.
pub(super) fn spread<T: Real>(how: Interpolation, axis: Axis, x: &[T], y: &mut [T]) {
    if axis.a == 1 {
        // A whole factor, by either rule.
        return y.chunks_exact_mut(axis.b as usize).zip(x).for_each(|(y, x)| y.fill(*x));
    }
    for (y, tap) in y.iter_mut().zip(how.taps::<T>(axis)) {
        *y = x[tap.low];
    }
}

/// A row of `y` from the rows of `x` around it, each with its weight.
pub(super) fn blend<T: Real>(how: Interpolation, axis: Axis, rows: &[(T, &[T])], y: &mut [T]) {
    let mut block = [T::zero(); BLOCK];
    let mut held = 0..0;
    for (y, tap) in y.iter_mut().zip(how.taps::<T>(axis)) {
        // First the sum of the rows, which vectorises, then what lies between its elements. Few are read where `y` is much shorter.
        if held.end < axis.input.min(tap.low + 2) {
            let count = if axis.input > 2 * axis.output { 2 } else { BLOCK };
            held = tap.low..axis.input.min(tap.low + count);
            let block = &mut block[..held.len()];
            block.fill(T::zero());
            for (weight, x) in rows {
                for (sum, x) in block.iter_mut().zip(&x[held.clone()]) {
                    *sum += *weight * *x;
                }
            }
        }
        *y = Tap { low: tap.low - held.start, ..tap }.read(&block);
    }
}

/// What a row of `dy` adds to a row of `dx`, in pieces: `add(first element, what to add from there on)`.
pub(super) fn blend_back<T: Real>(how: Interpolation, axis: Axis, dy: &[T], mut add: impl FnMut(usize, &[T])) {
    let mut block = [T::zero(); BLOCK];
    let (mut start, mut len) = (0, 0);
    for (dy, tap) in dy.iter().zip(how.taps::<T>(axis)) {
        if tap.low + 2 > start + BLOCK {
            add(start, &block[..len]);
            block[..len].fill(T::zero());
            (start, len) = (tap.low, 0);
        }
        for (at, weight) in tap.parts() {
            block[at - start] += weight * *dy;
            len = len.max(at - start + 1);
        }
    }
    add(start, &block[..len]);
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Interpolation; 4] =
        [Interpolation::Nearest, Interpolation::NearestExact, Interpolation::Linear, Interpolation::LinearAlignCorners];
    const SIZES: [usize; 9] = [1, 2, 3, 4, 5, 7, 12, 31, 64];

    #[test]
    fn the_walk_over_taps_is_their_formula() {
        for (input, output) in SIZES.iter().flat_map(|i| SIZES.map(|o| (*i, o))).chain([(65_537, 70_001), (70_001, 9)])
        {
            for how in ALL {
                let axis = axis(how, input, output);
                let walk: Vec<Tap<f64>> = how.taps(axis).collect();
                assert_eq!(walk.len(), output);
                for (o, tap) in walk.iter().enumerate() {
                    assert_eq!(*tap, how.tap(&axis, o), "{input} to {output}, {how:?}, element {o}");
                    let position = match how {
                        Interpolation::Nearest => (o * input / output) as f64,
                        Interpolation::NearestExact => ((2 * o + 1) * input / (2 * output)) as f64,
                        Interpolation::Linear => {
                            let position = (o as f64 + 0.5) * input as f64 / output as f64 - 0.5;
                            position.clamp(0.0, (input - 1) as f64)
                        }
                        Interpolation::LinearAlignCorners => o as f64 * (input - 1) as f64 / (output - 1).max(1) as f64,
                    };
                    let found = tap.low as f64 + tap.far;
                    assert!((found - position).abs() < 1e-9 && (tap.near + tap.far - 1.0).abs() < 1e-12, "{tap:?}");
                    assert!(tap.low < input && (tap.far == 0.0 || tap.low + 1 < input), "{tap:?}");
                }
            }
        }
    }

    fn axis(how: Interpolation, input: usize, output: usize) -> Axis {
        if how == Interpolation::LinearAlignCorners {
            Axis::between_corners(input, output)
        } else {
            Axis::new(input, output)
        }
    }

    /// The range from which the gradient's kernel gathers, in its own arithmetic.
    fn readers(how: Interpolation, axis: &Axis, i: u64) -> std::ops::Range<usize> {
        let (out, last) = (axis.output, i as usize + 1 == axis.input);
        if axis.a == 0 {
            return 0..if i == 0 { out } else { 0 };
        }
        let (down, up) = (|n: u64| n * axis.b / axis.a, |n: u64| (n * axis.b).div_ceil(axis.a));
        let (start, end) = match how {
            Interpolation::Nearest => (up(i), up(i + 1)),
            Interpolation::NearestExact => (up(2 * i) / 2, up(2 * i + 2) / 2),
            Interpolation::Linear => (if i > 0 { down(2 * i - 1).div_ceil(2) } else { 0 }, up(2 * i + 3) / 2),
            Interpolation::LinearAlignCorners => (if i > 0 { down(i - 1) + 1 } else { 0 }, up(i + 1)),
        };
        start as usize..if last { out } else { out.min(end as usize) }
    }

    #[test]
    fn the_gradient_gathers_from_all_who_read_an_element_and_from_nobody_else() {
        for (input, output) in SIZES.iter().flat_map(|i| SIZES.map(|o| (*i, o))) {
            for how in ALL {
                let axis = axis(how, input, output);
                let taps: Vec<Tap<f64>> = how.taps(axis).collect();
                for i in 0..input {
                    let reads = |o: &usize| taps[*o].parts().any(|(at, _)| at == i);
                    let expected: Vec<usize> = (0..output).filter(reads).collect();
                    let found: Vec<usize> = readers(how, &axis, i as u64).collect();
                    assert_eq!(found, expected, "{input} to {output}, {how:?}, element {i}");
                }
            }
        }
    }
}
