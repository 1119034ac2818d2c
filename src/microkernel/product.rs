//! Matrix products: operands packed into the order in which the tiles read them, in blocks that stay near.
//!
//! Source: K. Goto, R. van de Geijn, "Anatomy of high-performance matrix multiplication", ACM TOMS 34, 2008.

use rayon::prelude::*;

use super::{Isa, MOST_COLUMNS, MOST_ROWS, Offsets, VECTORS, outer, wide_fn};
use crate::contract::{Real, with_own_memory};

/// Products of a sum that are made at once: as many as leave a panel of the second operand in the nearest cache.
const DEEP: usize = 256;
/// Rows of a task.
const ROWS: usize = 64;
/// Columns of the second operand that are packed at once.
const WIDE: usize = 20 * MOST_COLUMNS;
/// Multiplications below which a product stays on one thread.
const SERIAL: usize = 1 << 20;

/// A matrix in memory: element `(i, j)` lies at `i · row + j · column`.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    /// The elements.
    pub x: &'a [f32],
    /// From row to row.
    pub row: usize,
    /// From column to column.
    pub column: usize,
}

impl<'a> Matrix<'a> {
    /// A matrix of `columns` columns that is stored row by row, or column by column where it is `transposed`.
    pub fn new(x: &'a [f32], rows: usize, columns: usize, transposed: bool) -> Self {
        if transposed { Matrix { x, row: 1, column: rows } } else { Matrix { x, row: columns, column: 1 } }
    }

    fn transposed(self) -> Self {
        Matrix { row: self.column, column: self.row, ..self }
    }
}

/// `y = a · b` for `a` of `m × k`, `b` of `k × n` and `y` of `m × n`, row by row; on all cores where that pays. Sums run over `k` in ascending
/// order, in parts that depend on nothing else.
///
/// # Panics
/// Where an operand is shorter than its sizes say.
pub fn product(isa: Isa, [m, n, k]: [usize; 3], a: Matrix<'_>, b: Matrix<'_>, y: &mut [f32]) {
    let alone = m * n * k <= SERIAL;
    for column in (0..n).step_by(WIDE) {
        let columns = WIDE.min(n - column);
        let padded = columns.next_multiple_of(isa.lanes());
        with_own_memory(padded * DEEP.min(k), |packed| {
            for from in (0..k).step_by(DEEP) {
                let depth = DEEP.min(k - from);
                let packed = &mut packed[..padded * depth];
                let panel = VECTORS * isa.lanes();
                let pack = |(i, to): (usize, &mut [f32])| {
                    let b = Matrix { x: &b.x[from * b.row + (column + i * panel) * b.column..], ..b };
                    pack(b.transposed(), (columns - i * panel).min(panel), to.len() / depth, depth, to);
                };
                let packing = alone || padded * depth <= 1 << 14;
                if packing {
                    packed.chunks_mut(panel * depth).enumerate().for_each(pack);
                } else {
                    packed.par_chunks_mut(panel * depth).enumerate().for_each(pack);
                }
                let block = Block { isa, n, column, columns, panel, depth, packed, add: from > 0 };
                let rows = |(i, y): (usize, &mut [f32])| {
                    let a = Matrix { x: &a.x[i * ROWS * a.row + from * a.column..], ..a };
                    block.rows(y.len() / n, a, y);
                };
                if alone {
                    y.chunks_mut(ROWS * n).enumerate().for_each(rows);
                } else {
                    y.par_chunks_mut(ROWS * n).enumerate().for_each(rows);
                }
            }
        });
    }
}

/// A packed block of the second operand.
struct Block<'a> {
    isa: Isa,
    /// Columns of `y`; of the block, the first and how many; of a panel.
    n: usize,
    column: usize,
    columns: usize,
    panel: usize,
    depth: usize,
    packed: &'a [f32],
    /// Whether `y` holds a part of the sums.
    add: bool,
}

