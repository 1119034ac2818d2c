//! Plans far beyond the sizes of the rows, of products, windows, tables and recurrences: no launch has longer loops than an invocation may
//! take, in either form.

use galen::contract::{MAX_ITERATIONS, Padding};
use galen::ops::conv::{Conv1dOptions, Conv2dOptions, Conv3dOptions, ConvTranspose2dOptions};
use galen::ops::gru::GruOptions;
use galen::ops::lstm::LstmOptions;
use galen::ops::max_pool::PoolOptions;
use galen::ops::resize::Interpolation;
use galen::ops::rnn::RnnOptions;
use galen::{DType, Graph, Plan, Result, Var};

use super::FORMS;

/// Plans the graph that `build` makes and the gradients of its sum with respect to the inputs of floats, and checks every launch.
fn within(name: &str, inputs: &[(&[usize], DType)], build: impl Fn(&[Var]) -> Result<Var>) {
    for (name, plan) in planned(name, inputs, build) {
        for step in &plan.steps {
            for launch in &step.launches {
                let (entry, n) = (&launch.kernel.entry, launch.iterations);
                assert!(n <= MAX_ITERATIONS, "{name}: {}: {entry} takes {n} iterations", step.name());
            }
        }
    }
}

/// The plans of such a graph in both forms.
fn planned(name: &str, inputs: &[(&[usize], DType)], build: impl Fn(&[Var]) -> Result<Var>) -> Vec<(String, Plan)> {
    let graph = Graph::new();
    let new = |(i, (shape, dtype)): (usize, &(&[usize], DType))| graph.input(&format!("x{i}"), *shape, *dtype);
    let x: Vec<Var> =
        inputs.iter().enumerate().map(new).collect::<Result<_>>().unwrap_or_else(|e| panic!("{name}: {e}"));
    let y = build(&x).unwrap_or_else(|e| panic!("{name}: {e}"));
    let dy = graph.input("dy", y.shape(), DType::F32).expect("a cotangent");
    let floats: Vec<Var> = x.iter().filter(|x| x.dtype() == DType::F32).cloned().collect();
    let grads = graph.gradients_from(&[(y.clone(), dy)], &floats).unwrap_or_else(|e| panic!("{name}: {e}"));
    let fetch: Vec<Var> = std::iter::once(y).chain(grads).collect();
    let plan = |gpu| Plan::new(&graph, &fetch, Some(gpu)).unwrap_or_else(|e| panic!("{name}: {e}"));
    FORMS.iter().map(|gpu| (format!("{name}, software {}", gpu.software), plan(gpu))).collect()
}

