use super::{as_numbers, at_least_one};
use crate::error::Result;
use crate::graph::Var;
use crate::nn::{Bidirectional, BuildCtx, Dense, Dropout, Gru, Layer, Lstm};

/// Which recurrent cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Long short-term memory.
    Lstm,
    /// Gated recurrent unit.
    Gru,
}

/// Recurrent layers and a dense one: a sequence `[batch, time, features]`, or tokens `[batch, time]`, → `[batch, outputs]`.
///
/// For classes of sequences and for forecasts: the last layer's state after the last step goes into the dense layer.
///
/// ```
/// use galen::nn::{Input, Network, Sequential, models::SequenceModel};
///
/// // Glucose in the next hour from the last hour and a half; the class of a stretch of DNA.
/// let forecast = Sequential::new([18, 1]).with(SequenceModel::gru(32, 1));
/// let dna = Sequential::new(Input::tokens([57])).with(SequenceModel::lstm(32, 2).tokens(4).bidirectional());
/// assert_eq!(&*forecast.summary()?.outputs[0], [1]);
/// assert_eq!(&*dna.summary()?.outputs[0], [2]);
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SequenceModel {
    cell: Cell,
    units: usize,
    outputs: usize,
    layers: usize,
    bidirectional: bool,
    dropout: f32,
    vocabulary: Option<usize>,
}

impl SequenceModel {
    /// One layer of LSTM.
    pub fn lstm(units: usize, outputs: usize) -> Self {
        Self::of(Cell::Lstm, units, outputs)
    }

    /// One layer of GRU.
    pub fn gru(units: usize, outputs: usize) -> Self {
        Self::of(Cell::Gru, units, outputs)
    }

    fn of(cell: Cell, units: usize, outputs: usize) -> Self {
        SequenceModel { cell, units, outputs, layers: 1, bidirectional: false, dropout: 0.0, vocabulary: None }
    }

    /// How many recurrent layers.
    #[must_use]
    pub fn layers(self, layers: usize) -> Self {
        SequenceModel { layers, ..self }
    }

    /// Reads every sequence in both directions.
    #[must_use]
    pub fn bidirectional(self) -> Self {
        SequenceModel { bidirectional: true, ..self }
    }

    /// Dropout after every recurrent layer.
    #[must_use]
    pub fn dropout(self, dropout: f32) -> Self {
        SequenceModel { dropout, ..self }
    }

    /// The input is tokens below `vocabulary`, which get an embedding as wide as a layer has units.
    #[must_use]
    pub fn tokens(self, vocabulary: usize) -> Self {
        SequenceModel { vocabulary: Some(vocabulary), ..self }
    }

    fn recurrent(&self, sequences: bool) -> Box<dyn Layer> {
        macro_rules! cell {
            ($cell:ident) => {{
                let cell = $cell::new(self.units);
                let cell = if sequences { cell.return_sequences() } else { cell };
                if self.bidirectional { Box::new(Bidirectional::new(cell)) } else { Box::new(cell) }
            }};
        }
        match self.cell {
            Cell::Lstm => cell!(Lstm),
            Cell::Gru => cell!(Gru),
        }
    }
}

impl Layer for SequenceModel {
    fn kind(&self) -> &'static str {
        "sequence_model"
    }

    fn build(&self, ctx: &BuildCtx, x: &Var) -> Result<Var> {
        at_least_one("sequence_model", "layers", self.layers)?;
        at_least_one("sequence_model", "units", self.units)?;
        let mut x = as_numbers("sequence_model", ctx, x, self.vocabulary, None, self.units)?;
        for layer in 1..=self.layers {
            x = ctx.layer(self.recurrent(layer < self.layers).as_ref(), &x)?;
            if self.dropout != 0.0 {
                x = ctx.layer(&Dropout::new(self.dropout), &x)?;
            }
        }
        ctx.layer(&Dense::new(self.outputs), &x)
    }
}
