//! How the products of a convolution are cut up on a GPU.

use super::Sizes;
use super::gpu::Kind;
use crate::contract::GpuTraits;

/// The matrix product of one group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Product {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) k: usize,
    /// Neighbours along k that its parts should not be cut between.
    pub(super) line: usize,
}

impl Product {
    pub(super) fn of(kind: Kind, s: &Sizes) -> Product {
        match kind {
            Kind::Forward { .. } => {
                Product { rows: s.group_out(), columns: s.batch * s.positions(), k: s.taps(), line: 1 }
            }
            Kind::GradX => {
                // The largest phase.
                let step = phase_steps(s);
                let each =
                    |extents: [usize; 3]| (0..3).map(|axis| extents[axis].div_ceil(step[axis])).product::<usize>();
                let taps = each(s.window.kernel);
                Product { rows: s.group_in(), columns: s.batch * each(s.input), k: s.group_out() * taps, line: 1 }
            }
            Kind::GradW => {
                Product { rows: s.group_out(), columns: s.taps(), k: s.batch * s.positions(), line: s.output[2] }
            }
        }
    }

    fn tiles(&self, bm: usize, bn: usize) -> usize {
        self.rows.div_ceil(bm) * self.columns.div_ceil(bn)
    }
}

/// Which kernel computes a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Tiles in workgroup memory, [`BK`] of k at a time.
    Tiled { bm: usize, bn: usize },
    /// Registers only.
    Register,
    /// Registers only, and columns that are neighbours in memory are loaded once for all taps that see
    /// them: of `inputs` channels and `tap_rows` rows of taps for the gradient of the weights.
    Window { inputs: usize, tap_rows: usize },
}

/// How a product is cut up: a rule from its shape and the kind of adapter, never a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tiles {
    pub(super) form: Form,
    /// Rows and columns of an invocation.
    pub(super) tm: usize,
    pub(super) tn: usize,
}

/// Rows up to which a workgroup tile would be mostly empty: depthwise convolutions, and images of three channels.
const FEW_ROWS: usize = 4;
/// Workgroups that keep a large GPU busy.
const BUSY: usize = 128;
/// How many of k lie in a tile.
pub(super) const BK: usize = 8;
/// Products in the inner loop on a software adapter: with twice as many its compiler takes more than a second.
const PRODUCTS: usize = 320;
/// Products of a convolution up to which that second is worth more.
const SMALL: usize = 1 << 24;
/// How many products a load costs there (Mesa 22.3.6).
const LOAD: usize = 30;

/// Whether neighbouring columns of what is computed see neighbouring columns.
fn has_windows(kind: Kind, s: &Sizes) -> bool {
    let w = &s.window;
    w.stride[2] == 1 && w.dilation[2] == 1 && w.kernel[2] <= 16 && (kind != Kind::GradX || w.stride == [1; 3])
}

impl Tiles {
    /// `jobs` products of this shape run at once.
    pub(super) fn choose(kind: Kind, s: &Sizes, product: &Product, jobs: usize, gpu: &GpuTraits) -> Tiles {
        if gpu.software && has_windows(kind, s) {
            return Tiles::window(kind, s, product.rows * product.columns * product.k);
        }
        if gpu.software || product.rows <= FEW_ROWS {
            return Tiles { form: Form::Register, tm: product.rows.next_power_of_two().min(8), tn: 4 };
        }
        Tiles::tiled(product, jobs)
    }

    fn tiled(product: &Product, jobs: usize) -> Tiles {
        let least = product.rows.min(product.columns);
        let fits = |side: usize| 2 * least > side && product.tiles(side, side) * jobs >= BUSY;
        let (side, tm, tn) = if fits(128) {
            (128, 8, 8)
        } else if fits(64) {
            (64, 8, 4)
        } else {
            (32, 4, 4)
        };
        Tiles { form: Form::Tiled { bm: side, bn: side }, tm, tn }
    }

