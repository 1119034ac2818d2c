//! `optimizers.json`: updates of three variables with everything that [`Tuned`] adds to a rule, schedules, penalties, largest norms.

use galen::engine::Reference;
use galen::graph::{Init, PARAMETERS};
use galen::optim::{
    Adagrad, Adam, AdamW, CosineDecay, CosineDecayRestarts, EMA, ExponentialDecay, Hold, MaxNorm, Nadam, Optimizer,
    Penalty, PiecewiseConstant, PolynomialDecay, RmsProp, Schedule, Sgd, Tuned, Units,
};
use galen::{DType, Graph, Result, Session, Tensor, Var};
use serde_json::Value;

use super::common::rows;
use super::common::{compare, floats};
use super::{DEVICE, Runner, TWIN, field, flag, list, number, numbers, text, whole};

type Checked = std::result::Result<(), String>;

/// Checks one case of the file.
pub fn check(op: &str, case: &Value, runner: Runner<'_>) -> Checked {
    match op {
        "schedule" => goes(case),
        "regularizer" => is_penalised(case, runner),
        "max_norm" => is_limited(case, runner),
        op => follows(op, case, runner),
    }
}

fn said(e: galen::Error) -> String {
    e.to_string()
}

fn single(array: &Value) -> Vec<f32> {
    numbers(array).iter().map(|v| *v as f32).collect()
}

/// Runs a graph once for every set of inputs, and gives what was fetched each time.
fn run(graph: &Graph, fetch: &[Var], inputs: &[Option<Tensor>], runner: Runner<'_>) -> Result<Vec<Vec<Vec<f64>>>> {
    match runner {
        Runner::Twin => {
            let mut reference = Reference::new(graph, fetch, 1)?;
            let mut once = |input: &Option<Tensor>| {
                input.as_ref().map_or(Ok(()), |input| reference.set("gradients", input.elements()))?;
                reference.run();
                reference.outputs()
            };
            inputs.iter().map(&mut once).collect()
        }
        Runner::On(device) => {
            let mut session = Session::new(device, 1, None);
            let executable = session.compile(graph, fetch)?;
            let mut once = |input: &Option<Tensor>| {
                let inputs: Vec<(&str, &Tensor)> = input.iter().map(|input| ("gradients", input)).collect();
                Ok(session.run(&executable, &inputs)?.iter().map(floats).collect())
            };
            inputs.iter().map(&mut once).collect()
        }
    }
}

fn agree(actual: &[f64], expected: &[f64], runner: Runner<'_>) -> Checked {
    let bound = if matches!(runner, Runner::Twin) { TWIN } else { DEVICE };
    compare(actual, expected, bound, None)
}

fn optimizer(op: &str, attrs: &Value) -> Box<dyn Optimizer> {
    let attr = |name: &str| number(field(attrs, name));
    match op {
        "sgd" => {
            let sgd = Sgd::default().momentum(attr("momentum"));
            Box::new(if flag(field(attrs, "nesterov")) { sgd.nesterov() } else { sgd })
        }
        "adam" => {
            let adam = Adam::default().betas(attr("beta1"), attr("beta2")).epsilon(attr("epsilon"));
            Box::new(if flag(field(attrs, "amsgrad")) { adam.amsgrad() } else { adam })
        }
        "adamw" => {
            let adam = AdamW::default().betas(attr("beta1"), attr("beta2")).epsilon(attr("epsilon"));
            Box::new(adam.weight_decay(attr("weight_decay") as f32))
        }
        "rmsprop" => {
            let plain = RmsProp::default().rho(attr("rho")).momentum(attr("momentum")).epsilon(attr("epsilon"));
            Box::new(if flag(field(attrs, "centered")) { plain.centered() } else { plain })
        }
        "adagrad" => {
            Box::new(Adagrad::default().initial_accumulator(attr("initial_accumulator_value")).epsilon(attr("epsilon")))
        }
        "nadam" => Box::new(Nadam::default().betas(attr("beta1"), attr("beta2")).epsilon(attr("epsilon"))),
        other => panic!("an optimizer called {other}"),
    }
}

