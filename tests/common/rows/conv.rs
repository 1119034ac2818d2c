//! Images first, since most networks see those; then lines, volumes and transposed convolution.

use super::{Bound, Row, Values};
use galen::contract::Padding;
use galen::ops::batch_norm::BatchNorm;
use galen::ops::conv::{Conv, ConvGrad, ConvGradW, ConvGradX, ConvNorm};
use galen::ops::conv::{Conv1dOptions, Conv2dOptions, Conv3dOptions};
use galen::ops::conv::{ConvTranspose1dOptions, ConvTranspose2dOptions, ConvTranspose3dOptions};
use galen::{Graph, Result, Var};

/// Every form of the window, as in the oracle, then sizes past the tiles of both kernel forms, groups, and the fused epilogue.
pub fn rows() -> Vec<Row> {
    let o = Conv2dOptions::new;
    let pads = |top, bottom, left, right| Padding::Explicit([[top, bottom], [left, right]]);
    let same = Padding::Same;
    let together = o().stride([2, 1]).dilation([1, 2]).padding(pads(1, 0, 2, 1)).groups(2);
    let mut rows = vec![
        row("valid", [2, 3, 5, 7], [4, 3, 3, 2], o()),
        row("1x1", [2, 3, 3, 5], [5, 3, 1, 1], o()),
        row("one_of_each", [1, 1, 1, 1], [1, 1, 1, 1], o()),
        row("stride2", [2, 2, 7, 6], [3, 2, 3, 3], o().stride([2, 2])),
        row("stride_2_1", [2, 2, 7, 5], [3, 2, 3, 2], o().stride([2, 1])),
        row("1x1_stride2", [2, 3, 5, 4], [4, 3, 1, 1], o().stride([2, 2])),
        row("1x1_padded", [2, 3, 4, 3], [2, 3, 1, 1], o().padding(pads(1, 0, 0, 1))),
        row("stride3_leftover", [1, 2, 8, 7], [3, 2, 2, 2], o().stride([3, 3])),
        row("same", [2, 2, 5, 4], [3, 2, 3, 3], o().padding(same)),
        row("stride2_same", [2, 2, 6, 7], [3, 2, 3, 3], o().stride([2, 2]).padding(same)),
        row("stride2_same_even", [2, 2, 5, 7], [3, 2, 2, 4], o().stride([2, 2]).padding(same)),
        row("explicit_pads", [2, 2, 5, 4], [3, 2, 3, 3], o().padding(pads(1, 0, 2, 3))),
        row("padding_only", [1, 2, 3, 2], [5, 2, 2, 3], o().padding(pads(3, 0, 0, 4))),
        // Bands of results that meet padding only, above the image and below it.
        row("far_padding", [1, 2, 3, 40], [3, 2, 3, 3], o().padding(pads(300, 200, 1, 0))),
        row("kernel_larger_than_input", [1, 2, 2, 2], [3, 2, 3, 3], o().padding(pads(1, 1, 1, 1))),
        row("dilation2", [2, 2, 7, 6], [3, 2, 3, 2], o().dilation([2, 2])),
        row("dilation2_same", [2, 2, 6, 5], [3, 2, 3, 2], o().dilation([2, 2]).padding(same)),
        row("dilation_1_2", [2, 2, 5, 7], [3, 2, 2, 3], o().dilation([1, 2])),
        row("stride2_dilation2", [2, 2, 9, 8], [3, 2, 3, 2], o().stride([2, 2]).dilation([2, 2])),
        row("groups2", [2, 4, 5, 6], [6, 2, 3, 3], o().groups(2)),
        row("depthwise", [2, 3, 6, 5], [3, 1, 3, 3], o().groups(3)),
        row("depthwise_twice", [2, 3, 6, 5], [6, 1, 3, 2], o().stride([2, 2]).groups(3).padding(same)),
        row("together", [3, 4, 7, 8], [6, 2, 3, 2], together),
        // Past a tile: of rows, of columns, of k; the splits of the weight gradient; many samples and few on the CPU.
        row("many_outputs", [1, 3, 6, 5], [70, 3, 3, 3], o()),
        row("many_inputs", [2, 40, 4, 5], [9, 40, 2, 2], o()),
        row("many_positions", [1, 2, 17, 33], [6, 2, 3, 3], o()),
        row("many_samples", [9, 2, 13, 11], [5, 2, 3, 3], o().padding(same)),
        row("many_samples_1x1", [6, 5, 7, 9], [6, 5, 1, 1], o()),
        row("many_samples_together", [5, 4, 7, 8], [10, 2, 3, 2], together),
        row("wide_groups", [4, 14, 5, 5], [18, 7, 3, 3], o().groups(2).padding(same)),
        row("rows_of_one", [3, 2, 1, 40], [5, 2, 1, 4], o().padding(same)),
        // So much work that software adapters take the larger tiles.
        row("large", [4, 16, 35, 41], [26, 16, 3, 3], o()),
    ];
    for (relu, bias, groups) in [(false, true, 2), (true, false, 2), (true, true, 2), (true, true, 4)] {
        rows.push(fused(relu, bias, groups));
    }
    rows.extend([
        with_residual([5, 4, 6, 7], [8, 4, 3, 3], [true, true]),
        with_residual([5, 4, 6, 7], [8, 2, 3, 3], [false, true]),
        with_residual([3, 4, 5, 6], [8, 1, 3, 3], [true, false]),
        // Few images, whose output channels are shared out; so many channels that rows share products.
        with_residual([2, 5, 21, 20], [40, 5, 5, 3], [true, true]),
        with_residual([9, 16, 11, 10], [24, 16, 3, 3], [false, false]),
        with_residual([4, 3, 1, 50], [7, 3, 1, 5], [true, true]),
    ]);
    rows.extend(backward_of_backward());
    rows.extend([false, true].into_iter().flat_map(|relu| [false, true].map(|input| together_backward(relu, input))));
    rows.extend(normalised());
    // Rows of three and five taps with many channels share products on the CPU.
    rows.push(row("many_channels_same", [2, 16, 9, 13], [16, 16, 3, 3], o().padding(same)));
    rows.push(row("many_channels_valid", [8, 17, 6, 5], [16, 17, 3, 3], o()));
    let far = o().padding(pads(150, 101, 1, 1));
    rows.push(row("many_channels_far_padding", [2, 16, 4, 30], [16, 16, 3, 3], far));
    rows.push(row("many_channels_five", [3, 16, 11, 6], [16, 16, 5, 5], o().padding(same)));
    rows.extend(lines());
    rows.extend(volumes());
    rows.extend(transposed());
    rows
}

