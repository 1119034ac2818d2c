//! Recurrent layers: Keras's formulas and initial values, both directions, and sequences of several lengths.

mod common;

use galen::graph::{Init, PARAMETERS};
use galen::nn::{Bidirectional, BuildCtx, Gru, Initializer, Layer, Lstm, Merge, Recurrent, SimpleRnn};
use galen::optim::Penalty;
use galen::prelude::*;
use galen::{DType, Graph, Result, Session, Tensor, Var};
use ndarray::{Array1, Array2, Array3, ArrayD, Axis, Ix1, Ix2, s};

/// Samples, steps, features and units.
const SIZES: [usize; 4] = [4, 6, 3, 5];

/// Normal numbers `[4, 6, 3]`, and lengths of none, some, all and more than all of the steps.
fn sequences() -> (Array3<f32>, Array1<u32>) {
    let mut random = galen::contract::Threefry::new(7, 1);
    let x = Array3::from_shape_simple_fn((SIZES[0], SIZES[1], SIZES[2]), || random.normal());
    (x, Array1::from(vec![3, 0, 6, 9]))
}

type Build<'a> = &'a dyn Fn(&BuildCtx, &Var, &Var) -> Result<Vec<Var>>;

/// What `build` makes of the sequences and lengths, in inference, and the session with its parameters.
fn run(device: &Device, x: &Array3<f32>, lengths: &Array1<u32>, build: Build<'_>) -> (Vec<ArrayD<f32>>, Session) {
    let (graph, mut session) = (Graph::new(), Session::new(device, 3, None));
    let given = [("x", Tensor::from(x.clone())), ("lengths", Tensor::from(lengths.clone()))];
    let vars = given.each_ref().map(|(name, x)| graph.input(name, x.shape(), x.spec().dtype).expect("an input"));
    let outputs = build(&BuildCtx::inference(), &vars[0], &vars[1]).expect("a network");
    let run = session.compile(&graph, &outputs).expect("a plan");
    let used = given.iter().filter(|(name, _)| run.plan().input(name).is_ok()).map(|(name, x)| (*name, x));
    let outputs = session.run(&run, &used.collect::<Vec<_>>()).expect("a run");
    (outputs.into_iter().map(|y| y.into_f32().expect("floats")).collect(), session)
}

fn parameter(session: &mut Session, name: &str) -> ArrayD<f64> {
    let tensor = session.state(PARAMETERS, name).unwrap_or_else(|e| panic!("{name}: {e}"));
    tensor.into_f32().expect("floats").mapv(f64::from)
}

/// The states of a layer of `kind` under `name`, step by step as Keras writes them.
fn by_hand(
    session: &mut Session,
    (kind, name): (&str, &str),
    x: &Array3<f32>,
    lengths: &Array1<u32>,
    reverse: bool,
) -> Array3<f64> {
    let mut read = |slot: &str| parameter(session, &format!("{name}/{slot}"));
    let matrix = |x: ArrayD<f64>| x.into_dimensionality::<Ix2>().expect("a matrix");
    let vector = |x: ArrayD<f64>| x.into_dimensionality::<Ix1>().expect("a vector");
    let (kernel, u, bias) = (matrix(read("kernel")), matrix(read("recurrent_kernel")), vector(read("bias")));
    let recurrent_bias = if kind == "gru" { vector(read("recurrent_bias")) } else { bias.clone() };
    let (batch, time, units) = (x.dim().0, x.dim().1, u.nrows());
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let mut y = Array3::zeros((batch, time, units));
    for sample in 0..batch {
        let (mut h, mut c) = (Array1::<f64>::zeros(units), Array1::<f64>::zeros(units));
        for step in 0..time {
            let t = if reverse { time - 1 - step } else { step };
            if (t as u32) < lengths[sample] {
                let input = x.slice(s![sample, t, ..]).mapv(f64::from).dot(&kernel) + &bias;
                let state = h.dot(&u);
                let at = |x: &Array1<f64>, gate: usize, j: usize| x[gate * units + j];
                for j in 0..units {
                    let sum = |gate| at(&input, gate, j) + at(&state, gate, j);
                    h[j] = match kind {
                        "simple_rnn" => sum(0).tanh(),
                        "lstm" => {
                            c[j] = sigmoid(sum(1)) * c[j] + sigmoid(sum(0)) * sum(2).tanh();
                            sigmoid(sum(3)) * c[j].tanh()
                        }
                        _ => {
                            let z = sigmoid(sum(0) + at(&recurrent_bias, 0, j));
                            let r = sigmoid(sum(1) + at(&recurrent_bias, 1, j));
                            let q = at(&state, 2, j) + at(&recurrent_bias, 2, j);
                            z * h[j] + (1.0 - z) * (at(&input, 2, j) + r * q).tanh()
                        }
                    };
                }
            }
            y.slice_mut(s![sample, t, ..]).assign(&h);
        }
    }
    y
}

