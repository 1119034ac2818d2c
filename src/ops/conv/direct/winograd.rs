//! Products that neighbouring rows share. Of a window with `r` rows, `m` rows of results take `m + r − 1` products where they would take
//! `r m`: rows of the image, of the weights and of the results are mixed with small constants before and after. The mixing is along
//! rows alone, so that every mixed row is a row like any other, and columns, slices and channels are summed as ever.
//!
//! `F(m, r)` of A. Lavin, S. Gray, "Fast algorithms for convolutional neural networks", CVPR 2016, after S. Winograd, "Arithmetic
//! complexity of computations", 1980. Which points the polynomials are taken at decides how much rounding costs: B. Barabasz et al.,
//! "Error analysis and improving the accuracy of Winograd convolution for deep neural networks", ACM TOMS 46, 2020. At 0, ±3/4, ±3/2 and
//! infinity the worst error of `F(4, 3)` is half of that at the usual 0, ±1, ±2 and infinity, and the bounds of the tests are those of
//! the plain sums. (Where an edge meets one row of taps alone, as in the gradient of a convolution without padding, an error may be a
//! quarter more than such a bound: it is that of the tile, and the sum has fewer terms.) `F(2, 5)` has the same points, and so the same mixing of the image.

use crate::microkernel::strips::Matrix;

/// Rows of taps that share products, at most.
pub(super) const MOST_TAPS: usize = 5;

/// `F(m, r)`: `m` rows of results of `r` rows of taps share products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shared {
    F23,
    F43,
    F25,
}

impl Shared {
    /// Those for windows of so many rows.
    pub(super) fn of(taps: usize) -> &'static [Shared] {
        match taps {
            3 => &[Shared::F43, Shared::F23],
            5 => &[Shared::F25],
            _ => &[],
        }
    }

    /// Rows of results of a tile.
    pub(super) fn rows(self) -> usize {
        match self {
            Shared::F23 | Shared::F25 => 2,
            Shared::F43 => 4,
        }
    }

    /// Products of a tile: its mixed rows.
    pub(super) fn products(self) -> usize {
        match self {
            Shared::F23 => 4,
            Shared::F43 | Shared::F25 => 6,
        }
    }

    /// The constants of the weights: mixed row `u` is `Σ g[u][r] · w[r]`.
    pub(super) fn weights(self, u: usize) -> &'static [f32] {
        match self {
            Shared::F23 => &[[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]][u],
            Shared::F43 => &[
                [64.0 / 81.0, 0.0, 0.0],
                [-128.0 / 243.0, -32.0 / 81.0, -8.0 / 27.0],
                [-128.0 / 243.0, 32.0 / 81.0, -8.0 / 27.0],
                [32.0 / 243.0, 16.0 / 81.0, 8.0 / 27.0],
                [32.0 / 243.0, -16.0 / 81.0, 8.0 / 27.0],
                [0.0, 0.0, 1.0],
            ][u],
            Shared::F25 => &[
                [64.0 / 81.0, 0.0, 0.0, 0.0, 0.0],
                [-128.0 / 243.0, -32.0 / 81.0, -8.0 / 27.0, -2.0 / 9.0, -1.0 / 6.0],
                [-128.0 / 243.0, 32.0 / 81.0, -8.0 / 27.0, 2.0 / 9.0, -1.0 / 6.0],
                [32.0 / 243.0, 16.0 / 81.0, 8.0 / 27.0, 4.0 / 9.0, 2.0 / 3.0],
                [32.0 / 243.0, -16.0 / 81.0, 8.0 / 27.0, -4.0 / 9.0, 2.0 / 3.0],
                [0.0, 0.0, 0.0, 0.0, 1.0],
            ][u],
        }
    }
}

/// Rows of the image.
#[derive(Clone, Copy)]
pub(super) struct Image;

/// Mixed rows of results, back to what they are.
#[derive(Clone, Copy)]
pub(super) struct Result;

/// Rows of the results' gradient: the transpose of [`Result`].
#[derive(Clone, Copy)]
pub(super) struct Gradient;

impl Matrix<4, 4> for Image {
    const ROWS: [[f32; 4]; 4] =
        [[1.0, 0.0, -1.0, 0.0], [0.0, 1.0, 1.0, 0.0], [0.0, -1.0, 1.0, 0.0], [0.0, 1.0, 0.0, -1.0]];
}

impl Matrix<4, 2> for Result {
    const ROWS: [[f32; 4]; 2] = [[1.0, 1.0, 1.0, 0.0], [0.0, 1.0, -1.0, -1.0]];
}

impl Matrix<6, 6> for Image {
    const ROWS: [[f32; 6]; 6] = [
        [1.265625, 0.0, -2.8125, 0.0, 1.0, 0.0],
        [0.0, -1.6875, -2.25, 0.75, 1.0, 0.0],
        [0.0, 1.6875, -2.25, -0.75, 1.0, 0.0],
        [0.0, -0.84375, -0.5625, 1.5, 1.0, 0.0],
        [0.0, 0.84375, -0.5625, -1.5, 1.0, 0.0],
        [0.0, 1.265625, 0.0, -2.8125, 0.0, 1.0],
    ];
}

impl Matrix<6, 4> for Result {
    const ROWS: [[f32; 6]; 4] = [
        [1.0, 1.0, 1.0, 1.0, 1.0, 0.0],
        [0.0, 0.75, -0.75, 1.5, -1.5, 0.0],
        [0.0, 0.5625, 0.5625, 2.25, 2.25, 0.0],
        [0.0, 0.421875, -0.421875, 3.375, -3.375, 1.0],
    ];
}

impl Matrix<6, 2> for Result {
    const ROWS: [[f32; 6]; 2] = [[1.0, 1.0, 1.0, 1.0, 1.0, 0.0], [0.0, 0.75, -0.75, 1.5, -1.5, 1.0]];
}

const fn transposed<const I: usize, const O: usize>(rows: [[f32; I]; O]) -> [[f32; O]; I] {
    let mut result = [[0.0; O]; I];
    let mut o = 0;
    while o < O {
        let mut i = 0;
        while i < I {
            result[i][o] = rows[o][i];
            i += 1;
        }
        o += 1;
    }
    result
}

impl Matrix<2, 4> for Gradient {
    const ROWS: [[f32; 2]; 4] = transposed(<Result as Matrix<4, 2>>::ROWS);
}

impl Matrix<4, 6> for Gradient {
    const ROWS: [[f32; 4]; 6] = transposed(<Result as Matrix<6, 4>>::ROWS);
}

impl Matrix<2, 6> for Gradient {
    const ROWS: [[f32; 2]; 6] = transposed(<Result as Matrix<6, 2>>::ROWS);
}
