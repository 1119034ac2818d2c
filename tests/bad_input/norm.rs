//! Normalisation and moving averages.

use galen::graph::Init;
use galen::nn::{BatchNorm, GroupNorm, InstanceNorm, Layer, LayerNorm, Network, Sequential};
use galen::{DType, Graph, Result, TensorSpec, Var};

use super::says;

/// A graph with `x` of `shape` and two tensors of `c` numbers.
fn given(shape: &[usize], c: usize) -> Result<(Graph, Var, Var, Var)> {
    let graph = Graph::new();
    let x = graph.input("x", shape, DType::F32)?;
    let (gamma, beta) = (graph.input("gamma", [c], DType::F32)?, graph.input("beta", [c], DType::F32)?);
    Ok((graph, x, gamma, beta))
}

#[test]
fn normalisation_names_what_does_not_fit() -> Result<()> {
    let (graph, x, gamma, beta) = given(&[4, 6, 5], 6)?;
    let ids = graph.input("ids", [4, 6], DType::U32)?;
    says(ids.batch_norm(&gamma, &beta, 1e-3), &["batch_norm", "f32", "u32[4, 6]"]);
    for epsilon in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-60, 1e60] {
        says(x.batch_norm(&gamma, &beta, epsilon), &["batch_norm", "epsilon", "positive"]);
        says(x.batch_norm_with(&gamma, &beta, &gamma, &beta, epsilon), &["batch_norm_infer", "epsilon"]);
        says(x.group_norm(2, &gamma, &beta, epsilon), &["group_norm", "epsilon"]);
    }
    for groups in [0, 4, 7, 12, usize::MAX] {
        says(x.group_norm(groups, &gamma, &beta, 1e-3), &["group_norm", "groups", "divisor of 6", &groups.to_string()]);
    }
    says(x.layer_norm(&gamma, &beta, 1e-3), &["gamma f32[5]", "f32[6]"]);
    let (_, x, gamma, beta) = given(&[4, 3], 6)?;
    says(x.batch_norm(&gamma, &beta, 1e-3), &["batch_norm", "gamma f32[3]", "f32[6]"]);
    says(x.batch_norm_with(&gamma, &beta, &gamma, &beta, 1e-3), &["batch_norm_infer", "gamma f32[3]", "f32[6]"]);
    says(x.group_norm(3, &gamma, &beta, 1e-3), &["group_norm", "gamma f32[3]", "f32[6]"]);
    let (_, x, gamma, beta) = given(&[6], 6)?;
    says(x.batch_norm(&gamma, &beta, 1e-3), &["batch_norm", "[batch, channels, ..]", "f32[6]"]);
    says(x.group_norm(1, &gamma, &beta, 1e-3), &["group_norm", "[batch, channels, ..]", "f32[6]"]);
    x.layer_norm(&gamma, &beta, 1e-3)?;
    let (_, x, gamma, beta) = given(&[], 1)?;
    says(x.layer_norm(&gamma, &beta, 1e-3), &["layer_norm", "at least one axis"]);
    Ok(())
}

#[test]
fn a_loss_of_the_batchs_own_statistics_has_no_gradient() -> Result<()> {
    let (graph, x, gamma, beta) = given(&[4, 3], 3)?;
    let (_, mean, variance) = x.batch_norm(&gamma, &beta, 1e-3)?;
    for statistic in [mean, variance] {
        says(graph.gradients(&statistic.sum_all()?, std::slice::from_ref(&x)), &["batch_norm", "mean or variance"]);
    }
    let y = x.batch_norm_with(&gamma, &beta, &gamma, &beta, 1e-3)?;
    let given = graph.input("variance", [3], DType::F32)?;
    let other = x.batch_norm_with(&gamma, &beta, &gamma, &given, 1e-3)?;
    says(graph.gradients(&y.add(&other)?.sum_all()?, &[given]), &["does not depend"]);
    Ok(())
}

#[test]
fn moving_averages_are_whole_arenas_with_a_share_per_block() -> Result<()> {
    let graph = Graph::new();
    let state = |name: &str, spec| graph.state(name, name, spec, Init::Constant(0.0));
    let average = state("average", TensorSpec::f32([128]))?;
    let (keep, clock) = (state("keep", TensorSpec::u32([2]))?, state("clock", TensorSpec::u32([8]))?);
    let value = graph.input("value", [128], DType::F32)?;
    average.moving_average(&value, &keep, &clock)?;
    says(average.moving_average(&value, &clock, &clock), &["moving_average", "u32[2]", "u32[8]"]);
    says(average.moving_average(&value, &keep, &keep), &["moving_average", "clock"]);
    says(value.moving_average(&average, &keep, &clock), &["moving_average", "state"]);
    let short = graph.input("short", [64], DType::F32)?;
    says(average.moving_average(&short, &keep, &clock), &["moving_average", "f32[128], f32[64]"]);
    let odd = state("odd", TensorSpec::f32([65]))?;
    says(odd.moving_average(&odd, &keep, &clock), &["moving_average", "multiple of 64"]);
    Ok(())
}

#[test]
fn layers_say_what_they_cannot_normalise() {
    fn refused(layer: impl Layer + 'static, shape: &[usize], parts: &[&str]) {
        says(Sequential::new(shape).with(layer).summary(), parts);
    }
    refused(GroupNorm::default(), &[48, 4, 4], &["layer \"group_norm\"", "groups", "divisor of 48", "32"]);
    refused(BatchNorm::new().momentum(1.5), &[3], &["layer \"batch_norm\"", "momentum", "[0, 1]", "1.5"]);
    refused(BatchNorm::new().epsilon(0.0), &[3], &["layer \"batch_norm\"", "epsilon", "positive"]);
    refused(LayerNorm::new().axes(0), &[3, 4], &["layer \"layer_norm\"", "axes", "from 1 to the 2", "0"]);
    refused(LayerNorm::new().axes(3), &[3, 4], &["layer \"layer_norm\"", "axes", "from 1 to the 2", "3"]);
    refused(InstanceNorm::new(), &[], &["layer \"instance_norm\"", "[batch, channels, ..]"]);
    refused(LayerNorm::new().over_channels(), &[], &["layer \"layer_norm\"", "[batch, channels, ..]"]);
    refused(BatchNorm::new().without_scale(), &[usize::MAX / 2, 3], &["elements"]);
}
