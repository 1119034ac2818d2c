//! The kernels for `f32` against the twins in `f64`, in sizes that reach every form of them: shared rows, bands, phases, several parts of
//! a sum, few images and many.

use super::*;
use crate::contract::{Threefry, View};

fn conv(stride: [usize; 3], padding: [[usize; 2]; 3], dilation: [usize; 3]) -> Conv {
    Conv { stride, padding, dilation, groups: 1, relu: false, residual: false }
}

/// What an op gives of `inputs`, all of its outputs, one after the other.
fn run<T: Real, O: OpDef>(op: &O, specs: &[TensorSpec], inputs: &[Vec<f32>]) -> Vec<Vec<f64>> {
    let io = Io { inputs: specs.to_vec(), outputs: op.infer(specs).expect("shapes that fit") };
    let inputs: Vec<Vec<T>> = inputs.iter().map(|x| x.iter().map(|x| T::of(f64::from(*x))).collect()).collect();
    let mut outputs: Vec<Vec<T>> = io.outputs.iter().map(|y| vec![T::nan(); y.shape.elements()]).collect();
    let mut scratch = vec![T::nan(); op.scratch(&io)];
    let (x, y) = (inputs.iter().map(|x| View::F(x)), outputs.iter_mut().map(|y| View::FMut(y)));
    op.cpu(CpuCall { io: &io, x: x.collect(), y: y.collect(), scratch: &mut scratch });
    outputs.into_iter().map(|y| y.into_iter().map(Real::f64).collect()).collect()
}

/// Compares every output with the truth, within `factor` times 2⁻²⁴ of the sum of its terms' sizes.
fn check<O: OpDef>(op: &O, specs: &[TensorSpec], what: &str, factor: f64) {
    let mut random = Threefry::new(7, 5);
    let inputs: Vec<Vec<f32>> =
        specs.iter().map(|s| (0..s.shape.elements()).map(|_| random.normal()).collect()).collect();
    let sizes: Vec<Vec<f32>> = inputs.iter().map(|x| x.iter().map(|x| x.abs()).collect()).collect();
    let (have, truth, terms) =
        (run::<f32, _>(op, specs, &inputs), run::<f64, _>(op, specs, &inputs), run::<f64, _>(op, specs, &sizes));
    for (output, ((have, truth), terms)) in have.iter().zip(&truth).zip(&terms).enumerate() {
        for (i, ((have, truth), terms)) in have.iter().zip(truth).zip(terms).enumerate() {
            let bound = factor / f64::from(1 << 24) * terms;
            assert!((have - truth).abs() <= bound, "{what}: output {output}[{i}] is {have}, not {truth} ± {bound}");
        }
    }
}

fn cases() -> Vec<(&'static str, Vec<usize>, Vec<usize>, Conv)> {
    let same = [[0, 0], [1, 1], [1, 1]];
    let plain = || conv([1; 3], same, [1; 3]);
    let line = |padding: [usize; 2]| conv([1; 3], [[0, 0], [0, 0], padding], [1; 3]);
    vec![
        ("four rows share", vec![2, 16, 9, 13], vec![16, 16, 3, 3], plain()),
        ("two rows share", vec![9, 16, 2, 7], vec![17, 16, 3, 3], plain()),
        ("no padding", vec![8, 16, 14, 9], vec![18, 16, 3, 3], conv([1; 3], [[0; 2]; 3], [1; 3])),
        (
            "more padding than window",
            vec![3, 16, 5, 6],
            vec![16, 16, 3, 3],
            conv([1; 3], [[0, 0], [2, 3], [4, 1]], [1; 3]),
        ),
        ("wide windows", vec![8, 20, 11, 19], vec![16, 20, 3, 5], conv([1; 3], [[0, 0], [1, 1], [2, 2]], [1, 1, 2])),
        ("bands", vec![1, 16, 70, 66], vec![16, 16, 3, 3], plain()),
        ("many bands and images", vec![9, 24, 41, 40], vec![9, 24, 3, 3], plain()),
        ("several parts of a sum", vec![2, 190, 6, 5], vec![5, 190, 3, 3], plain()),
        ("several parts, a stride", vec![8, 70, 5, 6], vec![9, 70, 3, 3], conv([1, 2, 2], same, [1; 3])),
        ("phases", vec![10, 5, 9, 11], vec![7, 5, 3, 4], conv([1, 2, 3], [[0, 0], [1, 0], [2, 1]], [1; 3])),
        ("a stride larger than the window", vec![8, 3, 7, 10], vec![4, 3, 2, 2], conv([1, 3, 3], [[0; 2]; 3], [1; 3])),
        ("pointwise", vec![8, 33, 7, 7], vec![20, 33, 1, 1], conv([1; 3], [[0; 2]; 3], [1; 3])),
        (
            "windows of five rows",
            vec![8, 16, 11, 9],
            vec![17, 16, 5, 5],
            conv([1; 3], [[0, 0], [2, 2], [2, 2]], [1; 3]),
        ),
        ("a line", vec![16, 32, 45], vec![32, 32, 5], line([2, 2])),
        ("a line, three taps", vec![9, 16, 70], vec![18, 16, 3], line([1, 1])),
        ("a short line", vec![9, 17, 2], vec![16, 17, 3], line([1, 1])),
        ("a line without padding", vec![8, 16, 41], vec![16, 16, 5], line([0, 0])),
        ("a line as long as its window", vec![8, 16, 5], vec![16, 16, 5], line([0, 0])),
        ("a line as long as its window, three taps", vec![8, 16, 3], vec![16, 16, 3], line([0, 0])),
        ("an image as high as its window", vec![8, 16, 5, 9], vec![16, 16, 5, 5], conv([1; 3], [[0; 2]; 3], [1; 3])),
        ("a line with padding on one side", vec![8, 16, 37], vec![16, 16, 5], line([4, 0])),
        ("a line in bands", vec![2, 40, 3000], vec![16, 40, 5], line([2, 2])),
        ("a line in several parts of a sum", vec![8, 600, 21], vec![16, 600, 5], line([2, 2])),
        ("a long line", vec![1, 3, 5000], vec![9, 3, 7], conv([1, 1, 2], [[0, 0], [0, 0], [3, 3]], [1; 3])),
        ("a volume", vec![8, 16, 3, 6, 7], vec![16, 16, 3, 3, 3], conv([1; 3], [[1; 2]; 3], [1; 3])),
        ("a volume in bands", vec![1, 20, 12, 20, 20], vec![16, 20, 3, 3, 3], conv([1; 3], [[1; 2]; 3], [1; 3])),
        ("one channel", vec![12, 1, 28, 28], vec![32, 1, 3, 3], conv([1; 3], [[0; 2]; 3], [1; 3])),
    ]
}

