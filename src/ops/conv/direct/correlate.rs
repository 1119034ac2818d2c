//! Correlation of planes with packed weights: convolution forwards, and the gradient of its input.

use std::ops::Range;

use rayon::prelude::*;

use super::geometry::Geometry;
use super::layout::{Images, Layout};
use super::winograd::{self, Shared};
use crate::microkernel::lines::{self, Line, Mixed};
use crate::microkernel::rectangle::Rectangle;
use crate::microkernel::strips::{self, By, Finished, Mix, Rows, Same};
use crate::microkernel::{self, First, Isa, MOST_ROWS, Offsets};
use crate::ops::conv::cpu::Epilogue;

/// Products of a sum that are made at once: as many packed weights as stay near, and offsets as lie on the stack.
pub(super) const DEEP: usize = 512;
/// Flat positions from which on more images at once are no gain.
const LONG: usize = 1 << 11;

/// Weights of one group in the order in which tiles read them: for every product of a tap, for every block of rows, for every channel
/// and tap, a row of the block.
#[derive(Clone, Copy)]
pub(super) struct Packed<'a> {
    pub(super) weights: &'a [f32],
    /// Elements from product to product.
    pub(super) apart: usize,
    /// Rows in use.
    pub(super) rows: usize,
    /// Channels of the source times taps.
    pub(super) depth: usize,
}

/// Rows of the block at row `at` of `rows`, padded to what tiles there are, and how many of them are in use.
pub(super) fn block(isa: Isa, rows: usize, at: usize) -> [usize; 2] {
    let used = (rows - at).min(isa.rows());
    [used.next_power_of_two(), used]
}

/// Rows of all blocks.
pub(super) fn padded(isa: Isa, rows: usize) -> usize {
    let whole = rows / isa.rows() * isa.rows();
    whole + if rows > whole { block(isa, rows, whole)[0] } else { 0 }
}

/// Packs the weights of one group: `weight(row, channel, tap of the window)`.
pub(super) fn pack(
    isa: Isa,
    g: &Geometry,
    rows: usize,
    channels: usize,
    weight: impl Fn(usize, usize, usize) -> f32 + Sync,
    to: &mut [f32],
) {
    let (depth, taps) = (channels * g.taps.len(), &g.taps);
    let one = padded(isa, rows) * depth;
    let large = to.len() > 1 << 14;
    // A tile holds the weights of one block of rows in every product.
    let task = |([_, start], mut to): ([usize; 2], Rectangle<'_>)| {
        let at = start / depth;
        let [block, used] = block(isa, rows, at);
        for (channel, (k, tap)) in
            (0..channels).flat_map(|channel| taps.iter().enumerate().map(move |tap| (channel, tap)))
        {
            let of = |tap: usize| -> [f32; MOST_ROWS] {
                std::array::from_fn(|row| if row < used { weight(at + row, channel, tap) } else { 0.0 })
            };
            let from = (channel * taps.len() + k) * block;
            g.weights(tap, of, |u, weights| to.row(u)[from..][..block].copy_from_slice(&weights[..block]));
        }
    };
    let tiles = Rectangle::new(to, one, [g.products(), one]).tiles([g.products(), isa.rows() * depth]);
    tiles.with_min_len(if large { 1 } else { usize::MAX }).for_each(task);
}

/// Where results go: elements from image to image, row (channel) to row, slice to slice, row to row, column to column, and the first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    pub(super) image: usize,
    pub(super) channel: usize,
    pub(super) pitch: [usize; 3],
    pub(super) first: usize,
}

/// How images and bands of them are taken together, and the memory that takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Portions {
    /// Images laid out together; only where they are not cut into bands.
    pub(super) images: usize,
    /// Results of a band along the long axis.
    pub(super) rows: usize,
}

impl Portions {
    /// Portions of which the planes of `channels` channels take about `elements`: from the shape alone.
    pub(super) fn of(g: &Geometry, channels: usize, images: usize, elements: usize) -> Self {
        let all = g.whole();
        let size = |rows: usize, images: usize| {
            let band = g.bands(rows).last().unwrap_or(all);
            let middle = g.bands(rows).nth(1).unwrap_or(band);
            [band, middle].map(|band| Layout::new(g, &band, images).plane).into_iter().max().unwrap_or(0)
        };
        let near = |rows: usize, images: usize| size(rows, images) * channels * g.planes() <= elements;
        let mut rows = all.rows();
        while rows > 1 && !near(rows, 1) {
            rows = rows.div_ceil(2);
        }
        let mut together = 1;
        while rows == all.rows() && together * 2 <= images && size(rows, together) < LONG && near(rows, together * 2) {
            together *= 2;
        }
        Portions { images: together, rows }
    }

