//! What the numbers at the end of a network are, by the ops that made them.

use std::fmt;

use crate::graph::{GraphData, NodeKind, PARAMETERS, Value, Var};
use crate::ops::Op;
use crate::ops::binary::BinaryFn;
use crate::ops::reduce::ReduceFn;
use crate::ops::unary::UnaryFn;
use crate::shape::Shape;

/// What is known of a tensor from the op that made it. Ops that only move elements (reshape, transpose, slice, concatenation, dropout) and
/// means of elements are looked through.
///
/// ```
/// use galen::{DType, Graph, nn::Ending};
///
/// let graph = Graph::new();
/// let x = graph.input("x", [4, 3], DType::F32)?;
/// assert_eq!(Ending::of(&x.softmax(1)?), Ending::Softmax { axis: Some(1) });
/// assert_eq!(Ending::of(&x.tanh()?), Ending::Other("tanh".into()));
/// # Ok::<(), galen::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// Any number: of a dense layer, a convolution or a normalization without an activation, and of sums and products of such numbers.
    Linear,
    /// Each between 0 and 1 by itself: sigmoid and hard sigmoid.
    Sigmoid,
    /// Shares that sum to 1 along this axis of the tensor; `None` where elements were moved so that it is no longer one axis.
    Softmax {
        /// The axis, the batch counted.
        axis: Option<usize>,
    },
    /// Logarithms of such shares.
    LogSoftmax {
        /// The axis, the batch counted.
        axis: Option<usize>,
    },
    /// Never below 0, by this op: exp, softplus, ReLU, square.
    NotNegative(String),
    /// This op tells nothing.
    Other(String),
}

impl Ending {
    /// What is known of `y`.
    pub fn of(y: &Var) -> Ending {
        let data = y.graph().data();
        let mut known = Vec::with_capacity(y.value.node + 1);
        for node in 0..=y.value.node {
            known.push(kind(&data, node, &known));
        }
        match at(&known, y.value) {
            Kind::Linear => Ending::Linear,
            Kind::Sigmoid => Ending::Sigmoid,
            Kind::Softmax(axis) => Ending::Softmax { axis },
            Kind::LogSoftmax(axis) => Ending::LogSoftmax { axis },
            Kind::NotNegative(node) => Ending::NotNegative(data.nodes[node].name().to_owned()),
            Kind::Other(node) => Ending::Other(data.nodes[node].name().to_owned()),
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ending::Linear => write!(f, "a linear op"),
            Ending::Sigmoid => write!(f, "sigmoid"),
            Ending::Softmax { .. } => write!(f, "softmax"),
            Ending::LogSoftmax { .. } => write!(f, "log_softmax"),
            Ending::NotNegative(op) | Ending::Other(op) => write!(f, "{op}"),
        }
    }
}

/// An [`Ending`] while it is looked for; nodes stand for the names of their ops.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Linear,
    Sigmoid,
    Softmax(Option<usize>),
    LogSoftmax(Option<usize>),
    NotNegative(usize),
    Other(usize),
}

impl Kind {
    /// The same numbers in another place: `axis` says where an axis is now.
    fn moved(self, axis: impl FnOnce(usize) -> Option<usize>) -> Kind {
        match self {
            Kind::Softmax(at) => Kind::Softmax(at.and_then(axis)),
            Kind::LogSoftmax(at) => Kind::LogSoftmax(at.and_then(axis)),
            kind => kind,
        }
    }

    /// The axis along which shares sum to 1.
    fn shares(self) -> Option<Option<usize>> {
        if let Kind::Softmax(axis) | Kind::LogSoftmax(axis) = self { Some(axis) } else { None }
    }
}

fn at(known: &[Kind], value: Value) -> Kind {
    // Of an op's further outputs nothing is known.
    if value.output == 0 { known[value.node] } else { Kind::Other(value.node) }
}

