//! Rewrites that keep a graph's meaning. [`stabilise`] runs before differentiation; [`fuse`] and [`live`] when a plan is made,
//! on the plan's own copy of the graph.

use std::collections::HashMap;

use super::{Graph, GraphData, Node, NodeKind, Value};
use crate::ops::Op;
use crate::ops::batch_norm::BatchNormGrad;
use crate::ops::binary::BinaryFn;
use crate::ops::binary_cross_entropy::BinaryCrossEntropy;
use crate::ops::conv::Conv;
use crate::ops::cross_entropy::CrossEntropy;
use crate::ops::unary::UnaryFn;
use crate::shape::Shape;

/// Cross-entropy of softmax's output becomes cross-entropy of softmax's input, which neither overflows nor loses the digits of
/// small probabilities, and whose gradient is `softmax − target`; and so does binary cross-entropy of the sigmoid's output.
pub(super) fn stabilise(graph: &Graph) {
    let mut data = graph.0.borrow_mut();
    for index in 0..data.nodes.len() {
        let node = &data.nodes[index];
        let NodeKind::Op(loss) = &node.kind else { continue };
        let Some(source) = node.inputs.first().map(|scores| &data.nodes[scores.node]) else { continue };
        let NodeKind::Op(activation) = &source.kind else { continue };
        let stable = match (loss, activation) {
            (Op::CrossEntropy(loss), Op::Softmax(softmax)) => {
                let same = !loss.from_logits && !softmax.log && softmax.axis == loss.axis;
                same.then(|| Op::CrossEntropy(CrossEntropy { from_logits: true, ..loss.clone() }))
            }
            (Op::BinaryCrossEntropy(loss), Op::Unary(unary)) => {
                let same = !loss.from_logits && unary.function == UnaryFn::Sigmoid;
                same.then_some(Op::BinaryCrossEntropy(BinaryCrossEntropy { from_logits: true }))
            }
            _ => None,
        };
        if let Some(stable) = stable {
            let logits = source.inputs[0];
            data.nodes[index].kind = NodeKind::Op(stable);
            data.nodes[index].inputs[0] = logits;
        }
    }
}

/// Bias, residual and ReLU after a matrix product or a convolution become part of it, where nothing else sees what lies between, and no state
/// changes there: one pass over memory instead of three. What was fused is dead afterwards.
pub(super) fn fuse(data: &mut GraphData, fetch: &[Value]) {
    let uses = uses(data, fetch);
    for index in 0..data.nodes.len() {
        let node = &data.nodes[index];
        let fused = match &node.kind {
            NodeKind::Op(Op::Binary(op)) if op.function == BinaryFn::Add => {
                with_bias(data, index, &uses).or_else(|| with_residual(data, index, &uses))
            }
            NodeKind::Op(Op::Unary(op)) if op.function == UnaryFn::Relu => {
                if let Some(norm) = normalised(data, index, &uses) {
                    join_relu(data, norm, index);
                    continue;
                }
                with_relu(data, index, &uses)
            }
            NodeKind::Op(Op::BatchNormGrad(op)) if !op.relu => masked(data, index, &uses),
            _ => None,
        };
        if let Some((op, inputs)) = fused {
            data.nodes[index].kind = NodeKind::Op(op);
            data.nodes[index].inputs = inputs;
        }
    }
}

/// How many live nodes and fetches use each value.
fn uses(data: &GraphData, fetch: &[Value]) -> HashMap<Value, usize> {
    let live = live(data, fetch);
    let inputs = data.nodes.iter().zip(&live).filter(|(_, live)| **live).flat_map(|(node, _)| &node.inputs);
    let mut uses = HashMap::new();
    for value in inputs.chain(fetch) {
        *uses.entry(*value).or_default() += 1;
    }
    uses
}

