//! The gradients of one convolution, found among a graph's nodes and made one op: see [`ConvGrad`].

use super::rewrite::{changes_state, live};
use super::{GraphData, Node, NodeKind, Value};
use crate::ops::Op;
use crate::ops::conv::ConvGrad;
use crate::ops::reduce::ReduceFn;
use crate::ops::unary::UnaryFn;
use crate::shape::TensorSpec;

/// All gradients of a convolution in one op, with that of a ReLU between, where nothing else needs what lies between: see [`ConvGrad`].
/// For the CPU, which is short of memory's speed where a GPU is short of dispatches that are alike.
pub(super) fn fuse(data: &mut GraphData, fetch: &[Value]) {
    let live = live(data, fetch);
    for index in (0..data.nodes.len()).filter(|index| live[*index]) {
        if let Some(found) = Gradients::at(data, &live, fetch, index) {
            found.fuse(data);
        }
    }
}

/// The nodes that are the gradients of one convolution, found from that of its weights.
struct Gradients {
    op: ConvGrad,
    inputs: Vec<Value>,
    weights: usize,
    input: Option<usize>,
    bias: Option<usize>,
}

impl Gradients {
    fn at(data: &GraphData, live: &[bool], fetch: &[Value], weights: usize) -> Option<Gradients> {
        let NodeKind::Op(Op::ConvGradW(of_weights)) = &data.nodes[weights].kind else { return None };
        let [x, dy] = data.nodes[weights].inputs[..] else { return None };
        let users = |value: Value| {
            let uses = move |i: &usize| live[*i] && data.nodes[*i].inputs.contains(&value);
            (0..data.nodes.len()).filter(uses)
        };
        let conv = of_weights.conv.plain();
        let is_input = |node: &Node| match &node.kind {
            NodeKind::Op(Op::ConvGradX(grad)) => {
                grad.conv.plain() == conv && node.inputs[0] == dy && node.outputs[0] == *data.spec(x)
            }
            _ => false,
        };
        let rank = data.spec(dy).shape.len();
        let is_bias = |node: &Node| match &node.kind {
            NodeKind::Op(Op::Reduce(sum)) => {
                sum.function == ReduceFn::Sum && (0..rank).filter(|axis| *axis != 1).eq(sum.axes.iter().copied())
            }
            _ => false,
        };
        let input = users(dy).find(|i| is_input(&data.nodes[*i]));
        let bias = users(dy).find(|i| is_bias(&data.nodes[*i]));
        let ours = [Some(weights), input, bias];
        let first = ours.iter().flatten().min().copied()?;
        let last = ours.iter().flatten().max().copied()?;
        // Whether somebody wants a result before all of them are there. A reshape shows what it is of, whenever that is made.
        let early = |node: usize| {
            let mut seen_as = vec![Value { node, output: 0 }];
            while let Some(value) = seen_as.pop() {
                if fetch.contains(&value) {
                    return true;
                }
                for user in users(value) {
                    match data.nodes[user].kind {
                        NodeKind::Reshape => seen_as.push(Value { node: user, output: 0 }),
                        _ if user < last => return true,
                        _ => {}
                    }
                }
            }
            false
        };
        if ours.iter().flatten().any(|node| early(*node)) || data.nodes[first..last].iter().any(changes_state) {
            return None;
        }
        // A ReLU's gradient that nobody else needs.
        let mut inputs = vec![x, dy];
        inputs.extend(input.map(|node| data.nodes[node].inputs[1]));
        let mut op = ConvGrad { conv, kernel: of_weights.kernel, input: input.is_some(), bias: bias.is_some() };
        let alone = !fetch.contains(&dy) && users(dy).all(|user| ours.contains(&Some(user)));
        if let NodeKind::Op(Op::UnaryGrad(grad)) = &data.nodes[dy.node].kind
            && alone
            && let [_, y, outer] = data.nodes[dy.node].inputs[..]
            && grad.function == UnaryFn::Relu
            && !data.nodes[dy.node..last].iter().any(changes_state)
        {
            op.conv.relu = true;
            inputs[1] = outer;
            inputs.push(y);
        }
        if !(op.input || op.bias || op.conv.relu) {
            return None;
        }
        let specs: Vec<TensorSpec> = inputs.iter().map(|value| data.spec(*value).clone()).collect();
        op.pays(&specs).then_some(Gradients { op, inputs, weights, input, bias })
    }

