use super::pooling::kind;
use super::{BuildCtx, Layer};
use crate::error::{Error, Result};
use crate::graph::Var;
use crate::ops::resize::Interpolation;

/// The extents of the `N` spatial axes of `[batch, channels, ..]`.
fn spatial<const N: usize>(kind: &str, x: &Var) -> Result<[usize; N]> {
    let spec = x.spec();
    let extents = spec.shape.get(2..).and_then(|s| s.try_into().ok());
    extents.ok_or_else(|| {
        let axes = if N == 1 { "one spatial axis".to_owned() } else { format!("{N} spatial axes") };
        Error::shape(kind, format!("[batch, channels, ..] with {axes}"), spec.to_string())
    })
}

/// The spatial axes made longer by a whole factor each: `[batch, c, ..]` with `N` of them → `[batch, c, factor · ..]`, by repetition
/// or linearly between elements. No parameters.
///
/// ```
/// use galen::nn::{Interpolation, Network, Sequential, UpSampling2d};
///
/// let layer = UpSampling2d::new([2, 3]).interpolation(Interpolation::Linear);
/// assert_eq!(&*Sequential::new([16, 7, 5]).with(layer).summary()?.outputs[0], [16, 14, 15]);
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct UpSampling<const N: usize> {
    factor: [usize; N],
    interpolation: Interpolation,
}

impl<const N: usize> UpSampling<N> {
    /// By these factors, by repetition.
    pub fn new(factor: [usize; N]) -> Self {
        UpSampling { factor, interpolation: Interpolation::Nearest }
    }

    /// What stands between the elements.
    #[must_use]
    pub fn interpolation(self, interpolation: Interpolation) -> Self {
        UpSampling { interpolation, ..self }
    }
}

impl<const N: usize> Layer for UpSampling<N> {
    fn kind(&self) -> &'static str {
        kind::<N>(["up_sampling1d", "up_sampling2d", "up_sampling3d"])
    }

    fn build(&self, _ctx: &BuildCtx, x: &Var) -> Result<Var> {
        let input = spatial::<N>(self.kind(), x)?;
        if self.factor.contains(&0) {
            let factor = format!("{:?}", self.factor);
            return Err(Error::parameter(self.kind(), "factor", "at least 1 along every axis", factor));
        }
        let size: [usize; N] = std::array::from_fn(|axis| input[axis].saturating_mul(self.factor[axis]));
        x.resize(&size, self.interpolation)
    }
}

/// Zeros before and after every spatial axis: `[batch, c, ..]` with `N` of them → `[batch, c, before + .. + after]`. No parameters.
///
/// ```
/// use galen::nn::{Network, Sequential, ZeroPadding2d};
///
/// let layer = ZeroPadding2d::new([[1, 2], [0, 3]]);
/// assert_eq!(&*Sequential::new([3, 7, 5]).with(layer).summary()?.outputs[0], [3, 10, 8]);
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ZeroPadding<const N: usize> {
    padding: [[usize; 2]; N],
}

impl<const N: usize> ZeroPadding<N> {
    /// So many before and after each axis.
    pub fn new(padding: [[usize; 2]; N]) -> Self {
        ZeroPadding { padding }
    }

    /// `n` on every side.
    pub fn around(n: usize) -> Self {
        Self::new([[n; 2]; N])
    }
}

impl<const N: usize> Layer for ZeroPadding<N> {
    fn kind(&self) -> &'static str {
        kind::<N>(["zero_padding1d", "zero_padding2d", "zero_padding3d"])
    }

    fn build(&self, _ctx: &BuildCtx, x: &Var) -> Result<Var> {
        spatial::<N>(self.kind(), x)?;
        let mut around = vec![(0, 0); 2];
        around.extend(self.padding.map(|[before, after]| (before, after)));
        x.pad(&around, 0.0)
    }
}

/// Elements cut off before and after every spatial axis: `[batch, c, ..]` with `N` of them → `[batch, c, .. − before − after]`.
/// No parameters.
///
/// ```
/// use galen::nn::{Cropping3d, Network, Sequential};
///
/// let layer = Cropping3d::new([[1, 2], [0, 3], [2, 2]]);
/// assert_eq!(&*Sequential::new([3, 7, 5, 9]).with(layer).summary()?.outputs[0], [3, 4, 2, 5]);
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Cropping<const N: usize> {
    cropping: [[usize; 2]; N],
}

impl<const N: usize> Cropping<N> {
    /// So many before and after each axis.
    pub fn new(cropping: [[usize; 2]; N]) -> Self {
        Cropping { cropping }
    }

    /// `n` on every side.
    pub fn around(n: usize) -> Self {
        Self::new([[n; 2]; N])
    }
}

