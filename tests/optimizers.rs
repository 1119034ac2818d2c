//! What optimizers do in whole trainings: frozen layers, groups, accumulated gradients, clipping, rules of one's own; and what they
//! refuse.

mod common;

use galen::contract::GpuTraits;
use galen::data::Dataset;
use galen::graph::{Init, PARAMETERS};
use galen::ops::update::Rule;
use galen::optim::{
    Adagrad, AdamW, EMA, GroupOptions, Hold, MaxNorm, Nadam, Optimizer, Penalty, RmsProp, Schedule, StepDecay, Tuned,
    UpdateCtx,
};
use galen::prelude::*;
use galen::{DType, Graph, Plan, Result, Session, Tensor};
use ndarray::Array2;

fn cpu() -> Device {
    Device::cpu_with_threads(1).expect("a thread")
}

fn devices() -> impl Iterator<Item = Device> {
    std::iter::once(cpu()).chain(common::gpu().cloned())
}

/// Sixteen points of a smooth function.
fn data() -> Dataset {
    let x = Array2::from_shape_fn((16, 3), |(i, j)| ((i * 5 + j * 3) % 16) as f32 / 8.0 - 1.0);
    let y = Array2::from_shape_fn((16, 2), |(i, j)| x[[i, 0]] * x[[i, 1]] + x[[i, j]]);
    Dataset::new(x, y).expect("data")
}

fn network() -> Sequential {
    Sequential::new([3]).with(Dense::new(5).activation(Tanh)).with(Dense::new(70).activation(Tanh)).with(Dense::new(2))
}

fn trained(
    device: &Device,
    optimizer: impl Into<Tuned>,
    batch: usize,
    epochs: usize,
) -> Result<Vec<(String, Vec<f64>)>> {
    let mut model = network().compile_on(&Setup::on(device).seed(3), optimizer, MeanSquaredError::new(), &[])?;
    if epochs > 0 {
        let fit = Fit::new().epochs(epochs).batch_size(batch).shuffle(false).verbose(false);
        model.fit(&data(), &fit)?;
    }
    let names: Vec<String> = model.parameter_specs()?.into_iter().map(|s| s.name).collect();
    let read = |name: String| Ok((name.clone(), common::floats(&model.parameter(&name)?)));
    names.into_iter().map(read).collect()
}

#[test]
fn a_frozen_layer_stays_as_it_is_to_the_bit() -> Result<()> {
    for device in devices() {
        let start = trained(&device, Sgd::default(), 4, 0)?;
        let tuned = Tuned::new(AdamW::new(0.05)).weight_decay(0.3).clip_norm(1.0).ema(0.9);
        let end = trained(&device, tuned.freeze("dense_1").freeze("dense/bias"), 4, 2)?;
        for ((name, before), (_, after)) in start.iter().zip(&end) {
            let frozen = name.starts_with("dense_1/") || name == "dense/bias";
            assert_eq!(before == after, frozen, "{device}: {name}");
        }
    }
    Ok(())
}

#[test]
fn small_steps_accumulate_to_large_ones() -> Result<()> {
    for device in devices() {
        let large = trained(&device, Adam::new(0.02), 8, 3)?;
        let small = trained(&device, Tuned::new(Adam::new(0.02)).accumulate(2), 4, 3)?;
        for ((name, large), (_, small)) in large.iter().zip(&small) {
            common::compare(small, large, common::rows::Bound::Scale(2000.0), None)
                .unwrap_or_else(|e| panic!("{device}: {name}: {e}"));
        }
    }
    Ok(())
}

#[test]
fn a_group_has_a_rate_of_its_own() -> Result<()> {
    let start = trained(&cpu(), Sgd::default(), 16, 0)?;
    let plain = trained(&cpu(), Sgd::new(0.01), 16, 1)?;
    let options = GroupOptions::new().rate(10.0);
    let grouped = trained(&cpu(), Tuned::new(Sgd::new(0.01)).group("dense_2", options), 16, 1)?;
    for (((name, start), (_, plain)), (_, grouped)) in start.iter().zip(&plain).zip(&grouped) {
        let factor = if name.starts_with("dense_2/") { 10.0 } else { 1.0 };
        for ((s, p), g) in start.iter().zip(plain).zip(grouped) {
            assert!(((g - s) - factor * (p - s)).abs() < 1e-6, "{name}: {s} became {p} and {g}");
        }
    }
    Ok(())
}

