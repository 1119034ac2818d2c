//! The numbers that a piece of state begins with: made on the host, so that they are the same on every device.

use ndarray::Array1;

use crate::contract::{Threefry, stream_of};
use crate::error::Result;
use crate::graph::{Init, SlotSpec};
use crate::host;
use crate::shape::DType;
use crate::tensor::Tensor;

/// The initial values of a slot, flat: a function of the seed and the slot's name.
///
/// # Errors
/// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
pub(crate) fn initial_values(seed: u64, slot: &SlotSpec) -> Result<Tensor> {
    let mut random = Threefry::new(seed, stream_of(&slot.name));
    let n = slot.spec.shape.elements();
    let what = format!("the initial values of \"{}\"", slot.name);
    let values: Vec<f32> = match &slot.init {
        Init::Constant(c) => host::filled(n, *c, &what)?,
        Init::Uniform(low, high) => drawn(n, &what, || low + (high - low) * random.uniform())?,
        Init::Normal(mean, deviation) => drawn(n, &what, || mean + deviation * random.normal())?,
        Init::TruncatedNormal(mean, deviation) => drawn(n, &what, || mean + deviation * truncated(&mut random))?,
        Init::Orthogonal(gain) => {
            let rows = slot.spec.shape.first().copied().unwrap_or(1);
            orthogonal(&mut random, rows, n, *gain, &what)?
        }
        Init::Values(values) => host::copied(values, &what)?,
        Init::Words(words) => return Ok(Array1::from(host::copied(words, &what)?).into()),
    };
    Ok(match slot.spec.dtype {
        DType::F32 => Array1::from(values).into(),
        DType::U32 => Array1::from(host::collected(values.iter().map(|v| *v as u32), &what)?).into(),
        DType::U8 => Array1::from(host::collected(values.iter().map(|v| *v as u8), &what)?).into(),
    })
}

fn drawn(n: usize, what: &str, mut draw: impl FnMut() -> f32) -> Result<Vec<f32>> {
    host::collected((0..n).map(|_| draw()), what)
}

/// Standard normal within two standard deviations.
fn truncated(random: &mut Threefry) -> f32 {
    loop {
        let x = random.normal();
        if x.abs() <= 2.0 {
            return x;
        }
    }
}

/// A matrix of `rows` rows and `n` elements whose rows are orthonormal, or its columns where there are fewer of them, times `gain`.
/// Distributed uniformly: Gram and Schmidt's orthogonalisation of normal vectors, twice over for its digits.
fn orthogonal(random: &mut Threefry, rows: usize, n: usize, gain: f32, what: &str) -> Result<Vec<f32>> {
    let columns = n / rows.max(1);
    let (count, len) = (rows.min(columns), rows.max(columns));
    let mut vectors: Vec<Vec<f64>> = host::room(count, what)?;
    while vectors.len() < count {
        let mut v = host::collected((0..len).map(|_| f64::from(random.normal())), what)?;
        for _ in 0..2 {
            for u in &vectors {
                let along: f64 = u.iter().zip(&v).map(|(u, v)| u * v).sum();
                v.iter_mut().zip(u).for_each(|(v, u)| *v -= along * u);
            }
        }
        let norm = v.iter().map(|v| v * v).sum::<f64>().sqrt();
        // A vector that happens to lie in the span of the others is drawn again.
        if norm > 1e-6 {
            v.iter_mut().for_each(|v| *v /= norm);
            vectors.push(v);
        }
    }
    let at = |row: usize, column: usize| if rows <= columns { vectors[row][column] } else { vectors[column][row] };
    host::collected((0..n).map(|i| (f64::from(gain) * at(i / columns, i % columns)) as f32), what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::TensorSpec;

    fn values(init: Init, shape: [usize; 2]) -> Vec<f32> {
        let slot = SlotSpec { name: "w".into(), spec: TensorSpec::f32(shape), offset: 0, init };
        match initial_values(3, &slot).expect("memory") {
            Tensor::F32(x) => x.iter().copied().collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn rows_or_columns_of_an_orthogonal_matrix_are_orthonormal() {
        for [rows, columns] in [[3, 7], [7, 3], [5, 5], [1, 4]] {
            let w = values(Init::Orthogonal(2.0), [rows, columns]);
            let at = |r: usize, c: usize| f64::from(w[r * columns + c]);
            let short = rows.min(columns);
            for a in 0..short {
                for b in 0..short {
                    let dot: f64 = match rows <= columns {
                        true => (0..columns).map(|c| at(a, c) * at(b, c)).sum(),
                        false => (0..rows).map(|r| at(r, a) * at(r, b)).sum(),
                    };
                    let expected = if a == b { 4.0 } else { 0.0 };
                    assert!((dot - expected).abs() < 1e-5, "{rows}x{columns} ({a}, {b}): {dot}");
                }
            }
        }
    }

    #[test]
    fn a_truncated_normal_stays_within_two_deviations() {
        let w = values(Init::TruncatedNormal(1.0, 0.5), [100, 100]);
        assert!(w.iter().all(|w| (w - 1.0).abs() <= 1.0));
        let (mean, n) = (w.iter().map(|w| f64::from(*w)).sum::<f64>() / 1e4, 1e4);
        let variance = w.iter().map(|w| (f64::from(*w) - mean).powi(2)).sum::<f64>() / n;
        assert!((mean - 1.0).abs() < 0.02 && (variance.sqrt() - 0.5 * 0.8796).abs() < 0.02, "{mean} {variance}");
    }
}
