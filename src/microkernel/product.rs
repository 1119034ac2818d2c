//! Matrix products: operands packed into the order in which the tiles read them, in blocks that stay near.
//!
//! Source: K. Goto, R. van de Geijn, "Anatomy of high-performance matrix multiplication", ACM TOMS 34, 2008.

use rayon::prelude::*;

use super::{INNER, Isa, MOST_COLUMNS, MOST_ROWS, Offsets, VECTORS, inner, outer, wide_fn};
use crate::contract::{Real, with_own_memory};

/// Products of a sum that are made at once: as many as leave a panel of the second operand in the nearest cache.
const DEEP: usize = 256;
/// Rows of a task, at most, and tasks that are wanted.
const ROWS: usize = 64;
const TASKS: usize = 8;
/// Elements of the second operand that are packed at once, and columns.
const PACKED: usize = 1 << 18;
const WIDE: usize = 20 * MOST_COLUMNS;
/// Columns that are few, and rows that are long: packing the first operand would cost more than the products.
const FEW_COLUMNS: usize = 16;
const LONG: usize = 256;
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
    /// A matrix of `rows` and `columns` that is stored row by row, or column by column where it is `transposed`.
    pub fn new(x: &'a [f32], rows: usize, columns: usize, transposed: bool) -> Self {
        if transposed { Matrix { x, row: 1, column: rows } } else { Matrix { x, row: columns, column: 1 } }
    }

    fn transposed(self) -> Self {
        Matrix { row: self.column, column: self.row, ..self }
    }

    /// The matrix from element `(i, j)` on.
    fn from(self, i: usize, j: usize) -> Self {
        Matrix { x: &self.x[i * self.row + j * self.column..], ..self }
    }
}

/// `y = a · b` for `a` of `m × k`, `b` of `k × n` and `y` of `m × n`, row by row; on all cores where that pays. Sums run over `k` in ascending
/// order, in parts that depend on nothing else.
///
/// # Panics
/// Where an operand is shorter than its sizes say.
pub fn product(isa: Isa, [m, n, k]: [usize; 3], a: Matrix<'_>, b: Matrix<'_>, y: &mut [f32]) {
    let alone = m * n * k <= SERIAL;
    if a.column == 1 && n <= FEW_COLUMNS && k >= LONG {
        return few_columns(isa, [n, k], a, b, y, alone);
    }
    let rows = m.div_ceil(TASKS).next_multiple_of(isa.rows()).min(ROWS);
    let panel = VECTORS * isa.lanes();
    for column in (0..n).step_by(WIDE) {
        let columns = WIDE.min(n - column);
        let padded = columns.next_multiple_of(isa.lanes());
        // As many whole parts of the sums as may be packed at once.
        let deep = (PACKED / padded / DEEP).max(1) * DEEP;
        with_own_memory(padded * deep.min(k), |packed| {
            for from in (0..k).step_by(deep) {
                let depth = deep.min(k - from);
                let packed = &mut packed[..padded * depth];
                let pack = |(i, to): (usize, &mut [f32])| {
                    let first = i * panel;
                    let b = b.from(from, column + first).transposed();
                    pack(b, (columns - first).min(panel), to.len() / depth, depth, to);
                };
                if alone {
                    packed.chunks_mut(panel * depth).enumerate().for_each(pack);
                } else {
                    packed.par_chunks_mut(panel * depth).enumerate().for_each(pack);
                }
                let block = Block { isa, n, column, columns, panel, depth, packed, add: from > 0 };
                let task = |(i, y): (usize, &mut [f32])| block.rows(y.len() / n, a.from(i * rows, from), y);
                if alone {
                    y.chunks_mut(rows * n).enumerate().for_each(task);
                } else {
                    y.par_chunks_mut(rows * n).enumerate().for_each(task);
                }
            }
        });
    }
}

