//! `recurrent.json`: recurrences, in one direction and in both; as layers where they begin with zeros, else as ops.

use galen::nn::{Bidirectional, BuildCtx, Gru, Layer, Lstm, Recurrent, SimpleRnn};
use galen::ops::gru::GruOptions;
use galen::ops::lstm::LstmOptions;
use galen::ops::rnn::RnnOptions;
use galen::{Result, Var};

use super::case::Given;

pub fn outputs(op: &str, given: &Given<'_>) -> Result<Vec<(&'static str, Var)>> {
    let Some(op) = op.strip_prefix("bidirectional_") else {
        let backwards = given.flag("go_backwards");
        let (y, mut states) = direction(op, given, "", backwards)?;
        states.truncate(if op == "lstm" { 2 } else { 1 });
        let y = if given.flag("initial_states") { y } else { layer(op, given, false)? };
        let y = if backwards { turned(&y)? } else { y };
        let named = ["h", "c"].into_iter().zip(states);
        return Ok([("y", y)].into_iter().chain(named).collect());
    };
    let (forward, states) = direction(op, given, "forward_", false)?;
    let (backward, states_back) = direction(op, given, "backward_", true)?;
    let y = match given.flag("initial_states") {
        true => Var::concat(&[&forward, &backward], 2)?,
        false => layer(op, given, true)?,
    };
    let named = ["forward_h", "forward_c"].into_iter().zip(states);
    let named = named.chain(["backward_h", "backward_c"].into_iter().zip(states_back));
    Ok([("y", y)].into_iter().chain(named).collect())
}

/// What the layers call their parameters.
pub fn parameter(op: &str, input: &str) -> Option<String> {
    let weight = input.ends_with("kernel") || input.ends_with("bias");
    let name = || match input.split_once('_') {
        Some((direction, own)) if op.starts_with("bidirectional") => format!("{direction}/{own}"),
        _ => input.to_owned(),
    };
    weight.then(name)
}

/// What the layer gives for each step, with the parameters of the case.
fn layer(op: &str, given: &Given<'_>, both: bool) -> Result<Var> {
    let (units, bias, backwards) = (given.whole("units"), given.flag("use_bias"), given.flag("go_backwards"));
    macro_rules! made {
        ($layer:ident) => {{
            let mut layer = $layer::new(units).return_sequences();
            if !bias {
                layer = layer.without_bias();
            }
            built(if backwards { layer.go_backwards() } else { layer }, given, both)
        }};
    }
    match op {
        "simple_rnn" => made!(SimpleRnn),
        "lstm" => made!(Lstm),
        "gru" => made!(Gru),
        _ => panic!("the test does not know the op \"{op}\""),
    }
}

fn built(layer: impl Recurrent + Layer, given: &Given<'_>, both: bool) -> Result<Var> {
    let (ctx, x) = (BuildCtx::inference(), given.var("x"));
    match (both, given.find("lengths")) {
        (true, None) => Bidirectional::new(layer).build(&ctx, x),
        (true, Some(lengths)) => Bidirectional::new(layer).build_with_lengths(&ctx, x, lengths),
        (false, None) => layer.build(&ctx, x),
        (false, Some(lengths)) => layer.build_with_lengths(&ctx, x, lengths),
    }
}

/// What one direction gives for each step, and the last states. The weights' names begin with `prefix`.
fn direction(op: &str, given: &Given<'_>, prefix: &str, reverse: bool) -> Result<(Var, Vec<Var>)> {
    let (x, units) = (given.var("x"), given.whole("units"));
    let find = |name: &str| given.find(&format!("{prefix}{name}"));
    let zeros = |shape: &[usize]| given.graph.fill(shape, 0.0);
    let state = |name: &str| find(name).map_or_else(|| zeros(&[x.shape()[0], units]), |v| Ok(v.clone()));
    let weight = |name: &str| find(name).unwrap_or_else(|| panic!("no {prefix}{name}"));

    let mut gates = x.matmul(weight("kernel"))?;
    if let Some(bias) = find("bias") {
        gates = gates.add(bias)?;
    }
    let (u, lengths) = (weight("recurrent_kernel"), given.find("lengths"));
    let sequences = match op {
        "simple_rnn" => {
            let options = RnnOptions { reverse, ..Default::default() };
            vec![gates.rnn(u, &state("h0")?, lengths, options)?]
        }
        "lstm" => {
            let (h, c) = gates.lstm(u, &state("h0")?, &state("c0")?, lengths, LstmOptions { reverse })?;
            vec![h, c]
        }
        "gru" => {
            assert!(given.flag("reset_after"), "Galen's reset gate comes after the product");
            let b = find("recurrent_bias").map_or_else(|| zeros(&[3 * units]), |b| Ok(b.clone()))?;
            vec![gates.gru(u, &b, &state("h0")?, lengths, GruOptions { reverse })?]
        }
        _ => panic!("the test does not know the op \"{op}\""),
    };
    let last = if reverse { 0 } else { x.shape()[1] - 1 };
    let states = sequences.iter().map(|s| step(s, last)?.reshape([x.shape()[0], units])).collect::<Result<_>>()?;
    Ok((sequences[0].clone(), states))
}

/// One step of a sequence `[batch, time, units]`, `[batch, 1, units]`.
fn step(sequence: &Var, t: usize) -> Result<Var> {
    let shape = sequence.shape();
    sequence.slice(&[(0, shape[0]), (t, t + 1), (0, shape[2])])
}

/// The steps in the other order: Galen leaves them at their places, Keras puts out first what it computed first.
fn turned(sequence: &Var) -> Result<Var> {
    let steps = (0..sequence.shape()[1]).rev().map(|t| step(sequence, t)).collect::<Result<Vec<_>>>()?;
    Var::concat(&steps.iter().collect::<Vec<_>>(), 1)
}