    /// Every layout that these portions have.
    pub(super) fn layouts(&self, g: &Geometry) -> impl Iterator<Item = Layout> {
        let images = self.images;
        g.bands(self.rows).map(move |band| Layout::new(g, &band, images))
    }
}

/// A correlation that is ready to run over images.
pub(super) struct Correlation<'a> {
    pub(super) isa: Isa,
    pub(super) geometry: &'a Geometry,
    pub(super) packed: Packed<'a>,
    /// Channels of the source.
    pub(super) channels: usize,
    pub(super) portions: Portions,
    pub(super) target: Target,
    pub(super) last: Epilogue<'a, f32>,
    /// The first row's output channel, for the bias.
    pub(super) first_row: usize,
}

impl Correlation<'_> {
    /// Elements of memory that [`Correlation::run`] wants.
    pub(super) fn memory(&self) -> usize {
        self.portions.layouts(self.geometry).map(|l| self.planes(&l) + self.sums(&l)).max().unwrap_or(0)
    }

    fn planes(&self, l: &Layout) -> usize {
        self.channels * self.geometry.planes() * l.plane
    }

    /// Rows of sums that are held at once: a block of them, or all where a sum is made in several parts.
    fn held(&self) -> usize {
        if self.packed.depth > DEEP { padded(self.isa, self.packed.rows) } else { self.isa.rows() }
    }

    fn sums(&self, l: &Layout) -> usize {
        self.geometry.products() * self.held() * self.width(l)
    }

    fn width(&self, l: &Layout) -> usize {
        l.span.next_multiple_of(self.isa.lanes())
    }

    /// Correlates images `x` into `y`.
    pub(super) fn run(&self, images: usize, x: Images<'_>, y: &mut [f32], memory: &mut [f32]) {
        let (g, together) = (self.geometry, self.portions.images);
        for from in (0..images).step_by(together) {
            for band in g.bands(self.portions.rows) {
                let layout = Layout::new(g, &band, together.min(images - from));
                let (planes, rest) = memory.split_at_mut(self.planes(&layout));
                let x = Images { x: &x.x[from * x.image..], ..x };
                layout.lay_out(self.isa, g, x, self.channels, planes);
                self.band(&layout, planes, rest, &mut y[from * self.target.image..]);
            }
        }
    }

    fn band(&self, layout: &Layout, planes: &[f32], sums: &mut [f32], y: &mut [f32]) {
        let (isa, width, rows, depth) = (self.isa, self.width(layout), self.packed.rows, self.packed.depth);
        let mut offsets = [0; DEEP];
        let parts = depth.div_ceil(DEEP);
        for part in 0..parts {
            let k0 = part * DEEP;
            let offsets = &mut offsets[..DEEP.min(depth - k0)];
            layout.offsets(self.geometry, k0, offsets);
            let offsets = Offsets::new(offsets);
            let mut at = 0;
            while at < rows {
                let [block, used] = block(isa, rows, at);
                let held = if parts > 1 { at } else { 0 };
                for u in 0..self.geometry.products() {
                    let weights = &self.packed.weights[u * self.packed.apart + at * depth + k0 * block..];
                    let sums = &mut sums[(u * self.held() + held) * width..];
                    self.products((&planes[u * layout.plane..], width), (weights, block), offsets, sums, part > 0);
                }
                if part + 1 == parts {
                    self.finish(layout, at..at + used, &sums[held * width..], y);
                }
                at += block;
            }
        }
    }

    /// The sums of one block of rows at all positions of the band.
    fn products(
        &self,
        (planes, width): (&[f32], usize),
        (weights, block): (&[f32], usize),
        offsets: Offsets<'_>,
        sums: &mut [f32],
        add: bool,
    ) {
        let isa = self.isa;
        let mut from = 0;
        while from < width {
            let vectors = ((width - from) / isa.lanes()).min(microkernel::VECTORS);
            let tile = Rectangle::new(&mut sums[from..], width, [block, vectors * isa.lanes()]);
            microkernel::outer(
                isa,
                [block, vectors],
                First::Packed(weights, block),
                &planes[from..],
                offsets,
                tile,
                add,
            );
            from += vectors * isa.lanes();
        }
    }

    /// Brings sums to where they belong: bias and ReLU, and the zeros between rows left out.
    fn finish(&self, layout: &Layout, rows: Range<usize>, sums: &[f32], y: &mut [f32]) {
        let t = &self.target;
        let shared = self.geometry.fold.map_or(1, |fold| fold.shared.rows());
        let [z, line, column] = layout.origin;
        let origin =
            t.first + rows.start * t.channel + z * t.pitch[0] + line * shared * t.pitch[1] + column * t.pitch[2];
        let bias = self.last.bias.map(|bias| &bias[self.first_row + rows.start..]);
        for image in 0..layout.images {
            for z in 0..layout.result[0] {
                let from = image * layout.image + z * layout.pitch[0];
                let to = origin + image * t.image + z * t.pitch[0];
                self.finish_slice(layout, (rows.len(), bias), (sums, from), (y, to));
            }
        }
    }

    /// One slice of a block's rows.
    fn finish_slice(
        &self,
        layout: &Layout,
        (rows, bias): (usize, Option<&[f32]>),
        (sums, from): (&[f32], usize),
        (y, to): (&mut [f32], usize),
    ) {
        // A residual comes before the ReLU, and later than this.
        let relu = self.last.relu && self.last.residual.is_none();
        let mix = Finished { after: By(winograd::Result), bias, relu };
        match self.geometry.fold.map(|fold| fold.shared) {
            Some(Shared::F23) => self.finish_tiles::<4, 2>(layout, rows, mix, (sums, from), (y, to)),
            Some(Shared::F43) => self.finish_tiles::<6, 4>(layout, rows, mix, (sums, from), (y, to)),
            Some(Shared::F25) => self.finish_tiles::<6, 2>(layout, rows, mix, (sums, from), (y, to)),
            None if self.target.pitch[2] == 1 => {
                let mix = Finished { after: Same, bias, relu };
                self.finish_tiles::<1, 1>(layout, rows, mix, (sums, from), (y, to));
            }
            None => self.finish_apart(layout, rows, (sums, from), (y, to)),
        }
    }

    /// Rows of results whose columns are apart. Only the gradient of the input has those, without bias and ReLU.
    fn finish_apart(&self, layout: &Layout, rows: usize, (sums, from): (&[f32], usize), (y, to): (&mut [f32], usize)) {
        let ([_, lines, columns], t) = (layout.result, &self.target);
        for (row, line) in (0..rows).flat_map(|row| (0..lines).map(move |line| (row, line))) {
            let sums = &sums[from + row * self.width(layout) + line * layout.pitch[1]..][..columns];
            let y = &mut y[to + row * t.channel + line * t.pitch[1]..];
            y.iter_mut().step_by(t.pitch[2]).zip(sums).for_each(|(y, sum)| *y = *sum);
        }
    }

    /// Rows of results, tile by tile.
    fn finish_tiles<const I: usize, const O: usize>(
        &self,
        layout: &Layout,
        rows: usize,
        mix: impl Mix<I, O>,
        (sums, from): (&[f32], usize),
        (y, to): (&mut [f32], usize),
    ) {
        let [_, tiles, columns] = layout.result;
        let (t, width) = (&self.target, self.width(layout));
        let apart = self.held() * width;
        // Rows from the band's first one on: the last tile may have fewer.
        let all = self.geometry.fold.map_or(tiles, |fold| fold.result - layout.origin[1] * O);
        if self.geometry.upright {
            let mixed = Mixed { at: from, row: apart, plane: width };
            let line = Line { at: to, len: all.min(tiles * O), plane: t.channel };
            return lines::collect(self.isa, mix, (sums, mixed), (y, line), rows);
        }
        let mut pass = |tile: usize, times: usize| {
            let at = std::array::from_fn(|u| Some(u * apart + from + tile * layout.pitch[1]));
            let reads = Rows { at, step: layout.pitch[1], plane: width };
            let row = |i: usize| (tile * O + i < all).then(|| to + (tile * O + i) * t.pitch[1]);
            let writes = Rows { at: std::array::from_fn(row), step: O * t.pitch[1], plane: t.channel };
            strips::pass(self.isa, mix, (sums, reads), (&mut *y, writes), [rows, times], [columns; 2]);
        };
        let whole = (all / O).min(tiles);
        pass(0, whole);
        if whole < tiles {
            pass(whole, 1);
        }
    }
}