/// The op behind a value that has one use only.
///
/// None where an op between it and `index` changes state: what is computed later must not read what was written meanwhile.
fn sole<'a>(
    data: &'a GraphData,
    value: Value,
    index: usize,
    uses: &HashMap<Value, usize>,
) -> Option<(&'a Op, &'a [Value])> {
    let between = data.nodes.get(value.node + 1..index)?;
    match &data.nodes[value.node].kind {
        NodeKind::Op(op) if uses.get(&value) == Some(&1) && !between.iter().any(changes_state) => {
            Some((op, &data.nodes[value.node].inputs))
        }
        _ => None,
    }
}

pub(super) fn changes_state(node: &Node) -> bool {
    matches!(&node.kind, NodeKind::Op(op) if !op.writes().is_empty())
}

/// The addition at `index` as a product or convolution with bias, if it is one.
fn with_bias(data: &GraphData, index: usize, uses: &HashMap<Value, usize>) -> Option<(Op, Vec<Value>)> {
    let [product, bias] = data.nodes[index].inputs[..] else { return None };
    let (op, inputs) = sole(data, product, index, uses)?;
    let shape = &data.spec(product).shape;
    let bias = match op {
        Op::Matmul(m) if !m.relu && inputs.len() == 2 && *data.spec(bias).shape == shape[shape.len() - 1..] => bias,
        // A bias per channel is added as [channels, 1, ..]; the convolution takes it as [channels].
        Op::Conv(c) if !c.relu && !c.residual && inputs.len() == 2 && per_channel(&data.spec(bias).shape, shape) => {
            let node = &data.nodes[bias.node];
            let flat = *node.inputs.first().filter(|_| matches!(node.kind, NodeKind::Reshape))?;
            Some(flat).filter(|v| *data.spec(*v).shape == [shape[1]])?
        }
        _ => return None,
    };
    Some((op.clone(), vec![inputs[0], inputs[1], bias]))
}

/// The addition at `index` as a convolution with what is added to it, if it is one.
fn with_residual(data: &GraphData, index: usize, uses: &HashMap<Value, usize>) -> Option<(Op, Vec<Value>)> {
    let [a, b] = data.nodes[index].inputs[..] else { return None };
    [(a, b), (b, a)].into_iter().find_map(|(product, residual)| match sole(data, product, index, uses)? {
        (Op::Conv(c), inputs) if !c.relu && !c.residual && data.spec(product) == data.spec(residual) => {
            let inputs = inputs.iter().copied().chain([residual]).collect();
            Some((Op::Conv(Conv { residual: true, ..c.clone() }), inputs))
        }
        _ => None,
    })
}

/// Whether `bias` has one element for each channel of `y` `[batch, channels, spatial..]`, and as many ones as spatial axes.
fn per_channel(bias: &Shape, y: &Shape) -> bool {
    bias.len() == y.len() - 1 && bias[0] == y[1] && bias[1..].iter().all(|extent| *extent == 1)
}

/// The ReLU at `index` as a product or convolution with ReLU, if it is one.
fn with_relu(data: &GraphData, index: usize, uses: &HashMap<Value, usize>) -> Option<(Op, Vec<Value>)> {
    let (op, inputs) = sole(data, data.nodes[index].inputs[0], index, uses)?;
    let mut op = op.clone();
    match &mut op {
        Op::Matmul(m) if !m.relu => m.relu = true,
        Op::Conv(c) if !c.relu => c.relu = true,
        _ => return None,
    }
    Some((op, inputs.to_vec()))
}

/// The batch normalisation that the ReLU at `index` follows, if nothing else sees what lies between.
fn normalised(data: &GraphData, index: usize, uses: &HashMap<Value, usize>) -> Option<usize> {
    let value = data.nodes[index].inputs[0];
    let plain = match &data.nodes[value.node].kind {
        NodeKind::Op(Op::BatchNorm(op)) => !op.relu,
        NodeKind::Op(Op::BatchNormInfer(op)) => !op.relu,
        _ => false,
    };
    (plain && value.output == 0 && uses.get(&value) == Some(&1)).then_some(value.node)
}

