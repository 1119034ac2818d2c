//! All gradients of a convolution, image by image, while what they read is near.

use rayon::prelude::*;

use super::correlate::{Portions, pack};
use super::layout::Images;
use super::{NEAR, Pass, WeightPass, backward_pass, phases};
use crate::contract::{Real, parallel_chunks, with_own_memory};
use crate::microkernel::wide_fn;
use crate::ops::conv::Sizes;
use crate::ops::conv::cpu::{SERIAL, multiplications};
use crate::ops::unary::passed;

/// Images from which on there are enough of them to share out: of fewer, each gradient is shared out by itself.
const ENOUGH: usize = 8;

/// Whether the gradients of these sizes are better taken together.
pub(in crate::ops::conv) fn fits(s: &Sizes) -> bool {
    s.groups == 1 && s.batch >= ENOUGH
}

/// What the tasks share.
struct Backward<'a> {
    s: &'a Sizes,
    weights: WeightPass<'a>,
    /// One for each phase of the input, where its gradient is wanted, and where their packed weights begin.
    inputs: Vec<(Pass<'a>, Portions, usize)>,
    packed: usize,
}

impl<'a> Backward<'a> {
    fn new(s: &'a Sizes, input: bool) -> Self {
        let (mut inputs, mut packed) = (Vec::new(), 0);
        for phase in phases(s).filter(|_| input) {
            let pass = backward_pass(s, phase);
            if !pass.geometry.taps.is_empty() {
                let portions = Portions::of(&pass.geometry, pass.channels, s.batch.div_ceil(ENOUGH), NEAR);
                let size = pass.packed()[1];
                inputs.push((pass, portions, packed));
                packed += size;
            }
        }
        Backward { s, weights: WeightPass::whole(s), inputs, packed }
    }

    /// Sums of the weights' gradients of one part, and of all.
    fn sums(&self) -> [usize; 2] {
        let one = self.s.c_out * self.weights.row();
        [one, self.weights.parts() * one]
    }

    /// Packed weights, sums of weights and of biases of all parts.
    fn scratch(&self) -> usize {
        self.packed + self.sums()[1] + self.weights.parts() * self.s.c_out
    }

    /// The gradients of one part's images.
    fn part(
        &self,
        part: usize,
        from: Source<'_>,
        packed: &[f32],
        sums: &mut [f32],
        db: &mut [f32],
        mut dx: Option<&mut [f32]>,
    ) {
        let s = self.s;
        let (x_image, dy_image) = (s.c_in * s.volume(), s.c_out * s.positions());
        let first = part * self.weights.images;
        let images = self.weights.images.min(s.batch - first);
        let (gradient, together) = (self.weights.gradient(s.c_out), self.weights.portions.images);
        let correlations: Vec<_> = self
            .inputs
            .iter()
            .map(|(pass, portions, at)| pass.correlation(&packed[*at..], [0, 0, pass.rows], *portions))
            .collect();
        let masked = if from.y.is_some() { together * dy_image } else { 0 };
        let work = correlations.iter().map(|c| c.memory()).max().unwrap_or(0).max(gradient.memory());
        sums.fill(0.0);
        db.fill(0.0);
        with_own_memory(masked + work, |memory| {
            let (masked, memory) = memory.split_at_mut(masked);
            for at in (0..images).step_by(together) {
                let (count, image) = (together.min(images - at), first + at);
                let dy = &from.dy[image * dy_image..][..count * dy_image];
                let dy = match from.y {
                    Some(y) => {
                        let masked = &mut masked[..dy.len()];
                        add_passed(&y[image * dy_image..][..dy.len()], dy, masked, s.positions(), db);
                        &*masked
                    }
                    None => {
                        add_planes(dy, s.positions(), db);
                        dy
                    }
                };
                let dy = Images { x: dy, image: dy_image, channel: s.positions() };
                let x = Images { x: &from.x[image * x_image..], image: x_image, channel: s.volume() };
                gradient.run(count, x, dy, sums, memory);
                if let Some(dx) = &mut dx {
                    let dx = &mut dx[at * x_image..][..count * x_image];
                    correlations.iter().for_each(|correlation| correlation.run(count, dy, dx, memory));
                }
            }
        });
    }
}

/// What the gradients are taken of.
#[derive(Clone, Copy)]
pub(in crate::ops::conv) struct Source<'a> {
    pub(in crate::ops::conv) x: &'a [f32],
    pub(in crate::ops::conv) dy: &'a [f32],
    /// The output of a ReLU that `dy` has to pass first.
    pub(in crate::ops::conv) y: Option<&'a [f32]>,
}

/// Elements that are summed side by side.
const LANES: usize = 16;

