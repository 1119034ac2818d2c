//! Every ready model, built small: gradients of all its parameters against finite differences, the GPU's first losses against the
//! CPU's, and the same training twice, bit for bit.

mod common;

use galen::contract::Threefry;
use galen::data::Dataset;
use galen::engine::Reference;
use galen::graph::PARAMETERS;
use galen::nn::models::{Mlp, ResNet1d, ResNet18, SequenceModel, SmallCnn, TransformerEncoder, UNet2d, UNet3d};
use galen::nn::{BuildCtx, Layer, Loss, Mode};
use galen::optim::Sgd;
use galen::prelude::*;
use galen::{DType, Graph, Shape, Tensor, Var};

/// A ready model and what it takes.
struct Built {
    name: &'static str,
    input: Input,
    layer: fn() -> Box<dyn Layer>,
}

/// A layer behind a box, which is how the list holds them.
#[derive(Debug)]
struct Boxed(Box<dyn Layer>);

impl Layer for Boxed {
    fn kind(&self) -> &'static str {
        self.0.kind()
    }

    fn build(&self, ctx: &BuildCtx, x: &Var) -> galen::Result<Var> {
        self.0.build(ctx, x)
    }
}

fn all() -> Vec<Built> {
    let of = |name, input: Input, layer| Built { name, input, layer };
    vec![
        of("mlp", [5].into(), || Box::new(Mlp::new([7, 4], 3).activation(Tanh).dropout(0.2))),
        of("small_cnn", [1, 8, 8].into(), || Box::new(SmallCnn::new(3).widths([3, 4]).dense(6).dropout(0.3))),
        of("resnet18", [2, 16, 16].into(), || Box::new(ResNet18::new(3).width(2).dropout(0.2))),
        of("resnet1d", [2, 24].into(), || Box::new(ResNet1d::new(3).width(3).blocks(3).kernel(3).dropout(0.2))),
        of("unet2d", [1, 8, 12].into(), || Box::new(UNet2d::new(2).depth(2).width(2))),
        of("unet2d_plain", [1, 4, 8].into(), || Box::new(UNet2d::new(1).depth(1).width(3).without_norm())),
        of("unet3d", [1, 4, 4, 8].into(), || Box::new(UNet3d::new(1).depth(2).width(2))),
        of("lstm", [6, 3].into(), || Box::new(SequenceModel::lstm(4, 2).layers(2).dropout(0.2))),
        of("gru", [6, 3].into(), || Box::new(SequenceModel::gru(4, 2).bidirectional())),
        of("lstm_tokens", Input::tokens([7]), || Box::new(SequenceModel::lstm(4, 2).tokens(5).bidirectional())),
        of("transformer", [5, 3].into(), || Box::new(TransformerEncoder::new(2, 8, 2, 3).feed_forward(12))),
        of("transformer_tokens", Input::tokens([7]), || Box::new(TransformerEncoder::new(1, 8, 2, 3).tokens(5))),
    ]
}

impl Built {
    fn network(&self) -> Sequential {
        Sequential::new(self.input.clone()).with(Boxed((self.layer)()))
    }

    /// `n` samples of noise.
    fn features(&self, n: usize) -> Tensor {
        let mut random = Threefry::new(11, 7);
        let mut shape = vec![n];
        shape.extend_from_slice(&self.input.shape);
        let count = Shape::from(shape.clone()).elements();
        match self.input.dtype {
            DType::U32 => Tensor::u32(shape, (0..count).map(|_| random.below(5)).collect()),
            _ => Tensor::f32(shape, (0..count).map(|_| random.normal()).collect()),
        }
        .expect("features")
    }

    /// Something to aim at, in the shape of the output.
    fn targets(&self, n: usize) -> Tensor {
        let output = self.network().summary().unwrap_or_else(|e| panic!("{}: {e}", self.name)).outputs[0].clone();
        let mut random = Threefry::new(12, 7);
        let mut shape = vec![n];
        shape.extend_from_slice(&output);
        let count = Shape::from(shape.clone()).elements();
        Tensor::f32(shape, (0..count).map(|_| random.normal()).collect()).expect("targets")
    }

    fn dataset(&self, n: usize) -> Dataset {
        Dataset::new(self.features(n), self.targets(n)).expect("data")
    }
}

/// A loss without kinks.
fn loss() -> MeanSquaredError {
    MeanSquaredError::new()
}

/// Samples of a batch whose gradient is checked.
const BATCH: usize = 3;
/// How far a parameter is moved. Small, because ReLU and max-pooling have kinks, and f64 has digits to spare.
const STEP: f64 = 1e-7;

#[test]
fn gradients_of_all_parameters_are_those_of_finite_differences() {
    for built in all() {
        check_gradients(&built).unwrap_or_else(|e| panic!("{}: {e}", built.name));
    }
}