fn lines() -> Vec<Row> {
    let o = Conv1dOptions::new;
    let pads = |before, after| Padding::Explicit([[before, after]]);
    let same = Padding::Same;
    let row = |name: &str, x: [usize; 3], w: [usize; 3], options: Conv1dOptions| {
        both(&format!("line_{name}"), x, w, move |_, x| Ok(vec![x[0].conv1d(&x[1], &options)?]))
    };
    let mut rows = vec![
        row("valid", [2, 3, 7], [4, 3, 3], o()),
        row("one_of_each", [1, 1, 1], [1, 1, 1], o()),
        row("1_padded", [3, 2, 5], [4, 2, 1], o().padding(pads(1, 2))),
        row("stride3_same", [2, 2, 11], [3, 2, 4], o().stride([3]).padding(same)),
        row("dilation2", [2, 3, 13], [5, 3, 3], o().dilation([2]).padding(pads(3, 0))),
        row("groups", [2, 4, 9], [6, 2, 3], o().groups(2).stride([2])),
        row("depthwise", [3, 5, 17], [5, 1, 4], o().groups(5).padding(same)),
        row("depthwise_twice", [2, 3, 9], [6, 1, 2], o().groups(3).stride([2]).dilation([3])),
        row("long", [2, 3, 301], [19, 3, 5], o().padding(same)),
        // So many channels that neighbours share products on the CPU.
        row("many_channels_five", [8, 16, 45], [18, 16, 5], o().padding(same)),
        row("many_channels_three", [2, 17, 70], [16, 17, 3], o()),
    ];
    let conv = Conv {
        stride: [1, 1, 2],
        padding: [[0; 2], [0; 2], [1; 2]],
        dilation: [1; 3],
        groups: 1,
        relu: true,
        residual: false,
    };
    let mut fused =
        both("line_fused", [5, 3, 10], [7, 3, 3], move |graph, x| graph.push(conv.clone(), &[&x[0], &x[1], &x[2]]))
            .f32([7], Values::Normal);
    fused.wrt.clear();
    rows.push(fused);
    rows
}

