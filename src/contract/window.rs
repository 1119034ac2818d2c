//! Sliding windows over images, shared by convolution and pooling: padding, dilation, and how many positions a window has.

use std::ops::Range;

use crate::error::{Error, Result};

/// Coordinates in a padded image must stay below this, so that kernels can count them in 32 bits with a sign.
const MAX_EXTENT: usize = 1 << 30;

/// How an image is padded before a window slides over it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Padding {
    /// Not at all.
    #[default]
    Valid,
    /// So that there are `ceil(extent / stride)` positions, TensorFlow's rule: the padding depends on the stride, and where it is
    /// odd the bottom and the right get the larger half.
    Same,
    /// This much: top, bottom, left, right.
    Explicit([usize; 4]),
}

impl Padding {
    /// The padding (top, bottom, left, right) that this rule gives an image of `input` rows and columns.
    ///
    /// # Errors
    /// [`Error::Parameter`] naming `op` for a kernel, stride or dilation of zero, or numbers beyond any image.
    pub fn resolve(
        self,
        op: &str,
        input: [usize; 2],
        kernel: [usize; 2],
        stride: [usize; 2],
        dilation: [usize; 2],
    ) -> Result<[usize; 4]> {
        let window = Window { kernel, stride, padding: [0; 4], dilation };
        window.check(op)?;
        Ok(match self {
            Padding::Valid => [0; 4],
            Padding::Explicit(padding) => padding,
            Padding::Same => {
                let total = |axis: usize| {
                    let positions = input[axis].div_ceil(stride[axis]);
                    let needed = positions.saturating_sub(1) * stride[axis] + window.extent(axis);
                    needed.saturating_sub(input[axis])
                };
                let (rows, columns) = (total(0), total(1));
                [rows / 2, rows - rows / 2, columns / 2, columns - columns / 2]
            }
        })
    }
}

/// A window of two dimensions and how it moves. In every pair rows come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// Rows and columns of the window.
    pub kernel: [usize; 2],
    /// How far it moves from one position to the next.
    pub stride: [usize; 2],
    /// Padding of the image: top, bottom, left, right.
    pub padding: [usize; 4],
    /// Distance between neighbouring taps in the image; 1 is the plain window.
    pub dilation: [usize; 2],
}

impl Window {
    /// A window over an image of `input` rows and columns, its padding resolved.
    ///
    /// # Errors
    /// Those of [`Padding::resolve`] and [`Window::output`].
    pub fn new(
        op: &str,
        input: [usize; 2],
        kernel: [usize; 2],
        stride: [usize; 2],
        padding: Padding,
        dilation: [usize; 2],
    ) -> Result<Window> {
        let padding = padding.resolve(op, input, kernel, stride, dilation)?;
        let window = Window { kernel, stride, padding, dilation };
        window.output(op, input)?;
        Ok(window)
    }

    /// Rows (axis 0) or columns (axis 1) from the window's first tap to its last, dilation included.
    pub fn extent(&self, axis: usize) -> usize {
        (self.kernel[axis] - 1) * self.dilation[axis] + 1
    }

    /// Padding before the first row (axis 0) or column (axis 1).
    pub fn before(&self, axis: usize) -> usize {
        self.padding[2 * axis]
    }

    /// Rows and columns of the result: how many positions the window has in an image of `input` rows and columns.
    ///
    /// # Errors
    /// [`Error::Parameter`] naming `op` for a kernel, stride or dilation of zero, numbers beyond any image, or a window larger
    /// than the padded image.
    pub fn output(&self, op: &str, input: [usize; 2]) -> Result<[usize; 2]> {
        self.check(op)?;
        let mut output = [0; 2];
        for axis in 0..2 {
            let padded = input[axis].saturating_add(self.padding[2 * axis]).saturating_add(self.padding[2 * axis + 1]);
            let (extent, side) = (self.extent(axis), ["rows", "columns"][axis]);
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

    /// The positions along `axis`, of `output` ones, at which tap `tap` lies on one of the `input` rows or columns and not in the
    /// padding.
    pub fn inside(&self, axis: usize, tap: usize, input: usize, output: usize) -> Range<usize> {
        // Position o reads the input at o * stride + shift - before.
        let (shift, before, stride) = (tap * self.dilation[axis], self.before(axis), self.stride[axis]);
        let start = before.saturating_sub(shift).div_ceil(stride);
        let end = (input + before).saturating_sub(shift).div_ceil(stride);
        let end = end.min(output);
        start.min(end)..end
    }

    fn check(&self, op: &str) -> Result<()> {
        for (what, pair) in [("kernel", self.kernel), ("stride", self.stride), ("dilation", self.dilation)] {
            if pair.iter().any(|v| !(1..MAX_EXTENT).contains(v)) {
                return Err(Error::parameter(op, what, "at least 1 along both axes", format!("{pair:?}")));
            }
        }
        for axis in 0..2 {
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
            Padding::Same.resolve("test", [input; 2], [kernel; 2], [stride; 2], [dilation; 2]).unwrap()[..2].to_vec()
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
                padding: [before, after, before, after],
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
        let plain = Window { kernel: [3, 3], stride: [1, 1], padding: [0; 4], dilation: [1, 1] };
        for bad in [
            Window { stride: [0, 1], ..plain },
            Window { kernel: [3, 0], ..plain },
            Window { dilation: [0, 1], ..plain },
            Window { dilation: [2, 1], ..plain },
            Window { padding: [usize::MAX, 1, 0, 0], ..plain },
            Window { dilation: [usize::MAX, 1], ..plain },
        ] {
            assert!(bad.output("test", [4, 4]).is_err(), "{bad:?}");
        }
    }
}
