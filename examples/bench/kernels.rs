//! Single products and convolutions, timed.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use galen::contract::{Padding, Threefry, stream_of};
use galen::ops::conv::Conv2dOptions;
use galen::prelude::Device;
use galen::{DType, Graph, Session, Tensor, Var};
use serde_json::{Value, json};

use crate::options::Options;
use crate::profile;
use crate::report::{self, Segments};

/// Output elements that are computed again on the host.
const SAMPLES: usize = 64;

/// An op to run, and how to tell whether it computed what it should.
struct Kernel {
    graph: Graph,
    fetch: Vec<Var>,
    inputs: Vec<(&'static str, Tensor)>,
    flops: f64,
    /// Runs that take about a second on two processor cores.
    steps: usize,
    exact: Exact,
}

/// The exact value of an output's element, and the sum of the terms' sizes, from the inputs.
type Exact = fn(inputs: &[&[f32]], shape: &[usize], output: usize, element: usize) -> (f64, f64);

/// Runs the op called `name` and describes how that went. `start` is when the program began.
pub fn measure(name: &str, device: &Device, options: &Options, start: Instant) -> Result<Value> {
    let kernel = if name == "conv2d" { conv2d()? } else { matmul(name)? };
    let segments = Segments::of(options.steps.unwrap_or(kernel.steps), 1);
    let mut session = Session::new(device, 0, None);
    let run = session.compile(&kernel.graph, &kernel.fetch)?;
    for (input, tensor) in &kernel.inputs {
        session.set_input(&run, input, tensor)?;
    }
    session.run_steps(&run, 1)?;
    session.wait()?;
    let first = start.elapsed();
    session.run_steps(&run, options.warmup.unwrap_or(segments.steps))?;
    session.wait()?;
    let before = device.stats();
    let mut seconds = Vec::new();
    for _ in 0..segments.count {
        let begun = Instant::now();
        session.run_steps(&run, segments.steps)?;
        session.wait()?;
        seconds.push(begun.elapsed().as_secs_f64());
    }
    let after = device.stats();
    let outputs = session.outputs(&run)?;
    let [median, ..] = report::rates(segments, &seconds);
    if options.profile {
        profile::show(name, &session.profile(&run, profile::runs(median))?)?;
    }
    let fields = json!({
        "first_step_s": first.as_secs_f64(),
        "gflops": median * kernel.flops * 1e-9,
        "device_bytes": session.bytes(),
        "largest_error": largest_error(&kernel, &outputs)?,
    });
    let counts = report::counts(before, after, segments);
    Ok(report::line(name, device, segments, &seconds, &[fields, counts, report::memory(run.plan())]))
}

/// The largest error of sampled output elements, as a share of the sum of their terms' sizes; about 1e-7 where all is well.
fn largest_error(kernel: &Kernel, outputs: &[Tensor]) -> Result<f64> {
    let floats = |tensor: &Tensor| match tensor {
        Tensor::F32(x) => x.as_slice().map(<[f32]>::to_vec),
        _ => None,
    };
    let inputs: Vec<Vec<f32>> = kernel.inputs.iter().filter_map(|(_, tensor)| floats(tensor)).collect();
    let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
    let mut largest = 0f64;
    for (i, output) in outputs.iter().enumerate() {
        let values = floats(output).context("an output of floats")?;
        for sample in 0..SAMPLES {
            let element = sample * 7_919_317 % values.len();
            let (exact, size) = (kernel.exact)(&inputs, output.shape(), i, element);
            let error = (f64::from(values[element]) - exact).abs() / size;
            ensure!(error <= 1e-5, "output {i}, element {element}: {} instead of {exact}", values[element]);
            largest = largest.max(error);
        }
    }
    Ok(largest)
}

/// `n` elements of `shape` in [-1, 1).
fn random(name: &str, shape: &[usize]) -> Result<Tensor> {
    let mut draws = Threefry::new(0, stream_of(name));
    let n: usize = shape.iter().product();
    Ok(Tensor::f32(shape, (0..n).map(|_| 2.0 * draws.uniform() - 1.0).collect())?)
}

/// The product of two square matrices; `name` is `matmul` and their size.
fn matmul(name: &str) -> Result<Kernel> {
    let n: usize = name.trim_start_matches("matmul").parse().context("--workload: matmul and a size, as matmul1024")?;
    ensure!((1..=16_384).contains(&n), "--workload: matmul1 to matmul16384, got \"{name}\"");
    let graph = Graph::new();
    let (a, b) = (graph.input("a", [n, n], DType::F32)?, graph.input("b", [n, n], DType::F32)?);
    let fetch = vec![a.matmul(&b)?];
    let inputs = vec![("a", random("a", &[n, n])?), ("b", random("b", &[n, n])?)];
    let flops = 2.0 * (n as f64).powi(3);
    let steps = ((5e10 / flops) as usize).clamp(3, 500);
    let exact = |inputs: &[&[f32]], shape: &[usize], _: usize, element: usize| {
        let (n, row, column) = (shape[1], element / shape[1], element % shape[1]);
        terms((0..n).map(|k| (inputs[0][row * n + k], inputs[1][k * n + column])))
    };
    Ok(Kernel { graph, fetch, inputs, flops, steps, exact })
}

const BATCH: usize = 8;
const C_IN: usize = 32;
const C_OUT: usize = 64;
const EDGE: usize = 56;
const TAPS: usize = 3;

/// A convolution with both gradients: batch 8, 32 → 64 channels, 56×56, 3×3, padding 1.
fn conv2d() -> Result<Kernel> {
    let (x_shape, w_shape) = ([BATCH, C_IN, EDGE, EDGE], [C_OUT, C_IN, TAPS, TAPS]);
    let dy_shape = [BATCH, C_OUT, EDGE, EDGE];
    let graph = Graph::new();
    let input = |name, shape: [usize; 4]| graph.input(name, shape, DType::F32);
    let (x, w, dy) = (input("x", x_shape)?, input("w", w_shape)?, input("dy", dy_shape)?);
    let y = x.conv2d(&w, &Conv2dOptions::new().padding(Padding::around(1)))?;
    let gradients = graph.gradients_from(&[(y.clone(), dy)], &[x, w])?;
    let fetch = std::iter::once(y).chain(gradients).collect();
    let inputs = vec![("x", random("x", &x_shape)?), ("w", random("w", &w_shape)?), ("dy", random("dy", &dy_shape)?)];
    let flops = 3.0 * 2.0 * (BATCH * C_OUT * EDGE * EDGE * C_IN * TAPS * TAPS) as f64;
    let exact = |inputs: &[&[f32]], _: &[usize], output: usize, element: usize| match output {
        0 => y_element(inputs, element),
        1 => dx_element(inputs, element),
        _ => dw_element(inputs, element),
    };
    Ok(Kernel { graph, fetch, inputs, flops, steps: 40, exact })
}

/// The value of a sum of products, and the sum of their sizes.
fn terms(pairs: impl Iterator<Item = (f32, f32)>) -> (f64, f64) {
    pairs.map(|(a, b)| f64::from(a) * f64::from(b)).fold((0.0, 0.0), |(sum, size), p| (sum + p, size + p.abs()))
}

/// The pixel at an offset of `tap - 1` from `at`, where the image has one.
fn shifted(at: usize, tap: usize) -> Option<usize> {
    (at + tap).checked_sub(1).filter(|to| *to < EDGE)
}

/// All taps that stay inside the image at pixel (`row`, `column`): their index, and the pixel they reach.
fn taps(row: usize, column: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..TAPS * TAPS).filter_map(move |tap| {
        let (y, x) = (shifted(row, tap / TAPS)?, shifted(column, tap % TAPS)?);
        Some((tap, y * EDGE + x))
    })
}

