use super::{Bound, Row, Values};
use galen::contract::Padding;
use galen::ops::conv2d::{Conv2d, Conv2dGradW, Conv2dGradX, Conv2dOptions};
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
    ];
    for (relu, bias, groups) in [(false, true, 2), (true, false, 2), (true, true, 2), (true, true, 4)] {
        rows.push(fused(relu, bias, groups));
    }
    rows.extend(backward_of_backward());
    rows
}

fn row(name: &str, x: [usize; 4], w: [usize; 4], options: Conv2dOptions) -> Row {
    both(name, x, w, move |_, x| Ok(vec![x[0].conv2d(&x[1], &options)?]))
}

/// The epilogue that only fusion sets. ReLU has no gradient of its own there; the bias has.
fn fused(relu: bool, bias: bool, groups: usize) -> Row {
    let conv = Conv2d { stride: [1, 1], padding: [[1, 0], [1, 0]], dilation: [1, 1], groups, relu };
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

/// The gradients as ops of their own, with gradients that are convolutions again.
fn backward_of_backward() -> [Row; 2] {
    let conv = Conv2d { stride: [2, 1], padding: [[1, 0], [1, 1]], dilation: [1, 2], groups: 2, relu: false };
    let (x, w, dy) = ([2, 4, 8, 7], [6, 2, 3, 2], [2, 6, 4, 7]);
    let of_x = Conv2dGradX { conv: conv.clone(), input: [8, 7] };
    let of_w = Conv2dGradW { conv, kernel: [3, 2] };
    [
        both("grad_x", dy, w, move |graph, x| graph.push(of_x.clone(), &[&x[0], &x[1]])),
        both("grad_w", x, dy, move |graph, x| graph.push(of_w.clone(), &[&x[0], &x[1]])),
    ]
}

/// A row of two inputs with gradients, and the bounds of a convolution.
fn both(name: &str, a: [usize; 4], b: [usize; 4], build: impl Fn(&Graph, &[Var]) -> Result<Vec<Var>> + 'static) -> Row {
    Row::new(name, build)
        .f32(a, Values::Normal)
        .f32(b, Values::Normal)
        .bounds(Bound::Terms(12.0), Bound::Terms(16.0))
}
