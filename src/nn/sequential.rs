use std::collections::HashMap;

use super::{BuildCtx, Layer, LayerSummary, Mode, Network, Summary};
use crate::error::{Error, Result};
use crate::graph::{Graph, PARAMETERS, Var};
use crate::shape::{DType, Shape};

/// Layers one after another.
///
/// ```
/// use galen::nn::{Activation::*, Dense, Network, Sequential};
///
/// let model = Sequential::new([784]).with(Dense::new(32).activation(Relu)).with(Dense::new(10).activation(Softmax));
/// assert_eq!(model.summary()?.parameters(), 25_450);
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Debug)]
pub struct Sequential {
    input: Shape,
    layers: Vec<(String, Box<dyn Layer>)>,
    counts: HashMap<&'static str, usize>,
}

impl Sequential {
    /// A model without layers yet; `input` is the shape of one sample (without the batch), channels first.
    pub fn new(input: impl Into<Shape>) -> Self {
        Sequential { input: input.into(), layers: Vec::new(), counts: HashMap::new() }
    }

    /// Adds a layer at the end.
    #[must_use]
    pub fn with(mut self, layer: impl Layer + 'static) -> Self {
        let count = self.counts.entry(layer.kind()).or_default();
        let name = if *count == 0 { layer.kind().to_owned() } else { format!("{}_{count}", layer.kind()) };
        *count += 1;
        self.layers.push((name, Box::new(layer)));
        self
    }

    fn step(&self, (name, layer): &(String, Box<dyn Layer>), x: &Var, mode: Mode, clock: Option<&Var>) -> Result<Var> {
        x.graph().in_layer(name, || layer.build(&BuildCtx::new(mode, name, clock), x))
    }
}

impl Network for Sequential {
    fn input_shape(&self) -> &Shape {
        &self.input
    }

    fn build(&self, x: &Var, mode: Mode, clock: Option<&Var>) -> Result<Var> {
        if self.layers.is_empty() {
            return Err(Error::usage("a sequential model", "it has no layers"));
        }
        if x.shape().get(1..) != Some(&*self.input) {
            let expected = format!("[batch, ..] with samples of {}", self.input);
            return Err(Error::shape("model input", expected, x.shape().to_string()));
        }
        self.layers.iter().try_fold(x.clone(), |x, layer| self.step(layer, &x, mode, clock))
    }

    fn summary(&self) -> Result<Summary> {
        let graph = Graph::new();
        let mut shape = vec![1];
        shape.extend_from_slice(&self.input);
        let mut x = graph.input("x", shape, DType::F32)?;
        let mut layers = Vec::new();
        for layer in &self.layers {
            let before: usize = graph.slots(PARAMETERS).iter().map(|s| s.spec.shape.elements()).sum();
            x = self.step(layer, &x, Mode::Infer, None)?;
            let after: usize = graph.slots(PARAMETERS).iter().map(|s| s.spec.shape.elements()).sum();
            let output = Shape::from(&x.shape()[1..]);
            layers.push(LayerSummary {
                name: layer.0.clone(),
                kind: layer.1.kind(),
                output,
                parameters: after - before,
            });
        }
        Ok(Summary { input: self.input.clone(), layers })
    }
}
