//! Gradients against finite differences, in f64.

use super::rows::Row;
use galen::Tensor;
use galen::contract::Threefry;
use galen::engine::Reference;

/// Elements of each input that are nudged; enough to meet every part of a kernel, since they are drawn at random.
const ELEMENTS: usize = 12;
const STEP: f64 = 1e-5;

/// Compares the gradient that the row's graph computes with finite differences, both in f64.
pub fn check(row: &Row) -> Result<(), String> {
    let case = super::build(row).map_err(|e| e.to_string())?;
    let truth = case.truth(false).map_err(|e| e.to_string())?;
    let count = case.fetch.len() - row.wrt.len();
    // The loss is Σ y · dy over the float outputs.
    let loss = |reference: &mut Reference| -> galen::Result<f64> {
        reference.run();
        let outputs = reference.outputs()?;
        let mut loss = 0.0;
        for (i, y) in outputs.iter().enumerate().take(count) {
            if let Some((_, Tensor::F32(dy))) = case.feeds.iter().find(|(name, _)| *name == format!("dy{i}")) {
                loss += y.iter().zip(dy).map(|(y, dy)| y * f64::from(*dy)).sum::<f64>();
            }
        }
        Ok(loss)
    };
    let mut reference = Reference::new(&case.graph, &case.fetch, 1).map_err(|e| e.to_string())?;
    let mut random = Threefry::new(3, 5);
    for (slot, &input) in row.wrt.iter().enumerate() {
        let gradient = &truth[count + slot];
        for _ in 0..ELEMENTS.min(gradient.len()) {
            let at = random.below(gradient.len() as u32) as usize;
            let mut difference = 0.0;
            for sign in [1.0, -1.0] {
                for (name, tensor) in &case.feeds {
                    let _ = reference.set(name, tensor.elements());
                }
                reference.nudge(&format!("x{input}"), at, sign * STEP).map_err(|e| e.to_string())?;
                difference += sign * loss(&mut reference).map_err(|e| e.to_string())?;
            }
            let (numeric, analytic) = (difference / (2.0 * STEP), gradient[at]);
            let largest = gradient.iter().fold(1e-2f64, |m, v| m.max(v.abs()));
            let close = (numeric - analytic).abs() <= 1e-6 * largest;
            if !close {
                return Err(format!("input {input}, element {at}: graph {analytic:e}, finite difference {numeric:e}"));
            }
        }
    }
    Ok(())
}