fn volumes() -> Vec<Row> {
    let o = Conv3dOptions::new;
    let same = Padding::Same;
    let uneven = Padding::Explicit([[1, 0], [0, 2], [3, 1]]);
    let together = o().stride([2, 1, 3]).dilation([1, 2, 1]).padding(uneven).groups(2);
    let row = |name: &str, x: [usize; 5], w: [usize; 5], options: Conv3dOptions| {
        both(&format!("volume_{name}"), x, w, move |_, x| Ok(vec![x[0].conv3d(&x[1], &options)?]))
    };
    let mut rows = vec![
        row("valid", [2, 3, 4, 5, 3], [4, 3, 2, 3, 2], o()),
        row("one_of_each", [1, 1, 1, 1, 1], [1, 1, 1, 1, 1], o()),
        row("1x1x1", [2, 3, 3, 2, 5], [5, 3, 1, 1, 1], o()),
        // As many slices as an image: one of input, kernel and result.
        row("flat_kernel", [2, 2, 3, 4, 5], [3, 2, 1, 3, 3], o()),
        row("flat_result", [2, 2, 3, 4, 5], [3, 2, 3, 3, 3], o()),
        row("flat_input", [2, 2, 1, 4, 5], [3, 2, 3, 3, 3], o().padding(same)),
        row("image", [2, 2, 1, 4, 5], [3, 2, 1, 3, 3], o()),
        row("columns_of_slices", [2, 2, 9, 1, 1], [3, 2, 4, 1, 1], o().stride([2, 1, 1])),
        row("same", [2, 2, 3, 5, 4], [3, 2, 3, 3, 2], o().padding(same)),
        row("stride2_same", [2, 2, 5, 6, 7], [3, 2, 3, 2, 3], o().stride([2, 2, 2]).padding(same)),
        row("dilation2", [1, 2, 5, 6, 7], [3, 2, 2, 3, 2], o().dilation([2, 1, 3])),
        row("groups", [2, 4, 3, 4, 5], [6, 2, 2, 2, 2], o().groups(2)),
        row("depthwise", [2, 3, 4, 5, 6], [3, 1, 3, 2, 3], o().groups(3).padding(same)),
        row("depthwise_twice", [2, 3, 5, 4, 6], [6, 1, 2, 3, 2], o().groups(3).stride([2, 1, 2]).padding(uneven)),
        row("together", [3, 4, 5, 7, 8], [6, 2, 2, 3, 2], together),
        row("many_samples", [6, 4, 4, 5, 6], [10, 4, 3, 2, 3], o().padding(same)),
        row("many_positions", [1, 2, 6, 9, 17], [6, 2, 3, 3, 3], o()),
        row("many_outputs", [1, 5, 3, 4, 5], [70, 5, 2, 2, 3], o()),
    ];
    let (stride, padding) = ([1, 2, 1], [[1, 0], [0, 1], [1, 1]]);
    let conv = Conv { stride, padding, dilation: [1, 1, 2], groups: 2, relu: false, residual: false };
    let (x, w, dy) = ([2, 4, 3, 5, 6], [6, 2, 2, 2, 2], [2, 6, 3, 3, 6]);
    let (of_x, of_w) =
        (ConvGradX { conv: conv.clone(), input: [3, 5, 6] }, ConvGradW { conv: conv.clone(), kernel: [2; 3] });
    let fused = Conv { relu: true, ..conv };
    let mut fused = both("volume_fused", x, w, move |graph, x| graph.push(fused.clone(), &[&x[0], &x[1], &x[2]]))
        .f32([6], Values::Normal);
    fused.wrt.clear();
    rows.extend([
        fused,
        both("volume_grad_x", dy, w, move |graph, x| graph.push(of_x.clone(), &[&x[0], &x[1]])),
        both("volume_grad_w", x, dy, move |graph, x| graph.push(of_w.clone(), &[&x[0], &x[1]])),
    ]);
    rows
}

