//! The data of the workloads, channels first: the digits that come with Galen, and what is drawn from a counter-based
//! generator. `workloads.py` has the same.

use std::f32::consts::TAU;
use std::io::Read;

use flate2::read::GzDecoder;

/// How many different batches a workload has; they are taken one after another, again and again.
pub const BATCHES: usize = 25;

/// The inputs of one batch after another, and the labels, or for W4 the masks' pixels (0 or 1).
pub struct Data {
    pub batch: usize,
    /// The shape of one sample.
    pub shape: Vec<usize>,
    pub x: Vec<f32>,
    pub y: Vec<i64>,
}

impl Data {
    /// The inputs and targets of batch `i`.
    pub fn batch(&self, i: usize) -> (&[f32], &[i64]) {
        (&self.x[part(&self.x, i)], &self.y[part(&self.y, i)])
    }
}

/// Where the elements of batch `i` stand.
fn part<T>(all: &[T], i: usize) -> std::ops::Range<usize> {
    let each = all.len() / BATCHES;
    i * each..(i + 1) * each
}

/// The data of a training workload, or nothing where there is none of that name.
pub fn training(workload: &str) -> Option<Data> {
    let (batch, shape): (usize, &[usize]) = match workload {
        "W1" => (32, &[784]),
        "W2" => (32, &[1, 28, 28]),
        "W3" => (64, &[1, 28, 28]),
        "W4" => (8, &[1, 64, 64]),
        "W5" => (64, &[1, 187]),
        _ => return None,
    };
    let count = batch * BATCHES;
    let (x, y) = match workload {
        "W4" => ellipses(count),
        "W5" => waves(count),
        _ => digits(count),
    };
    Some(Data { batch, shape: shape.to_vec(), x, y })
}

/// The shapes and the elements, between -1 and 1, of a product's two factors or of `conv2d`'s x, w and dy; nothing where
/// there is no workload of that name.
pub fn operands(workload: &str) -> Option<Vec<(Vec<usize>, Vec<f32>)>> {
    let shapes = match edge(workload) {
        Some(edge) => vec![vec![edge, edge]; 2],
        None if workload == "conv2d" => vec![vec![8, 32, 56, 56], vec![64, 32, 3, 3], vec![8, 64, 56, 56]],
        None => return None,
    };
    let drawn = shapes.into_iter().enumerate().map(|(i, shape)| {
        let elements = uniform(8 + i as u64, shape.iter().product()).map(|u| 2.0 * u - 1.0).collect();
        (shape, elements)
    });
    Some(drawn.collect())
}

/// Multiplications and additions of one step of W6.
pub fn flops(workload: &str) -> Option<f64> {
    match edge(workload) {
        Some(edge) => Some(2.0 * (edge as f64).powi(3)),
        None => (workload == "conv2d").then_some(3.0 * 2.0 * 8.0 * 56.0 * 56.0 * 64.0 * 32.0 * 9.0),
    }
}

/// The edge of the matrices of a product.
fn edge(workload: &str) -> Option<usize> {
    workload.strip_prefix("matmul").and_then(|edge| edge.parse().ok()).filter(|&edge| edge > 0)
}

/// `count` numbers in [0, 1): the first 24 bits of the outputs after the `seed << 32`th of SplitMix64 from state 0.
fn uniform(seed: u64, count: usize) -> impl Iterator<Item = f32> {
    (1..=count as u64).map(move |i| {
        let z = (seed << 32).wrapping_add(i).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1 << 24) as f32
    })
}

