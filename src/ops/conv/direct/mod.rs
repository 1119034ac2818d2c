//! Convolutions of `f32` on the processor, without a gathered image: see [`geometry`]. The twins in `cpu.rs` are the plain form, and
//! the truth in `f64`.
//!
//! Images are shared out among the cores, and of few images also their output channels; every core keeps planes and sums in memory of
//! its own. What is shared out depends on the shape alone.

mod backward;
mod correlate;
mod geometry;
mod layout;
mod weights;
mod winograd;

use rayon::prelude::*;

use super::Sizes;
use super::cpu::{Epilogue, SERIAL, add_residual, multiplications};
use crate::contract::{parallel_row_pairs, with_own_memory};
use crate::microkernel::Isa;
pub(super) use backward::{Source, Wanted, backward, backward_scratch, fits};
use correlate::{Correlation, Packed, Portions, Target, pack, padded};
use geometry::Geometry;
use layout::Images;
use weights::WeightGradient;

/// Parts into which work is shared out, at most.
const TASKS: usize = 16;
/// Partial sums of a weight gradient, at most: each is as large as the weights.
const PARTIALS: usize = 8;
/// Positions of a part that make its sums worth having.
const ENOUGH_POSITIONS: usize = 1 << 10;
/// Sums that are few.
const FEW_SUMS: usize = 1 << 15;
/// Tasks of a weight gradient that are wanted.
const WEIGHT_TASKS: usize = 16;
/// Elements of the planes that are laid out at once: so few that they stay near; and for weights, whose sums want long runs, more.
const NEAR: usize = 1 << 16;
const WEIGHTS_NEAR: usize = 1 << 18;
/// Products of every element that is laid out for a task of a weight gradient, at least.
const FEWEST: usize = 144;

/// One correlation of every image: the weights of all groups packed, and what does not depend on the task.
struct Pass<'a> {
    s: &'a Sizes,
    isa: Isa,
    geometry: Geometry,
    /// Per group: channels of the source and of the result.
    channels: usize,
    rows: usize,
    /// Elements of a channel of the source and of the result.
    volume: usize,
    positions: usize,
    target: Target,
    last: Epilogue<'a, f32>,
}

impl Pass<'_> {
    fn depth(&self) -> usize {
        self.channels * self.geometry.taps.len()
    }

    /// Elements of one group's packed weights of one product of a tap, and of all.
    fn packed(&self) -> [usize; 2] {
        let one = padded(self.isa, self.rows) * self.depth();
        [one, one * self.geometry.products()]
    }

    /// Blocks of output channels that are tasks of their own: as many as it takes to have [`TASKS`] with those of the images.
    fn blocks(&self, images: usize) -> usize {
        let wanted = if images >= TASKS / 2 { 1 } else { TASKS.div_ceil(images) };
        self.rows.div_ceil(wanted).next_multiple_of(self.isa.rows())
    }

    /// The correlation for `rows` output channels of a group from `from` on; `packed` holds the weights of all groups.
    fn correlation<'a>(
        &'a self,
        packed: &'a [f32],
        [group, from, rows]: [usize; 3],
        portions: Portions,
    ) -> Correlation<'a> {
        let [apart, of_group] = self.packed();
        let weights = &packed[group * of_group + from * self.depth()..];
        Correlation {
            isa: self.isa,
            geometry: &self.geometry,
            packed: Packed { weights, apart, rows, depth: self.depth() },
            channels: self.channels,
            portions,
            target: self.target,
            last: self.last,
            first_row: group * self.rows + from,
        }
    }

    /// Correlates all images of `x` into `y`; `packed` holds the weights of all groups.
    fn run(&self, x: &[f32], y: &mut [f32], packed: &[f32]) {
        let (s, groups) = (self.s, self.s.groups);
        let (x_image, y_image) = (groups * self.channels * self.volume, groups * self.rows * self.positions);
        let block = self.blocks(s.batch);
        let whole = groups == 1 && block >= self.rows;
        let per_task = if whole { s.batch.div_ceil(TASKS) } else { 1 };
        let portions = Portions::of(&self.geometry, self.channels, per_task, NEAR);
        let task = |x: &[f32], at: usize, y: &mut [f32], group: usize, from: usize, rows: usize| {
            let images = x.len() / x_image;
            let correlation = self.correlation(packed, [group, from, rows], portions);
            let x = Images { x: &x[group * self.channels * self.volume..], image: x_image, channel: self.volume };
            with_own_memory(correlation.memory(), |memory| correlation.run(images, x, y, memory));
            // While the task's results are near.
            if let Some(residual) = self.last.residual {
                add_residual(&residual[at..], self.last.relu, y);
            }
        };
        let images = |(index, (x, y)): (usize, (&[f32], &mut [f32]))| {
            let at = index * per_task * y_image;
            if whole {
                return task(x, at, y, 0, 0, self.rows);
            }
            // One image: the output channels of a block lie side by side.
            let blocks = y.par_chunks_mut(self.rows * self.positions).enumerate().flat_map(|(group, y)| {
                y.par_chunks_mut(block * self.positions).enumerate().map(move |(i, y)| (group, i * block, y))
            });
            blocks.for_each(|(group, from, y)| {
                let at = at + (group * self.rows + from) * self.positions;
                task(x, at, y, group, from, block.min(self.rows - from));
            });
        };
        let [x_len, y_len] = [x_image, y_image].map(|len| per_task * len);
        if multiplications(s) <= SERIAL {
            return x.chunks(x_len).zip(y.chunks_mut(y_len)).enumerate().for_each(images);
        }
        x.par_chunks(x_len).zip(y.par_chunks_mut(y_len)).enumerate().for_each(images);
    }
}

