//! Every kernel, with the instructions of every kind of processor that this one is, against plain loops.

use super::lines::{Line, Mixed, collect, spread};
use super::product::{Matrix, product};
use super::strips::{self, By, Finished, Rows, Same, pass};
use super::*;

/// Whole numbers, of which every sum is exact in any order.
fn numbers(n: usize, seed: usize) -> Vec<f32> {
    (0..n).map(|i| ((i * 7919 + seed * 104_729) % 13) as f32 - 6.0).collect()
}

#[test]
fn outer_tiles_are_sums_of_products() {
    let offsets: Vec<u32> = (0..37).map(|k| (k * 53 % 211) as u32).collect();
    let (a, b) = (numbers(9 * 41, 1), numbers(400, 2));
    for isa in Isa::available() {
        for (rows, vectors) in [1, 2, 4, 8].into_iter().flat_map(|rows| (1..=VECTORS).map(move |v| (rows, v))) {
            for (first, [across, along]) in [(First::Packed(&a, 9), [1, 9]), (First::Rows(&a, 41), [41, 1])] {
                for add in [false, true] {
                    let (columns, stride) = (vectors * isa.lanes(), 51);
                    let before = numbers(8 * stride, 3);
                    let mut y = before.clone();
                    let to = Rectangle::new(&mut y, stride, [rows, columns]);
                    outer(isa, [rows, vectors], first, &b, Offsets::new(&offsets), to, add);
                    for (i, y) in y.iter().enumerate() {
                        let (row, column) = (i / stride, i % stride);
                        let inside = row < rows && column < columns;
                        let sum: f32 = (0..37)
                            .map(|k| a[k * along + row.min(7) * across] * b[(offsets[k] as usize + column).min(399)])
                            .sum();
                        let expected = if !inside { before[i] } else { sum + if add { before[i] } else { 0.0 } };
                        assert_eq!(*y, expected, "{isa:?} {rows}x{vectors} add {add}: element {row}, {column}");
                    }
                }
            }
        }
    }
}

#[test]
fn inner_tiles_are_sums_of_products() {
    let (a, b) = (numbers(900, 1), numbers(900, 2));
    for isa in Isa::available() {
        let [rows, columns] = isa.inner();
        for (rows, columns) in (1..=rows).flat_map(|r| (1..=columns).map(move |c| (r, c))) {
            let (a_at, b_at): (Vec<u32>, Vec<u32>) =
                ((0..rows as u32).map(|i| i * 101).collect(), (0..columns as u32).map(|j| j * 7).collect());
            let (len, mut y) = (7 * isa.lanes(), numbers(8 * rows, 3));
            let before = y.clone();
            inner(isa, (&a, &a_at), (&b, &b_at), len, (&mut y, 8));
            for (i, y) in y.iter().enumerate() {
                let (row, column) = (i / 8, i % 8);
                let sum: f32 = if column < columns {
                    (0..len).map(|p| a[a_at[row] as usize + p] * b[b_at[column] as usize + p]).sum()
                } else {
                    0.0
                };
                assert_eq!(*y, before[i] + sum, "{isa:?} {rows}x{columns}: element {row}, {column}");
            }
        }
    }
}

#[test]
fn strips_are_copied_finished_and_padded() {
    let x = numbers(600, 1);
    for isa in Isa::available() {
        for columns in [1, 7, 8, 15, 16, 17, 40] {
            let (reads, writes) =
                (Rows { at: [Some(3)], step: 45, plane: 200 }, Rows { at: [Some(0)], step: 64, plane: 192 });
            let mut y = vec![f32::NAN; 384];
            pass(isa, Same, (&x, reads), (&mut y, writes), [2, 3], [columns, columns + 2]);
            let bias = [10.0, -1.0];
            let mut finished = vec![f32::NAN; 384];
            let mix = Finished { after: Same, bias: Some(&bias), relu: true };
            pass(isa, mix, (&x, reads), (&mut finished, writes), [2, 3], [columns; 2]);
            for (plane, row, column) in
                (0..2).flat_map(|p| (0..3).flat_map(move |r| (0..columns + 2).map(move |c| (p, r, c))))
            {
                let (i, from) = (plane * 192 + row * 64 + column, x[3 + plane * 200 + row * 45 + column]);
                assert_eq!(
                    y[i],
                    if column < columns { from } else { 0.0 },
                    "{isa:?}, {columns} columns: {plane}, {row}, {column}"
                );
                if column < columns {
                    assert_eq!(finished[i], (from + bias[plane]).max(0.0), "{isa:?} finished");
                } else {
                    assert!(finished[i].is_nan(), "{isa:?}: nothing is written past the row");
                }
            }
        }
    }
}

/// Small whole numbers, with rows that are mirror images of the next one, of both neighbours, and of none.
#[derive(Clone, Copy)]
struct Six;