    /// Puts the op where the last of them was, and lets everyone else look there.
    fn fuse(self, data: &mut GraphData) {
        let found = [Some(self.weights), self.input, self.bias];
        let outputs = found.iter().flatten().map(|node| data.nodes[*node].outputs[0].clone()).collect();
        let Some(at) = found.iter().flatten().max().copied() else { return };
        let moved: Vec<usize> = found.iter().flatten().copied().collect();
        for node in &mut data.nodes {
            for value in &mut node.inputs {
                if let Some(output) = moved.iter().position(|node| *node == value.node) {
                    *value = Value { node: at, output };
                }
            }
        }
        data.nodes[at].layer = data.nodes[self.weights].layer.clone();
        data.nodes[at].kind = NodeKind::Op(Op::ConvGrad(self.op));
        (data.nodes[at].inputs, data.nodes[at].outputs) = (self.inputs, outputs);
    }
}

#[cfg(test)]
mod tests {
    use crate::{DType, Graph, Plan, Result};

    #[test]
    fn gradients_of_a_convolution_become_one_op_on_the_cpu() -> Result<()> {
        let graph = Graph::new();
        let x = graph.input("x", [8, 2, 6, 5], DType::F32)?;
        let conv = crate::ops::conv::Conv2dOptions::new();
        let w = |name: &str, shape: [usize; 4]| graph.parameter(name, shape, crate::graph::Init::Normal(0.0, 1.0));
        let b = |name: &str, c: usize| graph.parameter(name, [c], crate::graph::Init::Constant(0.5));
        let (w1, b1, w2, b2) = (w("w1", [3, 2, 3, 3])?, b("b1", 3)?, w("w2", [4, 3, 2, 2])?, b("b2", 4)?);
        let y = x.conv2d(&w1, &conv)?.add(&b1.reshape([3, 1, 1])?)?.relu()?;
        let y = y.conv2d(&w2, &conv)?.add(&b2.reshape([4, 1, 1])?)?.relu()?;
        let gradients = graph.gradients(&y.square()?.sum_all()?, &[w1, b1, w2, b2])?;
        let plan = Plan::new(&graph, &gradients.iter().map(|g| g.scale(2.0)).collect::<Result<Vec<_>>>()?, None)?;
        let names: Vec<&str> = plan.steps.iter().map(|s| s.op.name()).collect();
        assert_eq!(names.iter().filter(|n| **n == "conv_grad").count(), 2, "{names:?}");
        assert!(!names.iter().any(|n| n.starts_with("conv_grad_") || *n == "unary_grad"), "{names:?}");
        Ok(())
    }

    /// In a residual block the gradient of the first ReLU comes from two sides: their sum stays, the mask becomes the convolution's.
    #[test]
    fn a_relu_after_a_sum_is_taken_in() -> Result<()> {
        let graph = Graph::new();
        let x = graph.input("x", [8, 2, 6, 5], DType::F32)?;
        let conv = crate::ops::conv::Conv2dOptions::new().padding(crate::contract::Padding::Same);
        let w = |name: &str, shape: [usize; 4]| graph.parameter(name, shape, crate::graph::Init::Normal(0.0, 1.0));
        let (w1, w2) = (w("w1", [3, 2, 3, 3])?, w("w2", [3, 3, 3, 3])?);
        let a = x.conv2d(&w1, &conv)?.relu()?;
        let y = a.conv2d(&w2, &conv)?.add(&a)?.relu()?;
        let gradients = graph.gradients(&y.square()?.sum_all()?, &[w1, w2])?;
        let plan = Plan::new(&graph, &gradients.iter().map(|g| g.scale(2.0)).collect::<Result<Vec<_>>>()?, None)?;
        let names: Vec<&str> = plan.steps.iter().map(|s| s.op.name()).collect();
        assert_eq!(names.iter().filter(|n| **n == "conv_grad").count(), 2, "{names:?}");
        assert_eq!(names.iter().filter(|n| n.contains("unary_grad")).count(), 1, "{names:?}");
        Ok(())
    }
}
