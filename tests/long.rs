//! Sums, maxima and recurrences that are too long for the loops of one invocation, so that kernels cut them up: the right values, on the
//! CPU and in both forms of the kernels.

mod common;

use common::rows::{Bound, Row, Values};
use galen::contract::Window;
use galen::contract::{GpuTraits, Padding};
use galen::ops::adaptive_max_pool::AdaptiveMaxPool;
use galen::ops::avg_pool::AvgPoolGrad;
use galen::ops::conv::{Conv1dOptions, Conv2dOptions, Conv3dOptions, ConvTranspose2dOptions};
use galen::ops::gather::GatherGrad;
use galen::ops::gru::GruOptions;
use galen::ops::lstm::LstmOptions;
use galen::ops::max_pool::{MaxPoolGrad, PoolOptions};
use galen::ops::resize::Interpolation;
use galen::ops::rnn::RnnOptions;
use galen::{DType, Device, Graph, Session, Tensor};

const ONES: Values = Values::Uniform(1.0, 1.0);

/// Where a case runs: on the processor, and in both forms that a GPU's kernels may have.
fn devices() -> Vec<Device> {
    let gpus = common::own_gpu().into_iter().flat_map(|gpu| {
        let software = gpu.gpu_traits().expect("a GPU").software;
        let other = gpu.with_gpu_traits(GpuTraits { software: !software });
        [gpu, other]
    });
    std::iter::once(Device::cpu_with_threads(2).expect("threads")).chain(gpus).collect()
}

/// Compares each row with the `f64` twin, and its first result with `value` where that is given: all elements are exactly that.
fn check_all(rows: Vec<(Row, Option<f32>)>) {
    check_on(&devices(), rows);
}

/// The same for kernels that have one form.
fn check(rows: Vec<(Row, Option<f32>)>) {
    let devices: Vec<Device> = devices().into_iter().take(2).collect();
    check_on(&devices, rows);
}

fn plain(rows: Vec<Row>) -> Vec<(Row, Option<f32>)> {
    rows.into_iter().map(|row| (row, None)).collect()
}

fn check_on(devices: &[Device], rows: Vec<(Row, Option<f32>)>) {
    for (row, value) in rows {
        let case = common::build(&row).unwrap_or_else(|e| panic!("{}: {e}", row.name));
        for device in devices {
            let on_gpu = device.gpu_traits().is_some();
            let results = if on_gpu { case.run_on_gpu(device) } else { case.run(device).map_err(|e| e.to_string()) };
            let results = results.unwrap_or_else(|e| panic!("{} on {device}: {e}", row.name));
            if let Some(value) = value {
                let wrong = common::floats(&results[0]).into_iter().find(|y| *y != f64::from(value));
                assert_eq!(wrong, None, "{} on {device}: {value} is right", row.name);
            }
            case.compare(&results).unwrap_or_else(|e| panic!("{} on {device}: {e}", row.name));
        }
    }
}

/// Sums of some ten thousand products, in `f32`.
const SUM: Bound = Bound::Terms(100.0);
/// The same where the CPU mixes neighbours before it multiplies them.
const MIXED: Bound = Bound::Scale(256.0);

#[test]
fn products() {
    let mut rows = Vec::new();
    for (ta, tb) in [(false, false), (false, true), (true, false), (true, true)] {
        let row = |k: usize, values: Values| {
            let shapes = (if ta { [k, 3] } else { [3, k] }, if tb { [2, k] } else { [k, 2] });
            let row = Row::new(&format!("{ta} {tb}"), move |_, x| Ok(vec![x[0].matmul_with(&x[1], ta, tb)?]));
            row.f32(shapes.0, values.clone()).f32(shapes.1, values).bounds(SUM, SUM)
        };
        rows.extend([(row(100_000, ONES), Some(100_000.0)), (row(20_000, Values::Normal), None)]);
    }
    let row = Row::new("batches, bias, ReLU", |_, x| Ok(vec![x[0].matmul(&x[1])?.add(&x[2])?.relu()?]));
    let row = row.constant([2, 1, 5, 20_000], Values::Normal).constant([3, 20_000, 4], Values::Normal);
    rows.push((row.constant([4], Values::Normal).bounds(SUM, SUM), None));
    // The gradients of the operands are long.
    let row = Row::new("gradients", |_, x| Ok(vec![x[0].matmul(&x[1])?]));
    rows.push((row.f32([20_000, 3], Values::Normal).f32([3, 2], Values::Normal).bounds(SUM, SUM), None));
    check_all(rows);
}

