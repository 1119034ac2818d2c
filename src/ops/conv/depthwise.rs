//! The twins where a group has so few output channels that a matrix product would be mostly overhead: depthwise convolutions.
//! Each tap adds a shifted plane, straight from the image.

use rayon::prelude::*;

use super::Sizes;
use super::cpu::{Epilogue, SERIAL, multiplications};
use crate::contract::{Real, parallel_rows};

/// Whether these twins are the faster ones.
pub(super) fn fits(s: &Sizes) -> bool {
    s.groups > 1 && s.group_out() <= 2
}

/// Rows of a plane: where the first begins, how far apart they are, and how far apart their elements.
#[derive(Clone, Copy)]
struct Rows {
    at: usize,
    apart: usize,
    step: usize,
}

/// Calls `f(rows of the output, rows of the image, how many, elements of each)` for every slice of positions whose tap lies in the image.
#[inline]
fn spans(s: &Sizes, tap: [usize; 3], mut f: impl FnMut(Rows, Rows, usize, usize)) {
    let window = &s.window;
    let [slices, rows, columns] =
        std::array::from_fn(|axis| window.inside(axis, tap[axis], s.input[axis], s.output[axis]));
    if rows.is_empty() || columns.is_empty() {
        return;
    }
    let place =
        |axis: usize, at: usize| at * window.stride[axis] + tap[axis] * window.dilation[axis] - window.before(axis);
    let ([_, h, w], [_, oh, ow], [_, down, right]) = (s.input, s.output, window.stride);
    for oz in slices {
        let y = Rows { at: (oz * oh + rows.start) * ow + columns.start, apart: ow, step: 1 };
        let first = (place(0, oz) * h + place(1, rows.start)) * w + place(2, columns.start);
        f(y, Rows { at: first, apart: down * w, step: right }, rows.len(), columns.len());
    }
}

/// `y += w · x`, for as many rows of `n` elements. A function of its own: inlined into loops over taps it runs out of registers.
#[inline(never)]
fn add_scaled<T: Real>(w: T, (x, from): (&[T], Rows), (y, to): (&mut [T], Rows), rows: usize, n: usize) {
    let pairs = y[to.at..].chunks_mut(to.apart).zip(x[from.at..].chunks(from.apart)).take(rows);
    if (from.step, to.step) == (1, 1) {
        pairs.for_each(|(y, x)| y[..n].iter_mut().zip(&x[..n]).for_each(|(y, x)| *y += w * *x));
    } else if to.step == 1 {
        pairs.for_each(|(y, x)| y[..n].iter_mut().zip(x.iter().step_by(from.step)).for_each(|(y, x)| *y += w * *x));
    } else {
        pairs.for_each(|(y, x)| y.iter_mut().step_by(to.step).zip(&x[..n]).for_each(|(y, x)| *y += w * *x));
    }
}

/// `Σ a · b` over as many rows of `n` elements; those of `a` lie side by side. Each row is summed by itself.
#[inline(never)]
fn products<T: Real>((a, at_a): (&[T], Rows), (b, at_b): (&[T], Rows), rows: usize, n: usize) -> T {
    let mut sum = T::zero();
    for (a, b) in a[at_a.at..].chunks(at_a.apart).zip(b[at_b.at..].chunks(at_b.apart)).take(rows) {
        sum += if at_b.step == 1 {
            dot(&a[..n], &b[..n])
        } else {
            a[..n].iter().zip(b.iter().step_by(at_b.step)).map(|(a, b)| *a * *b).sum()
        };
    }
    sum
}

/// Calls `f(index, tap)` for every tap of the window.
fn taps(s: &Sizes, mut f: impl FnMut(usize, [usize; 3])) {
    let [kd, kh, kw] = s.window.kernel;
    for q in 0..kd {
        for r in 0..kh {
            for c in 0..kw {
                f((q * kh + r) * kw + c, [q, r, c]);
            }
        }
    }
}

/// Input channel `i` of the group that output channel `o` belongs to, of sample `n`: where its plane starts.
fn plane_at(s: &Sizes, n: usize, o: usize, i: usize) -> usize {
    (n * s.c_in + o / s.group_out() * s.group_in() + i) * s.volume()
}

pub(super) fn forward<T: Real>(s: &Sizes, x: &[T], w: &[T], last: Epilogue<'_, T>, y: &mut [T]) {
    let window = s.channel_taps();
    parallel_rows(y, s.positions(), |index, y| {
        let (n, o) = (index / s.c_out, index % s.c_out);
        y.fill(T::zero());
        for i in 0..s.group_in() {
            let x = &x[plane_at(s, n, o, i)..][..s.volume()];
            let w = &w[(o * s.group_in() + i) * window..][..window];
            taps(s, |index, tap| {
                spans(s, tap, |to, from, rows, n| add_scaled(w[index], (x, from), (&mut *y, to), rows, n));
            });
        }
        last.finish(o, y);
    });
}

pub(super) fn grad_x<T: Real>(s: &Sizes, dy: &[T], w: &[T], dx: &mut [T]) {
    let window = s.channel_taps();
    parallel_rows(dx, s.volume(), |index, dx| {
        let (n, channel) = (index / s.c_in, index % s.c_in);
        let (g, i) = (channel / s.group_in(), channel % s.group_in());
        dx.fill(T::zero());
        for o in g * s.group_out()..(g + 1) * s.group_out() {
            let dy = &dy[(n * s.c_out + o) * s.positions()..][..s.positions()];
            let w = &w[(o * s.group_in() + i) * window..][..window];
            taps(s, |index, tap| {
                spans(s, tap, |from, to, rows, n| add_scaled(w[index], (dy, from), (&mut *dx, to), rows, n));
            });
        }
    });
}

pub(super) fn grad_w<T: Real>(s: &Sizes, x: &[T], dy: &[T], dw: &mut [T]) {
    let window = s.channel_taps();
    let one = |o: usize, dw: &mut [T]| {
        dw.fill(T::zero());
        for n in 0..s.batch {
            let dy = &dy[(n * s.c_out + o) * s.positions()..][..s.positions()];
            for (i, dw) in dw.chunks_exact_mut(window).enumerate() {
                let x = &x[plane_at(s, n, o, i)..][..s.volume()];
                taps(s, |index, tap| {
                    // Each plane is summed by itself, and each row of it: the error grows with the longest sum, not with all.
                    let mut sum = T::zero();
                    spans(s, tap, |at, from, rows, n| sum += products((dy, at), (x, from), rows, n));
                    dw[index] += sum;
                });
            }
        }
    };
    if multiplications(s) <= SERIAL {
        dw.chunks_exact_mut(s.taps()).enumerate().for_each(|(o, dw)| one(o, dw));
    } else {
        dw.par_chunks_exact_mut(s.taps()).enumerate().for_each(|(o, dw)| one(o, dw));
    }
}

/// `Σ a · b` with eight running sums, which vectorise.
#[inline(always)]
fn dot<T: Real>(a: &[T], b: &[T]) -> T {
    let mut sums = [T::zero(); 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: T = a8.remainder().iter().zip(b8.remainder()).map(|(a, b)| *a * *b).sum();
    for (a, b) in a8.zip(b8) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7])) + rest
}
