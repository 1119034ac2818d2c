//! Losses of numbers whose squares or exponentials are beyond `f32`, in `f32` on every device.

use galen::nn::*;
use galen::{DType, Graph, Session, Tensor};

/// The losses of these rows, and the gradient of their sum.
fn run(loss: &dyn Loss, y: &[[f32; 3]], t: &[[f32; 3]]) -> Vec<(Vec<f32>, Vec<f32>)> {
    let one = |device: &galen::Device| -> galen::Result<_> {
        let (graph, shape) = (Graph::new(), [y.len(), 3]);
        let (input, targets) = (graph.input("y", shape, DType::F32)?, graph.input("t", shape, DType::F32)?);
        let values = loss.values(&input, &targets)?;
        let gradient = graph.gradients(&values.sum_all()?, &[input])?.swap_remove(0);
        let mut session = Session::new(device, 0, None);
        let executable = session.compile(&graph, &[values, gradient])?;
        let tensor = |rows: &[[f32; 3]]| Tensor::f32(shape, rows.as_flattened().to_vec());
        let outputs = session.run(&executable, &[("y", &tensor(y)?), ("t", &tensor(t)?)])?;
        let floats = |t: &Tensor| Ok(t.clone().into_f32()?.iter().copied().collect());
        Ok((floats(&outputs[0])?, floats(&outputs[1])?))
    };
    crate::common::devices().iter().map(|device| one(device).unwrap_or_else(|e| panic!("{device}: {e}"))).collect()
}

#[test]
fn the_cosine_of_vectors_of_any_length() {
    let y = [
        [1e25, 0.0, 0.0],
        [1.0, 0.0, 0.0],
        [3e38, 3e38, 0.0],
        [-2e-6, 0.0, 0.0],
        [1e30, 1e-30, 1e30],
        [3e-5, 4e-5, 0.0],
        [0.0; 3],
        [1e-30, 0.0, 0.0],
    ];
    let t = [
        [1.0, 0.0, 0.0],
        [-1e25, 0.0, 0.0],
        [1e30, 0.0, 0.0],
        [0.0, 3e38, 0.0],
        [1.0, 0.0, 1.0],
        [3.0, 4.0, 0.0],
        [1.0, 2.0, 3.0],
        [1.0, 0.0, 0.0],
    ];
    // Lengths below 1e-6 count as that: a vector that short has hardly a direction, as one of zeros has none.
    let expected = [-1.0, 1.0, -std::f32::consts::FRAC_1_SQRT_2, 0.0, -1.0, -1.0, 0.0, 0.0];
    for (values, gradient) in run(&CosineSimilarity::new(), &y, &t) {
        for (i, (value, expected)) in values.iter().zip(expected).enumerate() {
            assert!((value - expected).abs() < 1e-6, "{:?} and {:?}: {value} for {expected}", y[i], t[i]);
        }
        assert!(gradient.iter().all(|g| g.is_finite()), "{gradient:?}");
        // Of zeros too there is a way to the target.
        assert!(gradient[18..21].iter().all(|g| *g < -1e5), "{gradient:?}");
    }
}

#[test]
fn the_hyperbolic_cosine_of_large_errors() {
    let y = [[2e38, -3e38, 1e-3], [100.0, -100.0, 0.0]];
    for (values, gradient) in run(&LogCosh::new(), &y, &[[0.0; 3]; 2]) {
        let ln2 = std::f32::consts::LN_2;
        for (value, expected) in values.iter().zip([2e38, 3e38, 5e-7, 100.0 - ln2, 100.0 - ln2, 0.0]) {
            assert!((value - expected).abs() <= 1e-6 * expected + 1.5e-7, "{value} for {expected}");
        }
        for (slope, expected) in gradient.iter().zip([1.0, -1.0, 1e-3, 1.0, -1.0, 0.0]) {
            assert!((slope - expected).abs() < 1e-6, "{slope} for {expected}");
        }
    }
}
