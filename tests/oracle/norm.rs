//! `norm.json`: normalisations.

use galen::{Result, Var};

use super::case::{Given, y};

pub fn outputs(op: &str, given: &Given<'_>) -> Result<Vec<(&'static str, Var)>> {
    let (x, epsilon) = (given.var("x"), given.number("epsilon"));
    let gamma_beta = |shape: &[usize]| {
        let or = |name: &str, value: f32| match given.find(name) {
            Some(found) => Ok(found.clone()),
            None => given.graph.fill(shape, value),
        };
        Ok::<_, galen::Error>((or("gamma", 1.0)?, or("beta", 0.0)?))
    };
    let channels = [x.shape()[1]];
    let (gamma, beta) = gamma_beta(&channels)?;
    let found = match op {
        "batch_norm" => {
            let (y, mean, variance) = x.batch_norm(&gamma, &beta, epsilon)?;
            return Ok(vec![("y", y), ("mean", mean), ("variance", variance)]);
        }
        "batch_norm_inference" => x.batch_norm_with(&gamma, &beta, given.var("mean"), given.var("variance"), epsilon),
        "layer_norm" => {
            // Galen's op has one axis; several that come last are one.
            let (axes, shape) = (given.wholes("axes"), x.shape());
            assert_eq!(*axes, *Vec::from_iter(shape.len() - axes.len()..shape.len()), "the last axes");
            let n: usize = axes.iter().map(|axis| shape[*axis]).product();
            let rows = x.reshape([shape.elements() / n, n])?;
            rows.layer_norm(&gamma.reshape([n])?, &beta.reshape([n])?, epsilon)?.reshape(shape)
        }
        "group_norm" => x.group_norm(given.whole("groups"), &gamma, &beta, epsilon),
        "instance_norm" => x.group_norm(channels[0], &gamma, &beta, epsilon),
        _ => panic!("the test does not know the op \"{op}\""),
    };
    Ok(y(found?))
}
