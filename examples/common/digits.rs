//! 1,797 handwritten digits inside the program, in the shape of MNIST, so that an example runs without any download.
//! An example takes them in with `#[path = "common/digits.rs"] mod digits;`. Where the files come from and under which
//! licence (CC BY 4.0) stands in `examples/data/README.md`.

use std::path::Path;

use galen::data::formats::idx::{Mnist, parse};
use galen::{Error, Result};
use ndarray::{Array3, ArrayD, Axis, Slice};

/// How many images at the end of the files are for testing.
const TEST: usize = 360;
/// Pixels along an edge of a stored image, and of an enlarged one.
const SMALL: usize = 8;
const LARGE: usize = 28;

/// The digits as MNIST would hold them: images of 28x28 pixels from 0 to 255, enlarged from 8x8 pixels from 0 to 16.
/// The last 360 in the order of the files are the test set, the 1,437 before them the training set.
///
/// # Errors
/// Those of the reader, and [`Error::Data`] where the two files do not belong together; only files that were changed
/// before the program was built can cause them.
pub fn load() -> Result<Mnist> {
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
    let images = enlarge(&images);
    let labels: Vec<u32> = labels.iter().map(|&label| u32::from(label)).collect();
    let train = count - TEST;
    let part = |slice| images.slice_axis(Axis(0), slice).to_owned().into_dyn();
    Ok(Mnist {
        train_images: part(Slice::from(..train)),
        train_labels: labels[..train].to_vec(),
        test_images: part(Slice::from(train..)),
        test_labels: labels[train..].to_vec(),
    })
}

/// Images `[n, 8, 8]` with pixels 0 to 16 as images `[n, 28, 28]` with pixels 0 to 255, bilinear between the centres of
/// the pixels and constant beyond the outermost centres (what TensorFlow's `image.resize` does). Integers throughout, so
/// that no machine rounds differently.
fn enlarge(images: &ArrayD<u8>) -> Array3<u8> {
    Array3::from_shape_fn((images.len_of(Axis(0)), LARGE, LARGE), |(n, row, column)| {
        let (y, x) = (source(row), source(column));
        let pixel = |y: usize, x: usize| u32::from(images[[n, y, x]]);
        let along = |y: usize| (14 - x.1) * pixel(y, x.0) + x.1 * pixel(y, next(x.0));
        let sum = (14 - y.1) * along(y.0) + y.1 * along(next(y.0));
        // `sum` is the pixel's value in units of 1/(14*14), and 16 becomes 255; half is added to round.
        let unit = 14 * 14 * 16;
        ((sum * 255 + unit / 2) / unit) as u8
    })
}

/// Where a pixel of the large image lies in the small one: the pixel before it, and how many 14ths of a pixel past that
/// one's centre. The centre of pixel `i` lies at `(i + 1/2) * 8/28 - 1/2 = (4i - 5) / 14`.
fn source(i: usize) -> (usize, u32) {
    let fourteenths = (4 * i).saturating_sub(5).min((SMALL - 1) * 14);
    (fourteenths / 14, (fourteenths % 14) as u32)
}

/// The pixel after `i`, or the last one.
fn next(i: usize) -> usize {
    (i + 1).min(SMALL - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digits_are_all_there() {
        let digits = load().unwrap();
        assert_eq!(digits.train_images.shape(), [1437, 28, 28]);
        assert_eq!(digits.test_images.shape(), [360, 28, 28]);
        assert_eq!(digits.train_labels[..11], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0]);
        // numpy.bincount of the last 360 labels of load_digits().
        let mut counts = [0; 10];
        digits.test_labels.iter().for_each(|&label| counts[label as usize] += 1);
        assert_eq!(counts, [35, 36, 35, 37, 37, 37, 37, 36, 33, 37]);
        // Sums of the same enlargement written in NumPy (float64), which agrees in every pixel.
        let sum = |images: &ArrayD<u8>| images.iter().map(|&pixel| u64::from(pixel)).sum::<u64>();
        assert_eq!((sum(&digits.train_images), sum(&digits.test_images)), (87_732_151, 21_933_766));
    }

    #[test]
    fn enlarging_keeps_corners_and_flat_images() {
        let mut images = ArrayD::from_elem(vec![2, SMALL, SMALL], 16);
        images[[1, 0, 0]] = 0;
        let large = enlarge(&images);
        assert!(large.index_axis(Axis(0), 0).iter().all(|&pixel| pixel == 255));
        assert_eq!((large[[1, 0, 0]], large[[1, 0, 1]], large[[1, 27, 27]]), (0, 0, 255));
        // Column 2 lies 3/14 of the way from the first centre to the second: 255 * 3/14 = 54.6.
        assert_eq!(large[[1, 0, 2]], 55);
    }
}