fn close(what: &str, a: &ArrayD<f32>, b: &ArrayD<f64>) {
    assert_eq!(a.shape(), b.shape(), "{what}");
    let off = a.iter().zip(b).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
    assert!(off < 2e-5, "{what}: off by {off}");
}

/// The three layers with a bias that is not zero, all states or the last one, in either direction.
fn layers(sequences: bool, backwards: bool) -> [(&'static str, Box<dyn Recurrent>); 3] {
    macro_rules! of {
        ($layer:ident) => {{
            let mut layer = $layer::new(SIZES[3]).bias_initializer(Initializer::Uniform(-1.0, 1.0));
            layer = if sequences { layer.return_sequences() } else { layer };
            Box::new(if backwards { layer.go_backwards() } else { layer }) as Box<dyn Recurrent>
        }};
    }
    [("simple_rnn", of!(SimpleRnn)), ("lstm", of!(Lstm)), ("gru", of!(Gru))]
}

#[test]
fn layers_compute_kerass_formulas() {
    let (x, lengths) = sequences();
    for device in common::devices() {
        for (sequences, backwards) in [(true, false), (true, true), (false, false), (false, true)] {
            for (kind, layer) in layers(sequences, backwards) {
                let build = |ctx: &BuildCtx, x: &Var, lengths: &Var| {
                    Ok(vec![ctx.block("a", x.graph(), |ctx| layer.build_with_lengths(ctx, x, lengths))?])
                };
                let (y, mut session) = run(&device, &x, &lengths, &build);
                let all = by_hand(&mut session, (kind, "a"), &x, &lengths, backwards);
                let last = all.index_axis(Axis(1), if backwards { 0 } else { SIZES[1] - 1 });
                let expected = if sequences { all.clone().into_dyn() } else { last.to_owned().into_dyn() };
                close(&format!("{kind}, all {sequences}, backwards {backwards}, {device}"), &y[0], &expected);
            }
        }
    }
}

/// The state after a sequence's own last step is the last one, whatever stands behind its end.
#[test]
fn what_stands_behind_the_end_is_never_seen() {
    let (x, lengths) = sequences();
    let mut other = x.clone();
    for (sample, length) in lengths.iter().enumerate() {
        other.slice_mut(s![sample, (*length as usize).min(SIZES[1]).., ..]).fill(f32::NAN);
    }
    let build = |ctx: &BuildCtx, x: &Var, lengths: &Var| {
        let mut outputs = Vec::new();
        for (kind, layer) in layers(false, false) {
            outputs.push(ctx.block(kind, x.graph(), |ctx| layer.build_with_lengths(ctx, x, lengths))?);
        }
        let both = Bidirectional::new(Gru::new(SIZES[3]));
        outputs.push(ctx.block("both", x.graph(), |ctx| both.build_with_lengths(ctx, x, lengths))?);
        Ok(outputs)
    };
    for device in common::devices() {
        let (one, _) = run(&device, &x, &lengths, &build);
        let (two, _) = run(&device, &other, &lengths, &build);
        assert!(one.iter().flatten().all(|y| y.is_finite()), "{device}");
        assert_eq!(one, two, "{device}");
        let empty = one.iter().all(|y| y.index_axis(Axis(0), 1).iter().all(|y| *y == 0.0));
        assert!(empty, "{device}: a sequence of no steps ends with zeros");
        // A sequence alone, cut to its length, gives the same as among longer ones.
        let (cut, three) = (x.slice(s![..1, ..3, ..]).to_owned(), Array1::from(vec![3]));
        let (alone, _) = run(&device, &cut, &three, &build);
        for (alone, among) in alone.iter().zip(&one) {
            close("alone", &alone.clone(), &among.slice_axis(Axis(0), (..1).into()).mapv(f64::from));
        }
    }
}

#[test]
fn both_directions_are_joined() {
    let (x, lengths) = sequences();
    let all = Array1::from(vec![SIZES[1] as u32; SIZES[0]]);
    for device in common::devices() {
        for (sequences, backwards) in [(true, false), (false, false), (true, true)] {
            for merge in [Merge::Concat, Merge::Sum] {
                let cell = || {
                    let cell = Lstm::new(SIZES[3]);
                    let cell = if sequences { cell.return_sequences() } else { cell };
                    if backwards { cell.go_backwards() } else { cell }
                };
                let masked = |ctx: &BuildCtx, x: &Var, lengths: &Var| {
                    let layer = Bidirectional::new(cell()).merge(merge);
                    Ok(vec![ctx.block("b", x.graph(), |ctx| layer.build_with_lengths(ctx, x, lengths))?])
                };
                let whole = |ctx: &BuildCtx, x: &Var, _: &Var| {
                    Ok(vec![ctx.named("b", &Bidirectional::new(cell()).merge(merge), x)?])
                };
                for (lengths, build) in [(&lengths, &masked as Build<'_>), (&all, &whole)] {
                    let (y, mut session) = run(&device, &x, lengths, build);
                    let mut directions =
                        [("b/forward", backwards), ("b/backward", !backwards)].map(|(name, reverse)| {
                            let states = by_hand(&mut session, ("lstm", name), &x, lengths, reverse);
                            let last = states.index_axis(Axis(1), if reverse { 0 } else { SIZES[1] - 1 }).to_owned();
                            if sequences { states.into_dyn() } else { last.into_dyn() }
                        });
                    let expected = match merge {
                        Merge::Sum => &directions[0] + &directions[1],
                        Merge::Concat => {
                            let axis = Axis(directions[0].ndim() - 1);
                            let [forward, backward] = directions.each_mut();
                            ndarray::concatenate(axis, &[forward.view(), backward.view()]).expect("two of a shape")
                        }
                    };
                    close(&format!("{merge:?}, all {sequences}, backwards {backwards}, {device}"), &y[0], &expected);
                }
            }
        }
    }
}

/// The names, shapes and initial values that Keras gives.
#[test]
fn parameters_begin_as_in_keras() {
    let (x, lengths) = sequences();
    let (features, units) = (SIZES[2], SIZES[3]);
    let build = |ctx: &BuildCtx, x: &Var, _: &Var| {
        let layers: [&dyn Layer; 3] = [&SimpleRnn::new(units), &Lstm::new(units), &Gru::new(units)];
        layers.into_iter().map(|layer| ctx.layer(layer, x)).collect()
    };
    let (_, mut session) = run(&common::devices()[0], &x, &lengths, &build);
    for (name, gates) in [("simple_rnn", 1), ("lstm", 4), ("gru", 3)] {
        let kernel = parameter(&mut session, &format!("{name}/kernel"));
        assert_eq!(kernel.shape(), [features, gates * units]);
        let limit = (6.0 / (features + gates * units) as f64).sqrt();
        assert!(kernel.iter().all(|w| w.abs() <= limit) && kernel.iter().any(|w| w.abs() > limit / 2.0), "{name}");
        let recurrent = parameter(&mut session, &format!("{name}/recurrent_kernel"));
        let recurrent: Array2<f64> = recurrent.into_dimensionality().expect("a matrix");
        assert_eq!(recurrent.dim(), (units, gates * units));
        let products = recurrent.dot(&recurrent.t()) - Array2::<f64>::eye(units);
        assert!(products.iter().all(|p| p.abs() < 1e-5), "{name}: rows are not orthonormal");
        let bias = parameter(&mut session, &format!("{name}/bias"));
        let forget = |i: usize| name == "lstm" && i / units == 1;
        assert!(bias.iter().enumerate().all(|(i, b)| *b == if forget(i) { 1.0 } else { 0.0 }), "{name}");
    }
    assert!(parameter(&mut session, "gru/recurrent_bias").iter().all(|b| *b == 0.0));
}

#[test]
fn settings_reach_all_parameters() -> Result<()> {
    let graph = Graph::new();
    let x = graph.input("x", [2, 3, 4], DType::F32)?;
    let lengths = graph.input("lengths", [2], DType::U32)?;
    let ctx = BuildCtx::inference();
    let (l1, l2) = (Penalty::l1(0.1), Penalty::l2(0.2));
    let gru = Gru::new(5).recurrent_regularizer(l1).bias_regularizer(l2).activity_regularizer(l1);
    let both = Bidirectional::new(gru);
    ctx.block("both", &graph, |ctx| both.build_with_lengths(ctx, &x, &lengths))?;
    let collected = ctx.collected();
    let held: Vec<(&str, Penalty)> = collected.holds.iter().map(|h| (&*h.slot, h.penalty)).collect();
    let of = |direction: &str| {
        [("recurrent_kernel", l1), ("bias", l2), ("recurrent_bias", l2)]
            .map(|(n, p)| (format!("both/{direction}/{n}"), p))
    };
    let expected: Vec<_> = [of("forward"), of("backward")].concat();
    assert_eq!(held, expected.iter().map(|(n, p)| (&**n, *p)).collect::<Vec<_>>());
    assert_eq!(collected.activity.len(), 2, "what each direction puts out");
    // Without a bias there are two parameters.
    let before = graph.slots(PARAMETERS).len();
    for layer in [&Gru::new(5).without_bias() as &dyn Layer, &Lstm::new(5).without_bias()] {
        ctx.layer(layer, &x)?;
    }
    assert_eq!(graph.slots(PARAMETERS).len() - before, 4);
    // The forget gate's part of the bias may begin like the others, and another initialiser fills all of it.
    let layers = [("zeros", Lstm::new(2).without_forget_bias(), 0.0)];
    let halves = Lstm::new(2).bias_initializer(Initializer::Constant(0.5));
    for (name, layer, value) in layers.into_iter().chain([("halves", halves, 0.5)]) {
        ctx.named(name, &layer, &x)?;
        let slots = graph.slots(PARAMETERS);
        let bias = slots.iter().find(|s| s.name == format!("{name}/bias")).expect("a bias");
        assert_eq!(bias.init, Init::Constant(value));
    }
    Ok(())
}

/// The sign of the first step's number, at the end of sequences of several lengths with noise behind: what only a memory, and only the
/// right end, can tell.
#[test]
fn a_network_learns_what_stood_at_the_beginning() -> Result<()> {
    let mut random = galen::contract::Threefry::new(5, 2);
    let (n, time) = (256, 8);
    let x = Array3::from_shape_simple_fn((n, time, 1), || random.normal());
    let lengths = Array1::from_shape_simple_fn(n, || 1 + random.below(time as u32));
    let y = Array1::from_shape_fn(n, |i| u32::from(x[[i, 0, 0]] > 0.0));
    let data = Dataset::new(x, y)?.with_input(lengths)?;
    let inputs = [Input::new([time, 1]).named("x"), Input::tokens([]).named("lengths")];
    let network = Functional::many(inputs, |ctx, x| {
        let gru = Gru::new(12);
        let last = ctx.block("gru", x[0].graph(), |ctx| gru.build_with_lengths(ctx, &x[0], &x[1]))?;
        Ok(vec![ctx.layer(&Dense::new(2), &last)?])
    });
    let loss = CategoricalCrossEntropy::new().from_logits();
    let setup = Setup::on(&common::devices()[0]).seed(1);
    let mut model = network.compile_on(&setup, Adam::new(0.02), loss, &[Metric::Accuracy])?;
    model.fit(&data, &Fit::new().epochs(30).batch_size(32).verbose(false))?;
    let accuracy = model.evaluate(&data)?.accuracy();
    assert!(accuracy > 0.95, "{accuracy}");
    Ok(())
}
