//! Which tokens a network's inputs may be: what its embeddings' vocabularies and its layers' steps allow, found in its graph.

use ndarray::{ArcArray, ArrayD, Axis, IxDyn, Slice, concatenate};

use crate::error::{Error, Result};
use crate::graph::{Graph, GraphData, Node, NodeKind};
use crate::nn::Input;
use crate::ops::Op;
use crate::shape::{DType, Shape};
use crate::tensor::Tensor;

/// For every input, the number below which each element of a sample must be; empty where none has such a limit.
#[derive(Clone, Debug, Default)]
pub(super) struct TokenLimits(Vec<Vec<u32>>);

/// Which elements of the inputs, counted through, a tensor holds.
type Elements = ArcArray<usize, IxDyn>;

/// An element that is none of an input's.
const UNKNOWN: usize = usize::MAX;

impl TokenLimits {
    /// What `inputs` say themselves, and what `graph`, built of them for one sample, asks of their elements: those that are looked up in an
    /// embedding are below its vocabulary, those that become one-hot rows below their depth, lengths at most the number of steps.
    pub(super) fn of(graph: &Graph, inputs: &[Input]) -> TokenLimits {
        let data = graph.data();
        let width = |input: &Input| if input.dtype == DType::U32 { input.shape.elements() } else { 0 };
        let begins: Vec<usize> = inputs.iter().map(width).scan(0, |n, w| Some(std::mem::replace(n, *n + w))).collect();
        let own = |input: &Input| std::iter::repeat_n(input.limit.unwrap_or(u32::MAX), width(input));
        let mut limits: Vec<u32> = inputs.iter().flat_map(own).collect();
        let mut held: Vec<Option<Elements>> = Vec::with_capacity(data.nodes.len());
        // What is read for the last time is dropped: a network may move its tokens many times.
        let mut uses = vec![0_usize; data.nodes.len()];
        data.nodes.iter().flat_map(|node| &node.inputs).for_each(|value| uses[value.node] += 1);
        for node in &data.nodes {
            if let Some((place, limit)) = asked(&data, node)
                && let Some(elements) = node.inputs.get(place).and_then(|value| held[value.node].as_ref())
            {
                let limit = u32::try_from(limit).unwrap_or(u32::MAX);
                elements.iter().filter(|e| **e != UNKNOWN).for_each(|e| limits[*e] = limits[*e].min(limit));
            }
            let input = |name: &str| inputs.iter().enumerate().position(|(i, input)| input.label(i) == name);
            held.push(match &node.kind {
                NodeKind::Input(name) => input(name).filter(|i| width(&inputs[*i]) > 0).and_then(|i| {
                    let elements = (begins[i]..begins[i] + width(&inputs[i])).collect();
                    ArrayD::from_shape_vec(node.outputs[0].shape.to_vec(), elements).ok().map(ArrayD::into_shared)
                }),
                _ => moved(&data, node, &held),
            });
            for value in &node.inputs {
                uses[value.node] -= 1;
                if uses[value.node] == 0 {
                    held[value.node] = None;
                }
            }
        }
        let of_input = |(input, begin): (&Input, &usize)| {
            let limits = &limits[*begin..begin + width(input)];
            if limits.iter().all(|limit| *limit == u32::MAX) { Vec::new() } else { limits.to_vec() }
        };
        TokenLimits(inputs.iter().zip(&begins).map(of_input).collect())
    }

    /// Refuses an element of the `input`-th input, called `what`, that is not below its limit; the samples are those from `first` on.
    pub(super) fn check(&self, input: usize, what: &str, first: usize, given: &Tensor) -> Result<()> {
        let (Some(limits), Tensor::U32(tokens)) = (self.0.get(input).filter(|l| !l.is_empty()), given) else {
            return Ok(());
        };
        match tokens.iter().zip(limits.iter().cycle()).position(|(token, limit)| token >= limit) {
            Some(i) => {
                let (limit, token) = (limits[i % limits.len()], tokens.iter().nth(i).copied().unwrap_or_default());
                let expected = format!("numbers below {limit}, all that the network knows (see nn::Embedding)");
                Err(Error::data(what, expected, format!("{token} in sample {}", first + i / limits.len())))
            }
            None => Ok(()),
        }
    }
}

/// The place of an input of `node` whose elements must be below a number, and that number.
fn asked(data: &GraphData, node: &Node) -> Option<(usize, usize)> {
    let shape = |place: usize| node.inputs.get(place).map_or(Shape::default(), |v| data.spec(*v).shape.clone());
    let NodeKind::Op(op) = &node.kind else { return None };
    match op {
        Op::Gather(_) => Some((1, *shape(0).first()?)),
        Op::OneHot(op) => Some((0, op.depth)),
        // Where there are lengths they come last.
        Op::Rnn(_) | Op::Lstm(_) | Op::Gru(_) => Some((node.inputs.len().checked_sub(1)?, shape(0).get(1)? + 1)),
        Op::MaskedSoftmax(op) if op.lengths => Some((1, shape(0).last()? + 1)),
        _ => None,
    }
}

/// The elements in a tensor that only moves them.
fn moved(data: &GraphData, node: &Node, held: &[Option<Elements>]) -> Option<Elements> {
    let of = |place: usize| held[node.inputs.get(place)?.node].as_ref();
    match &node.kind {
        NodeKind::Reshape => of(0)?.clone().into_shape_with_order(node.outputs[0].shape.to_vec()).ok(),
        NodeKind::Op(Op::Transpose(op)) => {
            Some(of(0)?.view().permuted_axes(op.axes.clone()).as_standard_layout().into_owned().into_shared())
        }
        NodeKind::Op(Op::Slice(op)) => {
            let range = |axis: usize| Slice::from(op.begin[axis]..op.begin[axis] + op.size[axis]);
            let part = of(0)?.slice_each_axis(|axis| range(axis.axis.index()));
            Some(part.as_standard_layout().into_owned().into_shared())
        }
        NodeKind::Op(Op::Concat(op)) => {
            let parts = node.inputs.iter().map(|value| match &held[value.node] {
                Some(elements) => elements.clone(),
                None => ArcArray::from_elem(data.spec(*value).shape.to_vec(), UNKNOWN),
            });
            let parts: Vec<Elements> = parts.collect();
            if parts.iter().flatten().all(|element| *element == UNKNOWN) {
                return None;
            }
            let views: Vec<_> = parts.iter().map(|part| part.view()).collect();
            concatenate(Axis(op.axis), &views).ok().map(|all| all.as_standard_layout().into_owned().into_shared())
        }
        _ => None,
    }
}
