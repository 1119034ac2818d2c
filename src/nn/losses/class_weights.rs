use crate::error::{Error, Result};

/// Refuses weights of classes that are not positive numbers.
pub(crate) fn check_class_weights(op: &str, weights: &[f32]) -> Result<()> {
    match weights.iter().enumerate().find(|(_, w)| !w.is_finite() || **w <= 0.0) {
        Some((class, weight)) => {
            let expected =
                "positive numbers (leave a class out of the data, or its label out of the loss: ignore_index)";
            Err(Error::parameter(op, "class weights", expected, format!("{weight} for class {class}")))
        }
        None => Ok(()),
    }
}
