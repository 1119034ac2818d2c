//! The twins: each kind of convolution as matrix products with blocks of the gathered image ("im2col"). In `f64` they are the truth; in
//! `f32` the kernels of `direct` take their place, except for depthwise convolutions.
//!
//! Many samples are shared out among the cores, each with its own scratch memory; of few samples, each product is. Both the
//! choice and the partition depend on the shape alone.

use std::ops::Range;

use ndarray::{ArrayView2, ArrayViewMut2, linalg::general_mat_mul, s};
use rayon::prelude::*;

use super::{Sizes, depthwise, direct};
use crate::contract::{Real, parallel_chunks, parallel_rows};
use crate::microkernel::wide_fn;
use crate::ops::matmul::shared_product;

/// Samples from which on they are shared out among the cores.
const MANY: usize = 4;
/// Parts into which samples are shared out, at most.
const TASKS: usize = 8;
/// Multiplications below which it is not worth waking another core.
pub(super) const SERIAL: usize = 1 << 16;
/// Elements of a block of the gathered image: as many as a core keeps near, and as many as all cores together work on.
const NEAR: usize = 1 << 13;
const SHARED: usize = 1 << 16;
/// Elements of all partial sums of a weight gradient.
const PARTIALS: usize = 1 << 20;

/// What follows a convolution, element by element.
#[derive(Clone, Copy)]
pub(super) struct Epilogue<'a, T> {
    pub(super) bias: Option<&'a [T]>,
    /// As large as the result.
    pub(super) residual: Option<&'a [T]>,
    pub(super) relu: bool,
}

impl<T: Real> Epilogue<'_, T> {
    /// Nothing.
    pub(super) const NONE: Self = Epilogue { bias: None, residual: None, relu: false };

    /// Finishes values `y` of output channel `o`.
    pub(super) fn finish(&self, o: usize, y: &mut [T]) {
        let bias = self.bias.map_or(T::zero(), |bias| bias[o]);
        if self.relu {
            // Not max(): that would drop a NaN.
            y.iter_mut().for_each(|y| *y = if *y + bias < T::zero() { T::zero() } else { *y + bias });
        } else if self.bias.is_some() {
            y.iter_mut().for_each(|y| *y += bias);
        }
    }
}

wide_fn! {
    /// Adds a residual to results, which come from its start; then ReLU where asked for.
    pub(super) fn add_residual<T: Real>(residual: &[T], relu: bool, y: &mut [T]) {
        for (y, residual) in y.iter_mut().zip(residual) {
            let sum = *y + *residual;
            *y = if relu && sum < T::zero() { T::zero() } else { sum };
        }
    }
}

/// How the work is cut up.
#[derive(Clone, Copy)]
struct Cut {
    /// Samples are shared out, in tasks of this many; else each product is shared out.
    per_task: Option<usize>,
    /// Positions of the window that are gathered at once.
    block: usize,
}

impl Cut {
    /// A cut into at most `tasks` tasks.
    fn of(s: &Sizes, tasks: usize) -> Cut {
        let tasks = tasks.min(s.batch);
        let many = tasks >= MANY;
        let block = (if many { NEAR } else { SHARED } / s.taps()).next_multiple_of(16).max(64).min(s.positions());
        Cut { per_task: many.then(|| s.batch.div_ceil(tasks)), block }
    }

    fn tasks(&self, s: &Sizes) -> usize {
        self.per_task.map_or(1, |n| s.batch.div_ceil(n))
    }

    /// Elements of a gathered block; the slices that tasks get must not be empty.
    fn gathered(&self, s: &Sizes) -> usize {
        if pointwise(s) { 1 } else { s.taps() * self.block }
    }

    fn blocks(&self, s: &Sizes) -> impl Iterator<Item = (usize, usize)> + use<> {
        let (block, positions) = (self.block, s.positions());
        (0..positions).step_by(block).map(move |from| (from, (from + block).min(positions)))
    }
}

/// Whether the gathered image is the image itself.
fn pointwise(s: &Sizes) -> bool {
    s.window.kernel == [1; 3] && s.window.stride == [1; 3] && s.window.padding == [[0; 2]; 3]
}

pub(super) fn multiplications(s: &Sizes) -> usize {
    (s.batch * s.c_out * s.positions()).saturating_mul(s.taps())
}

