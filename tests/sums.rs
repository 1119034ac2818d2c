//! Sums of millions of numbers keep their digits on the processor, in every op that sums, in every layout of axes, and have the same bits
//! for any number of threads. On one after another a running sum of `f32` loses what is smaller than half of its last digit: 4 million
//! times 0.1 then have the mean 0.10035.

use galen::engine::Reference;
use galen::ops::conv::Conv2dOptions;
use galen::ops::max_norm::{self, Units};
use galen::ops::max_pool::PoolOptions;
use galen::shape::DType;
use galen::{Device, Graph, Result, Session, Tensor, TensorSpec, Var};

/// What a result may be off by, as a share of the largest: some 170 times the rounding of one addition. `(64 + log₂ n)` of them are
/// what sums are held to, and products of long sums come near to that, too.
const BOUND: f64 = 1e-5;

/// An input: its shape, and what its elements are.
#[derive(Clone, Copy)]
enum Feed {
    /// All elements are this number.
    All(&'static [usize], f32),
    /// Numbers around this one, others for each, which rounding meets in either direction.
    Around(&'static [usize], f32),
    /// The integer 1, again and again.
    Ones(&'static [usize]),
}

impl Feed {
    fn tensor(self) -> Tensor {
        let count = |shape: &[usize]| shape.iter().product::<usize>();
        let made = match self {
            Feed::All(shape, x) => Tensor::f32(shape, vec![x; count(shape)]),
            Feed::Around(shape, x) => {
                let step = 7919 + (10.0 * x) as usize;
                let value = |i: usize| x + ((i * step) % 1009) as f32 / 1009.0 - 0.5;
                Tensor::f32(shape, (0..count(shape)).map(value).collect())
            }
            Feed::Ones(shape) => Tensor::u32(shape, vec![1; count(shape)]),
        };
        made.expect("a tensor")
    }
}

/// The results on the processor with so many threads, and in `f64`.
fn run(threads: usize, graph: &Graph, fetch: &[Var], inputs: &[(String, Tensor)]) -> Vec<Vec<f32>> {
    let device = Device::cpu_with_threads(threads).expect("threads");
    let mut session = Session::new(&device, 3, Some(8 << 30));
    let executable = session.compile(graph, fetch).expect("a plan");
    let used = |name: &String| executable.plan().inputs.iter().any(|(have, _)| have == name);
    let given: Vec<(&str, &Tensor)> = inputs.iter().filter(|i| used(&i.0)).map(|i| (i.0.as_str(), &i.1)).collect();
    let outputs = session.run(&executable, &given).expect("a run");
    outputs.into_iter().map(|y| y.into_f32().expect("floats").into_raw_vec_and_offset().0).collect()
}

fn truth(graph: &Graph, fetch: &[Var], inputs: &[(String, Tensor)]) -> Vec<Vec<f64>> {
    let mut reference = Reference::new(graph, fetch, 3).expect("a plan");
    for (name, tensor) in inputs {
        // An input that no result depends on is not there.
        let _ = reference.set(name, tensor.elements());
    }
    reference.run();
    reference.outputs().expect("results")
}

/// Checks what `build` gives for these inputs, and the gradients of the sum of its first result with respect to the first `wrt` inputs.
fn check(name: &str, feeds: &[Feed], wrt: usize, build: impl Fn(&Graph, &[Var]) -> Result<Vec<Var>>) {
    let graph = Graph::new();
    let inputs: Vec<(String, Tensor)> =
        feeds.iter().enumerate().map(|(i, feed)| (format!("x{i}"), feed.tensor())).collect();
    let input = |(name, tensor): &(String, Tensor)| graph.input(name, tensor.shape(), tensor.spec().dtype);
    let vars = inputs.iter().map(input).collect::<Result<Vec<Var>>>().expect("inputs");
    let mut fetch = build(&graph, &vars).expect("a graph");
    if wrt > 0 {
        let loss = fetch[0].sum_all().expect("a loss");
        fetch.extend(graph.gradients(&loss, &vars[..wrt]).expect("gradients"));
    }
    let results = run(1, &graph, &fetch, &inputs);
    let mut worst = 0.0f64;
    for (which, (result, truth)) in results.iter().zip(truth(&graph, &fetch, &inputs)).enumerate() {
        let largest = truth.iter().fold(0.0f64, |most, y| most.max(y.abs()));
        assert!(largest > 0.0, "{name}, result {which}: nothing but zeros");
        for (i, (y, truth)) in result.iter().zip(&truth).enumerate() {
            let off = (f64::from(*y) - truth).abs() / largest;
            worst = worst.max(off);
            assert!(off <= BOUND, "{name}, result {which}, element {i}: {y} for {truth}, off by {off:e}");
        }
    }
    println!("{name}: off by {worst:.1e} at most");
    let bits = |results: &[Vec<f32>]| results.iter().flatten().map(|y| y.to_bits()).collect::<Vec<_>>();
    assert!(bits(&results) == bits(&run(3, &graph, &fetch, &inputs)), "{name}: threads change bits");
}

use Feed::{All, Around, Ones};

#[test]
fn the_mean_of_millions_of_losses() {
    check("losses", &[All(&[4_200_000, 2], 0.0), Ones(&[4_200_000])], 1, |_, x| {
        Ok(vec![x[0].cross_entropy(&x[1], -1, true)?.mean_all()?])
    });
    let graph = Graph::new();
    let inputs = [("x".to_owned(), All(&[4_200_000, 2], 0.0).tensor()), ("t".to_owned(), Ones(&[4_200_000]).tensor())];
    let x = graph.input("x", [4_200_000, 2], DType::F32).expect("an input");
    let t = graph.input("t", [4_200_000], DType::U32).expect("an input");
    let loss = x.cross_entropy(&t, -1, true).and_then(|loss| loss.mean_all()).expect("a loss");
    let mean = run(2, &graph, &[loss], &inputs)[0][0];
    assert!((f64::from(mean) - std::f64::consts::LN_2).abs() < 1e-6, "{mean}");
}

#[test]
fn means_and_sums_over_any_axes() {
    let cases: [(&'static [usize], &[isize]); 12] = [
        (&[4_000_000], &[0]),
        (&[3, 700_001], &[1]),
        (&[700_001, 3], &[0]),
        (&[300_007, 17], &[0]),
        (&[20_011, 130], &[0]),
        (&[5, 200_003, 2], &[1]),
        (&[2, 9_001, 70], &[1]),
        (&[101, 7, 2_003], &[0, 2]),
        (&[2_003, 5, 211], &[0, 1]),
        (&[200_003, 2, 5], &[0, 2]),
        (&[400_009, 1, 3], &[0, 1, 2]),
        (&[7, 2, 50_021, 2], &[0, 2]),
    ];
    for (shape, axes) in cases {
        for feed in [All(shape, 0.1), Around(shape, 1.0)] {
            check(&format!("{shape:?} over {axes:?}"), &[feed], 0, |_, x| {
                Ok(vec![x[0].mean(axes, false)?, x[0].sum(axes, true)?])
            });
        }
    }
}

#[test]
fn the_mean_of_a_hundred_million_numbers() {
    check("a hundred million", &[All(&[10_000, 10_000], 0.1)], 0, |_, x| {
        Ok(vec![x[0].mean_all()?, x[0].mean(&[0], false)?, x[0].mean(&[1], false)?])
    });
}

#[test]
fn softmax_and_losses_over_many_classes() {
    let rows: &'static [usize] = &[2, 700_001];
    let columns: &'static [usize] = &[700_001, 3];
    for (shape, axis) in [(rows, -1), (columns, 0)] {
        check("softmax", &[Around(shape, 0.0)], 0, |_, x| Ok(vec![x[0].softmax(axis)?]));
        check("equal logits", &[All(shape, 0.3)], 0, |_, x| Ok(vec![x[0].softmax(axis)?, x[0].log_softmax(axis)?]));
        check("gradient", &[Around(shape, 0.0), Around(shape, 1.0)], 1, |_, x| {
            Ok(vec![x[0].softmax(axis)?.mul(&x[1])?])
        });
        check("logits", &[Around(shape, 0.3), All(shape, 1e-6)], 1, |_, x| {
            Ok(vec![x[0].cross_entropy(&x[1], axis, true)?])
        });
        check("probabilities", &[All(shape, 0.3), All(shape, 0.1)], 1, |_, x| {
            Ok(vec![x[0].cross_entropy(&x[1], axis, false)?])
        });
    }
    check("masked", &[All(&[1, 2, 400_001], 0.3)], 0, |_, x| Ok(vec![x[0].masked_softmax(0.5, &Default::default())?]));
}

#[test]
fn normalisation_over_many_elements() {
    let shapes: [&'static [usize]; 4] = [&[4, 3, 300_001], &[300_001, 3], &[200_001, 2, 5], &[16, 9, 20_011]];
    for shape in shapes {
        let channels: &'static [usize] = Box::leak(vec![shape[1]].into_boxed_slice());
        let feeds = [Around(shape, 3.0), All(channels, 1.5), All(channels, 0.5), Around(shape, 1.0)];
        check(&format!("batch norm {shape:?}"), &feeds, 3, |_, x| {
            let (y, mean, variance) = x[0].batch_norm(&x[1], &x[2], 1e-3)?;
            Ok(vec![y.mul(&x[3])?, mean, variance])
        });
        check(&format!("group norm {shape:?}"), &feeds, 3, |_, x| {
            Ok(vec![x[0].group_norm(1, &x[1], &x[2], 1e-3)?.mul(&x[3])?])
        });
    }
    let wide: &'static [usize] = &[2, 600_001];
    let feeds = [Around(wide, 3.0), All(&[600_001], 1.5), All(&[600_001], 0.5), Around(wide, 1.0)];
    check("layer norm", &feeds, 3, |_, x| Ok(vec![x[0].layer_norm(&x[1], &x[2], 1e-3)?.mul(&x[3])?]));
}

#[test]
fn norms_of_millions_of_parameters() {
    check("clipped", &[All(&[4_000_000], 0.1)], 0, |_, x| Ok(vec![x[0].clip_gradients(None, Some(1.0))?]));
    let graph = Graph::new();
    let len = 1 << 21;
    let spec = TensorSpec::f32([len]);
    let w = graph.state("w", "w", spec, galen::graph::Init::Constant(0.1)).expect("state");
    // Three units whose elements lie apart, as those of a dense layer.
    let units = Units { offset: 0, units: 3, unit_stride: 1, elements: len / 4, element_stride: 4, limit: 1.0 };
    let table = max_norm::table(len, &[units]).expect("a table");
    let init = |words: Vec<u32>| galen::graph::Init::Words(words.into());
    let table = graph.state("table", "table", TensorSpec::u32([table.len()]), init(table)).expect("state");
    let clock = galen::contract::clock::clock(0, 1).to_vec();
    let clock = graph.state("clock", "clock", TensorSpec::u32([clock.len()]), init(clock)).expect("state");
    w.max_norm(&table, len / 4, &clock, 1).expect("a node");
    let norm = w.slice(&[(0, len)]).and_then(|w| w.reshape([len / 4, 4])).expect("rows").square().expect("squares");
    let norm = norm.sum(&[0], false).expect("sums");
    let squares = &run(2, &graph, &[norm], &[])[0];
    for unit in &squares[..3] {
        assert!((f64::from(*unit) - 1.0).abs() < 2.0 * BOUND, "{squares:?}");
    }
}

#[test]
fn pooling_with_large_windows() {
    let image: &'static [usize] = &[1, 2, 300, 400];
    for pad in [false, true] {
        check("one window", &[All(&[1, 1, 1_500, 1_501], 0.1)], 1, |_, x| {
            Ok(vec![x[0].avg_pool2d(PoolOptions::new([1_400, 1_450]).stride([90, 51]), pad)?])
        });
        check("many windows", &[All(&[1, 2, 60, 70], 0.1)], 1, |_, x| {
            let options = PoolOptions::new([31, 33]).stride([1, 1]).padding(galen::contract::Padding::Same);
            Ok(vec![x[0].avg_pool2d(options, pad)?])
        });
    }
    check("a line", &[All(&[1, 1, 4_000_000], 0.1)], 0, |_, x| {
        Ok(vec![x[0].avg_pool1d(PoolOptions::new([3_999_001]).stride([999]), false)?])
    });
    check("the largest", &[Around(&[1, 2, 60, 70], 0.1), All(&[1, 2, 24, 34], 0.1)], 1, |_, x| {
        Ok(vec![x[0].max_pool2d(PoolOptions::new([37, 37]).stride([1, 1]))?.mul(&x[1])?])
    });
    check("given windows", &[All(image, 0.1)], 1, |_, x| Ok(vec![x[0].adaptive_avg_pool(&[2, 3])?]));
    check("windows that repeat", &[All(&[1, 1, 2, 3], 0.1), Around(image_of(900, 700), 1.0)], 1, |_, x| {
        Ok(vec![x[0].adaptive_avg_pool(&[900, 700])?.mul(&x[1])?])
    });
    check("largest that repeat", &[Around(&[1, 1, 2, 3], 0.1), All(image_of(900, 700), 0.1)], 1, |_, x| {
        Ok(vec![x[0].adaptive_max_pool(&[900, 700])?.mul(&x[1])?])
    });
    for size in [[2_000, 1_500], [900, 3]] {
        let weights = image_of(size[0], size[1]);
        check("resized", &[All(&[1, 1, 2, 3], 0.1), All(weights, 0.1)], 1, |_, x| {
            Ok(vec![x[0].resize_linear(&size)?.mul(&x[1])?])
        });
        check("repeated", &[All(&[1, 1, 2, 3], 0.1), All(weights, 0.1)], 1, |_, x| {
            Ok(vec![x[0].resize_nearest(&size)?.mul(&x[1])?])
        });
    }
}

fn image_of(rows: usize, columns: usize) -> &'static [usize] {
    Box::leak(vec![1, 1, rows, columns].into_boxed_slice())
}

#[test]
fn gradients_of_a_row_that_is_read_again_and_again() {
    for width in [1, 3, 70] {
        let (table, dy): (&'static [usize], &'static [usize]) =
            (Box::leak(vec![3, width].into_boxed_slice()), Box::leak(vec![300_000, width].into_boxed_slice()));
        check(&format!("rows of {width}"), &[All(table, 0.1), Ones(&[300_000]), All(dy, 0.1)], 1, |_, x| {
            Ok(vec![x[0].gather(&x[1])?.mul(&x[2])?])
        });
    }
}

#[test]
fn products_of_long_rows() {
    for value in [1.0, 0.1] {
        check("a dot product", &[All(&[1, 1_000_000], value), All(&[1_000_000, 1], value)], 0, |_, x| {
            Ok(vec![x[0].matmul(&x[1])?])
        });
        check("few columns", &[All(&[3, 300_001], value), All(&[300_001, 5], value)], 0, |_, x| {
            Ok(vec![x[0].matmul(&x[1])?])
        });
        check("tiles", &[All(&[9, 100_000], value), All(&[100_000, 50], value)], 0, |_, x| {
            Ok(vec![x[0].matmul(&x[1])?])
        });
        check("both transposed", &[All(&[100_000, 9], value), All(&[50, 100_000], value)], 0, |_, x| {
            Ok(vec![x[0].matmul_with(&x[1], true, true)?])
        });
        check("packed", &[All(&[40, 9_000], value), All(&[9_000, 140], value)], 0, |_, x| {
            Ok(vec![x[0].matmul(&x[1])?])
        });
        check("many channels", &[All(&[1, 70_000, 2, 1], value), All(&[3, 70_000, 1, 1], value)], 0, |_, x| {
            Ok(vec![x[0].conv2d(&x[1], &Conv2dOptions::new())?])
        });
    }
}

/// The gradients of a convolution's weights and of its bias sum over all positions of all images.
#[test]
fn gradients_of_convolutions_of_large_images() {
    let o = Conv2dOptions::new;
    let of = |name: &str, x: &'static [usize], w: &'static [usize], options: Conv2dOptions| {
        let bias: &'static [usize] = Box::leak(vec![w[0], 1, 1].into_boxed_slice());
        check(name, &[All(x, 0.1), All(w, 0.1), All(bias, 0.1)], 3, |_, x| {
            Ok(vec![x[0].conv2d(&x[1], &options)?.add(&x[2])?.relu()?])
        });
    };
    of("one large image", &[1, 1, 1_000, 1_000], &[2, 1, 3, 3], o());
    of("many images", &[16, 2, 200, 200], &[3, 2, 3, 3], o());
    of("a stride", &[9, 1, 301, 401], &[2, 1, 5, 5], o().stride([2, 2]));
    of("depthwise", &[9, 2, 200, 300], &[2, 1, 3, 3], o().groups(2));
    of("many small images", &[30_000, 2, 3, 3], &[3, 2, 3, 3], o());
    of("a line", &[2, 1, 1, 1_000_000], &[2, 1, 1, 7], o());
}