/// So many parts that they are added up in two passes.
#[test]
fn a_product_of_many_parts() {
    let k = 16_600_000;
    let graph = Graph::new();
    let x = graph.input("x", [1, k], DType::F32).expect("an input");
    let y = x.matmul_with(&x, false, true).expect("a product");
    let ones = Tensor::f32([1, k], vec![1.0; k]).expect("a tensor");
    if let Some(gpu) = common::own_gpu() {
        let mut session = Session::new(&gpu, 1, None);
        let run = session.compile(&graph, &[y]).expect("a plan");
        assert_eq!(run.plan().dispatches(), 3, "the product and two passes over its parts");
        let y = session.run(&run, &[("x", &ones)]).expect("a run").swap_remove(0);
        assert_eq!(common::floats(&y), [k as f64]);
    }
}

#[test]
fn convolutions_over_many_channels() {
    let one = |name: &str, x: &[usize], w: &[usize], options: Conv2dOptions, values: Values| {
        let row = Row::new(name, move |_, x| Ok(vec![x[0].conv2d(&x[1], &options)?]));
        row.f32(x, values.clone()).f32(w, values).bounds(SUM, SUM)
    };
    let plain = Conv2dOptions::new();
    let normal = |name, x: &[usize], w: &[usize], options| (one(name, x, w, options, Values::Normal), None);
    let fused = Row::new("bias, residual, ReLU", |_, x| {
        let bias = x[2].reshape([1, 3, 1, 1])?;
        Ok(vec![x[0].conv2d(&x[1], &Conv2dOptions::new().padding(Padding::Same))?.add(&bias)?.add(&x[3])?.relu()?])
    });
    let fused = fused.constant([2, 2_000, 5, 4], Values::Normal).constant([3, 2_000, 3, 3], Values::Normal);
    let fused = fused.constant([3], Values::Normal).constant([2, 3, 5, 4], Values::Normal).bounds(SUM, SUM);
    check_all(vec![
        (one("70,000 channels", &[2, 70_000, 3, 2], &[3, 70_000, 1, 1], plain, ONES), Some(70_000.0)),
        normal("70,000 channels", &[1, 70_000, 3, 2], &[6, 70_000, 1, 1], plain),
        normal("70,000 results", &[2, 4, 3, 2], &[70_000, 4, 1, 1], plain),
        normal("9,000 channels and results", &[1, 9_000, 2, 1], &[9_000, 2, 1, 1], plain.groups(4500)),
        normal("9,000 channels", &[1, 9_000, 2, 2], &[6, 9_000, 1, 1], plain),
        normal("two groups", &[1, 34_000, 2, 2], &[12, 17_000, 1, 1], plain.groups(2)),
        normal("3 x 3", &[1, 2_000, 6, 5], &[6, 2_000, 3, 3], plain.padding(Padding::Same)),
        normal("3 x 3 back", &[1, 6, 6, 5], &[2_000, 6, 3, 3], plain.padding(Padding::Same)),
        normal("3 x 3 back, stride 2", &[1, 5, 6, 5], &[5_000, 5, 3, 3], plain.stride([2; 2])),
        normal(
            "3 x 3 back, stride 2 and dilation",
            &[1, 5, 7, 6],
            &[2_000, 5, 3, 3],
            plain.stride([2; 2]).dilation([2; 2]),
        ),
        (fused, None),
    ]);
}