/// The loss that is shown holds the penalty; norms are limited when an epoch ends.
#[test]
fn what_holds_weights_back_does_so_in_a_training() -> Result<()> {
    for device in devices() {
        let network = |penalty| {
            let first = Dense::new(5).activation(Tanh).kernel_regularizer(penalty).kernel_max_norm(0.5);
            Sequential::new([3]).with(first).with(Dense::new(2))
        };
        let mut losses = Vec::new();
        for penalty in [Penalty::NONE, Penalty::l1_l2(0.25, 0.5)] {
            let setup = Setup::on(&device).seed(3);
            let mut model = network(penalty).compile_on(&setup, Sgd::new(0.05), MeanSquaredError, &[])?;
            let kernel = common::floats(&model.parameter("dense/kernel")?);
            let value: f64 = kernel.iter().map(|w| 0.25 * w.abs() + 0.5 * w * w).sum();
            losses.push((model.evaluate(&data())?.loss, value));
            model.fit(&data(), &Fit::new().epochs(2).batch_size(8).verbose(false))?;
            let kernel = common::floats(&model.parameter("dense/kernel")?);
            for unit in 0..5 {
                let norm = (0..3).map(|i| kernel[i * 5 + unit].powi(2)).sum::<f64>().sqrt();
                assert!(norm < 0.5 + 1e-6, "{device}: unit {unit} has the norm {norm}");
            }
        }
        let [(plain, _), (penalised, value)] = losses[..] else { unreachable!("two losses") };
        assert!((penalised - plain - value).abs() < 1e-5, "{device}: {penalised} is not {plain} + {value}");
    }
    Ok(())
}

#[test]
fn every_rule_learns() -> Result<()> {
    let rules: Vec<(Tuned, f64)> = vec![
        (Sgd::new(0.1).momentum(0.9).nesterov().into(), 0.5),
        (Adam::new(0.01).amsgrad().into(), 0.5),
        (AdamW::new(StepDecay::new(0.02, 20, 0.5)).into(), 0.5),
        (Nadam::new(0.01).into(), 0.5),
        (RmsProp::new(0.005).momentum(0.5).centered().into(), 0.5),
        (Adagrad::new(0.05).into(), 0.5),
        (SignDescent(0.005.into()).into(), 0.5),
        (Tuned::new(Sgd::new(0.1)).clip_value(0.01).clip_norm(0.02), 0.99),
    ];
    for (tuned, share) in rules {
        let name = tuned.name();
        let mut model = network().compile_on(&Setup::on(&cpu()).seed(3), tuned, MeanSquaredError::new(), &[])?;
        let before = model.evaluate(&data())?.loss;
        model.fit(&data(), &Fit::new().epochs(20).batch_size(8).verbose(false))?;
        let after = model.evaluate(&data())?.loss;
        assert!(after < share * before, "{name}: the loss went from {before} to {after}");
    }
    Ok(())
}

/// A rule from outside: steps along the signs of the gradients.
#[derive(Debug)]
struct SignDescent(Schedule);

impl Optimizer for SignDescent {
    fn name(&self) -> &'static str {
        "sign_descent"
    }

    fn learning_rate(&self, step: usize) -> f32 {
        self.0.at(step)
    }

    fn build(&self, graph: &Graph, ctx: &UpdateCtx) -> Result<()> {
        let tiny = graph.fill([1], 1e-20)?;
        let gradients = ctx.gradients.div(&ctx.gradients.abs()?.add(&tiny)?)?;
        UpdateCtx { gradients, ..ctx.clone() }.apply(Rule::Sgd { momentum: 0.0, nesterov: false })
    }
}

