//! Sizes at which the work of one output is cut into parts, with the numbers that must come out: on the CPU, and on a GPU in both forms of
//! its kernels. A kernel whose loop is as long as such a column gives other numbers on llvmpipe, which ends loops early.

use galen::contract::GpuTraits;
use galen::ops::masked_softmax::AttentionMask;
use galen::{DType, Device, Graph, Session, Tensor, Var};

use super::common::{self, UNIT};

/// The CPU, and a GPU that is told to be a program and not to be one.
fn devices() -> Vec<Device> {
    let both = |gpu: &Device| [true, false].map(|software| gpu.with_gpu_traits(GpuTraits { software }));
    let cpu = Device::cpu_with_threads(2).expect("threads");
    common::gpu().into_iter().flat_map(both).chain([cpu]).collect()
}

fn run(device: &Device, graph: &Graph, fetch: &[Var], inputs: &[(&str, Tensor)]) -> Vec<Tensor> {
    let mut session = Session::new(device, 1, None);
    let executable = session.compile(graph, fetch).expect("a plan that fits");
    session.poison();
    let inputs: Vec<(&str, &Tensor)> = inputs.iter().map(|(name, tensor)| (*name, tensor)).collect();
    session.run(&executable, &inputs).unwrap_or_else(|e| panic!("{device}: {e}"))
}

fn floats(shape: &[usize], f: impl Fn(usize) -> f32) -> Tensor {
    Tensor::f32(shape, (0..shape.iter().product()).map(f).collect()).expect("as many elements as the shape has")
}

fn indices(shape: &[usize], f: impl Fn(usize) -> u32) -> Tensor {
    Tensor::u32(shape, (0..shape.iter().product()).map(f).collect()).expect("as many elements as the shape has")
}

/// Between 0 and 1, without a pattern along any axis.
fn noise(i: usize) -> f32 {
    ((i as u32).wrapping_mul(2_654_435_761) ^ (i as u32 >> 7).wrapping_mul(0x9e37_79b9)) as f32 / u32::MAX as f32
}

fn values(tensor: &Tensor) -> Vec<f64> {
    common::floats(tensor)
}

/// Every element is within `bound` of what is expected of it.
fn close(device: &Device, what: &str, actual: &Tensor, bound: f64, expected: impl Fn(usize) -> f64) {
    for (i, a) in values(actual).into_iter().enumerate() {
        let e = expected(i);
        assert!((a - e).abs() <= bound, "{device}: {what} {i} is {a:e}, expected {e:e} within {bound:e}");
    }
}

#[test]
fn four_million_rows_are_counted() {
    let (rows, c) = (1 << 22, 5);
    let graph = Graph::new();
    let x = graph.input("x", [rows, c], DType::F32).expect("an input");
    let t = graph.input("t", [rows], DType::U32).expect("an input");
    let y = x.correct_count(&t).expect("shapes that fit");
    let class = |row: usize| (noise(row) * 4.999) as usize;
    let wanted = |row: usize| (row % 5) as u32;
    let right = (0..rows).filter(|row| class(*row) as u32 == wanted(*row)).count() as f64;
    assert!((right - rows as f64 / 5.0).abs() < 5e3, "{right} is about a fifth");
    let inputs = [
        ("x", floats(&[rows, c], |i| if i % c == class(i / c) { 0.75 } else { -0.25 })),
        ("t", indices(&[rows], wanted)),
    ];
    for device in devices() {
        assert_eq!(values(&run(&device, &graph, std::slice::from_ref(&y), &inputs)[0]), [right], "{device}");
    }
}

