//! How planes lie in memory, and how images and gradients of results are laid out in them.

use super::geometry::{Band, Fold, Geometry, Tap};
use super::winograd::{self, Shared};
use crate::contract::Real;
use crate::microkernel::lines::{self, Line, Mixed};
use crate::microkernel::strips::{self, By, Mix, Rows};
use crate::microkernel::{Isa, MOST_COLUMNS, MOST_LANES, wide_fn};

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
    /// Elements of a plane of results.
    pub(super) result_plane: usize,
    /// How many images lie in the planes.
    pub(super) images: usize,
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
            // A band that meets padding only takes no more of it than its taps reach, however far away the image is.
            ahead[axis] = if low < high { origin[axis] as isize - low } else { -g.least[axis] };
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
        // Rows are padded with zeros up to a vector's end, which must not reach into the next plane.
        let padded = |extents: [usize; 3]| last([extents[0], extents[1], 1]) + column.next_multiple_of(MOST_LANES);
        let plane = lead + (span.next_multiple_of(MOST_COLUMNS) + reach).max(padded(content));
        let plane = plane.next_multiple_of(MOST_LANES);
        let result_plane = padded(result).next_multiple_of(MOST_LANES);
        Layout { first, content, origin, result, pitch, image, lead, ahead, span, plane, result_plane, images }
    }

    /// Where the element that `tap` meets from the first result lies in the planes of its channel; in product `u` it is `u` planes further.
    fn tap(&self, tap: &Tap) -> usize {
        let shift: isize = (0..3).map(|axis| (tap.shift[axis] + self.ahead[axis]) * self.pitch[axis] as isize).sum();
        tap.phase * self.plane + (self.lead as isize + shift) as usize
    }

    /// Where the elements that taps meet from the first result lie: of `k`, channel by channel and tap by tap, from `k0` on.
    pub(super) fn offsets(&self, g: &Geometry, k0: usize, offsets: &mut [u32]) {
        let (mut channel, mut tap) = (k0 / g.taps.len(), k0 % g.taps.len());
        for offset in offsets {
            *offset = (channel * g.planes() * self.plane + self.tap(&g.taps[tap])) as u32;
            tap += 1;
            if tap == g.taps.len() {
                (channel, tap) = (channel + 1, 0);
            }
        }
    }

    /// Clears what rows of `content` do not cover in `planes` planes of `to`, each `plane` long, whose images begin at `lead`: what comes
    /// before the first row, between slices and images, and after the last.
    fn clear(
        &self,
        isa: Isa,
        [slices, rows]: [usize; 2],
        (to, lead): (&mut [f32], usize),
        [planes, plane]: [usize; 2],
    ) {
        let mut cleared = 0;
        for image in 0..self.images {
            for z in 0..slices {
                let start = lead + image * self.image + z * self.pitch[0];
                strips::clear(isa, to, cleared, start - cleared, planes, plane);
                cleared = start + rows * self.pitch[1];
            }
        }
        strips::clear(isa, to, cleared, plane - cleared, planes, plane);
    }

    /// Lays out `channels` channels of all images of `x` in `planes`.
    pub(super) fn lay_out(&self, isa: Isa, g: &Geometry, x: Images<'_>, channels: usize, planes: &mut [f32]) {
        let content = [self.content[0], self.content[1]];
        self.clear(isa, content, (planes, self.lead), [channels * g.planes(), self.plane]);
        for image in 0..self.images {
            let (x, to) = (Images { x: &x.x[image * x.image..], ..x }, self.lead + image * self.image);
            match g.fold {
                Some(fold) => match fold.shared {
                    Shared::F23 => self.mix_in::<4, 4, 2>(isa, (g, fold), x, channels, (planes, to)),
                    Shared::F43 => self.mix_in::<6, 6, 4>(isa, (g, fold), x, channels, (planes, to)),
                    Shared::F25 => self.mix_in::<6, 6, 2>(isa, (g, fold), x, channels, (planes, to)),
                },
                None => self.lay_out_phases(isa, g, x, channels, (planes, to)),
            }
        }
    }

    /// Lays out the phases of one image from `to` on in each plane.
    fn lay_out_phases(
        &self,
        isa: Isa,
        g: &Geometry,
        x: Images<'_>,
        channels: usize,
        (planes, to): (&mut [f32], usize),
    ) {
        let ([_, h, w], apart) = (g.source, g.planes() * self.plane);
        for (index, phase) in g.phases.iter().enumerate() {
            let at = |axis: usize, i: usize| phase[axis] + (self.first[axis] + i) * g.step[axis];
            // Of a phase that begins later there may be one element less.
            let count = |axis: usize| {
                let have = (g.source[axis].saturating_sub(phase[axis])).div_ceil(g.step[axis]);
                self.content[axis].min(have.saturating_sub(self.first[axis]))
            };
            let columns = count(2);
            for z in 0..self.content[0] {
                let rows = if z < count(0) && columns > 0 { count(1) } else { 0 };
                let to = index * self.plane + to + z * self.pitch[0];
                let from = (at(0, z) * h + at(1, 0)) * w + at(2, 0);
                // A phase with a row less than others has zeros there.
                let missing = (self.content[1] - rows) * self.pitch[1];
                strips::clear(isa, planes, to + rows * self.pitch[1], missing, channels, apart);
                if g.step[2] == 1 {
                    let reads = Rows { at: [Some(from)], step: g.step[1] * w, plane: x.channel };
                    let writes = Rows { at: [Some(to)], step: self.pitch[1], plane: apart };
                    let widths = [columns, self.pitch[1]];
                    strips::pass(isa, strips::Same, (x.x, reads), (planes, writes), [channels, rows], widths);
                    continue;
                }
                for (channel, row) in (0..channels).flat_map(|channel| (0..rows).map(move |row| (channel, row))) {
                    let from = &x.x[from + channel * x.channel + row * g.step[1] * w..];
                    let to = &mut planes[to + channel * apart + row * self.pitch[1]..][..self.pitch[1]];
                    let (to, zeros) = to.split_at_mut(columns);
                    every(from, g.step[2], to);
                    zeros.fill(0.0);
                }
            }
        }
    }

    /// Mixes rows of one image, `I` of them for each tile of `STEP` results, into a row of each of `O` planes, from `to` on.
    fn mix_in<const I: usize, const O: usize, const STEP: usize>(
        &self,
        isa: Isa,
        (g, fold): (&Geometry, Fold),
        x: Images<'_>,
        channels: usize,
        (planes, to): (&mut [f32], usize),
    ) where
        winograd::Image: strips::Matrix<I, O>,
    {
        let (mix, w, tiles) = (By(winograd::Image), g.source[2], self.content[1]);
        if g.upright {
            let line = Line { at: 0, len: fold.source, plane: x.channel };
            let rows = Mixed { at: to, row: self.plane, plane: O * self.plane };
            let first = (self.first[1] * STEP) as isize + fold.first;
            return lines::spread::<_, I, O, STEP>(isa, mix, (x.x, line, first), (planes, rows), [channels, tiles]);
        }
        let row = |tile: usize, i: usize| ((self.first[1] + tile) * STEP + i) as isize + fold.first;
        let there = |row: isize| row >= 0 && row < fold.source as isize;
        for z in 0..self.content[0] {
            let from = (self.first[0] + z) * fold.source * w + self.first[2];
            let to = to + z * self.pitch[0];
            let mut tile = 0;
            while tile < tiles {
                // Tiles with all of their rows go in one pass.
                let whole = |tile: &usize| there(row(*tile, 0)) && there(row(*tile, I - 1));
                let times = (tile..tiles).take_while(whole).count().max(1);
                let start = |i: usize| Some(row(tile, i)).filter(|row| there(*row)).map(|row| from + row as usize * w);
                let reads = Rows { at: std::array::from_fn(start), step: STEP * w, plane: x.channel };
                let start = to + tile * self.pitch[1];
                let at = std::array::from_fn(|u| Some(u * self.plane + start));
                let writes = Rows { at, step: self.pitch[1], plane: O * self.plane };
                let widths = [self.content[2], self.pitch[1]];
                strips::pass(isa, mix, (x.x, reads), (planes, writes), [channels, times], widths);
                tile += times;
            }
        }
    }

    /// Lays out the band's results of `rows` channels of all images of `dy` where the positions are, for products over positions: one plane
    /// for each, or one for each mixed row.
    pub(super) fn lay_out_results(&self, isa: Isa, g: &Geometry, dy: Images<'_>, rows: usize, planes: &mut [f32]) {
        let content = [self.result[0], self.result[1]];
        self.clear(isa, content, (planes, 0), [rows * g.products(), self.result_plane]);
        for image in 0..self.images {
            let dy = Images { x: &dy.x[image * dy.image..], ..dy };
            for z in 0..self.result[0] {
                let (slice, to) = (self.origin[0] + z, image * self.image + z * self.pitch[0]);
                match g.fold {
                    Some(fold) => match fold.shared {
                        Shared::F23 => self.mix_back::<2, 4>(isa, (g, fold), dy, [rows, slice], (planes, to)),
                        Shared::F43 => self.mix_back::<4, 6>(isa, (g, fold), dy, [rows, slice], (planes, to)),
                        Shared::F25 => self.mix_back::<2, 6>(isa, (g, fold), dy, [rows, slice], (planes, to)),
                    },
                    None => self.mix_results::<1, 1>(isa, strips::Same, dy, [rows, slice, g.result[1]], (planes, to)),
                }
            }
        }
    }

    /// Mixes results of rows that share products, `I` for each tile.
    fn mix_back<const I: usize, const O: usize>(
        &self,
        isa: Isa,
        (g, fold): (&Geometry, Fold),
        dy: Images<'_>,
        [rows, slice]: [usize; 2],
        (planes, to): (&mut [f32], usize),
    ) where
        winograd::Gradient: strips::Matrix<I, O>,
    {
        let mix = By(winograd::Gradient);
        if !g.upright {
            return self.mix_results::<I, O>(isa, mix, dy, [rows, slice, fold.result], (planes, to));
        }
        let line = Line { at: 0, len: fold.result, plane: dy.channel };
        let mixed = Mixed { at: to, row: self.result_plane, plane: O * self.result_plane };
        let first = (self.origin[1] * I) as isize;
        lines::spread::<_, I, O, I>(isa, mix, (dy.x, line, first), (planes, mixed), [rows, self.result[1]]);
    }

    /// Mixes rows of a slice of results, which has `all` of them, `I` for each tile.
    fn mix_results<const I: usize, const O: usize>(
        &self,
        isa: Isa,
        mix: impl Mix<I, O>,
        dy: Images<'_>,
        [rows, slice, all]: [usize; 3],
        (planes, to): (&mut [f32], usize),
    ) {
        let [_, tiles, columns] = self.result;
        let mut pass = |tile: usize, times: usize| {
            let first = (self.origin[1] + tile) * I;
            let start = |i: usize| (first + i < all).then(|| (slice * all + first + i) * columns);
            let reads = Rows { at: std::array::from_fn(start), step: I * columns, plane: dy.channel };
            let start = to + tile * self.pitch[1];
            let at = std::array::from_fn(|u| Some(u * self.result_plane + start));
            let writes = Rows { at, step: self.pitch[1], plane: O * self.result_plane };
            strips::pass(isa, mix, (dy.x, reads), (&mut *planes, writes), [rows, times], [columns, self.pitch[1]]);
        };
        let whole = (all / I).saturating_sub(self.origin[1]).min(tiles);
        pass(0, whole);
        if whole < tiles {
            pass(whole, 1);
        }
    }
}

wide_fn! {
    /// Every `step`-th element.
    fn every<T: Real>(from: &[T], step: usize, to: &mut [T]) {
        if step == 2 {
            // The compiler makes vectors of pairs; the last element may be half of one.
            let pairs = (from.len() / 2).min(to.len());
            to.iter_mut().zip(from.as_chunks::<2>().0).for_each(|(to, pair)| *to = pair[0]);
            to[pairs..].iter_mut().zip(&from[2 * pairs..]).for_each(|(to, from)| *to = *from);
        } else {
            to.iter_mut().zip(from.iter().step_by(step)).for_each(|(to, from)| *to = *from);
        }
    }
}

/// Images: elements from image to image, and from channel to channel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Images<'a> {
    pub(super) x: &'a [f32],
    pub(super) image: usize,
    pub(super) channel: usize,
}