/// Parameters of so many layers, and everything that an update can do.
fn everything(layers: usize) -> Result<Plan> {
    let graph = Graph::new();
    let mut holds = Vec::new();
    for layer in 0..layers {
        let slot = format!("layer{layer}/kernel");
        graph.parameter(&slot, [4, 30], Init::Constant(1.0))?;
        let max_norm = MaxNorm { limit: 1.0, units: galen::optim::Units::Columns };
        holds.push(Hold { slot, penalty: Penalty { l1: 0.1, l2: 0.2 }, max_norm: Some(max_norm) });
    }
    let tuned = Tuned::new(Adam::default().amsgrad()).clip_norm(1.0).clip_value(2.0).accumulate(3).ema(0.9);
    let tuned = tuned.freeze("layer0").group("layer1", GroupOptions::new().rate(0.5)).weight_decay(0.1);
    let gradients = graph.input("gradients", graph.whole(PARAMETERS)?.shape(), DType::F32)?;
    let clock = common::rows::clock_at(&graph, 0)?;
    let schedule = common::rows::schedule(&graph, 0, &[0.1])?;
    let share = graph.input("share", galen::Shape::default(), DType::F32)?;
    tuned.build(&graph, &gradients, &share, &holds, &clock, &schedule)?;
    Plan::new(&graph, &[], Some(&GpuTraits { software: false }))
}

#[test]
fn the_number_of_dispatches_does_not_depend_on_the_number_of_layers() -> Result<()> {
    let (few, many) = (everything(2)?, everything(50)?);
    assert_eq!(few.dispatches(), many.dispatches(), "{}", many.describe());
    // Penalty, accumulation, three for clipping, update, norms, average.
    assert_eq!(many.dispatches(), 8, "{}", many.describe());
    Ok(())
}

#[test]
fn a_gradient_that_is_not_finite_changes_nothing() -> Result<()> {
    for device in devices() {
        let graph = Graph::new();
        let w = graph.parameter("w", [3], Init::Constant(1.5))?;
        let x = graph.input("x", [3], DType::F32)?;
        let clock = common::rows::clock_at(&graph, 0)?;
        let schedule = common::rows::schedule(&graph, 0, &[0.1; 4])?;
        let tuned = Tuned::new(AdamW::default()).clip_value(1.0).clip_norm(1.0).ema(0.9);
        let gradients = tuned.gradients(&graph, &w.mul(&x)?.sum_all()?, &clock)?;
        tuned.build(&graph, &gradients, &graph.fill(galen::Shape::default(), 1.0)?, &[], &clock, &schedule)?;
        graph.tick(&clock)?;
        let average = graph.slot(EMA, "w").expect("an average");
        let mut session = Session::new(&device, 1, None);
        let run = session.compile(&graph, &[w, average])?;
        let mut step = |x: [f32; 3]| -> Result<Vec<Vec<f64>>> {
            Ok(session.run(&run, &[("x", &Tensor::f32([3], x.to_vec())?)])?.iter().map(common::floats).collect())
        };
        let good = step([1.0, -2.0, 3.0])?;
        assert_eq!(good[0], good[1], "the average begins as the parameters");
        assert!(good[0].iter().all(|w| *w != 1.5), "{good:?}");
        for bad in [f32::NAN, f32::INFINITY, 1.0] {
            assert_eq!(step([1.0, bad, 3.0])?, good, "{device}: after {bad}");
        }
    }
    Ok(())
}

