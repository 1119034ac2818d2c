//! Recurrent layers: simple, long short-term memory, gated recurrent unit; in one direction or both.

use std::fmt;

use super::{BuildCtx, Initializer, Layer, Units, Weights, weight_methods};
use crate::error::{Error, Result};
use crate::graph::{Graph, Init, Var};
use crate::ops::gru::GruOptions;
use crate::ops::lstm::LstmOptions;
use crate::ops::rnn::RnnOptions;
use crate::optim::Penalty;
use crate::shape::DType;

/// A layer that walks along a sequence `[batch, time, features]`.
///
/// Sequences of several lengths are padded at their ends and come with their lengths, `u32` `[batch]`. The steps behind a sequence's
/// end leave its state as it is, so that the last state is the one after its own last step (and zeros where the length is 0); a
/// length beyond the steps there are counts as all of them:
///
/// ```
/// use galen::nn::{Bidirectional, Dense, Functional, Input, Lstm, Network, Recurrent};
///
/// let inputs = [Input::new([12, 3]).named("visits"), Input::tokens([]).named("lengths")];
/// let network = Functional::many(inputs, |ctx, x| {
///     let (visits, lengths) = (&x[0], &x[1]);
///     let (first, second) = (Lstm::new(8).return_sequences(), Bidirectional::new(Lstm::new(4)));
///     let states = ctx.block("first", visits.graph(), |ctx| first.build_with_lengths(ctx, visits, lengths))?;
///     let last = ctx.block("second", visits.graph(), |ctx| second.build_with_lengths(ctx, &states, lengths))?;
///     Ok(vec![ctx.layer(&Dense::new(1), &last)?])
/// });
/// assert_eq!(&*network.summary()?.outputs[0], [1]);
/// # Ok::<(), galen::Error>(())
/// ```
pub trait Recurrent: fmt::Debug + Send + Sync {
    /// What layers of this kind are called.
    fn kind(&self) -> &'static str;

    /// The states after every step, `[batch, time, units]`, walking from the first step to the last or, in `reverse`, from the last to
    /// the first; each stays at its step's place. Steps from a sample's length on leave its state as it is.
    ///
    /// # Errors
    /// Where the layer cannot take such a sequence.
    fn states(&self, ctx: &BuildCtx, x: &Var, lengths: Option<&Var>, reverse: bool) -> Result<Var>;

    /// Whether the layer gives all states and not only the last.
    fn gives_sequences(&self) -> bool;

    /// Whether the layer itself walks from the last step to the first.
    fn goes_backwards(&self) -> bool;

    /// Penalises what the layer puts out, where that was asked for.
    ///
    /// # Errors
    /// Where the penalty makes no sense.
    fn penalise(&self, _ctx: &BuildCtx, _y: &Var) -> Result<()> {
        Ok(())
    }

    /// Builds the layer for sequences of different lengths, `u32` `[batch]`, each padded at its end.
    ///
    /// # Errors
    /// Where the layer cannot take such a sequence, or the lengths are not one for each sample.
    fn build_with_lengths(&self, ctx: &BuildCtx, x: &Var, lengths: &Var) -> Result<Var> {
        walk(self, ctx, x, Some(lengths), self.goes_backwards())
    }
}

/// All states, or the one after the last step of the walk.
fn walk<R: Recurrent + ?Sized>(cell: &R, ctx: &BuildCtx, x: &Var, lengths: Option<&Var>, reverse: bool) -> Result<Var> {
    let shape = x.shape();
    if shape.len() != 3 || x.dtype() != DType::F32 {
        return Err(Error::shape(cell.kind(), "floats [batch, time, features]", x.spec().to_string()));
    }
    let states = cell.states(ctx, x, lengths, reverse)?;
    let y = if cell.gives_sequences() {
        states
    } else {
        let (batch, units) = (shape[0], states.shape()[2]);
        let last = if reverse { 0 } else { shape[1] - 1 };
        states.slice(&[(0, batch), (last, last + 1)])?.reshape([batch, units])?
    };
    cell.penalise(ctx, &y)?;
    Ok(y)
}

/// What the three layers have in common.
#[derive(Clone, Debug)]
struct Settings {
    units: usize,
    sequences: bool,
    backwards: bool,
    recurrent: Initializer,
    recurrent_penalty: Penalty,
}

