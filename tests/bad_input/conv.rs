//! Convolution and transposed convolution.

use galen::contract::Padding;
use galen::ops::conv::{Conv, Conv1dOptions, Conv2dOptions, Conv3dOptions, ConvGradW, ConvGradX};
use galen::ops::conv::{ConvTranspose1dOptions, ConvTranspose2dOptions, ConvTranspose3dOptions};
use galen::{DType, Graph, Var};

use super::says;

/// An input of this shape, named after it.
fn input(graph: &Graph, shape: &[usize]) -> Var {
    graph.input(&format!("{shape:?}"), shape, DType::F32).expect("an input")
}

#[test]
fn convolutions_that_do_not_fit_are_refused() {
    let graph = Graph::new();
    let new = |shape: &[usize]| input(&graph, shape);
    let (line, image, volume) = (new(&[2, 3, 5]), new(&[2, 3, 5, 6]), new(&[2, 3, 4, 5, 6]));
    let (k1, k2, k3) = (new(&[4, 3, 3]), new(&[4, 3, 3, 2]), new(&[4, 3, 2, 3, 2]));
    let (o1, o2, o3) = (Conv1dOptions::new(), Conv2dOptions::new(), Conv3dOptions::new());
    // Ranks.
    says(line.conv2d(&k2, &o2), &["conv2d", "rows, columns", "[2, 3, 5]"]);
    says(image.conv1d(&k1, &o1), &["conv1d", "columns", "[2, 3, 5, 6]"]);
    says(image.conv3d(&k3, &o3), &["conv3d", "slices, rows, columns", "[2, 3, 5, 6]"]);
    says(image.conv2d(&k3, &o2), &["conv2d", "kernel's rows, columns", "[4, 3, 2, 3, 2]"]);
    // Windows.
    says(line.conv1d(&new(&[4, 3, 6]), &o1), &["conv1d", "columns", "at most 5", "6"]);
    says(line.conv1d(&k1, &o1.dilation([3])), &["conv1d", "dilation included", "at most 5", "7"]);
    says(
        volume.conv3d(&new(&[1, 3, 7, 1, 1]), &o3.padding(Padding::around(1))),
        &["conv3d", "slices", "at most 6", "7"],
    );
    says(image.conv2d(&k2, &o2.stride([1, 0])), &["conv2d", "stride", "[1, 0]"]);
    says(image.conv2d(&k2, &o2.dilation([0, 1])), &["conv2d", "dilation", "[0, 1]"]);
    says(image.conv2d(&k2, &o2.padding(Padding::around(usize::MAX))), &["conv2d", "padded rows"]);
    says(volume.conv3d(&k3, &o3.stride([1, usize::MAX, 1]).padding(Padding::Same)), &["conv3d", "stride"]);
    // Channels.
    says(line.conv1d(&new(&[4, 2, 3]), &o1), &["conv1d", "[4, 3, 3]", "[4, 2, 3]"]);
    says(line.conv1d(&k1, &o1.groups(0)), &["conv1d", "groups", "0"]);
    says(line.conv1d(&k1, &o1.groups(2)), &["conv1d", "groups", "3 input", "2"]);
    says(line.conv1d(&new(&[4, 1, 3]), &o1.groups(3)), &["conv1d", "groups", "4 output", "3"]);
    // Types.
    let whole = graph.input("whole", [2, 3, 5], DType::U32).expect("an input");
    says(whole.conv1d(&k1, &o1), &["conv", "f32", "u32"]);
}