impl Block<'_> {
    /// The sums of `m` rows.
    fn rows(&self, m: usize, a: Matrix<'_>, y: &mut [f32]) {
        let (isa, depth) = (self.isa, self.depth);
        let size = |at: usize| (m - at).min(isa.rows()).next_power_of_two();
        with_own_memory(m.next_multiple_of(isa.rows()) * depth, |packed| {
            for at in (0..m).step_by(isa.rows()) {
                let a = Matrix { x: &a.x[at * a.row..], ..a };
                pack(a, (m - at).min(isa.rows()), size(at), depth, &mut packed[at * depth..][..size(at) * depth]);
            }
            for (i, panel) in self.packed.chunks(self.panel * depth).enumerate() {
                let width = panel.len() / depth;
                let first = i * self.panel;
                let columns = width.min(self.columns - first);
                let mut offsets = [0; DEEP];
                let offsets = &mut offsets[..depth];
                offsets.iter_mut().enumerate().for_each(|(k, offset)| *offset = (k * width) as u32);
                let offsets = Offsets::new(offsets);
                for at in (0..m).step_by(isa.rows()) {
                    let (rows, size) = ((m - at).min(isa.rows()), size(at));
                    let tile = [size, width / isa.lanes()];
                    let a = (&packed[at * depth..], size);
                    let to = at * self.n + self.column + first;
                    if columns == width && rows == size {
                        outer(isa, tile, a, panel, offsets, (&mut y[to..], self.n), self.add);
                        continue;
                    }
                    // A tile that reaches over the edge.
                    let mut sums = [0.0; MOST_ROWS * MOST_COLUMNS];
                    outer(isa, tile, a, panel, offsets, (&mut sums, width), false);
                    for (sums, y) in sums.chunks_exact(width).zip(y[to..].chunks_mut(self.n)).take(rows) {
                        let pairs = y.iter_mut().zip(&sums[..columns]);
                        if self.add {
                            pairs.for_each(|(y, sum)| *y += *sum);
                        } else {
                            pairs.for_each(|(y, sum)| *y = *sum);
                        }
                    }
                }
            }
        });
    }
}

/// Packs `depth` columns of a matrix with `rows` rows, each padded with zeros to `size`.
fn pack(a: Matrix<'_>, rows: usize, size: usize, depth: usize, to: &mut [f32]) {
    if a.row == 1 {
        pack_sides::<f32>(a.x, a.column, rows, size, to);
    } else {
        pack_across::<f32>(a.x, [a.row, a.column], rows, size, &mut to[..size * depth]);
    }
}

wide_fn! {
    /// Packs columns whose elements lie side by side, `apart` from column to column.
    fn pack_sides<T: Real>(x: &[T], apart: usize, rows: usize, size: usize, to: &mut [T]) {
        for (k, to) in to.chunks_exact_mut(size).enumerate() {
            let (to, zeros) = to.split_at_mut(rows);
            to.copy_from_slice(&x[k * apart..][..rows]);
            zeros.fill(T::zero());
        }
    }
}

wide_fn! {
    /// Packs rows, each of which is read by itself; steps are from row to row and from column to column.
    fn pack_across<T: Real>(x: &[T], steps: [usize; 2], rows: usize, size: usize, to: &mut [T]) {
        const SQUARE: usize = 4;
        let squares = if steps[1] == 1 { rows / SQUARE * SQUARE } else { 0 };
        for (block, to) in to.chunks_mut(SQUARE * size).enumerate() {
            let (first, columns) = (block * SQUARE, to.len() / size);
            // Whole squares are turned in registers.
            let squares = if columns == SQUARE { squares } else { 0 };
            for i in (0..squares).step_by(SQUARE) {
                let mut square = [[T::zero(); SQUARE]; SQUARE];
                for (row, square) in square.iter_mut().enumerate() {
                    square.copy_from_slice(&x[(i + row) * steps[0] + first..][..SQUARE]);
                }
                for k in 0..SQUARE {
                    let turned = [square[0][k], square[1][k], square[2][k], square[3][k]];
                    to[k * size + i..][..SQUARE].copy_from_slice(&turned);
                }
            }
            for i in squares..rows {
                for k in 0..columns {
                    to[k * size + i] = x[i * steps[0] + (first + k) * steps[1]];
                }
            }
            for k in 0..columns {
                to[k * size + rows..][..size - rows].fill(T::zero());
            }
        }
    }
}
