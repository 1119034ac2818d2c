//! Sliding windows over one, two or three axes, shared by convolution and pooling: padding, dilation, and how many positions a
//! window has.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Coordinates in a padded image must stay below this, so that kernels can count them in 32 bits with a sign.
const MAX_EXTENT: usize = 1 << 30;

/// How an input of `N` spatial axes is padded before a window slides over it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Padding<const N: usize> {
    /// Not at all.
    #[default]
    Valid,
    /// So that there are `ceil(extent / stride)` positions, TensorFlow's rule: the padding depends on the stride, and where it is
    /// odd the end gets the larger half (the bottom and the right of an image).
    Same,
    /// This much, before and after each axis.
    Explicit([[usize; 2]; N]),
}

impl<const N: usize> Padding<N> {
    /// `n` on every side.
    pub fn around(n: usize) -> Self {
        Padding::Explicit([[n; 2]; N])
    }

    /// The padding (before and after each axis) that this rule gives an input of these extents.
    ///
    /// # Errors
    /// [`Error::Parameter`] naming `op` for a kernel, stride or dilation of zero, or numbers beyond any image.
    pub fn resolve(
        self,
        op: &str,
        input: [usize; N],
        kernel: [usize; N],
        stride: [usize; N],
        dilation: [usize; N],
    ) -> Result<[[usize; 2]; N]> {
        let window = Window { kernel, stride, padding: [[0; 2]; N], dilation };
        window.check(op)?;
        Ok(match self {
            Padding::Valid => [[0; 2]; N],
            Padding::Explicit(padding) => padding,
            Padding::Same => std::array::from_fn(|axis| {
                let positions = input[axis].div_ceil(stride[axis]);
                let needed = positions.saturating_sub(1) * stride[axis] + window.extent(axis);
                let total = needed.saturating_sub(input[axis]);
                [total / 2, total - total / 2]
            }),
        })
    }
}

/// A window of `N` axes and how it moves. Axes come in the tensor's order: slices, rows, columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[serde(bound(
    serialize = "[usize; N]: Serialize, [[usize; 2]; N]: Serialize",
    deserialize = "[usize; N]: Deserialize<'de>, [[usize; 2]; N]: Deserialize<'de>"
))]
pub struct Window<const N: usize> {
    /// Extents of the window, in taps.
    pub kernel: [usize; N],
    /// How far it moves from one position to the next.
    pub stride: [usize; N],
    /// Padding of the input, before and after each axis.
    pub padding: [[usize; 2]; N],
    /// Distance between neighbouring taps in the input; 1 is the plain window.
    pub dilation: [usize; N],
}

/// What messages call axis `axis` of `n`: columns come last.
fn axis_name(n: usize, axis: usize) -> &'static str {
    ["columns", "rows", "slices"].get(n - 1 - axis).copied().unwrap_or("outer extent")
}

/// `values` with as many `fill`s before them as there are more axes in the result.
///
/// ```
/// assert_eq!(galen::contract::lift::<_, 2, 3>([5, 7], 1), [1, 5, 7]);
/// ```
pub fn lift<T: Copy, const N: usize, const M: usize>(values: [T; N], fill: T) -> [T; M] {
    const { assert!(N <= M, "axes can be added, not taken away") };
    std::array::from_fn(|axis| if axis < M - N { fill } else { values[axis + N - M] })
}

impl<const N: usize> Window<N> {
    /// A window over an input of these extents, its padding resolved.
    ///
    /// # Errors
    /// Those of [`Padding::resolve`] and [`Window::output`].
    pub fn new(
        op: &str,
        input: [usize; N],
        kernel: [usize; N],
        stride: [usize; N],
        padding: Padding<N>,
        dilation: [usize; N],
    ) -> Result<Self> {
        let padding = padding.resolve(op, input, kernel, stride, dilation)?;
        let window = Window { kernel, stride, padding, dilation };
        window.output(op, input)?;
        Ok(window)
    }

    /// The same window over an input with more axes, of extent 1 and before the others (see [`lift`]): one kernel then serves lines,
    /// images and volumes.
    pub fn lift<const M: usize>(&self) -> Window<M> {
        Window {
            kernel: lift(self.kernel, 1),
            stride: lift(self.stride, 1),
            padding: lift(self.padding, [0; 2]),
            dilation: lift(self.dilation, 1),
        }
    }

    /// How far it is along `axis` from the window's first tap to its last, both included, with dilation.
    pub fn extent(&self, axis: usize) -> usize {
        (self.kernel[axis] - 1) * self.dilation[axis] + 1
    }

    /// Padding before the first element along `axis`.
    pub fn before(&self, axis: usize) -> usize {
        self.padding[axis][0]
    }