#[test]
fn transposed_convolutions_that_do_not_fit_are_refused() {
    let graph = Graph::new();
    let new = |shape: &[usize]| input(&graph, shape);
    let (line, image, volume) = (new(&[2, 4, 5]), new(&[2, 4, 5, 6]), new(&[2, 4, 3, 5, 6]));
    let (k1, k2, k3) = (new(&[4, 3, 3]), new(&[4, 3, 3, 2]), new(&[4, 3, 2, 3, 2]));
    let (o1, o2, o3) = (ConvTranspose1dOptions::new(), ConvTranspose2dOptions::new(), ConvTranspose3dOptions::new());
    says(line.conv_transpose2d(&k2, &o2), &["conv_transpose2d", "rows, columns", "[2, 4, 5]"]);
    says(volume.conv_transpose3d(&k2, &o3), &["conv_transpose3d", "c_out / groups", "[4, 3, 3, 2]"]);
    // Channels: the weights come with the input's first.
    says(line.conv_transpose1d(&new(&[3, 4, 3]), &o1), &["conv_transpose1d", "w [4, c_out / groups, ..]", "[3, 4, 3]"]);
    says(line.conv_transpose1d(&k1, &o1.groups(3)), &["conv_transpose1d", "groups", "4 channels", "3"]);
    says(line.conv_transpose1d(&k1, &o1.groups(0)), &["conv_transpose1d", "groups", "0"]);
    // Extents.
    let more = o2.stride([2, 3]).output_padding([1, 3]);
    says(
        image.conv_transpose2d(&k2, &more),
        &["conv_transpose2d", "output padding", "below stride or dilation (3 along axis 1)", "[1, 3]"],
    );
    says(line.conv_transpose1d(&k1, &o1.output_padding([1])), &["output padding", "(1 along axis 0)", "[1]"]);
    says(
        line.conv_transpose1d(&k1, &o1.padding(Padding::Explicit([[3, 4]]))),
        &["conv_transpose1d", "padding", "7 elements", "[3, 4]"],
    );
    says(line.conv_transpose1d(&k1, &o1.padding(Padding::Explicit([[usize::MAX, 1]]))), &["padding", "7 elements"]);
    let nothing = ConvTranspose1dOptions::new().stride([2]).padding(Padding::Same).output_padding([0]);
    says(new(&[1, 4, 1]).conv_transpose1d(&new(&[4, 1, 2]), &nothing), &["padding", "2 elements"]);
    says(line.conv_transpose1d(&k1, &o1.stride([0])), &["conv_transpose1d", "stride", "[0]"]);
    says(volume.conv_transpose3d(&k3, &o3.dilation([1, 1, 0])), &["conv_transpose3d", "dilation"]);
    says(line.conv_transpose1d(&k1, &o1.stride([(1 << 30) - 1])), &["conv", "columns", "below"]);
    says(line.conv_transpose1d(&k1, &o1.stride([usize::MAX])), &["conv_transpose1d", "stride"]);
    let whole = graph.input("whole", [2, 4, 5], DType::U32).expect("an input");
    says(whole.conv_transpose1d(&k1, &o1), &["conv_transpose1d", "f32", "u32"]);
}

#[test]
fn a_residual_is_as_large_as_the_result() {
    let graph = Graph::new();
    let new = |shape: &[usize]| input(&graph, shape);
    let conv = Conv { stride: [1; 3], padding: [[0; 2]; 3], dilation: [1; 3], groups: 1, relu: false, residual: true };
    let (x, w, bias) = (new(&[2, 3, 5, 6]), new(&[4, 3, 3, 2]), new(&[4]));
    let residual = new(&[2, 4, 3, 5]);
    graph.push1(conv.clone(), &[&x, &w, &residual]).expect("a result");
    graph.push1(conv.clone(), &[&x, &w, &bias, &residual]).expect("a result");
    says(graph.push1(conv.clone(), &[&x, &w]), &["conv", "residual", "[2, 4, 3, 5]"]);
    says(graph.push1(conv.clone(), &[&x, &w, &bias]), &["conv", "residual", "[2, 4, 3, 5]", "[4]"]);
    says(graph.push1(conv, &[&x, &w, &residual, &residual]), &["conv", "bias [4]", "[2, 4, 3, 5]"]);
}

#[test]
fn gradients_of_convolutions_check_what_they_are_given() {
    let graph = Graph::new();
    let new = |shape: &[usize]| input(&graph, shape);
    let conv = Conv { stride: [1; 3], padding: [[0; 2]; 3], dilation: [1; 3], groups: 1, relu: false, residual: false };
    let (x, w, dy) = (new(&[2, 3, 5, 6]), new(&[4, 3, 3, 2]), new(&[2, 4, 3, 5]));
    let of_x = |input: [usize; 3]| ConvGradX { conv: conv.clone(), input };
    let of_w = |kernel: [usize; 3]| ConvGradW { conv: conv.clone(), kernel };
    graph.push1(of_x([1, 5, 6]), &[&dy, &w]).expect("a gradient");
    graph.push1(of_w([1, 3, 2]), &[&x, &dy]).expect("a gradient");
    says(graph.push1(of_x([1, 5, 7]), &[&dy, &w]), &["conv_grad_x", "dy [2, 4, 3, 6]", "[2, 4, 3, 5]"]);
    says(graph.push1(of_x([2, 5, 6]), &[&dy, &w]), &["conv_grad_x", "input", "[2, 5, 6]"]);
    says(graph.push1(of_x([1, 0, 6]), &[&dy, &w]), &["conv_grad_x", "rows"]);
    says(graph.push1(of_w([1, 3, 3]), &[&x, &dy]), &["conv_grad_w", "dy [2, 4, 3, 4]", "[2, 4, 3, 5]"]);
    says(graph.push1(of_w([1, 0, 2]), &[&x, &dy]), &["conv_grad_w", "kernel", "[1, 0, 2]"]);
    says(graph.push1(of_w([1, 3, 2]), &[&x, &new(&[2, 4, 5])]), &["conv_grad_w", "dy [2, 4, 3, 5]"]);
    says(graph.push1(of_x([1, 5, 6]), &[&dy]), &["conv_grad_x", "2 tensors", "1 tensors"]);
    let groups = Conv { groups: usize::MAX, ..conv };
    says(graph.push1(ConvGradX { conv: groups, input: [1, 5, 6] }, &[&dy, &w]), &["conv_grad_x", "groups"]);
}
