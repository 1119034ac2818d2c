//! The launches of `shaders/conv.wgsl`: each kind of convolution as one matrix product per group.

use bytemuck::{Pod, Zeroable};

use super::{Conv, Sizes};
use crate::contract::{GpuTraits, Io, Kernel, Launch, Launches, Slot, grid};
use crate::shape::TensorSpec;

/// Which product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Forward { bias: bool, relu: bool },
    GradX,
    GradW,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
struct Params {
    c_in: u32,
    c_out: u32,
    group_in: u32,
    group_out: u32,
    input: [u32; 3],
    output: [u32; 3],
    kernel: [u32; 3],
    stride: [u32; 3],
    dilation: [u32; 3],
    before: [u32; 3],
    rows: u32,
    columns: u32,
    k: u32,
    groups: u32,
    chunk: u32,
    splits: u32,
    row_tiles: u32,
    column_tiles: u32,
    step: [u32; 4],
}

/// The matrix product of one group.
#[derive(Clone, Copy, Debug)]
struct Product {
    rows: usize,
    columns: usize,
    k: usize,
    /// Extents of the last three of k's four coordinates.
    k_extents: [usize; 3],
}

impl Product {
    fn of(kind: Kind, s: &Sizes) -> Product {
        match kind {
            Kind::Forward { .. } => Product {
                rows: s.group_out(),
                columns: s.batch * s.positions(),
                k: s.taps(),
                k_extents: s.window.kernel,
            },
            Kind::GradX => Product {
                rows: s.group_in(),
                columns: s.batch * s.volume(),
                k: s.group_out() * s.channel_taps(),
                k_extents: s.window.kernel,
            },
            Kind::GradW => Product {
                rows: s.group_out(),
                columns: s.taps(),
                k: s.batch * s.positions(),
                k_extents: s.output,
            },
        }
    }

    fn tiles(&self, bm: usize, bn: usize) -> usize {
        self.rows.div_ceil(bm) * self.columns.div_ceil(bn)
    }
}

/// How a product is cut up: a rule from its shape and the kind of adapter, never a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tiles {
    /// Tiles in workgroup memory; else registers only, where `bm`, `bn` and `bk` are not used.
    tiled: bool,
    bm: usize,
    bn: usize,
    bk: usize,
    /// Rows and columns of an invocation.
    tm: usize,
    tn: usize,
}

/// Rows up to which a workgroup tile would be mostly empty: depthwise convolutions, and images of three channels.
const FEW_ROWS: usize = 4;
/// Workgroups that keep a large GPU busy.
const BUSY: usize = 128;

impl Tiles {
    /// `jobs` products of this shape run at once.
    fn choose(product: &Product, jobs: usize, gpu: &GpuTraits) -> Tiles {
        let rows = product.rows;
        if gpu.software || rows <= FEW_ROWS {
            let tm = if rows == 1 {
                1
            } else if rows <= 4 {
                4
            } else {
                8
            };
            return Tiles { tiled: false, bm: tm, bn: 4, bk: 1, tm, tn: 4 };
        }
        if rows > 96 && product.columns > 96 && product.tiles(128, 128) * jobs >= BUSY {
            return Tiles { tiled: true, bm: 128, bn: 128, bk: 8, tm: 8, tn: 8 };
        }
        let fit = |extent: usize| extent.next_power_of_two().clamp(16, 64);
        let (mut bm, mut bn) = (fit(rows), fit(product.columns));
        while product.tiles(bm, bn) * jobs < BUSY && bm.max(bn) > 16 {
            if bn >= bm { bn /= 2 } else { bm /= 2 }
        }
        // Smaller tiles give less to each invocation, so that a workgroup is never smaller than a subgroup.
        let t = if bm * bn >= 2048 { 4 } else { 2 };
        Tiles { tiled: true, bm, bn, bk: 16, tm: t, tn: t }
    }

    fn lanes(&self) -> usize {
        self.bm * self.bn / (self.tm * self.tn)
    }
}

/// Into how many parts the sum over k of `jobs` products is cut, and how long each is. Only the shape decides, so that results
/// repeat from adapter to adapter.
fn splits(product: &Product, jobs: usize) -> (usize, usize) {
    const WANTED: usize = 512;
    const SHORTEST: usize = 256;
    let wanted = (WANTED / (product.tiles(64, 64) * jobs)).clamp(1, product.k.div_ceil(SHORTEST));
    // Parts start at whole tiles of k, whichever tile is chosen.
    let chunk = product.k.div_ceil(wanted).next_multiple_of(16);
    (product.k.div_ceil(chunk), chunk)
}

