//! Element-wise ops whose results only each other see become one op: a pass over memory for all of them, and one dispatch.

use std::collections::{BTreeSet, HashMap};

use super::rewrite::{changes_state, live};
use super::{GraphData, NodeKind, Value};
use crate::ops::Op;
use crate::ops::chain::{Chain, Link, LinkFn, MOST_INPUTS, MOST_LINKS};

/// What the search for chains asks of a graph again and again.
struct Uses {
    /// The live nodes that use each value; `usize::MAX` where the host fetches it.
    users: HashMap<Value, Vec<usize>>,
    /// How many nodes before each one change state.
    changes: Vec<usize>,
}

/// Makes chains, the longest that end at the last ops first.
pub(super) fn make(data: &mut GraphData, fetch: &[Value]) {
    let live = live(data, fetch);
    let uses = Uses::of(data, &live, fetch);
    let mut taken = vec![false; data.nodes.len()];
    for end in (0..data.nodes.len()).rev() {
        if !live[end] || taken[end] || link(data, end).is_none() {
            continue;
        }
        let members = uses.members(data, end, &taken);
        if members.len() < 2 {
            continue;
        }
        members.iter().for_each(|member| taken[*member] = true);
        let (chain, inputs) = joined(data, &members);
        data.nodes[end].kind = NodeKind::Op(Op::Chain(chain));
        data.nodes[end].inputs = inputs;
    }
}

/// The node as a link, if its op is one of those that chains are made of.
fn link(data: &GraphData, node: usize) -> Option<LinkFn> {
    match &data.nodes[node].kind {
        NodeKind::Op(Op::Unary(op)) => Some(LinkFn::Unary(op.function)),
        NodeKind::Op(Op::UnaryGrad(op)) => Some(LinkFn::UnaryGrad(op.function)),
        NodeKind::Op(Op::Binary(op)) => Some(LinkFn::Binary(op.function)),
        NodeKind::Op(Op::Select(_)) => Some(LinkFn::Select),
        _ => None,
    }
}

impl Uses {
    fn of(data: &GraphData, live: &[bool], fetch: &[Value]) -> Uses {
        let mut users: HashMap<Value, Vec<usize>> = HashMap::new();
        for (index, node) in data.nodes.iter().enumerate().filter(|(index, _)| live[*index]) {
            node.inputs.iter().for_each(|value| users.entry(*value).or_default().push(index));
        }
        fetch.iter().for_each(|value| users.entry(*value).or_default().push(usize::MAX));
        let mut changes = vec![0];
        for node in &data.nodes {
            changes.push(changes[changes.len() - 1] + usize::from(changes_state(node)));
        }
        Uses { users, changes }
    }

    /// The nodes of the chain that ends at `end`, grown from there.
    fn members(&self, data: &GraphData, end: usize, taken: &[bool]) -> BTreeSet<usize> {
        let mut members = BTreeSet::from([end]);
        // A node is looked at again after each of its users joined, since all of them must.
        let mut open = data.nodes[end].inputs.clone();
        while let Some(value) = open.pop() {
            if members.contains(&value.node) || taken[value.node] || !self.may_join(data, value, end, &members) {
                continue;
            }
            members.insert(value.node);
            if members.len() > MOST_LINKS || outside(data, &members).len() > MOST_INPUTS {
                members.remove(&value.node);
                continue;
            }
            open.extend(&data.nodes[value.node].inputs);
        }
        members
    }

    /// Whether the value's node can be computed where `end` is: nothing else sees it, it has an element for each of the result's, and no
    /// state changes in between, so that it reads what it would have read.
    fn may_join(&self, data: &GraphData, value: Value, end: usize, members: &BTreeSet<usize>) -> bool {
        link(data, value.node).is_some()
            && data.spec(value).shape == data.nodes[end].outputs[0].shape
            && self.users[&value].iter().all(|user| members.contains(user))
            && self.changes[value.node + 1] == self.changes[end]
    }
}

/// What the members see of the rest of the graph, in the order in which they see it.
fn outside(data: &GraphData, members: &BTreeSet<usize>) -> Vec<Value> {
    let mut seen = Vec::new();
    for value in members.iter().flat_map(|member| &data.nodes[*member].inputs) {
        if !members.contains(&value.node) && !seen.contains(value) {
            seen.push(*value);
        }
    }
    seen
}

/// The members as one op, and its inputs.
fn joined(data: &GraphData, members: &BTreeSet<usize>) -> (Chain, Vec<Value>) {
    let inputs = outside(data, members);
    let number = |value: &Value| match members.iter().position(|member| *member == value.node) {
        Some(link) => inputs.len() + link,
        None => inputs.iter().position(|input| input == value).unwrap_or(0),
    };
    let links = members.iter().filter_map(|member| {
        let function = link(data, *member)?;
        Some(Link { function, arguments: data.nodes[*member].inputs.iter().map(number).collect() })
    });
    let links = links.collect();
    let names: Vec<&str> = members.iter().map(|member| data.nodes[*member].name()).collect();
    (Chain { name: names.join("+"), links }, inputs)
}

#[cfg(test)]
mod tests {
    use crate::graph::Init;
    use crate::ops::Op;
    use crate::{DType, Device, Graph, Plan, Result, Session, Tensor, Var};

    fn names(graph: &Graph, fetch: &[Var]) -> Result<Vec<String>> {
        Ok(Plan::new(graph, fetch, None)?.steps.iter().map(|s| s.op.name().to_owned()).collect())
    }

