//! Convolution and transposed convolution as methods on [`Var`], and how they slide their windows.

use super::{Conv, ConvGradX, check_dtypes};
use crate::contract::{Padding, Window, lift};
use crate::error::{Error, Result};
use crate::graph::Var;

/// How [`Var::conv1d`], [`Var::conv2d`] and [`Var::conv3d`] slide their window over `N` axes. The default moves one step at a time
/// over an input without padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvOptions<const N: usize> {
    /// Steps between positions.
    pub stride: [usize; N],
    /// Padding with zeros.
    pub padding: Padding<N>,
    /// Distance between neighbouring taps.
    pub dilation: [usize; N],
    /// Groups of channels; as many as there are input channels make it depthwise.
    pub groups: usize,
}

/// Options of [`Var::conv1d`].
pub type Conv1dOptions = ConvOptions<1>;
/// Options of [`Var::conv2d`].
pub type Conv2dOptions = ConvOptions<2>;
/// Options of [`Var::conv3d`].
pub type Conv3dOptions = ConvOptions<3>;

impl<const N: usize> Default for ConvOptions<N> {
    fn default() -> Self {
        ConvOptions { stride: [1; N], padding: Padding::Valid, dilation: [1; N], groups: 1 }
    }
}

impl<const N: usize> ConvOptions<N> {
    /// Stride 1, no padding, no dilation, one group.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with this stride.
    #[must_use]
    pub fn stride(self, stride: [usize; N]) -> Self {
        ConvOptions { stride, ..self }
    }

    /// The same with this padding.
    #[must_use]
    pub fn padding(self, padding: Padding<N>) -> Self {
        ConvOptions { padding, ..self }
    }

    /// The same with this dilation.
    #[must_use]
    pub fn dilation(self, dilation: [usize; N]) -> Self {
        ConvOptions { dilation, ..self }
    }

    /// The same with this many groups.
    #[must_use]
    pub fn groups(self, groups: usize) -> Self {
        ConvOptions { groups, ..self }
    }
}

/// How transposed convolution over `N` axes ([`Var::conv_transpose2d`] and its like) spreads its window, and how large its result
/// is: the convolution whose gradient it is has this stride, padding, dilation and these groups.
///
/// With `extent = (kernel − 1) · dilation + 1`, along each axis:
///
/// | padding | extent of the result | source |
/// |---|---|---|
/// | `Valid` | `in · stride + max(extent − stride, 0)` | Keras |
/// | `Same` | `in · stride` | Keras |
/// | `Explicit([before, after])` | `(in − 1) · stride + extent − before − after` | PyTorch |
///
/// `Same` crops what is too much, `max(extent − stride, 0)`, on both sides, where it is odd one more at the end. An output padding
/// sets the extent another way, again as in Keras and PyTorch: with `Valid` to `(in − 1) · stride + extent + output_padding`, with
/// `Same` to `(in − 1) · stride + extent − 2 · ⌊extent / 2⌋ + output_padding`, and with `Explicit` it is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvTransposeOptions<const N: usize> {
    /// Steps between the places in the result to which neighbouring inputs spread.
    pub stride: [usize; N],
    /// What is cropped from the result.
    pub padding: Padding<N>,
    /// More at the end of each axis; smaller than the stride or the dilation. `None` leaves the extent to the padding.
    pub output_padding: Option<[usize; N]>,
    /// Distance between neighbouring taps.
    pub dilation: [usize; N],
    /// Groups of channels.
    pub groups: usize,
}

/// Options of [`Var::conv_transpose1d`].
pub type ConvTranspose1dOptions = ConvTransposeOptions<1>;
/// Options of [`Var::conv_transpose2d`].
pub type ConvTranspose2dOptions = ConvTransposeOptions<2>;
/// Options of [`Var::conv_transpose3d`].
pub type ConvTranspose3dOptions = ConvTransposeOptions<3>;

impl<const N: usize> Default for ConvTransposeOptions<N> {
    fn default() -> Self {
        let padding = Padding::Valid;
        ConvTransposeOptions { stride: [1; N], padding, output_padding: None, dilation: [1; N], groups: 1 }
    }
}

impl<const N: usize> ConvTransposeOptions<N> {
    /// Stride 1, nothing cropped, no dilation, one group.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with this stride.
    #[must_use]
    pub fn stride(self, stride: [usize; N]) -> Self {
        ConvTransposeOptions { stride, ..self }
    }

    /// The same with this padding.
    #[must_use]
    pub fn padding(self, padding: Padding<N>) -> Self {
        ConvTransposeOptions { padding, ..self }
    }

