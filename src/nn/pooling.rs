use super::{BuildCtx, Layer};
use crate::contract::Padding;
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::ops::max_pool::PoolOptions;

/// The name of a layer's kind for `N` spatial axes.
pub(super) fn kind<const N: usize>(names: [&'static str; 3]) -> &'static str {
    names[N.clamp(1, 3) - 1]
}

macro_rules! pooling {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty = $default:expr),* }, $kinds:expr, |$layer:ident, $x:ident| $build:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name<const N: usize> {
            options: PoolOptions<N>,
            $($field: $type,)*
        }

        impl<const N: usize> $name<N> {
            /// Windows of these extents, side by side.
            pub fn new(kernel: [usize; N]) -> Self {
                $name { options: PoolOptions::new(kernel), $($field: $default,)* }
            }

            /// How far the window moves; by its own size where nothing is said.
            #[must_use]
            pub fn stride(mut self, stride: [usize; N]) -> Self {
                self.options.stride = stride;
                self
            }

            /// Pads the input; not at all where nothing is said.
            #[must_use]
            pub fn padding(mut self, padding: Padding<N>) -> Self {
                self.options.padding = padding;
                self
            }
        }

        impl<const N: usize> Layer for $name<N> {
            fn kind(&self) -> &'static str {
                kind::<N>($kinds)
            }

            fn build(&self, _ctx: &BuildCtx, $x: &Var) -> Result<Var> {
                let $layer = self;
                $build
            }
        }
    };
}

pooling! {
    /// The largest of every window: `[batch, c, ..]` → `[batch, c, ..]` with as many positions along each of the `N` spatial axes as
    /// the window has. Padding never wins; of equal elements the first gets the gradient.
    ///
    /// Source: J. Weng, N. Ahuja, T. Huang, "Cresceptron", IJCNN 1992. No parameters.
    ///
    /// ```
    /// use galen::nn::{MaxPool2d, Network, Sequential};
    ///
    /// let summary = Sequential::new([3, 8, 9]).with(MaxPool2d::new([2, 3])).summary()?;
    /// assert_eq!(&*summary.outputs[0], [3, 4, 3]);
    /// # Ok::<(), galen::Error>(())
    /// ```
    MaxPool {}, ["max_pool1d", "max_pool2d", "max_pool3d"],
    |layer, x| Ok(x.max_pool_with_positions(layer.options)?.0)
}

pooling! {
    /// The mean of every window: `[batch, c, ..]` → `[batch, c, ..]` with as many positions along each of the `N` spatial axes as the
    /// window has. Padding is not counted, as in Keras, unless [`AvgPool::count_include_pad`] says so.
    ///
    /// Source: Y. LeCun et al., "Gradient-based learning applied to document recognition", Proc. IEEE 1998. No parameters.
    ///
    /// ```
    /// use galen::contract::Padding;
    /// use galen::nn::{AvgPool1d, Network, Sequential};
    ///
    /// let layer = AvgPool1d::new([5]).stride([2]).padding(Padding::Same);
    /// assert_eq!(&*Sequential::new([12, 1000]).with(layer).summary()?.outputs[0], [12, 500]);
    /// # Ok::<(), galen::Error>(())
    /// ```
    AvgPool { count_include_pad: bool = false }, ["avg_pool1d", "avg_pool2d", "avg_pool3d"],
    |layer, x| x.avg_pool(layer.options, layer.count_include_pad)
}

impl<const N: usize> AvgPool<N> {
    /// Padding counts as zeros: every sum is divided by the window's size, as in PyTorch.
    #[must_use]
    pub fn count_include_pad(self) -> Self {
        AvgPool { count_include_pad: true, ..self }
    }
}

/// [`MaxPool`] along a signal: `[batch, c, w]` → `[batch, c, ow]`.
pub type MaxPool1d = MaxPool<1>;
/// [`MaxPool`] on images: `[batch, c, h, w]` → `[batch, c, oh, ow]`.
pub type MaxPool2d = MaxPool<2>;
/// [`MaxPool`] in volumes: `[batch, c, d, h, w]` → `[batch, c, od, oh, ow]`.
pub type MaxPool3d = MaxPool<3>;
/// [`AvgPool`] along a signal: `[batch, c, w]` → `[batch, c, ow]`.
pub type AvgPool1d = AvgPool<1>;
/// [`AvgPool`] on images: `[batch, c, h, w]` → `[batch, c, oh, ow]`.
pub type AvgPool2d = AvgPool<2>;
/// [`AvgPool`] in volumes: `[batch, c, d, h, w]` → `[batch, c, od, oh, ow]`.
pub type AvgPool3d = AvgPool<3>;

macro_rules! adaptive {
    ($(#[$doc:meta])* $name:ident, $kinds:expr, $method:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name<const N: usize> {
            output: [usize; N],
        }

        impl<const N: usize> $name<N> {
            /// As many windows along every spatial axis.
            pub fn new(output: [usize; N]) -> Self {
                $name { output }
            }
        }

        impl<const N: usize> Layer for $name<N> {
            fn kind(&self) -> &'static str {
                kind::<N>($kinds)
            }

            fn build(&self, _ctx: &BuildCtx, x: &Var) -> Result<Var> {
                x.$method(&self.output)
            }
        }
    };
}