#[test]
fn convolutions_of_lines_and_volumes() {
    let line = Row::new("a kernel of 20,000", |_, x| Ok(vec![x[0].conv1d(&x[1], &Conv1dOptions::new())?]));
    let volume = Row::new("700 channels of volumes", |_, x| Ok(vec![x[0].conv3d(&x[1], &Conv3dOptions::new())?]));
    let back = Row::new("transposed", |_, x| {
        Ok(vec![x[0].conv_transpose2d(&x[1], &ConvTranspose2dOptions::new().stride([2; 2]))?])
    });
    let wide = |name: &str, batch: usize, channels: usize, kernel: usize| {
        let options = Conv1dOptions::new().groups(channels);
        let row = Row::new(name, move |_, x| Ok(vec![x[0].conv1d(&x[1], &options)?]));
        row.constant([batch, channels, 300], Values::Normal).f32([channels, 1, kernel], Values::Normal).bounds(SUM, SUM)
    };
    check_all(plain(vec![
        line.constant([1, 1, 20_050], Values::Normal).f32([2, 1, 20_000], Values::Normal).bounds(SUM, SUM),
        volume.f32([1, 700, 3, 4, 3], Values::Normal).f32([2, 700, 3, 3, 3], Values::Normal).bounds(SUM, MIXED),
        back.f32([1, 5_000, 2, 3], Values::Normal).f32([5_000, 2, 4, 4], Values::Normal).bounds(SUM, SUM),
        // The gradient of weights of so many groups is not cut up for the sake of many workgroups.
        wide("a large batch", 60, 520, 1),
        wide("a large batch, two taps", 60, 520, 2),
    ]));
}

#[test]
fn mean_pooling() {
    let plain = PoolOptions::new([300, 300]);
    let padded = PoolOptions::new([200, 170]).stride([90, 110]).padding(Padding::around(80));
    let image = |name: &str, options: PoolOptions<2>, include, values: Values| {
        let row = Row::new(name, move |_, x| Ok(vec![x[0].avg_pool2d(options, include)?]));
        row.f32([1, 2, 600, 600], values).bounds(SUM, SUM)
    };
    let line =
        Row::new("a line of 20,000", |_, x| Ok(vec![x[0].avg_pool1d(PoolOptions::new([20_000]).stride([90]), true)?]));
    let cube =
        Row::new("40 x 40 x 40", |_, x| Ok(vec![x[0].avg_pool3d(PoolOptions::new([40; 3]).stride([5; 3]), true)?]));
    check(vec![
        (image("300 x 300", plain, true, ONES), Some(1.0)),
        (image("300 x 300", plain, true, Values::Normal), None),
        (image("padded", padded, true, Values::Normal), None),
        (image("padding left out", padded, false, Values::Normal), None),
        (line.f32([1, 2, 21_000], Values::Normal).bounds(SUM, SUM), None),
        (cube.f32([1, 2, 50, 50, 50], Values::Normal).bounds(SUM, SUM), None),
    ]);
}

/// Every element of a line lies in as many windows as it has elements before it or behind it.
#[test]
fn the_gradient_of_mean_pooling_with_many_windows() {
    let (kernel, outputs) = (16_500, 16_500);
    let input = kernel + outputs - 1;
    let graph = Graph::new();
    let dy = graph.input("dy", [1, 1, outputs], DType::F32).expect("an input");
    let window = Window { kernel: [kernel], stride: [1], padding: [[0; 2]], dilation: [1] }.lift();
    let grad = AvgPoolGrad { window, count_include_pad: false, input: [1, 1, input] };
    let dx = graph.push1(grad, &[&dy]).expect("a gradient");
    let ones = Tensor::f32([1, 1, outputs], vec![1.0; outputs]).expect("a tensor");
    for device in devices().into_iter().take(2) {
        let mut session = Session::new(&device, 1, None);
        let run = session.compile(&graph, std::slice::from_ref(&dx)).expect("a plan");
        let dx = session.run(&run, &[("dy", &ones)]).expect("a run").swap_remove(0);
        for (i, dx) in common::floats(&dx).into_iter().enumerate() {
            let expected = (i + 1).min(input - i) as f64 / kernel as f64;
            assert!((dx - expected).abs() < 1e-3 * expected, "{device}: element {i} is {dx}, not {expected}");
        }
    }
}