fn transposed() -> Vec<Row> {
    let (one, two, three) = (ConvTranspose1dOptions::new, ConvTranspose2dOptions::new, ConvTranspose3dOptions::new);
    let line = |name: &str, x: [usize; 3], w: [usize; 3], options: ConvTranspose1dOptions| {
        both(&format!("transposed_line_{name}"), x, w, move |_, x| Ok(vec![x[0].conv_transpose1d(&x[1], &options)?]))
    };
    let image = |name: &str, x: [usize; 4], w: [usize; 4], options: ConvTranspose2dOptions| {
        both(&format!("transposed_{name}"), x, w, move |_, x| Ok(vec![x[0].conv_transpose2d(&x[1], &options)?]))
    };
    let volume = |name: &str, x: [usize; 5], w: [usize; 5], options: ConvTranspose3dOptions| {
        both(&format!("transposed_volume_{name}"), x, w, move |_, x| Ok(vec![x[0].conv_transpose3d(&x[1], &options)?]))
    };
    let uneven = Padding::Explicit([[1, 0], [0, 2]]);
    let together = two().stride([2, 3]).dilation([2, 1]).padding(uneven).output_padding([1, 2]).groups(2);
    vec![
        line("valid", [2, 3, 5], [3, 4, 3], one()),
        line("one_of_each", [1, 1, 1], [1, 1, 1], one()),
        line("stride2_same", [2, 3, 5], [3, 4, 3], one().stride([2]).padding(Padding::Same)),
        line("same_even", [2, 3, 5], [3, 4, 4], one().stride([3]).padding(Padding::Same).output_padding([1])),
        // The stride leaves gaps, and zeros at the end.
        line("gaps", [2, 3, 4], [3, 2, 2], one().stride([3])),
        line("gaps_same", [2, 3, 4], [3, 2, 1], one().stride([3]).padding(Padding::Same)),
        // Dilation lets the output padding go beyond every window.
        line("beyond", [2, 2, 4], [2, 3, 2], one().dilation([4]).output_padding([3])),
        line(
            "beyond_cropped",
            [2, 2, 4],
            [2, 3, 2],
            one().dilation([4]).padding(Padding::around(1)).output_padding([3]),
        ),
        image("valid", [2, 3, 4, 3], [3, 5, 3, 2], two()),
        image("1x1", [2, 3, 3, 5], [3, 4, 1, 1], two()),
        image("stride2", [2, 3, 4, 5], [3, 4, 3, 3], two().stride([2, 2])),
        image("stride2_same", [2, 3, 4, 5], [3, 4, 3, 4], two().stride([2, 2]).padding(Padding::Same)),
        image("doubled", [2, 4, 3, 5], [4, 3, 2, 2], two().stride([2, 2])),
        image("cropped", [2, 3, 4, 5], [3, 4, 4, 4], two().stride([2, 2]).padding(Padding::around(1))),
        image(
            "output_padding",
            [2, 3, 4, 3],
            [3, 4, 3, 3],
            two().stride([2, 3]).padding(uneven).output_padding([1, 2]),
        ),
        image("dilation_1_2", [2, 3, 4, 3], [3, 2, 3, 2], two().dilation([1, 2])),
        image("groups", [2, 4, 4, 3], [4, 3, 3, 3], two().stride([2, 2]).groups(2)),
        image("depthwise", [2, 3, 4, 5], [3, 1, 3, 3], two().stride([2, 2]).groups(3).padding(Padding::Same)),
        image("together", [3, 4, 4, 3], [4, 3, 2, 3], together),
        image("many_inputs", [1, 40, 3, 5], [40, 18, 3, 3], two().stride([2, 2]).padding(Padding::Same)),
        image("many_outputs", [5, 3, 6, 5], [3, 70, 2, 2], two().stride([2, 2])),
        volume("valid", [2, 3, 2, 3, 4], [3, 2, 2, 3, 2], three()),
        volume("stride2_same", [2, 3, 2, 3, 3], [3, 4, 3, 3, 2], three().stride([2, 2, 2]).padding(Padding::Same)),
        volume("output_padding", [2, 2, 3, 2, 2], [2, 3, 2, 3, 3], three().stride([1, 2, 3]).output_padding([0, 1, 1])),
        volume("groups", [2, 4, 2, 3, 3], [4, 2, 2, 2, 2], three().stride([2, 1, 2]).groups(2)),
    ]
}