fn view<T>(x: &[T], rows: usize, columns: usize) -> ArrayView2<'_, T> {
    match ArrayView2::from_shape((rows, columns), x) {
        Ok(view) => view,
        Err(e) => panic!("a matrix slice of the wrong length: {e}"),
    }
}

fn view_mut<T>(x: &mut [T], rows: usize, columns: usize) -> ArrayViewMut2<'_, T> {
    match ArrayViewMut2::from_shape((rows, columns), x) {
        Ok(view) => view,
        Err(e) => panic!("a matrix slice of the wrong length: {e}"),
    }
}

/// `y = a · b + beta · y`, on all cores where they are `shared`.
fn multiply<T: Real>(shared: bool, a: ArrayView2<'_, T>, b: ArrayView2<'_, T>, beta: T, mut y: ArrayViewMut2<'_, T>) {
    if shared { shared_product(T::one(), a, b, beta, y) } else { general_mat_mul(T::one(), &a, &b, beta, &mut y) }
}

/// Runs `f(task's slice of each, its scratch)` for every task.
fn each_task<T: Real>(
    s: &Sizes,
    per_task: usize,
    (x, x_len): (&[T], usize),
    (y, y_len): (&mut [T], usize),
    (scratch, scratch_len): (&mut [T], usize),
    f: impl Fn(&[T], &mut [T], &mut [T]) + Send + Sync,
) {
    let (x_len, y_len) = (per_task * x_len, per_task * y_len);
    if multiplications(s) <= SERIAL {
        let tasks = x.chunks(x_len).zip(y.chunks_mut(y_len)).zip(scratch.chunks_mut(scratch_len));
        return tasks.for_each(|((x, y), scratch)| f(x, y, scratch));
    }
    let tasks = x.par_chunks(x_len).zip(y.par_chunks_mut(y_len)).zip(scratch.par_chunks_mut(scratch_len));
    tasks.for_each(|((x, y), scratch)| f(x, y, scratch));
}

/// Calls `f(slice and row of the output, its columns from, to, place in the block)` for every run of positions `from..to` in one row.
#[inline]
fn runs(s: &Sizes, from: usize, to: usize, mut f: impl FnMut(usize, usize, usize, usize, usize)) {
    let [_, oh, ow] = s.output;
    let (mut oz, mut oy, mut start) = if from == 0 { (0, 0, 0) } else { (from / ow / oh, from / ow % oh, from % ow) };
    let mut at = from;
    while at < to {
        let end = ow.min(start + to - at);
        f(oz, oy, start, end, at - from);
        at += end - start;
        (oy, start) = (oy + 1, 0);
        if oy == oh {
            (oz, oy) = (oz + 1, 0);
        }
    }
}

/// What one tap of the window meets in a channel.
struct Tap<'a> {
    s: &'a Sizes,
    tap: [usize; 3],
    /// Positions at which the tap lies in the image, along each axis.
    inside: [Range<usize>; 3],
}

impl<'a> Tap<'a> {
    /// Tap `k` of the window.
    fn new(s: &'a Sizes, k: usize) -> Self {
        let [_, kh, kw] = s.window.kernel;
        let tap = [k / kw / kh, k / kw % kh, k % kw];
        let inside = std::array::from_fn(|axis| s.window.inside(axis, tap[axis], s.input[axis], s.output[axis]));
        Tap { s, tap, inside }
    }

    /// Where along `axis` of the image the tap lies at a position inside of it.
    #[inline]
    fn place(&self, axis: usize, position: usize) -> usize {
        let w = &self.s.window;
        position * w.stride[axis] + self.tap[axis] * w.dilation[axis] - w.before(axis)
    }

    /// Of columns `start..end` of row `oy` of slice `oz`: which lie inside, and where in the channel the first one is.
    #[inline]
    fn meets(&self, oz: usize, oy: usize, start: usize, end: usize) -> Option<(usize, usize, usize)> {
        let [slices, rows, columns] = &self.inside;
        let a = columns.start.clamp(start, end);
        let b = columns.end.clamp(a, end);
        if !slices.contains(&oz) || !rows.contains(&oy) || a == b {
            return None;
        }
        let [_, h, w] = self.s.input;
        Some((a, b, (self.place(0, oz) * h + self.place(1, oy)) * w + self.place(2, a)))
    }
}

