//! Products that neighbouring rows share. Of a window with three rows, `m` rows of results take `m + 2` products where they would take
//! `3 m`: rows of the image, of the weights and of the results are mixed with small constants before and after. The mixing is along
//! rows alone, so that every mixed row is a row like any other, and columns, slices and channels are summed as ever.
//!
//! `F(2, 3)` and `F(4, 3)` with the constants of A. Lavin, S. Gray, "Fast algorithms for convolutional neural networks", CVPR 2016,
//! after S. Winograd, "Arithmetic complexity of computations", 1980. In one dimension the constants stay small, so that hardly a digit
//! is lost: the bounds of the tests are those of the plain sums.

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
                [0.25, 0.0, 0.0],
                [-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0],
                [-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
                [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
                [1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0],
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
        [4.0, 0.0, -5.0, 0.0, 1.0, 0.0],
        [0.0, -4.0, -4.0, 1.0, 1.0, 0.0],
        [0.0, 4.0, -4.0, -1.0, 1.0, 0.0],
        [0.0, -2.0, -1.0, 2.0, 1.0, 0.0],
        [0.0, 2.0, -1.0, -2.0, 1.0, 0.0],
        [0.0, 4.0, 0.0, -5.0, 0.0, 1.0],
    ];
}

impl Matrix<6, 4> for Result {
    const ROWS: [[f32; 6]; 4] = [
        [1.0, 1.0, 1.0, 1.0, 1.0, 0.0],
        [0.0, 1.0, -1.0, 2.0, -2.0, 0.0],
        [0.0, 1.0, 1.0, 4.0, 4.0, 0.0],
        [0.0, 1.0, -1.0, 8.0, -8.0, 1.0],
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