fn row(name: &str, x: [usize; 4], w: [usize; 4], options: Conv2dOptions) -> Row {
    both(name, x, w, move |_, x| Ok(vec![x[0].conv2d(&x[1], &options)?]))
}

/// The epilogue that only fusion sets. ReLU has no gradient of its own there; the bias has.
fn fused(relu: bool, bias: bool, groups: usize) -> Row {
    let conv =
        Conv { stride: [1; 3], padding: [[0, 0], [1, 0], [1, 0]], dilation: [1; 3], groups, relu, residual: false };
    let name = format!("fused{groups}{}{}", if bias { "_bias" } else { "" }, if relu { "_relu" } else { "" });
    let mut row = Row::new(&name, move |graph, x| graph.push(conv.clone(), &x.iter().collect::<Vec<_>>()))
        .f32([5, 4, 6, 7], Values::Normal)
        .f32([8, 4 / groups, 3, 2], Values::Normal)
        .bounds(Bound::Terms(12.0), Bound::Terms(16.0));
    if bias {
        row = row.f32([8], Values::Normal);
    }
    if relu {
        row.wrt.clear();
    }
    row
}

/// With a residual, which only fusion adds, after a bias and before a ReLU where there are such; windows are padded to keep extents.
fn with_residual(x: [usize; 4], w: [usize; 4], [bias, relu]: [bool; 2]) -> Row {
    let padding = [[0; 2], [w[2] / 2; 2], [w[3] / 2; 2]];
    let conv = Conv { stride: [1; 3], padding, dilation: [1; 3], groups: x[1] / w[1], relu, residual: true };
    let (bias_name, relu_name) = (if bias { "_bias" } else { "" }, if relu { "_relu" } else { "" });
    let name = format!("residual{}_{}x{}{bias_name}{relu_name}", x[1] / w[1], x[2], x[3]);
    let mut row = Row::new(&name, move |graph, x| graph.push(conv.clone(), &x.iter().collect::<Vec<_>>()))
        .f32(x, Values::Normal)
        .f32(w, Values::Normal)
        .bounds(Bound::Terms(16.0), Bound::Terms(20.0));
    if bias {
        row = row.f32([w[0]], Values::Normal);
    }
    row = row.f32([x[0], w[0], x[2], x[3]], Values::Normal);
    row.wrt.clear();
    row
}