/// One row of the gathered image: what tap `k` meets at positions `from..`, zeros in the padding. `x` is one group of one sample.
fn gather_tap<T: Real>(s: &Sizes, x: &[T], k: usize, from: usize, row: &mut [T]) {
    let (taps, volume, step) = (s.channel_taps(), s.volume(), s.window.stride[2]);
    let (channel, tap) = (&x[k / taps * volume..][..volume], Tap::new(s, k % taps));
    runs(s, from, from + row.len(), |oz, oy, start, end, at| {
        let row = &mut row[at..at + end - start];
        let Some((a, b, first)) = tap.meets(oz, oy, start, end) else { return row.fill(T::zero()) };
        row[..a - start].fill(T::zero());
        row[b - start..].fill(T::zero());
        let middle = &mut row[a - start..b - start];
        if step == 1 {
            middle.copy_from_slice(&channel[first..first + b - a]);
        } else {
            middle.iter_mut().zip(channel[first..].iter().step_by(step)).for_each(|(y, x)| *y = *x);
        }
    });
}

/// The gathered image at positions `from..to`, `[taps, to − from]`.
fn gather<T: Real>(shared: bool, s: &Sizes, x: &[T], from: usize, to: usize, out: &mut [T]) {
    let width = to - from;
    if shared {
        parallel_rows(out, width, |k, row| gather_tap(s, x, k, from, row));
    } else {
        out.chunks_exact_mut(width).enumerate().for_each(|(k, row)| gather_tap(s, x, k, from, row));
    }
}

/// The counterpart of [`gather`] for one channel: adds the rows of its taps, `[taps, width]`, to where they came from.
fn scatter_channel<T: Real>(s: &Sizes, gathered: &[T], from: usize, width: usize, channel: &mut [T]) {
    let step = s.window.stride[2];
    for (k, row) in gathered.chunks_exact(width).enumerate() {
        let tap = Tap::new(s, k);
        runs(s, from, from + width, |oz, oy, start, end, at| {
            let Some((a, b, first)) = tap.meets(oz, oy, start, end) else { return };
            let row = &row[at + a - start..at + b - start];
            if step == 1 {
                channel[first..first + b - a].iter_mut().zip(row).for_each(|(x, g)| *x += *g);
            } else {
                channel[first..].iter_mut().step_by(step).zip(row).for_each(|(x, g)| *x += *g);
            }
        });
    }
}

pub(super) fn forward_scratch(s: &Sizes) -> usize {
    if depthwise::fits(s) {
        return 0;
    }
    let cut = Cut::of(s, TASKS);
    (cut.tasks(s) * cut.gathered(s)).max(direct::forward_scratch(s))
}

pub(super) fn forward<T: Real>(s: &Sizes, x: &[T], w: &[T], last: Epilogue<'_, T>, y: &mut [T], scratch: &mut [T]) {
    if !depthwise::fits(s)
        && let (Some(x), Some(w), Some(y), Some(scratch)) =
            (T::as_f32(x), T::as_f32(w), T::as_f32_mut(y), T::as_f32_mut(scratch))
    {
        let (bias, residual) = (last.bias.and_then(T::as_f32), last.residual.and_then(T::as_f32));
        return direct::forward(s, x, w, Epilogue { bias, residual, relu: last.relu }, y, scratch);
    }
    if let Some(residual) = last.residual {
        forward(s, x, w, Epilogue { residual: None, relu: false, ..last }, y, scratch);
        return parallel_chunks(y, |start, y| add_residual(&residual[start..], last.relu, y));
    }
    if depthwise::fits(s) {
        return depthwise::forward(s, x, w, last, y);
    }
    let cut = Cut::of(s, TASKS);
    let (x_len, y_len) = (s.c_in * s.volume(), s.c_out * s.positions());
    let samples = |shared: bool, x: &[T], y: &mut [T], scratch: &mut [T]| {
        for (x, y) in x.chunks_exact(x_len).zip(y.chunks_exact_mut(y_len)) {
            forward_sample(s, &cut, shared, x, w, last, y, scratch);
        }
    };
    match cut.per_task {
        None => samples(true, x, y, scratch),
        Some(n) => each_task(s, n, (x, x_len), (y, y_len), (scratch, cut.gathered(s)), |x, y, scratch| {
            samples(false, x, y, scratch)
        }),
    }
}