impl Settings {
    fn new(units: usize) -> Self {
        let recurrent = Initializer::Orthogonal(1.0);
        Settings { units, sequences: false, backwards: false, recurrent, recurrent_penalty: Penalty::NONE }
    }

    /// The input's part of all gates of all steps, `[batch, time, gates · units]`, in one product with the `bias`; the recurrent kernel; a
    /// state of zeros.
    fn project(
        &self,
        kind: &str,
        gates: usize,
        weights: &Weights,
        ctx: &BuildCtx,
        x: &Var,
        bias: impl FnOnce() -> Result<Option<Var>>,
    ) -> Result<(Var, Var, Var)> {
        if self.units == 0 {
            return Err(Error::parameter(kind, "units", "at least 1", self.units));
        }
        let (shape, graph) = (x.shape(), x.graph());
        let [batch, time, features] = shape[..] else {
            return Err(Error::shape(kind, "[batch, time, features]", shape.to_string()));
        };
        let width = self.units.saturating_mul(gates);
        let kernel = weights.kernel(ctx, graph, [features, width], [features, width], Units::Columns)?;
        self.recurrent_penalty.check("recurrent kernel")?;
        ctx.hold("recurrent_kernel", self.recurrent_penalty, None);
        let recurrent = self.recurrent.init(self.units, width);
        let recurrent = ctx.parameter(graph, "recurrent_kernel", [self.units, width], recurrent)?;
        let mut gates = x.reshape([batch * time, features])?.matmul(&kernel)?;
        if let Some(bias) = bias()? {
            gates = gates.add(&bias)?;
        }
        Ok((gates.reshape([batch, time, width])?, recurrent, graph.fill([batch, self.units], 0.0)?))
    }
}

macro_rules! recurrent {
    ($(#[$doc:meta])* $name:ident, $kind:literal { $($field:ident: $type:ty = $value:expr),* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name {
            settings: Settings,
            weights: Weights,
            $($field: $type,)*
        }

        impl $name {
            /// A layer of `units` cells that gives its last state; Keras's initial weights.
            pub fn new(units: usize) -> Self {
                $name { settings: Settings::new(units), weights: Weights::default(), $($field: $value,)* }
            }

            /// Gives the states after all steps, `[batch, time, units]`, not only the last: what a further recurrent layer wants.
            #[must_use]
            pub fn return_sequences(mut self) -> Self {
                self.settings.sequences = true;
                self
            }

            /// Walks from the last step to the first. Each state stays at its step's place (Keras gives them in the order of the walk).
            #[must_use]
            pub fn go_backwards(mut self) -> Self {
                self.settings.backwards = true;
                self
            }

            /// How the recurrent kernel begins; orthogonal without it.
            #[must_use]
            pub fn recurrent_initializer(mut self, initializer: Initializer) -> Self {
                self.settings.recurrent = initializer;
                self
            }

            /// A penalty on the recurrent kernel, added to the loss.
            #[must_use]
            pub fn recurrent_regularizer(mut self, penalty: Penalty) -> Self {
                self.settings.recurrent_penalty = penalty;
                self
            }

            weight_methods!();
        }

        impl Recurrent for $name {
            fn kind(&self) -> &'static str {
                $kind
            }

            fn states(&self, ctx: &BuildCtx, x: &Var, lengths: Option<&Var>, reverse: bool) -> Result<Var> {
                self.run(ctx, x, lengths, reverse)
            }

            fn gives_sequences(&self) -> bool {
                self.settings.sequences
            }

            fn goes_backwards(&self) -> bool {
                self.settings.backwards
            }

            fn penalise(&self, ctx: &BuildCtx, y: &Var) -> Result<()> {
                self.weights.penalise(ctx, y)
            }
        }

        impl Layer for $name {
            fn kind(&self) -> &'static str {
                $kind
            }

            fn build(&self, ctx: &BuildCtx, x: &Var) -> Result<Var> {
                walk(self, ctx, x, None, self.settings.backwards)
            }
        }
    };
}