/// The convolution forwards.
fn forward_pass<'a>(s: &'a Sizes, last: Epilogue<'a, f32>) -> Pass<'a> {
    let (geometry, isa) = (Geometry::forward(s), Isa::best());
    let ([_, oh, ow], positions) = (geometry.seen(s.output), s.positions());
    let target = Target { image: s.c_out * positions, channel: positions, pitch: [oh * ow, ow, 1], first: 0 };
    let (channels, rows, volume) = (s.group_in(), s.group_out(), s.volume());
    Pass { s, isa, geometry, channels, rows, volume, positions, target, last }
}

/// The gradient of the input in one of its phases.
fn backward_pass(s: &Sizes, phase: [usize; 3]) -> Pass<'_> {
    let geometry = Geometry::backward(s, phase);
    // Of a line that stands upright the stride is one.
    let ([_, h, w], stride) = (geometry.seen(s.input), s.window.stride);
    let pitch = [h * w, w, 1];
    let first = (0..3).map(|axis| phase[axis] * pitch[axis]).sum();
    let pitch = std::array::from_fn(|axis| pitch[axis] * stride[axis]);
    let positions = s.volume();
    let target = Target { image: s.c_in * positions, channel: positions, pitch, first };
    let (channels, rows, volume) = (s.group_out(), s.group_in(), s.positions());
    Pass { s, isa: Isa::best(), geometry, channels, rows, volume, positions, target, last: Epilogue::NONE }
}

/// The phases of the input: where in a stride its elements lie.
fn phases(s: &Sizes) -> impl Iterator<Item = [usize; 3]> {
    let stride: [usize; 3] = std::array::from_fn(|axis| s.window.stride[axis].min(s.input[axis]));
    let [_, h, w] = stride;
    (0..stride.iter().product()).map(move |i| [i / w / h, i / w % h, i % w])
}

pub(super) fn forward_scratch(s: &Sizes) -> usize {
    s.groups * forward_pass(s, Epilogue::NONE).packed()[1]
}

pub(super) fn forward(s: &Sizes, x: &[f32], w: &[f32], last: Epilogue<'_, f32>, y: &mut [f32], scratch: &mut [f32]) {
    let pass = forward_pass(s, last);
    let (channels, taps, [_, size]) = (pass.channels, s.channel_taps(), pass.packed());
    for (group, to) in scratch.chunks_exact_mut(size).take(s.groups).enumerate() {
        let w = &w[group * pass.rows * channels * taps..];
        pack(pass.isa, &pass.geometry, pass.rows, channels, |o, i, tap| w[(o * channels + i) * taps + tap], to);
    }
    pass.run(x, y, scratch);
}

pub(super) fn grad_x_scratch(s: &Sizes) -> usize {
    phases(s).map(|phase| s.groups * backward_pass(s, phase).packed()[1]).max().unwrap_or(0)
}

pub(super) fn grad_x(s: &Sizes, dy: &[f32], w: &[f32], dx: &mut [f32], scratch: &mut [f32]) {
    let taps = s.channel_taps();
    let (passes, without): (Vec<_>, Vec<_>) =
        phases(s).map(|phase| backward_pass(s, phase)).partition(|pass| !pass.geometry.taps.is_empty());
    if !without.is_empty() {
        dx.fill(0.0);
    }
    for pass in passes {
        let [_, size] = pass.packed();
        for (group, to) in scratch.chunks_exact_mut(size).take(s.groups).enumerate() {
            let w = &w[group * pass.channels * pass.rows * taps..];
            let weight = |i: usize, o: usize, tap: usize| w[(o * pass.rows + i) * taps + tap];
            pack(pass.isa, &pass.geometry, pass.rows, pass.channels, weight, to);
        }
        pass.run(dy, dx, scratch);
    }
}

/// The gradient of the weights: how it is shared out.
struct WeightPass<'a> {
    s: &'a Sizes,
    isa: Isa,
    geometry: Geometry,
    /// Images of a part; every part has sums of its own.
    images: usize,
    /// Output channels of a block.
    block: usize,
    portions: Portions,
}

