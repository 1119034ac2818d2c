//! Convolutions of `f32` on the processor, without a gathered image: see [`geometry`]. The twins in `cpu.rs` are the plain form, and
//! the truth in `f64`.
//!
//! Images are shared out among the cores, and of few images also their output channels; every core keeps planes and sums in memory of
//! its own. What is shared out depends on the shape alone.

mod correlate;
mod geometry;
mod weights;

use rayon::prelude::*;

use super::Sizes;
use super::cpu::{Epilogue, SERIAL, multiplications};
use crate::contract::{parallel_chunks, with_own_memory};
use crate::microkernel::Isa;
use correlate::{Correlation, Packed, Portions, Target, pack, padded};
use geometry::Geometry;
use weights::WeightGradient;

/// Parts into which work is shared out, at most.
const TASKS: usize = 32;
/// Partial sums of a weight gradient, at most: each is as large as the weights.
const PARTIALS: usize = 8;

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

    /// Elements of one group's packed weights.
    fn packed(&self) -> usize {
        padded(self.isa, self.rows) * self.depth()
    }

    /// Blocks of output channels that are tasks of their own: as many as it takes to have [`TASKS`] with those of the images.
    fn blocks(&self, images: usize) -> usize {
        let wanted = if images >= TASKS / 2 { 1 } else { TASKS.div_ceil(images) };
        self.rows.div_ceil(wanted).next_multiple_of(self.isa.rows())
    }

    /// Correlates all images of `x` into `y`; `packed` holds the weights of all groups.
    fn run(&self, x: &[f32], y: &mut [f32], packed: &[f32]) {
        let (s, groups) = (self.s, self.s.groups);
        let (x_image, y_image) = (groups * self.channels * self.volume, groups * self.rows * self.positions);
        let per_task = s.batch.div_ceil(TASKS);
        let block = self.blocks(s.batch);
        let task = |x: &[f32], y: &mut [f32], group: usize, from: usize, rows: usize| {
            let weights = &packed[group * self.packed() + from * self.depth()..];
            let images = x.len() / x_image;
            let correlation = Correlation {
                isa: self.isa,
                geometry: &self.geometry,
                packed: Packed { weights, rows, depth: self.depth() },
                channels: self.channels,
                volume: self.volume,
                source_image: x_image,
                portions: Portions::of(&self.geometry, self.channels, images),
                target: self.target,
                last: self.last,
                first_row: group * self.rows + from,
            };
            let x = &x[group * self.channels * self.volume..];
            with_own_memory(correlation.memory(), |memory| correlation.run(images, x, y, memory));
        };
        let images = |x: &[f32], y: &mut [f32]| {
            if groups == 1 && block >= self.rows {
                return task(x, y, 0, 0, self.rows);
            }
            // One image: the output channels of a block lie side by side.
            let blocks = y.par_chunks_mut(self.rows * self.positions).enumerate().flat_map(|(group, y)| {
                y.par_chunks_mut(block * self.positions).enumerate().map(move |(i, y)| (group, i * block, y))
            });
            blocks.for_each(|(group, from, y)| task(x, y, group, from, block.min(self.rows - from)));
        };
        let per_task = if groups == 1 && block >= self.rows { per_task } else { 1 };
        if multiplications(s) <= SERIAL {
            return x.chunks(per_task * x_image).zip(y.chunks_mut(per_task * y_image)).for_each(|(x, y)| images(x, y));
        }
        x.par_chunks(per_task * x_image).zip(y.par_chunks_mut(per_task * y_image)).for_each(|(x, y)| images(x, y));
    }
}

/// The convolution forwards.
fn forward_pass<'a>(s: &'a Sizes, last: Epilogue<'a, f32>) -> Pass<'a> {
    let [_, oh, ow] = s.output;
    let positions = s.positions();
    let target = Target { image: s.c_out * positions, channel: positions, pitch: [oh * ow, ow, 1], first: 0 };
    let (geometry, isa) = (Geometry::forward(s), Isa::best());
    let (channels, rows, volume) = (s.group_in(), s.group_out(), s.volume());
    Pass { s, isa, geometry, channels, rows, volume, positions, target, last }
}

/// The gradient of the input in one of its phases.
fn backward_pass(s: &Sizes, phase: [usize; 3]) -> Pass<'_> {
    let ([_, h, w], stride) = (s.input, s.window.stride);
    let pitch = [h * w, w, 1];
    let first = (0..3).map(|axis| phase[axis] * pitch[axis]).sum();
    let pitch = std::array::from_fn(|axis| pitch[axis] * stride[axis]);
    let positions = s.volume();
    let target = Target { image: s.c_in * positions, channel: positions, pitch, first };
    let (channels, rows, volume) = (s.group_out(), s.group_in(), s.positions());
    let last = Epilogue { bias: None, relu: false };
    Pass { s, isa: Isa::best(), geometry: Geometry::backward(s, phase), channels, rows, volume, positions, target, last }
}

/// The phases of the input: where in a stride its elements lie.
fn phases(s: &Sizes) -> impl Iterator<Item = [usize; 3]> {
    let stride: [usize; 3] = std::array::from_fn(|axis| s.window.stride[axis].min(s.input[axis]));
    let [_, h, w] = stride;
    (0..stride.iter().product()).map(move |i| [i / w / h, i / w % h, i % w])
}

