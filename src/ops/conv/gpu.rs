//! The launches of `shaders/conv.wgsl`: each kind of convolution as one matrix product per group.

use bytemuck::{Pod, Zeroable};

use super::tiles::{BK, Form, Product, Tiles, phases, splits};
use super::{Conv, Sizes};
use crate::contract::{GpuTraits, Io, Kernel, Launch, Launches, Slot, fold, grid};
use crate::shape::TensorSpec;

/// Which product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// With `moments`, also those of every output channel in every column of tiles, as a second output.
    Forward {
        bias: bool,
        residual: bool,
        relu: bool,
        moments: bool,
    },
    GradX,
    GradW,
}

impl Kind {
    /// Columns of a row of what is computed: `y`, `dx`, or the taps.
    pub(super) fn row(self, s: &Sizes) -> usize {
        match self {
            Kind::Forward { .. } => s.output[2],
            Kind::GradX => s.input[2],
            Kind::GradW => s.window.kernel[2],
        }
    }
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
    jobs: u32,
}

/// Columns of tiles of a convolution forwards that is computed by tiles in workgroup memory, and results of a channel in one of them.
pub(super) fn tiled(kind: Kind, s: &Sizes, gpu: &GpuTraits) -> Option<[usize; 2]> {
    let cut = Cut::of(kind, &flattened(s), gpu);
    let [_, columns] = cut.tiles.unit();
    matches!(cut.tiles.form, Form::Tiled { .. }).then(|| [cut.product.columns.div_ceil(columns), columns])
}

/// How a product is cut up.
struct Cut {
    product: Product,
    /// Parts of the sums over k, and how long each is.
    splits: usize,
    chunk: usize,
    /// Products that run at once.
    jobs: usize,
    tiles: Tiles,
}

impl Cut {
    fn of(kind: Kind, s: &Sizes, gpu: &GpuTraits) -> Self {
        let product = Product::of(kind, s);
        let (splits, chunk) = if kind == Kind::GradW { splits(&product, s.groups) } else { (1, product.k) };
        let jobs = s.groups * splits * phases(kind, s);
        Cut { product, splits, chunk, jobs, tiles: Tiles::choose(kind, s, &product, jobs, gpu) }
    }
}

pub(super) fn launches(kind: Kind, s: &Sizes, io: &Io, gpu: &GpuTraits) -> Launches {
    let s = &flattened(s);
    let Cut { product, splits, chunk, jobs, tiles } = Cut::of(kind, s, gpu);
    let [bm, bn] = tiles.unit();
    let row_tiles = product.rows.div_ceil(bm);
    let column_tiles = match (tiles.form, kind) {
        (Form::Window { inputs, .. }, Kind::GradW) => s.group_in().div_ceil(inputs),
        (Form::Window { .. }, _) => kind.row(s).div_ceil(tiles.tn),
        _ => product.columns.div_ceil(bn),
    };
    // Of all phases together.
    let columns = if kind == Kind::GradX { s.batch * s.volume() } else { product.columns };
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
        columns: columns as u32,
        k: product.k as u32,
        groups: s.groups as u32,
        chunk: chunk as u32,
        splits: splits as u32,
        row_tiles: row_tiles as u32,
        column_tiles: column_tiles as u32,
        jobs: jobs as u32,
    };
    let workgroups = match tiles.form {
        Form::Tiled { .. } => {
            let [x, y, _] = fold(row_tiles * column_tiles);
            [x, y, jobs as u32]
        }
        Form::Register => grid(row_tiles * column_tiles * jobs),
        Form::Window { tap_rows, .. } if kind == Kind::GradW => {
            grid(row_tiles * column_tiles * jobs * (s.window.kernel[0] * s.window.kernel[1] / tap_rows))
        }
        Form::Window { .. } => grid(row_tiles * column_tiles * jobs * (product.columns / kind.row(s))),
    };
    let launch = Launch::new(kernel(kind, s, tiles), &params, workgroups);
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

