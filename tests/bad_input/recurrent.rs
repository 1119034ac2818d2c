//! Recurrences and recurrent layers.

use galen::nn::{Bidirectional, BuildCtx, Gru, Lstm, Network, Recurrent, SimpleRnn};
use galen::ops::gru::{GruGrad, GruOptions};
use galen::ops::lstm::{LstmGrad, LstmOptions};
use galen::ops::rnn::{RnnGrad, RnnOptions};
use galen::optim::Penalty;
use galen::prelude::*;
use galen::{DType, Graph, Result};

use super::says;

#[test]
fn recurrences_name_what_does_not_fit() -> Result<()> {
    let graph = Graph::new();
    let f32 = |name: &str, shape: &[usize]| graph.input(name, shape, DType::F32);
    let (gates, u, state) = (f32("gates", &[3, 7, 20])?, f32("u", &[5, 20])?, f32("state", &[3, 5])?);
    let lengths = graph.input("lengths", [3], DType::U32)?;
    let (lstm, rnn, gru) = (LstmOptions::default(), RnnOptions::default(), GruOptions::default());
    gates.lstm(&u, &state, &state, Some(&lengths), lstm)?;
    says(gates.rnn(&u, &state, None, rnn), &["rnn", "[units, units]", "f32[3, 7, 20]", "f32[5, 20]"]);
    says(gates.gru(&u, &state, &state, None, gru), &["gru", "3·units", "f32[3, 7, 20]"]);
    says(state.lstm(&u, &state, &state, None, lstm), &["lstm", "[batch, time, 4·units]", "f32[3, 5]"]);
    says(gates.lstm(&u.transpose(&[1, 0])?, &state, &state, None, lstm), &["lstm", "4·units", "f32[20, 5]"]);
    let wrong = f32("wrong", &[5, 3])?;
    says(gates.lstm(&u, &wrong, &state, None, lstm), &["lstm", "initial state [3, 5]", "f32[5, 3]"]);
    says(gates.lstm(&u, &state, &wrong, None, lstm), &["lstm", "initial cell [3, 5]", "f32[5, 3]"]);
    says(gates.lstm(&u, &state, &state, Some(&state), lstm), &["lstm", "u32", "f32[3, 5]"]);
    let short = graph.input("short", [2], DType::U32)?;
    says(gates.lstm(&u, &state, &state, Some(&short), lstm), &["lstm", "lengths [3]", "u32[2]"]);
    let ids = graph.input("ids", [3, 7, 20], DType::U32)?;
    says(ids.lstm(&u, &state, &state, None, lstm), &["lstm", "f32", "u32[3, 7, 20]"]);
    says(graph.input("empty", [3, 0, 20], DType::F32), &["at least one element"]);
    let (small, b) = (f32("small", &[3, 7, 15])?, f32("b", &[5])?);
    let u3 = f32("u3", &[5, 15])?;
    says(small.gru(&u3, &b, &state, None, gru), &["gru", "recurrent bias [15]", "f32[5]"]);
    // Each step is a launch.
    let (long, one) = (f32("long", &[1, 65_537, 1])?, f32("one", &[1, 1])?);
    says(long.rnn(&one, &one, None, rnn), &["rnn", "time steps", "65536", "65537"]);
    Ok(())
}

#[test]
fn gradients_of_recurrences_are_checked_too() -> Result<()> {
    let graph = Graph::new();
    let f32 = |name: &str, shape: &[usize]| graph.input(name, shape, DType::F32);
    let (dh, saved, ut) = (f32("dh", &[3, 7, 5])?, f32("saved", &[3, 7, 25])?, f32("ut", &[20, 5])?);
    let op = |cell| LstmGrad { reverse: false, cell };
    graph.push(op(false), &[&saved, &ut, &dh])?;
    says(graph.push(op(true), &[&saved, &ut, &dh]), &["lstm_grad", "4 tensors"]);
    says(graph.push(op(false), &[&dh, &ut, &dh]), &["lstm_grad", "saved gates [3, 7, 25]", "f32[3, 7, 5]"]);
    says(graph.push(op(false), &[&saved, &dh, &dh]), &["lstm_grad", "f32[20, 5]", "f32[3, 7, 5]"]);
    says(graph.push(op(true), &[&saved, &ut, &dh, &saved]), &["lstm_grad", "dc [3, 7, 5]"]);
    says(graph.push(op(false), &[&saved, &ut, &ut]), &["lstm_grad", "dh [batch, time, units]"]);
    let rnn = RnnGrad { reverse: false, relu: false };
    says(graph.push(rnn, &[&saved, &f32("square", &[5, 5])?, &dh]), &["rnn_grad", "h [3, 7, 5]"]);
    let gru = GruGrad { reverse: false };
    says(graph.push(gru, &[&saved, &ut, &dh, &dh]), &["gru_grad", "f32[15, 5]"]);
    // What is saved for the gradient is for nothing else, and a gradient has none itself.
    let (gates, state, u) = (f32("gates", &[3, 7, 20])?, f32("state", &[3, 5])?, ut.transpose(&[1, 0])?);
    let outputs = graph.push(galen::ops::lstm::Lstm { reverse: false }, &[&gates, &u, &state, &state])?;
    says(graph.gradients(&outputs[2].sum_all()?, std::slice::from_ref(&gates)), &["lstm", "saved gates"]);
    let gradient = graph.gradients(&outputs[0].sum_all()?, std::slice::from_ref(&gates))?.swap_remove(0);
    says(graph.gradients(&gradient.sum_all()?, &[gates]), &["lstm_grad", "second derivatives"]);
    Ok(())
}

#[test]
fn recurrent_layers_name_themselves() -> Result<()> {
    let huge = usize::MAX / 2;
    // The second layer gets the first one's last state alone.
    let network = Sequential::new([7, 3]).with(Lstm::new(4)).with(Lstm::new(4));
    says(network.summary(), &["layer \"lstm_1\"", "[batch, time, features]", "f32[1, 4]"]);
    says(Sequential::new(Input::tokens([7, 3])).with(Gru::new(4)).summary(), &["layer \"gru\"", "floats", "u32"]);
    says(Sequential::new([7]).with(SimpleRnn::new(4)).summary(), &["layer \"simple_rnn\"", "f32[1, 7]"]);
    says(Sequential::new([7, 3]).with(Gru::new(0)).summary(), &["gru", "units", "at least 1"]);
    says(Sequential::new([7, 3]).with(Lstm::new(huge)).summary(), &["lstm", "elements"]);
    says(Sequential::new([7, 3]).with(Gru::new(huge)).summary(), &["gru", "elements"]);
    says(Sequential::new([7, 3]).with(Bidirectional::new(Lstm::new(0))).summary(), &["bidirectional/forward", "units"]);
    let penalised = Gru::new(4).recurrent_regularizer(Penalty::l2(-1.0));
    says(Sequential::new([7, 3]).with(penalised).summary(), &["recurrent kernel", "l2"]);
    let graph = Graph::new();
    let (x, y) = (graph.input("x", [2, 7, 3], DType::F32)?, graph.input("y", [3], DType::U32)?);
    says(Lstm::new(4).build_with_lengths(&BuildCtx::inference(), &x, &y), &["lstm", "lengths [2]", "u32[3]"]);
    Ok(())
}