#[test]
fn the_largest_of_many_is_found() {
    let c = 200_000;
    let graph = Graph::new();
    let rows = graph.input("rows", [2, c], DType::F32).expect("an input");
    let columns = graph.input("columns", [c, 3], DType::F32).expect("an input");
    let t = graph.input("t", [2], DType::U32).expect("an input");
    let fetch = [rows.argmax(1), columns.argmax(0), rows.correct_count(&t)].map(|y| y.expect("shapes that fit"));
    // Ties: the first counts, in another part than the second, and in the same.
    let row = |i: usize| if [150_000, c + 31_000, c + 190_000].contains(&i) { 2.0 } else { noise(i) };
    let column =
        |i: usize| if [3 * 150_000, 3 * 5 + 1, 3 * 6 + 1, 3 * (c - 1) + 2].contains(&i) { 2.0 } else { noise(i) };
    let inputs = [
        ("rows", floats(&[2, c], row)),
        ("columns", floats(&[c, 3], column)),
        ("t", indices(&[2], |i| [150_000, 7][i])),
    ];
    for device in devices() {
        let y = run(&device, &graph, &fetch, &inputs);
        assert_eq!(values(&y[0]), [150_000.0, 31_000.0], "{device}");
        assert_eq!(values(&y[1]), [150_000.0, 5.0, c as f64 - 1.0], "{device}");
        assert_eq!(values(&y[2]), [1.0], "{device}");
    }
}

#[test]
fn a_softmax_over_a_hundred_thousand() {
    let c = 100_000;
    let graph = Graph::new();
    let equal = graph.input("equal", [1, c], DType::F32).expect("an input");
    let x = graph.input("x", [c, 2], DType::F32).expect("an input");
    let dy = graph.input("dy", [c, 2], DType::F32).expect("an input");
    let outputs = [equal.softmax(1), equal.log_softmax(1), x.softmax(0), x.log_softmax(0)].map(|y| y.expect("a node"));
    let mut fetch = outputs.to_vec();
    for y in &outputs[2..] {
        fetch.extend(graph.gradients_from(&[(y.clone(), dy.clone())], std::slice::from_ref(&x)).expect("a gradient"));
    }
    let (of_x, of_dy) = (|i: usize| 6.0 * noise(i) - 3.0, |i: usize| noise(i + 77) - 0.25);
    let inputs = [("equal", floats(&[1, c], |_| 2.5)), ("x", floats(&[c, 2], of_x)), ("dy", floats(&[c, 2], of_dy))];
    let column = |k: usize, f: &dyn Fn(usize) -> f64| (0..c).map(|j| f(2 * j + k)).sum::<f64>();
    let e = |i: usize| f64::from(of_x(i)).exp();
    let sums = [0, 1].map(|k| column(k, &e));
    let dots = [0, 1].map(|k| column(k, &|i| e(i) / sums[k] * f64::from(of_dy(i))));
    let totals = [0, 1].map(|k| column(k, &|i| f64::from(of_dy(i))));
    for device in devices() {
        let y = run(&device, &graph, &fetch, &inputs);
        close(&device, "softmax of equal logits", &y[0], 1e-10, |_| 1e-5);
        close(&device, "log-softmax of equal logits", &y[1], 2e-6, |_| -1e5f64.ln());
        close(&device, "softmax", &y[2], 1e-9, |i| e(i) / sums[i % 2]);
        close(&device, "log-softmax", &y[3], 4e-6, |i| f64::from(of_x(i)) - sums[i % 2].ln());
        close(&device, "softmax's gradient", &y[4], 1e-9, |i| e(i) / sums[i % 2] * (f64::from(of_dy(i)) - dots[i % 2]));
        let of_log = |i: usize| f64::from(of_dy(i)) - e(i) / sums[i % 2] * totals[i % 2];
        close(&device, "log-softmax's gradient", &y[5], 1e-5, of_log);
    }
}