#[test]
fn fast_kernels_agree_with_the_truth() {
    for (name, x, w, conv) in cases() {
        let (x, w) = (TensorSpec::f32(x), TensorSpec::f32(w));
        let dy = conv.infer(&[x.clone(), w.clone()]).expect("shapes that fit").remove(0);
        check(&conv, &[x.clone(), w.clone()], name, 12.0);
        let bias = TensorSpec::f32([w.shape[0]]);
        check(&Conv { relu: false, ..conv.clone() }, &[x.clone(), w.clone(), bias], name, 12.0);
        check(&ConvGradX { conv: conv.clone(), input: spatial(&x.shape) }, &[dy.clone(), w.clone()], name, 16.0);
        check(&ConvGradW { conv: conv.clone(), kernel: spatial(&w.shape) }, &[x.clone(), dy.clone()], name, 16.0);
    }
}

#[test]
fn gradients_taken_together_agree_with_the_truth() {
    for (name, x, w, conv) in cases() {
        let (x, w, kernel) = (TensorSpec::f32(&*x), TensorSpec::f32(&*w), spatial(&w));
        let dy = conv.infer(&[x.clone(), w.clone()]).expect("shapes that fit").remove(0);
        check(&ConvGrad { conv: conv.clone(), kernel, input: false, bias: true }, &[x.clone(), dy.clone()], name, 16.0);
        check(&ConvGrad { conv, kernel, input: true, bias: true }, &[x, dy, w], name, 16.0);
    }
}

/// The sum of the sizes of a gradient's elements, per channel.
fn dys_by_channel(dy: &[f32], channels: usize, positions: usize) -> Vec<f64> {
    let mut sizes = vec![0.0; channels];
    for (plane, dy) in dy.chunks_exact(positions).enumerate() {
        sizes[plane % channels] += dy.iter().map(|x| f64::from(x.abs())).sum::<f64>();
    }
    sizes
}

/// What a ReLU does not let through is not summed: terms of absolute values would pass all of it, so the truth is compared by its size.
#[test]
fn gradients_pass_a_relu_first() {
    let conv = conv([1; 3], [[0, 0], [1, 1], [1, 1]], [1; 3]);
    let relu = ConvGrad { conv: Conv { relu: true, ..conv.clone() }, kernel: [1, 3, 3], input: true, bias: true };
    let plain = ConvGrad { conv, kernel: [1, 3, 3], input: true, bias: true };
    let spec = |c: usize| TensorSpec::f32([9, c, 6, 7]);
    let (x, dy, w) = (spec(16), spec(17), TensorSpec::f32([17, 16, 3, 3]));
    let mut random = Threefry::new(3, 1);
    let mut normal = |s: &TensorSpec| (0..s.shape.elements()).map(|_| random.normal()).collect::<Vec<f32>>();
    let (xs, dys, ws, ys) = (normal(&x), normal(&dy), normal(&w), normal(&dy));
    let masked = dys.iter().zip(&ys).map(|(dy, y)| if *y > 0.0 { *dy } else { 0.0 }).collect();
    let have = run::<f32, _>(
        &relu,
        &[x.clone(), dy.clone(), w.clone(), dy.clone()],
        &[xs.clone(), dys.clone(), ws.clone(), ys],
    );
    let expected = run::<f32, _>(&plain, &[x, dy, w], &[xs, masked, ws]);
    assert!(have[..2] == expected[..2], "the ReLU's gradient inside the op, and before it");
    // The sums of biases are made while the gradient passes the ReLU, in another order.
    let sizes = dys_by_channel(&dys, 17, 42);
    for (channel, ((have, expected), size)) in have[2].iter().zip(&expected[2]).zip(sizes).enumerate() {
        assert!((have - expected).abs() <= 16.0 / f64::from(1 << 24) * size, "{channel}: {have} for {expected}");
    }
}