fn check_gradients(built: &Built) -> anyhow::Result<()> {
    let graph = Graph::new();
    let features = built.features(BATCH);
    let targets = built.targets(BATCH);
    let clock = common::rows::clock_at(&graph, 3)?;
    let x = graph.input("x", features.shape(), features.spec().dtype)?;
    let t = graph.input("t", targets.shape(), DType::F32)?;
    let ctx = BuildCtx::new(Mode::Train, Some(&clock), Vec::new());
    let y = built.network().build(&ctx, &[x])?.swap_remove(0);
    let value = loss().values(&y, &t)?.mean_all()?;
    let slots = graph.slots(PARAMETERS);
    let parameters: Vec<Var> = slots.iter().filter_map(|s| graph.slot(PARAMETERS, &s.name)).collect();
    let mut fetch = vec![value.clone()];
    fetch.extend(graph.gradients(&value, &parameters)?);
    let mut reference = Reference::new(&graph, &fetch, 5)?;
    let mut run = |nudge: Option<(usize, f64)>| -> anyhow::Result<Vec<Vec<f64>>> {
        reference.set("x", features.elements())?;
        reference.set("t", targets.elements())?;
        if let Some((at, by)) = nudge {
            reference.nudge_state(PARAMETERS, at, by)?;
        }
        reference.run();
        if let Some((at, by)) = nudge {
            reference.nudge_state(PARAMETERS, at, -by)?;
        }
        Ok(reference.outputs()?)
    };
    let analytic = run(None)?;
    let mut random = Threefry::new(1, 2);
    // A bias before a normalisation has gradient 0: what counts as large is the largest of the model.
    let largest = analytic[1..].iter().flatten().fold(0.0f64, |m, g| m.max(g.abs()));
    for (slot, gradient) in slots.iter().zip(&analytic[1..]) {
        for _ in 0..gradient.len().min(3) {
            let at = random.below(gradient.len() as u32) as usize;
            let numeric = (run(Some((slot.offset + at, STEP)))?[0][0] - run(Some((slot.offset + at, -STEP)))?[0][0])
                / (2.0 * STEP);
            let close = (numeric - gradient[at]).abs() <= 1e-5 * largest.max(1e-3);
            anyhow::ensure!(close, "{} [{at}]: graph {:e}, finite difference {numeric:e}", slot.name, gradient[at]);
        }
    }
    anyhow::ensure!(largest > 1e-6, "no gradient at all");
    Ok(())
}

/// Trains over ten batches and gives their losses and all parameters' bits.
fn train(built: &Built, device: &Device) -> anyhow::Result<(Vec<f32>, Vec<u32>)> {
    let setup = Setup::on(device).seed(9);
    let mut model = built.network().compile_on(&setup, Sgd::new(0.002).momentum(0.9), loss(), &[])?;
    let history = model.fit(&built.dataset(39), &Fit::new().batch_size(4).verbose(false))?;
    let mut bits = Vec::new();
    for slot in model.parameter_specs()?.into_iter().chain(model.statistic_specs()) {
        bits.extend(model.parameter(&slot.name)?.into_f32()?.iter().map(|v| v.to_bits()));
    }
    Ok((history.epochs[0].step_losses.clone(), bits))
}

#[test]
fn the_same_training_gives_the_same_bits() {
    let cpu = Device::cpu_with_threads(2).expect("threads");
    let one = Device::cpu_with_threads(1).expect("a thread");
    for built in all() {
        let again = |device| train(&built, device).unwrap_or_else(|e| panic!("{}: {e}", built.name));
        let (losses, bits) = again(&cpu);
        assert!(losses.iter().all(|l| l.is_finite()), "{}: {losses:?}", built.name);
        assert_eq!(losses.len(), 10);
        assert!(again(&cpu).1 == bits && again(&one).1 == bits, "{}: not the same bits", built.name);
    }
}

#[test]
fn the_gpu_trains_as_the_cpu_does() {
    let Some(gpu) = common::own_gpu() else { return };
    let cpu = Device::cpu_with_threads(2).expect("threads");
    for built in all() {
        let losses = |device| train(&built, device).unwrap_or_else(|e| panic!("{}: {e}", built.name));
        let (expected, _) = losses(&cpu);
        let (actual, bits) = losses(&gpu);
        for (step, (a, e)) in actual.iter().zip(&expected).enumerate() {
            assert!((a - e).abs() <= 5e-4 * e.abs(), "{}: step {step}: {a}, expected {e}", built.name);
        }
        assert!(losses(&gpu).1 == bits, "{}: the GPU gives not the same bits twice", built.name);
    }
}