impl<const N: usize> Layer for Cropping<N> {
    fn kind(&self) -> &'static str {
        kind::<N>(["cropping1d", "cropping2d", "cropping3d"])
    }

    fn build(&self, _ctx: &BuildCtx, x: &Var) -> Result<Var> {
        let input = spatial::<N>(self.kind(), x)?;
        let mut ranges: Vec<(usize, usize)> = x.shape()[..2].iter().map(|n| (0, *n)).collect();
        for (extent, [before, after]) in input.into_iter().zip(self.cropping) {
            if before.saturating_add(after) >= extent {
                let expected = format!("less in all than the input's {input:?}");
                return Err(Error::parameter(self.kind(), "cropping", expected, format!("{:?}", self.cropping)));
            }
            ranges.push((before, extent - after));
        }
        x.slice(&ranges)
    }
}

macro_rules! by_rank {
    ($($layer:ident: $one:ident, $two:ident, $three:ident;)*) => {
        $(
            #[doc = concat!("[`", stringify!($layer), "`] of signals `[batch, c, w]`.")]
            pub type $one = $layer<1>;
            #[doc = concat!("[`", stringify!($layer), "`] of images `[batch, c, h, w]`.")]
            pub type $two = $layer<2>;
            #[doc = concat!("[`", stringify!($layer), "`] of volumes `[batch, c, d, h, w]`.")]
            pub type $three = $layer<3>;
        )*
    };
}

by_rank! {
    UpSampling: UpSampling1d, UpSampling2d, UpSampling3d;
    ZeroPadding: ZeroPadding1d, ZeroPadding2d, ZeroPadding3d;
    Cropping: Cropping1d, Cropping2d, Cropping3d;
}

/// The elements of every sample, in the same order, under another shape: `[batch, ..]` → `[batch, shape..]`. No parameters.
///
/// ```
/// use galen::nn::{Network, Reshape, Sequential};
///
/// let model = Sequential::new([6, 8]).with(Reshape::new([3, 4, 4])).with(Reshape::new([4, Reshape::REST]));
/// assert_eq!(&*model.summary()?.outputs[0], [4, 12]);
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Reshape {
    shape: Vec<usize>,
}

impl Reshape {
    /// Stands for the extent that the others leave over, along one axis at most.
    pub const REST: usize = usize::MAX;

    /// `shape` is that of one sample, without the batch.
    pub fn new(shape: impl Into<Vec<usize>>) -> Self {
        Reshape { shape: shape.into() }
    }
}

impl Layer for Reshape {
    fn kind(&self) -> &'static str {
        "reshape"
    }

    fn build(&self, _ctx: &BuildCtx, x: &Var) -> Result<Var> {
        let own = x.shape();
        let Some((batch, sample)) = own.split_first() else {
            return Err(Error::shape(self.kind(), "[batch, ..]", own.to_string()));
        };
        let elements: usize = sample.iter().product();
        let given = self.shape.iter().filter(|n| **n != Self::REST).fold(1usize, |n, d| n.saturating_mul(*d));
        let open = self.shape.iter().filter(|n| **n == Self::REST).count();
        let fits = if open == 0 { given == elements } else { given != 0 && elements.is_multiple_of(given) };
        if open > 1 || !fits {
            let shape = self.shape.iter().map(|n| if *n == Self::REST { "REST".to_owned() } else { n.to_string() });
            let shape = format!("[{}]", shape.collect::<Vec<_>>().join(", "));
            let expected = format!("a shape of {elements} elements, with at most one REST");
            return Err(Error::parameter(self.kind(), "the sample's shape", expected, shape));
        }
        let extent = |n: &usize| if *n == Self::REST { elements / given } else { *n };
        let shape: Vec<usize> = std::iter::once(*batch).chain(self.shape.iter().map(extent)).collect();
        x.reshape(shape)
    }
}

/// The axes of every sample in another order: axis `d` of the result is axis `axes[d − 1]` of the input, where axis 0 is the batch, which
/// stays. No parameters.
///
/// ```
/// use galen::nn::{Network, Permute, Sequential};
///
/// // Steps first, channels last: what a recurrent layer takes.
/// assert_eq!(&*Sequential::new([12, 500]).with(Permute::new([2, 1])).summary()?.outputs[0], [500, 12]);
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Permute {
    axes: Vec<usize>,
}

impl Permute {
    /// Every axis from 1 on exactly once, as in Keras.
    pub fn new(axes: impl Into<Vec<usize>>) -> Self {
        Permute { axes: axes.into() }
    }
}

impl Layer for Permute {
    fn kind(&self) -> &'static str {
        "permute"
    }

    fn build(&self, _ctx: &BuildCtx, x: &Var) -> Result<Var> {
        let rank = x.shape().len();
        let mut sorted = self.axes.clone();
        sorted.sort_unstable();
        if rank == 0 || !sorted.iter().copied().eq(1..rank) {
            let expected = format!("every one of 1..{rank} exactly once");
            return Err(Error::parameter(self.kind(), "axes", expected, format!("{:?}", self.axes)));
        }
        let axes: Vec<usize> = std::iter::once(0).chain(self.axes.iter().copied()).collect();
        x.transpose(&axes)
    }
}