/// Makes the ReLU at `index` part of the normalisation `norm`, whose other outputs may be used anywhere: it stays as another name
/// for the result.
fn join_relu(data: &mut GraphData, norm: usize, index: usize) {
    match &mut data.nodes[norm].kind {
        NodeKind::Op(Op::BatchNorm(op)) => op.relu = true,
        NodeKind::Op(Op::BatchNormInfer(op)) => op.relu = true,
        _ => return,
    }
    data.nodes[index].kind = NodeKind::Reshape;
}

/// The gradient of a batch normalisation at `index` as one that does the gradient of the ReLU after it too, if there is one.
fn masked(data: &GraphData, index: usize, uses: &HashMap<Value, usize>) -> Option<(Op, Vec<Value>)> {
    let inputs = &data.nodes[index].inputs;
    let (Op::UnaryGrad(relu), from) = sole(data, inputs[3], index, uses)? else { return None };
    let NodeKind::Op(Op::BatchNormGrad(op)) = &data.nodes[index].kind else { return None };
    if relu.function != UnaryFn::Relu {
        return None;
    }
    let op = BatchNormGrad { relu: true, ..op.clone() };
    Some((Op::BatchNormGrad(op), vec![inputs[0], inputs[1], inputs[2], from[2], from[1]]))
}

