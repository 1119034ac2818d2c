//! A convolution as a *correlation of planes*: the image is laid out flat, with zeros between its rows, so that moving a tap of the
//! window is adding a constant to the flat index. Then no image is ever gathered: the products read the planes themselves.
//!
//! Strides are taken apart first. Every `stride`-th element, from each *phase* on, is an image of its own, over which the window
//! moves in steps of one; and the results of a transposed convolution fall into phases that have taps of their own.

use smallvec::SmallVec;

use super::super::Sizes;
use crate::microkernel::MOST_COLUMNS;

/// A tap of the window: which it is, which phase of the source it meets, and where from the result's position.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tap {
    /// Its index in the window.
    pub(super) index: usize,
    phase: usize,
    shift: [isize; 3],
}

/// A correlation with steps of one.
#[derive(Clone, Debug)]
pub(super) struct Geometry {
    /// Slices, rows and columns of the source.
    source: [usize; 3],
    /// Steps between the elements of a phase of the source.
    step: [usize; 3],
    /// Where the phases that taps meet begin.
    phases: SmallVec<[[usize; 3]; 4]>,
    /// Slices, rows and columns of the results.
    pub(super) result: [usize; 3],
    pub(super) taps: SmallVec<[Tap; 32]>,
    least: [isize; 3],
    most: [isize; 3],
}

/// Every tap of a window, in order.
fn window(kernel: [usize; 3]) -> impl Iterator<Item = (usize, [usize; 3])> {
    let [_, kh, kw] = kernel;
    (0..kernel.iter().product()).map(move |k| (k, [k / kw / kh, k / kw % kh, k % kw]))
}

impl Geometry {
    fn new(source: [usize; 3], step: [usize; 3], result: [usize; 3]) -> Self {
        let (phases, taps) = (SmallVec::new(), SmallVec::new());
        Geometry { source, step, phases, result, taps, least: [isize::MAX; 3], most: [isize::MIN; 3] }
    }

    fn push(&mut self, index: usize, phase: [usize; 3], shift: [isize; 3]) {
        let known = self.phases.iter().position(|p| *p == phase);
        let phase = known.unwrap_or_else(|| {
            self.phases.push(phase);
            self.phases.len() - 1
        });
        for axis in 0..3 {
            self.least[axis] = self.least[axis].min(shift[axis]);
            self.most[axis] = self.most[axis].max(shift[axis]);
        }
        self.taps.push(Tap { index, phase, shift });
    }

    /// The convolution forwards; the gradient of its weights reads the same planes.
    pub(super) fn forward(s: &Sizes) -> Self {
        let w = &s.window;
        let mut geometry = Geometry::new(s.input, w.stride, s.output);
        for (index, tap) in window(w.kernel) {
            let at = |axis: usize| (tap[axis] * w.dilation[axis]) as isize - w.before(axis) as isize;
            let phase = std::array::from_fn(|axis| at(axis).rem_euclid(w.stride[axis] as isize) as usize);
            geometry.push(index, phase, std::array::from_fn(|axis| at(axis).div_euclid(w.stride[axis] as isize)));
        }
        geometry
    }

    /// The gradient of the input in one phase of it: which elements of `dy` reach every `stride`-th element of `dx` from `phase` on.
    pub(super) fn backward(s: &Sizes, phase: [usize; 3]) -> Self {
        let w = &s.window;
        let result = std::array::from_fn(|axis| (s.input[axis].saturating_sub(phase[axis])).div_ceil(w.stride[axis]));
        let mut geometry = Geometry::new(s.output, [1; 3], result);
        for (index, tap) in window(w.kernel) {
            let at = |axis: usize| {
                (phase[axis] + w.before(axis)) as isize - (tap[axis] * w.dilation[axis]) as isize
            };
            if (0..3).all(|axis| at(axis).rem_euclid(w.stride[axis] as isize) == 0) {
                geometry.push(index, [0; 3], std::array::from_fn(|axis| at(axis).div_euclid(w.stride[axis] as isize)));
            }
        }
        geometry
    }

    /// How many planes a channel of the source becomes.
    pub(super) fn planes(&self) -> usize {
        self.phases.len()
    }

    /// Extents of the largest phase.
    fn content(&self) -> [usize; 3] {
        std::array::from_fn(|axis| self.source[axis].div_ceil(self.step[axis]))
    }

    /// The axis along which results are cut into bands: the first that has more than one.
    fn long_axis(&self) -> usize {
        if self.result[0] > 1 { 0 } else { 1 }
    }

    /// Bands of about `rows` of the results along the long axis.
    pub(super) fn bands(&self, rows: usize) -> impl Iterator<Item = Band> + use<> {
        let (axis, all) = (self.long_axis(), self.result[self.long_axis()]);
        (0..all).step_by(rows).map(move |from| Band { axis, from, to: (from + rows).min(all) })
    }

    /// All results as one band.
    pub(super) fn whole(&self) -> Band {
        Band { axis: self.long_axis(), from: 0, to: self.result[self.long_axis()] }
    }
}

/// Results `from..to` along an axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Band {
    axis: usize,
    from: usize,
    to: usize,
}

impl Band {
    pub(super) fn rows(&self) -> usize {
        self.to - self.from
    }
}

