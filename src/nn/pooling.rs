use super::{BuildCtx, Layer};
use crate::contract::Padding;
use crate::error::Result;
use crate::graph::Var;
use crate::ops::max_pool::PoolOptions;

macro_rules! pooling {
    ($(#[$doc:meta])* $name:ident, $kind:literal, |$x:ident, $options:ident| $build:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name {
            kernel: [usize; 2],
            stride: [usize; 2],
            padding: Padding<2>,
        }

        impl $name {
            /// Windows of `kernel` rows and columns, side by side.
            pub fn new(kernel: [usize; 2]) -> Self {
                $name { kernel, stride: kernel, padding: Padding::Valid }
            }

            /// Steps of this many rows and columns; the kernel's own size without it.
            #[must_use]
            pub fn stride(self, stride: [usize; 2]) -> Self {
                $name { stride, ..self }
            }

            /// Pads the image.
            #[must_use]
            pub fn padding(self, padding: Padding<2>) -> Self {
                $name { padding, ..self }
            }
        }

        impl Layer for $name {
            fn kind(&self) -> &'static str {
                $kind
            }

            fn build(&self, _ctx: &BuildCtx, $x: &Var) -> Result<Var> {
                let $options = PoolOptions::new(self.kernel).stride(self.stride).padding(self.padding);
                $build
            }
        }
    };
}

pooling! {
    /// The largest of every window: `[batch, c, h, w]` → `[batch, c, oh, ow]`. Padding never wins.
    MaxPool2d, "max_pool2d", |x, options| x.max_pool2d(options)
}

pooling! {
    /// The mean of every window: `[batch, c, h, w]` → `[batch, c, oh, ow]`. Padding is not counted, as in Keras.
    AvgPool2d, "avg_pool2d", |x, options| x.avg_pool2d(options, false)
}
