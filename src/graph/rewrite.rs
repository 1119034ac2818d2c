//! Rewrites that keep a graph's meaning. [`stabilise`] runs before differentiation, [`live`] when a plan is made.

use super::{Graph, NodeKind, Value};
use crate::ops::Op;

/// Cross-entropy of softmax's output becomes cross-entropy of softmax's input, which neither overflows nor loses the digits of
/// small probabilities, and whose gradient is `softmax − target`.
pub(super) fn stabilise(graph: &Graph) {
    let mut data = graph.0.borrow_mut();
    for index in 0..data.nodes.len() {
        let NodeKind::Op(Op::CrossEntropy(loss)) = &data.nodes[index].kind else { continue };
        if loss.from_logits {
            continue;
        }
        let source = &data.nodes[data.nodes[index].inputs[0].node];
        let NodeKind::Op(Op::Softmax(softmax)) = &source.kind else { continue };
        if softmax.log || softmax.axis != loss.axis {
            continue;
        }
        let (logits, mut stable) = (source.inputs[0], loss.clone());
        stable.from_logits = true;
        data.nodes[index].kind = NodeKind::Op(Op::CrossEntropy(stable));
        data.nodes[index].inputs[0] = logits;
    }
}

/// Which nodes a plan needs: those that `fetch` depends on, and those with effects.
pub(super) fn live(graph: &Graph, fetch: &[Value]) -> Vec<bool> {
    let data = graph.data();
    let mut live = vec![false; data.nodes.len()];
    for value in fetch {
        live[value.node] = true;
    }
    for index in (0..data.nodes.len()).rev() {
        let node = &data.nodes[index];
        if matches!(&node.kind, NodeKind::Op(op) if !op.writes().is_empty()) {
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
}
