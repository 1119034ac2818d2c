//! Activations take little more memory than is alive at once, in every network that people train and in every form of a plan; what a
//! step reads is what was written for it.

mod common;
#[allow(dead_code)]
#[path = "../examples/bench/networks.rs"]
mod networks;

use galen::contract::{GpuTraits, clock};
use galen::graph::{Init, Place, Region};
use galen::nn::models::{Mlp, ResNet1d, ResNet18, SequenceModel, SmallCnn, TransformerEncoder, UNet2d, UNet3d};
use galen::nn::{BuildCtx, Loss, Mode};
use galen::prelude::*;
use galen::{DType, Graph, Plan, TensorSpec, Var};

/// Activations may take this much more than what is alive at once.
const MOST: f64 = 1.25;

/// The CPU, and both forms of kernels.
const FORMS: [Option<GpuTraits>; 3] = [None, Some(GpuTraits { software: true }), Some(GpuTraits { software: false })];

/// A network and a batch size that it is trained with.
struct Training {
    name: &'static str,
    network: Sequential,
    batch: usize,
}

fn trainings() -> Vec<Training> {
    let of = |name, network, batch| Training { name, network, batch };
    let model = |input: &[usize]| Sequential::new(input.to_vec());
    vec![
        of("W1", networks::dense(), 32),
        of("W2", networks::handbook_cnn(), 32),
        of("W3", networks::batch_norm_cnn(), 64),
        of("W4", networks::u_net(), 8),
        of("W5", networks::residual_1d(), 64),
        of("mlp", model(&[30]).with(Mlp::new([64, 32], 3).dropout(0.2)), 32),
        of("small_cnn", model(&[1, 28, 28]).with(SmallCnn::new(3)), 32),
        of("resnet18", model(&[3, 32, 32]).with(ResNet18::new(10)), 16),
        of("resnet1d", model(&[1, 187]).with(ResNet1d::new(5)), 32),
        of("unet2d", model(&[1, 128, 128]).with(UNet2d::new(1)), 4),
        of("unet3d", model(&[1, 32, 32, 32]).with(UNet3d::new(1).depth(3)), 2),
        of("sequence", model(&[48, 6]).with(SequenceModel::lstm(64, 2).layers(2).dropout(0.2)), 32),
        of("gru", model(&[48, 6]).with(SequenceModel::gru(32, 2).bidirectional()), 32),
        of("transformer", model(&[64, 8]).with(TransformerEncoder::new(2, 64, 4, 3)), 16),
    ]
}

impl Training {
    /// A training step: forward, backward, Adam. The batch is what an op makes, as in a training, so that its memory is free again.
    fn graph(&self) -> galen::Result<Graph> {
        let graph = Graph::new();
        let clock = common::rows::clock_at(&graph, 0)?;
        let schedule = TensorSpec::u32([clock::RATES + 8]);
        let schedule = graph.state("schedule", "schedule", schedule, Init::Constant(0.0))?;
        let input = &self.network.summary()?.inputs[0];
        let shape: Vec<usize> = std::iter::once(self.batch).chain(input.shape.iter().copied()).collect();
        let samples = graph.state("samples", "samples", TensorSpec::f32(shape), Init::Constant(0.0))?;
        let ctx = BuildCtx::new(Mode::Train, Some(&clock), Vec::new());
        let y = self.network.build(&ctx, &[samples.abs()?])?.swap_remove(0);
        let targets = graph.input("targets", y.shape(), DType::F32)?;
        let loss = MeanSquaredError::new().values(&y, &targets)?.mean_all()?;
        let adam = Tuned::from(Adam::default());
        let gradients = adam.gradients(&graph, &loss, &clock)?;
        adam.build(
            &graph,
            &gradients,
            &graph.fill(galen::Shape::default(), 1.0)?,
            &ctx.collected().holds,
            &clock,
            &schedule,
        )?;
        graph.tick(&clock)?;
        Ok(graph)
    }

    fn plans(&self) -> Vec<(String, Plan)> {
        let graph = self.graph().unwrap_or_else(|e| panic!("{}: {e}", self.name));
        let plan = |form: &Option<GpuTraits>| Plan::new(&graph, &[], form.as_ref()).expect("a plan");
        FORMS.iter().map(|form| (format!("{}, {form:?}", self.name), plan(form))).collect()
    }
}

#[test]
fn activations_take_little_more_than_is_alive_at_once() {
    let mut over = Vec::new();
    for (name, plan) in trainings().iter().flat_map(Training::plans) {
        let (have, least) = (plan.activation_bytes(), plan.lower_bound);
        assert!(have >= least && least > 0, "{name}: {have} of {least}");
        let line = format!("{:.3} {name}: {have} bytes of at least {least}", have as f64 / least as f64);
        println!("{line}");
        if have as f64 > MOST * least as f64 {
            over.push(line);
        }
        // The line that a person reads says both.
        let human = plan.describe_memory();
        assert!(human.contains("activations") && human.contains("at least"), "{human}");
    }
    assert!(over.is_empty(), "{over:#?}");
}

/// A tensor that was written and not overwritten since: its buffer, first element and shape.
fn stretch(region: &Region) -> Option<(usize, std::ops::Range<usize>)> {
    let Place::Buffer(buffer) = region.place else { return None };
    Some((buffer, region.offset..region.offset + region.spec.shape.elements()))
}

#[test]
fn every_step_reads_what_was_written_and_never_overwritten() {
    for (name, plan) in trainings().iter().flat_map(Training::plans) {
        let mut written: Vec<(usize, std::ops::Range<usize>)> =
            plan.inputs.iter().filter_map(|(_, region)| stretch(region)).collect();
        for step in &plan.steps {
            for (buffer, range) in step.inputs.iter().filter_map(stretch) {
                // The same memory may be shown in another shape.
                assert!(
                    written.contains(&(buffer, range.clone())),
                    "{name}: {} reads {range:?} of {buffer}",
                    step.name()
                );
            }
            for (buffer, range) in step.temps.iter().chain(&step.outputs).filter_map(stretch) {
                written.retain(|(b, r)| *b != buffer || r.end <= range.start || range.end <= r.start);
                assert!(range.end <= plan.buffers[buffer].len, "{name}: {} writes beyond its buffer", step.name());
                written.push((buffer, range));
            }
        }
    }
}

/// The places depend on the graph alone.
#[test]
fn the_same_graph_gives_the_same_plan() {
    for training in trainings() {
        for ((name, a), (_, b)) in training.plans().into_iter().zip(training.plans()) {
            assert!(a.describe() == b.describe() && a.buffers == b.buffers, "{name}");
        }
    }
}

/// A chain needs two tensors at a time, and three buffers of its size: with more, or with less sharing, this would be larger.
#[test]
fn a_chain_takes_the_memory_of_two_tensors() {
    let graph = Graph::new();
    let state = graph.state("x", "x", TensorSpec::f32([1_000, 64]), Init::Constant(1.0)).expect("state");
    let mut x: Var = state.abs().expect("abs");
    for _ in 0..20 {
        x = x.sum(&[1], true).and_then(|sum| x.mul(&sum)).expect("a product");
    }
    let fetch = x.sum_all().expect("a sum");
    for form in FORMS {
        let plan = Plan::new(&graph, std::slice::from_ref(&fetch), form.as_ref()).expect("a plan");
        let tensor = 1_000 * 64 * 4;
        assert!(plan.activation_bytes() < 2 * tensor + tensor / 8, "{form:?}: {}", plan.describe_memory());
    }
}
