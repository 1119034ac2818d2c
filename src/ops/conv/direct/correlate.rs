//! Correlation of planes with packed weights: convolution forwards, and the gradient of its input.

use super::geometry::{Geometry, Layout};
use crate::microkernel::{self, Isa, Offsets};
use crate::ops::conv::cpu::Epilogue;

/// Products of a sum that are made at once: as many packed weights as stay near, and offsets as lie on the stack.
const DEEP: usize = 512;
/// Elements of all planes of a task that are wanted at once.
const NEAR: usize = 1 << 17;
/// Flat positions from which on more images at once are no gain.
const LONG: usize = 1 << 11;

/// Weights of one group in the order in which tiles read them: for every block of rows, for every product, a row of the block.
#[derive(Clone, Copy)]
pub(super) struct Packed<'a> {
    pub(super) weights: &'a [f32],
    /// Rows in use.
    pub(super) rows: usize,
    /// Products of a sum: channels of the source times taps.
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

/// Packs the weights of one group: `weight(row, channel, tap)`.
pub(super) fn pack(
    isa: Isa,
    g: &Geometry,
    rows: usize,
    channels: usize,
    weight: impl Fn(usize, usize, usize) -> f32,
    to: &mut [f32],
) {
    let depth = channels * g.taps.len();
    let mut at = 0;
    while at < rows {
        let [block, used] = block(isa, rows, at);
        let to = &mut to[at * depth..][..block * depth];
        for (k, to) in to.chunks_exact_mut(block).enumerate() {
            let (channel, tap) = (k / g.taps.len(), g.taps[k % g.taps.len()].index);
            for (i, to) in to.iter_mut().enumerate() {
                *to = if i < used { weight(at + i, channel, tap) } else { 0.0 };
            }
        }
        at += block;
    }
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
    /// Portions of which `channels` planes stay near: from the shape alone.
    pub(super) fn of(g: &Geometry, channels: usize, images: usize) -> Self {
        let all = g.whole();
        let size = |rows: usize, images: usize| {
            let band = g.bands(rows).last().unwrap_or(all);
            let middle = g.bands(rows).nth(1).unwrap_or(band);
            [band, middle].map(|band| Layout::new(g, &band, images).plane).into_iter().max().unwrap_or(0)
        };
        let near = |rows: usize, images: usize| size(rows, images) * channels * g.planes() <= NEAR;
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
    /// Elements of a channel of the source.
    pub(super) volume: usize,
    /// Elements from image to image of the source.
    pub(super) source_image: usize,
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

    /// Elements of the sums that are held at once: a block of rows, or all of them where a sum is made in several parts.
    fn sums(&self, l: &Layout) -> usize {
        let rows = if self.packed.depth > DEEP { padded(self.isa, self.packed.rows) } else { self.isa.rows() };
        rows * self.width(l)
    }

    fn width(&self, l: &Layout) -> usize {
        l.span.next_multiple_of(self.isa.lanes())
    }

    /// Correlates images `x`, one after the other, into `y`.
    pub(super) fn run(&self, images: usize, x: &[f32], y: &mut [f32], memory: &mut [f32]) {
        let (g, together) = (self.geometry, self.portions.images);
        for from in (0..images).step_by(together) {
            let count = together.min(images - from);
            for band in g.bands(self.portions.rows) {
                let layout = Layout::new(g, &band, count);
                let (planes, rest) = memory.split_at_mut(self.planes(&layout));
                planes.fill(0.0);
                for image in 0..count {
                    let x = &x[(from + image) * self.source_image..];
                    let channels = x.chunks(self.volume).zip(planes.chunks_exact_mut(g.planes() * layout.plane));
                    channels.take(self.channels).for_each(|(x, planes)| layout.lay_out(g, x, image, planes));
                }
                let y = &mut y[from * self.target.image..];
                self.band(&layout, count, planes, rest, y);
            }
        }
    }

    fn band(&self, layout: &Layout, images: usize, planes: &[f32], sums: &mut [f32], y: &mut [f32]) {
        let (isa, width, rows, depth) = (self.isa, self.width(layout), self.packed.rows, self.packed.depth);
        let mut offsets = [0; DEEP];
        let parts = depth.div_ceil(DEEP);
        for part in 0..parts {
            let k0 = part * DEEP;
            let offsets = &mut offsets[..DEEP.min(depth - k0)];
            let taps = self.geometry.taps.len();
            for (k, offset) in (k0..).zip(offsets.iter_mut()) {
                let channel = k / taps * self.geometry.planes() * layout.plane;
                *offset = (channel + layout.tap(&self.geometry.taps[k % taps])) as u32;
            }
            let offsets = Offsets::new(offsets);
            let mut at = 0;
            while at < rows {
                let [block, used] = block(isa, rows, at);
                let weights = &self.packed.weights[at * depth + k0 * block..];
                let sums = if parts > 1 { &mut sums[at * width..] } else { &mut *sums };
                self.products(layout, planes, (weights, block), offsets, sums, part > 0);
                if part + 1 == parts {
                    self.finish(layout, images, at..at + used, sums, y);
                }
                at += block;
            }
        }
    }

    /// The sums of one block of rows at all positions of the band.
    fn products(
        &self,
        layout: &Layout,
        planes: &[f32],
        (weights, block): (&[f32], usize),
        offsets: Offsets<'_>,
        sums: &mut [f32],
        add: bool,
    ) {
        let (isa, width) = (self.isa, self.width(layout));
        let mut from = 0;
        while from < width {
            let vectors = ((width - from) / isa.lanes()).min(microkernel::VECTORS);
            let tile = (&mut sums[from..], width);
            microkernel::outer(isa, [block, vectors], (weights, block), &planes[from..], offsets, tile, add);
            from += vectors * isa.lanes();
        }
    }

    /// Brings sums to where they belong: bias and ReLU, and the zeros between rows left out.
    fn finish(
        &self,
        layout: &Layout,
        images: usize,
        rows: std::ops::Range<usize>,
        sums: &[f32],
        y: &mut [f32],
    ) {
        let width = self.width(layout);
        let [slices, lines, columns] = layout.result;
        let t = &self.target;
        let origin: usize = t.first + (0..3).map(|axis| layout.origin[axis] * t.pitch[axis]).sum::<usize>();
        for image in 0..images {
            for (row, sums) in rows.clone().zip(sums.chunks(width)) {
                let bias = self.last.bias.map_or(0.0, |bias| bias[self.first_row + row]);
                let epilogue = Row { bias, relu: self.last.relu };
                for z in 0..slices {
                    for line in 0..lines {
                        let from = image * layout.image + z * layout.pitch[0] + line * layout.pitch[1];
                        let to = origin + image * t.image + row * t.channel + z * t.pitch[0] + line * t.pitch[1];
                        epilogue.copy(&sums[from..from + columns], &mut y[to..], t.pitch[2]);
                    }
                }
            }
        }
    }
}

/// What is done to a row of sums on its way out.
#[derive(Clone, Copy)]
struct Row {
    bias: f32,
    relu: bool,
}

impl Row {
    #[inline(always)]
    fn finished(self, sum: f32) -> f32 {
        let y = sum + self.bias;
        // Not max(): that would drop a NaN.
        if self.relu && y < 0.0 { 0.0 } else { y }
    }

    #[inline]
    fn copy(self, sums: &[f32], y: &mut [f32], step: usize) {
        const WHOLE: usize = 8;
        let n = sums.len();
        if step != 1 {
            return y.iter_mut().step_by(step).zip(sums).for_each(|(y, s)| *y = self.finished(*s));
        }
        let y = &mut y[..n];
        if n < WHOLE {
            return y.iter_mut().zip(sums).for_each(|(y, s)| *y = self.finished(*s));
        }
        let whole = |sums: &[f32], y: &mut [f32]| {
            if let (Some(sums), Some(y)) = (sums.first_chunk::<WHOLE>(), y.first_chunk_mut::<WHOLE>()) {
                *y = sums.map(|s| self.finished(s));
            }
        };
        for (sums, y) in sums.chunks_exact(WHOLE).zip(y.chunks_exact_mut(WHOLE)) {
            whole(sums, y);
        }
        // The last step begins earlier, so that it is a whole one; what it does again comes out the same.
        whole(&sums[n - WHOLE..], &mut y[n - WHOLE..]);
    }
}
