//! Rows that are summed: how they are cut into parts, what one workgroup and one CPU task take, and their moments without
//! cancellation. The WGSL twins are `shaders/shared/rows.wgsl` and `shaders/shared/moments.wgsl`.
//!
//! Sources: T. Chan, G. Golub, R. LeVeque, "Algorithms for computing the sample variance: analysis and recommendations", The American
//! Statistician 37 (1983): the corrected two-pass algorithm (1.7) in each part, the parts merged by formula (2.1).

use bytemuck::{Pod, Zeroable};
use rayon::prelude::*;
use std::ops::Range;

use crate::contract::{GROUP_SIZE, Real, grid, parallel_chunks};
use crate::microkernel::rectangle::Rectangle;
use crate::microkernel::wide_fn;
use crate::ops::unary::passed;

/// Invocations of a workgroup.
const WIDTH: usize = 256;
/// Elements that a lane takes before another one is worth its share of the tree.
const PER_LANE: usize = 8;
/// Elements that a workgroup takes where there are many workgroups: so few that its second pass finds them in a cache.
const PER_GROUP: usize = 1 << 13;
/// Workgroups that keep a large GPU busy; fewer of them take more than [`PER_LANE`] elements per lane.
const BUSY: usize = 1024;
/// Elements that one CPU task takes.
const WORK: usize = 1 << 14;
/// Rows that are enough to be shared out whole.
const ENOUGH: usize = 8;
/// Rows that a CPU task takes side by side where neighbours in memory belong to different rows.
const BLOCK: usize = 64;

/// Row `r` is `planes` runs of `space` neighbours, run `k` from `r · row_step + k · plane_step` on. It is cut into parts, each at most
/// `part_planes` runs by `piece` neighbours, all by the shape alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows {
    pub(crate) rows: usize,
    pub(crate) planes: usize,
    pub(crate) space: usize,
    row_step: usize,
    plane_step: usize,
    part_planes: usize,
    pieces: usize,
    piece: usize,
    /// Parts of a row.
    pub(crate) parts: usize,
    space_lanes: usize,
    plane_lanes: usize,
    row_lanes: usize,
}

/// The uniform of every kernel that includes `shared/rows.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
pub(crate) struct Params {
    rows: u32,
    planes: u32,
    space: u32,
    row_step: u32,
    plane_step: u32,
    parts: u32,
    part_planes: u32,
    pieces: u32,
    piece: u32,
    space_lanes: u32,
    plane_lanes: u32,
    row_lanes: u32,
    row_shift: u32,
    plane_shift: u32,
    /// Groups of channels; what that means is the kernel's affair.
    groups: u32,
    epsilon: f32,
}

/// A mean as two numbers, whose sum is it, and the sum of the squared deviations from it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moments<T> {
    pub(crate) mean: T,
    pub(crate) rest: T,
    pub(crate) squares: T,
}

/// What normalises a row: the mean, what it lacks through rounding, the biased variance, and `1 / √(variance + ε)`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Statistic<T> {
    pub(crate) mean: T,
    pub(crate) rest: T,
    pub(crate) variance: T,
    pub(crate) rstd: T,
}

impl Rows {
    pub(crate) fn new(rows: usize, planes: usize, space: usize, row_step: usize, plane_step: usize) -> Self {
        let wanted = (planes * space).div_ceil(PER_LANE).next_power_of_two().min(WIDTH);
        let space_lanes = space.next_power_of_two().min(wanted);
        let mut plane_lanes = planes.next_power_of_two().min(wanted / space_lanes);
        if row_step == space {
            // Neighbouring rows are neighbours in memory: lanes side by side take 32 neighbours where there are as many.
            let rows_together = rows.next_power_of_two().min((32 / space_lanes).max(1));
            plane_lanes = plane_lanes.min(WIDTH / (space_lanes * rows_together));
        }
        let row_lanes = WIDTH / (space_lanes * plane_lanes);
        let elements = rows * planes * space;
        let groups = (elements / (WIDTH * PER_LANE)).min((elements / PER_GROUP).max(BUSY)).max(1);
        let wanted = groups.div_ceil(rows.div_ceil(row_lanes));
        let (part_planes, pieces) =
            if wanted <= planes { (planes.div_ceil(wanted), 1) } else { (1, wanted.div_ceil(planes)) };
        let piece = space.div_ceil(pieces);
        let pieces = space.div_ceil(piece);
        let parts = planes.div_ceil(part_planes) * pieces;
        Rows {
            rows,
            planes,
            space,
            row_step,
            plane_step,
            part_planes,
            pieces,
            piece,
            parts,
            space_lanes,
            plane_lanes,
            row_lanes,
        }
    }