#[allow(clippy::too_many_arguments)]
fn forward_sample<T: Real>(
    s: &Sizes,
    cut: &Cut,
    shared: bool,
    x: &[T],
    w: &[T],
    last: Epilogue<'_, T>,
    y: &mut [T],
    scratch: &mut [T],
) {
    let (rows, taps, positions) = (s.group_out(), s.taps(), s.positions());
    let x_groups = x.chunks_exact(s.group_in() * s.volume());
    for (g, (x, y)) in x_groups.zip(y.chunks_exact_mut(rows * positions)).enumerate() {
        let w = view(&w[g * rows * taps..][..rows * taps], rows, taps);
        for (from, to) in cut.blocks(s) {
            let y = view_mut(y, rows, positions);
            let block = y.slice_move(s![.., from..to]);
            if pointwise(s) {
                multiply(shared, w, view(x, taps, positions).slice(s![.., from..to]), T::zero(), block);
            } else {
                let gathered = &mut scratch[..taps * (to - from)];
                gather(shared, s, x, from, to, gathered);
                multiply(shared, w, view(gathered, taps, to - from), T::zero(), block);
            }
        }
        if last.bias.is_none() && !last.relu {
            continue;
        }
        let finish = |row: usize, y: &mut [T]| last.finish(g * rows + row, y);
        if shared {
            parallel_rows(y, positions, finish);
        } else {
            y.chunks_exact_mut(positions).enumerate().for_each(|(row, y)| finish(row, y));
        }
    }
}

pub(super) fn grad_x_scratch(s: &Sizes) -> usize {
    if depthwise::fits(s) {
        return 0;
    }
    let cut = Cut::of(s, TASKS);
    (cut.tasks(s) * cut.gathered(s)).max(direct::grad_x_scratch(s))
}

pub(super) fn grad_x<T: Real>(s: &Sizes, dy: &[T], w: &[T], dx: &mut [T], scratch: &mut [T]) {
    if depthwise::fits(s) {
        return depthwise::grad_x(s, dy, w, dx);
    }
    if let (Some(dy), Some(w), Some(dx), Some(scratch)) =
        (T::as_f32(dy), T::as_f32(w), T::as_f32_mut(dx), T::as_f32_mut(scratch))
    {
        return direct::grad_x(s, dy, w, dx, scratch);
    }
    let cut = Cut::of(s, TASKS);
    let (x_len, y_len) = (s.c_in * s.volume(), s.c_out * s.positions());
    let samples = |shared: bool, dy: &[T], dx: &mut [T], scratch: &mut [T]| {
        for (dy, dx) in dy.chunks_exact(y_len).zip(dx.chunks_exact_mut(x_len)) {
            grad_x_sample(s, &cut, shared, dy, w, dx, scratch);
        }
    };
    match cut.per_task {
        None => samples(true, dy, dx, scratch),
        Some(n) => each_task(s, n, (dy, y_len), (dx, x_len), (scratch, cut.gathered(s)), |dy, dx, scratch| {
            samples(false, dy, dx, scratch)
        }),
    }
}

fn grad_x_sample<T: Real>(s: &Sizes, cut: &Cut, shared: bool, dy: &[T], w: &[T], dx: &mut [T], scratch: &mut [T]) {
    let (rows, taps, positions) = (s.group_out(), s.taps(), s.positions());
    let (plane, taps_of_channel) = (s.volume(), s.channel_taps());
    let dy_groups = dy.chunks_exact(rows * positions);
    for (g, (dy, dx)) in dy_groups.zip(dx.chunks_exact_mut(s.group_in() * plane)).enumerate() {
        let w = view(&w[g * rows * taps..][..rows * taps], rows, taps).reversed_axes();
        let dy = view(dy, rows, positions);
        if pointwise(s) {
            multiply(shared, w, dy, T::zero(), view_mut(dx, taps, positions));
            continue;
        }
        dx.fill(T::zero());
        for (from, to) in cut.blocks(s) {
            let width = to - from;
            let gathered = &mut scratch[..taps * width];
            multiply(shared, w, dy.slice(s![.., from..to]), T::zero(), view_mut(gathered, taps, width));
            let one = |i: usize, dx: &mut [T]| {
                let rows = &gathered[i * taps_of_channel * width..][..taps_of_channel * width];
                scatter_channel(s, rows, from, width, dx);
            };
            if shared {
                parallel_rows(dx, plane, one);
            } else {
                dx.chunks_exact_mut(plane).enumerate().for_each(|(i, dx)| one(i, dx));
            }
        }
    }
}