fn kernel(kind: Kind, s: &Sizes, tiles: Tiles) -> Kernel {
    let (name, entries) = match kind {
        Kind::Forward { .. } => ("forward", ["conv_forward_tiled", "conv_forward_register", "conv_forward_window"]),
        Kind::GradX => ("grad_x", ["conv_grad_x_tiled", "conv_grad_x_register", "conv_grad_x_window"]),
        Kind::GradW => ("grad_w", ["conv_grad_w_tiled", "conv_grad_w_register", "conv_grad_w_window"]),
    };
    let entry = match tiles.form {
        Form::Tiled { .. } => entries[0],
        Form::Register => entries[1],
        Form::Window { .. } => entries[2],
    };
    let mut kernel = Kernel::of::<Conv>(entry)
        .define("KIND", name)
        .define("DEPTH", u32::from(depth(s)))
        .define("TM", tiles.tm)
        .define("TN", tiles.tn);
    match tiles.form {
        Form::Tiled { bm, bn } => {
            kernel = kernel.define("FORM", "tiled").define("LANES", tiles.lanes()).define("BK", BK);
            let swizzle = if kind == Kind::GradW { 7 } else { 0 };
            kernel = kernel.define("BM", bm).define("BN", bn).define("SWIZZLE_A", 7).define("SWIZZLE_B", swizzle);
        }
        Form::Register => kernel = kernel.define("FORM", "register"),
        Form::Window { inputs, tap_rows } => {
            kernel = kernel.define("FORM", "window").define("KW", s.window.kernel[2]);
            if kind == Kind::GradW {
                kernel = kernel.define("TI", inputs).define("TR", tap_rows);
            } else {
                kernel = kernel.define("PADDED", u32::from(padded(kind, s)));
            }
        }
    }
    match kind {
        Kind::Forward { bias, residual, relu, moments } => {
            let flags = [("BIAS", bias), ("RESIDUAL", residual), ("RELU", relu), ("MOMENTS", moments)];
            flags.into_iter().fold(kernel, |kernel, (name, flag)| kernel.define(name, u32::from(flag)))
        }
        Kind::GradX => {
            let strided = s.window.stride != [1; 3];
            let phased = strided && s.window.dilation == [1; 3];
            kernel.define("STRIDED", u32::from(strided && !phased)).define("PHASES", u32::from(phased))
        }
        Kind::GradW => kernel,
    }
}

/// Whether some window of what is read goes beyond its edges.
fn padded(kind: Kind, s: &Sizes) -> bool {
    match kind {
        Kind::GradX => s.window.kernel != [1; 3] || s.window.padding != [[0; 2]; 3],
        _ => s.window.padding != [[0; 2]; 3],
    }
}

/// The same convolution, where its windows see one place each, as one over lines: rows and slices that lie one after the other are
/// one row then.
fn flattened(s: &Sizes) -> Sizes {
    let w = &s.window;
    if w.kernel != [1; 3] || w.stride != [1; 3] || w.padding != [[0; 2]; 3] {
        return *s;
    }
    Sizes { input: [1, 1, s.volume()], output: [1, 1, s.positions()], ..*s }
}

/// Whether there is more than one slice anywhere: kernels for lines and images do not count slices.
fn depth(s: &Sizes) -> bool {
    [s.input[0], s.output[0], s.window.kernel[0]] != [1; 3]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::OpDef;

    #[test]
    fn a_large_dispatch_is_folded_and_stays_within_the_limit() {
        let conv = Conv {
            stride: [1; 3],
            padding: [[0; 2], [1; 2], [1; 2]],
            dilation: [1; 3],
            groups: 1,
            relu: false,
            residual: false,
        };
        let inputs = vec![TensorSpec::f32([400, 3, 256, 256]), TensorSpec::f32([32, 3, 3, 3])];
        let outputs = conv.infer(&inputs).unwrap();
        let launch = conv.gpu(&Io { inputs, outputs }, &GpuTraits { software: false }).list.remove(0);
        let [x, y, z] = launch.workgroups;
        assert!(x <= 65_535 && y > 1 && z == 1 && x as usize * y as usize * 64 >= 400 * 256 * 256);
    }
}
