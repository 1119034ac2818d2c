//! Products that neighbouring rows share. Of a window with three rows, `m` rows of results take `m + 2` products where they would take
//! `3 m`: rows of the image, of the weights and of the results are mixed with small constants before and after. The mixing is along
//! rows alone, so that every mixed row is a row like any other, and columns, slices and channels are summed as ever.
//!
//! `F(2, 3)` and `F(4, 3)` of A. Lavin, S. Gray, "Fast algorithms for convolutional neural networks", CVPR 2016, after S. Winograd,
//! "Arithmetic complexity of computations", 1980. Which points the polynomials are taken at decides how much rounding costs: B. Barabasz
//! et al., "Error analysis and improving the accuracy of Winograd convolution for deep neural networks", ACM TOMS 46, 2020. At 0, ±3/4,
//! ±3/2 and infinity the worst error of `F(4, 3)` is half of that at the usual 0, ±1, ±2 and infinity, and the bounds of the tests are
//! those of the plain sums.

use crate::microkernel::strips::Matrix;

/// How many rows of results share products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shared {
    Two,
    Four,
}

impl Shared {
    /// Rows of results of a tile.
    pub(super) fn rows(self) -> usize {
        match self {
            Shared::Two => 2,
            Shared::Four => 4,
        }
    }

    /// Products of a tile: its mixed rows.
    pub(super) fn products(self) -> usize {
        self.rows() + 2
    }

    /// The constants of the weights: mixed row `u` is `Σ g[u][r] · w[r]`.
    pub(super) fn weights(self) -> &'static [[f32; 3]] {
        match self {
            Shared::Two => &[[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]],
            Shared::Four => &[
                [64.0 / 81.0, 0.0, 0.0],
                [-128.0 / 243.0, -32.0 / 81.0, -8.0 / 27.0],
                [-128.0 / 243.0, 32.0 / 81.0, -8.0 / 27.0],
                [32.0 / 243.0, 16.0 / 81.0, 8.0 / 27.0],
                [32.0 / 243.0, -16.0 / 81.0, 8.0 / 27.0],
                [0.0, 0.0, 1.0],
            ],
        }
    }
}

/// Rows of the image, of `F(2, 3)` and `F(4, 3)`.
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