/// Plans that have every kernel which cuts up long work, in small shapes: what naga says of them is asked with the rows' shaders.
pub(crate) fn cut_up() -> Vec<(String, Plan)> {
    let mut all = Vec::new();
    let mut plan = |name: &str, shapes: &[&[usize]], build: &dyn Fn(&[Var]) -> Result<Var>| {
        let inputs: Vec<(&[usize], DType)> = shapes.iter().map(|shape| (*shape, F32)).collect();
        all.extend(planned(name, &inputs, build));
    };
    plan("a product of many parts", &[&[2, 17_000_000], &[17_000_000, 1]], &|x| x[0].matmul(&x[1]));
    let conv = |options: Conv2dOptions| move |x: &[Var]| x[0].conv2d(&x[1], &options);
    plan("channels", &[&[2, 40_000, 5, 5], &[8, 40_000, 3, 3]], &conv(Conv2dOptions::new()));
    plan("results", &[&[2, 8, 5, 5], &[40_000, 8, 3, 3]], &conv(Conv2dOptions::new()));
    plan("results, stride 2", &[&[2, 8, 5, 5], &[40_000, 8, 3, 3]], &conv(Conv2dOptions::new().stride([2; 2])));
    let sparse = Conv2dOptions::new().stride([2; 2]).dilation([2; 2]);
    plan("results, stride and dilation 2", &[&[2, 8, 7, 7], &[40_000, 8, 3, 3]], &conv(sparse));
    plan("volumes", &[&[1, 2_000, 4, 4, 4], &[8, 2_000, 3, 3, 3]], &|x| x[0].conv3d(&x[1], &Conv3dOptions::new()));
    plan("volumes, results", &[&[1, 8, 4, 4, 4], &[2_000, 8, 3, 3, 3]], &|x| x[0].conv3d(&x[1], &Conv3dOptions::new()));
    let epilogue = |x: &[Var]| {
        let y = x[0].conv2d(&x[1], &Conv2dOptions::new())?.add(&x[2].reshape([1, 8, 1, 1])?)?;
        y.add(&x[3])?.relu()
    };
    plan("bias, residual, ReLU", &[&[2, 40_000, 5, 5], &[8, 40_000, 3, 3], &[8], &[2, 8, 3, 3]], &epilogue);
    let line = PoolOptions::new([20_000]).stride([1]);
    plan("maxima of a line", &[&[1, 2, 40_000]], &|x| Ok(x[0].max_pool_with_positions(line)?.0));
    plan("means of a line", &[&[1, 2, 40_000]], &|x| x[0].avg_pool(line, true));
    let cube = PoolOptions::new([40; 3]);
    plan("maxima of a cube", &[&[1, 2, 80, 80, 80]], &|x| Ok(x[0].max_pool_with_positions(cube)?.0));
    for (from, to) in [(&[1][..], &[100_003][..]), (&[100_003], &[2]), (&[40, 300, 200], &[2, 1, 1])] {
        let shape = [&[1, 2], from].concat();
        plan("means to a size", &[&shape], &|x| x[0].adaptive_avg_pool(to));
        plan("maxima to a size", &[&shape], &|x| x[0].adaptive_max_pool(to));
        for how in [Interpolation::NearestExact, Interpolation::Linear, Interpolation::LinearAlignCorners] {
            plan("resized", &[&shape], &|x| x[0].resize(to, how));
        }
    }
    let ids = [(&[3, 2][..], F32), (&[20_000], DType::U32)];
    all.extend(planned("ids", &ids, |x| x[0].gather_padded(&x[1], Some(1))));
    all
}

const F32: DType = DType::F32;

/// The stems whose large sizes are planned here, and those whose loops do not grow with the data.
pub const STEMS: &[&str] = &[
    "adaptive_avg_pool",
    "adaptive_max_pool",
    "avg_pool",
    "blur",
    "conv",
    "gather",
    "gru",
    "lstm",
    "matmul",
    "max_pool",
    "resize",
    "rnn",
    "signal",
    "transpose",
    "update",
    "warp",
];

#[test]
fn products_of_any_length() {
    for (k, small) in [(16_385, false), (100_000, false), (1_000_000, false), (10_000_000, true)] {
        for (m, n) in if small { vec![(1, 1), (3, 2)] } else { vec![(1, 1), (5, 3), (64, 64), (300, 100)] } {
            for (ta, tb) in [(false, false), (false, true), (true, false), (true, true)] {
                let a = if ta { [k, m] } else { [m, k] };
                let b = if tb { [n, k] } else { [k, n] };
                let name = format!("{m} x {n} x {k}, {ta} {tb}");
                within(&name, &[(&a, F32), (&b, F32)], |x| x[0].matmul_with(&x[1], ta, tb));
                let (a, b) = ([&[4, 1], &a[..]].concat(), [&[1, 3], &b[..]].concat());
                within(&format!("batches of {name}"), &[(&a, F32), (&b, F32)], |x| x[0].matmul_with(&x[1], ta, tb));
            }
        }
    }
}

