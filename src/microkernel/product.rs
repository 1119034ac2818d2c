//! Matrix products: operands packed into the order in which the tiles read them, in blocks that stay near.
//!
//! Source: K. Goto, R. van de Geijn, "Anatomy of high-performance matrix multiplication", ACM TOMS 34, 2008.

use std::ops::Range;

use rayon::prelude::*;

use super::rectangle::Rectangle;
use super::{First, INNER, Isa, MOST_COLUMNS, MOST_ROWS, Offsets, SQUARE, VECTORS, inner, outer, turn, wide_fn};
use crate::contract::{Real, with_own_memory};

/// Products of a sum that are made at once: as many as leave a panel of the second operand in the nearest cache.
const DEEP: usize = 256;
/// Panels of a task, at most: what is packed of them stays in a core's own cache.
const PANELS: usize = 3;
/// Rows of the first operand that are read for one panel after another while they are near.
const ROWS: usize = 128;
/// Rows of a task, at least, for which it pays to pack the second operand.
const MANY_ROWS: usize = 512;
/// Columns for which it pays to pack a first operand whose rows do not lie side by side, and elements of it: fewer are near anyhow, and of
/// more the memory would be missed.
const MANY_COLUMNS: usize = 128;
const LEAST_PACKED: usize = 1 << 17;
const MOST_PACKED: usize = 1 << 24;
/// Tasks that are wanted for every thread, and vectors of columns that a task has at least.
const TASKS: usize = 4;
const LEAST: usize = 2;
/// Columns that are few, and rows that are long: tiles as wide as vectors would be padding for the most part.
const FEW_COLUMNS: usize = 16;
const LONG: usize = 256;
/// Products of a sum that are added block by block; of more, halves are added.
const LONGEST: usize = 1 << 12;
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

    /// The matrix as the first operand of tiles, which read it where it lies.
    fn first(self) -> First<'a> {
        if self.row == 1 { First::Packed(self.x, self.column) } else { First::Rows(self.x, self.row) }
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
/// order, in parts, and long ones in halves, that depend on nothing else.
///
/// Every task has columns of its own (where those are few, rows as well) and packs for itself what it needs of `b`. `a` is read where it
/// lies, unless its columns are what lies side by side: then it is packed before.
///
/// # Panics
/// Where an operand is shorter than its sizes say.
pub fn product(isa: Isa, [m, n, k]: [usize; 3], a: Matrix<'_>, b: Matrix<'_>, y: &mut [f32]) {
    if k > LONGEST {
        // Halves of the sums, so that their error grows with the logarithm of `k`.
        let middle = (k / 2).next_multiple_of(LONGEST);
        return with_own_memory(m * n, |second| {
            let half = |from: usize, to: usize, y: &mut [f32]| {
                product(isa, [m, n, to - from], a.from(0, from), b.from(from, 0), y);
            };
            if m * n * LONGEST > SERIAL {
                // Each of them is shared out.
                half(0, middle, y);
                half(middle, k, second);
            } else {
                rayon::join(|| half(0, middle, y), || half(middle, k, second));
            }
            y.iter_mut().zip(&*second).for_each(|(y, second)| *y += *second);
        });
    }
    if a.column == 1 && n <= FEW_COLUMNS && k >= LONG {
        return few_columns(isa, [n, k], a, b, y);
    }
    if a.row != 1 || n < MANY_COLUMNS || !(LEAST_PACKED..MOST_PACKED).contains(&(m * k)) {
        return share(isa, [m, n, k], Left::There(a), b, y);
    }
    with_own_memory(m * k, |packed| {
        packed.par_chunks_mut(isa.rows() * k).enumerate().for_each(|(i, to)| {
            for [row, rows] in tiles(isa, 0..to.len() / k) {
                pack(isa, a.from(i * isa.rows() + row, 0), rows, rows, k, &mut to[row * k..][..rows * k]);
            }
        });
        share(isa, [m, n, k], Left::Packed(packed, k), b, y);
    });
}

/// The first operand: where it lies, or packed for one tile after another, each with all of the sum's `k`.
#[derive(Clone, Copy)]
enum Left<'a> {
    There(Matrix<'a>),
    Packed(&'a [f32], usize),
}

impl<'a> Left<'a> {
    /// `rows` rows from `row` on, from `k` on.
    fn tile(self, [row, rows]: [usize; 2], from: usize) -> First<'a> {
        match self {
            Left::There(a) => a.from(row, from).first(),
            Left::Packed(packed, k) => First::Packed(&packed[row * k + from * rows..], rows),
        }
    }
}

/// The tiles of some rows, each the largest for which there are rows: where it begins, and its rows.
fn tiles(isa: Isa, rows: Range<usize>) -> impl Iterator<Item = [usize; 2]> {
    let mut row = rows.start;
    std::iter::from_fn(move || {
        let size = isa.rows().min(1 << rows.end.checked_sub(row)?.checked_ilog2()?);
        row += size;
        Some([row - size, size])
    })
}