impl strips::Matrix<6, 6> for Six {
    const ROWS: [[f32; 6]; 6] = [
        [1.0, 0.0, -2.0, 0.0, 3.0, -1.0],
        [0.0, 3.0, 2.0, -1.0, 1.0, 0.0],
        [0.0, -3.0, 2.0, 1.0, 1.0, 0.0],
        [2.0, 0.0, 2.0, 0.0, 0.0, 0.0],
        [2.0, 0.0, 2.0, 0.0, 0.0, 0.0],
        [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
    ];
}

impl strips::Matrix<4, 6> for Six {
    const ROWS: [[f32; 4]; 6] = [
        [1.0, 0.0, 0.0, 2.0],
        [1.0, 2.0, 3.0, 4.0],
        [1.0, -2.0, 3.0, -4.0],
        [1.0, -2.0, 3.0, 4.0],
        [0.0, 1.0, 0.0, -1.0],
        [0.0, -1.0, 0.0, 1.0],
    ];
}

impl strips::Matrix<2, 6> for Six {
    const ROWS: [[f32; 2]; 6] = [[1.0, 2.0], [1.0, -2.0], [1.0, 2.0], [0.0, 3.0], [1.0, 0.0], [-1.0, 4.0]];
}

impl strips::Matrix<6, 4> for Six {
    const ROWS: [[f32; 6]; 4] =
        [[1.0; 6], [1.0, -1.0, 1.0, -1.0, 1.0, -1.0], [0.0, 2.0, 0.0, 0.0, 0.0, 1.0], [3.0, 0.0, 0.0, 0.0, -1.0, 0.0]];
}

impl strips::Matrix<6, 2> for Six {
    const ROWS: [[f32; 6]; 2] = [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.0, -1.0, 0.0, 0.0, 1.0, 7.0]];
}

/// Tiles of lines that begin before them and end after them, of many lengths, become what plain sums make of them, and nothing else is
/// written.
fn spread_lines<const I: usize, const STEP: usize>()
where
    Six: strips::Matrix<I, 6>,
{
    let x = numbers(700, 1);
    for (isa, len, first) in Isa::available()
        .into_iter()
        .flat_map(|isa| [1, 5, 17, 64, 65, 150].map(|len| [-40, -5, 0, 2].map(|first| (isa, len, first))))
        .flatten()
    {
        let (tiles, line) = (len / STEP + 3, Line { at: 7, len, plane: 300 });
        let rows = Mixed { at: 1, row: 180, plane: 1200 };
        let mut y = vec![f32::NAN; 2400];
        spread::<_, I, 6, STEP>(isa, By(Six), (&x, line, first), (&mut y, rows), [2, tiles]);
        for (at, y) in y.iter().enumerate() {
            let (plane, row, tile) = (at / 1200, at % 1200 / 180, (at % 1200 % 180).wrapping_sub(1));
            if row >= 6 || tile >= tiles {
                assert!(y.is_nan(), "{isa:?}: nothing else is written");
                continue;
            }
            let element = |i: usize| {
                let at = first + (tile * STEP + i) as isize;
                if at >= 0 && (at as usize) < len { x[7 + plane * 300 + at as usize] } else { 0.0 }
            };
            let sum: f32 = (0..I).map(|i| <Six as strips::Matrix<I, 6>>::ROWS[row][i] * element(i)).sum();
            assert_eq!(*y, sum, "{isa:?}, {len} elements from {first}: plane {plane}, row {row}, tile {tile}");
        }
    }
}

#[test]
fn lines_are_spread() {
    spread_lines::<6, 2>();
    spread_lines::<6, 4>();
    spread_lines::<4, 2>();
    spread_lines::<4, 4>();
    spread_lines::<2, 2>();
}

fn collect_lines<const O: usize>()
where
    Six: strips::Matrix<6, O>,
{
    let (x, bias) = (numbers(2400, 1), [3.0, -2.0]);
    for (isa, len) in Isa::available().into_iter().flat_map(|isa| [1, 2, 31, 32, 64, 67, 150].map(|len| (isa, len))) {
        let (line, rows) = (Line { at: 7, len, plane: 300 }, Mixed { at: 1, row: 180, plane: 1200 });
        let mut y = vec![f32::NAN; 700];
        let mix = Finished { after: By(Six), bias: Some(&bias), relu: true };
        collect::<_, 6, O>(isa, mix, (&x, rows), (&mut y, line), 2);
        for (at, y) in y.iter().enumerate() {
            let place = at.checked_sub(7).map(|at| (at / 300, at % 300)).filter(|(plane, at)| *plane < 2 && *at < len);
            let Some((plane, at)) = place else {
                assert!(y.is_nan(), "{isa:?}: nothing else is written");
                continue;
            };
            let element = |i: usize| x[1 + plane * 1200 + i * 180 + at / O];
            let sum: f32 = (0..6).map(|i| <Six as strips::Matrix<6, O>>::ROWS[at % O][i] * element(i)).sum();
            assert_eq!(*y, (sum + bias[plane]).max(0.0), "{isa:?}, {len} elements of plane {plane}: element {at}");
        }
    }
}