#[test]
fn convolutions_of_any_size() {
    // Shapes of x and w; stride, dilation, groups. Channels, space, batches, kernels and groups.
    type Case<'a> = (&'a str, &'a [usize], &'a [usize], usize, usize, usize);
    let images: [Case<'_>; 14] = [
        ("70,000 channels, 1 x 1", &[1, 70_000, 4, 4], &[8, 70_000, 1, 1], 1, 1, 1),
        ("70,000 results, 1 x 1", &[1, 8, 4, 4], &[70_000, 8, 1, 1], 1, 1, 1),
        ("9,000 channels, 1 x 1", &[2, 9_000, 5, 5], &[9_000, 9_000, 1, 1], 1, 1, 1),
        ("70,000 channels, 3 x 3", &[1, 70_000, 5, 5], &[3, 70_000, 3, 3], 1, 1, 1),
        ("70,000 results, 3 x 3, stride 2", &[1, 3, 9, 9], &[70_000, 3, 3, 3], 2, 1, 1),
        ("70,000 results, 3 x 3, stride and dilation 2", &[1, 3, 9, 9], &[70_000, 3, 3, 3], 2, 2, 1),
        ("a large batch, 1 x 1", &[100_000, 3, 16, 16], &[5, 3, 1, 1], 1, 1, 1),
        ("a large batch, 3 x 3", &[100_000, 3, 16, 16], &[5, 3, 3, 3], 1, 1, 1),
        ("large images, 3 x 3", &[20, 16, 2048, 2048], &[16, 16, 3, 3], 1, 1, 1),
        ("large images, 3 x 3, many results", &[2, 16, 2048, 2048], &[640, 16, 3, 3], 2, 1, 1),
        ("narrow images", &[300, 2, 100_000, 3], &[2, 2, 3, 3], 1, 1, 1),
        ("depthwise", &[4096, 512, 32, 32], &[512, 1, 3, 3], 1, 1, 512),
        ("70,000 groups", &[2, 70_000, 9, 9], &[140_000, 1, 3, 3], 1, 1, 70_000),
        ("a kernel of 300 x 300", &[1, 2, 400, 400], &[3, 2, 300, 300], 1, 1, 1),
    ];
    for (name, x, w, stride, dilation, groups) in images {
        let options = Conv2dOptions::new().stride([stride; 2]).dilation([dilation; 2]).groups(groups);
        within(name, &[(x, F32), (w, F32)], |x| x[0].conv2d(&x[1], &options));
    }
    for width in [9, 3_000, 100_000] {
        let (x, w) = ([2, 40, 300_000], [30, 40, width]);
        within(&format!("a line and a kernel of {width}"), &[(&x, F32), (&w, F32)], |x| {
            x[0].conv1d(&x[1], &Conv1dOptions::new())
        });
        let x = [1, 1, 3_000_000];
        within(&format!("one channel and a kernel of {width}"), &[(&x, F32), (&[1, 1, width], F32)], |x| {
            x[0].conv1d(&x[1], &Conv1dOptions::new().stride([3]))
        });
    }
    let volume = ([1, 600, 64, 64, 64], [8, 600, 3, 3, 3]);
    within("volumes", &[(&volume.0, F32), (&volume.1, F32)], |x| x[0].conv3d(&x[1], &Conv3dOptions::new()));
    let back = ([2, 20_000, 8, 8], [20_000, 3, 4, 4]);
    within("transposed", &[(&back.0, F32), (&back.1, F32)], |x| {
        x[0].conv_transpose2d(&x[1], &ConvTranspose2dOptions::new().stride([2; 2]))
    });
}