adaptive! {
    /// The means of a given number of windows, whatever the size of the input: `[batch, c, ..]` with `N` spatial axes →
    /// `[batch, c, output..]`. Window `o` of `out` reaches from `floor(o · in / out)` up to `ceil((o + 1) · in / out)`.
    ///
    /// Source: K. He et al., "Spatial pyramid pooling in deep convolutional networks for visual recognition", ECCV 2014; the windows
    /// are PyTorch's. No parameters.
    ///
    /// ```
    /// use galen::nn::{AdaptiveAvgPool2d, Network, Sequential};
    ///
    /// let summary = Sequential::new([64, 13, 10]).with(AdaptiveAvgPool2d::new([7, 7])).summary()?;
    /// assert_eq!(&*summary.outputs[0], [64, 7, 7]);
    /// # Ok::<(), galen::Error>(())
    /// ```
    AdaptiveAvgPool, ["adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d"], adaptive_avg_pool
}

adaptive! {
    /// The largest elements of a given number of windows, whatever the size of the input: `[batch, c, ..]` with `N` spatial axes →
    /// `[batch, c, output..]`. The windows are those of [`AdaptiveAvgPool`].
    ///
    /// Source: see there. No parameters.
    ///
    /// ```
    /// use galen::nn::{AdaptiveMaxPool1d, Network, Sequential};
    ///
    /// let summary = Sequential::new([12, 1000]).with(AdaptiveMaxPool1d::new([64])).summary()?;
    /// assert_eq!(&*summary.outputs[0], [12, 64]);
    /// # Ok::<(), galen::Error>(())
    /// ```
    AdaptiveMaxPool, ["adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d"], adaptive_max_pool
}

/// [`AdaptiveAvgPool`] along a signal: `[batch, c, w]` → `[batch, c, ow]`.
pub type AdaptiveAvgPool1d = AdaptiveAvgPool<1>;
/// [`AdaptiveAvgPool`] on images: `[batch, c, h, w]` → `[batch, c, oh, ow]`.
pub type AdaptiveAvgPool2d = AdaptiveAvgPool<2>;
/// [`AdaptiveAvgPool`] in volumes: `[batch, c, d, h, w]` → `[batch, c, od, oh, ow]`.
pub type AdaptiveAvgPool3d = AdaptiveAvgPool<3>;
/// [`AdaptiveMaxPool`] along a signal: `[batch, c, w]` → `[batch, c, ow]`.
pub type AdaptiveMaxPool1d = AdaptiveMaxPool<1>;
/// [`AdaptiveMaxPool`] on images: `[batch, c, h, w]` → `[batch, c, oh, ow]`.
pub type AdaptiveMaxPool2d = AdaptiveMaxPool<2>;
/// [`AdaptiveMaxPool`] in volumes: `[batch, c, d, h, w]` → `[batch, c, od, oh, ow]`.
pub type AdaptiveMaxPool3d = AdaptiveMaxPool<3>;

macro_rules! global {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $method:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default)]
        pub struct $name {
            keep: bool,
        }

        impl $name {
            /// The spatial axes vanish.
            pub fn new() -> Self {
                Self::default()
            }

            /// The spatial axes stay, with extent 1.
            #[must_use]
            pub fn keep_axes(self) -> Self {
                $name { keep: true }
            }
        }

        impl Layer for $name {
            fn kind(&self) -> &'static str {
                $kind
            }

            fn build(&self, _ctx: &BuildCtx, x: &Var) -> Result<Var> {
                let axes: Vec<isize> = (2..x.shape().len() as isize).collect();
                if axes.is_empty() {
                    return Err(Error::shape($kind, "[batch, channels, ..] with spatial axes", x.spec().to_string()));
                }
                x.$method(&axes, self.keep)
            }
        }
    };
}

global! {
    /// The mean of every channel over all spatial axes, however many there are: `[batch, c, ..]` → `[batch, c]`.
    ///
    /// Source: M. Lin, Q. Chen, S. Yan, "Network in network", ICLR 2014. No parameters.
    ///
    /// ```
    /// use galen::nn::{GlobalAvgPool, Network, Sequential};
    ///
    /// assert_eq!(&*Sequential::new([64, 7, 7]).with(GlobalAvgPool::new()).summary()?.outputs[0], [64]);
    /// let kept = Sequential::new([8, 5, 6, 7]).with(GlobalAvgPool::new().keep_axes());
    /// assert_eq!(&*kept.summary()?.outputs[0], [8, 1, 1, 1]);
    /// # Ok::<(), galen::Error>(())
    /// ```
    GlobalAvgPool, "global_avg_pool", mean
}

global! {
    /// The largest element of every channel over all spatial axes, however many there are: `[batch, c, ..]` → `[batch, c]`. Elements
    /// that are equally large share the gradient equally.
    ///
    /// Source: M. Oquab et al., "Is object localization for free?", CVPR 2015. No parameters.
    ///
    /// ```
    /// use galen::nn::{GlobalMaxPool, Network, Sequential};
    ///
    /// assert_eq!(&*Sequential::new([12, 1000]).with(GlobalMaxPool::new()).summary()?.outputs[0], [12]);
    /// # Ok::<(), galen::Error>(())
    /// ```
    GlobalMaxPool, "global_max_pool", max
}
