//! How matrix products are cut up on a GPU.

use super::{Matmul, Sizes};
use crate::contract::{GpuTraits, Kernel};

/// Which kernel computes a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Tiles in workgroup memory, that many of k at a time.
    Tiled { bk: usize },
    /// Registers only.
    Register,
}

/// How a product is cut up: a rule from its shape and the kind of adapter, never a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tiles {
    pub(super) form: Form,
    /// Rows and columns of a workgroup's tile (an invocation's in the register form).
    pub(super) bm: usize,
    pub(super) bn: usize,
    /// Rows and columns of an invocation's tile.
    tm: usize,
    tn: usize,
}

/// Invocations of a workgroup of the register form: few, so that small products have several.
pub(super) const REGISTER_GROUP: usize = 8;
/// How many products a load costs on a software adapter (Mesa 22.3.6).
const LOAD: usize = 30;
/// Products in the inner loop there: its compiler takes longer than in proportion to them.
const PRODUCTS: usize = 64;
/// Products up to which a software adapter's compiler takes longer for a large tile than the tile saves.
const SMALL: usize = 1 << 17;
const MEDIUM: usize = 1 << 22;
/// Workgroups of a software adapter that are at work at once, roughly: fewer do not end sooner.
const SIDE_BY_SIDE: usize = 4;

impl Tiles {
    /// For `jobs` products of this shape at once.
    pub(super) fn choose(s: Sizes, jobs: usize, gpu: &GpuTraits) -> Tiles {
        if gpu.software { Tiles::register(s, jobs) } else { Tiles::tiled(s, jobs) }
    }

    fn tiled(s: Sizes, jobs: usize) -> Tiles {
        // Enough workgroups to fill an adapter, and no tile of which more than half lies outside along a side: the heads of an attention
        // are many small products.
        let fits = |b: usize, enough: usize| s.m.min(s.n) > b / 2 && s.m.div_ceil(b) * s.n.div_ceil(b) * jobs >= enough;
        let form = Form::Tiled { bk: 8 };
        if fits(128, 128) {
            Tiles { form, bm: 128, bn: 128, tm: 8, tn: 8 }
        } else if fits(64, 64) {
            Tiles { form, bm: 64, bn: 64, tm: 8, tn: 4 }
        } else {
            Tiles { form, bm: 32, bn: 32, tm: 4, tn: 4 }
        }
    }

    /// The tile that takes the least time.
    fn register(s: Sizes, jobs: usize) -> Tiles {
        let most = match s.m * s.n * s.k * jobs {
            work if work <= SMALL => PRODUCTS / 4,
            work if work <= MEDIUM => PRODUCTS / 2,
            _ => PRODUCTS,
        };
        let time = |(tm, tn): (usize, usize)| {
            let tiles = s.m.div_ceil(tm) * s.n.div_ceil(tn) * jobs;
            tiles.div_ceil(REGISTER_GROUP).next_multiple_of(SIDE_BY_SIDE) * (LOAD * (tm + tn) + tm * tn)
        };
        let sides = || [1, 2, 4, 8, 16].into_iter();
        let pairs = sides().flat_map(|tm| sides().map(move |tn| (tm, tn))).filter(|(tm, tn)| tm * tn <= most);
        let (tm, tn) = pairs.min_by_key(|pair| time(*pair)).unwrap_or((1, 1));
        Tiles { form: Form::Register, bm: tm, bn: tn, tm, tn }
    }

    fn lanes(&self) -> usize {
        self.bm * self.bn / (self.tm * self.tn)
    }
}

/// Into how many parts the sum over k is cut, and how long each is: where there are few tiles, so that many workgroups share the work.
/// Only the shape decides, so that results repeat from adapter to adapter.
pub(super) fn splits(s: Sizes, matrices: usize) -> (usize, usize) {
    const WANTED: usize = 128;
    const SHORTEST: usize = 256;
    let tiles = s.m.div_ceil(64) * s.n.div_ceil(64) * matrices;
    let wanted = (WANTED / tiles).clamp(1, (s.k / SHORTEST).max(1));
    let chunk = s.k.div_ceil(wanted);
    let chunk = if wanted == 1 { s.k } else { chunk.next_multiple_of(8) };
    (s.k.div_ceil(chunk), chunk)
}

impl Matmul {
    /// The kernel of the product; its epilogue is still to be defined. `even`: all parts of k are equally long.
    pub(super) fn product_kernel(&self, s: Sizes, tiles: &Tiles, even: bool) -> Kernel {
        let (kernel, exact) = match tiles.form {
            Form::Tiled { bk } => {
                let exact =
                    even && s.m.is_multiple_of(tiles.bm) && s.n.is_multiple_of(tiles.bn) && s.k.is_multiple_of(bk);
                let kernel = Kernel::of::<Self>("matmul_tiled").define("FORM", "tiled").define("LANES", tiles.lanes());
                let kernel = kernel.define("BM", tiles.bm).define("BN", tiles.bn).define("BK", bk);
                let swizzle = |across: bool| if across { 7 } else { 0 };
                let kernel = kernel.define("SWIZZLE_A", swizzle(!self.transpose_a));
                (kernel.define("SWIZZLE_B", swizzle(self.transpose_b)).define("EXACT", u32::from(exact)), exact)
            }
            Form::Register => (Kernel::of::<Self>("matmul_register").define("FORM", "register"), false),
        };
        let fours = |whole: bool| if exact && whole { "vec4<f32>" } else { "f32" };
        kernel
            .define("TA", u32::from(self.transpose_a))
            .define("TB", u32::from(self.transpose_b))
            .define("ELEMENT_A", fours(self.transpose_a))
            .define("ELEMENT_B", fours(!self.transpose_b))
            .define("ELEMENT_Y", fours(true))
            .define("TM", tiles.tm)
            .define("TN", tiles.tn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_brings_one_four_of_each_tile() {
        for m in [1, 33, 100, 4096] {
            for n in [1, 33, 100, 4096] {
                for jobs in [1, 64, 1000] {
                    let t = Tiles::tiled(Sizes { m, n, k: 64 }, jobs);
                    let Form::Tiled { bk } = t.form else { panic!("{t:?}") };
                    assert!(bk * t.bm == 4 * t.lanes() && bk * t.bn == 4 * t.lanes() && t.lanes() <= 256, "{t:?}");
                    assert!(t.bm >= 32 && t.bn >= 32 && 2 * bk * (t.bm + t.bn) * 4 <= 16 << 10, "{t:?}");
                }
            }
        }
    }

    #[test]
    fn splits_cover_k_once() {
        for (m, n, k, matrices) in
            [(32, 10, 5408, 1), (1, 1, 1_000_000, 1), (1, 1, 300, 9), (5000, 5000, 5000, 1), (1, 1, 1, 1)]
        {
            let (splits, chunk) = splits(Sizes { m, n, k }, matrices);
            assert!(splits * chunk >= k && (splits - 1) * chunk < k && splits * matrices <= 65_535);
        }
    }
}