pub(super) fn launches(kind: Kind, s: &Sizes, io: &Io, gpu: &GpuTraits) -> Launches {
    let product = Product::of(kind, s);
    let (splits, chunk) = if kind == Kind::GradW { splits(&product, s.groups) } else { (1, product.k) };
    let jobs = s.groups * splits;
    let t = Tiles::choose(&product, jobs, gpu);
    let (row_tiles, column_tiles) = (product.rows.div_ceil(t.bm), product.columns.div_ceil(t.bn));
    let [z, y, x] = product.k_extents;
    let three = |values: [usize; 3]| values.map(|v| v as u32);
    let params = Params {
        c_in: s.c_in as u32,
        c_out: s.c_out as u32,
        group_in: s.group_in() as u32,
        group_out: s.group_out() as u32,
        input: three(s.input),
        output: three(s.output),
        kernel: three(s.window.kernel),
        stride: three(s.window.stride),
        dilation: three(s.window.dilation),
        before: three(s.window.padding.map(|[before, _]| before)),
        rows: product.rows as u32,
        columns: product.columns as u32,
        k: product.k as u32,
        groups: s.groups as u32,
        chunk: chunk as u32,
        splits: splits as u32,
        row_tiles: row_tiles as u32,
        column_tiles: column_tiles as u32,
        step: [t.bk / x / y / z, t.bk / x / y % z, t.bk / x % y, t.bk % x].map(|v| v as u32),
    };
    let (kind_name, entry) = match (kind, t.tiled) {
        (Kind::Forward { .. }, true) => ("forward", "conv_forward_tiled"),
        (Kind::Forward { .. }, false) => ("forward", "conv_forward_register"),
        (Kind::GradX, true) => ("grad_x", "conv_grad_x_tiled"),
        (Kind::GradX, false) => ("grad_x", "conv_grad_x_register"),
        (Kind::GradW, true) => ("grad_w", "conv_grad_w_tiled"),
        (Kind::GradW, false) => ("grad_w", "conv_grad_w_register"),
    };
    let mut kernel = Kernel::of::<Conv>(entry)
        .define("KIND", kind_name)
        .define("TILED", u32::from(t.tiled))
        .define("DEPTH", u32::from(depth(s)))
        .define("TM", t.tm)
        .define("TN", t.tn);
    if t.tiled {
        kernel = kernel.define("BM", t.bm).define("BN", t.bn).define("BK", t.bk).define("LANES", t.lanes());
    }
    match kind {
        Kind::Forward { bias, relu } => {
            kernel = kernel.define("BIAS", u32::from(bias)).define("RELU", u32::from(relu));
        }
        Kind::GradX => kernel = kernel.define("STRIDED", u32::from(s.window.stride != [1; 3])),
        Kind::GradW => {}
    }
    let workgroups = if t.tiled {
        let [x, y, _] = fold(row_tiles * column_tiles);
        [x, y, jobs as u32]
    } else {
        grid(row_tiles * column_tiles * jobs)
    };
    let launch = Launch::new(kernel, &params, workgroups);
    if splits == 1 {
        return launch.bind_all(io).into();
    }
    let elements = io.outputs[0].shape.elements();
    let sum = Launch::new(Kernel::of::<Conv>("conv_sum").define("KIND", "sum"), &params, grid(elements));
    Launches {
        list: vec![
            launch.read(Slot::Input(0)).read(Slot::Input(1)).write(Slot::Temp(0)),
            sum.read(Slot::Temp(0)).write(Slot::Output(0)),
        ],
        temps: vec![TensorSpec::f32([splits, elements])],
    }
}

/// Whether there is more than one slice anywhere: kernels for lines and images do not count slices.
fn depth(s: &Sizes) -> bool {
    [s.input[0], s.output[0], s.window.kernel[0]] != [1; 3]
}

/// Workgroups along x, and more along y where x does not hold them.
fn fold(groups: usize) -> [u32; 3] {
    if groups <= 65_535 { [groups as u32, 1, 1] } else { [32_768, groups.div_ceil(32_768) as u32, 1] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::OpDef;

    #[test]
    fn a_large_dispatch_is_folded_and_stays_within_the_limit() {
        let conv = Conv { stride: [1; 3], padding: [[0; 2], [1; 2], [1; 2]], dilation: [1; 3], groups: 1, relu: false };
        let inputs = vec![TensorSpec::f32([400, 3, 256, 256]), TensorSpec::f32([32, 3, 3, 3])];
        let outputs = conv.infer(&inputs).unwrap();
        let launch = conv.gpu(&Io { inputs, outputs }, &GpuTraits { software: false }).list.remove(0);
        let [x, y, z] = launch.workgroups;
        assert!(x <= 65_535 && y > 1 && z == 1 && x as usize * y as usize * 64 >= 400 * 256 * 256);
    }

    #[test]
    fn tiles_divide_evenly_among_lanes() {
        for rows in [5, 16, 17, 33, 64, 65, 100, 129, 512] {
            for columns in [1, 9, 27, 64, 100, 1000, 40_000, 1 << 20] {
                for jobs in [1, 7, 512] {
                    let product = Product { rows, columns, k: 100, k_extents: [1, 3, 3] };
                    let t = Tiles::choose(&product, jobs, &GpuTraits { software: false });
                    let lanes = t.lanes();
                    assert!((32..=256).contains(&lanes), "{t:?}");
                    // What the shader takes for granted when it hands tiles out to lanes.
                    assert!(lanes.is_multiple_of(t.bk) && lanes.is_multiple_of(t.bn), "{t:?}");
                    assert!((t.bm * t.bk).is_multiple_of(lanes) && (t.bn * t.bk).is_multiple_of(lanes), "{t:?}");
                    assert!((t.bm + t.bn + 8) * t.bk * 4 <= 16 << 10, "{t:?}");
                }
            }
        }
    }

    #[test]
    fn splits_cover_k_once() {
        for (rows, columns, k, jobs) in
            [(32, 9, 21_632, 1), (1, 9, 1_000_000, 64), (512, 4608, 50_000, 1), (3, 3, 1, 1)]
        {
            let product = Product { rows, columns, k, k_extents: [1, 26, 26] };
            let (splits, chunk) = splits(&product, jobs);
            assert!(splits * chunk >= k && (splits - 1) * chunk < k && splits * jobs <= 65_535);
        }
    }
}
