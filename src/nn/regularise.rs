use super::{BuildCtx, Layer, Mode};
use crate::contract::stream_of;
use crate::error::{Error, Result};
use crate::graph::Var;

/// In training each element is zeroed with probability `rate` and the others are scaled by `1 / (1 − rate)`; in inference
/// nothing happens. Source: N. Srivastava et al., JMLR 15, 2014.
#[derive(Clone, Debug)]
pub struct Dropout {
    rate: f32,
}

impl Dropout {
    /// Zeroes with probability `rate`, which must be in [0, 1).
    pub fn new(rate: f32) -> Self {
        Dropout { rate }
    }
}

impl Layer for Dropout {
    fn kind(&self) -> &'static str {
        "dropout"
    }

    fn build(&self, ctx: &BuildCtx, x: &Var) -> Result<Var> {
        if !(0.0..1.0).contains(&self.rate) {
            return Err(Error::parameter("dropout", "rate", "in [0, 1)", self.rate));
        }
        match ctx.mode {
            Mode::Infer => Ok(x.clone()),
            Mode::Train => x.dropout(self.rate, stream_of(ctx.name()), ctx.clock()?),
        }
    }
}