/// Shares a product out, where that pays.
fn share(isa: Isa, [m, n, k]: [usize; 3], a: Left<'_>, b: Matrix<'_>, y: &mut [f32]) {
    let y = Rectangle::new(y, n, [m, n]);
    let task = |(at, y): ([usize; 2], Rectangle<'_>)| columns_of(isa, k, (a, at[0]), b.from(0, at[1]), y);
    if m * n * k <= SERIAL {
        return task(([0, 0], y));
    }
    let tasks = TASKS * rayon::current_num_threads();
    let [least, most] = [LEAST, PANELS * VECTORS].map(|vectors| n.div_ceil(vectors * isa.lanes()));
    let columns = n.div_ceil(tasks.min(least).max(most)).next_multiple_of(isa.lanes());
    let rows = m.div_ceil(tasks.div_ceil(n.div_ceil(columns))).max(MANY_ROWS).next_multiple_of(isa.rows());
    y.tiles([rows, columns]).for_each(task);
}

/// The sums of one task, whose rows begin at `start`.
fn columns_of(isa: Isa, k: usize, (a, start): (Left<'_>, usize), b: Matrix<'_>, mut y: Rectangle<'_>) {
    let [m, n] = y.size();
    let panel = n.div_ceil(n.div_ceil(VECTORS * isa.lanes())).next_multiple_of(isa.lanes());
    let width = |column: usize| (n - column).min(panel).next_multiple_of(isa.lanes());
    with_own_memory(n.next_multiple_of(isa.lanes()) * DEEP.min(k), |packed| {
        for from in (0..k).step_by(DEEP) {
            let depth = DEEP.min(k - from);
            for column in (0..n).step_by(panel) {
                let to = &mut packed[column * depth..][..width(column) * depth];
                pack(isa, b.from(from, column).transposed(), panel.min(n - column), width(column), depth, to);
            }
            for first in (0..m).step_by(ROWS) {
                for column in (0..n).step_by(panel) {
                    let width = width(column);
                    let mut offsets = [0; DEEP];
                    let offsets = &mut offsets[..depth];
                    offsets.iter_mut().enumerate().for_each(|(k, offset)| *offset = (k * width) as u32);
                    let packed = &packed[column * depth..][..width * depth];
                    let b = Panel { isa, width, packed, offsets: Offsets::new(offsets), add: from > 0 };
                    for [row, rows] in tiles(isa, first..m.min(first + ROWS)) {
                        let y = y.part([row, column], [rows, panel.min(n - column)]);
                        b.tile(a.tile([start + row, rows], from), y);
                    }
                }
            }
        }
    });
}

/// [`product`] of long rows with few columns: inner products of rows, which need not be packed, with columns, which lie in rows then.
fn few_columns(isa: Isa, [n, k]: [usize; 2], a: Matrix<'_>, b: Matrix<'_>, y: &mut [f32]) {
    let whole = k / isa.lanes() * isa.lanes();
    let [tall, wide] = isa.inner();
    with_own_memory(n * k, |columns| {
        pack(isa, b, k, k, n, columns);
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
        if y.len() * k <= SERIAL {
            y.chunks_mut(tall * n).enumerate().for_each(task);
        } else {
            y.par_chunks_mut(tall * n).enumerate().for_each(task);
        }
    });
}

/// Packed columns of the second operand.
struct Panel<'a> {
    isa: Isa,
    /// Columns, padded with zeros to whole vectors.
    width: usize,
    packed: &'a [f32],
    offsets: Offsets<'a>,
    /// Whether the results hold a part of the sums.
    add: bool,
}

impl Panel<'_> {
    /// One tile of the sums, or a part of them that is added.
    fn tile(&self, a: First<'_>, mut y: Rectangle<'_>) {
        let [rows, columns] = y.size();
        let shape = [rows, self.width / self.isa.lanes()];
        if columns == self.width {
            return outer(self.isa, shape, a, self.packed, self.offsets, y, self.add);
        }
        // It reaches over the edge.
        let mut sums = [0.0; MOST_ROWS * MOST_COLUMNS];
        let whole = Rectangle::new(&mut sums, self.width, [rows, self.width]);
        outer(self.isa, shape, a, self.packed, self.offsets, whole, false);
        for (i, sums) in sums.chunks_exact(self.width).enumerate().take(rows) {
            let pairs = y.row(i).iter_mut().zip(sums);
            if self.add {
                pairs.for_each(|(y, sum)| *y += *sum);
            } else {
                pairs.for_each(|(y, sum)| *y = *sum);
            }
        }
    }
}

/// Packs `depth` columns of a matrix with `rows` rows, each padded with zeros to `size`.
fn pack(isa: Isa, a: Matrix<'_>, rows: usize, size: usize, depth: usize, to: &mut [f32]) {
    if a.row == 1 {
        return pack_sides::<f32>(a.x, a.column, rows, size, to);
    }
    let squares = if a.column == 1 { [rows, depth].map(|n| n / SQUARE * SQUARE) } else { [0; 2] };
    for k in (0..squares[1]).step_by(SQUARE) {
        for i in (0..squares[0]).step_by(SQUARE) {
            turn(isa, &a.x[i * a.row + k..], a.row, &mut to[k * size + i..], size);
        }
    }
    for (k, to) in to.chunks_exact_mut(size).enumerate().take(depth) {
        let first = if k < squares[1] { squares[0] } else { 0 };
        for (i, to) in to.iter_mut().enumerate().skip(first) {
            *to = if i < rows { a.x[i * a.row + k * a.column] } else { 0.0 };
        }
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