recurrent! {
    /// The simple recurrence: `h[t] = tanh(x[t] · kernel + bias + h[t − 1] · recurrent_kernel)`.
    ///
    /// `[batch, time, features]` → `[batch, units]`, or `[batch, time, units]` with [`SimpleRnn::return_sequences`]. Parameters: `kernel`
    /// `[features, units]`, `recurrent_kernel` `[units, units]`, `bias` `[units]`. Source: J. Elman, Cognitive Science 14, 1990.
    ///
    /// ```
    /// use galen::nn::{Network, Sequential, SimpleRnn};
    ///
    /// let network = Sequential::new([12, 3]).with(SimpleRnn::new(8));
    /// assert_eq!(&*network.summary()?.outputs[0], [8]);
    /// # Ok::<(), galen::Error>(())
    /// ```
    SimpleRnn, "simple_rnn" { relu: bool = false }
}

recurrent! {
    /// Long short-term memory. With `[i, f, g, o] = x[t] · kernel + bias + h[t − 1] · recurrent_kernel`:
    /// `c[t] = σ(f) · c[t − 1] + σ(i) · tanh(g)`, `h[t] = σ(o) · tanh(c[t])`.
    ///
    /// `[batch, time, features]` → `[batch, units]`, or `[batch, time, units]` with [`Lstm::return_sequences`]. Parameters: `kernel`
    /// `[features, 4 · units]`, `recurrent_kernel` `[units, 4 · units]`, `bias` `[4 · units]`, which begins with 1 for the forget gate and
    /// 0 else (an initialiser of your own fills all of it). Sources: S. Hochreiter, J. Schmidhuber, Neural Computation 9, 1997; F. Gers et al., 2000; order of gates and initial
    /// values are Keras's.
    ///
    /// ```
    /// use galen::nn::{Lstm, Network, Sequential};
    ///
    /// let network = Sequential::new([12, 3]).with(Lstm::new(8).return_sequences()).with(Lstm::new(4));
    /// assert_eq!(&*network.summary()?.outputs[0], [4]);
    /// # Ok::<(), galen::Error>(())
    /// ```
    Lstm, "lstm" { forget: f32 = 1.0 }
}

recurrent! {
    /// The gated recurrent unit. With `[z, r, g] = x[t] · kernel + bias` and `[z', r', g'] = h[t − 1] · recurrent_kernel + recurrent_bias`:
    /// `z = σ(z + z')`, `r = σ(r + r')`, `h[t] = z · h[t − 1] + (1 − z) · tanh(g + r · g')`.
    ///
    /// `[batch, time, features]` → `[batch, units]`, or `[batch, time, units]` with [`Gru::return_sequences`]. Parameters: `kernel`
    /// `[features, 3 · units]`, `recurrent_kernel` `[units, 3 · units]`, `bias` and `recurrent_bias` `[3 · units]`. Source: K. Cho et al.,
    /// EMNLP 2014, in Keras's form with `reset_after`.
    ///
    /// ```
    /// use galen::nn::{Gru, Network, Sequential};
    ///
    /// let network = Sequential::new([18, 1]).with(Gru::new(32));
    /// assert_eq!(network.summary()?.parameters(), 3 * 32 * (1 + 32 + 2));
    /// # Ok::<(), galen::Error>(())
    /// ```
    Gru, "gru" {}
}

impl SimpleRnn {
    /// ReLU instead of tanh.
    #[must_use]
    pub fn relu(self) -> Self {
        SimpleRnn { relu: true, ..self }
    }

    fn run(&self, ctx: &BuildCtx, x: &Var, lengths: Option<&Var>, reverse: bool) -> Result<Var> {
        let bias = || self.weights.bias(ctx, x.graph(), [self.settings.units]);
        let (gates, u, zero) = self.settings.project("simple_rnn", 1, &self.weights, ctx, x, bias)?;
        gates.rnn(&u, &zero, lengths, RnnOptions { reverse, relu: self.relu })
    }
}

impl Lstm {
    /// The forget gate's bias begins with 0, like the others.
    #[must_use]
    pub fn without_forget_bias(self) -> Self {
        Lstm { forget: 0.0, ..self }
    }