/// Which nodes a plan needs: those that `fetch` depends on, and those with effects.
pub(super) fn live(data: &GraphData, fetch: &[Value]) -> Vec<bool> {
    let mut live = vec![false; data.nodes.len()];
    for value in fetch {
        live[value.node] = true;
    }
    for index in (0..data.nodes.len()).rev() {
        let node = &data.nodes[index];
        if changes_state(node) {
            live[index] = true;
        }
        if live[index] {
            for value in &node.inputs {
                live[value.node] = true;
            }
        }
    }
    live
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::GpuTraits;
    use crate::{DType, Plan, Result, Var};

    fn network(with_softmax: bool, axis: isize, targets: DType) -> Result<(Graph, Var, Var)> {
        let graph = Graph::new();
        let logits = graph.input("logits", [4, 3, 5], DType::F32)?;
        let targets = match targets {
            DType::U32 => graph.input("targets", [4, 5], targets)?,
            _ => graph.input("targets", [4, 3, 5], targets)?,
        };
        let scores = if with_softmax { logits.softmax(axis)? } else { logits.clone() };
        let loss = scores.cross_entropy(&targets, 1, !with_softmax)?.mean_all()?;
        Ok((graph, logits, loss))
    }

    fn what_runs(with_softmax: bool, axis: isize, targets: DType) -> Result<String> {
        let (graph, logits, loss) = network(with_softmax, axis, targets)?;
        let gradient = graph.gradients(&loss, &[logits])?.swap_remove(0);
        Ok(Plan::new(&graph, &[loss, gradient], Some(&GpuTraits { software: false }))?.describe())
    }

    #[test]
    fn softmax_and_cross_entropy_become_cross_entropy_from_logits() -> Result<()> {
        for targets in [DType::F32, DType::U32] {
            let from_logits = what_runs(false, 1, targets)?;
            assert!(!from_logits.contains("softmax"), "{from_logits}");
            assert_eq!(what_runs(true, 1, targets)?, from_logits);
        }
        Ok(())
    }

    #[test]
    fn a_softmax_along_another_axis_stays() -> Result<()> {
        let text = what_runs(true, 2, DType::F32)?;
        assert!(text.contains("softmax_grad"), "{text}");
        Ok(())
    }

    #[test]
    fn sigmoid_and_binary_cross_entropy_become_that_of_logits() -> Result<()> {
        let what_runs = |with_sigmoid: bool| -> Result<String> {
            let graph = Graph::new();
            let logits = graph.input("logits", [4, 3], DType::F32)?;
            let targets = graph.input("targets", [4, 3], DType::F32)?;
            let scores = if with_sigmoid { logits.sigmoid()? } else { logits.clone() };
            let loss = scores.binary_cross_entropy(&targets, !with_sigmoid)?.mean_all()?;
            let gradient = graph.gradients(&loss, &[logits])?.swap_remove(0);
            Ok(Plan::new(&graph, &[loss, gradient], Some(&GpuTraits { software: false }))?.describe())
        };
        let from_logits = what_runs(false)?;
        assert!(!from_logits.contains("sigmoid"), "{from_logits}");
        assert_eq!(what_runs(true)?, from_logits);
        Ok(())
    }

    #[test]
    fn the_rewritten_node_is_the_one_that_logits_give() -> Result<()> {
        let (graph, ..) = network(true, 1, DType::F32)?;
        stabilise(&graph);
        let (plain, ..) = network(false, 1, DType::F32)?;
        let loss = |graph: &Graph| {
            let data = graph.data();
            let node = data.nodes.iter().find(|n| matches!(n.kind, NodeKind::Op(Op::CrossEntropy(_)))).cloned();
            format!("{node:?}")
        };
        assert_eq!(loss(&graph), loss(&plain));
        Ok(())
    }

    /// Dense layers with ReLU, trained: what the backward pass needs of them survives the fusion.
    fn fused_steps(bias: bool, peek: bool) -> Result<Vec<String>> {
        let graph = Graph::new();
        let x = graph.input("x", [4, 3], DType::F32)?;
        let w = graph.parameter("w", [3, 5], crate::graph::Init::Normal(0.0, 1.0))?;
        let b = graph.parameter("b", [5], crate::graph::Init::Constant(0.5))?;
        let product = x.matmul(&w)?;
        let y = if bias { product.add(&b)? } else { product.clone() }.relu()?;
        let gradients = graph.gradients(&y.square()?.sum_all()?, std::slice::from_ref(&w))?;
        let fetch = if peek { vec![gradients[0].clone(), product] } else { gradients };
        Ok(Plan::new(&graph, &fetch, None)?.steps.iter().map(|s| s.op.name().to_owned()).collect())
    }

    /// `w` changes between the product and its ReLU: the product must have been computed by then.
    #[test]
    fn nothing_is_fused_across_a_change_of_state() -> Result<()> {
        let graph = Graph::new();
        let one = crate::graph::Init::Constant(1.0);
        let state = |arena: &str, spec| graph.state(arena, arena, spec, one.clone());
        let (w, g) = (state("w", crate::TensorSpec::f32([64]))?, state("g", crate::TensorSpec::f32([64]))?);
        let clock = graph.state("clock", "clock", crate::TensorSpec::u32([8]), crate::graph::Init::Constant(0.0))?;
        let rates = crate::graph::Init::Words([0, 1f32.to_bits()].into());
        let schedule = graph.state("schedule", "schedule", crate::TensorSpec::u32([2]), rates)?;
        let groups = crate::graph::Init::Words(crate::contract::blocks::table(&[[1.0, 0.0]], &[0]).into());
        let groups = graph.state("groups", "groups", crate::TensorSpec::u32([3]), groups)?;
        let product = w.reshape([8, 8])?.matmul(&w.reshape([8, 8])?)?;
        let rule = crate::ops::update::Rule::Sgd { momentum: 0.0, nesterov: false };
        w.update(crate::ops::update::Update { rule, every: 1 }, &[], &g, &clock, &schedule, &groups)?;
        let y = product.relu()?;
        let mut session = crate::Session::new(&crate::Device::cpu_with_threads(1)?, 0, None);
        let run = session.compile(&graph, &[y])?;
        let y = session.run(&run, &[])?.swap_remove(0).into_f32()?;
        assert!(y.iter().all(|y| *y == 8.0), "{y}");
        Ok(())
    }

    /// A batch normalisation with ReLU, trained: neither pass has a ReLU of its own, and the bits are those of the ops one by one.
    #[test]
    fn relu_becomes_part_of_batch_normalisation() -> Result<()> {
        let graph = Graph::new();
        let x = graph.input("x", [5, 3, 7], DType::F32)?;
        let (gamma, beta) = (graph.input("gamma", [3], DType::F32)?, graph.input("beta", [3], DType::F32)?);
        let (normalised, mean, _) = x.batch_norm(&gamma, &beta, 1e-3)?;
        let y = normalised.relu()?;
        let loss = y.square()?.sum_all()?;
        let gradients = graph.gradients(&loss, &[x, gamma, beta])?;
        let tensor = |shape: &[usize]| {
            let n = shape.iter().product::<usize>();
            crate::Tensor::f32(shape, (0..n).map(|i| ((i * 37 % 23) as f32 - 10.0) * 0.3).collect())
        };
        let inputs = [("x", tensor(&[5, 3, 7])?), ("gamma", tensor(&[3])?), ("beta", tensor(&[3])?)];
        let run = |fetch: &[Var]| -> Result<_> {
            let mut session = crate::Session::new(&crate::Device::cpu_with_threads(1)?, 0, None);
            let run = session.compile(&graph, fetch)?;
            let names: Vec<String> = run.plan().steps.iter().map(|s| s.op.name().to_owned()).collect();
            let inputs: Vec<(&str, &crate::Tensor)> = inputs.iter().map(|(name, tensor)| (*name, tensor)).collect();
            let outputs = session.run(&run, &inputs)?.into_iter().take(5);
            let bits =
                |t: crate::Tensor| -> Result<Vec<u32>> { Ok(t.into_f32()?.iter().map(|v| v.to_bits()).collect()) };
            Ok((names, outputs.map(bits).collect::<Result<Vec<_>>>()?))
        };
        let mut fetch = vec![y, mean];
        fetch.extend(gradients);
        let (names, joined) = run(&fetch)?;
        assert!(!names.iter().any(|name| name.contains("relu")), "{names:?}");
        // What is fetched must be computed as it is.
        fetch.push(normalised);
        let masks: Vec<Var> = (0..graph.data().nodes.len())
            .filter(|node| matches!(graph.data().nodes[*node].kind, NodeKind::Op(Op::UnaryGrad(_))))
            .map(|node| Var { graph: graph.clone(), value: Value { node, output: 0 } })
            .collect();
        fetch.extend(masks);
        let (names, apart) = run(&fetch)?;
        assert!(names.iter().any(|name| name == "relu"), "{names:?}");
        assert_eq!(joined, apart);
        Ok(())
    }

    #[test]
    fn bias_and_relu_become_part_of_the_product() -> Result<()> {
        for bias in [true, false] {
            let steps = fused_steps(bias, false)?;
            assert!(!steps.iter().any(|s| s.split('+').any(|op| op == "add" || op == "relu")), "{steps:?}");
        }
        let steps = fused_steps(true, true)?;
        assert!(
            steps.iter().any(|s| s.starts_with("add+relu")),
            "a product that is fetched must be computed as it is: {steps:?}"
        );
        Ok(())
    }

    /// A residual sum and its ReLU become part of the convolution before them; what is fetched between stays.
    #[test]
    fn a_residual_becomes_part_of_the_convolution() -> Result<()> {
        let graph = Graph::new();
        let x = graph.input("x", [2, 3, 6, 5], DType::F32)?;
        let conv = crate::ops::conv::Conv2dOptions::new().padding(crate::contract::Padding::Same);
        let w = graph.parameter("w", [3, 3, 3, 3], crate::graph::Init::Normal(0.0, 1.0))?;
        let b = graph.parameter("b", [3], crate::graph::Init::Constant(0.5))?;
        let y = x.conv2d(&w, &conv)?.add(&b.reshape([3, 1, 1])?)?;
        let sum = x.add(&y)?;
        let names = |fetch: &[Var]| -> Result<Vec<String>> {
            Ok(Plan::new(&graph, fetch, None)?.steps.iter().map(|s| s.op.name().to_owned()).collect())
        };
        assert_eq!(names(&[sum.relu()?])?, ["conv"]);
        assert_eq!(names(&[sum.relu()?, y])?, ["conv", "add+relu"]);
        Ok(())
    }
}