#[test]
fn maximum_pooling() {
    // Ties, and a NaN in some windows.
    let values = |n: usize| {
        let value = |i: usize| if i == n / 3 || i == n / 3 + 7 { f32::NAN } else { (i * 7919 % 1_000_003 % 61) as f32 };
        Values::Exactly((0..n).map(value).collect())
    };
    let image = |name: &str, options: PoolOptions<2>| {
        let row = Row::new(name, move |_, x| {
            let (y, positions) = x[0].max_pool_with_positions(options)?;
            Ok(vec![y, positions])
        });
        row.f32([1, 2, 400, 300], values(2 * 400 * 300)).bounds(Bound::Exact, Bound::Scale(64.0))
    };
    let line = Row::new("a line of 20,000", |_, x| {
        let (y, positions) = x[0].max_pool_with_positions(PoolOptions::new([20_000]).stride([90]))?;
        Ok(vec![y, positions])
    });
    let cube = Row::new("40 x 40 x 40", |_, x| {
        let (y, positions) = x[0].max_pool_with_positions(PoolOptions::new([40; 3]).stride([5; 3]))?;
        Ok(vec![y, positions])
    });
    check(plain(vec![
        image("200 x 150", PoolOptions::new([200, 150])),
        image("padded", PoolOptions::new([200, 170]).stride([90, 110]).padding(Padding::around(80))),
        image("one row", PoolOptions::new([1, 300]).stride([2, 1])),
        image("global", PoolOptions::new([400, 300])),
        line.f32([1, 2, 21_000], values(42_000)).bounds(Bound::Exact, Bound::Scale(64.0)),
        cube.f32([1, 1, 50, 50, 50], values(125_000)).bounds(Bound::Exact, Bound::Scale(64.0)),
    ]));
}

#[test]
fn the_gradient_of_maximum_pooling_with_many_windows() {
    let window = Window { kernel: [150, 150], stride: [1; 2], padding: [[0; 2]; 2], dilation: [1; 2] }.lift();
    let outputs = [2, 1, 161, 161];
    let row = |name: &str, below: u32, values: Values| {
        let row = Row::new(name, move |graph, x| {
            Ok(vec![graph.push1(MaxPoolGrad { window, input: [1, 310, 310] }, &[&x[0], &x[1]])?])
        });
        row.u32(outputs, below).constant(outputs, values).bounds(SUM, SUM)
    };
    let far = Row::new("one element in 40,000 windows", |graph, x| {
        let mut outputs = graph.push(AdaptiveMaxPool { output: vec![200, 200] }, &[&x[0]])?;
        outputs.truncate(1);
        Ok(outputs)
    });
    check(plain(vec![
        row("anywhere", 310 * 310, Values::Normal),
        row("in few places", 3, Values::Normal),
        row("beyond the plane", 310 * 310 + 50_000, Values::Normal),
        far.f32([2, 3, 1, 1], Values::Normal).bounds(Bound::Exact, SUM),
    ]));
}

#[test]
fn sizes_that_change_by_large_factors() {
    let pairs: [(&'static [usize], &'static [usize]); 7] = [
        (&[1, 1], &[200, 200]),
        (&[2, 1], &[300, 201]),
        (&[1], &[100_000]),
        (&[2], &[100_003]),
        (&[400, 300], &[2, 1]),
        (&[100_003], &[2]),
        (&[40, 50, 30], &[2, 1, 1]),
    ];
    let mut rows = Vec::new();
    for (from, to) in pairs {
        let shape = [&[1, 2], from].concat();
        use Interpolation::{Linear, LinearAlignCorners, NearestExact};
        for how in [NearestExact, Linear, LinearAlignCorners] {
            let row = Row::new(&format!("{from:?} to {to:?}, {how:?}"), move |_, x| Ok(vec![x[0].resize(to, how)?]));
            rows.push(row.f32(&*shape, Values::Normal).bounds(Bound::Scale(64.0), SUM));
        }
        let row = Row::new(&format!("mean of {from:?} to {to:?}"), move |_, x| Ok(vec![x[0].adaptive_avg_pool(to)?]));
        rows.push(row.f32(&*shape, Values::Normal).bounds(SUM, SUM));
        let row = Row::new(&format!("maximum of {from:?} to {to:?}"), move |_, x| {
            let (y, positions) = x[0].adaptive_max_pool_with_positions(to)?;
            Ok(vec![y, positions])
        });
        rows.push(row.f32(&*shape, Values::Whole(50)).bounds(Bound::Exact, SUM));
    }
    check(plain(rows));
}