#[test]
fn windows_of_any_size() {
    let same = Padding::Same;
    for (name, shape, kernel, stride, padding) in [
        ("300 x 300 side by side", [2, 3, 900, 900], [300, 300], [300, 300], Padding::Valid),
        ("300 x 300 everywhere", [2, 3, 900, 900], [300, 300], [1, 1], same),
        ("300 x 300, rows alone overlap", [2, 3, 900, 900], [300, 300], [1, 300], same),
        ("global", [1, 2, 2000, 2000], [2000, 2000], [2000, 2000], Padding::Valid),
        ("a line of 20,000", [1, 2, 3, 50_000], [2, 20_000], [1, 7], Padding::Valid),
        ("columns of 20,000", [1, 2, 50_000, 3], [20_000, 2], [1, 1], Padding::Valid),
    ] {
        let options = PoolOptions::new(kernel).stride(stride).padding(padding);
        within(name, &[(&shape, F32)], |x| Ok(x[0].max_pool_with_positions(options)?.0));
        within(name, &[(&shape, F32)], |x| x[0].avg_pool(options, true));
        within(name, &[(&shape, F32)], |x| x[0].avg_pool(options, false));
    }
    for kernel in [16_000, 100_000, 30_000_000] {
        for stride in [1, 5, kernel] {
            let (name, shape) = (format!("a line, {kernel}, stride {stride}"), [1, 2, 2 * kernel + 77]);
            let options = PoolOptions::new([kernel]).stride([stride]);
            within(&name, &[(&shape, F32)], |x| Ok(x[0].max_pool_with_positions(options)?.0));
            within(&name, &[(&shape, F32)], |x| x[0].avg_pool(options, true));
        }
    }
    let cube = PoolOptions::new([60; 3]).stride([1; 3]);
    within("60 x 60 x 60", &[(&[1, 2, 90, 90, 90], F32)], |x| Ok(x[0].max_pool_with_positions(cube)?.0));
    within("60 x 60 x 60", &[(&[1, 2, 90, 90, 90], F32)], |x| x[0].avg_pool(cube, true));
}

#[test]
fn sizes_that_change_by_any_factor() {
    let pairs: [(&[usize], &[usize]); 12] = [
        (&[2000, 2000], &[1, 1]),
        (&[2000, 2000], &[2, 1]),
        (&[1999, 2000], &[7, 3]),
        (&[1, 1], &[4000, 4000]),
        (&[3, 2], &[4000, 4001]),
        (&[100_000], &[1]),
        (&[100_003], &[2]),
        (&[1], &[1_000_000]),
        (&[2], &[1_000_003]),
        (&[65_537], &[1_000_003]),
        (&[1_000_003], &[65_537]),
        (&[90, 100, 110], &[2, 1, 1]),
    ];
    for (from, to) in pairs {
        let shape = [&[2, 3], from].concat();
        let name = format!("{from:?} to {to:?}");
        within(&name, &[(&shape, F32)], |x| x[0].adaptive_avg_pool(to));
        within(&name, &[(&shape, F32)], |x| x[0].adaptive_max_pool(to));
        use Interpolation::{Linear, LinearAlignCorners, Nearest, NearestExact};
        for how in [Nearest, NearestExact, Linear, LinearAlignCorners] {
            within(&format!("{name}, {how:?}"), &[(&shape, F32)], |x| x[0].resize(to, how));
        }
    }
}

#[test]
fn tables_with_any_number_of_ids() {
    for ids in [16_384, 16_385, 300_000, 10_000_000] {
        within(&format!("{ids} ids"), &[(&[1000, 3], F32), (&[ids], DType::U32)], |x| x[0].gather(&x[1]));
        within(&format!("{ids} ids"), &[(&[3, 1], F32), (&[ids], DType::U32)], |x| x[0].gather_padded(&x[1], Some(1)));
    }
}

#[test]
fn recurrences_of_any_length_and_width() {
    for (batch, time, units) in [(1, 65_536, 512), (2, 3, 20_000)] {
        let state: &[usize] = &[batch, units];
        let input = |gates: usize| ([batch, time, gates * units], [units, gates * units]);
        let (gates, u) = input(1);
        within("rnn", &[(&gates, F32), (&u, F32), (state, F32)], |x| {
            x[0].rnn(&x[1], &x[2], None, RnnOptions::default())
        });
        let (gates, u) = input(4);
        within("lstm", &[(&gates, F32), (&u, F32), (state, F32), (state, F32)], |x| {
            Ok(x[0].lstm(&x[1], &x[2], &x[3], None, LstmOptions::default())?.0)
        });
        let (gates, u) = input(3);
        within("gru", &[(&gates, F32), (&u, F32), (&[3 * units], F32), (state, F32)], |x| {
            x[0].gru(&x[1], &x[2], &x[3], None, GruOptions::default())
        });
    }
}