wide_fn! {
    /// Adds the sum of every plane to its channel's.
    fn add_planes<T: Real>(dy: &[T], positions: usize, db: &mut [T]) {
        for (plane, dy) in dy.chunks_exact(positions).enumerate() {
            let mut sums = [T::zero(); LANES];
            let (whole, rest) = dy.as_chunks::<LANES>();
            for dy in whole {
                (0..LANES).for_each(|i| sums[i] += dy[i]);
            }
            sums.iter_mut().zip(rest).for_each(|(sum, dy)| *sum += *dy);
            db[plane % db.len()] += total(sums);
        }
    }
}

wide_fn! {
    /// What a ReLU that gave `y` lets through of `dy`, and as [`add_planes`] the sums of that.
    fn add_passed<T: Real>(y: &[T], dy: &[T], through: &mut [T], positions: usize, db: &mut [T]) {
        let planes = y.chunks_exact(positions).zip(dy.chunks_exact(positions));
        for (plane, (through, (y, dy))) in through.chunks_exact_mut(positions).zip(planes).enumerate() {
            let mut sums = [T::zero(); LANES];
            let (whole, rest) = through.as_chunks_mut::<LANES>();
            let ((ys, y), (dys, dy)) = (y.as_chunks::<LANES>(), dy.as_chunks::<LANES>());
            for (through, (y, dy)) in whole.iter_mut().zip(ys.iter().zip(dys)) {
                for i in 0..LANES {
                    through[i] = passed(dy[i], y[i]);
                    sums[i] += through[i];
                }
            }
            for ((sum, through), (y, dy)) in sums.iter_mut().zip(rest).zip(y.iter().zip(dy)) {
                *through = passed(*dy, *y);
                *sum += *through;
            }
            db[plane % db.len()] += total(sums);
        }
    }
}

/// The sum of all lanes, halves first.
#[inline(always)]
fn total<T: Real>(mut sums: [T; LANES]) -> T {
    let mut half = LANES / 2;
    while half > 0 {
        (0..half).for_each(|i| sums[i] += sums[i + half]);
        half /= 2;
    }
    sums[0]
}

pub(in crate::ops::conv) fn backward_scratch(s: &Sizes, input: bool) -> usize {
    Backward::new(s, input).scratch()
}

/// The gradients that are wanted; `dx` with the weights that it is taken through.
pub(in crate::ops::conv) struct Wanted<'a> {
    pub(in crate::ops::conv) dw: &'a mut [f32],
    pub(in crate::ops::conv) dx: Option<(&'a [f32], &'a mut [f32])>,
    pub(in crate::ops::conv) db: Option<&'a mut [f32]>,
}

/// All gradients of a convolution that are wanted.
pub(in crate::ops::conv) fn backward(
    s: &Sizes,
    source: Source<'_>,
    Wanted { dw, dx, db }: Wanted<'_>,
    scratch: &mut [f32],
) {
    let all = Backward::new(s, dx.is_some());
    let (w, dx) = dx.unzip();
    let w = w.unwrap_or_default();
    let (packed, scratch) = scratch.split_at_mut(all.packed);
    let ([one, sums_len], taps) = (all.sums(), s.channel_taps());
    for (pass, _, at) in &all.inputs {
        let to = &mut packed[*at..][..pass.packed()[1]];
        let weight = |i: usize, o: usize, tap: usize| w[(o * s.c_in + i) * taps + tap];
        pack(pass.isa, &pass.geometry, pass.rows, pass.channels, weight, to);
    }
    let (sums, scratch) = scratch.split_at_mut(sums_len);
    let biases = &mut scratch[..all.weights.parts() * s.c_out];
    let packed = &*packed;
    let parts = sums.chunks_mut(one).zip(biases.chunks_mut(s.c_out)).enumerate();
    let mut tasks: Vec<_> = parts.map(|(part, (sums, db))| (part, sums, db, None)).collect();
    if let Some(dx) = dx {
        // Phases that no tap reaches.
        if phases(s).count() > all.inputs.len() {
            parallel_chunks(dx, |_, dx| dx.fill(0.0));
        }
        let of_parts = dx.chunks_mut(all.weights.images * s.c_in * s.volume());
        tasks.iter_mut().zip(of_parts).for_each(|(task, dx)| task.3 = Some(dx));
    }
    let run = |(part, sums, db, dx): (usize, &mut [f32], &mut [f32], Option<&mut [f32]>)| {
        all.part(part, source, packed, sums, db, dx);
    };
    if multiplications(s) <= SERIAL {
        tasks.into_iter().for_each(run);
    } else {
        tasks.into_par_iter().for_each(run);
    }
    all.weights.finish(sums, dw);
    if let Some(db) = db {
        db.fill(0.0);
        biases.chunks_exact(s.c_out).for_each(|part| db.iter_mut().zip(part).for_each(|(db, part)| *db += *part));
    }
}
