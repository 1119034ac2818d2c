use std::fmt;

use serde::{Deserialize, Serialize};

use super::{BuildCtx, Drawing, STATISTICS, Summary};
use crate::error::{Error, Result};
use crate::graph::{Graph, PARAMETERS, Var};
use crate::shape::{DType, Shape};

/// One input of a network: the shape of one sample, without the batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Its name; empty where the network has only one.
    pub name: String,
    /// The shape of one sample, channels first.
    pub shape: Shape,
    /// Floats, or `u32` for tokens.
    pub dtype: DType,
    /// Tokens and lengths must be below this; data is checked before a training and a prediction. What an [`Embedding`](super::Embedding) or
    /// a layer with lengths asks of the input holds as well and need not be said here.
    pub limit: Option<u32>,
}

impl Input {
    /// Numbers of this shape per sample.
    pub fn new(shape: impl Into<Shape>) -> Input {
        Input { name: String::new(), shape: shape.into(), dtype: DType::F32, limit: None }
    }

    /// Tokens: indices for an embedding, `u32`.
    pub fn tokens(shape: impl Into<Shape>) -> Input {
        Input { dtype: DType::U32, ..Input::new(shape) }
    }

    /// Lengths of sequences, one per sample, `u32`: at most `time`. For layers that are built with lengths.
    pub fn lengths(time: u32) -> Input {
        Input::tokens([]).below(time.saturating_add(1))
    }

    /// The same tokens, which must be below `limit`: an embedding's vocabulary.
    #[must_use]
    pub fn below(self, limit: u32) -> Input {
        Input { limit: Some(limit), ..self }
    }

    /// The same input under a name.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Input {
        Input { name: name.into(), ..self }
    }

    /// What the input is called in a graph and in errors, as the `index`-th.
    pub(crate) fn label(&self, index: usize) -> String {
        match (&self.name[..], index) {
            ("", 0) => "x".to_owned(),
            ("", n) => format!("x{n}"),
            (name, _) => name.to_owned(),
        }
    }
}

impl<S: Into<Shape>> From<S> for Input {
    fn from(shape: S) -> Input {
        Input::new(shape)
    }
}

/// Anything that can be trained: what it takes, and how its graph is built.
pub trait Network: fmt::Debug + Send {
    /// What the network takes.
    fn inputs(&self) -> Vec<Input>;

    /// Pushes the network's nodes and gives its outputs. The inputs have the batch as their first dimension.
    ///
    /// # Errors
    /// Where a layer cannot take its input.
    fn build(&self, ctx: &BuildCtx, inputs: &[Var]) -> Result<Vec<Var>>;

    /// The layers with their output shapes and parameters.
    ///
    /// # Errors
    /// Where a layer cannot take its input.
    fn summary(&self) -> Result<Summary> {
        let (ctx, graph) = (BuildCtx::inference(), Graph::new());
        let outputs = forward(self, &ctx, &graph, 1)?;
        let shapes = outputs.iter().map(|y| Shape::from(&y.shape()[1..])).collect();
        let [trained, kept] = [PARAMETERS, STATISTICS].map(|arena| graph.elements(arena));
        Ok(Summary {
            inputs: self.inputs(),
            layers: ctx.collected().layers,
            outputs: shapes,
            losses: Vec::new(),
            trained,
            kept,
        })
    }

    /// The network as a drawing: which layer feeds which.
    ///
    /// # Errors
    /// Where a layer cannot take its input.
    fn drawing(&self) -> Result<Drawing> {
        let graph = Graph::new();
        let outputs = forward(self, &BuildCtx::inference(), &graph, 1)?;
        Ok(Drawing::of(&graph, &outputs))
    }
}

/// Declares the inputs of `network` for `batch` samples in `graph` and builds it.
pub(crate) fn forward<N: Network + ?Sized>(
    network: &N,
    ctx: &BuildCtx,
    graph: &Graph,
    batch: usize,
) -> Result<Vec<Var>> {
    let declare = |(i, input): (usize, &Input)| {
        let mut shape = vec![batch];
        shape.extend_from_slice(&input.shape);
        graph.input(&input.label(i), shape, input.dtype)
    };
    let inputs = network.inputs();
    let inputs = inputs.iter().enumerate().map(declare).collect::<Result<Vec<_>>>()?;
    build(network, ctx, &inputs)
}

/// Builds `network` over `inputs`, both checked.
pub(crate) fn build<N: Network + ?Sized>(network: &N, ctx: &BuildCtx, inputs: &[Var]) -> Result<Vec<Var>> {
    let expected = network.inputs();
    if expected.is_empty() || expected.len() != inputs.len() {
        return Err(Error::usage("a network", format!("it has {} inputs, given are {}", expected.len(), inputs.len())));
    }
    for (i, (want, have)) in expected.iter().zip(inputs).enumerate() {
        let what = format!("model input \"{}\"", want.label(i));
        if want.dtype != have.dtype() {
            return Err(Error::dtype(what, want.dtype.to_string(), have.spec().to_string()));
        }
        if have.shape().get(1..) != Some(&*want.shape) {
            let expected = format!("[batch, ..] with samples of {}", want.shape);
            return Err(Error::shape(what, expected, have.shape().to_string()));
        }
    }
    let outputs = network.build(ctx, inputs)?;
    let batch = inputs[0].shape()[0];
    if outputs.is_empty() {
        return Err(Error::usage("a network", "it has no output"));
    }
    for (i, y) in outputs.iter().enumerate() {
        if y.shape().first() != Some(&batch) {
            let what = format!("model output {i}");
            return Err(Error::shape(what, format!("[{batch}, ..], the batch first"), y.shape().to_string()));
        }
        if y.dtype() != DType::F32 {
            return Err(Error::dtype(format!("model output {i}"), "f32", y.spec().to_string()));
        }
    }
    Ok(outputs)
}
