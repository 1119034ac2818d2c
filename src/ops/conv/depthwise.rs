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

/// Calls `f(first position, first element of the image, count)` for every run of positions in one row whose tap lies in the image.
#[inline]
fn spans(s: &Sizes, tap: [usize; 3], mut f: impl FnMut(usize, usize, usize)) {
    let window = &s.window;
    let [slices, rows, columns] =
        std::array::from_fn(|axis| window.inside(axis, tap[axis], s.input[axis], s.output[axis]));
    if rows.is_empty() || columns.is_empty() {
        return;
    }
    let place = |axis: usize, at: usize| at * window.stride[axis] + tap[axis] * window.dilation[axis] - window.before(axis);
    let ([_, h, w], [_, oh, ow], step) = (s.input, s.output, window.stride[1] * s.input[2]);
    for oz in slices {
        let mut at = (oz * oh + rows.start) * ow + columns.start;
        let mut from = (place(0, oz) * h + place(1, rows.start)) * w + place(2, columns.start);
        for _ in rows.clone() {
            f(at, from, columns.len());
            (at, from) = (at + ow, from + step);
        }
    }
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
    let (window, step) = (s.channel_taps(), s.window.stride[2]);
    parallel_rows(y, s.positions(), |index, y| {
        let (n, o) = (index / s.c_out, index % s.c_out);
        y.fill(T::zero());
        for i in 0..s.group_in() {
            let x = &x[plane_at(s, n, o, i)..][..s.volume()];
            let w = &w[(o * s.group_in() + i) * window..][..window];
            taps(s, |index, tap| {
                let w = w[index];
                spans(s, tap, |at, from, count| {
                    let y = &mut y[at..at + count];
                    if step == 1 {
                        y.iter_mut().zip(&x[from..]).for_each(|(y, x)| *y += w * *x);
                    } else {
                        y.iter_mut().zip(x[from..].iter().step_by(step)).for_each(|(y, x)| *y += w * *x);
                    }
                });
            });
        }
        last.finish(o, y);
    });
}

pub(super) fn grad_x<T: Real>(s: &Sizes, dy: &[T], w: &[T], dx: &mut [T]) {
    let (window, step) = (s.channel_taps(), s.window.stride[2]);
    parallel_rows(dx, s.volume(), |index, dx| {
        let (n, channel) = (index / s.c_in, index % s.c_in);
        let (g, i) = (channel / s.group_in(), channel % s.group_in());
        dx.fill(T::zero());
        for o in g * s.group_out()..(g + 1) * s.group_out() {
            let dy = &dy[(n * s.c_out + o) * s.positions()..][..s.positions()];
            let w = &w[(o * s.group_in() + i) * window..][..window];
            taps(s, |index, tap| {
                let w = w[index];
                spans(s, tap, |at, from, count| {
                    let dy = &dy[at..at + count];
                    if step == 1 {
                        dx[from..].iter_mut().zip(dy).for_each(|(x, y)| *x += w * *y);
                    } else {
                        dx[from..].iter_mut().step_by(step).zip(dy).for_each(|(x, y)| *x += w * *y);
                    }
                });
            });
        }
    });
}

pub(super) fn grad_w<T: Real>(s: &Sizes, x: &[T], dy: &[T], dw: &mut [T]) {
    let (window, step) = (s.channel_taps(), s.window.stride[2]);
    let one = |o: usize, dw: &mut [T]| {
        dw.fill(T::zero());
        for n in 0..s.batch {
            let dy = &dy[(n * s.c_out + o) * s.positions()..][..s.positions()];
            for (i, dw) in dw.chunks_exact_mut(window).enumerate() {
                let x = &x[plane_at(s, n, o, i)..][..s.volume()];
                taps(s, |index, tap| {
                    // Each plane is summed by itself, and each row of it: the error grows with the longest sum, not with all.
                    let mut sum = T::zero();
                    spans(s, tap, |at, from, count| {
                        let dy = &dy[at..at + count];
                        sum += if step == 1 {
                            dot(dy, &x[from..from + count])
                        } else {
                            dy.iter().zip(x[from..].iter().step_by(step)).map(|(a, b)| *a * *b).sum()
                        };
                    });
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