#[test]
fn a_gradient_that_is_almost_infinite_is_clipped() -> Result<()> {
    for device in devices() {
        let graph = Graph::new();
        let w = graph.parameter("w", [2], Init::Constant(0.0))?;
        let gradients = graph.input("gradients", [64], DType::F32)?;
        let clock = common::rows::clock_at(&graph, 0)?;
        let schedule = common::rows::schedule(&graph, 0, &[1.0])?;
        Tuned::new(Sgd::default()).clip_norm(5.0).build(
            &graph,
            &gradients,
            &graph.fill(galen::Shape::default(), 1.0)?,
            &[],
            &clock,
            &schedule,
        )?;
        let mut session = Session::new(&device, 1, None);
        let run = session.compile(&graph, &[w])?;
        let mut values = vec![0.0; 64];
        values[..2].copy_from_slice(&[3e30, -4e30]);
        let w = session.run(&run, &[("gradients", &Tensor::f32([64], values)?)])?;
        common::compare(&common::floats(&w[0]), &[-3.0, 4.0], common::rows::Bound::Ulps(8.0), None)
            .unwrap_or_else(|e| panic!("{device}: {e}"));
    }
    Ok(())
}

fn refused(tuned: Tuned) -> String {
    trained(&cpu(), tuned, 4, 1).expect_err("this must be refused").to_string()
}

#[test]
fn a_name_that_fits_nothing_is_refused_with_those_there_are() {
    let options = GroupOptions::new().rate(2.0);
    for (tuned, what) in [
        (Tuned::new(Adam::default()).freeze("dens"), "freeze"),
        (Tuned::new(Adam::default()).unfreeze("encoder"), "unfreeze"),
        (Tuned::new(Adam::default()).group("dense/", options), "group"),
        (Tuned::new(Adam::default()).exclude_from_weight_decay("gamma"), "exclude_from_weight_decay"),
        (Tuned::new(Adam::default()).freeze(""), "freeze"),
    ] {
        let text = refused(tuned);
        for part in ["adam", what, "dense/kernel, dense/bias, dense_1/kernel"] {
            assert!(text.contains(part), "\"{text}\" does not say \"{part}\"");
        }
    }
    let all = ["dense", "dense_1", "dense_2"].into_iter().fold(Tuned::new(Sgd::default()), Tuned::freeze);
    assert!(refused(all).contains("nothing to train"));
}

#[test]
fn senseless_settings_are_refused_by_name() {
    let adam = || Tuned::new(Adam::default());
    let group = |options| adam().group("dense", options);
    for (tuned, parts) in [
        (adam().clip_norm(0.0), ["adam", "clip norm"]),
        (adam().clip_norm(f32::NAN), ["adam", "clip norm"]),
        (adam().clip_value(-1.0), ["adam", "clip value"]),
        (adam().accumulate(0), ["adam", "accumulate"]),
        (adam().ema(1.0), ["adam", "moving average"]),
        (adam().weight_decay(-0.1), ["adam", "weight decay"]),
        (AdamW::new(0.1).weight_decay(f32::INFINITY).into(), ["adamw", "weight decay"]),
        (group(GroupOptions::new().rate(0.0)), ["adam", "learning rate"]),
        (group(GroupOptions::new().weight_decay(f32::NAN)), ["adam", "weight decay"]),
        (Adam::new(0.1).betas(1.0, 0.9).into(), ["adam", "beta1"]),
        (Nadam::new(0.1).epsilon(0.0).into(), ["nadam", "epsilon"]),
        (RmsProp::new(0.1).rho(-0.1).into(), ["rmsprop", "rho"]),
        (RmsProp::new(0.1).momentum(1.1).into(), ["rmsprop", "momentum"]),
        (Adagrad::new(0.1).initial_accumulator(-1.0).into(), ["adagrad", "initial accumulator"]),
        (Sgd::new(0.1).momentum(f64::NAN).into(), ["sgd", "momentum"]),
        (Sgd::new(StepDecay::new(0.1, 0, 0.5)).into(), ["sgd", "learning rate"]),
        (Sgd::new(Schedule::custom(|step| if step < 3 { 0.1 } else { f32::NAN })).into(), ["sgd", "of step 3"]),
        (Tuned::new(SignDescent(f32::NAN.into())), ["sign_descent", "learning rate of step 0"]),
    ] {
        let text = refused(tuned);
        for part in parts {
            assert!(text.contains(part), "\"{text}\" does not say \"{part}\"");
        }
    }
}

