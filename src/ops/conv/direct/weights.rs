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
        self.rows * self.geometry.products() * l.result_plane
    }

    /// Channels of `x` times taps.
    fn depth(&self) -> usize {
        self.channels * self.geometry.taps.len()
    }

    /// Adds the gradient of images `x`, `dy` to `sums` `[rows, products, channels · taps]`.
    pub(super) fn run(&self, images: usize, x: &[f32], dy: &[f32], sums: &mut [f32], memory: &mut [f32]) {
        let (isa, g, together) = (self.isa, self.geometry, self.portions.images);
        for from in (0..images).step_by(together) {
            let count = together.min(images - from);
            for band in g.bands(self.portions.rows) {
                let layout = Layout::new(g, &band, count);
                let (x_planes, rest) = memory.split_at_mut(self.x_planes(&layout));
                let dy_planes = &mut rest[..self.dy_planes(&layout)];
                for (channel, planes) in x_planes.chunks_exact_mut(g.planes() * layout.plane).enumerate() {
                    let x = &x[from * self.x_image + channel * self.volume..];
                    layout.lay_out(isa, g, x, self.x_image, planes);
                }
                for (row, planes) in dy_planes.chunks_exact_mut(g.products() * layout.result_plane).enumerate() {
                    let dy = &dy[from * self.dy_image + row * self.positions..];
                    layout.lay_out_results(isa, g, dy, self.dy_image, planes);
                }
                (0..g.products()).for_each(|u| self.product(&layout, u, x_planes, dy_planes, sums));
            }
        }
    }

    /// The sums of product `u` of a band.
    fn product(&self, layout: &Layout, u: usize, x: &[f32], dy: &[f32], sums: &mut [f32]) {
        let ([most_rows, most_columns], width) = (self.isa.inner(), self.width(layout));
        let (g, depth) = (self.geometry, self.depth());
        let apart = g.products() * layout.result_plane;
        let at = |k: usize| {
            let tap = layout.tap(&g.taps[k % g.taps.len()]);
            (k / g.taps.len() * g.planes() + u) * layout.plane + tap
        };
        for from in (0..width).step_by(LONG) {
            let len = LONG.min(width - from);
            for row in (0..self.rows).step_by(most_rows) {
                let mut rows = [0; microkernel::INNER[0]];
                let rows = &mut rows[..most_rows.min(self.rows - row)];
                let start = |row: usize| row * apart + u * layout.result_plane + from;
                rows.iter_mut().zip(row..).for_each(|(at, row)| *at = start(row) as u32);
                for k in (0..depth).step_by(most_columns) {
                    let mut columns = [0; microkernel::INNER[1]];
                    let columns = &mut columns[..most_columns.min(depth - k)];
                    columns.iter_mut().zip(k..).for_each(|(to, k)| *to = (at(k) + from) as u32);
                    let to = (&mut sums[(row * g.products() + u) * depth + k..], g.products() * depth);
                    microkernel::inner(self.isa, (dy, rows), (x, columns), len, to);
                }
            }
        }
    }
}
