//! The exact Euclidean distance transform in linear time. Source: P. Felzenszwalb, D. Huttenlocher, "Distance transforms of sampled
//! functions", Theory of Computing 8 (2012), with a spacing for each axis.

use rayon::prelude::*;

/// Lines that are read together: neighbours in memory, while a line itself is not.
const LINES: usize = 16;

/// The squared distance of every element to the nearest that is `true`, in row-major order, with the distance between neighbours along
/// each axis; ∞ where none is.
pub(super) fn squared_distances(points: &[bool], shape: &[usize], spacing: &[f64]) -> Vec<f64> {
    let mut now: Vec<f64> = points.iter().map(|p| if *p { 0.0 } else { f64::INFINITY }).collect();
    if now.is_empty() {
        return now;
    }
    let mut next = vec![0.0; now.len()];
    // Each pass works along the first axis and makes it the last one: after as many passes as axes they stand as they did.
    for (length, step) in shape.iter().zip(spacing) {
        let lines = now.len() / length;
        next.par_chunks_mut(LINES * length).enumerate().for_each_init(
            || Envelope::new(*length, *step),
            |envelope, (chunk, out)| {
                let first = chunk * LINES;
                let count = out.len() / length;
                for i in 0..*length {
                    for (j, value) in now[i * lines + first..][..count].iter().enumerate() {
                        out[j * length + i] = *value;
                    }
                }
                out.chunks_exact_mut(*length).for_each(|line| envelope.apply(line));
            },
        );
        std::mem::swap(&mut now, &mut next);
    }
    now
}

/// The lower envelope of parabolas `f(q) + (x − q)²`, one for each finite `f(q)`.
struct Envelope {
    step: f64,
    /// Where a parabola of the envelope stands, its height, and from where on it is the lowest.
    parabolas: Vec<(f64, f64, f64)>,
}

impl Envelope {
    fn new(length: usize, step: f64) -> Self {
        Envelope { step, parabolas: Vec::with_capacity(length) }
    }

    /// Replaces `f` by the minimum of all parabolas at each place.
    fn apply(&mut self, f: &mut [f64]) {
        self.parabolas.clear();
        for (i, height) in f.iter().enumerate().filter(|(_, h)| h.is_finite()) {
            let place = i as f64 * self.step;
            let mut from = f64::NEG_INFINITY;
            while let Some((p, h, since)) = self.parabolas.last() {
                // Where the new parabola begins to be the lower one.
                from = (place + p) / 2.0 + (height - h) / (2.0 * (place - p));
                if from > *since {
                    break;
                }
                self.parabolas.pop();
                from = f64::NEG_INFINITY;
            }
            self.parabolas.push((place, *height, from));
        }
        let mut k = 0;
        for (i, value) in f.iter_mut().enumerate() {
            let place = i as f64 * self.step;
            while self.parabolas.get(k + 1).is_some_and(|(_, _, since)| *since < place) {
                k += 1;
            }
            *value = self.parabolas.get(k).map_or(f64::INFINITY, |(p, h, _)| (place - p).powi(2) + h);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Threefry;

    #[test]
    fn the_transform_is_the_smallest_of_all_distances() {
        let mut random = Threefry::new(3, 1);
        for (shape, spacing) in
            [([1, 7, 5], [1.0, 1.0, 1.0]), ([9, 4, 21], [2.5, 0.7, 0.31]), ([5, 33, 2], [1e-3, 1.0, 40.0])]
        {
            let place = |i: usize| [i / (shape[1] * shape[2]), i / shape[2] % shape[1], i % shape[2]];
            let points: Vec<bool> = (0..shape.iter().product()).map(|_| random.below(9) == 0).collect();
            let found = squared_distances(&points, &shape, &spacing);
            for (i, d) in found.iter().enumerate() {
                let to = |j: usize| -> f64 {
                    (0..3).map(|a| (place(i)[a].abs_diff(place(j)[a]) as f64 * spacing[a]).powi(2)).sum()
                };
                let least = (0..points.len()).filter(|j| points[*j]).map(to).fold(f64::INFINITY, f64::min);
                assert!((d - least).abs() <= 1e-12 * least, "{shape:?} at {:?}: {d}, not {least}", place(i));
            }
        }
    }

    #[test]
    fn without_a_point_there_is_no_distance() {
        assert_eq!(squared_distances(&[false; 6], &[2, 3], &[1.0, 1.0]), [f64::INFINITY; 6]);
    }
}
