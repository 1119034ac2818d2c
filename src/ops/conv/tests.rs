//! The twins against the definition, written out as loops over every tap; and the sizes of transposed convolution.

use smallvec::smallvec;

use super::*;
use crate::contract::{Padding, View};
use crate::{DType, Graph};

/// One term of the convolution's sum: where it is in `y`, `w` and `x`.
type Term = (usize, usize, usize);

/// Every term whose tap lies in the image.
fn terms(s: &Sizes) -> Vec<Term> {
    let each = |extents: [usize; 3]| {
        let [d, h, w] = extents;
        (0..d * h * w).map(move |i| [i / w / h, i / w % h, i % w])
    };
    let index = |extents: [usize; 3], at: [usize; 3]| (at[0] * extents[1] + at[1]) * extents[2] + at[2];
    let mut terms = Vec::new();
    for (n, o, i) in
        (0..s.batch).flat_map(|n| (0..s.c_out).flat_map(move |o| (0..s.group_in()).map(move |i| (n, o, i))))
    {
        let channel = o / s.group_out() * s.group_in() + i;
        for at in each(s.output) {
            for tap in each(s.window.kernel) {
                let place: [isize; 3] = std::array::from_fn(|a| {
                    let w = &s.window;
                    (at[a] * w.stride[a] + tap[a] * w.dilation[a]) as isize - w.padding[a][0] as isize
                });
                if (0..3).all(|a| (0..s.input[a] as isize).contains(&place[a])) {
                    let place = place.map(|p| p as usize);
                    terms.push((
                        (n * s.c_out + o) * s.positions() + index(s.output, at),
                        (o * s.group_in() + i) * s.channel_taps() + index(s.window.kernel, tap),
                        (n * s.c_in + channel) * s.volume() + index(s.input, place),
                    ));
                }
            }
        }
    }
    terms
}

/// Whole numbers, so that every order of summation gives the same.
fn numbers(n: usize, seed: usize) -> Vec<f64> {
    (0..n).map(|i| ((i * 7919 + seed * 104_729) % 13) as f64 - 6.0).collect()
}

fn run<O: OpDef>(op: &O, inputs: [(&TensorSpec, &[f64]); 2]) -> Vec<f64> {
    let io = Io { inputs: inputs.iter().map(|(spec, _)| (*spec).clone()).collect(), outputs: Vec::new() };
    let io = Io { outputs: op.infer(&io.inputs).unwrap(), ..io };
    let mut y = vec![f64::NAN; io.outputs[0].shape.elements()];
    let mut scratch = vec![f64::NAN; op.scratch(&io)];
    let x = smallvec![View::F(inputs[0].1), View::F(inputs[1].1)];
    op.cpu(CpuCall { io: &io, x, y: smallvec![View::FMut(&mut y)], scratch: &mut scratch });
    y
}

#[test]
fn the_twins_are_the_definition() {
    let cases: [(&[usize], &[usize], Conv); 7] = [
        (&[2, 4, 9], &[6, 2, 3], conv([1, 1, 2], [[0; 2], [0; 2], [1, 2]], [1, 1, 2], 2)),
        (&[5, 3, 6, 7], &[4, 3, 2, 3], conv([1, 2, 1], [[0; 2], [1, 0], [2, 1]], [1, 1, 2], 1)),
        (&[2, 3, 6, 7], &[6, 1, 3, 2], conv([1, 1, 2], [[0; 2], [1, 1], [0, 1]], [1, 2, 1], 3)),
        (&[2, 3, 4, 5, 6], &[4, 3, 2, 3, 2], conv([2, 1, 3], [[1, 0], [0, 2], [1, 1]], [1, 2, 1], 1)),
        (&[5, 4, 5, 3, 4], &[6, 2, 3, 2, 2], conv([1, 2, 1], [[2, 1], [1, 0], [0, 3]], [2, 1, 1], 2)),
        (&[2, 3, 5, 4, 6], &[3, 1, 2, 3, 2], conv([2, 1, 2], [[1, 1], [0, 2], [2, 0]], [1, 1, 3], 3)),
        (&[1, 70, 3, 2, 3], &[3, 70, 2, 2, 3], conv([1; 3], [[1; 2]; 3], [1; 3], 1)),
    ];
    for (x, w, conv) in cases {
        let s = conv.sizes("test", x, w).unwrap();
        let (x, w) = (TensorSpec::f32(x), TensorSpec::f32(w));
        let y = conv.infer(&[x.clone(), w.clone()]).unwrap().remove(0);
        let values = |spec: &TensorSpec, seed| numbers(spec.shape.elements(), seed);
        let (xs, ws, dys) = (values(&x, 1), values(&w, 2), values(&y, 3));
        let (mut ys, mut dxs, mut dws) = (vec![0.0; dys.len()], vec![0.0; xs.len()], vec![0.0; ws.len()]);
        for (o, t, i) in terms(&s) {
            ys[o] += ws[t] * xs[i];
            dxs[i] += ws[t] * dys[o];
            dws[t] += dys[o] * xs[i];
        }
        assert_eq!(run(&conv, [(&x, &xs), (&w, &ws)]), ys, "{conv:?}");
        let of_x = ConvGradX { conv: conv.clone(), input: s.input };
        assert_eq!(run(&of_x, [(&y, &dys), (&w, &ws)]), dxs, "{of_x:?}");
        let of_w = ConvGradW { conv, kernel: s.window.kernel };
        assert_eq!(run(&of_w, [(&x, &xs), (&y, &dys)]), dws, "{of_w:?}");
    }
}

