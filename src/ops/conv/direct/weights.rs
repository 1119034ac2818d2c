//! The gradient of a convolution's weights: for every output channel and every tap, the product of two planes.

use super::correlate::{DEEP, Portions};
use super::geometry::Geometry;
use super::layout::{Images, Layout};
use crate::microkernel::{self, Isa};

/// Positions that are multiplied at once: so few that a tile's rows of `dy` stay in the nearest cache while the taps pass by.
const LONG: usize = 1536;

/// The gradient of one group's weights, ready to run over images.
pub(super) struct WeightGradient<'a> {
    pub(super) isa: Isa,
    pub(super) geometry: &'a Geometry,
    /// Channels of `x`.
    pub(super) channels: usize,
    /// Output channels.
    pub(super) rows: usize,
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
    pub(super) fn run(&self, images: usize, x: Images<'_>, dy: Images<'_>, sums: &mut [f32], memory: &mut [f32]) {
        let (isa, g, together) = (self.isa, self.geometry, self.portions.images);
        for from in (0..images).step_by(together) {
            for band in g.bands(self.portions.rows) {
                let layout = Layout::new(g, &band, together.min(images - from));
                let (x_planes, rest) = memory.split_at_mut(self.x_planes(&layout));
                let dy_planes = &mut rest[..self.dy_planes(&layout)];
                let of = |images: Images<'_>| from * images.image;
                layout.lay_out(isa, g, Images { x: &x.x[of(x)..], ..x }, self.channels, x_planes);
                layout.lay_out_results(isa, g, Images { x: &dy.x[of(dy)..], ..dy }, self.rows, dy_planes);
                self.band(&layout, x_planes, dy_planes, sums);
            }
        }
    }

    /// The sums of a band.
    fn band(&self, layout: &Layout, x: &[f32], dy: &[f32], sums: &mut [f32]) {
        let mut offsets = [0; DEEP];
        for k0 in (0..self.depth()).step_by(DEEP) {
            let offsets = &mut offsets[..DEEP.min(self.depth() - k0)];
            layout.offsets(self.geometry, k0, offsets);
            for u in 0..self.geometry.products() {
                let planes = (&x[u * layout.plane..], &dy[u * layout.result_plane..]);
                self.product(layout, planes, offsets, &mut sums[u * self.depth() + k0..]);
            }
        }
    }

    /// The sums of one product, for the channels and taps of `offsets`.
    fn product(&self, layout: &Layout, (x, dy): (&[f32], &[f32]), offsets: &[u32], sums: &mut [f32]) {
        let ([most_rows, most_columns], width) = (self.isa.inner(), self.width(layout));
        let products = self.geometry.products();
        let (dy_apart, apart) = (products * layout.result_plane, products * self.depth());
        for from in (0..width).step_by(LONG) {
            let (x, dy, len) = (&x[from..], &dy[from..], LONG.min(width - from));
            for row in (0..self.rows).step_by(most_rows) {
                let mut rows = [0; microkernel::INNER[0]];
                let rows = &mut rows[..most_rows.min(self.rows - row)];
                rows.iter_mut().zip(row..).for_each(|(at, row)| *at = (row * dy_apart) as u32);
                for (i, columns) in offsets.chunks(most_columns).enumerate() {
                    let to = (&mut sums[row * apart + i * most_columns..], apart);
                    microkernel::inner(self.isa, (dy, rows), (x, columns), len, to);
                }
            }
        }
    }
}