#[test]
fn tables_with_many_ids() {
    let grad = |name: &str, ids: usize, below: u32, padding, values: Values| {
        let row =
            Row::new(name, move |graph, x| Ok(vec![graph.push1(GatherGrad { rows: 7, padding }, &[&x[0], &x[1]])?]));
        row.u32([ids], below).constant([ids, 2], values).bounds(SUM, SUM)
    };
    let one_row = Row::new("equal ids", |graph, x| {
        let all = graph.push1(GatherGrad { rows: 7, padding: None }, &[&x[0], &x[1]])?;
        Ok(vec![all.slice(&[(0, 1)])?, all])
    });
    let equal = one_row.u32([300_000], 1).constant([300_000], ONES).bounds(Bound::Exact, Bound::Exact);
    check(vec![
        (equal, Some(300_000.0)),
        (grad("two rows", 150_000, 2, None, Values::Normal), None),
        (grad("all rows and ids beyond them", 20_000, 9, None, Values::Normal), None),
        (grad("padding", 20_000, 3, Some(1), Values::Normal), None),
    ]);
}

/// The longest run of ids that can be: it begins behind the first of a part and of a part of parts, and ends before the last.
#[test]
fn a_run_of_equal_ids_takes_no_more_iterations_than_its_launches_say() {
    let n = 200_000;
    let row = Row::new("a long run", move |graph, x| {
        let ids: Vec<u32> = (0..n).map(|i| if i == 0 { 0 } else { 1 + u32::from(i + 2 >= n) }).collect();
        let ids = common::rows::words(graph, "ids", &ids)?;
        Ok(vec![graph.push1(GatherGrad { rows: 3, padding: None }, &[&ids, &x[0]])?])
    });
    let case = common::build(&row.constant([n, 1], ONES).bounds(SUM, SUM)).expect("a case");
    for device in devices().iter().skip(1) {
        let launches = common::iterations::count(&case, device).unwrap_or_else(|e| panic!("{device}: {e}"));
        common::iterations::judge_most(&launches).unwrap_or_else(|e| panic!("{device}: {e}"));
        assert!(launches.iter().any(|launch| launch.counted > 500), "{device}: parts, and parts of parts");
    }
}

#[test]
fn recurrences_of_many_steps() {
    let (batch, time, units) = (2, 600, 3);
    let small = || Values::Uniform(-0.5, 0.5);
    let row = |row: Row, gates: usize| {
        let row = row.f32([batch, time, gates * units], Values::Normal).f32([units, gates * units], small());
        row.bounds(Bound::Scale(400.0), Bound::Scale(4000.0))
    };
    let state = |row: Row| row.f32([batch, units], small());
    let rnn = Row::new("rnn", |_, x| Ok(vec![x[0].rnn(&x[1], &x[2], None, RnnOptions::default())?]));
    let lstm = Row::new("lstm", |_, x| {
        let (h, c) = x[0].lstm(&x[1], &x[2], &x[3], None, LstmOptions::default())?;
        Ok(vec![h, c])
    });
    let gru = Row::new("gru", |_, x| Ok(vec![x[0].gru(&x[1], &x[2], &x[3], None, GruOptions::default())?]));
    check_all(plain(vec![
        state(row(rnn, 1)),
        state(state(row(lstm, 4))),
        state(row(gru, 3).f32([3 * units], small())),
    ]));
}