    /// The channels of a tensor `[batch, c, space]`.
    pub(crate) fn channels(batch: usize, c: usize, space: usize) -> Self {
        Rows::new(c, batch, space, space, c * space)
    }

    /// Rows of `count` neighbours, cut into `parts` of `piece` each, of which the last may have fewer.
    pub(crate) fn cut(rows: usize, count: usize, parts: usize, piece: usize) -> Self {
        Rows { pieces: parts, piece, parts, ..Rows::new(rows, 1, count, count, count) }
    }

    /// Elements of a row.
    pub(crate) fn count(&self) -> usize {
        self.planes * self.space
    }

    pub(crate) fn params(&self, groups: usize, epsilon: f64) -> Params {
        let bits = |lanes: usize| lanes.trailing_zeros();
        let (s, r, k) = (bits(self.space_lanes), bits(self.row_lanes), bits(self.plane_lanes));
        let (row_shift, plane_shift) = if self.row_step == self.space { (s, s + r) } else { (s + k, s) };
        Params {
            rows: self.rows as u32,
            planes: self.planes as u32,
            space: self.space as u32,
            row_step: self.row_step as u32,
            plane_step: self.plane_step as u32,
            parts: self.parts as u32,
            part_planes: self.part_planes as u32,
            pieces: self.pieces as u32,
            piece: self.piece as u32,
            space_lanes: self.space_lanes as u32,
            plane_lanes: self.plane_lanes as u32,
            row_lanes: self.row_lanes as u32,
            row_shift,
            plane_shift,
            groups: groups as u32,
            epsilon: epsilon as f32,
        }
    }

    /// Workgroups for one part of `row_lanes` rows each.
    pub(crate) fn grid(&self) -> [u32; 3] {
        grid(self.rows.div_ceil(self.row_lanes) * self.parts * GROUP_SIZE)
    }

    /// Workgroups for one row each, to merge its parts.
    pub(crate) fn merge_grid(&self) -> [u32; 3] {
        grid(self.rows * GROUP_SIZE)
    }

    /// Rows that a CPU task takes side by side.
    fn block(&self) -> usize {
        if self.in_columns() { BLOCK } else { 1 }
    }

    /// Whether neighbours in memory belong to different rows: then the twins walk along all rows at once.
    pub(crate) fn in_columns(&self) -> bool {
        self.space == 1 && self.row_step == 1 && self.planes > 1
    }

    /// Scratch for `width` numbers per part.
    pub(crate) fn scratch(&self, width: usize) -> usize {
        self.rows.div_ceil(self.block()) * self.parts * width * self.block()
    }

    /// The runs of a part.
    pub(crate) fn planes_of(&self, part: usize) -> Range<usize> {
        let start = part / self.pieces * self.part_planes;
        start..(start + self.part_planes).min(self.planes)
    }

    /// The elements that a part has of each of its runs.
    pub(crate) fn space_of(&self, part: usize) -> Range<usize> {
        let start = part % self.pieces * self.piece;
        start..(start + self.piece).min(self.space)
    }

    fn count_of(&self, part: usize) -> usize {
        self.planes_of(part).len() * self.space_of(part).len()
    }

    /// Where run `plane` of `row` starts.
    pub(crate) fn first(&self, row: usize, plane: usize) -> usize {
        row * self.row_step + plane * self.plane_step
    }

    /// The elements of a part of a row as stretches of neighbours, as long as they get.
    fn stretches(&self, row: usize, part: usize) -> impl Iterator<Item = Range<usize>> {
        let (planes, space) = (self.planes_of(part), self.space_of(part));
        let (joined, rows) = (self.plane_step == self.space && self.pieces == 1, *self);
        let count = if joined { 1 } else { planes.len() };
        let len = if joined { planes.len() * self.space } else { space.len() };
        (0..count).map(move |k| {
            let first = rows.first(row, planes.start + k) + space.start;
            first..first + len
        })
    }