    /// The same with this output padding.
    #[must_use]
    pub fn output_padding(self, output_padding: [usize; N]) -> Self {
        ConvTransposeOptions { output_padding: Some(output_padding), ..self }
    }

    /// The same with this dilation.
    #[must_use]
    pub fn dilation(self, dilation: [usize; N]) -> Self {
        ConvTransposeOptions { dilation, ..self }
    }

    /// The same with this many groups.
    #[must_use]
    pub fn groups(self, groups: usize) -> Self {
        ConvTransposeOptions { groups, ..self }
    }

    /// Along `axis`: what is cropped before the first element of the result, and the result's extent, where inputs spread over
    /// `full` elements by windows of `extent`.
    fn crop(&self, op: &str, axis: usize, input: usize, full: usize, extent: usize) -> Result<(usize, usize)> {
        let (stride, more) = (self.stride[axis], self.output_padding.map(|padding| padding[axis]));
        let most = stride.max(self.dilation[axis]);
        if more.is_some_and(|more| more >= most) {
            let actual = format!("{:?}", self.output_padding.unwrap_or([0; N]));
            let expected = format!("below stride or dilation ({most} along axis {axis})");
            return Err(Error::parameter(op, "output padding", expected, actual));
        }
        let (before, out) = match (self.padding, more) {
            (Padding::Valid, None) => (0, full.max(input * stride)),
            (Padding::Valid, Some(more)) => (0, full + more),
            (Padding::Same, more) => {
                let out = more.map_or(input * stride, |more| full - extent / 2 * 2 + more);
                (full.saturating_sub(out) / 2, out)
            }
            (Padding::Explicit(padding), more) => {
                let [before, after] = padding[axis];
                let cropped = before.saturating_add(after);
                (before, (full + more.unwrap_or(0)).saturating_sub(cropped))
            }
        };
        if before >= full || out == 0 {
            let expected = format!("less than the {full} elements that there are along axis {axis}");
            return Err(Error::parameter(op, "padding", expected, format!("{:?}", self.padding)));
        }
        Ok((before, out))
    }
}

/// The spatial extents of `x` and of `w`.
fn both<const N: usize>(op: &str, x: &[usize], w: &[usize], roles: [&str; 2]) -> Result<([usize; N], [usize; N])> {
    let spatial = |shape: &[usize]| shape.get(2..).and_then(|s| <[usize; N]>::try_from(s).ok());
    let axes = ["columns", "rows, columns", "slices, rows, columns"].get(N.wrapping_sub(1)).unwrap_or(&"..");
    spatial(x).zip(spatial(w)).ok_or_else(|| {
        let expected = format!("x [batch, channels, {axes}] and w [{}, {}, kernel's {axes}]", roles[0], roles[1]);
        Error::shape(op, expected, format!("{x:?} and {w:?}"))
    })
}

impl Var {
    /// The convolution of lines `[batch, c_in, length]` with weights `w` `[c_out, c_in / groups, kernel]`:
    /// `[batch, c_out, out]`. See [`Conv`].
    ///
    /// # Errors
    /// Those of [`Var::conv2d`].
    pub fn conv1d(&self, w: &Var, options: &Conv1dOptions) -> Result<Var> {
        self.convolve("conv1d", w, options)
    }

    /// The convolution of images `[batch, c_in, h, w]` with weights `w` `[c_out, c_in / groups, kh, kw]`:
    /// `[batch, c_out, oh, ow]`. See [`Conv`].
    ///
    /// # Errors
    /// Where the ranks or the channels do not fit, a stride, dilation or group count is zero, or the window is larger than the
    /// padded image.
    pub fn conv2d(&self, w: &Var, options: &Conv2dOptions) -> Result<Var> {
        self.convolve("conv2d", w, options)
    }

    /// The convolution of volumes `[batch, c_in, d, h, w]` with weights `w` `[c_out, c_in / groups, kd, kh, kw]`:
    /// `[batch, c_out, od, oh, ow]`. See [`Conv`].
    ///
    /// # Errors
    /// Those of [`Var::conv2d`].
    pub fn conv3d(&self, w: &Var, options: &Conv3dOptions) -> Result<Var> {
        self.convolve("conv3d", w, options)
    }

    /// Any of the above, called `op` in errors.
    pub(crate) fn convolve<const N: usize>(&self, op: &str, w: &Var, options: &ConvOptions<N>) -> Result<Var> {
        let ConvOptions { stride, padding, dilation, groups } = *options;
        let (x, k) = (self.shape(), w.shape());
        let (input, kernel) = both(op, &x, &k, ["c_out", "c_in / groups"])?;
        let padding = padding.resolve(op, input, kernel, stride, dilation)?;
        let Window { stride, padding, dilation, .. } = Window { kernel, stride, padding, dilation }.lift();
        let conv = Conv { stride, padding, dilation, groups, relu: false, residual: false };
        conv.sizes(op, &x, &k)?;
        self.graph.push1(conv, &[self, w])
    }