    /// Extents of the result: how many positions the window has in an input of these extents.
    ///
    /// # Errors
    /// [`Error::Parameter`] naming `op` for a kernel, stride or dilation of zero, numbers beyond any image, or a window larger
    /// than the padded input.
    pub fn output(&self, op: &str, input: [usize; N]) -> Result<[usize; N]> {
        self.check(op)?;
        let mut output = [0; N];
        for axis in 0..N {
            let [before, after] = self.padding[axis];
            let padded = input[axis].saturating_add(before).saturating_add(after);
            let (extent, side) = (self.extent(axis), axis_name(N, axis));
            if padded >= MAX_EXTENT {
                return Err(Error::parameter(op, format!("padded {side}"), format!("below {MAX_EXTENT}"), padded));
            }
            if extent > padded {
                let what = format!("the window's {side}, dilation included,");
                return Err(Error::parameter(op, what, format!("at most {padded} (the padded input's)"), extent));
            }
            output[axis] = (padded - extent) / self.stride[axis] + 1;
        }
        Ok(output)
    }

    /// The positions along `axis`, of `output` ones, at which tap `tap` lies on the `input` elements and not in the padding.
    pub fn inside(&self, axis: usize, tap: usize, input: usize, output: usize) -> Range<usize> {
        // Position o reads the input at o * stride + shift - before. A division costs as much as a short row of taps.
        let (shift, before, stride) = (tap * self.dilation[axis], self.before(axis), self.stride[axis]);
        let first = |at: usize| if stride == 1 { at } else { at.div_ceil(stride) };
        let start = first(before.saturating_sub(shift));
        let end = first((input + before).saturating_sub(shift));
        let end = end.min(output);
        start.min(end)..end
    }

    fn check(&self, op: &str) -> Result<()> {
        for (what, values) in [("kernel", self.kernel), ("stride", self.stride), ("dilation", self.dilation)] {
            if values.iter().any(|v| !(1..MAX_EXTENT).contains(v)) {
                return Err(Error::parameter(op, what, "at least 1 along every axis", format!("{values:?}")));
            }
        }
        for axis in 0..N {
            if (self.kernel[axis] - 1).checked_mul(self.dilation[axis]).is_none_or(|e| e >= MAX_EXTENT) {
                return Err(Error::parameter(op, "dilation", "smaller than any image", format!("{:?}", self.dilation)));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_padding_is_tensorflows() {
        let same = |input, kernel, stride, dilation| {
            Padding::Same.resolve("test", [input; 2], [kernel; 2], [stride; 2], [dilation; 2]).unwrap()[1].to_vec()
        };
        assert_eq!(same(6, 3, 2, 1), [0, 1]);
        assert_eq!(same(7, 3, 2, 1), [1, 1]);
        assert_eq!(same(5, 4, 1, 1), [1, 2]);
        assert_eq!(same(5, 2, 3, 1), [0, 0]);
        assert_eq!(same(6, 3, 1, 2), [2, 2]);
    }

    #[test]
    fn positions_and_taps_agree_with_a_plain_count() {
        for (input, kernel, stride, before, after, dilation) in
            [(5, 3, 1, 0, 0, 1), (8, 2, 3, 1, 0, 1), (2, 3, 1, 1, 1, 1), (7, 3, 2, 4, 3, 2), (1, 1, 1, 0, 2, 1)]
        {
            let w = Window {
                kernel: [kernel; 2],
                stride: [stride; 2],
                padding: [[before, after]; 2],
                dilation: [dilation; 2],
            };
            let n = (0..).take_while(|o| o * stride + w.extent(0) <= input + before + after).count();
            assert_eq!(w.output("test", [input; 2]).unwrap(), [n; 2]);
            for tap in 0..kernel {
                let lies = |o: &usize| (before..before + input).contains(&(o * stride + tap * dilation));
                assert_eq!(w.inside(0, tap, input, n).collect::<Vec<_>>(), (0..n).filter(lies).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn what_makes_no_window_is_refused() {
        let plain = Window { kernel: [3, 3], stride: [1, 1], padding: [[0; 2]; 2], dilation: [1, 1] };
        for bad in [
            Window { stride: [0, 1], ..plain },
            Window { kernel: [3, 0], ..plain },
            Window { dilation: [0, 1], ..plain },
            Window { dilation: [2, 1], ..plain },
            Window { padding: [[usize::MAX, 1], [0, 0]], ..plain },
            Window { dilation: [usize::MAX, 1], ..plain },
        ] {
            assert!(bad.output("test", [4, 4]).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_lifted_window_has_one_position_along_every_new_axis() {
        let line = Window { kernel: [3], stride: [2], padding: [[1, 0]], dilation: [2] };
        let volume: Window<3> = line.lift();
        assert_eq!(volume.padding, [[0, 0], [0, 0], [1, 0]]);
        let [n] = line.output("test", [9]).unwrap();
        assert_eq!(volume.output("test", lift([9], 1)).unwrap(), [1, 1, n]);
    }

    #[test]
    fn messages_name_the_axis() {
        let said = |e: Result<[usize; 3]>| e.unwrap_err().to_string();
        let cube = Window { kernel: [2; 3], stride: [1; 3], padding: [[0; 2]; 3], dilation: [1; 3] };
        for (input, axis) in [([1, 4, 4], "slices"), ([4, 1, 4], "rows"), ([4, 4, 1], "columns")] {
            assert!(said(cube.output("test", input)).contains(axis));
        }
    }
}