    /// Runs `f(first row, part, out)` for every part of every row, or of every [`BLOCK`] rows where they lie in columns: `out` has
    /// `width` numbers for each of them, those of one kind side by side.
    pub(crate) fn jobs<T: Send>(&self, out: &mut [T], width: usize, f: impl Fn(usize, usize, &mut [T]) + Send + Sync) {
        let (block, each) = (self.block(), width * self.block());
        let chunk = (WORK / (block * self.count_of(0))).max(1);
        let run = |(index, out): (usize, &mut [T])| {
            for (i, out) in out.chunks_exact_mut(each).enumerate() {
                let job = index * chunk + i;
                f(job / self.parts * block, job % self.parts, out);
            }
        };
        if out.len() <= chunk * each {
            return run((0, out));
        }
        out.par_chunks_mut(chunk * each).enumerate().for_each(run);
    }

    /// Whether rows are planes apart in memory, and enough of them to share out whole: see [`Rows::whole`].
    pub(crate) fn are_whole(&self) -> bool {
        self.space > 1 && self.rows >= ENOUGH
    }

    /// Runs `f(row, numbers, runs of y)` for every row, where `numbers` are `width` for each of its parts: for ops that read a row again
    /// once they know something of all of it, while it is near.
    pub(crate) fn whole<T: Real>(
        &self,
        numbers: &mut [T],
        width: usize,
        y: &mut [T],
        f: impl Fn(usize, &mut [T], Rectangle<'_, T>) + Send + Sync,
    ) {
        let small = y.len() <= WORK;
        let runs = Rectangle::new(y, self.plane_step, [self.planes, self.plane_step]).tiles([self.planes, self.space]);
        let all = numbers.par_chunks_exact_mut(self.parts * width).zip(runs).enumerate();
        let rows = all.with_min_len(if small { self.rows } else { 1 });
        rows.for_each(|(row, (numbers, (_, runs)))| f(row, numbers, runs));
    }

    /// Number `which` of `width` that a job wrote for a part of `row`.
    fn of_part<T: Copy>(&self, out: &[T], width: usize, row: usize, part: usize, which: usize) -> T {
        let block = self.block();
        out[((row / block * self.parts + part) * width + which) * block + row % block]
    }

    /// The moments of every part of every row, three numbers each.
    pub(crate) fn moments<T: Real>(&self, x: &[T], out: &mut [T]) {
        self.jobs(out, 3, |row, part, out| {
            if self.in_columns() {
                return self.moments_of_columns(x, row, part, out);
            }
            out.copy_from_slice(&self.moments_of(x, row, part));
        });
    }

    /// The moments of a part of a row.
    pub(crate) fn moments_of<T: Real>(&self, x: &[T], row: usize, part: usize) -> [T; 3] {
        let n = T::of(self.count_of(part) as f64);
        let mean = self.stretches(row, part).map(|s| sum(&x[s])).sum::<T>() / n;
        let (mut rest, mut squares) = (T::zero(), T::zero());
        for stretch in self.stretches(row, part) {
            let [d, dd] = deviations(&x[stretch], mean);
            (rest, squares) = (rest + d, squares + dd);
        }
        [mean, rest / n, squares - rest * rest / n]
    }

    fn moments_of_columns<T: Real>(&self, x: &[T], row: usize, part: usize, out: &mut [T]) {
        let (width, n) = (BLOCK.min(self.rows - row), T::of(self.count_of(part) as f64));
        out.fill(T::zero());
        let (mean, others) = out.split_at_mut(BLOCK);
        let (rest, squares) = others.split_at_mut(BLOCK);
        let (mean, rest, squares) = (&mut mean[..width], &mut rest[..width], &mut squares[..width]);
        for k in self.planes_of(part) {
            mean.iter_mut().zip(&x[self.first(row, k)..]).for_each(|(m, x)| *m += *x);
        }
        mean.iter_mut().for_each(|m| *m /= n);
        for k in self.planes_of(part) {
            let x = &x[self.first(row, k)..][..width];
            for (((rest, squares), x), m) in rest.iter_mut().zip(&mut *squares).zip(x).zip(&*mean) {
                let d = *x - *m;
                *rest += d;
                *squares += d * d;
            }
        }
        for (rest, squares) in rest.iter_mut().zip(squares) {
            let sum = *rest;
            *rest = sum / n;
            *squares -= sum * *rest;
        }
    }

    /// The moments of a row from those of its parts.
    pub(crate) fn merged<T: Real>(&self, moments: &[T], row: usize) -> Moments<T> {
        let of = |part, which| self.of_part(moments, 3, row, part, which);
        if self.parts == 1 {
            return Moments { mean: of(0, 0), rest: of(0, 1), squares: of(0, 2) };
        }
        let n = T::of(self.count() as f64);
        let weight = |part| T::of(self.count_of(part) as f64);
        let mean = (0..self.parts).map(|q| weight(q) * of(q, 0)).sum::<T>() / n;
        let (mut sum, mut squares) = (T::zero(), T::zero());
        for q in 0..self.parts {
            let d = (of(q, 0) - mean) + of(q, 1);
            sum += weight(q) * d;
            squares += of(q, 2) + weight(q) * d * d;
        }
        Moments { mean, rest: sum / n, squares: squares - sum * sum / n }
    }

    /// What normalises a row.
    pub(crate) fn statistic<T: Real>(&self, moments: &[T], row: usize, epsilon: f64) -> Statistic<T> {
        let Moments { mean, rest, squares } = self.merged(moments, row);
        let variance = squares / T::of(self.count() as f64);
        let variance = if variance < T::zero() { T::zero() } else { variance };
        let whole = mean + rest;
        let rstd = T::one() / (variance + T::of(epsilon)).sqrt();
        Statistic { mean: whole, rest: (mean - whole) + rest, variance, rstd }
    }

    /// The pair of sums of a row from those of its parts.
    pub(crate) fn total<T: Real>(&self, sums: &[T], row: usize) -> [T; 2] {
        let of = |which| (0..self.parts).map(|q| self.of_part(sums, 2, row, q, which)).sum();
        [of(0), of(1)]
    }

    /// Like [`Rows::products`], of what a ReLU that gave `y` lets through of `dy`.
    pub(crate) fn products_where_positive<T: Real>(
        &self,
        x: &[T],
        dy: &[T],
        y: &[T],
        [mean, rest]: [T; 2],
        row: usize,
        part: usize,
    ) -> [T; 2] {
        let mut sums = [T::zero(); 2];
        for stretch in self.stretches(row, part) {
            let (x, dy, y) = (&x[stretch.clone()], &dy[stretch.clone()], &y[stretch]);
            let [a, b] = products_passed(x, dy, y, mean, rest);
            sums = [sums[0] + a, sums[1] + b];
        }
        sums
    }

    /// `Σ dy` and `Σ dy · ((x − mean) − rest)` over a part of a row.
    pub(crate) fn products<T: Real>(&self, x: &[T], dy: &[T], [mean, rest]: [T; 2], row: usize, part: usize) -> [T; 2] {
        let mut sums = [T::zero(); 2];
        for stretch in self.stretches(row, part) {
            let [a, b] = products(&x[stretch.clone()], &dy[stretch], mean, rest);
            sums = [sums[0] + a, sums[1] + b];
        }
        sums
    }
}

#[inline(always)]
fn tree<T: Real>(s: [T; 8]) -> T {
    ((s[0] + s[4]) + (s[1] + s[5])) + ((s[2] + s[6]) + (s[3] + s[7]))
}

wide_fn! {
    /// `Σ dy` and `Σ dy · ((x − mean) − rest)` over two slices of one length.
    pub(crate) fn products<T: Real>(x: &[T], dy: &[T], mean: T, rest: T) -> [T; 2] {
        let mut sums = [[T::zero(); 8]; 2];
        let (whole, last) = (x.as_chunks::<8>(), dy.as_chunks::<8>());
        for (x, dy) in whole.0.iter().zip(last.0) {
            for lane in 0..8 {
                sums[0][lane] += dy[lane];
                sums[1][lane] += dy[lane] * ((x[lane] - mean) - rest);
            }
        }
        for (lane, (x, dy)) in whole.1.iter().zip(last.1).enumerate() {
            sums[0][lane] += *dy;
            sums[1][lane] += *dy * ((*x - mean) - rest);
        }
        [tree(sums[0]), tree(sums[1])]
    }
}

wide_fn! {
    /// The same of what a ReLU that gave `y` lets through of `dy`.
    fn products_passed<T: Real>(x: &[T], dy: &[T], y: &[T], mean: T, rest: T) -> [T; 2] {
        let mut sums = [[T::zero(); 8]; 2];
        let (xs, dys, ys) = (x.as_chunks::<8>(), dy.as_chunks::<8>(), y.as_chunks::<8>());
        for ((x, dy), y) in xs.0.iter().zip(dys.0).zip(ys.0) {
            for lane in 0..8 {
                let d = passed(dy[lane], y[lane]);
                sums[0][lane] += d;
                sums[1][lane] += d * ((x[lane] - mean) - rest);
            }
        }
        for (lane, ((x, dy), y)) in xs.1.iter().zip(dys.1).zip(ys.1).enumerate() {
            let d = passed(*dy, *y);
            sums[0][lane] += d;
            sums[1][lane] += d * ((*x - mean) - rest);
        }
        [tree(sums[0]), tree(sums[1])]
    }
}

wide_fn! {
    /// `Σ x`, in eight running sums.
    pub(crate) fn sum<T: Real>(x: &[T]) -> T {
        let mut sums = [T::zero(); 8];
        let (whole, rest) = x.as_chunks::<8>();
        for x in whole {
            for lane in 0..8 {
                sums[lane] += x[lane];
            }
        }
        sums.iter_mut().zip(rest).for_each(|(sum, x)| *sum += *x);
        tree(sums)
    }
}

wide_fn! {
    /// `Σ (x − mean)` and `Σ (x − mean)²`, each in eight running sums.
    fn deviations<T: Real>(x: &[T], mean: T) -> [T; 2] {
        let mut sums = [[T::zero(); 8]; 2];
        let (whole, rest) = x.as_chunks::<8>();
        for x in whole {
            for lane in 0..8 {
                let d = x[lane] - mean;
                sums[0][lane] += d;
                sums[1][lane] += d * d;
            }
        }
        for (lane, x) in rest.iter().enumerate() {
            let d = *x - mean;
            sums[0][lane] += d;
            sums[1][lane] += d * d;
        }
        [tree(sums[0]), tree(sums[1])]
    }
}

/// `Σ g` and `Σ g · ((x − mean) − rest)` with `g = dy · weight`, over slices of one length.
pub(crate) fn weighted<T: Real>(x: &[T], dy: &[T], weight: &[T], mean: T, rest: T) -> [T; 2] {
    let mut sums = [[T::zero(); 8]; 2];
    let mut add = |lane: usize, x: T, g: T| {
        sums[0][lane] += g;
        sums[1][lane] += g * ((x - mean) - rest);
    };
    let (xs, dys, weights) = (x.chunks_exact(8), dy.chunks_exact(8), weight.chunks_exact(8));
    let last = xs.remainder().iter().zip(dys.remainder()).zip(weights.remainder());
    for ((x, dy), weight) in xs.zip(dys).zip(weights) {
        (0..8).for_each(|lane| add(lane, x[lane], dy[lane] * weight[lane]));
    }
    last.enumerate().for_each(|(lane, ((x, dy), weight))| add(lane, *x, *dy * *weight));
    sums.map(tree)
}

/// Runs `f(run, first element, out)` over `out`, whose runs of `space` elements may be cut, on all cores where that pays.
pub(crate) fn parallel_planes<T: Send>(out: &mut [T], space: usize, f: impl Fn(usize, usize, &mut [T]) + Send + Sync) {
    parallel_chunks(out, |start, mut chunk| {
        let mut at = start;
        while !chunk.is_empty() {
            let len = (space - at % space).min(chunk.len());
            let (run, rest) = std::mem::take(&mut chunk).split_at_mut(len);
            f(at / space, at, run);
            (at, chunk) = (at + len, rest);
        }
    });
}