pub(super) fn forward_scratch(s: &Sizes) -> usize {
    s.groups * forward_pass(s, Epilogue { bias: None, relu: false }).packed()
}

pub(super) fn forward(s: &Sizes, x: &[f32], w: &[f32], last: Epilogue<'_, f32>, y: &mut [f32], scratch: &mut [f32]) {
    let pass = forward_pass(s, last);
    let (channels, taps, size) = (pass.channels, s.channel_taps(), pass.packed());
    for (group, to) in scratch.chunks_exact_mut(size).take(s.groups).enumerate() {
        let w = &w[group * pass.rows * channels * taps..];
        pack(pass.isa, &pass.geometry, pass.rows, channels, |o, i, tap| w[(o * channels + i) * taps + tap], to);
    }
    pass.run(x, y, scratch);
}

pub(super) fn grad_x_scratch(s: &Sizes) -> usize {
    phases(s).map(|phase| s.groups * backward_pass(s, phase).packed()).max().unwrap_or(0)
}

pub(super) fn grad_x(s: &Sizes, dy: &[f32], w: &[f32], dx: &mut [f32], scratch: &mut [f32]) {
    let taps = s.channel_taps();
    if phases(s).any(|phase| backward_pass(s, phase).geometry.taps.is_empty()) {
        dx.fill(0.0);
    }
    for phase in phases(s) {
        let pass = backward_pass(s, phase);
        if pass.geometry.taps.is_empty() {
            continue;
        }
        let size = pass.packed();
        for (group, to) in scratch.chunks_exact_mut(size).take(s.groups).enumerate() {
            let w = &w[group * pass.channels * pass.rows * taps..];
            let weight = |i: usize, o: usize, tap: usize| w[(o * pass.rows + i) * taps + tap];
            pack(pass.isa, &pass.geometry, pass.rows, pass.channels, weight, to);
        }
        pass.run(dy, dx, scratch);
    }
}

/// How the gradient of the weights is shared out: images of a part, and output channels of a block.
fn weight_parts(s: &Sizes) -> [usize; 2] {
    let parts = PARTIALS.min(s.batch);
    let blocks = TASKS.div_ceil(parts * s.groups);
    let images = s.batch.div_ceil(parts);
    [images, s.group_out().div_ceil(blocks).next_multiple_of(Isa::best().inner()[0]).min(s.group_out())]
}

pub(super) fn grad_w_scratch(s: &Sizes) -> usize {
    let [images, _] = weight_parts(s);
    s.batch.div_ceil(images) * s.c_out * s.taps()
}

pub(super) fn grad_w(s: &Sizes, x: &[f32], dy: &[f32], dw: &mut [f32], scratch: &mut [f32]) {
    let geometry = Geometry::forward(s);
    let ([images, block], len, isa) = (weight_parts(s), dw.len(), Isa::best());
    let (x_image, dy_image) = (s.c_in * s.volume(), s.c_out * s.positions());
    let sums = &mut scratch[..s.batch.div_ceil(images) * len];
    let task = |part: usize, group: usize, row: usize, sums: &mut [f32]| {
        let images = images.min(s.batch - part * images);
        let gradient = WeightGradient {
            isa,
            geometry: &geometry,
            channels: s.group_in(),
            volume: s.volume(),
            x_image,
            rows: sums.len() / s.taps(),
            positions: s.positions(),
            dy_image,
            portions: Portions::of(&geometry, s.group_in() + block, images),
        };
        let first = part * weight_parts(s)[0];
        let x = &x[first * x_image + group * s.group_in() * s.volume()..];
        let dy = &dy[first * dy_image + (group * s.group_out() + row) * s.positions()..];
        sums.fill(0.0);
        with_own_memory(gradient.memory(), |memory| gradient.run(images, x, dy, sums, memory));
    };
    let group_len = s.group_out() * s.taps();
    let tasks = sums.par_chunks_mut(len).enumerate().flat_map(|(part, sums)| {
        sums.par_chunks_mut(group_len).enumerate().flat_map(move |(group, sums)| {
            let blocks = sums.par_chunks_mut(block * s.taps()).enumerate();
            blocks.map(move |(i, sums)| (part, group, i * block, sums))
        })
    });
    if multiplications(s) <= SERIAL {
        for (part, sums) in sums.chunks_mut(len).enumerate() {
            for (group, sums) in sums.chunks_mut(group_len).enumerate() {
                let blocks = sums.chunks_mut(block * s.taps()).enumerate();
                blocks.for_each(|(i, sums)| task(part, group, i * block, sums));
            }
        }
    } else {
        tasks.for_each(|(part, group, row, sums)| task(part, group, row, sums));
    }
    let sums = &*sums;
    parallel_chunks(dw, |start, dw| {
        dw.copy_from_slice(&sums[start..][..dw.len()]);
        for sums in sums.chunks_exact(len).skip(1) {
            dw.iter_mut().zip(&sums[start..]).for_each(|(d, s)| *d += *s);
        }
    });
}
