use super::{Activation, BuildCtx, Initializer, Layer};
use crate::contract::Padding;
use crate::error::{Error, Result};
use crate::graph::{Init, Var};
use crate::ops::conv::Conv2dOptions;

/// Convolution of images: `[batch, c_in, h, w]` → `[batch, filters, oh, ow]`.
///
/// Parameters: `kernel` `[filters, c_in / groups, kh, kw]`, `bias` `[filters]`.
#[derive(Clone, Debug)]
pub struct Conv2d {
    filters: usize,
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: Padding<2>,
    dilation: [usize; 2],
    groups: usize,
    activation: Activation,
    bias: bool,
    initializer: Initializer,
}

impl Conv2d {
    /// `filters` filters of `kernel` rows and columns; stride 1, no padding, with bias, without activation.
    pub fn new(filters: usize, kernel: [usize; 2]) -> Self {
        Conv2d {
            filters,
            kernel,
            stride: [1, 1],
            padding: Padding::Valid,
            dilation: [1, 1],
            groups: 1,
            activation: Activation::Linear,
            bias: true,
            initializer: Initializer::default(),
        }
    }

    /// Applies `activation` to the result.
    #[must_use]
    pub fn activation(self, activation: Activation) -> Self {
        Conv2d { activation, ..self }
    }

    /// Steps of this many rows and columns.
    #[must_use]
    pub fn stride(self, stride: [usize; 2]) -> Self {
        Conv2d { stride, ..self }
    }

    /// Pads the image.
    #[must_use]
    pub fn padding(self, padding: Padding<2>) -> Self {
        Conv2d { padding, ..self }
    }

    /// Spreads the kernel's taps this far apart.
    #[must_use]
    pub fn dilation(self, dilation: [usize; 2]) -> Self {
        Conv2d { dilation, ..self }
    }

    /// Splits channels and filters into this many groups that do not see each other.
    #[must_use]
    pub fn groups(self, groups: usize) -> Self {
        Conv2d { groups, ..self }
    }

    /// Leaves the bias out.
    #[must_use]
    pub fn without_bias(self) -> Self {
        Conv2d { bias: false, ..self }
    }

    /// How the kernel begins; the bias begins with zeros.
    #[must_use]
    pub fn kernel_initializer(self, initializer: Initializer) -> Self {
        Conv2d { initializer, ..self }
    }
}

impl Layer for Conv2d {
    fn kind(&self) -> &'static str {
        "conv2d"
    }

    fn build(&self, ctx: &BuildCtx, x: &Var) -> Result<Var> {
        let shape = x.shape();
        let [_, c_in, _, _] = *shape else {
            return Err(Error::shape("conv2d", "[batch, channels, height, width]", shape.to_string()));
        };
        if self.filters == 0 {
            return Err(Error::parameter("conv2d", "filters", "at least 1", self.filters));
        }
        if self.groups == 0 || !c_in.is_multiple_of(self.groups) || !self.filters.is_multiple_of(self.groups) {
            let expected = format!("a divisor of {c_in} channels and {} filters", self.filters);
            return Err(Error::parameter("conv2d", "groups", expected, self.groups));
        }
        let (per_group, taps) = (c_in / self.groups, self.kernel[0].saturating_mul(self.kernel[1]));
        let dims = [self.filters, per_group, self.kernel[0], self.kernel[1]];
        if taps == 0 {
            return Err(Error::parameter("conv2d", "kernel", "at least 1x1", format!("{:?}", self.kernel)));
        }
        let init = self.initializer.init(per_group.saturating_mul(taps), self.filters.saturating_mul(taps));
        let w = ctx.parameter(x.graph(), "kernel", dims, init)?;
        let options =
            Conv2dOptions::new().stride(self.stride).padding(self.padding).dilation(self.dilation).groups(self.groups);
        let mut y = x.conv2d(&w, &options)?;
        if self.bias {
            let bias = ctx.parameter(x.graph(), "bias", [self.filters], Init::Constant(0.0))?;
            y = y.add(&bias.reshape([self.filters, 1, 1])?)?;
        }
        self.activation.apply(&y)
    }
}