    /// Few enough sums for the compiler, which takes longer than in proportion to them. `work` is how many products there are in all.
    fn window(kind: Kind, s: &Sizes, work: usize) -> Tiles {
        let [_, kh, kw] = s.window.kernel;
        if kind == Kind::GradW {
            const TAPS: usize = 10;
            let tap_rows = if kh * kw <= TAPS { kh } else { 1 };
            let inputs = (TAPS / (tap_rows * kw)).clamp(1, s.group_in());
            return Tiles {
                form: Form::Window { inputs, tap_rows },
                tm: s.group_out().next_power_of_two().min(4),
                tn: 1,
            };
        }
        let rows = if kind == Kind::GradX { s.group_in() } else { s.group_out() };
        // What loads and products cost, in the time that a product takes.
        let time = |(tm, tn): &(usize, usize)| {
            let each = LOAD * (tn + kw - 1 + tm * kw) + tm * tn * kw;
            rows.div_ceil(*tm) * kind.row(s).div_ceil(*tn) * each
        };
        let most = if work <= SMALL { PRODUCTS / 3 } else { PRODUCTS };
        let (tm, tn) = [(4, 16), (8, 8), (4, 8), (4, 4), (1, 16)]
            .into_iter()
            .filter(|(tm, tn)| tm * tn * kw <= most || tm * tn <= 16)
            .min_by_key(time)
            .unwrap_or((4, 4));
        Tiles { form: Form::Window { inputs: 0, tap_rows: 0 }, tm, tn }
    }

    /// Rows and columns that one unit of the grid covers.
    pub(super) fn unit(&self) -> [usize; 2] {
        match self.form {
            Form::Tiled { bm, bn } => [bm, bn],
            Form::Register | Form::Window { .. } => [self.tm, self.tn],
        }
    }

    /// Invocations of a workgroup tile.
    pub(super) fn lanes(&self) -> usize {
        let [bm, bn] = self.unit();
        bm * bn / (self.tm * self.tn)
    }
}

/// The strides that cut the gradient of `x` into phases: places of `x` that are as far apart see the same taps, and no others. With
/// dilation they are not as simple, and there is one phase.
fn phase_steps(s: &Sizes) -> [usize; 3] {
    if s.window.dilation == [1; 3] { s.window.stride } else { [1; 3] }
}

/// How many products of a group a convolution is.
pub(super) fn phases(kind: Kind, s: &Sizes) -> usize {
    if kind == Kind::GradX { phase_steps(s).iter().product() } else { 1 }
}

/// Into how many parts the sum over k of `jobs` products is cut, and how long each is. Only the shape decides, so that results
/// repeat from adapter to adapter.
pub(super) fn splits(product: &Product, jobs: usize) -> (usize, usize) {
    const WANTED: usize = 512;
    const SHORTEST: usize = 256;
    let wanted = (WANTED / (product.tiles(64, 64) * jobs)).clamp(1, product.k.div_ceil(SHORTEST));
    // Parts are whole rows of dy where those are shorter.
    let chunk = product.k.div_ceil(wanted);
    let chunk = chunk.next_multiple_of(if product.line <= chunk { product.line } else { BK });
    (product.k.div_ceil(chunk), chunk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_brings_one_four_of_each_tile() {
        for rows in [5, 16, 17, 33, 64, 65, 100, 129, 512] {
            for columns in [1, 9, 27, 64, 100, 1000, 40_000, 1 << 20] {
                for jobs in [1, 7, 512] {
                    let product = Product { rows, columns, k: 100, line: 1 };
                    let t = Tiles::tiled(&product, jobs);
                    let ([bm, bn], lanes) = (t.unit(), t.lanes());
                    // A lane brings one four of each tile, and the fours of a row may be permuted by eights.
                    assert!(bm * BK == 4 * lanes && bn * BK == 4 * lanes && lanes <= 256, "{t:?}");
                    // Where moments are wanted, each lane puts its sums of rows into a tile.
                    assert!(bn / t.tn * bm <= 2 * BK * bm, "{t:?}");
                    assert!(bm >= 32 && bn >= 32 && 2 * (bm + bn) * BK * 4 <= 16 << 10, "{t:?}");
                }
            }
        }
    }

    #[test]
    fn splits_cover_k_once() {
        for (rows, columns, k, jobs) in
            [(32, 9, 21_632, 1), (1, 9, 1_000_000, 64), (512, 4608, 50_000, 1), (3, 3, 1, 1)]
        {
            let product = Product { rows, columns, k, line: 26 };
            let (splits, chunk) = splits(&product, jobs);
            assert!(splits * chunk >= k && (splits - 1) * chunk < k && splits * jobs <= 65_535);
        }
    }
}