fn conv(stride: [usize; 3], padding: [[usize; 2]; 3], dilation: [usize; 3], groups: usize) -> Conv {
    Conv { stride, padding, dilation, groups, relu: false, residual: false }
}

/// Extent of the result for an input of 5, by the formulas of Keras and PyTorch.
#[test]
fn transposed_extents_are_those_of_keras_and_pytorch() {
    let o = ConvTranspose1dOptions::new;
    let out = |kernel: usize, options: &ConvTranspose1dOptions| {
        let graph = Graph::new();
        let x = graph.input("x", [1, 1, 5], DType::F32).unwrap();
        let w = graph.input("w", [1, 1, kernel], DType::F32).unwrap();
        x.conv_transpose1d(&w, options).unwrap().shape()[2]
    };
    let around = |n| o().padding(Padding::around(n));
    // Keras: 5 · stride + max(extent − stride, 0), and 5 · stride.
    assert_eq!([out(3, &o()), out(3, &o().stride([2])), out(2, &o().stride([3]))], [7, 11, 15]);
    assert_eq!([1, 2, 3].map(|stride| out(2, &o().stride([stride]).padding(Padding::Same))), [5, 10, 15]);
    assert_eq!(out(3, &o().dilation([2])), 9);
    // Keras with an output padding: (5 − 1) · stride + extent − 2 · pad + output padding.
    assert_eq!([0, 1].map(|more| out(3, &o().stride([2]).output_padding([more]))), [11, 12]);
    assert_eq!([0, 1].map(|more| out(3, &o().stride([2]).padding(Padding::Same).output_padding([more]))), [9, 10]);
    // PyTorch: (5 − 1) · stride − 2 · padding + dilation · (kernel − 1) + output padding + 1.
    assert_eq!([out(3, &around(1)), out(4, &around(1).stride([2])), out(2, &around(0).stride([3]))], [5, 10, 14]);
    assert_eq!(out(3, &around(1).stride([2]).output_padding([1])), 10);
    assert_eq!(out(3, &around(2).dilation([3]).output_padding([2])), 9);
    assert_eq!(out(1, &around(2)), 1);
}

#[test]
fn axes_that_a_tensor_does_not_have_are_left_alone() {
    let plain = conv([1; 3], [[0; 2]; 3], [1; 3], 1);
    let refused = |conv: &Conv, x: &[usize], w: &[usize]| conv.sizes("conv", x, w).is_err();
    assert!(!refused(&plain, &[1, 1, 4], &[1, 1, 2]));
    for bad in [
        Conv { stride: [2, 1, 1], ..plain.clone() },
        Conv { dilation: [1, 2, 1], ..plain.clone() },
        Conv { padding: [[0; 2], [0, 1], [0; 2]], ..plain.clone() },
    ] {
        assert!(refused(&bad, &[1, 1, 4], &[1, 1, 2]), "{bad:?}");
    }
    let (x, dy) = (TensorSpec::f32([1, 1, 4]), TensorSpec::f32([1, 1, 3]));
    let of_x = ConvGradX { conv: plain.clone(), input: [1, 2, 4] };
    assert!(of_x.infer(&[dy.clone(), TensorSpec::f32([1, 1, 2])]).is_err());
    assert!(ConvGradW { conv: plain.clone(), kernel: [1, 2, 2] }.infer(&[x.clone(), dy]).is_err());
    // A gradient of another rank is not taken for the output.
    assert!(ConvGradW { conv: plain, kernel: [1, 1, 2] }.infer(&[x, TensorSpec::f32([1, 1, 1, 3])]).is_err());
}