/// [`product`] of long rows with few columns: inner products of rows, which need not be packed, with columns, which lie in rows then.
fn few_columns(isa: Isa, [n, k]: [usize; 2], a: Matrix<'_>, b: Matrix<'_>, y: &mut [f32], alone: bool) {
    let whole = k / isa.lanes() * isa.lanes();
    let [tall, wide] = isa.inner();
    with_own_memory(n * k, |columns| {
        for (j, column) in columns.chunks_exact_mut(k).enumerate() {
            column.iter_mut().enumerate().for_each(|(i, to)| *to = b.x[i * b.row + j * b.column]);
        }
        let columns = &*columns;
        let task = |(tile, y): (usize, &mut [f32])| {
            let rows = y.len() / n;
            let mut starts = [0; INNER[0]];
            starts.iter_mut().enumerate().for_each(|(i, at)| *at = ((tile * tall + i) * a.row) as u32);
            y.fill(0.0);
            for from in (0..n).step_by(wide) {
                let mut of_columns = [0; INNER[1]];
                let of_columns = &mut of_columns[..wide.min(n - from)];
                of_columns.iter_mut().zip(from..).for_each(|(at, j)| *at = (j * k) as u32);
                inner(isa, (a.x, &starts[..rows]), (columns, of_columns), whole, (&mut y[from..], n));
            }
            for (start, y) in starts.iter().zip(y.chunks_exact_mut(n)) {
                for (j, y) in y.iter_mut().enumerate() {
                    let (a, b) = (&a.x[*start as usize..][..k], &columns[j * k..][..k]);
                    a[whole..].iter().zip(&b[whole..]).for_each(|(a, b)| *y += a * b);
                }
            }
        };
        if alone {
            y.chunks_mut(tall * n).enumerate().for_each(task);
        } else {
            y.par_chunks_mut(tall * n).enumerate().for_each(task);
        }
    });
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
        let isa = self.isa;
        let size = |at: usize| (m - at).min(isa.rows()).next_power_of_two();
        with_own_memory(m.next_multiple_of(isa.rows()) * DEEP.min(self.depth), |packed| {
            for from in (0..self.depth).step_by(DEEP) {
                let depth = DEEP.min(self.depth - from);
                for at in (0..m).step_by(isa.rows()) {
                    let to = &mut packed[at * depth..][..size(at) * depth];
                    pack(a.from(at, from), (m - at).min(isa.rows()), size(at), depth, to);
                }
                for (i, panel) in self.packed.chunks(self.panel * self.depth).enumerate() {
                    let width = panel.len() / self.depth;
                    let (first, panel) = (i * self.panel, &panel[from * width..]);
                    let mut offsets = [0; DEEP];
                    let offsets = &mut offsets[..depth];
                    offsets.iter_mut().enumerate().for_each(|(k, offset)| *offset = (k * width) as u32);
                    let offsets = Offsets::new(offsets);
                    for at in (0..m).step_by(isa.rows()) {
                        let tile = Tile { rows: (m - at).min(isa.rows()), size: size(at), first, width };
                        let y = &mut y[at * self.n..];
                        self.tile(tile, &packed[at * depth..], (panel, offsets), y, self.add || from > 0);
                    }
                }
            }
        });
    }

    /// One tile of the sums, or a part of them that is added.
    fn tile(&self, t: Tile, a: &[f32], (b, offsets): (&[f32], Offsets<'_>), y: &mut [f32], add: bool) {
        let (isa, columns) = (self.isa, t.width.min(self.columns - t.first));
        let (shape, y) = ([t.size, t.width / isa.lanes()], &mut y[self.column + t.first..]);
        if columns == t.width && t.rows == t.size {
            return outer(isa, shape, (a, t.size), b, offsets, (y, self.n), add);
        }
        // It reaches over the edge.
        let mut sums = [0.0; MOST_ROWS * MOST_COLUMNS];
        outer(isa, shape, (a, t.size), b, offsets, (&mut sums, t.width), false);
        for (sums, y) in sums.chunks_exact(t.width).zip(y.chunks_mut(self.n)).take(t.rows) {
            let pairs = y.iter_mut().zip(&sums[..columns]);
            if add {
                pairs.for_each(|(y, sum)| *y += *sum);
            } else {
                pairs.for_each(|(y, sum)| *y = *sum);
            }
        }
    }
}

/// A tile: rows in use and in all, its first column in the block, and its columns.
#[derive(Clone, Copy)]
struct Tile {
    rows: usize,
    size: usize,
    first: usize,
    width: usize,
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
