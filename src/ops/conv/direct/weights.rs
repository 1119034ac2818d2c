//! The gradient of a convolution's weights: for every output channel and every tap, the product of two planes.

use super::correlate::Portions;
use super::geometry::{Geometry, Layout};
use crate::microkernel::{self, Isa};

/// Positions that are multiplied at once: so few that a tile's rows of `dy` stay in the nearest cache while the taps pass by.
const LONG: usize = 1536;

/// The gradient of one group's weights, ready to run over images.
pub(super) struct WeightGradient<'a> {
    pub(super) isa: Isa,
    pub(super) geometry: &'a Geometry,
    /// Channels of `x`, elements of one of them, and from image to image.
    pub(super) channels: usize,
    pub(super) volume: usize,
    pub(super) x_image: usize,
    /// Output channels, elements of one of them, and from image to image.
    pub(super) rows: usize,
    pub(super) positions: usize,
    pub(super) dy_image: usize,
    pub(super) portions: Portions,
}

impl WeightGradient<'_> {
    /// Elements of memory that [`WeightGradient::run`] wants.
    pub(super) fn memory(&self) -> usize {
        self.portions.layouts(self.geometry).map(|l| self.x_planes(&l) + self.dy_planes(&l)).max().unwrap_or(0)
    }

    fn x_planes(&self, l: &Layout) -> usize {
        self.channels * self.geometry.planes() * l.plane
    }

    fn width(&self, l: &Layout) -> usize {
        l.span.next_multiple_of(self.isa.lanes())
    }

    fn dy_planes(&self, l: &Layout) -> usize {
        self.rows * self.width(l)
    }

    /// Adds the gradient of images `x`, `dy` to `dw` `[rows, channels · taps]`.
    pub(super) fn run(&self, images: usize, x: &[f32], dy: &[f32], dw: &mut [f32], memory: &mut [f32]) {
        let (g, together) = (self.geometry, self.portions.images);
        for from in (0..images).step_by(together) {
            let count = together.min(images - from);
            for band in g.bands(self.portions.rows) {
                let layout = Layout::new(g, &band, count);
                let width = self.width(&layout);
                let (x_planes, rest) = memory.split_at_mut(self.x_planes(&layout));
                let dy_planes = &mut rest[..self.dy_planes(&layout)];
                x_planes.fill(0.0);
                dy_planes.fill(0.0);
                for image in 0..count {
                    let x = x[(from + image) * self.x_image..].chunks(self.volume);
                    let planes = x.zip(x_planes.chunks_exact_mut(g.planes() * layout.plane));
                    planes.take(self.channels).for_each(|(x, planes)| layout.lay_out(g, x, image, planes));
                    let dy = dy[(from + image) * self.dy_image..].chunks(self.positions);
                    let planes = dy.zip(dy_planes.chunks_exact_mut(width));
                    planes.for_each(|(dy, plane)| layout.lay_out_results(g.result, dy, image, plane));
                }
                self.band(&layout, x_planes, dy_planes, dw);
            }
        }
    }

    fn band(&self, layout: &Layout, x: &[f32], dy: &[f32], dw: &mut [f32]) {
        let ([most_rows, most_columns], width) = (self.isa.inner(), self.width(layout));
        let (taps, planes) = (&self.geometry.taps, self.geometry.planes());
        let depth = self.channels * taps.len();
        let at = |k: usize| k / taps.len() * planes * layout.plane + layout.tap(&taps[k % taps.len()]);
        for from in (0..width).step_by(LONG) {
            let len = LONG.min(width - from);
            for row in (0..self.rows).step_by(most_rows) {
                let mut rows = [0; microkernel::INNER[0]];
                let rows = &mut rows[..most_rows.min(self.rows - row)];
                rows.iter_mut().zip(row..).for_each(|(at, row)| *at = (row * width + from) as u32);
                for k in (0..depth).step_by(most_columns) {
                    let mut columns = [0; microkernel::INNER[1]];
                    let columns = &mut columns[..most_columns.min(depth - k)];
                    columns.iter_mut().zip(k..).for_each(|(to, k)| *to = (at(k) + from) as u32);
                    let to = (&mut dw[row * depth + k..], depth);
                    microkernel::inner(self.isa, (dy, rows), (x, columns), len, to);
                }
            }
        }
    }
}