/// Every task sums its own samples, so there are few tasks where weights are many.
fn grad_w_cut(s: &Sizes) -> Cut {
    Cut::of(s, TASKS.min(PARTIALS / (s.c_out * s.taps())))
}

pub(super) fn grad_w_scratch(s: &Sizes) -> usize {
    if depthwise::fits(s) {
        return 0;
    }
    let cut = grad_w_cut(s);
    let sums = if cut.per_task.is_some() { s.c_out * s.taps() } else { 0 };
    (cut.tasks(s) * (cut.gathered(s) + sums)).max(direct::grad_w_scratch(s))
}

pub(super) fn grad_w<T: Real>(s: &Sizes, x: &[T], dy: &[T], dw: &mut [T], scratch: &mut [T]) {
    if depthwise::fits(s) {
        return depthwise::grad_w(s, x, dy, dw);
    }
    if let (Some(x), Some(dy), Some(dw), Some(scratch)) =
        (T::as_f32(x), T::as_f32(dy), T::as_f32_mut(dw), T::as_f32_mut(scratch))
    {
        return direct::grad_w(s, x, dy, dw, scratch);
    }
    let cut = grad_w_cut(s);
    let (x_len, y_len) = (s.c_in * s.volume(), s.c_out * s.positions());
    let samples = |shared: bool, x: &[T], dy: &[T], dw: &mut [T], scratch: &mut [T]| {
        for (n, (x, dy)) in x.chunks_exact(x_len).zip(dy.chunks_exact(y_len)).enumerate() {
            grad_w_sample(s, &cut, shared, n == 0, x, dy, dw, scratch);
        }
    };
    let Some(n) = cut.per_task else {
        return samples(true, x, dy, dw, scratch);
    };
    let len = dw.len();
    let (sums, scratch) = scratch.split_at_mut(cut.tasks(s) * len);
    let work = |i: usize, sums: &mut [T], scratch: &mut [T]| {
        let samples_of = |x: usize| i * n * x..((i + 1) * n).min(s.batch) * x;
        samples(false, &x[samples_of(x_len)], &dy[samples_of(y_len)], sums, scratch);
    };
    if multiplications(s) <= SERIAL {
        let tasks = sums.chunks_mut(len).zip(scratch.chunks_mut(cut.gathered(s))).enumerate();
        tasks.for_each(|(i, (sums, scratch))| work(i, sums, scratch));
    } else {
        let tasks = sums.par_chunks_mut(len).zip(scratch.par_chunks_mut(cut.gathered(s))).enumerate();
        tasks.for_each(|(i, (sums, scratch))| work(i, sums, scratch));
    }
    let sums = &*sums;
    parallel_chunks(dw, |start, dw| {
        dw.copy_from_slice(&sums[start..][..dw.len()]);
        for sums in sums.chunks_exact(len).skip(1) {
            dw.iter_mut().zip(&sums[start..]).for_each(|(d, s)| *d += *s);
        }
    });
}

/// Adds one sample's gradient to `dw`, or begins with it.
#[allow(clippy::too_many_arguments)]
fn grad_w_sample<T: Real>(
    s: &Sizes,
    cut: &Cut,
    shared: bool,
    first: bool,
    x: &[T],
    dy: &[T],
    dw: &mut [T],
    scratch: &mut [T],
) {
    let (rows, taps, positions) = (s.group_out(), s.taps(), s.positions());
    let x_groups = x.chunks_exact(s.group_in() * s.volume());
    for ((x, dy), dw) in x_groups.zip(dy.chunks_exact(rows * positions)).zip(dw.chunks_exact_mut(rows * taps)) {
        let dy = view(dy, rows, positions);
        for (from, to) in cut.blocks(s) {
            let beta = if first && from == 0 { T::zero() } else { T::one() };
            let dy = dy.slice(s![.., from..to]);
            let dw = view_mut(dw, rows, taps);
            if pointwise(s) {
                let x = view(x, taps, positions).slice_move(s![.., from..to]);
                multiply(shared, dy, x.reversed_axes(), beta, dw);
            } else {
                let gathered = &mut scratch[..taps * (to - from)];
                gather(shared, s, x, from, to, gathered);
                multiply(shared, dy, view(gathered, taps, to - from).reversed_axes(), beta, dw);
            }
        }
    }
}