#[test]
fn lines_are_collected() {
    collect_lines::<2>();
    collect_lines::<4>();
}

#[test]
fn a_relu_keeps_what_is_no_number() {
    for isa in Isa::available() {
        let (x, mut y) = ([f32::NAN, -0.5, 0.5, -f32::NAN, f32::NEG_INFINITY, 1.0, -1.0, 2.0, f32::NAN], [0.0; 9]);
        let rows = Rows { at: [Some(0)], step: 0, plane: 0 };
        pass(isa, Finished { after: Same, bias: None, relu: true }, (&x, rows), (&mut y, rows), [1, 1], [9; 2]);
        assert!(y[0].is_nan() && y[3].is_nan() && y[8].is_nan(), "{isa:?}: {y:?}");
        assert_eq!([y[1], y[2], y[4], y[5]], [0.0, 0.5, 0.0, 1.0], "{isa:?}");
    }
}

#[test]
fn products_of_every_shape_and_layout() {
    let sizes = [
        [1, 1, 1],
        [5, 3, 7],
        [33, 65, 17],
        [9, 33, 300],
        [70, 129, 64],
        [64, 50, 600],
        [130, 1000, 12],
        [37, 10, 700],
        [200, 200, 60],
        [390, 130, 350],
    ];
    for isa in Isa::available() {
        for [m, n, k] in sizes {
            for (ta, tb) in [(false, false), (false, true), (true, false), (true, true)] {
                let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
                let (ma, mb) = (Matrix::new(&a, m, k, ta), Matrix::new(&b, k, n, tb));
                let mut y = vec![f32::NAN; m * n];
                product(isa, [m, n, k], ma, mb, &mut y);
                let at = |m: &Matrix<'_>, i: usize, j: usize| m.x[i * m.row + j * m.column];
                for (i, y) in y.iter().enumerate() {
                    let sum: f32 = (0..k).map(|l| at(&ma, i / n, l) * at(&mb, l, i % n)).sum();
                    assert_eq!(*y, sum, "{isa:?}, {m}x{k}x{n}, transposed {ta} {tb}: element {}, {}", i / n, i % n);
                }
            }
        }
    }
}

#[test]
#[should_panic(expected = "too short")]
fn what_lies_outside_is_refused() {
    let mut y = [0.0; 64];
    outer(
        Isa::Portable,
        [4, 1],
        First::Packed(&[1.0; 12], 4),
        &[1.0; 10],
        Offsets::new(&[0, 2, 4]),
        Rectangle::new(&mut y, 8, [4, 8]),
        false,
    );
}

#[test]
fn instructions_that_are_unknown_are_refused() {
    assert_eq!(Isa::named("").ok(), Isa::available().first().copied());
    assert_eq!(Isa::named("portable").ok(), Some(Isa::Portable));
    let message = Isa::named("avx1024").unwrap_err().to_string();
    assert!(["GALEN_ISA", "portable", "avx1024"].iter().all(|part| message.contains(part)), "{message}");
}

#[test]
fn squares_are_turned() {
    let x = numbers(200, 1);
    for isa in Isa::available() {
        let mut y = vec![f32::NAN; 7 * 11 + SQUARE];
        turn(isa, &x[3..], 20, &mut y, 11);
        for (i, j) in (0..SQUARE).flat_map(|i| (0..SQUARE).map(move |j| (i, j))) {
            assert_eq!(y[j * 11 + i], x[3 + i * 20 + j], "{isa:?}: element {i}, {j}");
        }
        assert_eq!(
            y.iter().filter(|y| y.is_nan()).count(),
            y.len() - SQUARE * SQUARE,
            "{isa:?}: nothing else is written"
        );
    }
}

#[test]
fn tiles_of_a_rectangle_are_all_of_it_once() {
    use rayon::prelude::*;
    for (rows, columns, size) in [(1, 1, [3, 3]), (7, 10, [2, 4]), (8, 12, [8, 5]), (5, 6, [1, 6])] {
        let mut y = vec![0.0; rows * 13];
        Rectangle::new(&mut y, 13, [rows, columns]).tiles(size).for_each(|([i, j], mut tile)| {
            let [rows, columns] = tile.size();
            for row in 0..rows {
                tile.row(row).iter_mut().enumerate().for_each(|(c, y)| *y += ((i + row) * 100 + j + c + 1) as f32);
                assert_eq!(tile.row(row).len(), columns);
            }
        });
        for (at, y) in y.iter().enumerate() {
            let (row, column) = (at / 13, at % 13);
            let expected = if column < columns { (row * 100 + column + 1) as f32 } else { 0.0 };
            assert_eq!(*y, expected, "{rows}x{columns} in {size:?}: element {row}, {column}");
        }
    }
}

#[test]
#[should_panic(expected = "over the end")]
fn a_rectangle_lies_within_its_matrix() {
    Rectangle::new(&mut [0.0; 10], 4, [3, 3]);
}