#[test]
fn ops_of_updates_refuse_what_is_no_arena() {
    let graph = Graph::new();
    let state = |name: &str, n: usize| {
        let spec = galen::TensorSpec::f32([n]);
        graph.state(name, "slot", spec, Init::Constant(0.0)).expect("state")
    };
    let clock = common::rows::clock_at(&graph, 0).expect("a clock");
    let schedule = common::rows::schedule(&graph, 0, &[0.1]).expect("a schedule");
    let table = common::rows::words(&graph, "table", &[0, 0, 0]).expect("a table");
    let (w, g, short, odd) = (state("w", 64), state("g", 64), state("short", 128), state("odd", 63));
    let sgd = || galen::ops::update::Update { rule: Rule::Sgd { momentum: 0.0, nesterov: false }, every: 1 };
    let says = |result: Result<()>, parts: &[&str]| {
        let text = result.expect_err("this must be refused").to_string();
        parts.iter().for_each(|part| assert!(text.contains(part), "\"{text}\" does not say \"{part}\""));
    };
    says(w.update(sgd(), &[], &short, &clock, &schedule, &table), &["sgd", "f32[64]", "f32[128]"]);
    says(odd.update(sgd(), &[], &odd, &clock, &schedule, &table), &["sgd"]);
    says(w.update(sgd(), &[&g], &short, &clock, &schedule, &table), &["sgd", "tensors"]);
    says(w.update(sgd(), &[], &g, &clock, &schedule, &clock), &["sgd", "table of groups"]);
    says(w.update(sgd(), &[], &g, &schedule, &schedule, &table), &["sgd", "clock"]);
    says(w.update(sgd(), &[], &g, &clock, &g, &table), &["sgd", "schedule"]);
    let never = galen::ops::update::Update { every: 0, ..sgd() };
    says(w.update(never, &[], &g, &clock, &schedule, &table), &["sgd", "steps per update"]);
    let shares = graph.state("shares", "shares", galen::TensorSpec::f32([2]), Init::Constant(0.0)).expect("state");
    let one = graph.fill(galen::Shape::default(), 1.0).expect("a number");
    says(w.accumulate(&g, &g, &one, &clock, 1), &["accumulate", "f32[2]"]);
    says(w.accumulate(&shares, &g, &g, &clock, 1), &["accumulate", "a share"]);
    says(w.accumulate(&shares, &g, &one, &clock, 0), &["accumulate", "steps per update"]);
    says(w.accumulate(&shares, &short, &one, &clock, 2), &["accumulate", "f32[128]"]);
    says(w.ema(galen::ops::ema::Ema { keep: 1.0, every: 1 }, &g, &clock), &["ema", "momentum"]);
    says(w.max_norm(&clock, 1, &clock, 1), &["max_norm", "table of units"]);
    says(w.penalty(&clock).map(drop), &["penalty", "table of groups"]);
    says(w.add_penalty_gradient(&short, &table).map(drop), &["penalty_grad"]);
    says(w.clip_gradients(Some(-1.0), None).map(drop), &["clip_norm", "clip value"]);
    says(clock.clip_gradients(None, Some(1.0)).map(drop), &["clip_norm", "f32"]);
    let clipped = g.clip_gradients(None, Some(1.0)).and_then(|g| g.sum_all()).expect("a number");
    says(graph.gradients(&clipped, std::slice::from_ref(&g)).map(drop), &["clip_norm", "after they were computed"]);
    let hold = Hold { slot: "nobody".into(), penalty: Penalty::default(), max_norm: None };
    let tuned = Tuned::new(Sgd::default());
    graph.parameter("somebody", [3], Init::Constant(1.0)).expect("a parameter");
    says(tuned.penalty(&graph, &[hold]).map(drop), &["\"nobody\"", "not there"]);
    // An update without its own arena: the gradients are those of the same memory.
    says(w.update(sgd(), &[], &w, &clock, &schedule, &table), &["share an arena"]);
}