/// What is known of a node's first output, given what is known of the nodes before it.
fn kind(data: &GraphData, index: usize, known: &[Kind]) -> Kind {
    let node = &data.nodes[index];
    let other = Kind::Other(index);
    let of = |i: usize| node.inputs.get(i).map_or(other, |value| at(known, *value));
    let shape = |i: usize| node.inputs.get(i).map(|value| data.spec(*value).shape.clone()).unwrap_or_default();
    let is_linear = |i: usize| of(i) == Kind::Linear;
    let any_linear = |among: &[usize]| if among.iter().any(|i| is_linear(*i)) { Kind::Linear } else { other };
    // Numbers of one kind stay of that kind where one of them is taken; of several axes nothing is known.
    let all_alike = |among: std::ops::Range<usize>| {
        let first = of(among.start);
        if among.clone().all(|i| of(i) == first) { first } else { other }
    };
    let op = match &node.kind {
        NodeKind::State { arena, .. } if data.arenas[*arena].name == PARAMETERS => return Kind::Linear,
        NodeKind::Reshape => {
            let to = node.outputs.first().map(|spec| spec.shape.clone()).unwrap_or_default();
            return of(0).moved(|axis| same_axis(&shape(0), axis, &to));
        }
        NodeKind::Op(op) => op,
        _ => return other,
    };
    match op {
        Op::Matmul(op) if !op.relu => any_linear(&[0, 1]),
        Op::Conv(op) if !op.relu => any_linear(&[0, 1]),
        Op::ConvGradX(_) => any_linear(&[0, 1]),
        Op::BatchNorm(op) if !op.relu => Kind::Linear,
        Op::BatchNormInfer(op) if !op.relu => Kind::Linear,
        Op::GroupNorm(_) => Kind::Linear,
        Op::Softmax(op) if op.log => Kind::LogSoftmax(Some(op.axis)),
        Op::Softmax(op) => Kind::Softmax(Some(op.axis)),
        Op::MaskedSoftmax(_) => Kind::Softmax(shape(0).len().checked_sub(1)),
        Op::Unary(op) => match (op.function, of(0)) {
            (UnaryFn::Sigmoid | UnaryFn::HardSigmoid, _) => Kind::Sigmoid,
            (UnaryFn::Neg | UnaryFn::Scale(_) | UnaryFn::Shift(_), Kind::Linear) => Kind::Linear,
            (UnaryFn::Exp, Kind::LogSoftmax(axis)) => Kind::Softmax(axis),
            (UnaryFn::Log, Kind::Softmax(axis)) => Kind::LogSoftmax(axis),
            (UnaryFn::Exp | UnaryFn::Softplus | UnaryFn::Relu | UnaryFn::Relu6, _) => Kind::NotNegative(index),
            (UnaryFn::Square | UnaryFn::Abs | UnaryFn::Sqrt, _) => Kind::NotNegative(index),
            _ => other,
        },
        Op::Binary(op) => match op.function {
            BinaryFn::Add | BinaryFn::Sub | BinaryFn::Mul => any_linear(&[0, 1]),
            BinaryFn::Div => any_linear(&[0]),
            BinaryFn::Maximum | BinaryFn::Minimum if of(0).shares().is_none() => all_alike(0..2),
            _ => other,
        },
        Op::Select(_) if is_linear(1) || is_linear(2) => Kind::Linear,
        Op::Select(_) if shape(1) == shape(2) => all_alike(1..3),
        Op::Pad(_) | Op::Expand(_) => any_linear(&[0]),
        Op::Copy(_) | Op::Dropout(_) => of(0),
        Op::Gather(_) => any_linear(&[0]),
        Op::Transpose(op) => of(0).moved(|axis| op.axes.iter().position(|from| *from == axis)),
        Op::Slice(op) => match of(0).shares() {
            // A part of the shares does not sum to 1.
            Some(Some(axis)) if op.size.get(axis) != shape(0).get(axis) => other,
            Some(None) => other,
            _ => of(0),
        },
        Op::Concat(op) => match of(0).shares() {
            Some(axis) if axis.is_none_or(|axis| axis == op.axis) => other,
            _ => all_alike(0..node.inputs.len()),
        },
        Op::Reduce(op) => match (op.function, of(0)) {
            (_, Kind::Linear) => Kind::Linear,
            (ReduceFn::Mean | ReduceFn::Max, Kind::Sigmoid) => Kind::Sigmoid,
            (ReduceFn::Mean, Kind::Softmax(Some(axis))) if !op.axes.contains(&axis) => {
                Kind::Softmax(Some(axis - op.axes.iter().filter(|reduced| **reduced < axis).count()))
            }
            _ => other,
        },
        // Means over space keep what sums to 1 along another axis; the largest do not.
        Op::AvgPool(_) | Op::AdaptiveAvgPool(_) | Op::Resize(_) => match of(0) {
            Kind::Softmax(Some(axis)) if axis > 1 => other,
            Kind::Softmax(None) | Kind::LogSoftmax(_) => other,
            kind => kind,
        },
        Op::MaxPool(_) | Op::AdaptiveMaxPool(_) if of(0).shares().is_none() => of(0),
        _ => other,
    }
}

/// Where axis `axis` of the shape `from` is after a reshape to `to`, if it is there as a whole.
fn same_axis(from: &Shape, axis: usize, to: &Shape) -> Option<usize> {
    let before: usize = from[..axis].iter().product();
    (0..to.len()).find(|at| to[*at] == from[axis] && to[..*at].iter().product::<usize>() == before)
}