/// The gradients as ops of their own, with gradients that are convolutions again.
fn backward_of_backward() -> [Row; 2] {
    let conv = Conv {
        stride: [1, 2, 1],
        padding: [[0, 0], [1, 0], [1, 1]],
        dilation: [1, 1, 2],
        groups: 2,
        relu: false,
        residual: false,
    };
    let (x, w, dy) = ([2, 4, 8, 7], [6, 2, 3, 2], [2, 6, 4, 7]);
    let of_x = ConvGradX { conv: conv.clone(), input: [1, 8, 7] };
    let of_w = ConvGradW { conv, kernel: [1, 3, 2] };
    [
        both("grad_x", dy, w, move |graph, x| graph.push(of_x.clone(), &[&x[0], &x[1]])),
        both("grad_w", x, dy, move |graph, x| graph.push(of_w.clone(), &[&x[0], &x[1]])),
    ]
}

/// All gradients in one op, which fusion makes on the CPU.
fn together_backward(relu: bool, input: bool) -> Row {
    let conv = Conv {
        stride: [1, 2, 1],
        padding: [[0, 0], [1, 0], [1, 1]],
        dilation: [1; 3],
        groups: 1,
        relu,
        residual: false,
    };
    let grad = ConvGrad { conv, kernel: [1, 3, 2], input, bias: true };
    let name = format!("grad{}{}", if input { "_x" } else { "" }, if relu { "_relu" } else { "" });
    let mut row = Row::new(&name, move |graph, x| graph.push(grad.clone(), &x.iter().collect::<Vec<_>>()))
        .constant([8, 4, 8, 7], Values::Normal)
        .constant([8, 6, 4, 8], Values::Normal)
        .bounds(Bound::Terms(16.0), Bound::Terms(16.0));
    if input {
        row = row.constant([6, 4, 3, 2], Values::Normal);
    }
    if relu {
        // Positive everywhere in the truth of absolute values too; the unit tests of the op have negative ones.
        row = row.constant([8, 6, 4, 8], Values::OffZero);
    }
    row
}

/// A convolution and the batch normalisation after it in one op: tiles of every size, whole ones and such that reach over an edge.
fn normalised() -> Vec<Row> {
    let row = |name: &str, x: [usize; 4], w: [usize; 4], bias: bool, relu: bool| {
        let same = [[0, 0], [w[2] / 2; 2], [w[3] / 2; 2]];
        let conv =
            Conv { stride: [1; 3], padding: same, dilation: [1; 3], groups: x[1] / w[1], relu: false, residual: false };
        let op = ConvNorm { conv, norm: BatchNorm { epsilon: 1e-3, relu } };
        let row =
            Row::new(&format!("norm_{name}"), move |graph, x| graph.push(op.clone(), &x.iter().collect::<Vec<_>>()));
        let row = row.constant(x, Values::Normal).constant(w, Values::Normal);
        let row = if bias { row.constant([w[0]], Values::Uniform(5.0, 8.0)) } else { row };
        row.constant([w[0]], Values::OffZero)
            .constant([w[0]], Values::Normal)
            .bounds(Bound::Rounding(128.0), Bound::Exact)
            // What the mean in f32 lacks, which is nothing in f64.
            .bound_of(3, Bound::Unit(8.0))
    };
    vec![
        row("edges", [3, 5, 7, 9], [7, 5, 3, 3], true, true),
        row("small_tiles", [8, 3, 16, 20], [33, 3, 3, 3], false, true),
        row("middle_tiles", [8, 4, 32, 33], [40, 4, 3, 3], true, false),
        row("groups", [16, 12, 20, 20], [22, 6, 3, 1], true, true),
        row("large_tiles", [9, 2, 44, 45], [70, 2, 1, 1], true, true),
    ]
}

/// A row of two inputs with gradients, and the bounds of a convolution.
fn both<const R: usize>(
    name: &str,
    a: [usize; R],
    b: [usize; R],
    build: impl Fn(&Graph, &[Var]) -> Result<Vec<Var>> + 'static,
) -> Row {
    Row::new(name, build).f32(a, Values::Normal).f32(b, Values::Normal).bounds(Bound::Terms(12.0), Bound::Terms(16.0))
}