/// `count` images [28, 28] with values 0 to 1, and their labels: the 1,437 training digits in the order of the file, from
/// the beginning again where they end, enlarged as `examples/digits/set.rs` does.
fn digits(count: usize) -> (Vec<f32>, Vec<i64>) {
    const TRAINING: usize = 1437;
    let images = idx(include_bytes!("../../../../examples/data/digits-images-idx3-ubyte.gz"), 16);
    let labels = idx(include_bytes!("../../../../examples/data/digits-labels-idx1-ubyte.gz"), 8);
    // Where the centre of a large image's pixel lies in the small one: bilinear in between, constant at the edge.
    let place = |i: usize| {
        let at = ((i as f32 + 0.5) * 8.0 / 28.0 - 0.5).clamp(0.0, 7.0);
        let low = at as usize;
        (low, (low + 1).min(7), at - low as f32)
    };
    let mut x = Vec::with_capacity(count * 784);
    for i in 0..count {
        let image = &images[i % TRAINING * 64..][..64];
        for row in 0..28 {
            let (above, below, down) = place(row);
            for column in 0..28 {
                let (left, right, across) = place(column);
                let along = |r: usize| {
                    f32::from(image[r * 8 + left]) * (1.0 - across) + f32::from(image[r * 8 + right]) * across
                };
                x.push((along(above) * (1.0 - down) + along(below) * down) / 16.0);
            }
        }
    }
    (x, (0..count).map(|i| i64::from(labels[i % TRAINING])).collect())
}

/// The bytes of a gzipped IDX file after its header.
fn idx(file: &[u8], header: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    GzDecoder::new(file).read_to_end(&mut bytes).expect("the digits are a gzip file");
    bytes.split_off(header)
}

/// `count` noisy images [64, 64] with one bright ellipse each, and its mask (W4).
fn ellipses(count: usize) -> (Vec<f32>, Vec<i64>) {
    let drawn: Vec<f32> = uniform(4, count * 4).collect();
    let mut noise = uniform(5, count * 64 * 64);
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for drawn in drawn.chunks(4) {
        let (centre_y, centre_x) = (16.0 + 32.0 * drawn[0], 16.0 + 32.0 * drawn[1]);
        let (height, width) = (6.0 + 10.0 * drawn[2], 6.0 + 10.0 * drawn[3]);
        for pixel in 0..64 * 64 {
            let (row, column) = ((pixel / 64) as f32, (pixel % 64) as f32);
            let inside = ((row - centre_y) / height).powi(2) + ((column - centre_x) / width).powi(2) < 1.0;
            x.push(0.25 + 0.25 * f32::from(u8::from(inside)) + 0.5 * noise.next().expect("one number for each pixel"));
            y.push(i64::from(inside));
        }
    }
    (x, y)
}

/// `count` noisy waves [187] and their class, 0 to 4: two periods more for each class (W5).
fn waves(count: usize) -> (Vec<f32>, Vec<i64>) {
    let mut noise = uniform(7, count * 187);
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for (i, phase) in uniform(6, count).enumerate() {
        let label = i % 5;
        for t in 0..187 {
            let wave = (TAU * ((2 * label + 3) as f32 * t as f32 / 187.0 + phase)).sin();
            x.push(wave + 4.0 * (noise.next().expect("one number for each sample") - 0.5));
        }
        y.push(label as i64);
    }
    (x, y)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The elements' sums, plain and weighted by place, and the targets', as `workloads.py` makes them.
    #[test]
    fn the_data_are_those_of_the_programs_in_python() {
        for (workload, sum, weighted, targets) in [
            ("W1", 192_733.842, 97_612_324.4, 3575),
            ("W3", 382_689.231, 193_760_275.3, 7183),
            ("W4", 429_132.598, 216_217_746.6, 79_220),
            ("W5", -820.045, -400_281.7, 3200),
        ] {
            let data = training(workload).expect("a training workload");
            let x = || data.x.iter().map(|&x| f64::from(x));
            let weigh = |(i, x): (usize, f64)| (i % 1009) as f64 * x;
            assert!((x().sum::<f64>() - sum).abs() < 0.1, "{workload}: {}", x().sum::<f64>());
            let found: f64 = x().enumerate().map(weigh).sum();
            assert!((found - weighted).abs() < 20.0, "{workload}: {found}");
            assert_eq!(data.y.iter().sum::<i64>(), targets, "{workload}");
        }
    }

    #[test]
    fn operands_are_even_between_minus_one_and_one() {
        let operands = operands("conv2d").expect("three operands");
        for (shape, elements) in operands {
            assert_eq!(elements.len(), shape.iter().product::<usize>());
            let mean_square = elements.iter().map(|x| x * x).sum::<f32>() / elements.len() as f32;
            assert!((mean_square - 1.0 / 3.0).abs() < 0.01, "{shape:?}: {mean_square}");
        }
    }
}