#[test]
fn cross_entropy_over_three_hundred_thousand_classes() {
    let c = 300_000;
    let graph = Graph::new();
    let z = graph.input("z", [2, c], DType::F32).expect("an input");
    let p = graph.input("p", [2, c], DType::F32).expect("an input");
    let index = graph.input("index", [2], DType::U32).expect("an input");
    let soft = graph.input("soft", [2, c], DType::F32).expect("an input");
    let losses = [
        z.cross_entropy(&index, 1, true),
        z.cross_entropy(&soft, 1, true),
        p.cross_entropy(&index, 1, false),
        p.cross_entropy(&soft, 1, false),
    ]
    .map(|y| y.expect("shapes that fit"));
    let mut fetch = losses.to_vec();
    for (loss, x) in losses.iter().zip([&z, &z, &p, &p]) {
        fetch.extend(graph.gradients(&loss.sum_all().expect("a sum"), std::slice::from_ref(x)).expect("a gradient"));
    }
    let (of_z, of_p) = (|i: usize| 6.0 * noise(i) - 3.0, |i: usize| 0.05 + 0.9 * noise(i + 5));
    // Shares that sum to about 1.
    let of_soft = |i: usize| noise(i + 11) / 150_000.0;
    let targets = [123_456, c - 1];
    let inputs = [
        ("z", floats(&[2, c], of_z)),
        ("p", floats(&[2, c], of_p)),
        ("index", indices(&[2], |i| targets[i] as u32)),
        ("soft", floats(&[2, c], of_soft)),
    ];
    let row = |r: usize, f: &dyn Fn(usize) -> f64| (r * c..(r + 1) * c).map(f).sum::<f64>();
    let (zf, pf, tf) = (|i: usize| f64::from(of_z(i)), |i: usize| f64::from(of_p(i)), |i: usize| f64::from(of_soft(i)));
    let lse = [0, 1].map(|r| row(r, &|i| zf(i).exp()).ln());
    let shares = [0, 1].map(|r| row(r, &tf));
    let by_soft = [0, 1].map(|r| row(r, &|i| tf(i) * (lse[r] - zf(i))));
    let by_surprise = [0, 1].map(|r| row(r, &|i| -tf(i) * pf(i).ln()));
    let hit = |i: usize| if i % c == targets[i / c] { 1.0 } else { 0.0 };
    for device in devices() {
        let y = run(&device, &graph, &fetch, &inputs);
        close(&device, "loss of indices", &y[0], 4e-6, |r| lse[r] - zf(r * c + targets[r]));
        close(&device, "loss of shares", &y[1], 1e-5, |r| by_soft[r]);
        close(&device, "loss of probabilities, indices", &y[2], 2e-6, |r| -pf(r * c + targets[r]).ln());
        close(&device, "loss of probabilities, shares", &y[3], 1e-5, |r| by_surprise[r]);
        close(&device, "gradient by indices", &y[4], 1e-6, |i| (zf(i) - lse[i / c]).exp() - hit(i));
        let of_shares = |i: usize| (zf(i) - lse[i / c]).exp() * shares[i / c] - tf(i);
        close(&device, "gradient by shares", &y[5], 1e-10, of_shares);
        close(&device, "gradient of probabilities, indices", &y[6], 1e-5, |i| -hit(i) / pf(i));
        close(&device, "gradient of probabilities, shares", &y[7], 1e-10, |i| -tf(i) / pf(i));
    }
}