fn tuned(op: &str, attrs: &Value) -> Tuned {
    let wanted = |name: &str| attrs.get(name).map(number);
    let mut tuned = Tuned::new(optimizer(op, attrs));
    if let Some(norm) = wanted("global_clipnorm") {
        tuned = tuned.clip_norm(norm as f32);
    }
    if let Some(value) = wanted("clipvalue") {
        tuned = tuned.clip_value(value as f32);
    }
    if let Some(decay) = wanted("weight_decay").filter(|_| op != "adamw") {
        tuned = tuned.weight_decay(decay as f32);
    }
    if let Some(steps) = wanted("accumulation") {
        tuned = tuned.accumulate(steps as usize);
    }
    if let Some(momentum) = wanted("ema_momentum") {
        tuned = tuned.ema(momentum);
    }
    let excluded = attrs.get("excluded_from_weight_decay").map(|names| list(names, whole)).unwrap_or_default();
    excluded.iter().fold(tuned, |tuned, i| tuned.exclude_from_weight_decay(format!("v{i}")))
}

/// The variables and their averages after every step are those of Keras.
fn follows(op: &str, case: &Value, runner: Runner<'_>) -> Checked {
    let (attrs, inputs, outputs) = (field(case, "attrs"), field(case, "inputs"), field(case, "outputs"));
    let rates = list(field(attrs, "learning_rates"), |v| number(v) as f32);
    let names = ["0", "1", "2"];
    let graph = Graph::new();
    let build = || -> Result<(Vec<Var>, Vec<Tensor>)> {
        let mut fetch = Vec::new();
        for i in names {
            let start = field(inputs, &format!("start{i}"));
            let shape = list(field(start, "shape"), whole);
            fetch.push(graph.parameter(&format!("v{i}"), shape, Init::Values(single(start).into()))?);
        }
        let all = graph.whole(PARAMETERS)?.shape();
        let gradients = graph.input("gradients", all.clone(), DType::F32)?;
        let (clock, schedule) = (rows::clock_at(&graph, 0)?, rows::schedule(&graph, 0, &rates)?);
        tuned(op, attrs).build(
            &graph,
            &gradients,
            &graph.fill(galen::Shape::default(), 1.0)?,
            &[],
            &clock,
            &schedule,
        )?;
        graph.tick(&clock)?;
        fetch.extend(names.iter().filter_map(|i| graph.slot(EMA, &format!("v{i}"))));
        let slots = graph.slots(PARAMETERS);
        let packed = (0..rates.len()).map(|step| {
            let mut values = vec![0.0; all.elements()];
            for (slot, i) in slots.iter().zip(names) {
                let (n, all) = (slot.spec.shape.elements(), single(field(inputs, &format!("grads{i}"))));
                values[slot.offset..slot.offset + n].copy_from_slice(&all[step * n..][..n]);
            }
            Tensor::f32(all.clone(), values)
        });
        Ok((fetch, packed.collect::<Result<_>>()?))
    };
    let (fetch, gradients) = build().map_err(said)?;
    let gradients: Vec<Option<Tensor>> = gradients.into_iter().map(Some).collect();
    let steps = run(&graph, &fetch, &gradients, runner).map_err(said)?;
    for (place, kind) in (0..fetch.len()).zip(["params", "params", "params", "ema", "ema", "ema"]) {
        let what = format!("{kind}{}", place % 3);
        let expected = numbers(field(outputs, &what));
        let width = expected.len() / steps.len();
        for (step, (actual, expected)) in steps.iter().zip(expected.chunks(width)).enumerate() {
            agree(&actual[place], expected, runner).map_err(|e| format!("{what}, step {step}: {e}"))?;
        }
    }
    if attrs.get("ema_momentum").is_some() && fetch.len() != 6 { Err("no averages".into()) } else { Ok(()) }
}

fn schedule(attrs: &Value) -> Schedule {
    let attr = |name: &str| number(field(attrs, name));
    let count = |name: &str| whole(field(attrs, name));
    let rate = || attr("initial_learning_rate");
    match text(field(attrs, "kind")) {
        "exponential" => {
            let curve = ExponentialDecay::new(rate(), count("decay_steps"), attr("decay_rate"));
            if flag(field(attrs, "staircase")) { curve.staircase().into() } else { curve.into() }
        }
        "cosine" => {
            let curve = CosineDecay::new(rate(), count("decay_steps")).alpha(attr("alpha"));
            match field(attrs, "warmup_target") {
                Value::Null => curve.into(),
                target => curve.warm_up(number(target), count("warmup_steps")).into(),
            }
        }
        "cosine_restarts" => CosineDecayRestarts::new(rate(), count("first_decay_steps"))
            .t_mul(attr("t_mul"))
            .m_mul(attr("m_mul"))
            .alpha(attr("alpha"))
            .into(),
        "polynomial" => {
            let curve = PolynomialDecay::new(rate(), count("decay_steps"));
            let curve = curve.end(attr("end_learning_rate")).power(attr("power"));
            if flag(field(attrs, "cycle")) { curve.cycle().into() } else { curve.into() }
        }
        "piecewise" => {
            let boundaries = list(field(attrs, "boundaries"), whole);
            PiecewiseConstant::new(boundaries, list(field(attrs, "values"), number)).into()
        }
        other => panic!("a schedule called {other}"),
    }
}