/// How the planes of a band lie in memory.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// What of a phase of the source lies in the planes: first element and extents.
    first: [usize; 3],
    content: [usize; 3],
    /// The band's results: the first one, and extents.
    pub(super) origin: [usize; 3],
    pub(super) result: [usize; 3],
    /// Elements from column to column, row to row, slice to slice.
    pub(super) pitch: [usize; 3],
    /// Elements from image to image.
    pub(super) image: usize,
    /// Elements before the first one of the first image.
    lead: usize,
    /// What the position of the first result adds to a tap's shift.
    ahead: [isize; 3],
    /// Flat positions from the first result of the first image to the last one of the last, both included.
    pub(super) span: usize,
    /// Elements of a plane, with room for a tile that reaches over its end.
    pub(super) plane: usize,
}

impl Layout {
    /// The planes of `images` images, of which `band` is wanted.
    pub(super) fn new(g: &Geometry, band: &Band, images: usize) -> Self {
        let (all, mut origin, mut result) = (g.content(), [0; 3], g.result);
        (origin[band.axis], result[band.axis]) = (band.from, band.rows());
        let (mut first, mut content, mut before, mut after, mut ahead) = ([0; 3], [0; 3], [0; 3], [0; 3], [0; 3]);
        for axis in 0..3 {
            let extent = all[axis] as isize;
            // The elements that any tap meets, of which some may not exist.
            let from = origin[axis] as isize + g.least[axis];
            let to = (origin[axis] + result[axis]) as isize + g.most[axis];
            let (low, high) = (from.clamp(0, extent), to.clamp(0, extent));
            first[axis] = low as usize;
            content[axis] = (high - low).max(0) as usize;
            ahead[axis] = origin[axis] as isize - low;
            before[axis] = (-(ahead[axis] + g.least[axis])).max(0) as usize;
            let last = result[axis] as isize - 1 + ahead[axis] + g.most[axis];
            after[axis] = (last - (content[axis] as isize - 1)).max(0) as usize;
        }
        // The zeros after a row are those before the next one.
        let rows = |axis: usize| (content[axis] + before[axis].max(after[axis])).max(result[axis]);
        let (column, row) = (rows(2), rows(1));
        let pitch = [row * column, column, 1];
        let image = rows(0) * pitch[0];
        let along = |extents: [usize; 3]| (0..3).map(|axis| extents[axis] * pitch[axis]).sum::<usize>();
        let lead = along(before);
        let last = |extents: [usize; 3]| (images - 1) * image + along(extents.map(|e: usize| e.saturating_sub(1))) + 1;
        let span = last(result);
        let reach: usize = (0..3).map(|axis| (ahead[axis] + g.most[axis]).max(0) as usize * pitch[axis]).sum();
        let plane = lead + (span.next_multiple_of(MOST_COLUMNS) + reach).max(last(content));
        let plane = plane.next_multiple_of(16);
        Layout { first, content, origin, result, pitch, image, lead, ahead, span, plane }
    }

    /// Where the element that `tap` meets from the first result lies in the planes of its channel.
    pub(super) fn tap(&self, tap: &Tap) -> usize {
        let shift: isize = (0..3).map(|axis| (tap.shift[axis] + self.ahead[axis]) * self.pitch[axis] as isize).sum();
        tap.phase * self.plane + (self.lead as isize + shift) as usize
    }

    /// Lays out one channel of one image: `planes` are the planes of that channel.
    pub(super) fn lay_out(&self, g: &Geometry, channel: &[f32], image: usize, planes: &mut [f32]) {
        let [_, h, w] = g.source;
        for (phase, plane) in g.phases.iter().zip(planes.chunks_exact_mut(self.plane)) {
            let plane = &mut plane[self.lead + image * self.image..];
            // Of a phase that begins later there may be one element less.
            let count = |axis: usize| {
                let have = (g.source[axis].saturating_sub(phase[axis])).div_ceil(g.step[axis]);
                self.content[axis].min(have.saturating_sub(self.first[axis]))
            };
            let at = |axis: usize, i: usize| phase[axis] + (self.first[axis] + i) * g.step[axis];
            let (columns, left) = (count(2), at(2, 0));
            for z in 0..count(0) {
                for y in 0..count(1) {
                    let to = &mut plane[z * self.pitch[0] + y * self.pitch[1]..][..columns];
                    let from = &channel[(at(0, z) * h + at(1, y)) * w..][..w];
                    match g.step[2] {
                        1 => copy_row(to, &from[left..]),
                        step => to.iter_mut().zip(from[left.min(w)..].iter().step_by(step)).for_each(|(t, f)| *t = *f),
                    }
                }
            }
        }
    }

    /// Lays out the band's results of one channel of one image where its positions are, for products over positions.
    pub(super) fn lay_out_results(&self, all: [usize; 3], channel: &[f32], image: usize, plane: &mut [f32]) {
        let [_, h, w] = all;
        let [slices, rows, columns] = self.result;
        for z in 0..slices {
            for y in 0..rows {
                let from = ((self.origin[0] + z) * h + self.origin[1] + y) * w;
                let to = image * self.image + z * self.pitch[0] + y * self.pitch[1];
                copy_row(&mut plane[to..to + columns], &channel[from..]);
            }
        }
    }
}

/// Copies as many elements as `to` has. Rows are short: calling the system's copy would cost more than copying.
#[inline]
fn copy_row(to: &mut [f32], from: &[f32]) {
    const STEP: usize = 8;
    let n = to.len();
    let from = &from[..n];
    if n < STEP {
        return to.iter_mut().zip(from).for_each(|(t, f)| *t = *f);
    }
    let (wholes, parts) = (to.chunks_exact_mut(STEP), from.chunks_exact(STEP));
    wholes.zip(parts).for_each(|(t, f)| t.copy_from_slice(f));
    // The last step begins earlier, so that it is a whole one.
    to[n - STEP..].copy_from_slice(&from[n - STEP..]);
}