    /// The transposed convolution of lines `[batch, c_in, length]` with weights `w` `[c_in, c_out / groups, kernel]`:
    /// `[batch, c_out, out]`. See [`Var::conv_transpose2d`].
    ///
    /// # Errors
    /// Those of [`Var::conv_transpose2d`].
    pub fn conv_transpose1d(&self, w: &Var, options: &ConvTranspose1dOptions) -> Result<Var> {
        self.spread("conv_transpose1d", w, options)
    }

    /// The transposed convolution of images `[batch, c_in, h, w]` with weights `w` `[c_in, c_out / groups, kh, kw]`:
    /// `[batch, c_out, oh, ow]`, whose extents [`ConvTransposeOptions`] tells. Every element of the input spreads a window of
    /// weights; where windows overlap they add up. It is the gradient of [`Var::conv2d`] used forwards ([`ConvGradX`]), and what
    /// no window reaches is zero.
    ///
    /// Source: M. D. Zeiler, D. Krishnan, G. W. Taylor, R. Fergus, "Deconvolutional networks", CVPR 2010.
    ///
    /// # Errors
    /// Where the ranks or the channels do not fit, a stride, dilation or group count is zero, an output padding is neither below the
    /// stride nor below the dilation, or the padding leaves nothing.
    pub fn conv_transpose2d(&self, w: &Var, options: &ConvTranspose2dOptions) -> Result<Var> {
        self.spread("conv_transpose2d", w, options)
    }

    /// The transposed convolution of volumes `[batch, c_in, d, h, w]` with weights `w` `[c_in, c_out / groups, kd, kh, kw]`:
    /// `[batch, c_out, od, oh, ow]`. See [`Var::conv_transpose2d`].
    ///
    /// # Errors
    /// Those of [`Var::conv_transpose2d`].
    pub fn conv_transpose3d(&self, w: &Var, options: &ConvTranspose3dOptions) -> Result<Var> {
        self.spread("conv_transpose3d", w, options)
    }

    /// Any of the above, called `op` in errors.
    pub(crate) fn spread<const N: usize>(&self, op: &str, w: &Var, options: &ConvTransposeOptions<N>) -> Result<Var> {
        let ConvTransposeOptions { stride, dilation, groups, .. } = *options;
        let (x, k) = (self.shape(), w.shape());
        let (input, kernel) = both(op, &x, &k, ["c_in", "c_out / groups"])?;
        if k[0] != x[1] {
            return Err(Error::shape(op, format!("w [{}, c_out / groups, ..] for x {x}", x[1]), k.to_string()));
        }
        if groups == 0 || x[1] % groups != 0 {
            return Err(Error::parameter(op, "groups", format!("a divisor of {} channels", x[1]), groups));
        }
        check_dtypes(op, &[self.spec(), w.spec()])?;
        // The window as a convolution has it that crops nothing; resolving its padding checks it.
        let mut window =
            Window { kernel, stride, padding: Padding::Valid.resolve(op, input, kernel, stride, dilation)?, dilation };
        // Beyond the last place that a convolution with this stride could have come from, zeros.
        let (mut output, mut zeros) = ([0; N], [0; N]);
        for axis in 0..N {
            let extent = window.extent(axis);
            let full = (input[axis] - 1).saturating_mul(stride[axis]).saturating_add(extent);
            if full >= usize::MAX / 4 {
                return Err(Error::parameter(op, "stride", "smaller than any image", format!("{stride:?}")));
            }
            let (before, out) = options.crop(op, axis, input[axis], full, extent)?;
            let end = before + out;
            let reached = if end > full && end - full >= stride[axis] { full } else { end };
            window.padding[axis] = [before, full.saturating_sub(end)];
            output[axis] = reached - before;
            zeros[axis] = end - reached;
        }
        let Window { stride, padding, dilation, .. } = window.lift();
        let conv = Conv { stride, padding, dilation, groups, relu: false, residual: false };
        let y = self.graph.push1(ConvGradX { conv, input: lift(output, 1) }, &[self, w])?;
        if zeros == [0; N] {
            return Ok(y);
        }
        let around: Vec<(usize, usize)> = [0; 2].into_iter().chain(zeros).map(|zeros| (0, zeros)).collect();
        y.pad(&around, 0.0)
    }
}
