//! A convolution and the batch normalisation after it, made one op: see [`ConvNorm`].

use super::rewrite::{changes_state, live};
use super::{GraphData, NodeKind, Value};
use crate::contract::GpuTraits;
use crate::ops::Op;
use crate::ops::conv::ConvNorm;

/// Makes a convolution part of the normalisation of its result, whoever else sees that. For a GPU, where the convolution can tell the
/// moments of what it has in registers; on the CPU a channel is read again while it is near.
pub(super) fn fuse(data: &mut GraphData, fetch: &[Value], gpu: &GpuTraits) {
    let live = live(data, fetch);
    for index in (0..data.nodes.len()).filter(|index| live[*index]) {
        if let Some((op, conv)) = found(data, &live, fetch, gpu, index) {
            join(data, op, conv, index);
        }
    }
}

/// The op of the normalisation at `index`, and the convolution before it.
fn found(data: &GraphData, live: &[bool], fetch: &[Value], gpu: &GpuTraits, index: usize) -> Option<(ConvNorm, usize)> {
    let node = &data.nodes[index];
    let NodeKind::Op(Op::BatchNorm(norm)) = &node.kind else { return None };
    let z = node.inputs[0];
    let NodeKind::Op(Op::Conv(conv)) = &data.nodes[z.node].kind else { return None };
    let op = ConvNorm { conv: conv.clone(), norm: norm.clone() };
    let inputs: Vec<_> = inputs(data, z.node, index).iter().map(|value| data.spec(*value).clone()).collect();
    // The convolution then runs where the normalisation does: nobody may want its result before, and nothing that it reads may change.
    let early = (z.node + 1..index).any(|i| live[i] && data.nodes[i].inputs.contains(&z));
    let changes = data.nodes[z.node + 1..index].iter().any(changes_state);
    (!early && !changes && !fetch.contains(&z) && op.pays(&inputs, gpu)).then_some((op, z.node))
}

/// The inputs of a convolution and of the normalisation of its result.
fn inputs(data: &GraphData, conv: usize, norm: usize) -> Vec<Value> {
    [&data.nodes[conv].inputs, &data.nodes[norm].inputs[1..]].concat()
}

/// Makes the node `norm` both; who wants the result of `conv` gets it from there, and `conv` is dead.
fn join(data: &mut GraphData, op: ConvNorm, conv: usize, norm: usize) {
    let inputs = inputs(data, conv, norm);
    let z = data.nodes[conv].outputs[0].clone();
    let node = &mut data.nodes[norm];
    let (before, after) = (Value { node: conv, output: 0 }, Value { node: norm, output: node.outputs.len() });
    node.kind = NodeKind::Op(Op::ConvNorm(op));
    node.inputs = inputs;
    node.outputs.push(z);
    for node in &mut data.nodes[norm + 1..] {
        node.inputs.iter_mut().filter(|input| **input == before).for_each(|input| *input = after);
    }
}

#[cfg(test)]
mod tests {
    use crate::contract::GpuTraits;
    use crate::{DType, Graph, Plan, Result, Var};

    /// The ops of a training step of a convolution with batch normalisation and ReLU, in the order in which they run.
    fn steps(software: bool, batch: usize, peek: bool) -> Result<Vec<String>> {
        let graph = Graph::new();
        let input = |name: &str, shape: &[usize]| graph.input(name, shape, DType::F32);
        let (x, w, b) = (input("x", &[batch, 3, 28, 28])?, input("w", &[16, 3, 3, 3])?, input("b", &[16, 1, 1])?);
        let (gamma, beta) = (input("gamma", &[16])?, input("beta", &[16])?);
        let z = x.conv2d(&w, &crate::ops::conv::Conv2dOptions::new())?;
        let bias = b.reshape([16])?.reshape([16, 1, 1])?;
        let z = z.add(&bias)?;
        let y = z.batch_norm(&gamma, &beta, 1e-3)?.0.relu()?;
        let mut fetch: Vec<Var> = graph.gradients(&y.square()?.sum_all()?, &[w, gamma, beta])?;
        if peek {
            fetch.push(z);
        }
        let plan = Plan::new(&graph, &fetch, Some(&GpuTraits { software }))?;
        Ok(plan.steps.iter().map(|step| step.op.name().to_owned()).collect())
    }

    #[test]
    fn a_convolution_becomes_part_of_the_normalisation_after_it() -> Result<()> {
        let found = steps(false, 32, false)?;
        assert!(found.contains(&"conv_norm".to_owned()) && found.contains(&"batch_norm_grad".to_owned()), "{found:?}");
        assert!(
            !found.iter().any(|name| ["conv", "batch_norm", "unary", "binary"].contains(&name.as_str())),
            "{found:?}"
        );
        Ok(())
    }

    #[test]
    fn nothing_is_joined_where_it_does_not_pay_or_is_seen() -> Result<()> {
        // Software adapters have no tiles; one image is normalised in one pass; and somebody wants to see what lies between.
        for (software, batch, peek) in [(true, 32, false), (false, 1, false), (false, 32, true)] {
            let found = steps(software, batch, peek)?;
            assert!(!found.contains(&"conv_norm".to_owned()), "{software} {batch} {peek}: {found:?}");
        }
        Ok(())
    }
}