    #[test]
    fn what_only_the_next_op_sees_joins_it() -> Result<()> {
        let graph = Graph::new();
        let x = graph.input("x", [3, 5], DType::F32)?;
        let b = graph.input("b", [5], DType::F32)?;
        // silu is seen twice, by two ops of the chain.
        let s = x.add(&b)?.silu()?;
        let y = s.mul(&s.sigmoid()?)?;
        assert_eq!(names(&graph, std::slice::from_ref(&y))?, ["add+silu+sigmoid+mul"]);
        assert_eq!(names(&graph, &[y.clone(), s])?, ["add+silu", "sigmoid+mul"]);
        // A sum is no link, and what is smaller than the result would be computed again and again.
        let z = y.sum(&[0], false)?.exp()?.add(&x)?.relu()?;
        assert_eq!(names(&graph, &[z])?, ["add+silu+sigmoid+mul", "sum", "exp", "add+relu"]);
        Ok(())
    }

    #[test]
    fn a_chain_has_no_more_inputs_and_links_than_it_may() -> Result<()> {
        let graph = Graph::new();
        let mut y = graph.input("x", [4], DType::F32)?;
        for i in 0..20 {
            y = y.add(&graph.input(&format!("x{i}"), [4], DType::F32)?)?.neg()?;
        }
        for step in &Plan::new(&graph, &[y], None)?.steps {
            let Op::Chain(chain) = &step.op else { panic!("{}", step.name()) };
            assert!(step.inputs.len() <= super::MOST_INPUTS && chain.links.len() <= super::MOST_LINKS);
        }
        Ok(())
    }

    /// The same bits as the ops one by one: fetched, none of them can join another.
    #[test]
    fn a_chain_gives_the_bits_of_its_ops() -> Result<()> {
        let graph = Graph::new();
        let x = graph.input("x", [7, 3, 311], DType::F32)?;
        let (row, column) = (graph.input("row", [311], DType::F32)?, graph.input("column", [3, 1], DType::F32)?);
        let a = x.mul(&row)?;
        let b = a.gelu()?;
        let c = b.sub(&column)?;
        let d = c.leaky_relu(0.1)?;
        let e = d.greater(&x)?.select(&d, &b)?;
        let y = e.tanh()?.div(&x.square()?.shift(1.0)?)?;
        let gradient = graph.gradients(&y.sum_all()?, std::slice::from_ref(&x))?.swap_remove(0);
        let apart = graph.data().nodes.len();
        let all: Vec<Var> = (0..apart)
            .filter(|node| super::link(&graph.data(), *node).is_some())
            .map(|node| Var { graph: graph.clone(), value: super::Value { node, output: 0 } })
            .collect();
        let fill = |n: usize, seed: u32| {
            let mut random = crate::contract::Threefry::new(u64::from(seed), 1);
            (0..n).map(|_| random.normal()).collect::<Vec<f32>>()
        };
        let tensors = [
            ("x", Tensor::f32([7, 3, 311], fill(7 * 3 * 311, 1))?),
            ("row", Tensor::f32([311], fill(311, 2))?),
            ("column", Tensor::f32([3, 1], fill(3, 3))?),
        ];
        let run = |fetch: &[Var]| -> Result<(Vec<Vec<u32>>, usize)> {
            let mut session = Session::new(&Device::cpu_with_threads(2)?, 0, None);
            let run = session.compile(&graph, fetch)?;
            let inputs: Vec<(&str, &Tensor)> = tensors.iter().map(|(name, tensor)| (*name, tensor)).collect();
            let outputs = session.run(&run, &inputs)?;
            let bits = |t: Tensor| -> Result<Vec<u32>> { Ok(t.into_f32()?.iter().map(|v| v.to_bits()).collect()) };
            let chains = run.plan().steps.iter().filter(|s| matches!(s.op, Op::Chain(_))).count();
            Ok((outputs.into_iter().take(2).map(bits).collect::<Result<_>>()?, chains))
        };
        let (joined, chains) = run(&[y.clone(), gradient.clone()])?;
        assert!(chains >= 2, "{chains}");
        let fetch: Vec<Var> = [y, gradient].into_iter().chain(all).collect();
        let (apart, none) = run(&fetch)?;
        assert_eq!(none, 0);
        assert_eq!(joined, apart);
        Ok(())
    }

    /// `w` changes between an op and the next: the first must have been computed by then.
    #[test]
    fn no_chain_crosses_a_change_of_state() -> Result<()> {
        let graph = Graph::new();
        let state = |arena: &str, spec, init| graph.state(arena, arena, spec, init);
        let w = state("w", crate::TensorSpec::f32([64]), Init::Constant(1.0))?;
        let g = state("g", crate::TensorSpec::f32([64]), Init::Constant(1.0))?;
        let clock = state("clock", crate::TensorSpec::u32([8]), Init::Constant(0.0))?;
        let rates = Init::Words([0, 1f32.to_bits()].into());
        let schedule = state("schedule", crate::TensorSpec::u32([2]), rates)?;
        let groups = Init::Words(crate::contract::blocks::table(&[[1.0, 0.0]], &[0]).into());
        let groups = state("groups", crate::TensorSpec::u32([3]), groups)?;
        let doubled = w.scale(2.0)?;
        let rule = crate::ops::update::Rule::Sgd { momentum: 0.0, nesterov: false };
        w.update(crate::ops::update::Update { rule, every: 1 }, &[], &g, &clock, &schedule, &groups)?;
        let y = doubled.shift(1.0)?;
        assert!(!names(&graph, std::slice::from_ref(&y))?.iter().any(|name| name.contains('+')));
        Ok(())
    }
}
