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
    let specs: Vec<_> = inputs(data, z.node, index).iter().map(|value| data.spec(*value).clone()).collect();
    // The convolution then runs where the normalisation does: nobody may want its result before, and nothing that it reads may change.
    let early = (z.node + 1..index).any(|i| live[i] && data.nodes[i].inputs.contains(&z));
    let changes = data.nodes[z.node + 1..index].iter().any(changes_state);
    (!early && !changes && !fetch.contains(&z) && op.pays(&specs, gpu)).then_some((op, z.node))
}

/// The inputs of a convolution and of the normalisation of its result.
fn inputs(data: &GraphData, conv: usize, norm: usize) -> Vec<Value> {
    [&data.nodes[conv].inputs, &data.nodes[norm].inputs[1..]].concat()
}

/// Makes the node `norm` both; who wants the result of `conv` gets it from there, and `conv` is dead.
fn join(data: &mut GraphData, op: ConvNorm, conv: usize, norm: usize) {
    let inputs = inputs(data, conv, norm);
    let (layer, z) = (data.nodes[conv].layer.clone(), data.nodes[conv].outputs[0].clone());
    let node = &mut data.nodes[norm];
    let (before, after) = (Value { node: conv, output: 0 }, Value { node: norm, output: node.outputs.len() });
    node.kind = NodeKind::Op(Op::ConvNorm(op));
    node.inputs = inputs;
    // The convolution is most of the work.
    node.layer = layer;
    node.outputs.push(z);
    for node in &mut data.nodes[norm + 1..] {
        node.inputs.iter_mut().filter(|input| **input == before).for_each(|input| *input = after);
    }
}

#[cfg(test)]
mod tests {
    use crate::contract::GpuTraits;
    use crate::{DType, Graph, Plan, Result, Var};

    /// A convolution with bias, batch normalisation and ReLU: what lies between, and what they give.
    struct Network {
        graph: Graph,
        parameters: Vec<Var>,
        z: Var,
        y: Var,
    }

    fn network(batch: usize) -> Result<Network> {
        let graph = Graph::new();
        let input = |name: &str, shape: &[usize]| graph.input(name, shape, DType::F32);
        let (x, w, b) = (input("x", &[batch, 3, 28, 28])?, input("w", &[16, 3, 3, 3])?, input("b", &[16])?);
        let (gamma, beta) = (input("gamma", &[16])?, input("beta", &[16])?);
        let z = graph
            .in_layer("conv", || x.conv2d(&w, &crate::ops::conv::Conv2dOptions::new())?.add(&b.reshape([16, 1, 1])?))?;
        let y = graph.in_layer("norm", || z.batch_norm(&gamma, &beta, 1e-3)?.0.relu())?;
        Ok(Network { graph, parameters: vec![w, b, gamma, beta], z, y })
    }

    fn plan(network: &Network, fetch: &[Var], software: bool) -> Result<Plan> {
        Plan::new(&network.graph, fetch, Some(&GpuTraits { software }))
    }

    fn names(plan: &Plan) -> Vec<&str> {
        plan.steps.iter().flat_map(|step| step.op.name().split('+')).collect()
    }

    #[test]
    fn a_convolution_becomes_part_of_the_normalisation_after_it() -> Result<()> {
        let network = network(32)?;
        let fetch = network.graph.gradients(&network.y.square()?.sum_all()?, &network.parameters)?;
        let plan = plan(&network, &fetch, false)?;
        let names = names(&plan);
        assert!(names.contains(&"conv_norm") && names.contains(&"batch_norm_grad"), "{names:?}");
        assert!(!names.iter().any(|name| ["conv", "batch_norm", "add", "relu"].contains(name)), "{names:?}");
        let joined = plan.steps.iter().find(|step| step.op.name() == "conv_norm");
        assert_eq!(
            joined.map(|step| &*step.layer),
            Some("conv"),
            "a profile tells its time as that of the convolution"
        );
        Ok(())
    }

    #[test]
    fn nothing_is_joined_where_it_does_not_pay() -> Result<()> {
        // Software adapters have no tiles, and one image is normalised in one pass.
        for (software, batch) in [(true, 32), (false, 1)] {
            let network = network(batch)?;
            let plan = plan(&network, std::slice::from_ref(&network.y), software)?;
            assert!(!names(&plan).contains(&"conv_norm"), "{:?}", names(&plan));
        }
        Ok(())
    }

    /// Who looks at the convolution's result afterwards finds it at its new place; who looks before, or fetches it, keeps it where it was.
    #[test]
    fn others_see_the_convolution_as_before() -> Result<()> {
        let joined = |fetch: &[Var], network: &Network| -> Result<bool> {
            Ok(names(&plan(network, fetch, false)?).contains(&"conv_norm"))
        };
        let n = network(32)?;
        let skip = n.y.add(&n.z)?;
        assert!(joined(&[skip, n.z.reshape([32, 16, 26 * 26])?], &n)?, "a skip connection and another shape");
        assert!(!joined(&[n.y.clone(), n.z.clone()], &n)?, "it is fetched");
        let n = network(32)?;
        let twice = n.z.batch_norm(&n.parameters[2], &n.parameters[3], 1e-3)?.0;
        assert!(joined(&[n.y.clone(), twice], &n)?, "two normalisations of one result: the first takes it");
        Ok(())
    }
}