/// All layouts of axes of four million elements, each within a bound that a plain running sum would break many times over.
#[test]
fn four_million_elements_are_reduced_over_any_axes() {
    let shape = [130usize, 257, 127];
    let n: usize = shape.iter().product();
    assert!(n > 4 << 20);
    let graph = Graph::new();
    let x = graph.input("x", shape, DType::F32).expect("an input");
    let layouts: [&[isize]; 7] = [&[0], &[1], &[2], &[0, 1], &[0, 2], &[1, 2], &[0, 1, 2]];
    let mut fetch = Vec::new();
    for axes in layouts {
        fetch.extend([x.sum(axes, false), x.mean(axes, false), x.max(axes, false)].map(|y| y.expect("a node")));
    }
    let of_x = |i: usize| 0.1 + noise(i);
    let inputs = [("x", floats(&shape, of_x))];
    let mut expected = Vec::new();
    for axes in layouts {
        let kept: Vec<usize> = (0..3).filter(|a| !axes.contains(&(*a as isize))).collect();
        let outputs: usize = kept.iter().map(|a| shape[*a]).product();
        let (mut sums, mut largest) = (vec![0.0f64; outputs], vec![0.0f64; outputs]);
        for i in 0..n {
            let at = [i / (257 * 127), i / 127 % 257, i % 127];
            let o = kept.iter().fold(0, |o, a| o * shape[*a] + at[*a]);
            sums[o] += f64::from(of_x(i));
            largest[o] = largest[o].max(f64::from(of_x(i)));
        }
        expected.push((sums, largest, n / outputs));
    }
    for device in common::devices() {
        let y = run(&device, &graph, &fetch, &inputs);
        for ((axes, (sums, largest, count)), y) in layouts.iter().zip(&expected).zip(y.chunks_exact(3)) {
            // Twice the depth of a tree over so many elements, and the blocks at its bottom.
            let bound = (2.0 * (*count as f64).log2() + 128.0) * UNIT;
            let most = sums.iter().fold(0.0f64, |m, s| m.max(*s));
            close(&device, &format!("sum over {axes:?}"), &y[0], bound * most, |o| sums[o]);
            close(&device, &format!("mean over {axes:?}"), &y[1], bound * most / *count as f64, |o| {
                sums[o] / *count as f64
            });
            close(&device, &format!("maximum over {axes:?}"), &y[2], 0.0, |o| largest[o]);
        }
    }
}

/// As many as the device's largest binding holds, up to a hundred million.
#[test]
fn a_mean_of_many_equal_numbers_is_that_number() {
    for device in devices() {
        let n = (device.limits(u64::MAX).binding / 4).min(100_000_000) as usize;
        let graph = Graph::new();
        let x = graph.input("x", [n], DType::F32).expect("an input");
        let mean = x.mean_all().expect("a mean");
        for value in [0.1, std::f32::consts::LN_2] {
            let y = run(&device, &graph, std::slice::from_ref(&mean), &[("x", floats(&[n], |_| value))]);
            close(&device, "mean", &y[0], f64::from(value) * 80.0 * UNIT, |_| f64::from(value));
        }
    }
}

#[test]
fn attention_over_a_hundred_thousand_keys() {
    let (queries, keys, scale) = (2, 100_000, 0.5);
    let graph = Graph::new();
    let x = graph.input("x", [1, queries, keys], DType::F32).expect("an input");
    let mask = graph.input("mask", [1, 1, keys], DType::F32).expect("an input");
    let lengths = graph.input("lengths", [1], DType::U32).expect("an input");
    let dy = graph.input("dy", [1, queries, keys], DType::F32).expect("an input");
    let y = x.masked_softmax(scale as f32, &AttentionMask::new().mask(&mask).lengths(&lengths)).expect("a node");
    let dx = graph.gradients_from(&[(y.clone(), dy.clone())], std::slice::from_ref(&x)).expect("a gradient");
    let (of_x, of_dy) = (|i: usize| 8.0 * noise(i) - 4.0, |i: usize| noise(i + 3) - 0.5);
    // Every third key is hidden, and those from 90,000 on.
    let seen = |j: usize| j < 90_000 && j % 3 != 1;
    let inputs = [
        ("x", floats(&[1, queries, keys], of_x)),
        ("mask", floats(&[1, 1, keys], |j| if j % 3 == 1 { 0.0 } else { 1.0 })),
        ("lengths", indices(&[1], |_| 90_000)),
        ("dy", floats(&[1, queries, keys], of_dy)),
    ];
    let e = |i: usize| if seen(i % keys) { (scale * f64::from(of_x(i))).exp() } else { 0.0 };
    let row = |r: usize, f: &dyn Fn(usize) -> f64| (r * keys..(r + 1) * keys).map(f).sum::<f64>();
    let sums = [0, 1].map(|r| row(r, &e));
    let dots = [0, 1].map(|r| row(r, &|i| e(i) / sums[r] * f64::from(of_dy(i))));
    for device in devices() {
        let y = run(&device, &graph, &[y.clone(), dx[0].clone()], &inputs);
        close(&device, "weight", &y[0], 1e-9, |i| e(i) / sums[i / keys]);
        let slope = |i: usize| scale * e(i) / sums[i / keys] * (f64::from(of_dy(i)) - dots[i / keys]);
        close(&device, "gradient", &y[1], 1e-9, slope);
    }
}