/// Index `i` of a tensor of images with `channels` channels: sample, channel, row, column.
fn image_index(i: usize, channels: usize) -> (usize, usize, usize, usize) {
    (i / EDGE / EDGE / channels, i / EDGE / EDGE % channels, i / EDGE % EDGE, i % EDGE)
}

fn y_element(inputs: &[&[f32]], element: usize) -> (f64, f64) {
    let (sample, out, row, column) = image_index(element, C_OUT);
    terms((0..C_IN).flat_map(|c| {
        taps(row, column).map(move |(tap, pixel)| {
            let x = inputs[0][(sample * C_IN + c) * EDGE * EDGE + pixel];
            (x, inputs[1][(out * C_IN + c) * TAPS * TAPS + tap])
        })
    }))
}

fn dx_element(inputs: &[&[f32]], element: usize) -> (f64, f64) {
    let (sample, c, row, column) = image_index(element, C_IN);
    terms((0..C_OUT).flat_map(|out| {
        // What tap t of y sends here comes from the pixel on the other side: the tap mirrored.
        taps(row, column).map(move |(tap, pixel)| {
            let dy = inputs[2][(sample * C_OUT + out) * EDGE * EDGE + pixel];
            (dy, inputs[1][(out * C_IN + c) * TAPS * TAPS + (TAPS * TAPS - 1 - tap)])
        })
    }))
}

fn dw_element(inputs: &[&[f32]], element: usize) -> (f64, f64) {
    let (out, c, tap) = (element / TAPS / TAPS / C_IN, element / TAPS / TAPS % C_IN, element % (TAPS * TAPS));
    terms((0..BATCH * EDGE * EDGE).filter_map(|i| {
        let (sample, row, column) = (i / EDGE / EDGE, i / EDGE % EDGE, i % EDGE);
        let pixel = shifted(row, tap / TAPS)? * EDGE + shifted(column, tap % TAPS)?;
        let dy = inputs[2][(sample * C_OUT + out) * EDGE * EDGE + row * EDGE + column];
        Some((inputs[0][(sample * C_IN + c) * EDGE * EDGE + pixel], dy))
    }))
}
