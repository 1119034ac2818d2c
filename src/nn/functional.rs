use std::fmt;

use super::{BuildCtx, Input, Network};
use crate::error::Result;
use crate::graph::Var;

type Build = dyn Fn(&BuildCtx, &[Var]) -> Result<Vec<Var>> + Send;

/// A network written as a function of its inputs: for skip connections, several inputs or outputs, shared layers.
///
/// The function is called once for every graph that is built of it (training, evaluation, the last batch), and must build the
/// same layers each time.
///
/// ```
/// use galen::prelude::*;
///
/// // An image and a patient's age; a residual block; two answers.
/// let inputs = [Input::new([1, 28, 28]).named("image"), Input::new([1]).named("age")];
/// let network = Functional::many(inputs, |ctx, x| {
///     let (image, age) = (&x[0], &x[1]);
///     let conv = |filters| Conv2d::new(filters, [3, 3]).padding(Padding::Same);
///     let a = ctx.layer(&conv(8).activation(Relu), image)?;
///     let b = ctx.layer(&conv(8), &a)?;
///     let features = a.add(&b)?.relu()?.mean(&[2, 3], false)?;
///     let all = galen::Var::concat(&[&features, age], 1)?;
///     Ok(vec![ctx.named("diagnosis", &Dense::new(2), &all)?, ctx.named("severity", &Dense::new(1), &all)?])
/// });
/// assert_eq!(network.summary()?.parameters(), 80 + 584 + 20 + 10);
/// # Ok::<(), galen::Error>(())
/// ```
pub struct Functional {
    inputs: Vec<Input>,
    build: Box<Build>,
}

impl Functional {
    /// A network with one input and one output.
    pub fn new(input: impl Into<Input>, build: impl Fn(&BuildCtx, &Var) -> Result<Var> + Send + 'static) -> Self {
        Self::many([input.into()], move |ctx, x| Ok(vec![build(ctx, &x[0])?]))
    }

    /// A network with any number of inputs and outputs. The function gets as many tensors as there are `inputs`.
    pub fn many(
        inputs: impl IntoIterator<Item = Input>,
        build: impl Fn(&BuildCtx, &[Var]) -> Result<Vec<Var>> + Send + 'static,
    ) -> Self {
        Functional { inputs: inputs.into_iter().collect(), build: Box::new(build) }
    }
}

impl fmt::Debug for Functional {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Functional").field("inputs", &self.inputs).finish_non_exhaustive()
    }
}

impl Network for Functional {
    fn inputs(&self) -> Vec<Input> {
        self.inputs.clone()
    }

    fn build(&self, ctx: &BuildCtx, inputs: &[Var]) -> Result<Vec<Var>> {
        (self.build)(ctx, inputs)
    }
}