    /// The bias, where the initialiser is the usual one with the forget gate's part at 1.
    fn bias(&self, ctx: &BuildCtx, graph: &Graph) -> Result<Option<Var>> {
        let (units, weights) = (self.settings.units, &self.weights);
        if !weights.has_bias || weights.bias != Initializer::Constant(0.0) || self.forget == 0.0 {
            return weights.bias(ctx, graph, [4 * units]);
        }
        weights.bias_penalty.check("bias")?;
        ctx.hold("bias", weights.bias_penalty, None);
        let values = (0..4 * units).map(|i| if i / units == 1 { self.forget } else { 0.0 });
        ctx.parameter(graph, "bias", [4 * units], Init::Values(values.collect())).map(Some)
    }

    fn run(&self, ctx: &BuildCtx, x: &Var, lengths: Option<&Var>, reverse: bool) -> Result<Var> {
        let bias = || self.bias(ctx, x.graph());
        let (gates, u, zero) = self.settings.project("lstm", 4, &self.weights, ctx, x, bias)?;
        Ok(gates.lstm(&u, &zero, &zero, lengths, LstmOptions { reverse })?.0)
    }
}

impl Gru {
    fn run(&self, ctx: &BuildCtx, x: &Var, lengths: Option<&Var>, reverse: bool) -> Result<Var> {
        let (graph, weights, width) = (x.graph(), &self.weights, self.settings.units.saturating_mul(3));
        let bias = || weights.bias(ctx, graph, [width]);
        let (gates, u, zero) = self.settings.project("gru", 3, weights, ctx, x, bias)?;
        let recurrent_bias = if weights.has_bias {
            ctx.hold("recurrent_bias", weights.bias_penalty, None);
            ctx.parameter(graph, "recurrent_bias", [width], weights.bias.init(width, width))?
        } else {
            graph.fill([width], 0.0)?
        };
        gates.gru(&u, &recurrent_bias, &zero, lengths, GruOptions { reverse })
    }
}

/// How [`Bidirectional`] joins its two directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Merge {
    /// Side by side: twice as many units.
    #[default]
    Concat,
    /// Added.
    Sum,
}

/// A recurrent layer in both directions, each with parameters of its own (`forward/..`, `backward/..`). The states of a step, or the two
/// last ones, are joined; where the layer itself [goes backwards](Recurrent::goes_backwards) the directions change places.
///
/// `[batch, time, features]` → `[batch, 2 · units]`, or `[batch, time, 2 · units]` where the layer gives sequences; without the factor 2
/// for [`Merge::Sum`]. Source: M. Schuster, K. Paliwal, IEEE Trans. Signal Processing 45, 1997.
///
/// ```
/// use galen::nn::{Bidirectional, Lstm, Network, Sequential};
///
/// let network = Sequential::new([57, 4]).with(Bidirectional::new(Lstm::new(16)));
/// assert_eq!(&*network.summary()?.outputs[0], [32]);
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Bidirectional<R> {
    cell: R,
    merge: Merge,
}

impl<R: Recurrent> Bidirectional<R> {
    /// Both directions of `cell`, side by side.
    pub fn new(cell: R) -> Self {
        Bidirectional { cell, merge: Merge::Concat }
    }

    /// How the directions are joined.
    #[must_use]
    pub fn merge(self, merge: Merge) -> Self {
        Bidirectional { merge, ..self }
    }

    /// Builds the layer for sequences of different lengths, `u32` `[batch]`, each padded at its end.
    ///
    /// # Errors
    /// See [`Recurrent::build_with_lengths`].
    pub fn build_with_lengths(&self, ctx: &BuildCtx, x: &Var, lengths: &Var) -> Result<Var> {
        self.both(ctx, x, Some(lengths))
    }

    fn both(&self, ctx: &BuildCtx, x: &Var, lengths: Option<&Var>) -> Result<Var> {
        let graph = x.graph();
        let reverse = self.cell.goes_backwards();
        let forward = ctx.block("forward", graph, |ctx| walk(&self.cell, ctx, x, lengths, reverse))?;
        let backward = ctx.block("backward", graph, |ctx| walk(&self.cell, ctx, x, lengths, !reverse))?;
        match self.merge {
            Merge::Concat => Var::concat(&[&forward, &backward], -1),
            Merge::Sum => forward.add(&backward),
        }
    }
}

impl<R: Recurrent> Layer for Bidirectional<R> {
    fn kind(&self) -> &'static str {
        "bidirectional"
    }

    fn build(&self, ctx: &BuildCtx, x: &Var) -> Result<Var> {
        self.both(ctx, x, None)
    }
}