/// A layer norm of a row of a million, groups of as many, and channels of as many.
#[test]
fn a_million_elements_are_normalised() {
    let (n, epsilon) = (1_000_003, 1e-5);
    // A mean that is large beside the deviations takes digits away from whoever sums squares.
    let of_x = |i: usize| 30.0 + noise(i);
    let of_dy = |i: usize| noise(i + 9) - 0.25;
    let graph = Graph::new();
    let tall = |name: &str| graph.input(name, [n, 1], DType::F32).expect("an input");
    let wide = |name: &str| graph.input(name, [1, n], DType::F32).expect("an input");
    let (gamma, beta) = (graph.input("gamma", [n], DType::F32), graph.input("beta", [n], DType::F32));
    let (gamma, beta) = (gamma.expect("an input"), beta.expect("an input"));
    let (one, none) = (graph.fill([1], 1.0).expect("a node"), graph.fill([1], 0.0).expect("a node"));
    let (x, dy) = (wide("x"), wide("dy"));
    let (columns, dcolumns) = (tall("columns"), tall("dcolumns"));
    let layer = x.layer_norm(&gamma, &beta, epsilon).expect("a node");
    let (batch, ..) = columns.batch_norm(&one, &none, epsilon).expect("a node");
    let plane = x.reshape([1, 1, n]).and_then(|x| x.group_norm(1, &one, &none, epsilon)).expect("a node");
    let mut fetch = vec![layer.clone(), batch.clone(), plane.clone()];
    let dplane = dy.reshape([1, 1, n]).expect("a node");
    for (y, dy, x) in [(&layer, &dy, &x), (&batch, &dcolumns, &columns), (&plane, &dplane, &x)] {
        fetch.extend(graph.gradients_from(&[(y.clone(), dy.clone())], std::slice::from_ref(x)).expect("a gradient"));
    }
    let inputs = [
        ("x", floats(&[1, n], of_x)),
        ("dy", floats(&[1, n], of_dy)),
        ("columns", floats(&[n, 1], of_x)),
        ("dcolumns", floats(&[n, 1], of_dy)),
        ("gamma", floats(&[n], |_| 1.0)),
        ("beta", floats(&[n], |_| 0.0)),
    ];
    let mean_of = |f: &dyn Fn(usize) -> f64| (0..n).map(f).sum::<f64>() / n as f64;
    let mean = mean_of(&|i| f64::from(of_x(i)));
    let rstd = 1.0 / (mean_of(&|i| (f64::from(of_x(i)) - mean).powi(2)) + epsilon).sqrt();
    let h = |i: usize| (f64::from(of_x(i)) - mean) * rstd;
    let level = mean_of(&|i| f64::from(of_dy(i)));
    let slope = mean_of(&|i| f64::from(of_dy(i)) * h(i));
    for device in devices() {
        let y = run(&device, &graph, &fetch, &inputs);
        for (what, y) in ["layer", "batch", "group"].iter().zip(&y) {
            close(&device, what, y, 1e-5, h);
        }
        for (what, dx) in ["layer's gradient", "batch's gradient", "group's gradient"].iter().zip(&y[3..]) {
            close(&device, what, dx, 1e-5, |i| rstd * ((f64::from(of_dy(i)) - level) - h(i) * slope));
        }
    }
}
