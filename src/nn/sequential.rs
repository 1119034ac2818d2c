use super::{BuildCtx, Input, Layer, Network};
use crate::error::{Error, Result};
use crate::graph::Var;

/// Layers one after another: a layer itself, to be used inside another model.
///
/// ```
/// use galen::nn::{Activation::Relu, Block, Dense, Network, Sequential};
///
/// let encoder = Block::new().with(Dense::new(16).activation(Relu)).with(Dense::new(4));
/// let model = Sequential::new([8]).named("encoder", encoder).with(Dense::new(2));
/// assert_eq!(model.summary()?.layers[0].name, "encoder");
/// assert_eq!(model.summary()?.parameters(), 144 + 68 + 10);
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Block {
    layers: Vec<(Option<String>, Box<dyn Layer>)>,
}

impl Block {
    /// No layers yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a layer at the end; it is named after its kind.
    #[must_use]
    pub fn with(mut self, layer: impl Layer + 'static) -> Self {
        self.layers.push((None, Box::new(layer)));
        self
    }

    /// Adds a layer at the end under a name of its own.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>, layer: impl Layer + 'static) -> Self {
        self.layers.push((Some(name.into()), Box::new(layer)));
        self
    }
}

impl Layer for Block {
    fn kind(&self) -> &'static str {
        "block"
    }

    fn build(&self, ctx: &BuildCtx, x: &Var) -> Result<Var> {
        self.layers.iter().try_fold(x.clone(), |x, (name, layer)| match name {
            Some(name) => ctx.named(name, layer.as_ref(), &x),
            None => ctx.layer(layer.as_ref(), &x),
        })
    }
}

/// A network of layers one after another.
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
    input: Input,
    layers: Block,
}

impl Sequential {
    /// A model without layers yet; `input` is the shape of one sample (without the batch), channels first, or an [`Input`].
    pub fn new(input: impl Into<Input>) -> Self {
        Sequential { input: input.into(), layers: Block::new() }
    }

    /// Adds a layer at the end; it is named after its kind: the second `dense` is `dense_1`.
    #[must_use]
    pub fn with(self, layer: impl Layer + 'static) -> Self {
        Sequential { layers: self.layers.with(layer), ..self }
    }

    /// Adds a layer at the end under a name of its own.
    #[must_use]
    pub fn named(self, name: impl Into<String>, layer: impl Layer + 'static) -> Self {
        Sequential { layers: self.layers.named(name, layer), ..self }
    }
}

impl Network for Sequential {
    fn inputs(&self) -> Vec<Input> {
        vec![self.input.clone()]
    }

    fn build(&self, ctx: &BuildCtx, inputs: &[Var]) -> Result<Vec<Var>> {
        if self.layers.layers.is_empty() {
            return Err(Error::usage("a sequential model", "it has no layers"));
        }
        Ok(vec![self.layers.build(ctx, &inputs[0])?])
    }
}
