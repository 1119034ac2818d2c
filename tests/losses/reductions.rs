//! How values become one number: means, weights, and what is ignored.

use galen::engine::Reference;
use galen::nn::*;
use galen::{DType, Graph, Tensor};

/// The reduced loss of logits `[4, 3]` for `labels`, with the weights of the samples, and its gradient.
fn reduced(loss: &dyn Loss, labels: [u32; 4], weights: Option<[f32; 4]>) -> (f64, Vec<f64>) {
    let run = || -> galen::Result<Vec<Vec<f64>>> {
        let graph = Graph::new();
        let (y, t) = (graph.input("y", [4, 3], DType::F32)?, graph.input("t", [4], DType::U32)?);
        let w = weights.map(|w| graph.constant([4], w)).transpose()?;
        let value = reduce(loss, &y, &t, w.as_ref())?;
        let gradient = graph.gradients(&value, std::slice::from_ref(&y))?.swap_remove(0);
        let mut reference = Reference::new(&graph, &[value, gradient], 1)?;
        let y = [0.5, -1.0, 2.0, 0.0, 1.0, 0.25, -0.5, 0.75, 1.5, 1.0, 1.0, -2.0];
        reference.set("y", Tensor::f32([4, 3], y.to_vec())?.elements())?;
        reference.set("t", Tensor::u32([4], labels.to_vec())?.elements())?;
        reference.run();
        reference.outputs()
    };
    let mut outputs = run().expect("a loss");
    let gradient = outputs.pop().expect("a gradient");
    (outputs[0][0], gradient)
}

fn near(a: f64, b: f64) {
    assert!((a - b).abs() <= 1e-9, "{a}, expected {b}");
}

#[test]
fn what_is_ignored_does_not_count_in_the_mean() {
    let loss = || CategoricalCrossEntropy::new().from_logits();
    let ignoring = || loss().ignore_index(7);
    // One by one, by weighting all others with 0.
    let one: Vec<f64> = (0..4)
        .map(|i| {
            let weights = std::array::from_fn(|j| if i == j { 1.0 } else { 0.0 });
            reduced(&loss().reduced(Reduction::Sum), [0, 1, 2, 1], Some(weights)).0
        })
        .collect();
    near(reduced(&loss(), [0, 1, 2, 1], None).0, one.iter().sum::<f64>() / 4.0);
    let labels = [0, 7, 2, 1];
    let (value, gradient) = reduced(&ignoring(), labels, None);
    near(value, (one[0] + one[2] + one[3]) / 3.0);
    assert_eq!(gradient[3..6], [0.0; 3]);
    near(reduced(&ignoring().reduced(Reduction::Sum), labels, None).0, one[0] + one[2] + one[3]);
    near(reduced(&ignoring().reduced(Reduction::WeightedMean), labels, None).0, (one[0] + one[2] + one[3]) / 3.0);
    let weights = Some([0.5, 9.0, 2.0, 0.0]);
    near(reduced(&ignoring(), labels, weights).0, (0.5 * one[0] + 2.0 * one[2]) / 3.0);
    let weighted = ignoring().reduced(Reduction::WeightedMean);
    near(reduced(&weighted, labels, weights).0, (0.5 * one[0] + 2.0 * one[2]) / 2.5);
    near(reduced(&loss().reduced(Reduction::WeightedMean), [0, 1, 2, 1], weights).0, {
        (0.5 * one[0] + 9.0 * one[1] + 2.0 * one[2]) / 11.5
    });
}

#[test]
fn a_batch_that_is_ignored_costs_nothing() {
    for reduction in [Reduction::Mean, Reduction::WeightedMean, Reduction::Sum] {
        let loss = CategoricalCrossEntropy::new().from_logits().ignore_index(7).reduced(reduction);
        for weights in [None, Some([1.0, 2.0, 0.0, 1.0])] {
            let (value, gradient) = reduced(&loss, [7; 4], weights);
            assert_eq!((value, gradient), (0.0, vec![0.0; 12]), "{reduction:?}");
        }
    }
}