impl<'a> WeightPass<'a> {
    /// Shared out over parts of the images and blocks of the output channels.
    fn new(s: &'a Sizes) -> Self {
        let images = s.batch.div_ceil(PARTIALS.min(s.batch));
        let blocks = WEIGHT_TASKS.div_ceil(s.batch.div_ceil(images) * s.groups);
        // Every block lays the image out anew: it must have work enough for that.
        let least = FEWEST.div_ceil(Geometry::forward(s).taps_of_element());
        let block = s.group_out().div_ceil(blocks).max(least).next_multiple_of(Isa::best().inner()[0]);
        WeightPass::of(s, images, block.min(s.group_out()))
    }

    /// Shared out over parts of the images alone: into more of them where their sums are few, and into fewer where an image is too small
    /// for products to be worth their sums.
    fn whole(s: &'a Sizes) -> Self {
        let parts = if s.c_out * s.taps() <= FEW_SUMS { 2 * PARTIALS } else { PARTIALS };
        let images = ENOUGH_POSITIONS.div_ceil(s.positions()).min(s.batch.div_ceil(PARTIALS / 2));
        WeightPass::of(s, s.batch.div_ceil(parts).max(images), s.c_out)
    }

    fn of(s: &'a Sizes, images: usize, block: usize) -> Self {
        let (isa, geometry) = (Isa::best(), Geometry::forward(s));
        let portions = Portions::of(&geometry, s.group_in() + block, images, WEIGHTS_NEAR);
        WeightPass { s, isa, geometry, images, block, portions }
    }

    fn parts(&self) -> usize {
        self.s.batch.div_ceil(self.images)
    }

    /// Sums of one output channel.
    fn row(&self) -> usize {
        self.geometry.products() * self.s.group_in() * self.geometry.taps.len()
    }

    /// The gradient for `rows` output channels.
    fn gradient(&self, rows: usize) -> WeightGradient<'_> {
        let channels = self.s.group_in();
        WeightGradient { isa: self.isa, geometry: &self.geometry, channels, rows, portions: self.portions }
    }

    /// The sums of one part's images for the output channels of a group from `row` on.
    fn task(&self, part: usize, group: usize, row: usize, x: &[f32], dy: &[f32], sums: &mut [f32]) {
        let (s, first) = (self.s, part * self.images);
        let images = self.images.min(s.batch - first);
        let (x_image, dy_image) = (s.c_in * s.volume(), s.c_out * s.positions());
        let gradient = self.gradient(sums.len() / self.row());
        let x = &x[first * x_image + group * s.group_in() * s.volume()..];
        let dy = &dy[first * dy_image + (group * s.group_out() + row) * s.positions()..];
        let x = Images { x, image: x_image, channel: s.volume() };
        let dy = Images { x: dy, image: dy_image, channel: s.positions() };
        sums.fill(0.0);
        with_own_memory(gradient.memory(), |memory| gradient.run(images, x, dy, sums, memory));
    }

    /// The sums of all parts (gathered in those of the first), then what they say of the window.
    fn finish(&self, sums: &mut [f32], dw: &mut [f32]) {
        let (s, row, taps) = (self.s, self.row(), &self.geometry.taps);
        let len = s.c_out * row;
        let (first, others) = sums.split_at_mut(len);
        parallel_row_pairs(dw, first, s.taps(), row, |o, dw, sums| {
            for part in others.chunks_exact(len) {
                sums.iter_mut().zip(&part[o * row..]).for_each(|(sum, part)| *sum += *part);
            }
            dw.fill(0.0);
            for (u, sums) in sums.chunks_exact(s.group_in() * taps.len()).enumerate() {
                for (window, sums) in dw.chunks_exact_mut(s.channel_taps()).zip(sums.chunks_exact(taps.len())) {
                    taps.iter().zip(sums).for_each(|(tap, sum)| self.geometry.add_gradient(tap, u, *sum, window));
                }
            }
        });
    }
}

pub(super) fn grad_w_scratch(s: &Sizes) -> usize {
    let pass = WeightPass::new(s);
    pass.parts() * s.c_out * pass.row()
}

pub(super) fn grad_w(s: &Sizes, x: &[f32], dy: &[f32], dw: &mut [f32], scratch: &mut [f32]) {
    let pass = WeightPass::new(s);
    let (row, len) = (pass.row(), s.c_out * pass.row());
    let sums = &mut scratch[..pass.parts() * len];
    // Parts, groups in them, blocks in these.
    let (group_len, block_len) = (s.group_out() * row, pass.block * row);
    let pieces = sums.chunks_mut(len).enumerate().flat_map(|(part, sums)| {
        sums.chunks_mut(group_len).enumerate().flat_map(move |(group, sums)| {
            sums.chunks_mut(block_len).enumerate().map(move |(i, sums)| (part, group, i, sums))
        })
    });
    let task = |(part, group, i, sums): (usize, usize, usize, &mut [f32])| {
        pass.task(part, group, i * pass.block, x, dy, sums);
    };
    if multiplications(s) <= SERIAL {
        pieces.for_each(task);
    } else {
        pieces.collect::<Vec<_>>().into_par_iter().for_each(task);
    }
    pass.finish(sums, dw);
}