/// The rates of all steps are those of Keras.
fn goes(case: &Value) -> Checked {
    let schedule = schedule(field(case, "attrs"));
    schedule.check("a schedule").map_err(said)?;
    let expected = numbers(field(field(case, "outputs"), "y"));
    let actual: Vec<f64> = (0..expected.len()).map(|step| f64::from(schedule.at(step))).collect();
    compare(&actual, &expected, DEVICE, None)
}

/// A parameter with the values of the case, held back.
fn held(case: &Value, penalty: Penalty, max_norm: Option<MaxNorm>) -> Result<(Graph, Var, Vec<Hold>)> {
    let (graph, w) = (Graph::new(), field(field(case, "inputs"), "w"));
    let shape = list(field(w, "shape"), whole);
    let parameter = graph.parameter("w", shape, Init::Values(single(w).into()))?;
    // A neighbour that nothing holds back.
    graph.parameter("other", [70], Init::Constant(3.0))?;
    Ok((graph, parameter, vec![Hold { slot: "w".into(), penalty, max_norm }]))
}

/// An update by plain gradient descent with this rate, without gradients.
fn update(graph: &Graph, holds: &[Hold], rate: f32) -> Result<()> {
    let zeros = graph.fill(graph.whole(PARAMETERS)?.shape(), 0.0)?;
    let (clock, schedule) = (rows::clock_at(graph, 0)?, rows::schedule(graph, 0, &[rate])?);
    Tuned::new(Sgd::default()).build(
        graph,
        &zeros,
        &graph.fill(galen::Shape::default(), 1.0)?,
        holds,
        &clock,
        &schedule,
    )
}

/// The penalty and its gradient are those of the formula: a step with rate 1 goes by the gradient.
fn is_penalised(case: &Value, runner: Runner<'_>) -> Checked {
    let attr = |name: &str| number(field(field(case, "attrs"), name)) as f32;
    let build = || -> Result<(Graph, [Var; 2])> {
        let (graph, w, holds) = held(case, Penalty { l1: attr("l1"), l2: attr("l2") }, None)?;
        let value = Tuned::new(Sgd::default()).penalty(&graph, &holds)?;
        update(&graph, &holds, 1.0)?;
        let value = value.map_or_else(|| graph.fill([1], f32::NAN), Ok)?;
        Ok((graph, [value, w]))
    };
    let (graph, fetch) = build().map_err(said)?;
    let results = run(&graph, &fetch, &[None], runner).map_err(said)?;
    agree(&results[0][0], &numbers(field(field(case, "outputs"), "y")), runner)?;
    let cotangent = numbers(field(case, "cotangent"))[0];
    let gradient = numbers(field(field(case, "gradients"), "w"));
    let start = numbers(field(field(case, "inputs"), "w"));
    let went: Vec<f64> = start.iter().zip(&results[0][1]).map(|(before, after)| (before - after) * cotangent).collect();
    agree(&went, &gradient, runner)
}

/// Norms are limited as Keras limits them.
fn is_limited(case: &Value, runner: Runner<'_>) -> Checked {
    let attrs = field(case, "attrs");
    let units = if list(field(attrs, "axes"), whole) == [0] { Units::Columns } else { Units::Rows };
    let limit = number(field(attrs, "max_value")) as f32;
    let build = || -> Result<(Graph, [Var; 2])> {
        let (graph, w, holds) = held(case, Penalty::default(), Some(MaxNorm { limit, units }))?;
        update(&graph, &holds, 1.0)?;
        let other = graph.slot(PARAMETERS, "other").map_or_else(|| graph.fill([70], 0.0), Ok)?;
        Ok((graph, [w, other]))
    };
    let (graph, fetch) = build().map_err(said)?;
    let results = run(&graph, &fetch, &[None], runner).map_err(said)?;
    agree(&results[0][0], &numbers(field(field(case, "outputs"), "y")), runner)?;
    agree(&results[0][1], &[3.0; 70], runner)
}
